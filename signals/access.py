"""What a viewer may fetch of rounds, signals, outcomes and push events.

The plan's limits are conditions in these fetches and nowhere else: pages, fragments, CSV, REST, the replay of missed
events and push all start from here. A viewer with a delay sees the world as it stood that many seconds of market time
ago: a round or signal that closed later, or an outcome that fell later, does not exist for them.
"""

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from accounts.access import Viewer
from markets.models import Instrument, Run
from markets.runs import current_run, market_time
from signals.groups import HELD_KINDS, Tier, included_ids, tier_of
from signals.models import Outcome, PushEvent, Round, Signal


def market_now(run: Run | None = None) -> datetime:
    """The market clock of the current run, in whatever process: its row carries the clock of a recording."""
    return market_time(run or current_run())


def access_instruments(viewer: Viewer, run: Run | None = None) -> QuerySet[Instrument]:
    """The followed instruments whose rounds the viewer may see: the chosen or first ones, as many as the plan has."""
    run = run or current_run()
    if run is None:
        return Instrument.objects.none()
    return Instrument.objects.filter(pk__in=_included(tier_of(viewer), run)).order_by("pk")


def access_rounds(viewer: Viewer, run: Run | None = None) -> QuerySet[Round]:
    """The rounds of the current run's venue that the viewer may see, newest first."""
    run = run or current_run()
    if run is None:
        return Round.objects.none()
    return Round.objects.filter(_seen(tier_of(viewer), run)).order_by("-close_time", "-id")


def access_signals(viewer: Viewer, run: Run | None = None) -> QuerySet[Signal]:
    """The signals of the current run's venue that the viewer may see, newest first."""
    run = run or current_run()
    if run is None:
        return Signal.objects.none()
    return Signal.objects.filter(_seen(tier_of(viewer), run)).order_by("-close_time", "-id")


def access_outcomes(viewer: Viewer, run: Run | None = None) -> QuerySet[Outcome]:
    """The outcomes the viewer may see, every revision: those that fell before their delay began."""
    run = run or current_run()
    if run is None:
        return Outcome.objects.none()
    tier = tier_of(viewer)
    seen = Outcome.objects.filter(_seen(tier, run, "signal__"))
    return seen if tier.is_live else seen.filter(signal__expires_at__lte=_cutoff(tier, run))


def access_events(viewer: Viewer, after_id: int, run: Run | None = None) -> QuerySet[PushEvent]:
    """The push events after `after_id` that the viewer may have, in order.

    A delayed viewer gets held kinds strictly in order: an event that is due waits for an earlier one that is not, so
    that the last id a reader has seen is enough to read on from.
    """
    run = run or current_run()
    if run is None:
        return PushEvent.objects.none()
    tier, events = tier_of(viewer), PushEvent.objects.filter(venue_id=run.venue_id, id__gt=after_id).order_by("id")
    if tier.is_live:
        return events
    cutoff = _cutoff(tier, run)
    undue = events.filter(kind__in=HELD_KINDS, at__gt=cutoff).values_list("id", flat=True).first()
    due = Q(at__lte=cutoff) if undue is None else Q(at__lte=cutoff, id__lt=undue)
    return events.filter(~Q(kind__in=HELD_KINDS) | due)


def event_position(viewer: Viewer, run: Run | None = None) -> int:
    """The id a page rendered now reads on from: the last event this viewer could have seen, 0 where there is none."""
    run = run or current_run()
    if run is None:
        return 0
    if not (tier := tier_of(viewer)).is_live:
        return delayed_position(tier, run)
    return PushEvent.objects.filter(venue_id=run.venue_id).order_by("-id").values_list("id", flat=True).first() or 0


def delayed_position(tier: Tier, run: Run) -> int:
    """The last held event before the first that is not yet due for a delayed tier."""
    held = PushEvent.objects.filter(venue_id=run.venue_id, kind__in=HELD_KINDS)
    undue = held.filter(at__gt=_cutoff(tier, run)).order_by("id").values_list("id", flat=True).first()
    before = held if undue is None else held.filter(id__lt=undue)
    return before.order_by("-id").values_list("id", flat=True).first() or 0


def is_known(after_id: int, run: Run | None) -> bool:
    """Whether everything after an event id is still kept and of this market; 0 stands for the beginning."""
    if after_id == 0 or run is None:
        return after_id == 0
    events = PushEvent.objects.filter(venue_id=run.venue_id)
    return events.filter(id__lte=after_id).exists() and events.filter(id__gte=after_id).exists()


def _seen(tier: Tier, run: Run, to: str = "") -> Q:
    """The condition on rows with an instrument and a close_time; `to` is the lookup that leads to them."""
    seen = Q(**{f"{to}instrument__venue_id": run.venue_id})
    if tier.instruments is not None or tier.chosen:
        seen &= Q(**{f"{to}instrument__in": _included(tier, run)})
    if not tier.is_live:
        seen &= Q(**{f"{to}close_time__lte": _cutoff(tier, run)})
    if tier.history_days is not None:
        seen &= Q(**{f"{to}close_time__gte": market_time(run) - timedelta(days=tier.history_days)})
    return seen


def followed_ids(run: Run | None) -> tuple[int, ...]:
    """The followed instruments of a run's venue, in the order that plans count them."""
    return tuple(_followed(run)) if run else ()


def _followed(run: Run) -> QuerySet[Instrument, int]:
    return Instrument.objects.filter(venue_id=run.venue_id, followed=True).order_by("pk").values_list("pk", flat=True)


def _included(tier: Tier, run: Run) -> QuerySet[Instrument, int] | tuple[int, ...]:
    """A subquery where nothing was chosen, which is the common case."""
    return included_ids(tier, followed_ids(run)) if tier.chosen else _followed(run)[: tier.instruments]


def _cutoff(tier: Tier, run: Run) -> datetime:
    return market_time(run) - timedelta(seconds=tier.delay_s)
