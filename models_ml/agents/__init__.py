"""Agents give context to a round; they have no vote."""
