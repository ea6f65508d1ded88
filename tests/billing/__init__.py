"""Plans, payments and what becomes of them."""
