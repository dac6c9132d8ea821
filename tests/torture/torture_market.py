"""Short bars in which there is something to trade every few seconds: falls, recoveries, further falls."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

PRICES = {
    "BTC": 60_000,
    "ETH": 3_000,
    "BNB": 600,
    "SOL": 150,
    "LTC": 90,
    "AVAX": 30,
    "LINK": 14,
    "DOT": 6,
    "XRP": 2,
    "ADA": 1,
    "TRX": 0.3,
    "DOGE": 0.2,
}
BARS = 240
STAKE = 1_000


def symbols(count: int) -> tuple[str, ...]:
    """The first `count` of them, and then made-up ones, against USDT."""
    made_up = (f"M{number:03}" for number in range(len(PRICES), count))
    return tuple(f"{base}/USDT" for base in (*list(PRICES)[:count], *made_up))


def write_market(folder: Path, names: tuple[str, ...], seed: int, bar: int = 1) -> None:
    """A file of bars, of so many seconds, for each symbol. Some trade so little that an order fills in parts."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        base = name.partition("/")[0]
        chance = random.Random(f"{seed} {base}")
        middle, factor = PRICES.get(base) or chance.choice(list(PRICES.values())), 1.0
        lines = ["timestamp,open,high,low,close,volume"]
        digits = max(0, 5 - len(str(int(middle)))) if middle >= 1 else 5
        for place in range(BARS):
            opened = factor
            factor *= 1 + chance.gauss(0, 0.006) + (1 - factor) * 0.05
            high = max(opened, factor) * (1 + abs(chance.gauss(0, 0.001)))
            low = min(opened, factor) * (1 - abs(chance.gauss(0, 0.001)))
            worth = STAKE * bar * chance.choice((1, 4, 20, 100))
            numbers = [Decimal(f"{middle * part:.{digits}f}") for part in (opened, high, low, factor)]
            first, top, bottom, last = numbers
            top, bottom = max(numbers), min(numbers)
            volume = f"{worth / (middle * factor):.6f}"
            lines.append(f"{1_700_000_000_000 + place * bar * 1_000},{first},{top},{bottom},{last},{volume}")
        (folder / f"{name.replace('/', '_')}.csv").write_text("\n".join(lines) + "\n")
