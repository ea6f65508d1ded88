"""One story a file, from its first step to its last, through the real functions."""
