"""Settings, URLs and the entry points of every process. Sees everything, is seen by nothing."""
