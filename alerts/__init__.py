"""WHO HEARS: tenant-owned destinations, rules and deliveries live here."""
