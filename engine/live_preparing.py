"""What the start of a live bot asks of the exchange, and what it refuses to start with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches

import msgspec

from engine.account_books import Books, stored_books
from engine.exchange.gateway import GatewayError, Market
from engine.exchange.key_rights import KeyRights
from engine.live_bars import Bars
from engine.live_clock import Clocks
from engine.live_errors import TradeError
from engine.live_exchange import LiveExchange
from engine.live_notices import Notifier, What
from engine.live_settings import LiveSettings
from engine.settings import Settings
from engine.sizing import SizingRules, plan_entry
from runtime.ledger import CASH, DEPOSIT, ZERO, JournalEntry
from runtime.store import Store

OPENING = "opening balance"
OPENING_ENTRY = f"{DEPOSIT}:{OPENING}"
THIRD_CURRENCY = (
    "such fees are booked in their own currency, of which the books show less than nothing, and are no part of "
    "`realised`. Switch them off at the exchange"
)


class Prepared(msgspec.Struct, frozen=True):
    """What a start goes by.

    `opened_at` (milliseconds) is when the books were opened, `opened_with` the cash that they were opened with, None
    at a first start; `opening` is what they are to be opened with, 0 when they are.
    """

    markets: dict[str, Market]
    quote: str
    rights: KeyRights
    opened_at: int
    opened_with: Decimal | None
    opening: Decimal


class Preparation:
    """Asks an exchange for what one bot needs. It sends no order and writes nothing, so it may be repeated."""

    def __init__(
        self,
        exchange: LiveExchange,
        store: Store,
        clocks: Clocks,
        bars: Bars,
        settings: Settings,
        live: LiveSettings,
        symbols: Sequence[str],
        notifier: Notifier,
    ) -> None:
        self._exchange = exchange
        self._store = store
        self._clocks = clocks
        self._bars = bars
        self._settings = settings
        self._live = live
        self._symbols = symbols
        self._notifier = notifier

    async def ask(self) -> Prepared:
        """Ask for all that a start needs, and read the bars.

        Raises:
            GatewayError: the exchange gives no answer; later it may.
            KeyRefusedError: it refuses the key.
            TradeError: what is asked for cannot be traded.
        """
        await self._clocks.check()
        state = await asyncio.to_thread(self._store.load) if self._store.waits else self._store.load()
        known = stored_books(state, self._store.namespace)
        opened = next((one for one in state.entries if one.entry_id == OPENING_ENTRY), None)
        opened_at = self._clocks.now() if opened is None else opened.at
        all_markets = await self._exchange.gateway.markets()
        self._check_symbols(all_markets, known)
        wanted = dict.fromkeys((*self._symbols, *known.symbols))
        markets = {symbol: all_markets[symbol] for symbol in wanted if symbol in all_markets}
        quote = _only_quote(markets)
        await self._exchange.gateway.balances()
        rights = await self._check_rights(is_first=not known.totals)
        await self._bars.read_histories(markets, known)
        opening = await self._find_cash(known, markets, quote)
        return Prepared(markets, quote, rights, opened_at, None if opened is None else _cash_of(opened), opening)

    def tell_rights(self, rights: KeyRights) -> None:
        """What is no reason not to start, and should be known all the same."""
        name, notifier = self._exchange.name, self._notifier
        if rights.may_trade is None:
            notifier.note(f"whether the key may trade was not checked: {name} did not say. The first order will show")
        if rights.burns_token:
            notifier.say(What.TROUBLE, f"the account pays its fees in {name}'s own coin: {THIRD_CURRENCY}")
        if rights.may_withdraw:
            notifier.note(
                "the key may withdraw too. Whoever gets hold of it can empty the account: make one that may not"
            )
        if rights.is_bound is False:
            notifier.note("the key works from every address. Bind it to this machine's, at the exchange")

    async def _check_rights(self, *, is_first: bool) -> KeyRights:
        """Refuse a key that may not trade, and at a first start an account whose fees are in a third currency; the rest
        is told once the bot has started."""
        try:
            rights = await self._exchange.rights()
        except GatewayError:
            # It is no reason not to start: what it holds must be looked after, and each order is answered anyway.
            return KeyRights()
        if rights.may_trade is False:
            raise TradeError(
                f"{self._exchange.name} says that this key, or its account, may not trade on the spot market; it may "
                "be read. Allow the key to trade there (never to withdraw), then start again. Nothing was sent."
            )
        if rights.burns_token and is_first:
            raise TradeError(
                f"The account pays its fees in {self._exchange.name}'s own coin. The books have none of it, and such "
                "fees would be missing from what trades came to. Switch that off at the exchange (binance: 'Use BNB to "
                "pay for fees'), then start again. Nothing was sent."
            )
        return rights

    def _check_symbols(self, all_markets: Mapping[str, Market], known: Books) -> None:
        """A market that is halted for a while keeps no bot from its other symbols, nor from what it holds there."""
        tradable = [symbol for symbol, market in all_markets.items() if not market.halted]
        missing = [
            symbol
            for symbol in self._symbols
            if symbol not in all_markets or (all_markets[symbol].halted and symbol not in known.symbols)
        ]
        if missing:
            near = get_close_matches(missing[0].upper(), tradable, n=3, cutoff=0.8)
            raise TradeError(
                f"{self._exchange.name} does not trade {', '.join(missing)} at present on its spot market: not listed, "
                f"delisted or halted. {'Did you mean ' + ' or '.join(near) + '? ' if near else ''}"
                "Symbols are written BASE/QUOTE, in capitals. Leave it out to trade the others; what the bot still "
                "holds of it is looked after all the same."
            )

    async def _find_cash(self, known: Books, markets: Mapping[str, Market], quote: str) -> Decimal:
        """What the account is to be opened with, 0 when it is; and whether the smallest order can be paid."""
        opening = ZERO
        if known.totals:
            if not all(one.is_flat for one in known.symbols.values()):
                return opening
            cash = known.cash.get(quote, ZERO)
        else:
            free = await self._exchange.free(quote)
            cash = opening = self._live.trading_cash or free
            if cash > free:
                raise TradeError(
                    f"TRADING_CASH is {cash}, but only {free} {quote} are free on the account. Set it to that or "
                    "less, or bring more into the account."
                )
        self._check_part(cash, markets, quote)
        return opening

    def _check_part(self, cash: Decimal, markets: Mapping[str, Market], quote: str) -> None:
        """Refuse cash whose parts buy nothing anywhere, and tell of the symbols where they buy nothing."""
        rules = SizingRules(stop_pct=self._settings.stop_loss_pct)
        slots = self._settings.max_slots
        too_small = [
            symbol
            for symbol in self._symbols
            if (close := self._bars.last_close(symbol)) is not None
            and plan_entry(markets[symbol], rules, cash, slots, close) is None
        ]
        if too_small and len(too_small) == len(self._symbols):
            market = markets[too_small[0]]
            raise TradeError(
                f"With {cash} {quote} in {slots} parts, a trade is too small for {market.symbol}: an order must be "
                f"worth at least {market.min_notional} {quote}, also when it is sold at the stop price. Trade in fewer "
                "parts (MAX_SLOTS), or with more money in a new database."
            )
        for symbol in too_small:
            self._notifier.note("a trade's part of the cash is below the smallest order: it will not be bought", symbol)


def _only_quote(markets: Mapping[str, Market]) -> str:
    quotes = sorted({market.quote for market in markets.values()})
    if len(quotes) != 1:
        raise TradeError(
            f"The symbols are priced in {', '.join(quotes)}; one bot trades in one quote currency. Give symbols of one "
            "quote currency, and the others a bot with a database of its own (--db)."
        )
    return quotes[0]


def _cash_of(deposit: JournalEntry) -> Decimal:
    return next(posting.amount for posting in deposit.postings if posting.account == CASH)
