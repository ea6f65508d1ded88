"""Commands of the signal floor."""
