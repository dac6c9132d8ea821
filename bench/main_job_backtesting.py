"""The main job in backtesting.py: the drop-buy rule on each symbol, in an account of its own, since it knows one only.

Run by `bench.main_job` in the interpreter of the peers: `python -m bench.main_job_backtesting JOB`, a JSON file with
the candle files and the rule's numbers. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from backtesting import Strategy
from backtesting.lib import FractionalBacktest


class DropBuy(Strategy):
    """As its documentation writes strategies: indicators over the whole series at once, the rest once a bar."""

    job: ClassVar[dict[str, Any]] = {}

    def init(self) -> None:
        self.high = self.I(lambda close: pd.Series(close).rolling(self.job["lookback"]).max(), self.data.Close)
        self.peak = 0.0

    def next(self) -> None:
        job, close = self.job, self.data.Close[-1]
        if not self.position:
            for order in self.orders:
                order.cancel()  # a buy is good for one bar
            drop = 1 - job["drop_pct"] / 100
            if close <= self.high[-1] * drop and not self.data.Close[-2] <= self.high[-2] * drop:
                self.buy(limit=close, size=0.998)
                self.peak = 0.0
            return
        trade = self.trades[0]
        self.peak = max(self.peak, close)
        held = self.data.index[-1] - trade.entry_time
        if _is_over(job, close, trade.entry_price, self.peak, held.value // 1_000_000):
            trade.close()


class HastyDropBuy(DropBuy):
    """The same, written for speed: everything that depends on the bars alone is worked out before, into lists."""

    def init(self) -> None:
        close = pd.Series(np.asarray(self.data.Close))
        high = close.rolling(self.job["lookback"]).max()
        dropped = (close <= high * (1 - self.job["drop_pct"] / 100)).to_numpy()
        self.crossed = (dropped & ~np.concatenate(([False], dropped[:-1]))).tolist()
        self.closes = close.tolist()
        self.times = (self.data.index.asi8 // 1_000_000).tolist()
        self.peak = 0.0

    def next(self) -> None:
        bar = len(self.data) - 1
        close = self.closes[bar]
        if not self.position:
            for order in self.orders:
                order.cancel()
            if self.crossed[bar]:
                self.buy(limit=close, size=0.998)
                self.peak = 0.0
            return
        trade = self.trades[0]
        self.peak = max(self.peak, close)
        if _is_over(self.job, close, trade.entry_price, self.peak, self.times[bar] - self.times[trade.entry_bar]):
            trade.close()


def _is_over(job: dict[str, Any], close: float, entry: float, peak: float, held: int) -> bool:
    return bool(
        close <= entry * (1 - job["stop_loss_pct"] / 100)
        or close >= entry * (1 + job["take_profit_pct"] / 100)
        or (
            peak >= entry * (1 + job["trailing_activate_pct"] / 100) and close <= peak * (1 - job["trailing_pct"] / 100)
        )
        or held >= job["max_hold"]
    )


def main() -> None:
    begun = time.perf_counter()
    job = json.loads(Path(sys.argv[1]).read_text())
    DropBuy.job = job
    rule = HastyDropBuy if job.get("hasty") else DropBuy
    frames = [_read(Path(file)) for file in job["files"].values()]
    loaded, cpu = time.perf_counter(), time.process_time()
    trades, end = 0, 0.0
    warnings.simplefilter("ignore")
    for frame in frames:
        backtest = FractionalBacktest(
            frame, rule, cash=job["cash"] / len(frames), commission=job["fee_pct"] / 100, finalize_trades=True
        )
        found = backtest.run()
        trades += int(found["# Trades"])
        end += float(found["Equity Final [$]"])
    done = time.perf_counter()
    print(
        json.dumps(
            {
                "bars": sum(map(len, frames)),
                "trades": trades,
                "end_equity": round(end, 2),
                "load_s": loaded - begun,
                "trade_s": done - loaded,
                "trade_cpu_s": time.process_time() - cpu,
            }
        )
    )


def _read(file: Path) -> pd.DataFrame:
    frame = pd.read_csv(file, index_col=0, parse_dates=True)
    frame.columns = [name.rpartition(".")[2].capitalize() for name in frame.columns]
    return frame


if __name__ == "__main__":
    main()
