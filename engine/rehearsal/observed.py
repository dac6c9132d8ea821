"""What is really there after a step: at the exchange, in the ledger, in the machine. And whether the two agree."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

import msgspec

from engine.exchange.gateway import Market, OrderState, OrderStatus, Side
from engine.rehearsal.stepped_exchange import SteppedExchange
from generated.trading import OrderContext, StateData
from runtime.portfolio import Portfolio

SIDES = {"entry": Side.BUY, "exit": Side.SELL}


class OrderFound(msgspec.Struct, frozen=True):
    """One order id at the exchange. `phase` in the words of the venue's machine; amounts in base currency, summed where
    two orders have the id; `unbooked` are trades."""

    client_order_id: str
    side: str
    phase: str
    fills: str
    amount: Decimal
    filled: Decimal
    live: int
    unbooked: tuple[str, ...]

    def __str__(self) -> str:
        bought = f", {self.filled} of {self.amount} filled" if self.amount else ""
        missing = f", not in the books: {', '.join(self.unbooked)}" if self.unbooked else ""
        return f"{self.side} order {self.client_order_id[:8]}: {self.phase}{bought}{missing}"


class Observed(msgspec.Struct, frozen=True):
    """Everything that a claim may speak of, as it really is. `let_go` are trades that the machine was told of and that
    are not in the books all the same."""

    phase: str
    facts: dict[str, str]
    orders: tuple[OrderFound, ...]
    let_go: tuple[str, ...]

    @property
    def reality(self) -> tuple[str, dict[str, str], list[tuple[str, str, bool]]]:
        """The phase, the facts, and each order: its side, its phase at the venue, whether it has a fill that is not
        booked."""
        return self.phase, self.facts, [(one.side, one.phase, bool(one.unbooked)) for one in self.orders]


def orders_found(exchange: SteppedExchange, portfolio: Portfolio, ids: dict[str, str]) -> tuple[OrderFound, ...]:
    """Each order of ours, by client order id; `ids` gives the side of each."""
    by_id: dict[str, list[OrderState]] = {}
    for state in exchange.orders():
        by_id.setdefault(state.client_order_id, []).append(state)
    return tuple(_found(exchange, portfolio, side, name, by_id.get(name, [])) for name, side in ids.items())


def _found(
    exchange: SteppedExchange, portfolio: Portfolio, side: str, name: str, states: list[OrderState]
) -> OrderFound:
    trades = [trade for state in states for trade in state.trades]
    symbol = states[0].symbol if states else ""
    unbooked = tuple(one.trade_id for one in trades if not portfolio.is_booked(f"{symbol}:{one.trade_id}"))
    live = sum(state.status is OrderStatus.OPEN for state in states)
    amount, filled = (sum((getattr(one, part) for one in states), Decimal(0)) for part in ("amount", "filled"))
    return OrderFound(name, side, _phase(exchange, name, states), fills_word(states), amount, filled, live, unbooked)


def _phase(exchange: SteppedExchange, name: str, states: list[OrderState]) -> str:
    hidden = name in exchange.hidden
    match [state.status for state in states]:
        case []:
            return "NONE" if exchange.was_refused(name) is None else "REJECTED"
        case [OrderStatus.OPEN]:
            return "HIDDEN" if hidden else "OPEN"
        case [OrderStatus.FILLED]:
            return "HIDDEN_FILLED" if hidden else "FILLED"
        case [OrderStatus.CANCELED]:
            return "CANCELED"
    return "TWICE"


def fills_word(states: list[OrderState]) -> str:
    """How much is filled, as a venue's machine says it."""
    if not any(state.filled for state in states):
        return "none"
    return "all" if any(state.filled == state.amount for state in states) else "some"


def facts_found(data: StateData, portfolio: Portfolio, market: Market) -> dict[str, str]:
    """The facts of the spec, as the books and the instance's data have them."""
    held = portfolio.position(market.symbol, market.base)
    reserved = portfolio.reservation(market.symbol)
    return {
        "holding": "some" if held else "nothing",
        "reservation": "held" if reserved.slots or reserved.cash else "none",
        "trip": "open" if data.opened_at is not None else "closed",
    }


class Books(msgspec.Struct, frozen=True):
    """Both sets of books. Amounts in units of each currency."""

    in_ledger: dict[str, Decimal]
    at_exchange: dict[str, Decimal]
    positions: dict[str, Decimal]
    open_orders: tuple[OrderState, ...]
    unbooked: tuple[str, ...]

    @property
    def agree(self) -> bool:
        return self.in_ledger == self.at_exchange and not self.unbooked


def compare_books(portfolio: Portfolio, exchange: SteppedExchange, market: Market, now: int) -> Books:
    """What the bot believes to own against what the exchange has for it."""
    held: dict[str, Decimal] = {market.base: Decimal(0), market.quote: Decimal(0)}
    for (account, currency), amount in portfolio.balances().items():
        if account == "cash" or account.startswith(("position:", "dust:")):
            held[currency] += amount
    trades = exchange.trades()
    return Books(
        in_ledger={currency: amount.normalize() for currency, amount in held.items()},
        at_exchange={currency: amount.normalize() for currency, amount in exchange.balances(now).items()},
        positions={market.symbol: portfolio.position(market.symbol, market.base)},
        open_orders=tuple(state for state in exchange.orders() if state.status is OrderStatus.OPEN),
        unbooked=tuple(
            one.trade.trade_id for one in trades if not portfolio.is_booked(f"{one.symbol}:{one.trade.trade_id}")
        ),
    )


def present_orders(data: StateData) -> dict[str, OrderContext | None]:
    """The machine's present order of each side."""
    return {"entry": data.entry_order, "exit": data.exit_order}


def let_go(told: Collection[str], waiting: Collection[str], portfolio: Portfolio, symbol: str) -> tuple[str, ...]:
    """Trades that were told and neither booked nor put off."""
    return tuple(trade for trade in told if trade not in waiting and not portfolio.is_booked(f"{symbol}:{trade}"))
