"""What the command line does with a bot and its database. All of it returns data; `engine.terminal` prints."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec

from engine.books import AccountStatus, account_status, begins_late, closed_round_trips, run_figures
from engine.live_control import Ask, ask
from engine.market_data.candles import Series, load_candles
from engine.market_data.recorded import recorded_market
from engine.recorded_run import Progress, RecordedRun, fingerprint
from engine.report.figures import RoundTrip, RunFigures
from engine.report.page import write_report
from engine.settings import Settings
from engine.stores import ACCOUNT, Place, exchange_database, reading, start_anew
from engine.strategy.drop_buy import DropBuy
from engine.why import Why
from engine.why import why as explained
from generated.trading import KNOBS, Config, Phase
from runtime.config import load_config
from runtime.errors import PhasewrightError, StoreError
from runtime.events import Outcome
from runtime.restore import Quarantined
from runtime.store import AuditRow, Store

OPTIMISM = "Recorded prices have no spread and our orders do not move them: real fills are worse."


class ReportError(PhasewrightError):
    """The report cannot be written. What it would have shown is in the database."""


class RunOutcome(msgspec.Struct, frozen=True):
    """What a run came to, and what it could not start."""

    figures: RunFigures
    account: AccountStatus
    quarantined: tuple[Quarantined, ...]


class RecoverOutcome(msgspec.Struct, frozen=True):
    """What a recovery came to: the phase before and after, and what the exchange's answer left to be said."""

    symbol: str
    phase_from: str
    phase_to: str
    note: str


def load_market(data: Path | None) -> dict[str, Series]:
    """The bars of a file or folder, by default the recorded market."""
    return recorded_market() if data is None else load_candles(data)


async def run(
    database: Place,
    data: Path | None,
    environment: Mapping[str, str],
    *,
    fresh: bool = False,
    on_resume: Callable[[int], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunOutcome:
    """Trade the data to its end, from where the database stopped or, when `fresh`, from the beginning.

    `on_resume` is told the instant from which a run goes on, in milliseconds since the epoch.
    """
    settings = Settings.from_environment(environment)
    config = load_config(Config, KNOBS, environment)
    series = load_market(data)
    with ExitStack() as stack:
        kept: Place | None = database
        exchange_path = exchange_database(database)
        if not settings.snapshots:
            kept = None
            exchange_path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "exchange.db"
        elif fresh:
            start_anew(database, fingerprint(series, settings))
        bot = RecordedRun(series, settings, config, kept, exchange_path)
        try:
            stopped_at = bot.store.last_event_at()
            if on_resume and stopped_at is not None:
                on_resume(stopped_at)
            restart = await bot.start()
            await bot.run(on_progress)
            figures = run_figures(bot.store, bot.series, bot.quote, _notes(settings, series, bot.quote))
            return RunOutcome(figures, account_status(bot.store.load()), restart.quarantined)
        finally:
            await bot.close()


def _notes(settings: Settings, series: Mapping[str, Series], quote: str) -> list[str]:
    fee = "what is bought" if settings.fee_in_base else quote
    held = sum(one.candles[-1].close / one.candles[0].close - 1 for one in series.values()) / len(series)
    return [
        f"Started with {settings.start_cash:,} {quote}, at most {settings.max_slots} trades at once. Bought in equal "
        f"parts at the first bar and held to the last, the same symbols made {held:+.1%}.",
        f"Paper exchange, faults '{settings.faults}', seed {settings.seed}; fee {settings.fee_pct} % of each trade, "
        f"buys pay it in {fee}.",
        OPTIMISM,
    ]


def status(database: Place) -> AccountStatus:
    """The account and every symbol as of the last commit."""
    with reading(database) as store:
        return account_status(store.load())


def trades(database: Place, symbol: str | None) -> list[RoundTrip]:
    """The closed round trips, of one symbol or of all."""
    with reading(database) as store:
        _check_symbol(store, database, symbol)
        return closed_round_trips(store.journal(symbol))


def audit(database: Place, symbol: str, limit: int) -> list[AuditRow]:
    """The latest events of a symbol and what became of each, oldest first."""
    with reading(database) as store:
        _check_symbol(store, database, symbol)
        return store.audit(symbol, limit)


def why(database: Place, data: Path | None, symbol: str, instant: int, environment: Mapping[str, str]) -> Why:
    """What a recorded run saw at the last bar that closed at or before `instant` (milliseconds), and what followed.

    Raises:
        StoreError: the database has no such symbol, it was run with other data or settings, no bar had closed, or what
            led to it was archived.
    """
    settings = Settings.from_environment(environment)
    series = load_market(data)
    with reading(database) as store:
        _check_symbol(store, database, symbol)
        _check_recorded(store.label(ACCOUNT), database)
        if store.namespace != fingerprint(series, settings):
            raise StoreError(
                f"{database}: this run was made with other data or settings, so what it saw cannot be worked out "
                "again. Give the data (--data) and the settings that it was made with."
            )
        strategy = DropBuy(settings.strategy_parameters())
        rows = store.audit(symbol)
        version = next(stored.version for stored in store.load().instances if stored.instance == symbol)
        return explained(
            series[symbol],
            strategy,
            rows,
            store.journal(symbol),
            instant,
            begins_late=begins_late(rows, version),
            latest=store.last_event_at(),
        )


def report(database: Place, data: Path | None, environment: Mapping[str, str], path: Path) -> RunFigures:
    """Write the HTML report of what the database holds.

    Raises:
        StoreError: the data has no bars of what it traded, or it traded on an exchange and no data was given.
        ReportError: the page cannot be written.
    """
    settings = Settings.from_environment(environment)
    with reading(database) as store:
        if data is None:
            _check_recorded(store.label(ACCOUNT), database)
        series = load_market(data)
        quote = next(iter(series)).partition("/")[2]
        # The settings are only worth telling when the run was made with them.
        known = store.namespace == fingerprint(series, settings)
        figures = run_figures(store, series, quote, _notes(settings, series, quote) if known else [OPTIMISM])
    write_page(path, figures)
    return figures


def write_page(path: Path, figures: RunFigures) -> None:
    """Write the HTML report to `path`.

    Raises:
        ReportError: it cannot be written there.
    """
    try:
        write_report(path, figures)
    except OSError as error:
        raise ReportError(
            f"{path}: the report cannot be written: {error.strerror or error}. Every trade is in the database; make "
            "room or name another place, then run `phasewright report`."
        ) from None


def belongs_to_exchange(database: Place) -> bool:
    """Whether the database is that of a bot that trades on an exchange."""
    with reading(database) as store:
        return store.label(ACCOUNT) is not None


def recover_running(database: Path, symbol: str) -> RecoverOutcome:
    """Ask the bot that runs on this database to recover a symbol, and wait for what comes of it.

    Raises:
        StoreError: no bot is running, there is no such symbol, or it is not in ERROR.
    """
    with reading(database) as store:
        _check_symbol(store, database, symbol)
    answer = ask(database, Ask(recover=symbol))
    if answer.refused:
        raise StoreError(answer.refused)
    return RecoverOutcome(symbol, answer.phase_from, answer.phase_to, answer.note)


async def recover(database: Place, data: Path | None, symbol: str, environment: Mapping[str, str]) -> RecoverOutcome:
    """Ask the exchange about every order of a symbol in ERROR, and let its phase follow the answer.

    Raises:
        StoreError: there is no such database or symbol, or it is not in ERROR.
    """
    with reading(database) as store:
        _check_symbol(store, database, symbol)
    settings = Settings.from_environment(environment)
    config = load_config(Config, KNOBS, environment)
    bot = RecordedRun(load_market(data), settings, config, database, exchange_database(database))
    try:
        restart = await bot.start()
        for quarantined in restart.quarantined:
            if quarantined.instance == symbol:
                raise StoreError(f"{symbol} is in quarantine: {quarantined.reason}. {quarantined.way_out}")
        before = bot.worker.instances[symbol].phase
        receipt, after = await bot.recover(symbol, "phasewright recover")
        if receipt.outcome is Outcome.REJECTED:
            raise StoreError(f"{symbol} is in {before}. {receipt.reason} Nothing was changed.")
        note = bot.worker.instances[symbol].data.last_error if after == Phase.ERROR else None
        return RecoverOutcome(symbol, before, after, note or "")
    finally:
        await bot.close()


def _check_recorded(label: str | None, database: Place) -> None:
    if label is not None:
        raise StoreError(
            f"{database}: this bot trades on an exchange, and keeps no bars. `phasewright audit` and `phasewright "
            "trades` show what it did; a report can be made with the bars of that time (`phasewright report --data`)."
        )


def _check_symbol(store: Store, database: Place, symbol: str | None) -> None:
    known = [stored.instance for stored in store.load().instances]
    if symbol is not None and symbol not in known:
        raise StoreError(
            f"{database}: there is no symbol {symbol!r}. It has {', '.join(known) or 'none yet'}. "
            "Symbols are written BASE/QUOTE, in capitals."
        )
