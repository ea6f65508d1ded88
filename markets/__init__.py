"""WHAT HAPPENED: venues, instruments, candles, books, and how far they can be trusted. Knows no users."""
