"""WHAT IT WOULD HAVE EARNED: tenant-owned strategies, paper accounts and backtests live here."""
