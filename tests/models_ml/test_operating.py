"""What operators do to models: confirmed by the seat's name, on the record, and refused to everybody else."""

from pathlib import Path

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.audit import operator_work
from accounts.models import AuditEntry
from markets.models import Venue
from models_ml import promotion
from models_ml.models import ModelVersion, Mute, Promotion
from tests.factories_models import candidate, conclude, crown, register
from tests.people import Person

pytestmark = pytest.mark.django_db

ACTS = ["promote", "roll-back", "mute", "unmute", "retrain"]


@pytest.fixture(autouse=True)
def artifacts_folder(settings: Settings, tmp_path: Path) -> None:
    settings.ARTIFACTS_DIR = tmp_path


@pytest.fixture
def venue(db: None) -> Venue:
    return Venue.objects.create(key="binance", adapter="simulated", title="x", kind="simulated")


@pytest.fixture
def champion(venue: Venue) -> ModelVersion:
    made = crown(candidate(venue))
    (Path(configured.ARTIFACTS_DIR) / made.path).mkdir(parents=True)
    return made


def address(version: ModelVersion, act: str) -> str:
    return f"/console/models_ml/modelversion/{version.pk}/{act}/"


def do(person: Person, version: ModelVersion, act: str, name: str = "xgb crypto@binance") -> int:
    return int(person.client.post(address(version, act), {"name": name}).status_code)


def acts() -> list[tuple[str, str]]:
    """Audited acts on models, oldest first."""
    with operator_work("test", "read"):
        rows = AuditEntry.objects.filter(action__regex=r"^(model|voter)\.").order_by("at")
        return [(row.action, row.actor) for row in rows]


def test_a_won_candidate_is_promoted(operator: Person, venue: Venue, champion: ModelVersion) -> None:
    winner = candidate(venue)
    conclude(register(winner, champion))
    assert do(operator, winner, "promote") == 302
    winner.refresh_from_db()
    assert winner.state == "champion"
    assert acts() == [("model.promoted", f"user:{operator.user.pk}")]


@pytest.mark.parametrize("concluded", [True, False])
def test_any_other_is_refused_and_told_why(
    operator: Person, venue: Venue, champion: ModelVersion, concluded: bool
) -> None:
    loser = candidate(venue)
    if concluded:
        conclude(register(loser, champion), won=False)
    answer = operator.client.post(address(loser, "promote"), {"name": "xgb crypto@binance"})
    assert answer.status_code == 422
    assert ("only a won test" if concluded else "has no concluded test") in answer.content.decode()
    loser.refresh_from_db()
    assert (loser.state, acts()) == ("candidate", [])


def test_one_click_rolls_back(operator: Person, venue: Venue, champion: ModelVersion) -> None:
    crown(candidate(venue))
    assert do(operator, champion, "roll-back") == 302
    champion.refresh_from_db()
    assert champion.state == "champion"
    assert Promotion.objects.latest("pk").by == f"user:{operator.user.pk}"
    assert acts() == [("model.rolled_back", f"user:{operator.user.pk}")]


def test_muting_and_unmuting(operator: Person, champion: ModelVersion) -> None:
    assert do(operator, champion, "mute") == 302
    assert Mute.objects.get().reason == "operator"
    assert do(operator, champion, "mute") == 422
    assert do(operator, champion, "unmute") == 302
    assert do(operator, champion, "unmute") == 422
    assert [action for action, _ in acts()] == ["voter.muted", "voter.unmuted"]


def test_retraining_asks_a_worker(
    operator: Person, champion: ModelVersion, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks() as waiting:
        assert do(operator, champion, "retrain") == 302
    assert len(waiting) == 1
    assert [action for action, _ in acts()] == ["voter.retrained"]


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_shown_before_it_is_done_and_needs_the_seats_name(
    operator: Person, champion: ModelVersion, act: str
) -> None:
    page = operator.client.get(address(champion, act))
    assert page.status_code == 200
    assert "xgb crypto@binance" in page.content.decode()
    assert do(operator, champion, act, "xgb") == 422
    assert (acts(), Mute.objects.count()) == ([], 0)


@pytest.mark.parametrize("name", ["owner", "teammate", "readonly", "stranger", "visitor"])
@pytest.mark.parametrize("act", ACTS)
def test_for_everybody_else_there_is_nothing(
    act: str, name: str, champion: ModelVersion, request: pytest.FixtureRequest
) -> None:
    person: Person = request.getfixturevalue(name)
    assert do(person, champion, act) == 404
    assert (acts(), Mute.objects.count()) == ([], 0)


# ---- the command


def test_one_command_rolls_back(venue: Venue, champion: ModelVersion, capsys: pytest.CaptureFixture[str]) -> None:
    winner = crown(candidate(venue))
    call_command("rollback_model", "--voter", "xgb", "--venue", "binance")
    assert capsys.readouterr().out == f"xgb #{champion.pk} votes again; xgb #{winner.pk} is retired\n"
    assert promotion.champion_of(promotion.seat_of(winner)) == champion
    assert acts() == [("model.rolled_back", "command:rollback_model")]


def test_it_goes_back_to_whom_one_names(venue: Venue, champion: ModelVersion) -> None:
    crown(candidate(venue))
    crown(candidate(venue))
    call_command("rollback_model", "--voter", "xgb", "--venue", "binance", "--to", str(champion.pk))
    assert promotion.champion_of(promotion.seat_of(champion)) == champion


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--voter", "xgb", "--venue", "kraken"], "no venue 'kraken': known are binance"),
        (["--voter", "gru", "--venue", "binance"], "gru has no champion there"),
        (["--voter", "xgb", "--venue", "binance", "--market-class", "forex"], "it has some for crypto"),
        (["--voter", "xgb", "--venue", "binance", "--to", "0"], "--to 0 is no model of this seat"),
        (["--voter", "xgb", "--venue", "binance"], "no earlier champion of xgb is left"),
    ],
)
def test_what_cannot_be_is_said(champion: ModelVersion, words: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("rollback_model", *words)
    assert acts() == []


def test_a_venue_of_two_classes_asks_which(venue: Venue, champion: ModelVersion) -> None:
    crown(candidate(venue, market_class="forex"))
    with pytest.raises(CommandError, match="champions for crypto, forex: name one with --market-class"):
        call_command("rollback_model", "--voter", "xgb", "--venue", "binance")
