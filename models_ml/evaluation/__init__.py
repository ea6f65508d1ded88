"""The proof: voters, stack and baselines measured on recorded files, without a database."""
