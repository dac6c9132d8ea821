"""A configuration comes from the environment whole and in range, or not at all."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from generated.trading import KNOBS, Config
from runtime.config import load_config, written
from runtime.definition import Knob
from runtime.errors import ConfigError


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    pause: int = 1_000
    attempts: int = 3
    share: Decimal = Decimal("0.25")
    dry: bool = False
    label: str = "none"
    grace: int = 0
    fixed: int = 7


SAMPLE_KNOBS = (
    Knob("pause", "duration", 1_000, "The pause.", env="PAUSE", maximum=60_000),
    Knob("attempts", "int", 3, "The attempts.", env="ATTEMPTS", minimum=1, maximum=9),
    Knob("share", "decimal", Decimal("0.25"), "The share.", env="SHARE", minimum=Decimal(0), maximum=Decimal(1)),
    Knob("dry", "bool", False, "No orders.", env="DRY"),
    Knob("label", "str", "none", "The label.", env="LABEL"),
    Knob("grace", "duration", 0, "The grace.", env="GRACE", minimum=0),
    Knob("fixed", "int", 7, "Not from outside."),
)


def load(**environ: str) -> Sample:
    return load_config(Sample, SAMPLE_KNOBS, environ)


def refusal(**environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(**environ)
    return str(caught.value)


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load_config(Config, KNOBS, {}) == Config()
    assert Config().buy_fill_timeout == 30_000


def test_the_documented_variables_set_the_trading_machine() -> None:
    config = load_config(
        Config,
        KNOBS,
        {
            "BUY_FILL_TIMEOUT_SECS": "45",
            "COOLDOWN_SECS": "2m",
            "ORDER_RETRY_MAX_ATTEMPTS": "5",
            "ORDER_RETRY_BASE_DELAY": "1.0",
            "PATH": "/bin",
        },
    )
    assert (config.buy_fill_timeout, config.cooldown) == (45_000, 120_000)
    assert (config.order_retry_max_attempts, config.order_retry_base_delay) == (5, 1_000)
    assert config.sell_fill_timeout == Config().sell_fill_timeout


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("30", 30_000), ("0.5", 500), ("500ms", 500), ("1.5s", 1_500), (" 0.25 m ", 15_000), ("+7s", 7_000)],
)
def test_durations_are_seconds_or_carry_a_unit(text: str, milliseconds: int) -> None:
    assert load(PAUSE=text).pause == milliseconds


def test_hours_and_days_count_as_such() -> None:
    knobs = (Knob("pause", "duration", 1_000, "The pause.", env="PAUSE"),)
    assert load_config(Sample, knobs, {"PAUSE": "2h"}).pause == 7_200_000
    assert load_config(Sample, knobs, {"PAUSE": "14d"}).pause == 1_209_600_000


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("ON", True), ("No", False), ("0", False)])
def test_booleans_have_the_usual_spellings(text: str, value: bool) -> None:
    assert load(DRY=text).dry is value


def test_decimals_stay_exact() -> None:
    assert load(SHARE="0.1").share == Decimal("0.1")


def test_a_variable_set_to_nothing_counts_as_unset_except_for_a_text() -> None:
    sample = load(PAUSE="", ATTEMPTS="  ", DRY="", LABEL="")
    assert (sample.pause, sample.attempts, sample.dry, sample.label) == (1_000, 3, False, "")


def test_a_knob_without_a_variable_keeps_its_default() -> None:
    assert load(fixed="9", FIXED="9").fixed == 7


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("PAUSE", "soon", "seconds (30, 1.5) or a number with a unit"),
        ("PAUSE", "30 parsecs", "seconds (30, 1.5) or a number with a unit"),
        ("PAUSE", "1e3", "seconds (30, 1.5) or a number with a unit"),
        ("PAUSE", "0", "longer than 0"),
        ("PAUSE", "-5", "longer than 0"),
        ("PAUSE", "0.0001", "a whole number of milliseconds"),
        ("PAUSE", "2m", "at most 1m"),
        ("GRACE", "-1s", "at least 0ms"),
        ("ATTEMPTS", "3.0", "a whole number"),
        ("ATTEMPTS", "9" * 5000, "a whole number"),
        ("ATTEMPTS", "0", "at least 1"),
        ("ATTEMPTS", "10", "at most 9"),
        ("SHARE", "half", "a number"),
        ("SHARE", "NaN", "a number"),
        ("SHARE", "Infinity", "a number"),
        ("SHARE", "1.01", "at most 1"),
        ("DRY", "maybe", "true or false"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_what_is_allowed(name: str, text: str, wanted: str) -> None:
    message = refusal(**{name: text})
    assert f"{name}=" in message
    assert wanted in message
    assert text[:40] in message
    assert len(message) < 600


def test_every_bad_value_is_named_at_once() -> None:
    message = refusal(PAUSE="never", ATTEMPTS="many", DRY="true")
    assert "PAUSE='never'" in message
    assert "ATTEMPTS='many'" in message
    assert "DRY" not in message


def test_a_zero_is_allowed_where_the_minimum_says_so() -> None:
    assert load(GRACE="0").grace == 0


@pytest.mark.parametrize("knob", [knob for knob in KNOBS if knob.env], ids=lambda knob: knob.name)
def test_every_default_can_be_written_into_the_environment(knob: Knob) -> None:
    assert knob.env is not None
    assert load_config(Config, KNOBS, {knob.env: written(knob, knob.default)}) == Config()
