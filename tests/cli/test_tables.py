"""Tables hold what they are given: within 80 columns, and never a figure cut."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from engine.books import AccountStatus, SymbolStatus
from engine.report.figures import RoundTrip, RunFigures
from engine.terminal import show_status, show_summary, show_trades

LONG = "1000000MOG/FDUSD"
TRIP = RoundTrip(
    symbol=LONG,
    opened_at=1_700_000_000_000,
    closed_at=1_700_000_000_000,
    entry_price=Decimal("0.000000123456789"),
    exit_price=Decimal("98765.43210987"),
    qty=Decimal(1),
    realised=Decimal("-1234567.891"),
    fees=Decimal("98765.4321"),
    reason="position_timeout",
)
ACCOUNT = AccountStatus(
    cash={"FDUSD": Decimal("123456789.125")},
    slots_taken=1,
    fees={},
    symbols=(
        SymbolStatus(
            symbol=LONG,
            phase="WAIT_SELL_FILL",
            since=1_700_000_000_000,
            position=Decimal("123456789.12345678"),
            entry_price=Decimal("0.000000123456789"),
            order="4638dc1a3fe0974b4093f7035dc1b526",
            reserved=Decimal("1234567.89"),
            dust=Decimal(0),
            note="",
        ),
    ),
    faults=(),
)


@pytest.fixture
def page() -> Console:
    return Console(file=StringIO(), width=80, highlight=False)


def shown(page: Console) -> str:
    assert isinstance(page.file, StringIO)
    text = page.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    return text


def test_a_trade_of_any_size_fits(page: Console) -> None:
    show_trades(page, [TRIP])
    text = shown(page)
    for figure in ("0.00000012345679", "98765.432", "-1,234,567.89"):
        assert figure in text


def test_a_position_of_any_size_fits(page: Console) -> None:
    show_status(page, ACCOUNT)
    text = shown(page)
    for figure in ("123456789", "0.00000012345679", "1,234,567.89", "123,456,789.12 FDUSD"):
        assert figure in text


def test_a_summary_of_any_size_fits(page: Console) -> None:
    show_summary(page, RunFigures("t", "FDUSD", [LONG], [(1, Decimal(8))], [TRIP] * 10, {}), ACCOUNT)
    text = shown(page)
    for figure in ("-12,345,678.91", "987,654.32"):
        assert figure in text
    assert f"still held: {LONG}" in text
