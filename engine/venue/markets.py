"""Every market of the venue: one set of prices for all of its accounts."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Protocol

from engine.exchange.gateway import Market
from engine.venue.codes import VenueError
from engine.venue.prices import LivePrices, Turn

MakePrices = Callable[[str, int, tuple[Turn, ...]], LivePrices]
"""The prices of a symbol around an instant, with the turns that its market was given."""


class Books(Protocol):
    """An account, as the markets know it."""

    def present(self) -> int:
        """Let everything up to now happen, and return now."""

    def prices_changed(self, symbol: str, since: int) -> None:
        """From `since` on the prices of `symbol` are not what they were; everything up to it is to happen first."""


class Markets(Mapping[str, LivePrices]):
    """Prices by symbol (BASE/QUOTE). A market's bars are worked out when somebody first asks for them."""

    def __init__(
        self, markets: tuple[Market, ...], make: MakePrices, turns: Mapping[str, tuple[Turn, ...]], now: int
    ) -> None:
        self.by_name = {market_id(market.symbol): market for market in markets}
        """By binance's name: BTCUSDT."""
        self._symbols = tuple(market.symbol for market in markets)
        self._make = make
        self._turns = dict(turns)
        self._known: dict[str, LivePrices] = {}
        self._ends: list[tuple[int, str]] = []
        self._accounts: list[Books] = []
        self._now = now

    def __getitem__(self, symbol: str) -> LivePrices:
        found = self._known.get(symbol)
        if found is None:
            found = self._known[symbol] = self._make(symbol, self._now, self._turns.get(symbol, ()))
            heapq.heappush(self._ends, (found.good_until, symbol))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)

    def market(self, name: str) -> Market:
        """By binance's name. Raises VenueError for a name that is none."""
        found = self.by_name.get(name)
        if found is None:
            raise VenueError(-1121)
        return found

    def is_halted(self, symbol: str) -> bool:
        """Whether the market was halted by hand."""
        turns = self._turns.get(symbol)
        return turns is not None and turns[-1].halted

    def join(self, account: Books) -> None:
        """Tell the account of every change from now on."""
        self._accounts.append(account)

    def keep_up(self, now: int) -> None:
        """Know the bars of the next hours again, of those markets for which it is time."""
        self._now = now
        while self._ends and self._ends[0][0] <= now:
            _, symbol = heapq.heappop(self._ends)
            prices = self._known[symbol]
            prices.keep_up(now)
            heapq.heappush(self._ends, (prices.good_until, symbol))
            self._tell(symbol, now)

    def turn(self, symbol: str, price: Decimal | None, halted: bool) -> Turn:
        """Move the market by hand, from now on: to a price where it stays, to a halt, or back to its own ways."""
        turn = Turn(max(account.present() for account in self._accounts) + 1, price, halted)
        self._turns[symbol] = (*(known for known in self._turns.get(symbol, ()) if known.since < turn.since), turn)
        if symbol in self._known:
            self._known[symbol].turn(turn)
            self._tell(symbol, turn.since)
        return turn

    def _tell(self, symbol: str, since: int) -> None:
        for account in self._accounts:
            account.prices_changed(symbol, since)


def market_id(symbol: str) -> str:
    """Binance's name of BASE/QUOTE."""
    return symbol.replace("/", "")
