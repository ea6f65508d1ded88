"""What is due is data."""

import pytest

from markets.models import Activation
from markets.schedule import ScheduleError, activate, deactivate, due_closes, due_minutes
from tests.markets.worlds import START, at, make_instrument

pytestmark = pytest.mark.django_db
FRIDAY_CLOSE = START + 4 * 86_400 + 22 * 3600


def test_due_from_activation_to_deactivation() -> None:
    btc, eth = make_instrument(), make_instrument("ETH/USDT")
    activate(btc, at(START + 120))
    deactivate(btc, at(START + 240))
    activate(btc, at(START + 360))
    activate(eth, at(START + 330))
    found = [(key, (close - START) // 60) for key, close in due_minutes([btc.pk, eth.pk], START, START + 420)]
    assert found == [(btc.pk, 2), (btc.pk, 3), (btc.pk, 6), (eth.pk, 6), (btc.pk, 7), (eth.pk, 7)]


def test_nothing_is_due_before_any_activation() -> None:
    btc = make_instrument()
    deactivate(btc, at(START))
    assert due_minutes([btc.pk], START, START + 600) == []
    assert not Activation.objects.exists()


def test_saying_it_twice_writes_once_and_the_past_stands() -> None:
    btc = make_instrument()
    activate(btc, at(START))
    activate(btc, at(START + 60))
    assert Activation.objects.count() == 1
    with pytest.raises(ScheduleError, match="choose a later time"):
        deactivate(btc, at(START))


def test_horizons_have_their_own_schedule() -> None:
    btc = make_instrument()
    activate(btc, at(START), horizon_s=300)
    assert due_minutes([btc.pk], START, START + 60) == []
    assert len(due_minutes([btc.pk], START, START + 60, 300)) == 2
    with pytest.raises(ScheduleError, match="90"):
        activate(btc, at(START), horizon_s=90)


def test_the_last_minutes_of_a_week_have_nothing_to_predict() -> None:
    eur = make_instrument("EUR/USD", calendar="fx")
    activate(eur, at(START))
    activate(eur, at(START), horizon_s=300)
    assert due_closes([eur.pk], FRIDAY_CLOSE - 120, FRIDAY_CLOSE + 60)[eur.pk].tolist() == [
        FRIDAY_CLOSE - 120,
        FRIDAY_CLOSE - 60,
    ]
    assert due_closes([eur.pk], FRIDAY_CLOSE - 360, FRIDAY_CLOSE, 300)[eur.pk].tolist() == [
        FRIDAY_CLOSE - 360,
        FRIDAY_CLOSE - 300,
    ]
    sunday = FRIDAY_CLOSE + 2 * 86_400 - 3600  # summer time began
    assert due_minutes([eur.pk], FRIDAY_CLOSE, sunday + 60) == [(eur.pk, sunday + 60)]
