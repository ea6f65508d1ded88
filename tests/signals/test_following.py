"""Which instruments an organization sees: chosen ones, within its plan, in every place that shows rounds."""

import json
from datetime import timedelta

import pytest

from accounts.accepting import accept_terms
from accounts.access import Viewer
from accounts.limits import PlanLimit
from accounts.models import AuditEntry, Organization
from accounts.plans import FREE
from accounts.scoping import scope_to
from lib.clock import wall_now
from markets.models import Instrument, Run
from signals import push
from signals.access import access_events, access_instruments, access_rounds, access_signals, followed_ids
from signals.board import locked_rows
from signals.following import follow
from signals.groups import Tier, board, included_ids, tier_of
from signals.push import Event, frame_for, included_of
from tests.people import Person
from tests.signals.rows import instruments_of, make_run

MARKET = (1, 2, 3, 4, 5)


@pytest.fixture
def run(db: None) -> Run:
    return make_run()


def choose(person: Person, *instruments: Instrument) -> None:
    with scope_to(person.organization.pk):
        follow(person.organization, [row.pk for row in instruments], followed_ids(run_now()), person.user)


def run_now() -> Run | None:
    from markets.runs import current_run

    return current_run()


def test_chosen_in_order_within_the_plan() -> None:
    assert included_ids(Tier(0, 3, None), MARKET) == (1, 2, 3)
    assert included_ids(Tier(0, 3, None, (5, 2)), MARKET) == (5, 2)
    assert included_ids(Tier(0, 3, None, (5, 4, 2, 1)), MARKET) == (5, 4, 2), "a smaller plan keeps the first of them"
    assert included_ids(Tier(0, None, None, (9, 8)), MARKET) == MARKET, "chosen in another market only"
    assert included_of(Tier(0, None, None, (5,)), MARKET) == frozenset({5})
    assert included_of(Tier(0, None, None, MARKET), MARKET) is None


def test_groups_differ_where_choices_do() -> None:
    names = {board(1, Tier(0, 3, None, chosen)) for chosen in ((), (1, 2), (2, 1), (12,))}
    assert len(names) == 4


def test_the_choice_holds_everywhere(run: Run, freebie: Person) -> None:
    first, second, third = instruments_of(run)[:3]
    choose(freebie, third)
    viewer = freebie.viewer
    assert list(access_instruments(viewer)) == [third]
    with scope_to(freebie.organization.pk):
        assert {row.instrument_id for row in access_rounds(viewer)} <= {third.pk}
        assert {row.instrument_id for row in access_signals(viewer)} <= {third.pk}
    listed = freebie.client.get(f"/api/v1/signals/latest/{first.symbol.replace('/', '-')}/")
    assert listed.status_code == 404
    assert freebie.client.get(f"/api/v1/signals/latest/{third.symbol.replace('/', '-')}/").status_code == 200
    assert freebie.client.get(f"/chart/{second.pk}/").status_code == 404
    assert freebie.client.get(f"/chart/{third.pk}/").status_code == 200
    options = freebie.client.get("/history").context["instruments"]
    assert list(options) == [third]


def test_pushed_and_replayed_events_are_narrowed(run: Run, owner: Person) -> None:
    first, second = instruments_of(run)[:2]
    choose(owner, second)
    cards = [{"instrument": row.pk, "id": str(row.pk)} for row in (first, second)]
    at = wall_now() - timedelta(hours=1)
    number = push.publish("rounds", {"cards": cards}, venue_id=run.venue_id, at=at)
    tier = tier_of(owner.viewer)
    event = next(iter(access_events(owner.viewer, number - 1, run)))
    text = frame_for(Event.of_row(event), tier, included_of(tier, followed_ids(run)))
    assert text is not None
    assert [card["instrument"] for card in json.loads(text)["cards"]] == [second.pk]
    replayed = owner.client.get(f"/api/v1/events/?after={number}")
    assert replayed.status_code in {200, 410}


def test_the_last_one_passes_and_the_next_does_not(run: Run, freebie: Person) -> None:
    rows = instruments_of(run)
    enough = rows[: FREE.instruments]
    choose(freebie, *enough)
    if len(rows) <= len(enough):
        pytest.skip("the market of the tests has as many instruments as the Free plan")
    with pytest.raises(PlanLimit, match="All 3 instruments of the Free plan"):
        choose(freebie, *rows[: len(enough) + 1])
    with scope_to(freebie.organization.pk):
        assert Organization.objects.get().followed == [row.pk for row in enough]


def test_the_page_shows_stores_and_refuses(run: Run, owner: Person, readonly: Person, visitor: Person) -> None:
    rows = instruments_of(run)
    page = owner.client.get("/instruments/")
    assert b"You have chosen none" in page.content
    saved = owner.client.post("/instruments/", {"instrument": [rows[1].pk, "x", 10**30]}, follow=True)
    assert b"You see what is ticked here" in saved.content
    with scope_to(owner.organization.pk):
        assert Organization.objects.get().followed == [rows[1].pk]
        assert AuditEntry.objects.get(action="instruments.chosen").details == {"count": 1}
    assert readonly.client.get("/instruments/").status_code == 200
    assert readonly.client.post("/instruments/", {"instrument": [rows[0].pk]}).status_code == 403
    assert visitor.client.get("/instruments/").status_code == 302
    owner.client.post("/instruments/", {})
    assert list(access_instruments(owner.viewer)) == list(Instrument.objects.filter(pk__in=[row.pk for row in rows]))


def test_what_is_followed_in_another_market_is_kept(run: Run, owner: Person) -> None:
    with scope_to(owner.organization.pk):
        Organization.objects.update(followed=[10**6])
        follow(owner.organization, [instruments_of(run)[0].pk], followed_ids(run), owner.user)
        assert Organization.objects.get().followed == [instruments_of(run)[0].pk, 10**6]


def test_what_was_not_chosen_is_not_called_locked(run: Run, freebie: Person) -> None:
    choose(freebie, instruments_of(run)[0])
    assert locked_rows(freebie.viewer, run) == []


def test_who_has_not_accepted_gets_the_free_choice(run: Run, newcomer: Person) -> None:
    choose(newcomer, instruments_of(run)[-1])
    assert tier_of(newcomer.viewer).chosen == ()
    accept_terms(newcomer.user, "192.0.2.1")
    assert tier_of(newcomer.viewer).chosen == (instruments_of(run)[-1].pk,)
    assert tier_of(Viewer()).chosen == ()
