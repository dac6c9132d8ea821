"""What a worker's process is given besides its settings: short durations where the code has long ones, and the part of
the protocol that a mutant breaks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import torture_settings as short
from torture_bot import prepare_bot

from engine.exchange.order_feed import FeedSettings

MUTANTS = ("no fence", "no lease asked for", "no look-up", "same epoch", "endless lease")

LONG_BAR = 60

_UNFENCED = """
CREATE OR REPLACE FUNCTION fence(p_account text, p_worker text, p_epoch bigint, p_previous uuid, p_commit uuid)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE accounts SET last_commit = p_commit WHERE account = p_account;
END $$
"""


_UNVERSIONED = """
DO $do$ BEGIN
    EXECUTE replace(
        replace(pg_get_functiondef('commit_group'::regproc), 'AND t.version = n.expected', ''),
        'WHERE coalesce(t.version, 0) <> n.version', 'WHERE false'
    );
END $do$
"""


def prepared(mutant: str | None, bar: int) -> Callable[[], None]:
    """For `Child`."""
    return functools.partial(_prepare, mutant, bar)


def broken_schema(mutant: str | None) -> Sequence[str]:
    """What a mutant does to the database."""
    return {"no fence": (_UNFENCED, _UNVERSIONED), "no lease asked for": (_UNFENCED,)}.get(mutant or "", ())


_LONG = {
    "BUY_FILL_TIMEOUT_SECS": "30s",
    "SELL_FILL_TIMEOUT_SECS": "30s",
    "PLACEMENT_TIMEOUT_SECS": "60s",
    "CANCEL_RETRY_SECS": "5s",
    "RESOLVE_INTERVAL_SECS": "20s",
    "ORDER_WINDOW_SECS": "8s",
    "RECONCILE_CONFIRM_SECS": "3s",
}
"""Where bars are long there are many symbols, all of which buy in the same moment: each has its turn then."""


def knobs(slots: int, bar: int) -> dict[str, str]:
    """The environment of the bots, when a bar lasts `bar` seconds."""
    found = {name: value.format(symbols=slots) for name, value in short.BOT.items()}
    hold = 4 if bar < LONG_BAR else 1
    if bar >= LONG_BAR:
        found |= _LONG
    return found | {
        "TIMEFRAME": f"{bar}s" if bar < LONG_BAR else f"{bar // 60}m",
        "MAX_HOLD_SECS": f"{hold * bar}s",
        "POSITION_MAX_HOLD_SECS": f"{2 * hold * bar + 1}s",
        "EVALUATION_TIMEOUT_SECS": f"{2 * bar}s",
        "RECONCILE_EVERY_SECS": f"{10 * bar}s",
        # No identity is to be forgotten while a run lasts.
        "IDEMPOTENCY_EXPIRY_SECS": "2h",
    }


def _prepare(mutant: str | None, bar: int) -> None:
    if bar >= LONG_BAR:
        # Then there are many symbols, all of which ask for their bars when they close: an answer takes its time.
        short.TIMEOUT, short.MAX_OFFSET = 10_000, 5_000
        short.CLAIMS = msgspec.structs.replace(short.CLAIMS, read_timeout=short.TIMEOUT + 500, refresh=30_000)
        short.FEED = FeedSettings(poll=2_000, poll_beside=10_000, subscribe_again=short.AGAIN)
    prepare_bot(None, 1, "no look-up" if mutant == "no look-up" else None)
    from runtime.postgres import leases

    broken: Any = leases
    if mutant == "same epoch":
        broken._TAKE = leases._TAKE.replace("epoch = epoch + 1", "epoch = epoch")
    if mutant == "endless lease":
        broken._TAKE = leases._TAKE.replace(" OR expires_at <= clock_timestamp()", "")
