"""What one tenant can reach of another: everything the platform answers, walked by every principal."""
