"""Tests of the payment sandbox, all through the real stripe library and real pages over loopback."""
