"""Injected faults, and the tools that inject them."""
