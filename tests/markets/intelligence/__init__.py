"""Tests of words and calendars."""
