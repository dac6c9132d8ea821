"""Where a rehearsal takes place: one symbol, plenty of cash, durations that let steps come in any order."""

from __future__ import annotations

from decimal import Decimal

from engine.exchange.gateway import Market
from engine.sizing import SizingRules
from generated.trading import Config

START = 1_700_000_000_000
TICK = 2
"""Milliseconds from one step to the next: a request arrives after it was claimed."""
SECOND = 1_000
DURATIONS = Config(
    buy_fill_timeout=SECOND,
    sell_fill_timeout=SECOND,
    cooldown=SECOND,
    evaluation_timeout=SECOND,
    placement_timeout=SECOND,
    cancel_retry_interval=SECOND,
    resolve_interval=SECOND,
    position_max_hold=SECOND,
    order_window=3_600 * SECOND,
    order_retry_max_attempts=1,
)
"""Short timers and a long window, so that a path may put timers and arrivals in any order; nothing is sent again
that provably never left."""
MARKET = Market(
    symbol="BTC/USD",
    base="BTC",
    quote="USD",
    amount_step=Decimal("0.001"),
    price_tick=Decimal("0.1"),
    min_amount=Decimal("0.001"),
    min_notional=Decimal(10),
    maker_fee=Decimal("0.001"),
    taker_fee=Decimal("0.001"),
    fee_in_base=True,
)
RULES = SizingRules(stop_pct=Decimal(5), max_notional=Decimal(1_000))
CASH = Decimal(1_000_000)
EVEN_PRICE = Decimal("99.9")
"""Buys 10 BTC, of which the fee leaves whole steps."""
UNEVEN_PRICE = Decimal("99.8")
"""Buys 10.01 BTC, of which the fee leaves a part of a step that nobody can sell."""
EXIT_PRICE = Decimal(110)
