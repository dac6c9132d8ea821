"""`phasewright venue`: from options to a venue that serves."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import resource
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import get_args

import msgspec

from engine.market_data.candles import Series, load_candles
from engine.market_data.symbols import symbol_from
from engine.venue.fates import PROFILES
from engine.venue.script import Script, load_script
from engine.venue.server import OpenVenue, listen
from engine.venue.settings import BASE_PRICES, DEFAULT_SYMBOLS, Keys, Limits, Parts, VenueSettings
from runtime.clock import SystemClock
from runtime.errors import ConfigError

_MOST_NAMED = 8
_MOST_ACCOUNTS = 9_999
_MADE_PRICES = (Decimal("0.05"), Decimal(1), Decimal(20), Decimal(300), Decimal(4_000))


class VenueOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As they are written on the command line."""

    host: str = "127.0.0.1"
    port: int = 0
    db: Path | None = None
    seed: int = 1
    faults: str = "calm"
    script: Path | None = None
    symbols: tuple[str, ...] = ()
    made_symbols: int = 0
    accounts: int = 1
    data: Path | None = None
    balances: tuple[str, ...] = ()
    parts: str = "some"
    weight: int = 6_000
    orders: int = 100
    api_key: str | None = None
    secret: str | None = None
    control: bool = False


class NamedKeys(msgspec.Struct, frozen=True):
    """An account, and what its bot signs with."""

    name: str
    api_key: str
    secret: str


class Ready(msgspec.Struct, frozen=True):
    """The venue answers: where, and to whom. The first of the accounts has `api_key` and `secret`."""

    url: str
    api_key: str
    secret: str
    symbols: list[str]
    db: str
    pid: int
    accounts: list[NamedKeys]
    accounts_file: str | None
    """Where the keys are written down, when there is more than one account."""

    def as_json(self) -> str:
        """One line for scripts."""
        return msgspec.json.encode(self).decode()

    def as_text(self) -> str:
        """For people: where it is, and the keys as a shell takes them."""
        symbols = ", ".join(self.symbols) if len(self.symbols) <= _MOST_NAMED else f"{len(self.symbols)} symbols"
        if self.accounts_file is None:
            keys = f"export PHASEWRIGHT_API_KEY={self.api_key}\nexport PHASEWRIGHT_SECRET={self.secret}"
            return f"venue {self.url}  {symbols}\n{keys}"
        return f"venue {self.url}  {len(self.accounts)} accounts, keys in {self.accounts_file}  {symbols}"

    def accounts_toml(self) -> str:
        """What the file of the accounts says."""
        lines = [f"# The accounts of the venue at {self.url}. No money is behind them."]
        for account in self.accounts:
            told = {
                "name": account.name,
                "exchange": "binance",
                "url": self.url,
                "symbols": self.symbols,
                "api_key": account.api_key,
                "secret": account.secret,
            }
            # JSON's texts and lists are TOML's too.
            lines += [
                "",
                "[[account]]",
                *(f"{name} = {msgspec.json.encode(one).decode()}" for name, one in told.items()),
            ]
        return "\n".join(lines) + "\n"


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
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        raise ConfigError(
            f"{options.host}:{options.port}: cannot be listened on ({error.strerror or error}). "
            "Stop what listens there, or choose another --port; 0 takes a free one."
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    host, port = listener.getsockname()
    ready = Ready(
        url=f"http://{host}:{port}",
        api_key=settings.api_key,
        secret=settings.secret,
        symbols=list(settings.prices),
        db=str(path),
        pid=os.getpid(),
        accounts=[
            NamedKeys(f"venue-{number}", keys.api_key, keys.secret) for number, keys in enumerate(settings.keys, 1)
        ],
        accounts_file=f"{path}.accounts.toml" if settings.further else None,
    )

    def tell() -> None:
        if ready.accounts_file is not None:
            _write_privately(Path(ready.accounts_file), ready.accounts_toml())
        on_ready(ready)

    # The books of each account are three or four files.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with listener:
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
            asyncio.run(venue.serve(listener, tell))
        finally:
            venue.close()


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
    if not 1 <= options.accounts <= _MOST_ACCOUNTS:
        raise ConfigError(f"--accounts is {options.accounts}; give a number from 1 to {_MOST_ACCOUNTS}.")
    wanted = dict(_symbol(text) for text in options.symbols)
    wanted |= {
        f"M{number:03}/USDT": _MADE_PRICES[number % len(_MADE_PRICES)] for number in range(1, options.made_symbols + 1)
    }
    if candles is not None:
        missing = sorted(set(wanted) - set(candles))
        if missing:
            raise ConfigError(f"{missing[0]}: {options.data} has no candles of it.")
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
        further=tuple(
            Keys(_made(options.seed, f"key {number}"), _made(options.seed, f"secret {number}"))
            for number in range(2, options.accounts + 1)
        ),
        seed=options.seed,
        parts=msgspec.convert(options.parts, Parts),
        limits=Limits(weight=options.weight, orders_10s=options.orders),
    )


def _write_privately(path: Path, text: str) -> None:
    """Keys are nobody else's to read."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


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
