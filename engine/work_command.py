"""Live bots on accounts that processes share: one process of many with many accounts, or a bot with a standby."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.accounts_file import check_name, load_accounts
from engine.live_account import database_name
from engine.live_bot import BotOptions, plan_bot
from engine.live_commands import Stopped, stop_signals
from engine.live_notices import Notice, Tell, What
from engine.live_run import LiveRun, prepare_patiently
from engine.sharing import sharing
from runtime.clock import SystemClock
from runtime.errors import ConfigError, StoreFencedError
from runtime.node import Tenure

_LISTED = 10
"""How many accounts are named that are others' business."""


class WorkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As they are written on the command line. `lease` is in milliseconds."""

    url: str
    accounts: Path
    name: str | None = None
    lease: int = 15_000
    connections: int = 6
    new_keys: tuple[str, ...] = ()


async def work(options: WorkOptions, environment: Mapping[str, str], tell: Tell) -> Stopped:
    """Trade on a fair share of the accounts until SIGINT or SIGTERM. One account's trouble is told, and tried again.

    Raises:
        PhasewrightError: nothing can be traded; the message says what to do.
    """
    accounts = load_accounts(options.accounts)
    for name in options.new_keys:
        if name not in accounts.entries:
            raise ConfigError(f"--new-key {name}: there is no such account in {options.accounts}.")
    live: dict[str, list[tuple[str, str]]] = {}
    stopping, interrupted = stop_signals()
    async with sharing(
        options.url, options.name, options.lease, tell, stopping, connections=options.connections
    ) as shared:
        if shared is None:
            return Stopped(interrupted(), ())

        async def run_account(tenure: Tenure) -> None:
            name = tenure.lease.account
            live.pop(name, None)
            plan = plan_bot(
                accounts.options(name, new_key=name in options.new_keys),
                accounts.environment(name, environment),
                accounts.credentials(name, environment),
            )
            # If the exchange gives this worker no answer, it may give one to another.
            orders = await shared.run_bot(plan, tenure, LiveRun.prepare)
            if orders:
                live[name] = orders
                listed = ", ".join(f"{symbol} {order}" for symbol, order in orders)
                text = f"left with orders that may be live: {listed}. Whoever takes the account looks after them"
                shared.tell_of(name)(Notice(SystemClock().now(), What.NOTE, "", "", text))

        many = f"{len(accounts.entries)} account{'s' if len(accounts.entries) > 1 else ''}"
        text = f"worker {shared.worker}: {many} to share, leases of {options.lease / 1000:g} s"
        tell(Notice(SystemClock().now(), What.STARTED, "", "", text))
        if beyond := await shared.beyond(accounts.entries):
            more = f" and {len(beyond) - _LISTED} more" if len(beyond) > _LISTED else ""
            text = f"not served here, because not in {options.accounts}: {', '.join(beyond[:_LISTED])}{more}"
            tell(Notice(SystemClock().now(), What.NOTE, "", "", text))
        await shared.hold(list(accounts.entries), run_account, stopping)
    return Stopped(interrupted(), tuple(order for orders in live.values() for order in orders))


class SharedTrade(msgspec.Struct, frozen=True):
    """One bot in the database at `url`, which others may share; `lease` is in milliseconds."""

    bot: BotOptions
    url: str
    account: str | None
    lease: int


async def trade_shared(options: SharedTrade, environment: Mapping[str, str], tell: Tell) -> Stopped:
    """Trade on one account until SIGINT or SIGTERM, or wait as a standby while another process does.

    Raises:
        PhasewrightError: it cannot be traded, or not any longer; the message says what to do.
    """
    plan = plan_bot(options.bot, environment)
    if options.account is not None:
        check_name(options.account)
    name = options.account or Path(database_name(options.bot.exchange, plan.account.mode)).stem
    live: list[tuple[str, str]] = []
    stopping, interrupted = stop_signals()

    async with sharing(options.url, None, options.lease, tell, stopping, connections=2) as shared:
        if shared is None:
            return Stopped(interrupted(), ())

        async def run_account(tenure: Tenure) -> None:
            live[:] = await shared.run_bot(
                plan, tenure, lambda bot: prepare_patiently(bot, shared.tell_of(""), stopping)
            )

        await shared.hold([name], run_account, stopping, gives_up=lambda error: not isinstance(error, StoreFencedError))
    return Stopped(interrupted(), tuple(live))
