"""Chairs are taken by right only, and the database is who says so: every forbidden way is tried against it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction
from pytest_django import Settings

from lib import clock
from markets.models import Venue
from models_ml import challenges, muting, promotion
from models_ml.models import Challenge, ModelVersion, Mute, Promotion, Verdict
from models_ml.promotion import PromotionError, Seat, roll_back
from tests.factories_models import candidate, conclude, crown, register

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def artifacts_folder(settings: Settings, tmp_path: Path) -> None:
    settings.ARTIFACTS_DIR = tmp_path


@pytest.fixture
def venue(db: None) -> Venue:
    return Venue.objects.create(key="promoted", adapter="simulated", title="x", kind="simulated")


@pytest.fixture
def champion(venue: Venue) -> ModelVersion:
    return crown(candidate(venue))


def seat(version: ModelVersion) -> Seat:
    return promotion.seat_of(version)


def on_disk(version: ModelVersion) -> Path:
    folder = Path(settings.ARTIFACTS_DIR) / version.path
    folder.mkdir(parents=True)
    return folder


# ---- the ways in


def test_the_first_of_an_empty_chair_sits_down_and_is_marked(champion: ModelVersion) -> None:
    row = Promotion.objects.get()
    assert (row.version, row.kind, row.verdict, row.before) == (champion, "bootstrap", None, None)
    assert champion.state == "champion"


def test_a_won_test_makes_a_champion_and_retires_the_old_one(venue: Venue, champion: ModelVersion) -> None:
    winner = crown(candidate(venue))
    champion.refresh_from_db()
    assert (winner.state, champion.state) == ("champion", "retired")
    row = Promotion.objects.latest("pk")
    assert (row.kind, row.before, row.verdict) == ("won", champion, winner.challenge.verdict)


def test_a_champion_of_other_columns_leaves_its_chair_empty(venue: Venue, champion: ModelVersion) -> None:
    later = candidate(venue, features_hash="y")
    assert promotion.is_empty_for(later)
    promotion.bootstrap(later, by="test")
    champion.refresh_from_db()
    assert champion.state == "retired"


def test_a_release_that_is_taken_back_finds_its_chair_empty_again(venue: Venue, champion: ModelVersion) -> None:
    crown(candidate(venue, features_hash="y"))
    again = candidate(venue)
    assert challenges.enter(again, by="test") is None
    again.refresh_from_db()
    assert again.state == "champion"


# ---- the ways that the database keeps shut


def forbidden(act: object, error: type[DatabaseError] = IntegrityError, match: str | None = None) -> None:
    assert callable(act)
    with pytest.raises(error, match=match), transaction.atomic():
        act()


def test_nobody_becomes_champion_by_a_plain_update(venue: Venue, champion: ModelVersion) -> None:
    usurper = candidate(venue)

    def act() -> None:
        ModelVersion.objects.filter(pk=champion.pk).update(state="retired")
        ModelVersion.objects.filter(pk=usurper.pk).update(state="champion")

    forbidden(act, match="cannot become champion without a promotion")


def test_nobody_is_born_champion(venue: Venue) -> None:
    forbidden(lambda: candidate(venue, state="champion"), match="cannot become champion without a promotion")


def test_a_test_that_is_not_won_promotes_nobody(venue: Venue, champion: ModelVersion) -> None:
    verdict = conclude(register(candidate(venue), champion), won=False)
    with pytest.raises(PromotionError, match="only a won test"):
        promotion.promote(verdict, by="test")
    forbidden(lambda: raw(verdict.challenge.candidate, "won", verdict), match="has won no test")


def test_a_registration_without_a_verdict_promotes_nobody(venue: Venue, champion: ModelVersion) -> None:
    challenger = candidate(venue)
    register(challenger, champion)
    forbidden(lambda: raw(challenger, "won", None), match="promotion_by_verdict|has won no test")


def test_a_taken_chair_cannot_be_bootstrapped(venue: Venue, champion: ModelVersion) -> None:
    forbidden(lambda: promotion.bootstrap(candidate(venue), by="test"), match="finds its seat taken")


def test_a_chair_cannot_be_emptied_to_be_taken(venue: Venue, champion: ModelVersion) -> None:
    ModelVersion.objects.filter(pk=champion.pk).update(state="retired")
    forbidden(lambda: promotion.bootstrap(candidate(venue), by="test"), match="finds its seat taken")


def test_a_win_counts_against_the_champion_it_was_won_against(venue: Venue, champion: ModelVersion) -> None:
    slow = register(candidate(venue), champion)
    crown(candidate(venue))
    with pytest.raises(PromotionError, match="which has left the seat"):
        promotion.promote(conclude(slow), by="test")
    forbidden(lambda: raw(slow.candidate, "won", slow.verdict), match="has won no test")


def test_anothers_verdict_is_no_ticket(venue: Venue, champion: ModelVersion) -> None:
    verdict = conclude(register(candidate(venue), champion))
    forbidden(lambda: raw(candidate(venue), "won", verdict), match="has won no test")


def test_who_was_never_champion_is_not_rolled_back_to(venue: Venue, champion: ModelVersion) -> None:
    forbidden(lambda: raw(candidate(venue), "rollback", None), match="was never champion")


def test_a_model_sits_in_its_own_chair_only(venue: Venue, champion: ModelVersion) -> None:
    forbidden(lambda: raw(candidate(venue), "bootstrap", None, voter="gru"), match="another seat")


def raw(version: ModelVersion, kind: str, verdict: Verdict | None, **changes: Any) -> Promotion:
    """A promotion written past `models_ml.promotion`."""
    facts: dict[str, Any] = {
        "version": version, "venue": version.venue, "market_class": version.market_class, "voter": version.voter,
        "features_hash": version.features_hash, "kind": kind, "verdict": verdict,
        "before": promotion.champion_of(seat(version)), "at": clock.wall_now(), "by": "raw",
    }  # fmt: skip
    return Promotion.objects.create(**(facts | changes))


@pytest.mark.parametrize(
    "figures",
    [
        {"n": 999},
        {"gain_low": -0.0001},
        {"gain_low": None},
        {"gain": None},
        {"gain": -0.001, "gain_low": 0.0},
        {"skill": 1e-9},
        {"skill": None},
    ],
    ids=str,
)
def test_no_verdict_is_won_against_its_own_figures(
    venue: Venue, champion: ModelVersion, figures: dict[str, Any]
) -> None:
    test = register(candidate(venue), champion)
    forbidden(lambda: conclude(test, **figures), match="not won by its own figures")


def test_no_test_opens_on_what_was_learned_from(venue: Venue, champion: ModelVersion) -> None:
    later = candidate(venue, trained_until=champion.trained_until + timedelta(hours=1))
    forbidden(lambda: register(later, champion, opens_at=champion.trained_until), match="opens before the end")


def test_a_candidate_has_one_test(venue: Venue, champion: ModelVersion) -> None:
    challenger = candidate(venue)
    register(challenger, champion)
    forbidden(lambda: register(challenger, champion))


@pytest.mark.parametrize("model", [Challenge, Verdict, Promotion])
def test_tests_verdicts_and_promotions_are_for_ever(
    venue: Venue, champion: ModelVersion, model: type[Challenge | Verdict | Promotion]
) -> None:
    crown(candidate(venue))
    table, column = model._meta.db_table, {Challenge: "least_n", Verdict: "n", Promotion: "by"}[model]
    with connection.cursor() as cursor:
        forbidden(lambda: cursor.execute(f"DELETE FROM {table}"), ProgrammingError)  # our own table
        forbidden(lambda: cursor.execute(f"UPDATE {table} SET {column} = {column}"), ProgrammingError)  # as above


@pytest.mark.parametrize("change", [{"sha256": "0"}, {"path": "elsewhere"}, {"metrics": {}}, {"trained_until": None}])
def test_a_model_changes_in_nothing_but_its_state(champion: ModelVersion, change: dict[str, object]) -> None:
    change = {name: clock.wall_now() if value is None else value for name, value in change.items()}
    forbidden(lambda: ModelVersion.objects.filter(pk=champion.pk).update(**change), ProgrammingError)


# ---- the way back


def test_rolling_back_gives_the_chair_to_who_sat_there_before(venue: Venue, champion: ModelVersion) -> None:
    on_disk(champion)
    winner = crown(candidate(venue))
    row = roll_back(seat(winner), by="user:1")
    champion.refresh_from_db()
    winner.refresh_from_db()
    assert (champion.state, winner.state) == ("champion", "retired")
    assert (row.kind, row.before, row.by) == ("rollback", winner, "user:1")


def test_rolling_back_twice_returns(venue: Venue, champion: ModelVersion) -> None:
    on_disk(champion)
    winner = crown(candidate(venue, path="promoted/crypto/winner"))
    on_disk(winner)
    roll_back(seat(winner), by="test")
    roll_back(seat(winner), by="test")
    assert promotion.champion_of(seat(winner)) == winner


def test_without_an_earlier_champion_there_is_no_way_back(champion: ModelVersion) -> None:
    with pytest.raises(PromotionError, match="no earlier champion of xgb is left"):
        roll_back(seat(champion), by="test")


def test_files_that_are_gone_do_not_come_back(venue: Venue, champion: ModelVersion) -> None:
    winner = crown(candidate(venue))
    with pytest.raises(PromotionError, match="no earlier champion"):
        roll_back(seat(winner), by="test")
    with pytest.raises(PromotionError, match="files of xgb #"):
        roll_back(seat(winner), by="test", to=champion)


def test_who_reads_the_columns_of_another_release_does_not_come_back(venue: Venue, champion: ModelVersion) -> None:
    """It could not answer, and the chair would be silent until the next training."""
    old = crown(candidate(venue, features_hash="y", path="promoted/crypto/old"))
    on_disk(old)
    present = crown(candidate(venue))
    with pytest.raises(PromotionError, match="columns of another release"):
        roll_back(seat(present), by="test", to=old)
    with pytest.raises(PromotionError, match="no earlier champion of xgb is left"):
        roll_back(seat(present), by="test")


@pytest.mark.django_db(transaction=True)
def test_the_files_of_long_retired_models_are_removed(venue: Venue) -> None:
    made = [candidate(venue, path=f"promoted/crypto/{number}") for number in range(promotion.KEPT_RETIRED + 2)]
    folders = [on_disk(version) for version in made]
    for version in made:
        crown(version)
    assert [folder.is_dir() for folder in folders] == [False] + [True] * (promotion.KEPT_RETIRED + 1)


@pytest.mark.django_db(transaction=True)
def test_who_came_back_is_not_forgotten_as_the_oldest(venue: Venue) -> None:
    made = [candidate(venue, path=f"promoted/crypto/{number}") for number in range(promotion.KEPT_RETIRED + 1)]
    folders = [on_disk(version) for version in made]
    for version in made:
        crown(version)
    roll_back(seat(made[0]), by="test", to=made[0])
    crown(candidate(venue))
    assert folders[0].is_dir(), "it sat there until now"
    assert promotion.before(seat(made[0])) == made[0]
    assert not folders[1].exists()


@pytest.mark.django_db(transaction=True)
def test_a_beaten_candidate_keeps_its_row_and_loses_its_files(venue: Venue) -> None:
    beaten = candidate(venue)
    folder = on_disk(beaten)
    promotion.set_aside(beaten)
    beaten.refresh_from_db()
    assert (beaten.state, folder.exists()) == ("beaten", False)


# ---- mutes


def test_a_promotion_lifts_the_mute_of_its_seat(venue: Venue, champion: ModelVersion) -> None:
    muting.mute(venue.pk, "crypto", "xgb", Mute.Reason.LOSS, by="drift")
    crown(candidate(venue))
    row = Mute.objects.get()
    assert (row.lifted_by, muting.muted_seats(venue.pk, "crypto")) == ("test", {})


def test_a_muted_voter_is_muted_once(venue: Venue) -> None:
    muting.mute(venue.pk, "crypto", "xgb", Mute.Reason.OPERATOR, by="user:1")
    with pytest.raises(muting.MuteError, match="xgb is muted already"):
        muting.mute(venue.pk, "crypto", "xgb", Mute.Reason.LOSS, by="drift")
    assert muting.lift(venue.pk, "crypto", "xgb", by="user:1")
    assert not muting.lift(venue.pk, "crypto", "xgb", by="user:1")
    forbidden(lambda: Mute.objects.update(reason="features"), ProgrammingError)
