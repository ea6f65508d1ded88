"""Tests of the signal floor."""
