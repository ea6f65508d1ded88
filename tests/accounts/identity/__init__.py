"""Signing in, in every way, and what it leaves behind."""
