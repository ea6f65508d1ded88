"""Tests of the house plan: who may import whom, and what docs must mention."""
