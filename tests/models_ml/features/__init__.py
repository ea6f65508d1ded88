"""Features, formula by formula."""
