"""The proof: sets, votes, figures, comparisons, the log."""
