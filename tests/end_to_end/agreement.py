"""What the bot has in its books against what the exchange has in its own."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from engine.recorded_run import RecordedRun
from runtime.ledger import CASH, TRADE
from runtime.portfolio import Portfolio

Facts = tuple[str, ...]


def booked(run: RecordedRun) -> Counter[Facts]:
    """The trades in the bot's ledger."""
    names = ("symbol", "trade_id", "side", "client_order_id", "fee_currency")
    amounts = ("qty", "price", "fee")
    return Counter(
        (
            *(entry.details[name] for name in names),
            *(_plain(Decimal(entry.details[name])) for name in amounts),
            str(entry.at),
        )
        for entry in run.store.journal()
        if entry.kind == TRADE
    )


def made(run: RecordedRun) -> Counter[Facts]:
    """The trades in the exchange's books."""
    return Counter(
        (
            one.symbol,
            one.trade.trade_id,
            one.side.value,
            one.client_order_id,
            one.trade.fee_currency,
            _plain(one.trade.qty),
            _plain(one.trade.price),
            _plain(one.trade.fee),
            str(one.trade.at),
        )
        for one in run.exchange.trades()
    )


def holdings(run: RecordedRun) -> dict[str, Decimal]:
    """What the bot believes to own, by currency: cash, positions and dust."""
    held: Counter[str] = Counter()
    for (account, currency), amount in run.store.load().balances.items():
        if account == CASH or account.startswith(("position:", "dust:")):
            held[currency] += amount
    return {currency: Decimal(amount) for currency, amount in held.items() if amount}


def assert_books_agree(run: RecordedRun) -> None:
    """Trade by trade, fee by fee, currency by currency; and the bot's own books add up."""
    mine, theirs = booked(run), made(run)
    assert theirs, "nothing was traded: the test shows nothing"
    assert mine - theirs == Counter(), "booked, but never traded"
    assert theirs - mine == Counter(), "traded, but never booked"
    balances = run.exchange.balances(run.clock.now())
    assert holdings(run) == {currency: amount for currency, amount in balances.items() if amount}
    state = run.store.load()
    portfolio = Portfolio.load(run.worker.portfolio.slots, state.entries, state.reservations, state.balances)
    assert portfolio.verify() == ()


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
