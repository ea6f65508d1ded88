"""How figures are measured: recorded files in, one table with intervals out."""
