from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.market_data.candles import Candle
from engine.strategy.drop_buy import DropBuy, DropBuyParameters
from engine.strategy.strategy import ExitReason, ExitSignal, PositionView, Strategy

MINUTE = 60_000
SMALL = DropBuyParameters(
    lookback=3,
    drop_pct=Decimal(10),
    take_profit_pct=Decimal(5),
    stop_loss_pct=Decimal(8),
    trailing_activate_pct=Decimal(2),
    trailing_pct=Decimal(1),
    max_hold=60 * MINUTE,
)


def bar(number: int, close: Decimal | str | int) -> Candle:
    price = Decimal(close)
    return Candle(number * MINUTE, price, price, price, price, Decimal(1), MINUTE)


def fed(closes, parameters=SMALL, first=0) -> DropBuy:
    strategy = DropBuy(parameters)
    for number, close in enumerate(closes, first):
        strategy.observe(bar(number, close))
    return strategy


def exit_of(closes, entry="100", opened_at=0, now=None) -> ExitSignal | None:
    """The decision on the last of `closes`, which close at minutes 1, 2, 3, ..."""
    instant = len(closes) * MINUTE if now is None else now
    return fed(closes).exit(PositionView(Decimal(entry), Decimal(1), opened_at, instant))


def test_it_is_a_strategy():
    strategy: Strategy = DropBuy()
    assert strategy.name == "DROP_BUY"
    assert not strategy.ready
    assert strategy.entry() is None
    assert strategy.exit(PositionView(Decimal(1), Decimal(1), 0, 10**12)) is None


def test_a_drop_of_exactly_the_threshold_is_bought_at_the_close():
    signal = fed([95, 100, 98, 90]).entry()
    assert signal is not None
    assert signal.limit_price == Decimal(90)
    assert signal.reason == "10.00 % below 100, the highest close of the last 3 bars"


def test_less_than_the_threshold_is_not_bought():
    assert fed([95, 100, 98, "90.01"]).entry() is None


def test_a_high_older_than_the_lookback_does_not_count():
    assert fed([100, 95, 95, 90]).entry() is None
    assert fed([100, 100, 95, 90]).entry() is not None


def test_only_the_bar_that_crosses_the_threshold_is_bought():
    assert fed([100, 100, 100, 90]).entry() is not None
    assert fed([100, 100, 100, 90, 89]).entry() is None
    assert fed([100, 100, 100, 90, 100, 90]).entry() is not None


def test_it_says_nothing_before_it_is_warm():
    strategy = fed([100, 100, 90])
    assert (strategy.warm_up, strategy.ready, strategy.entry()) == (4, False, None)
    strategy.observe(bar(3, 80))
    assert strategy.ready


def test_take_profit_is_hit_at_exactly_its_price():
    assert exit_of(["104.99"]) is None
    assert exit_of(["105"]) == ExitSignal(ExitReason.TAKE_PROFIT, Decimal(105), "+5.00 % from 100; target +5 %")


def test_stop_loss_is_hit_at_exactly_its_price():
    assert exit_of(["92.01"]) is None
    assert exit_of(["92"]) == ExitSignal(ExitReason.STOP_LOSS, Decimal(92), "-8.00 % from 100; stop at -8 %")


def test_the_trailing_stop_is_armed_by_a_gain_and_trails_the_highest_close():
    assert exit_of(["101.99", "100"]) is None, "a gain below 2 % does not arm it"
    assert exit_of(["104", "102.97"]) is None, "1 % below 104 is 102.96"
    signal = exit_of(["102", "104", "103", "102.96"])
    assert signal is not None
    assert signal.reason is ExitReason.TRAILING_STOP
    assert signal.detail == "+2.96 % from 100; 1 % or more below 104, the highest close since the opening"


def test_highs_from_before_the_opening_do_not_arm_the_trailing_stop():
    closes = ["104", "103", "100"]
    assert exit_of(closes, opened_at=0) is not None
    assert exit_of(closes, opened_at=2 * MINUTE) is None


def test_a_bar_that_closed_before_the_opening_decides_nothing():
    assert exit_of(["80"], opened_at=MINUTE, now=2 * MINUTE) is None
    assert exit_of(["80"], opened_at=MINUTE - 1, now=2 * MINUTE) is not None


def test_a_position_is_held_no_longer_than_max_hold():
    assert exit_of(["100"], opened_at=MINUTE, now=61 * MINUTE - 1) is None
    signal = exit_of(["100"], opened_at=MINUTE, now=61 * MINUTE)
    assert signal == ExitSignal(
        ExitReason.POSITION_TIMEOUT, Decimal(100), "+0.00 % from 100; held for 1.0 h, at most 1 h"
    )


def test_bars_must_come_in_order():
    strategy = fed([100, 100])
    with pytest.raises(ValueError, match="not newer"):
        strategy.observe(bar(1, 100))


def test_parameters_that_make_no_sense_are_all_named():
    with pytest.raises(ValueError, match="drop_pct is -1") as caught:
        DropBuyParameters(lookback=1, drop_pct=Decimal(-1), stop_loss_pct=Decimal(100), take_profit_pct=Decimal("NaN"))
    for part in ("lookback is 1", "stop_loss_pct is 100", "take_profit_pct is Decimal('NaN')"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"drop_pct": "0"}', "drop_pct is 0: give a percentage above 0"),
        ('{"max_hold": 0}', "max_hold is 0"),
        ('{"lookback": "many"}', "lookback"),
        ('{"drop": "3"}', "drop"),
    ],
)
def test_parameters_decoded_from_a_configuration_are_checked(text, what):
    with pytest.raises(msgspec.ValidationError, match=what):
        msgspec.json.decode(text, type=DropBuyParameters)


closes_lists = st.lists(st.integers(80, 120), min_size=1, max_size=40)


@given(closes_lists)
def test_entry_equals_a_recomputation_from_the_bars(closes):
    strategy = DropBuy(SMALL)
    for number, close in enumerate(closes):
        strategy.observe(bar(number, close))
        seen = closes[: number + 1]
        down = [seen[i] * 10 <= max(seen[max(0, i - 2) : i + 1]) * 9 for i in range(len(seen))]
        expected = len(seen) >= 4 and down[-1] and not down[-2]
        assert (strategy.entry() is not None) == expected


@given(closes_lists, st.integers(0, 41 * MINUTE), st.integers(90, 110))
def test_exit_equals_a_recomputation_from_the_bars(closes, opened_at, entry):
    position = PositionView(Decimal(entry), Decimal(1), opened_at, len(closes) * MINUTE)
    since = [close for number, close in enumerate(closes, 1) if number * MINUTE > opened_at]
    expected = None
    if since:
        if since[-1] * 100 <= entry * 92:
            expected = ExitReason.STOP_LOSS
        elif since[-1] * 100 >= entry * 105:
            expected = ExitReason.TAKE_PROFIT
        elif max(since) * 100 >= entry * 102 and since[-1] * 100 <= max(since) * 99:
            expected = ExitReason.TRAILING_STOP
    signal = fed(closes).exit(position)
    assert (signal.reason if signal else None) == expected


@given(closes_lists, st.integers(0, 40))
def test_a_restart_that_feeds_only_what_the_protocol_asks_for_answers_the_same(closes, opened):
    whole = fed(closes)
    position = PositionView(Decimal(100), Decimal(1), opened * MINUTE, len(closes) * MINUTE)
    start = max(0, min(len(closes) - whole.warm_up, opened))
    rebuilt = fed(closes[start:], first=start)
    assert rebuilt.exit(position) == whole.exit(position)
    assert rebuilt.entry() == whole.entry()
