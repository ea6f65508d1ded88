"""The leaderboard: what it says of each voter, whom it ranks, and what it says while there is nothing to say."""

from datetime import timedelta

import pytest
from django.test import Client

from lib import clock
from models_ml.models import TrainingRun
from models_ml.voters import LOCAL_SEATS, SEATS
from signals.leaderboard import LEAST_RANKED, heat_map, importances_of, ranked, standing_of, voter_line
from tests.factories_market import make_run
from tests.people import Person
from tests.signals.panels import panel

pytestmark = pytest.mark.django_db


def page(client: Client | None = None) -> str:
    answer = (client or Client()).get("/models")
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_tells_the_whole_life_of_a_panel() -> None:
    panel()
    said = page()
    for word in ("3,000 judged rounds", "measured 12 min ago", "Stack v", "53.1 % of 5,400"):
        assert word in said
    assert "muted" in said
    assert "log loss rose from 0.690 to 0.742 over 4,310 minutes" in said
    assert "is tested until" in said
    assert "lost: its gain is not sure enough" in said
    assert "40 of 120" in said
    assert "interrupted: its process is gone" in said
    assert "return 1" in said
    assert "21.0 %" in said


def test_a_voter_with_few_judged_sides_has_no_rank() -> None:
    lines = ranked(
        [
            {"key": "few", "n": LEAST_RANKED - 1, "skill": 0.9},
            {"key": "poor", "n": LEAST_RANKED, "skill": -0.1},
            {"key": "good", "n": LEAST_RANKED, "skill": 0.1},
            {"key": "unmeasured", "n": LEAST_RANKED, "skill": None},
        ]
    )
    assert [(line["key"], line.get("rank")) for line in lines] == [
        ("good", "1"), ("poor", "2"), ("few", None), ("unmeasured", None),
    ]  # fmt: skip


def test_the_page_ranks_those_alone() -> None:
    panel()
    rows = page().split("<tr data-voter=")[1:10]
    told = {row.split('"')[1]: "n too small" in row for row in rows}
    assert {seat for seat, unranked in told.items() if unranked} == {"cnn_lstm_book", "gemini", "grok"}


def test_an_old_measurement_says_so() -> None:
    panel(measured_ago=timedelta(hours=4))
    assert "measured 4 h ago: older than it should be" in page()


def test_before_anything_was_trained_or_measured_it_says_what_will_come() -> None:
    assert "No model has been trained and no vote measured yet" in page()
    make_run("live")
    said = page()
    assert "No model has been trained and no vote measured yet" in said
    assert "No training yet." in said


def test_a_training_before_its_first_step_says_that_it_starts() -> None:
    now = clock.wall_now()
    TrainingRun.objects.create(venue=make_run("simulated").venue, profile="quick", started_at=now, beat_at=now)
    said = page()
    assert ">starting</span>" in said
    assert "0 of 0" not in said


def test_before_the_first_measurement_the_models_are_there() -> None:
    run = panel()
    line = voter_line("xgb", {}, standing_of(run.venue_id, "crypto"), clock.wall_now())
    assert (line["n"], line["hit_rate"], line["state"]) == (0, "", "champion")
    assert line["age"] == "7 h of 14 d"


def test_seats_without_a_model_say_why() -> None:
    run = make_run("live")
    standing = standing_of(run.venue_id, "crypto")
    states = {seat: voter_line(seat, {}, standing, clock.wall_now())["state"] for seat in SEATS}
    assert states == {seat: "untrained" if seat in LOCAL_SEATS else "no key" for seat in SEATS}


def test_the_heat_map_says_in_words_what_its_colours_say() -> None:
    rows = heat_map([[1.0, 0.75, None], [0.75, 1.0, -0.2], [None, -0.2, 1.0]])
    assert [row["title"] for row in rows] == ["LSTM", "GRU", "Transformer"]
    assert [(cell["text"], cell["level"]) for cell in rows[0]["cells"]] == [
        ("same", "same"), ("0.75", "strong"), ("–", "unknown"),
    ]  # fmt: skip
    assert rows[1]["cells"][2] == {"text": "−0.20", "level": "opposite"}
    assert heat_map([]) == []
    assert heat_map([[None] * 9] * 9) == []


def test_importances_are_sorted_and_their_bars_scaled() -> None:
    run = panel()
    rows = importances_of(standing_of(run.venue_id, "crypto").champions["xgb"])
    assert [(row["name"], row["width"]) for row in rows][:2] == [("return 1", 100), ("body size", 57)]
    assert importances_of(None) == []


@pytest.mark.parametrize("name", ["owner", "teammate", "readonly", "stranger", "operator", "visitor"])
def test_everybody_sees_the_same(name: str, request: pytest.FixtureRequest) -> None:
    panel()
    person: Person = request.getfixturevalue(name)
    main = page(person.client).split("<main")[1].split("</main>")[0]
    visitor = page().split("<main")[1].split("</main>")[0]
    for part in ("judged rounds", "Errors in common", "What XGBoost looks at", "Trainings"):
        assert (part in main) == (part in visitor) is True


def test_the_number_of_queries_does_not_grow_with_the_voters(django_assert_max_num_queries: object) -> None:
    panel()
    assert callable(django_assert_max_num_queries)
    with django_assert_max_num_queries(20):
        page()
