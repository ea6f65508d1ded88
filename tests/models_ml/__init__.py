"""What we think: tests of the models."""
