"""One battery for each registry."""
