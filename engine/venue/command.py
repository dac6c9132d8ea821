"""`phasewright venue`: from options to a venue that serves."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import get_args

import msgspec

from engine.exchange.paper_file import PaperExchangeError
from engine.market_data.candles import Series, load_candles
from engine.market_data.symbols import symbol_from
from engine.venue.fates import PROFILES
from engine.venue.script import Script, load_script
from engine.venue.server import OpenVenue, listen
from engine.venue.settings import BASE_PRICES, DEFAULT_SYMBOLS, Limits, Parts, VenueSettings
from runtime.clock import SystemClock
from runtime.errors import ConfigError, PhasewrightError


class VenueOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As they are written on the command line."""

    host: str = "127.0.0.1"
    port: int = 0
    db: Path | None = None
    seed: int = 1
    faults: str = "calm"
    script: Path | None = None
    symbols: tuple[str, ...] = ()
    data: Path | None = None
    balances: tuple[str, ...] = ()
    parts: str = "some"
    weight: int = 6_000
    orders: int = 100
    api_key: str | None = None
    secret: str | None = None
    control: bool = False


class Ready(msgspec.Struct, frozen=True):
    """The venue answers: where, and to whom."""

    url: str
    api_key: str
    secret: str
    symbols: list[str]
    db: str
    pid: int

    def as_json(self) -> str:
        """One line for scripts."""
        return msgspec.json.encode(self).decode()

    def as_text(self) -> str:
        """One line for people."""
        return f"venue {self.url}  api key {self.api_key}  secret {self.secret}  {', '.join(self.symbols)}"


def run(options: VenueOptions, environment: Mapping[str, str], on_ready: Callable[[Ready], None]) -> None:
    """Serve until the process is told to end.

    Raises:
        PhasewrightError: an option, a file or the address cannot be used.
    """
    candles = None if options.data is None else load_candles(options.data)
    settings = settings_of(options, candles)
    if options.faults not in PROFILES:
        raise ConfigError(f"--faults is {options.faults!r}; choose one of {', '.join(PROFILES)}.")
    script = Script() if options.script is None else load_script(options.script)
    path = options.db or Path(environment.get("FSM_SNAPSHOT_DIR", "var")) / "venue.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        raise ConfigError(
            f"{options.host}:{options.port}: cannot be listened on ({error.strerror or error}). "
            "Stop what listens there, or choose another --port; 0 takes a free one."
        ) from None
    host, port = listener.getsockname()
    ready = Ready(
        f"http://{host}:{port}", settings.api_key, settings.secret, list(settings.prices), str(path), os.getpid()
    )
    with listener:
        try:
            venue = OpenVenue(
                path,
                settings,
                SystemClock(),
                profile=PROFILES[options.faults],
                script=script,
                candles=candles,
                control=options.control,
            )
            try:
                asyncio.run(venue.serve(listener, lambda: on_ready(ready)))
            finally:
                venue.close()
        except PaperExchangeError as error:
            raise PhasewrightError(str(error)) from None


def settings_of(options: VenueOptions, candles: Mapping[str, Series] | None) -> VenueSettings:
    """What the options ask for. Raises ConfigError for what cannot be."""
    try:
        local = ipaddress.ip_address(options.host).is_loopback and ":" not in options.host
    except ValueError:
        local = False
    if not local and options.host != "0.0.0.0":
        raise ConfigError(f"--host is {options.host!r}; give an address of loopback (127.0.0.1), or 0.0.0.0 for all.")
    if options.parts not in get_args(Parts):
        raise ConfigError(f"--parts is {options.parts!r}; choose one of {', '.join(get_args(Parts))}.")
    wanted = dict(_symbol(text) for text in options.symbols)
    if candles is not None:
        missing = sorted(set(wanted) - set(candles))
        if missing:
            raise ConfigError(f"--symbol {missing[0]}: {options.data} has no candles of it.")
        prices = {symbol: candles[symbol].candles[0].open for symbol in wanted or candles}
    else:
        given = wanted or dict(_symbol(text) for text in DEFAULT_SYMBOLS)
        prices = {
            symbol: price or BASE_PRICES.get(symbol.split("/")[0], Decimal(100)) for symbol, price in given.items()
        }
    balances = dict(_amount("--balance", text) for text in options.balances)
    if not balances:
        balances = {symbol.split("/")[1]: Decimal(10_000) for symbol in prices}
    return VenueSettings(
        prices=prices,
        balances=balances,
        api_key=options.api_key or _made(options.seed, "key"),
        secret=options.secret or _made(options.seed, "secret"),
        seed=options.seed,
        parts=msgspec.convert(options.parts, Parts),
        limits=Limits(weight=options.weight, orders_10s=options.orders),
    )


def _symbol(text: str) -> tuple[str, Decimal | None]:
    name, price = _amount("--symbol", text) if "=" in text else (text, None)
    symbol = symbol_from(name)
    if symbol is None:
        raise ConfigError(f"--symbol {text}: write BASE/QUOTE, as in BTC/USDT or BTC/USDT=60000.")
    return symbol, price


def _amount(option: str, text: str) -> tuple[str, Decimal]:
    name, _, number = text.partition("=")
    try:
        value = Decimal(number)
    except InvalidOperation:
        value = Decimal(0)
    if not name or not value.is_finite() or not 0 < value < 10**15:
        raise ConfigError(f"{option} {text}: write a name and an amount above 0, as in USDT=10000.")
    return name, value


def _made(seed: int, name: str) -> str:
    # No money is behind it: a bot's settings stay good when the venue is started again.
    return hashlib.blake2b(f"phasewright venue {name} {seed}".encode(), digest_size=32).hexdigest()
