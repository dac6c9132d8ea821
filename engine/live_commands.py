"""What the command line does with a bot that trades on an exchange. All of it returns data."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.account_books import Books, Worth, live_orders, stored_books
from engine.accounts_file import load_accounts
from engine.ccxt_exchange import CcxtExchange
from engine.exchange.claimed_gateway import MAX_OFFSET
from engine.exchange.credentials import load_credentials
from engine.exchange.gateway import GatewayError
from engine.exchange.history import Execution
from engine.live_account import (
    Mode,
    account_of,
    check_account,
    check_loopback,
    database_name,
    environment_name,
    hash_of_key,
    mark,
)
from engine.live_bot import BotOptions, open_bot, plan_bot
from engine.live_control import Answer, Ask, listening
from engine.live_notices import Notice, Tell, What, clause
from engine.live_preparing import OPENING_ENTRY
from engine.live_run import LiveRun, prepare_patiently
from engine.live_settings import LiveSettings
from engine.reconciliation import Difference, Reconciler
from engine.stores import Place, reading
from engine.stores import account_of as name_of
from generated.trading import Phase
from runtime.clock import SystemClock
from runtime.effects import Intent
from runtime.errors import PhasewrightError, StoreError
from runtime.events import Outcome
from runtime.sqlite_store import SqliteStore


class Stopped(msgspec.Struct, frozen=True):
    """A bot that was told to stop: by which signal, and which orders may be live at the exchange."""

    interrupted: bool
    live_orders: tuple[tuple[str, str], ...]


async def trade(options: BotOptions, path: Path | None, environment: Mapping[str, str], tell: Tell) -> Stopped:
    """Trade until SIGINT or SIGTERM.

    Args:
        path: where the database is, by default a file named after the exchange.

    Raises:
        PhasewrightError: it cannot be traded, or not any longer; the message says what to do.
    """
    plan = plan_bot(options, environment)
    database = path or Path(plan.settings.snapshot_dir) / database_name(options.exchange, plan.account.mode)
    is_new = not database.exists()
    store = SqliteStore(database)
    try:
        check_account(store, database, plan.account, new_key=options.new_key)
        bot = open_bot(plan, store, tell)
    except BaseException:
        if is_new:
            _forget(database)
        store.close()
        raise
    stopping, interrupted = stop_signals()
    try:
        if not await prepare_patiently(bot, tell, stopping):
            # Nothing was asked for in this run; but an earlier one may have left orders.
            known = stored_books(store.load(), store.namespace).symbols.values()
            return Stopped(interrupted(), tuple(live_orders((one.symbol, one.data) for one in known)))
        mark(store, plan.account)
        is_new = False
        opening = plan.opening(f"phasewright status --db {database}")
        tell(Notice(bot.clock.now(), What.STARTED, "", "", opening))

        async def answer(ask: Ask) -> Answer:
            return await recover_in(bot, ask.recover)

        async with listening(database, answer) as reachable:
            if not reachable:
                text = "no socket can be made beside the database: `phasewright recover` will not reach this bot"
                tell(Notice(bot.clock.now(), What.TROUBLE, "", "", text))
            await bot.start()
            await bot.run(stopping)
        return Stopped(interrupted(), tuple(bot.live_orders()))
    finally:
        if is_new:
            _forget(database)
        await bot.close()


def _forget(database: Path) -> None:
    """Remove a database of this start's own making in which nothing is. Called while it is open, so that nobody else
    can have begun with it; its lock stays, for whoever waits for it."""
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            Path(f"{database}{suffix}").unlink()


def stop_signals() -> tuple[asyncio.Event, Callable[[], bool]]:
    """An event that the first SIGINT or SIGTERM sets, and whether it was SIGINT. The second one ends at once."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    came: list[signal.Signals] = []

    def stop(which: signal.Signals) -> None:
        came.append(which)
        stopping.set()
        for known in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(known)

    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, stop, which)
    return stopping, lambda: signal.SIGINT in came


async def recover_in(bot: LiveRun, symbol: str) -> Answer:
    """What a running bot answers to `phasewright recover`."""
    if symbol in bot.worker.quarantined:
        found = bot.worker.quarantined[symbol]
        return Answer(refused=f"{symbol} is in quarantine: {clause(found.reason)}. {found.way_out}")
    if symbol not in bot.worker.instances:
        return Answer(refused=f"this bot has no symbol {symbol!r}")
    before = bot.worker.instances[symbol].phase
    try:
        if before == Phase.ERROR and (reason := await bot.reconciling.in_the_way(symbol)):
            return Answer(refused=f"{symbol}: {reason} It would be stopped again at once. Nothing was changed.")
        receipt, after, note = await bot.recover(symbol, "phasewright recover")
    except PhasewrightError as error:
        return Answer(refused=str(error))
    if receipt.outcome is Outcome.REJECTED:
        return Answer(refused=f"{symbol} is in {before}. {receipt.reason} Nothing was changed.")
    return Answer(before, after, note)


class Compared(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an exchange and the books differ, and the symbols, with their phase, that were left out: what becomes of
    their order is being asked just now. `worth` is by symbol, for what is held and has a bid."""

    differences: list[Difference]
    left_out: dict[str, str]
    worth: dict[str, Worth] = {}


async def reconcile(
    database: Place, environment: Mapping[str, str], *, url: str | None = None, accounts: Path | None = None
) -> Compared:
    """Hold the exchange against the books in the database, and change nothing; a bot may be running on it.

    Args:
        url: where the venue is now, if not where the bot last traded on it.
        accounts: the file that workers have their accounts from, and by which the keys are found then.

    Raises:
        StoreError: there is no such database, or it belongs to no exchange.
        ConfigError: there are no keys.
        GatewayError: the exchange cannot be asked.
    """
    live = LiveSettings.from_environment(environment)
    if url is not None:
        check_loopback(url)
    with reading(database) as store:
        account = account_of(store)
        if account is None:
            raise StoreError(
                f"{database}: this database belongs to no account on an exchange. A recorded run's exchange is a file "
                "of its own; there is nothing to compare."
            )
        if accounts is not None and not isinstance(database, Path):
            credentials = load_accounts(accounts).credentials(name_of(database), environment)
        else:
            credentials = load_credentials(account.exchange, environment_name(account), environment)
        if hash_of_key(account.exchange, credentials.api_key) != account.key:
            raise StoreError(
                f"{database}: it was traded with another API key than the one that is set. Set that one; if it was "
                "replaced, start the bot once with --new-key."
            )
        clock = SystemClock()
        at = (url or account.url) if account.mode is Mode.REHEARSAL else None
        exchange = CcxtExchange(account.exchange, credentials, clock, sandbox=account.mode is Mode.SANDBOX, url=at)
        try:
            markets = await exchange.gateway.markets()

            async def find_intent(intent_id: str) -> Intent | None:
                return store.intent(intent_id)

            state = store.load()
            opened_at = next((entry.at for entry in state.entries if entry.entry_id == OPENING_ENTRY), None)
            booked = {entry.entry_id for entry in state.entries}

            async def news(symbol: str) -> Sequence[Execution] | None:
                return None if opened_at is None else await exchange.news(symbol, opened_at - MAX_OFFSET)

            reconciler = Reconciler(
                exchange.gateway,
                markets,
                lambda: stored_books(store.load(), store.namespace),
                find_intent,
                lambda: clock.sleep_until(clock.now() + live.confirm_after),
                clock.now,
                news,
                booked.__contains__,
                exchange.open_orders,
            )
            found = await reconciler.differences()
            books = stored_books(store.load(), store.namespace)
            asking = {one.symbol: str(one.phase) for one in books.symbols.values() if one.is_asking}
            return Compared(found, asking, await _worth(exchange, books))
        finally:
            await exchange.close()


async def _worth(exchange: CcxtExchange, books: Books) -> dict[str, Worth]:
    found = {}
    for one in books.symbols.values():
        with suppress(GatewayError):
            if one.held > 0 and (bid := (await exchange.ticker(one.symbol)).bid) is not None:
                found[one.symbol] = Worth(one.held, bid, one.held * bid)
    return found


def symbols_in(texts: Sequence[str]) -> tuple[str, ...]:
    """Symbols as the exchange writes them."""
    return tuple(text.strip().upper() for text in texts)
