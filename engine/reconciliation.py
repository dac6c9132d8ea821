"""Every order and balance that the exchange shows against our books. Differences are data; nothing is changed here.

What would stop a symbol is believed only when it is seen twice, some seconds apart and with books that did not move in
between: lists and balances of an exchange lag behind its orders, and reports of fills are on their way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from engine.account_books import Books, SymbolBooks, is_watched
from engine.exchange.gateway import (
    Gateway,
    GatewayError,
    KeyRefusedError,
    Market,
    OrderState,
    OrderStatus,
    Side,
    Unknown,
)
from engine.exchange.history import Execution
from engine.fills import filled_qty
from engine.order_status import is_settled
from engine.sizing import sellable
from generated.trading import Effect, OrderContext, Phase
from runtime.effects import Intent, intent_id
from runtime.ledger import ZERO

FindIntent = Callable[[str], Awaitable[Intent | None]]
News = Callable[[str], Awaitable[Sequence[Execution] | None]]
"""What the account traded on a symbol since it was asked last; None where that cannot be told."""
AllOpen = Callable[[Collection[str]], Awaitable[Mapping[str, Sequence[OrderState]] | None]]
"""The open orders of each of these symbols, by one question; None where one for each is better. One that is left out
must be asked for by itself."""

_DAY = 86_400_000
_ON_ITS_WAY = 120_000
"""How old (ms) a trade must be to be missed: its report may be on its way, or its order be asked about."""
_LATER_INTENTS = 20_000
"""How far beyond the books' own count an order is looked for that a lost database may have asked for."""


class Kind(StrEnum):
    """What differs."""

    REPORT_MISSED = "report missed"
    """An order of ours went on at the exchange, and we have not heard of it."""
    LIVE_AFTER_ALL = "live after all"
    """The latest order of a symbol is live, and our books hold it for settled."""
    LIVE_UNATTENDED = "live, unattended"
    """An earlier order of ours is live, and no symbol looks after it any more."""
    NOT_IN_BOOKS = "not in the books"
    """A live order has an id of ours that these books never gave: they are older than the exchange's."""
    NOT_SHOWN = "not shown"
    """An order that our books hold for live is not shown. Alone, that proves nothing."""
    TRADE_NOT_BOOKED = "trade not booked"
    """A trade of an earlier order of ours is in no book, and nothing will bring it there any more."""
    FOREIGN_ORDER = "foreign order"
    BASE_MISSING = "base missing"
    QUOTE_MISSING = "quote missing"
    DUST_MISSING = "dust missing"
    SURPLUS = "surplus"
    UNREADABLE = "unreadable"
    """The exchange did not answer, so nothing is concluded."""


class Remedy(StrEnum):
    """What is done about it."""

    NONE = "none"
    ADOPT = "adopt"
    """The exchange's report of our order is handed to the symbol, as if it had come by itself."""
    RECOVER = "recover"
    """The symbol stops, and is taken through recovery: the order is canceled and its fills are booked."""
    STOP = "stop"
    """The symbol goes to ERROR, for a person to look."""
    NO_ENTRIES = "no entries"
    """Nothing is bought until it is put right; what is held is sold as usual."""


class Difference(msgspec.Struct, frozen=True):
    """One difference. `whose` says whose the order or money provably is: ours, foreign, or unproven."""

    kind: Kind
    symbol: str
    whose: str
    remedy: Remedy
    text: str
    exchange: str = ""
    books: str = ""
    state: OrderState | None = None

    @property
    def is_grave(self) -> bool:
        return self.remedy in (Remedy.RECOVER, Remedy.STOP, Remedy.NO_ENTRIES)

    @property
    def outlasts_recovery(self) -> bool:
        """Whether the symbol would be stopped for it again, because a recovery asks about orders that it knows."""
        return self.kind in (Kind.BASE_MISSING, Kind.NOT_IN_BOOKS, Kind.LIVE_UNATTENDED)

    @property
    def needs_doing(self) -> bool:
        return self.remedy is not Remedy.NONE or self.kind in (Kind.UNREADABLE, Kind.TRADE_NOT_BOOKED)


class Look(msgspec.Struct, frozen=True):
    """What the exchange showed. `unread` holds what could not be read, and why, by symbol."""

    open: dict[str, Sequence[OrderState]]
    looked_up: dict[str, OrderState | None]
    balances: Mapping[str, Decimal] | None
    unread: tuple[tuple[str, str], ...]


class Reconciler:
    """Compares one account with one set of books.

    Args:
        read_books: the books as of now.
        find_intent: an intent of ours by its id, which for an order is the client order id.
        pause: waits between the two looks.
        now: the present instant (milliseconds).
        news: every trade of the account, each told once; without it only the latest orders are compared.
        is_booked: whether the ledger has an entry; a trade's is named by its symbol and its id.
        all_open: spares the questions for the open orders of each symbol.
    """

    def __init__(
        self,
        gateway: Gateway,
        markets: Mapping[str, Market],
        read_books: Callable[[], Books],
        find_intent: FindIntent,
        pause: Callable[[], Awaitable[None]],
        now: Callable[[], int],
        news: News | None = None,
        is_booked: Callable[[str], bool] = lambda entry_id: False,
        all_open: AllOpen | None = None,
    ) -> None:
        self.has_compared_balances = False
        """Whether the latest look did: not when a balance could not be read, nor when the books moved meanwhile."""
        self._all_open = all_open
        self._news = news
        self._is_booked = is_booked
        self._not_booked: dict[tuple[str, str], Execution] = {}
        self._gateway = gateway
        self._markets = markets
        self._read_books = read_books
        self._find_intent = find_intent
        self._pause = pause
        self._now = now

    async def differences(self, only: Collection[str] | None = None) -> list[Difference]:
        """What differs. A grave difference is in it only if a second look, after a pause, still shows it.

        Args:
            only: the symbols whose orders are asked for; by default all are. Balances are looked at either way.

        Raises:
            KeyRefusedError: the exchange refuses our key.
        """
        found = await self._look(only)
        if not any(difference.is_grave for difference in found):
            return found
        await self._pause()
        again = await self._look(only)
        known = {(difference.kind, difference.symbol, difference.exchange) for difference in found}
        return [d for d in again if not d.is_grave or (d.kind, d.symbol, d.exchange) in known]

    async def _look(self, only: Collection[str] | None) -> list[Difference]:
        before = self._read_books()
        seen = await self._ask(before, only)
        books = self._read_books()
        still = [name for name, one in books.symbols.items() if _version(before, name) == one.version]
        found = [Difference(Kind.UNREADABLE, symbol, "unproven", Remedy.NONE, why) for symbol, why in seen.unread]
        for name in still:
            found += await self._orders(books, books.symbols[name], seen)
            # Of a symbol on which no order was ever asked for nothing can be missed.
            if self._news is not None and name in seen.open and books.symbols[name].intents:
                found += await self._trades(books.symbols[name])
        self.has_compared_balances = seen.balances is not None and (
            len(still) == len(books.symbols) == len(before.symbols)
        )
        if self.has_compared_balances:
            found += self._balances(books, seen)
        return found

    async def _ask(self, books: Books, only: Collection[str] | None) -> Look:
        unread: list[tuple[str, str]] = []
        looked_up: dict[str, OrderState | None] = {}
        names = [name for name in books.symbols if name in self._markets and (only is None or name in only)]
        shown: dict[str, Sequence[OrderState]] = {}
        try:
            at_once = (None if self._all_open is None else await self._all_open(names)) or {}
        except KeyRefusedError:
            raise
        except GatewayError as error:
            return Look({}, {}, None, (("", str(error)),))
        for name in names:
            try:
                shown[name] = at_once[name] if name in at_once else await self._gateway.open_orders(name)
            except KeyRefusedError:
                raise
            except GatewayError as error:
                unread.append((name, str(error)))
                continue
            for order in self._worth_asking(books.symbols[name]):
                state = await self._gateway.look_up(name, order.client_order_id)
                if isinstance(state, Unknown):
                    unread.append((name, f"order {order.client_order_id}: {state.reason}"))
                else:
                    looked_up[order.client_order_id] = state
        try:
            balances = await self._gateway.balances()
        except KeyRefusedError:
            raise
        except GatewayError as error:
            unread.append(("", str(error)))
            return Look(shown, looked_up, None, tuple(unread))
        return Look(shown, looked_up, balances, tuple(unread))

    def _worth_asking(self, one: SymbolBooks) -> list[OrderContext]:
        """The orders of a symbol of which the exchange might know more than we: not those that the machine itself is
        asking about, nor those settled long ago."""
        if one.is_asking:
            return []
        return [o for o in one.orders if is_watched(o) or (is_settled(o) and o.planned_at > self._now() - _DAY)]

    # -- orders ----------------------------------------------------------------------------------------------------

    async def _orders(self, books: Books, one: SymbolBooks, seen: Look) -> list[Difference]:
        found = []
        present = {order.client_order_id: order for order in one.orders}
        for order in self._worth_asking(one):
            if order.client_order_id in seen.looked_up:
                difference = _present_order(one, order, seen.looked_up[order.client_order_id])
                if difference is not None:
                    found.append(difference)
        for state in seen.open.get(one.symbol, ()):
            if state.client_order_id not in present:
                difference = await self._other_order(books, one, state)
                if difference is not None:
                    found.append(difference)
        return found

    async def _other_order(self, books: Books, one: SymbolBooks, state: OrderState) -> Difference | None:
        """A live order that is not one of its symbol's latest two."""
        shown = f"{_told(state)}, live"
        intent = await self._find_intent(state.client_order_id)
        if intent is not None:
            # The list of open orders may be behind the order itself.
            now = await self._gateway.look_up(one.symbol, state.client_order_id)
            if isinstance(now, OrderState) and now.status is not OrderStatus.OPEN:
                return None
            return Difference(
                Kind.LIVE_UNATTENDED,
                one.symbol,
                "ours",
                Remedy.STOP,
                f"Our order {state.client_order_id} is live at the exchange, but {intent.instance} has "
                "gone on to other orders and does not look after it. Cancel it at the exchange; fills that it still "
                f"has are booked. Then `phasewright recover {one.symbol}`.",
                shown,
                f"asked for by {intent.effect} of {intent.instance}",
            )
        if _derived(books.namespace, one, state.client_order_id):
            return Difference(
                Kind.NOT_IN_BOOKS,
                one.symbol,
                "ours",
                Remedy.STOP,
                f"Order {state.client_order_id} is live at the exchange and has an id of this bot, but "
                "the database has never asked for it: the database is older than what was traded, perhaps a backup. "
                "Put the latest database back. Without it, cancel the order at the exchange, sell what it bought, and "
                "start with a new database; going on would give the same ids again.",
                shown,
                "never asked for",
            )
        return Difference(
            Kind.FOREIGN_ORDER,
            one.symbol,
            "foreign",
            Remedy.NONE,
            f"Order {state.client_order_id or state.exchange_order_id} was not placed by this bot. It "
            "is left alone; the funds that it locks cannot be used by the bot.",
            shown,
            "not ours",
        )

    async def _trades(self, one: SymbolBooks) -> list[Difference]:
        """Every trade of an order of ours must be booked, however long ago; those of the latest two are looked at with
        their order."""
        assert self._news is not None
        try:
            told = await self._news(one.symbol)
        except KeyRefusedError:
            raise
        except GatewayError as error:
            return [Difference(Kind.UNREADABLE, one.symbol, "unproven", Remedy.NONE, str(error))]
        for execution in told or ():
            intent = await self._find_intent(execution.client_order_id) if execution.client_order_id else None
            if intent is not None and intent.instance == one.symbol:
                self._not_booked[one.symbol, execution.trade.trade_id] = execution
        latest = {order.client_order_id for order in one.orders}
        found = []
        for symbol, trade_id in list(self._not_booked):
            if symbol != one.symbol:
                continue
            execution = self._not_booked[symbol, trade_id]
            if self._is_booked(f"{symbol}:{trade_id}"):
                del self._not_booked[symbol, trade_id]
            elif execution.client_order_id not in latest and execution.trade.at < self._now() - _ON_ITS_WAY:
                found.append(_not_booked(one, execution))
        return found

    # -- balances --------------------------------------------------------------------------------------------------

    def _balances(self, books: Books, seen: Look) -> list[Difference]:
        found = []
        shown = seen.balances or {}
        quotes = {market.quote for name, market in self._markets.items() if name in books.symbols}
        by_base = {one.base: one for one in books.symbols.values()}
        # What orders under way have brought or taken is no surplus: their reports are still to come.
        quiet = all(is_settled(order) for one in books.symbols.values() for order in one.orders)
        for currency in sorted({*books.totals, *by_base, *quotes}):
            there = shown.get(currency, ZERO)
            ours = books.totals.get(currency, ZERO)
            one = by_base.get(currency)
            if currency in quotes:
                found += _quote(books, currency, there, quiet=quiet)
            elif one is not None and not one.is_asking:
                found += self._base(one, there, ours, quiet=quiet)
        return found

    def _base(self, one: SymbolBooks, there: Decimal, ours: Decimal, *, quiet: bool) -> list[Difference]:
        least = one.held - one.being_sold
        market = self._markets.get(one.symbol)
        told = f"{_plain(there)} {one.base}", f"{_plain(ours)} {one.base}, of it {_plain(one.held)} held to be sold"
        if least > there and (market is None or sellable(market, least) > there):
            return [
                Difference(
                    Kind.BASE_MISSING,
                    one.symbol,
                    "unproven",
                    Remedy.STOP,
                    f"The account has {_plain(there)} {one.base}, but the bot bought and still holds "
                    f"{_plain(one.held)}. Somebody sold or moved it. The books are left as they are, because nothing "
                    f"proves at what price. Bring {_plain(least - there)} {one.base} back into the account, then "
                    f"`phasewright recover {one.symbol}`.",
                    *told,
                )
            ]
        if ours - one.being_sold > there:
            return [
                Difference(
                    Kind.DUST_MISSING,
                    one.symbol,
                    "unproven",
                    Remedy.NONE,
                    f"The account has {_plain(there)} {one.base}, the books with remainders that cannot be sold "
                    f"{_plain(ours)}. The position itself can be sold.",
                    *told,
                )
            ]
        return _surplus(one.symbol, one.base, there, ours) if quiet else []


def _not_booked(one: SymbolBooks, execution: Execution) -> Difference:
    trade, side = execution.trade, execution.side
    what = f"{side.value} {_plain(trade.qty)} {one.base} at {_plain(trade.price)}"
    todo = (
        "The bot does not know that it bought this, and does not look after it: it is yours to keep or to sell."
        if side is Side.BUY
        else "The books still hold what was sold there: bring it back into the account, or start with a new database."
    )
    return Difference(
        Kind.TRADE_NOT_BOOKED,
        one.symbol,
        "ours",
        Remedy.NONE,
        f"Trade {trade.trade_id} of our earlier order {execution.client_order_id} is not in the books ({what}), and no "
        f"report will bring it there any more. {todo}",
        f"{what}, order {execution.exchange_order_id}",
        "not booked",
    )


def _quote(books: Books, currency: str, there: Decimal, *, quiet: bool) -> list[Difference]:
    cash = books.cash.get(currency, ZERO)
    least = cash - books.reserved.get(currency, ZERO)
    if least > there:
        return [
            Difference(
                Kind.QUOTE_MISSING,
                "",
                "unproven",
                Remedy.NO_ENTRIES,
                f"The account has {_plain(there)} {currency}, but the books have {_plain(cash)} in cash. Somebody "
                f"spent or withdrew it. Bring {_plain(least - there)} {currency} back, or go on selling only.",
                f"{_plain(there)} {currency}",
                f"{_plain(cash)} {currency} in cash, {_plain(cash - least)} of it reserved for orders",
            )
        ]
    return _surplus("", currency, there, cash) if quiet else []


def _surplus(symbol: str, currency: str, there: Decimal, ours: Decimal) -> list[Difference]:
    if there <= ours:
        return []
    return [
        Difference(
            Kind.SURPLUS,
            symbol,
            "foreign",
            Remedy.NONE,
            f"The account has {_plain(there - ours)} {currency} more than the bot's books; the bot does not touch it.",
            f"{_plain(there)} {currency}",
            f"{_plain(ours)} {currency}",
        )
    ]


def _present_order(one: SymbolBooks, order: OrderContext, state: OrderState | None) -> Difference | None:
    """One of a symbol's latest two orders, against what a look-up of it says now."""
    booked = filled_qty(order.fills)
    ours = f"{order.status}, {booked} of {order.amount} filled"
    if state is None:
        if is_settled(order) or one.phase == Phase.ERROR:
            return None
        return Difference(
            Kind.NOT_SHOWN,
            one.symbol,
            "ours",
            Remedy.NONE,
            f"The exchange does not show our order {order.client_order_id}, which the books hold for "
            "live. Its time-out will ask until it is known.",
            "not shown",
            ours,
        )
    shown = f"{_told(state)}, {state.status.value}, {state.filled} filled"
    live = state.status is OrderStatus.OPEN
    if live and is_settled(order):
        return Difference(
            Kind.LIVE_AFTER_ALL,
            one.symbol,
            "ours",
            Remedy.RECOVER if one.phase != Phase.ERROR else Remedy.STOP,
            f"Our order {order.client_order_id} is live at the exchange, but the books hold it for "
            f"{order.status}. It is canceled, and what it filled is booked.",
            shown,
            ours,
        )
    if state.filled > booked or (not live and not is_settled(order)):
        return Difference(
            Kind.REPORT_MISSED,
            one.symbol,
            "ours",
            Remedy.ADOPT,
            f"The exchange shows our order {order.client_order_id} as {state.status.value} with "
            f"{state.filled} filled, the books as {ours}. The report is taken over.",
            shown,
            ours,
            state,
        )
    return None


def _derived(namespace: str, one: SymbolBooks, client_order_id: str) -> bool:
    """Whether the id is one that this database's bot would give, now or after this many more effects."""
    return any(
        intent_id(namespace, one.symbol, effect, number) == client_order_id
        for effect in (Effect.submit_buy, Effect.submit_sell)
        for number in range(1, one.intents + _LATER_INTENTS)
    )


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _told(state: OrderState) -> str:
    return f"{state.side.value} {state.amount} (client id {state.client_order_id or 'none'}, {state.exchange_order_id})"


def _version(books: Books, symbol: str) -> int | None:
    found = books.symbols.get(symbol)
    return None if found is None else found.version
