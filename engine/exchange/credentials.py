"""Keys of an account: from the environment or the machine's keyring, and never shown."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from runtime.errors import ConfigError

_FIELDS = {"api_key": "API_KEY", "secret": "SECRET", "password": "PASSWORD"}
_HIDDEN = "[hidden]"
_SIGNED = re.compile(
    r"(?i)\b(signature|sign|api[-_]?key|access[-_]?key|passphrase)(['\"]?\s*[=:]\s*['\"]?)[^\s&'\",}]+"
)
_SHORTEST = 4


class Credentials:
    """What signs the requests of one account. Its text shows none of it."""

    __slots__ = ("api_key", "password", "secret")

    def __init__(self, api_key: str, secret: str, password: str = "") -> None:
        self.api_key = api_key
        self.secret = secret
        self.password = password

    def __repr__(self) -> str:
        return f"Credentials({_HIDDEN})"

    def __reduce__(self) -> Any:
        raise TypeError("credentials are not written anywhere")

    def scrub(self, text: str) -> str:
        """`text` without any of the keys, and without what looks like a signature."""
        for value in (self.api_key, self.secret, self.password):
            if len(value) >= _SHORTEST:
                text = text.replace(value, _HIDDEN)
        return _SIGNED.sub(rf"\1\2{_HIDDEN}", text)


def load_credentials(
    exchange: str,
    account: str,
    environment: Mapping[str, str],
    keyring: Callable[[str, str], str | None] | None = None,
) -> Credentials:
    """The keys of `account`: PHASEWRIGHT_<EXCHANGE>_API_KEY, else PHASEWRIGHT_API_KEY, else the keyring's entry
    `api_key` of service `phasewright/<exchange>/<account>`; SECRET and PASSWORD likewise.

    Raises:
        ConfigError: key or secret is in none of these places.
    """
    ask = _system_keyring() if keyring is None else keyring
    found: dict[str, str] = {}
    for name, suffix in _FIELDS.items():
        own, common = f"PHASEWRIGHT_{exchange.upper()}_{suffix}", f"PHASEWRIGHT_{suffix}"
        value = environment.get(own) or environment.get(common)
        if not value and ask is not None:
            value = ask(f"phasewright/{exchange}/{account}", name)
        found[name] = (value or "").strip()
    missing = [f"PHASEWRIGHT_{suffix}" for name, suffix in _FIELDS.items() if name != "password" and not found[name]]
    if missing:
        unset = "is not set" if len(missing) == 1 else "are not set"
        way = (
            "Set them to what `phasewright venue` printed when it was started."
            if account == "rehearsal"
            else f"Set them in the environment, or `pip install keyring` and `keyring set phasewright/{exchange}/"
            f"{account} api_key` (and secret). Give the key the right to trade, and never the right to withdraw."
        )
        raise ConfigError(
            f"There are no keys for account {account!r} on {exchange}: {' and '.join(missing)} {unset}, and the "
            f"keyring {'is not installed' if ask is None else 'has none'}. Nothing was sent. {way}"
        )
    return Credentials(**found)


def _system_keyring() -> Callable[[str, str], str | None] | None:
    try:
        module: Any = importlib.import_module("keyring")
    except ImportError:
        return None

    def ask(service: str, name: str) -> str | None:
        try:
            value: str | None = module.get_password(service, name)
        except module.errors.KeyringError:
            return None
        return value

    return ask
