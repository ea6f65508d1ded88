"""News of the signal floor, sent on commit with ids only."""

from django.dispatch import Signal

round_decided = Signal()
"""kwargs: close_time (epoch s), round_ids"""

signal_issued = Signal()
"""kwargs: signal_ids"""

signal_resolved = Signal()
"""kwargs: outcome_ids"""
