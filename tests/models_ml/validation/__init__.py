"""Tests of splits and figures."""
