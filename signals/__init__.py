"""WHAT WE SAY: rounds, consensus, risk, signals, outcomes and the live page."""
