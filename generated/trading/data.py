# Generated from spec/trading.yaml; do not edit.
# Change the spec and run: make generate
"""What an instance of trading carries, and how it is configured."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from runtime.definition import Knob


class Fill(msgspec.Struct, kw_only=True):
    """One execution, as the exchange reported it."""

    trade_id: str
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    at: int
    """Milliseconds since the epoch (UTC)."""


class OrderContext(msgspec.Struct, kw_only=True):
    """An order of ours and what is known of it. Amounts in base, prices in quote currency."""

    client_order_id: str
    side: str
    amount: Decimal
    price: Decimal | None = None
    planned_at: int
    """Milliseconds since the epoch (UTC)."""
    status: str
    exchange_order_id: str | None = None
    fills: list[Fill] = msgspec.field(default_factory=list)


class OrderReport(msgspec.Struct, kw_only=True):
    """What the exchange shows of one of our orders; its fills sum to what it calls filled."""

    client_order_id: str
    status: str
    fills: list[Fill] = msgspec.field(default_factory=list)


class StateData(msgspec.Struct, kw_only=True):
    """What an instance carries from event to event."""

    bar_at: int | None = None
    """The close of the bar that is being judged. Milliseconds since the epoch (UTC)."""
    entry_order: OrderContext | None = None
    """The latest buy order."""
    exit_order: OrderContext | None = None
    """The latest sell order."""
    past_orders: list[str] = msgspec.field(default_factory=list)
    """Earlier orders that the exchange had; their late reports are no news."""
    round_trip: str | None = None
    """Names the trade; the client order id of its buy order."""
    opened_at: int | None = None
    """The first fill of the position. Milliseconds since the epoch (UTC)."""
    exit_reason: str | None = None
    """Why the position is being sold."""
    exit_attempts: int = 0
    """Sell orders refused since this position last sold anything."""
    last_error: str | None = None
    """What led to ERROR."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration. Durations are in milliseconds."""

    buy_fill_timeout: int = 30_000
    """How long a buy order may stay unfilled."""
    sell_fill_timeout: int = 30_000
    """How long a sell order may stay unfilled."""
    cooldown: int = 60_000
    """The pause between two trades of one symbol."""
    evaluation_timeout: int = 60_000
    """How long the strategy may take to answer."""
    placement_timeout: int = 120_000
    """How long the answer to an order request may take."""
    cancel_retry_interval: int = 15_000
    """How often an unconfirmed cancel is asked for again."""
    resolve_interval: int = 60_000
    """How often the fate of an order is asked for again."""
    position_max_hold: int = 1_209_600_000
    """After how long a position is sold whatever its price."""
    order_window: int = 10_000
    """How long the exchange may accept an order request after it was claimed."""
    order_retry_max_attempts: int = 3
    """How often a request that provably never left is sent."""
    order_retry_base_delay: int = 1_000
    """The first pause between two such attempts; each next one doubles."""
    max_exit_attempts: int = 5
    """How many refused sell orders a position may have before a person is asked."""


KNOBS: tuple[Knob, ...] = (
    Knob(
        "buy_fill_timeout",
        "duration",
        30_000,
        summary="How long a buy order may stay unfilled.",
        env="BUY_FILL_TIMEOUT_SECS",
    ),
    Knob(
        "sell_fill_timeout",
        "duration",
        30_000,
        summary="How long a sell order may stay unfilled.",
        env="SELL_FILL_TIMEOUT_SECS",
    ),
    Knob("cooldown", "duration", 60_000, summary="The pause between two trades of one symbol.", env="COOLDOWN_SECS"),
    Knob(
        "evaluation_timeout",
        "duration",
        60_000,
        summary="How long the strategy may take to answer.",
        env="EVALUATION_TIMEOUT_SECS",
    ),
    Knob(
        "placement_timeout",
        "duration",
        120_000,
        summary="How long the answer to an order request may take.",
        env="PLACEMENT_TIMEOUT_SECS",
    ),
    Knob(
        "cancel_retry_interval",
        "duration",
        15_000,
        summary="How often an unconfirmed cancel is asked for again.",
        env="CANCEL_RETRY_SECS",
    ),
    Knob(
        "resolve_interval",
        "duration",
        60_000,
        summary="How often the fate of an order is asked for again.",
        env="RESOLVE_INTERVAL_SECS",
    ),
    Knob(
        "position_max_hold",
        "duration",
        1_209_600_000,
        summary="After how long a position is sold whatever its price.",
        env="POSITION_MAX_HOLD_SECS",
    ),
    Knob(
        "order_window",
        "duration",
        10_000,
        summary="How long the exchange may accept an order request after it was claimed.",
        env="ORDER_WINDOW_SECS",
    ),
    Knob(
        "order_retry_max_attempts",
        "int",
        3,
        summary="How often a request that provably never left is sent.",
        env="ORDER_RETRY_MAX_ATTEMPTS",
        minimum=1,
    ),
    Knob(
        "order_retry_base_delay",
        "duration",
        1_000,
        summary="The first pause between two such attempts; each next one doubles.",
        env="ORDER_RETRY_BASE_DELAY",
    ),
    Knob(
        "max_exit_attempts",
        "int",
        5,
        summary="How many refused sell orders a position may have before a person is asked.",
        env="MAX_EXIT_ATTEMPTS",
        minimum=1,
    ),
)
