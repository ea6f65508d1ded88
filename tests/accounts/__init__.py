"""People, tenants and the walls between them."""
