"""Commands about people and tenants."""
