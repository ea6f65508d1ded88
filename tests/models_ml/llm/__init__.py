"""The two seats that ask a language model."""
