"""Agents: context for a round, and the stacker."""
