"""WHAT WE THINK: features, the panel of nine voters, agents, training and validation."""
