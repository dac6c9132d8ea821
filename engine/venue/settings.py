"""What a venue is: its markets, its money, its habits."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Literal

import msgspec

from engine.exchange.faults import CALM
from engine.exchange.gateway import Market
from engine.exchange.paper_file import PaperSettings

# The venue decides itself when a request is accepted; here it takes the shortest way there is.
_PROMPT = msgspec.structs.replace(CALM, name="venue", up_ms=(1, 1), down_ms=(1, 1))
AT_ONCE = msgspec.structs.replace(_PROMPT, split=0)
IN_PARTS = {
    "never": AT_ONCE,
    "some": msgspec.structs.replace(_PROMPT, split=2_000, split_gap_ms=(200, 2_000)),
    "most": msgspec.structs.replace(_PROMPT, split=6_000, split_gap_ms=(500, 5_000)),
}
"""How many orders fill in two or three parts, and how far these are apart."""

Parts = Literal["never", "some", "most"]
BASE_PRICES = {"BTC": Decimal(60_000), "ETH": Decimal(3_000), "BNB": Decimal(600), "SOL": Decimal(150)}
DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT")
ORDERS_PER_ACCOUNT = 10_000_000
TURNOVER = Decimal(1_000_000)
"""Quote currency that changes hands in a minute."""


class Lags(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far each view may be behind the books, in milliseconds: each answer draws its lag between 0 and this."""

    order: int = 0
    trades: int = 0
    account: int = 0
    open_orders: int = 0


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Request weight a minute of an address, orders of an account in ten seconds and in a day (0: as many as you like),
    and how long a ban lasts (milliseconds)."""

    weight: int = 6_000
    orders_10s: int = 100
    orders_day: int = 200_000
    ban_ms: int = 120_000


class Keys(msgspec.Struct, frozen=True):
    """What a client signs with."""

    api_key: str
    secret: str


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`markets` by price: the symbol and what it costs at first. Balances, of each account, in units of their
    currency."""

    prices: dict[str, Decimal]
    balances: dict[str, Decimal]
    api_key: str
    secret: str
    further: tuple[Keys, ...] = ()
    """The keys of the second account, the third and so on."""
    seed: int = 1
    parts: Parts = "some"
    fee: Decimal = Decimal("0.001")
    fee_in_base: bool = True
    lags: Lags | None = None
    """None: as the profile of faults has them."""
    limits: Limits = Limits()

    @property
    def keys(self) -> tuple[Keys, ...]:
        """Of every account, the first one first."""
        return (Keys(self.api_key, self.secret), *self.further)

    def markets(self) -> tuple[Market, ...]:
        """The rules of every market."""
        return tuple(market_of(symbol, price, self.fee, self.fee_in_base) for symbol, price in self.prices.items())

    def seed_of(self, account: int) -> int:
        """What the draws about an account begin with; accounts count from 1."""
        if account == 1:
            return self.seed
        return int.from_bytes(hashlib.blake2b(f"{self.seed} {account}".encode(), digest_size=6).digest())

    def paper(self, account: int, markets: tuple[Market, ...]) -> PaperSettings:
        """The paper exchange below an account. No two accounts have an order or a trade of the same number."""
        return PaperSettings(
            markets,
            self.balances,
            self.seed_of(account),
            IN_PARTS[self.parts],
            Decimal("0.25"),
            first_order=(account - 1) * ORDERS_PER_ACCOUNT + 1,
        )


def market_of(symbol: str, price: Decimal, fee: Decimal, fee_in_base: bool) -> Market:
    """Steps as exchanges choose them: a tick is some millionth of the price, a step of the amount about a tenth to
    one of the quote currency."""
    base, quote = symbol.split("/")
    magnitude = price.adjusted()
    step = Decimal(1).scaleb(max(-magnitude - 1, -8))
    return Market(
        symbol=symbol,
        base=base,
        quote=quote,
        amount_step=step,
        price_tick=Decimal(1).scaleb(max(magnitude - 6, -8)),
        min_amount=step,
        min_notional=Decimal(5),
        maker_fee=fee,
        taker_fee=fee,
        fee_in_base=fee_in_base,
    )
