"""What markets must do."""
