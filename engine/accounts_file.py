"""The accounts that workers share, in a file: which exchange, which symbols, and by which name the keys are found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

import msgspec

from engine.exchange.capabilities import exchange_named
from engine.exchange.credentials import Credentials, load_credentials
from engine.live_bot import BotOptions
from engine.live_settings import LIVE_KNOBS
from engine.settings import KNOBS
from generated.trading import KNOBS as MACHINE_KNOBS
from runtime.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SETTINGS = {knob.env for knob in (*KNOBS, *LIVE_KNOBS, *MACHINE_KNOBS) if knob.env}
_EXAMPLE = """

[[account]]
name = "alpha"
exchange = "binance"
symbols = ["BTC/USDT", "ETH/USDT"]
sandbox = true          # or: live = true, or: url = "http://127.0.0.1:8080" (a venue on this machine)
settings = {MAX_SLOTS = 1}

docs/workers.md has the rest."""


class AccountEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One account. `keys` is the name by which its keys are found, by default the account's own; `api_key` and `secret`
    are those of a rehearsal. `settings` come before the environment's."""

    name: str
    exchange: str
    symbols: tuple[str, ...]
    url: str | None = None
    sandbox: bool = False
    live: bool = False
    keys: str | None = None
    api_key: str | None = None
    secret: str | None = None
    settings: dict[str, str | int | float | bool] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    account: tuple[AccountEntry, ...]
    settings: dict[str, str | int | float | bool] = {}


class Accounts(msgspec.Struct, frozen=True):
    """What is in the file `path`, with what the environment adds to it."""

    path: Path
    entries: dict[str, AccountEntry]
    common: dict[str, str]

    def options(self, name: str, *, new_key: bool = False) -> BotOptions:
        """What to trade on an account, and where."""
        entry = self.entries[name]
        return BotOptions(
            exchange=entry.exchange,
            symbols=tuple(symbol.strip().upper() for symbol in entry.symbols),
            sandbox=entry.sandbox,
            live=entry.live,
            url=entry.url,
            new_key=new_key,
        )

    def environment(self, name: str, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment as an account sees it: its own settings come first, then the file's."""
        return {**environment, **self.common, **_written(self.entries[name].settings)}

    def credentials(self, name: str, environment: Mapping[str, str]) -> Credentials:
        """The keys of an account: those in the file, else PHASEWRIGHT_<NAME>_API_KEY and _SECRET, else the keyring's.

        Raises:
            ConfigError: they are in none of these places, or there is no such account.
        """
        if name not in self.entries:
            raise ConfigError(f"{self.path}: there is no account {name!r} in it, and so no way to its keys.")
        entry = self.entries[name]
        if entry.api_key is not None and entry.secret is not None:
            return Credentials(entry.api_key, entry.secret)
        keys = entry.keys or name
        prefix = f"PHASEWRIGHT_{re.sub(r'[^A-Za-z0-9]', '_', keys).upper()}"
        own = {
            f"PHASEWRIGHT_{suffix}": environment.get(f"{prefix}_{suffix}", "")
            for suffix in ("API_KEY", "SECRET", "PASSWORD")
        }
        try:
            return load_credentials(entry.exchange, keys, own)
        except ConfigError:
            raise ConfigError(
                f"There are no keys for account {name!r}: {prefix}_API_KEY and {prefix}_SECRET are not set, and the "
                f"keyring has none under phasewright/{entry.exchange}/{keys}. Nothing was sent. docs/workers.md says "
                "where keys are looked for."
            ) from None


def load_accounts(path: Path) -> Accounts:
    """Read the file.

    Raises:
        ConfigError: it cannot be read, or says something that makes no sense.
    """
    try:
        read = msgspec.toml.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path}: {error}. An accounts file looks like this:{_EXAMPLE}") from None
    if not read.account:
        raise ConfigError(f"{path}: there are no accounts in it. An accounts file looks like this:{_EXAMPLE}")
    _check_settings(path, read.settings)
    entries: dict[str, AccountEntry] = {}
    for entry in read.account:
        if entry.name in entries:
            raise ConfigError(f"{path}: there are two accounts {entry.name!r}. Each needs a name of its own.")
        _check(path, entry)
        entries[entry.name] = entry
    return Accounts(path, entries, _written(read.settings))


def check_name(name: str) -> None:
    """Raise ConfigError unless an account can be called so."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name for an account. It takes letters, digits, dots, dashes and underscores, at most 63, "
            "and begins with a letter or a digit."
        )


def _check_settings(path: Path, settings: Mapping[str, object]) -> None:
    for name in settings:
        if name not in _SETTINGS:
            near = get_close_matches(name.upper(), _SETTINGS, n=1)
            raise ConfigError(
                f"{path}: there is no setting {name!r}.{f' Did you mean {near[0]}?' if near else ''} They are called "
                "as the variables in README.md, docs/live.md and generated/trading/README.md."
            )


def _check(path: Path, entry: AccountEntry) -> None:
    check_name(entry.name)
    exchange_named(entry.exchange)
    _check_settings(path, entry.settings)
    if not entry.symbols:
        raise ConfigError(f'{path}: account {entry.name!r} has no symbols. Say what to trade: symbols = ["BTC/USDT"].')
    if (entry.api_key is None) != (entry.secret is None):
        raise ConfigError(f"{path}: account {entry.name!r} has one of api_key and secret; it takes both.")
    if entry.api_key is not None and entry.url is None:
        raise ConfigError(
            f"{path}: account {entry.name!r} has its keys in the file. Only those of a rehearsal (url) are no secret; "
            "others come from the environment or the keyring, by the name in `keys`. Take them out, and make new ones "
            "at the exchange if somebody else could read the file."
        )


def _written(settings: Mapping[str, str | int | float | bool]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in settings.items()}
