"""The main job in nautilus_trader: the drop-buy rule on five symbols in one account, three trades at most.

Run by `bench.main_job` in the interpreter of the peers: `python -m bench.main_job_nautilus JOB`, a JSON file with the
candle files and the rule's numbers. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy

_VENUE = Venue("SIM")
_BAR = 1_800_000_000_000


class _Market:
    """What the rule remembers of one symbol."""

    def __init__(self, instrument: CurrencyPair) -> None:
        self.instrument = instrument
        self.closes: list[float] = []
        self.dropped = False
        self.entry = 0.0
        self.opened = 0
        self.peak = 0.0
        self.busy: Any = None


class DropBuy(Strategy):
    """The rule, once a bar; orders of one bar that nothing filled are canceled at the next."""

    def __init__(self, job: dict[str, Any], instruments: list[CurrencyPair]) -> None:
        super().__init__(StrategyConfig())
        self.job = job
        self.markets = {instrument.id: _Market(instrument) for instrument in instruments}
        self.trades = 0

    def on_start(self) -> None:
        for instrument_id in self.markets:
            self.subscribe_bars(_bar_type(instrument_id))

    def on_bar(self, bar: Bar) -> None:
        job, market = self.job, self.markets[bar.bar_type.instrument_id]
        close = float(bar.close)
        closes = market.closes
        closes.append(close)
        del closes[: -job["lookback"]]
        before, market.dropped = market.dropped, close <= max(closes) * (1 - job["drop_pct"] / 100)
        if market.entry:
            self._judge(market, close, bar.ts_init)
            return
        if market.busy is not None and market.busy.is_open:
            self.cancel_order(market.busy)
            market.busy = None
        if market.dropped and not before and len(closes) == job["lookback"]:
            self._buy(market, bar.close)

    def _buy(self, market: _Market, price: Price) -> None:
        taken = sum(1 for other in self.markets.values() if other.entry or (other.busy and other.busy.is_open))
        free = self.job["slots"] - taken
        if free < 1:
            return
        cash = float(self.portfolio.account(_VENUE).balance_free(USD))
        qty = cash / free / (float(price) * (1 + self.job["fee_pct"] / 100))
        order = self.order_factory.limit(
            market.instrument.id, OrderSide.BUY, market.instrument.make_qty(qty * 0.999), price
        )
        market.busy = order
        self.submit_order(order)

    def _judge(self, market: _Market, close: float, now: int) -> None:
        job, entry = self.job, market.entry
        market.peak = peak = max(market.peak, close)
        if (
            close <= entry * (1 - job["stop_loss_pct"] / 100)
            or close >= entry * (1 + job["take_profit_pct"] / 100)
            or (
                peak >= entry * (1 + job["trailing_activate_pct"] / 100)
                and close <= peak * (1 - job["trailing_pct"] / 100)
            )
            or (now - market.opened) // 1_000_000 >= job["max_hold"]
        ):
            for position in self.cache.positions_open(instrument_id=market.instrument.id):
                self.close_position(position)

    def on_position_opened(self, event: Any) -> None:
        market = self.markets[event.instrument_id]
        market.entry, market.opened, market.peak = float(event.avg_px_open), event.ts_event, 0.0

    def on_position_closed(self, event: Any) -> None:
        self.trades += 1
        self.markets[event.instrument_id].entry = 0.0


def main() -> None:
    begun = time.perf_counter()
    job = json.loads(Path(sys.argv[1]).read_text())
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True), risk_engine=RiskEngineConfig(bypass=True), run_analysis=False
        )
    )
    engine.add_venue(
        venue=_VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=None,
        starting_balances=[Money(job["cash"], USD)],
    )
    instruments: list[CurrencyPair] = []
    bars: list[Bar] = []
    for name, file in job["files"].items():
        frame = _read(Path(file))
        instrument = _instrument(name, job["fee_pct"])
        bars += BarDataWrangler(_bar_type(instrument.id), instrument).process(frame, ts_init_delta=_BAR)
        engine.add_instrument(instrument)
        instruments.append(instrument)
    engine.add_data(sorted(bars, key=lambda bar: bar.ts_init), sort=False)
    strategy = DropBuy(job, instruments)
    engine.add_strategy(strategy)
    loaded, cpu = time.perf_counter(), time.process_time()
    engine.run()
    done, cpu = time.perf_counter(), time.process_time() - cpu
    account = strategy.portfolio.account(_VENUE)
    held = {market.instrument.base_currency: market.closes[-1] for market in strategy.markets.values()}
    worth = sum(
        float(amount) * (1.0 if currency == USD else held[currency])
        for currency, amount in account.balances_total().items()
    )
    print(
        json.dumps(
            {
                "bars": len(bars),
                "trades": strategy.trades,
                "end_equity": round(worth, 2),
                "load_s": loaded - begun,
                "trade_s": done - loaded,
                "trade_cpu_s": cpu,
            }
        )
    )


def _bar_type(instrument_id: InstrumentId) -> BarType:
    return BarType.from_str(f"{instrument_id}-30-MINUTE-LAST-EXTERNAL")


def _instrument(name: str, fee_pct: float) -> CurrencyPair:
    precision = 1 if name == "BTC" else 5
    fee = Decimal(str(fee_pct)) / 100
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol(f"{name}/USD"), _VENUE),
        raw_symbol=Symbol(f"{name}/USD"),
        base_currency=Currency.from_str(name),
        quote_currency=USD,
        price_precision=precision,
        size_precision=6,
        price_increment=Price(10.0**-precision, precision),
        size_increment=Quantity(1e-6, 6),
        ts_event=0,
        ts_init=0,
        maker_fee=fee,
        taker_fee=fee,
    )


def _read(file: Path) -> pd.DataFrame:
    frame = pd.read_csv(file, index_col=0, parse_dates=True)
    frame.columns = [name.rpartition(".")[2] for name in frame.columns]
    frame.index = frame.index.tz_localize("UTC")
    return frame[["open", "high", "low", "close", "volume"]]


if __name__ == "__main__":
    main()
