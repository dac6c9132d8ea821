"""Deliveries are named by the fields that the event declares, whatever is in them."""

from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

import msgspec
import pytest

from runtime.naming import naming


class Side(StrEnum):
    BUY = "buy"


class Plain(Enum):
    ONE = 1


class Payload(msgspec.Struct):
    first: Any
    second: Any


@pytest.mark.parametrize("value", ["x", "", 7, -1, None, True, Decimal("1.50"), Decimal("1E+2"), Side.BUY, Plain.ONE])
def test_a_value_is_named_by_its_text(value: object) -> None:
    assert naming("FILLED", ("first",))(Payload(value, 1)) == "FILLED/" + str(value)
    assert naming("FILLED", ("second", "first"))(Payload(value, 1)) == "FILLED/1/" + str(value)


def test_values_with_slashes_name_no_two_deliveries_alike() -> None:
    name = naming("FILLED", ("first", "second"))
    values = ["a", "b", "a/b", "b/a", "/", "", "a/", "/b", '"', '","', Decimal(1)]
    payloads = [Payload(first, second) for first in values for second in values]
    assert len({name(payload) for payload in payloads}) == len(payloads)


@pytest.mark.parametrize("event", ["{payload}", "it's", 'a "name"', "back\\slash", "100 %s", "}{", "two\nlines"])
def test_the_event_is_in_it_as_it_is(event: str) -> None:
    assert naming(event, ("first",))(Payload(1, 2)) == f"{event}/1"


def test_what_declares_nothing_has_no_name() -> None:
    assert naming("TICK", None)(Payload(1, 2)) == ""
