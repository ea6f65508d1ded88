"""Tests of single voters."""
