"""One battery per registry: every entry of it must pass."""
