"""Market symbols, written BASE/QUOTE, from the many ways in which files spell them."""

from __future__ import annotations

import re

# fmt: off
QUOTES = (
    "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USDE", "USDP", "DAI", "USD", "EUR", "GBP", "CHF", "JPY",
    "KRW", "TRY", "BRL", "AUD", "CAD", "INR", "RUB", "UAH", "PLN", "BTC", "XBT", "ETH", "BNB",
)
# fmt: on

_TIMEFRAME = re.compile(r"[-_. ]\d+(ms|s|m|min|mins|h|hour|hours|d|day|w|mo)$", re.IGNORECASE)
_NAME = re.compile(r"[^\W_]+")


def symbol_from(text: str) -> str | None:
    """BASE/QUOTE from "BTC/USD", "BTC_USD", "btc-usdt", "BTCUSDT", "BTC_USDT-1h" or "Binance_BTCUSDT_1h"; None when
    the text does not tell."""
    parts = _NAME.findall(_TIMEFRAME.sub("", text.strip()).upper())
    if len(parts) > 1 and parts[-1] in QUOTES:
        return f"{parts[-2]}/{parts[-1]}" if parts[-2] != parts[-1] else None
    if len(parts) == 2 and not _splits(parts[1]):
        return f"{parts[0]}/{parts[1]}"
    splits = _splits(parts[-1]) if parts else []
    return splits[0] if len(splits) == 1 else None


def _splits(name: str) -> list[str]:
    """The ways to read a name without a separator; BNBUSD has two, so it says nothing for sure."""
    return [f"{name.removesuffix(quote)}/{quote}" for quote in QUOTES if name.endswith(quote) and name != quote]
