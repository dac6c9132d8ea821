"""The recorded run as a whole: what it refuses, what it resumes, and how a person recovers a symbol."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from engine.market_data.candles import Candle, Series
from engine.recorded_run import Progress, RecordedRun
from engine.settings import Settings
from generated.trading import Config, ErrorOccurred, Phase
from runtime.errors import ConfigError, StoreError
from runtime.events import EventContext, Outcome

HALF_HOUR = 1_800_000
START = 1_700_000_000_000 // HALF_HOUR * HALF_HOUR
SETTINGS = Settings(
    lookback=3, drop_pct=Decimal(2), take_profit_pct=Decimal(2), stop_loss_pct=Decimal(4), faults="calm"
)


def series(*closes: int, symbol: str = "BTC/USD") -> Series:
    candles = []
    last = Decimal(closes[0])
    for number, close in enumerate(closes):
        now = Decimal(close)
        high, low = max(last, now), min(last, now)
        candles.append(Candle(START + number * HALF_HOUR, last, high, low, now, Decimal(5_000), HALF_HOUR))
        last = now
    return Series(symbol, HALF_HOUR, tuple(candles))


WAVES = series(*([100, 101, 102, 99, 101, 103, 103, 103] * 4))


def open_run(folder: Path, settings: Settings = SETTINGS, market: Series = WAVES) -> RecordedRun:
    return RecordedRun({market.symbol: market}, settings, Config(), folder / "bot.db", folder / "exchange.db")


async def finish(run: RecordedRun, progress: list[Progress] | None = None) -> None:
    try:
        await run.start()
        await run.run(None if progress is None else progress.append)
    finally:
        await run.close()


def test_it_trades_to_the_end_and_says_how_far_it_is(tmp_path: Path) -> None:
    run = open_run(tmp_path)
    progress: list[Progress] = []
    asyncio.run(finish(run, progress))
    assert progress[-1] == Progress(WAVES.candles[-1].closed_at, 32, 32)
    assert run.worker.instances["BTC/USD"].phase == Phase.IDLE
    assert len(run.worker.portfolio.balances()) > 2


def test_a_finished_run_resumed_changes_nothing(tmp_path: Path) -> None:
    asyncio.run(finish(open_run(tmp_path)))
    before = open_run(tmp_path)
    rows, journal = before.store.audit(), before.store.journal()
    asyncio.run(before.close())
    asyncio.run(finish(open_run(tmp_path)))
    after = open_run(tmp_path)
    assert (after.store.audit(), after.store.journal()) == (rows, journal)
    assert len(rows) > 50
    asyncio.run(after.close())


def test_other_settings_or_other_data_do_not_go_on_in_the_same_database(tmp_path: Path) -> None:
    asyncio.run(finish(open_run(tmp_path)))
    with pytest.raises(
        StoreError, match=r"bot\.db: this database belongs to a run with other data or settings.*--fresh"
    ):
        open_run(tmp_path, msgspec.structs.replace(SETTINGS, seed=2))
    with pytest.raises(StoreError, match="other data or settings"):
        open_run(tmp_path, market=series(*range(100, 140)))
    asyncio.run(open_run(tmp_path).close())


def test_a_bot_without_the_exchange_it_traded_on_is_refused(tmp_path: Path) -> None:
    asyncio.run(finish(open_run(tmp_path)))
    (tmp_path / "exchange.db").unlink()
    with pytest.raises(StoreError, match=r"exchange\.db: the paper exchange's books are missing"):
        open_run(tmp_path)


def test_an_exchange_that_cannot_write_ends_the_run_and_is_no_error_of_the_symbol(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    asyncio.run(finish(expected := open_run(whole)))

    async def break_off(run: RecordedRun) -> None:
        await run.start()
        with pytest.raises(StoreError, match="the paper exchange stopped"):
            await run.run(lambda _: run.exchange.close())
        assert run.worker.instances["BTC/USD"].phase is not Phase.ERROR
        await run.close()

    places = broken / "bot.db", broken / "exchange.db"
    asyncio.run(break_off(RecordedRun({WAVES.symbol: WAVES}, SETTINGS, Config(), *places, group=4)))
    asyncio.run(finish(run := open_run(broken)))
    assert run.worker.portfolio.balances() == expected.worker.portfolio.balances()


def test_symbols_must_share_one_quote_currency(tmp_path: Path) -> None:
    market = {"BTC/USD": WAVES, "ETH/EUR": msgspec.structs.replace(WAVES, symbol="ETH/EUR")}
    with pytest.raises(ConfigError, match="EUR, USD"):
        RecordedRun(market, SETTINGS, Config(), None, tmp_path / "exchange.db")
    with pytest.raises(ConfigError, match="BASE/QUOTE"):
        open_run(tmp_path, market=msgspec.structs.replace(WAVES, symbol="BTC"))


def test_an_unknown_profile_of_faults_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'wild'.*calm, realistic, hostile"):
        open_run(tmp_path, msgspec.structs.replace(SETTINGS, faults="wild"))
    asyncio.run(open_run(tmp_path).close())


def test_a_person_recovers_a_symbol_in_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        run = open_run(tmp_path)
        await run.start()
        failure = ErrorOccurred(error="a defect", failed_event="ANY")
        await run.worker.process(EventContext(failure.event, "BTC/USD", run.clock.now(), failure))
        await run.run()
        assert run.worker.instances["BTC/USD"].phase == Phase.ERROR
        assert run.exchange.orders() == []
        receipt, phase = await run.recover("BTC/USD", "a person")
        assert (receipt.outcome, phase) == (Outcome.HANDLED, Phase.COOLDOWN)
        again, phase = await run.recover("BTC/USD", "a person")
        assert (again.outcome, phase) == (Outcome.REJECTED, Phase.COOLDOWN)
        await run.close()

    asyncio.run(scenario())


def test_a_run_killed_right_after_its_warm_up_does_not_judge_that_bar_again(tmp_path: Path) -> None:
    drop_on_the_last_bar_of_the_warm_up = series(100, 100, 100, 90)
    for _ in range(2):
        asyncio.run(finish(open_run(tmp_path, market=drop_on_the_last_bar_of_the_warm_up)))
    run = open_run(tmp_path, market=drop_on_the_last_bar_of_the_warm_up)
    assert [row.event for row in run.store.audit()] == ["WARMUP_COMPLETED"]
    asyncio.run(run.close())
