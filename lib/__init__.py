"""What every app may lean on: clocks, errors, outbound HTTP, limits, on-commit news. Imports nothing of ours."""
