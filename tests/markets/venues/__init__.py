"""What each venue adapter must do."""
