"""Being sure that data are read back as they are rests on their types; here it is tried."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.read_back import read_back_check


class Colour(StrEnum):
    RED = "red"


class Number(int):
    pass


class Item(msgspec.Struct):
    price: Decimal
    note: str | None = None


class Prices(msgspec.Struct):
    count: int = 0
    name: str = ""
    flag: bool = False
    amount: Decimal | None = None
    item: Item | None = None
    items: list[Item] = []
    names: list[str] = []
    either: int | str = 0


ITEMS = st.builds(Item, st.decimals(), st.none() | st.text() | st.integers())
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64),
        st.floats(),
        st.decimals(),
        st.text(),
        st.just(Colour.RED),
        st.just(Number(3)),
        ITEMS,
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


SURE = read_back_check(Prices)


@given(st.dictionaries(st.sampled_from(Prices.__struct_fields__), ANYTHING))
def test_whatever_it_is_sure_of_is_read_back_as_it_is(values: dict[str, Any]) -> None:
    data = Prices(**values)
    try:
        raw = msgspec.json.encode(data)
    except (ValueError, TypeError, OverflowError):
        return  # what cannot be written is noticed before anybody asks
    if SURE(data):
        assert msgspec.json.decode(raw, type=Prices) == data


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"count": 7, "name": "x", "flag": True, "amount": Decimal("1.50")},
        {"item": Item(Decimal(1)), "items": [Item(Decimal(2), "a"), Item(Decimal(3))], "names": ["a", "b"]},
        {"either": "text", "name": Colour.RED},
    ],
)
def test_it_is_sure_of_data_as_they_should_be(values: dict[str, Any]) -> None:
    assert SURE(Prices(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"count": True},
        {"count": 1.0},
        {"count": Decimal(1)},
        {"flag": 1},
        {"amount": 1},
        {"name": None},
        {"items": (Item(Decimal(1)),)},
        {"items": [Item("1")]},  # type: ignore[arg-type]
        {"items": [Item(Decimal(1)), None]},
        {"names": ["a", 1]},
        {"amount": Decimal("NaN")},
        {"items": [Item(Decimal("sNaN"))]},
        {"item": Prices()},
    ],
)
def test_it_is_not_sure_of_others(values: dict[str, Any]) -> None:
    assert not SURE(Prices(**values))


class Tree(msgspec.Struct):
    branches: list["Tree"] = []


def test_a_type_may_hold_itself() -> None:
    check = read_back_check(Tree)
    assert check(Tree([Tree(), Tree([Tree()])]))
    assert not check(Tree([Tree(), Tree([3])]))  # type: ignore[list-item]


class Share(msgspec.Struct):
    share: float = 0.0


class Limited(msgspec.Struct):
    limited: Annotated[int, msgspec.Meta(ge=0)] = 0


class Changed(msgspec.Struct):
    count: int = 0

    def __post_init__(self) -> None:
        self.count += 1


@pytest.mark.parametrize("kind", [Share, Limited, Changed, dict])
def test_of_floats_limits_and_types_that_change_what_they_are_given_it_is_never_sure(kind: type[Any]) -> None:
    assert not read_back_check(kind)(kind())
