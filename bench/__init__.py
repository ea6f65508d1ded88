"""One script per claim of docs/performance.md; `make bench` runs them and prints one JSON line per figure."""
