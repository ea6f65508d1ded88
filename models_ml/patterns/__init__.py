"""Patterns: the named ones with their chart coordinates, and the mined ones with their proof. Pure: no Django here.

Named: `registry` (all of them), `named` (find them). Mined: `windows` (what a stretch of candles is called), `mining`
(search and gate), `multiplicity` (the arithmetic of many trials), `matching` (what the last candle completes).
"""
