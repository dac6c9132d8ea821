"""Durations of a run, in which a lifecycle takes a second or two; and how the venue misbehaves.

What keeps an order from being sent twice stays in proportion: the exchange shows an order at most LAG ms after it took
it, and the bot believes in its absence GRACE ms after the last instant at which it could have been taken.
"""

from __future__ import annotations

import msgspec

from engine.exchange.claimed_gateway import ClaimSettings
from engine.exchange.order_feed import FeedSettings
from engine.venue.fates import HOSTILE, Chances, Profile, StreamChances
from engine.venue.settings import Lags

LAG = 400
GRACE = 1_500
MAX_OFFSET = 1_000
TIMEOUT = 1_500
AGAIN = (150, 300, 600, 1_000)

CLAIMS = ClaimSettings(
    grace=GRACE, refresh=3_000, read_attempts=4, read_pause=50, read_timeout=TIMEOUT + 500, pause=1_000
)
FEED = FeedSettings(poll=300, poll_beside=1_000, subscribe_again=AGAIN)

BOT = {
    "TIMEFRAME": "1s",
    "MAX_SLOTS": "{symbols}",
    "DROP_BUY_LOOKBACK": "2",
    "DROP_BUY_DROP_PCT": "0.3",
    "TAKE_PROFIT_PCT": "0.4",
    "STOP_LOSS_PCT": "0.6",
    "TRAILING_ACTIVATE_PCT": "0.3",
    "TRAILING_PCT": "0.2",
    "MAX_HOLD_SECS": "4s",
    "POSITION_MAX_HOLD_SECS": "9s",
    "BUY_FILL_TIMEOUT_SECS": "1500ms",
    "SELL_FILL_TIMEOUT_SECS": "1500ms",
    "COOLDOWN_SECS": "200ms",
    "EVALUATION_TIMEOUT_SECS": "2s",
    "PLACEMENT_TIMEOUT_SECS": "12s",
    "CANCEL_RETRY_SECS": "1500ms",
    "RESOLVE_INTERVAL_SECS": "7s",
    "ORDER_WINDOW_SECS": "2s",
    "ORDER_RETRY_BASE_DELAY": "100ms",
    "MAX_EXIT_ATTEMPTS": "2",
    "RECONCILE_EVERY_SECS": "4s",
    "RECONCILE_CONFIRM_SECS": "1500ms",
}

TORTURE = Profile(
    name="torture",
    writes=msgspec.structs.replace(HOSTILE.writes, delay_ms=(100, 6_000), late_ms=(100, 3_000)),
    # Fewer: each refusal with 429 is a second without any request.
    reads=Chances(
        drop=250,
        mute=25,
        hang_up=250,
        cut=150,
        cut_chunked=100,
        error_before=120,
        garbage=200,
        late=250,
        late_ms=(50, 600),
    ),
    stream=StreamChances(lost=1_500, duplicated=1_500, held_back=2_500, hold_ms=(50, 2_500)),
    lags=Lags(order=LAG, trades=1_200, account=1_200, open_orders=800),
)

ALWAYS = (
    {"request": "GET time", "every": 9, "late_ms": 300},
    {"request": "GET time", "every": 13, "do": "drop"},
    {"request": "GET time", "every": 29, "do": "error_before", "status": 502},
    {"request": "GET time", "every": 31, "do": "garbage", "body": "object"},
    {"request": "GET klines", "every": 31, "do": "drop"},
    {"request": "GET klines", "every": 41, "do": "error_before", "status": 504},
    {"request": "GET klines", "every": 47, "do": "garbage", "body": "html"},
    {"request": "GET klines", "every": 53, "do": "cut"},
    {"request": "GET klines", "every": 67, "late_ms": 700},
    {"request": "GET exchangeInfo", "every": 3, "do": "hang_up"},
    {"request": "GET exchangeInfo", "every": 5, "do": "garbage", "body": "half"},
)
"""What is done to requests that carry no signature, which the profile leaves alone."""
