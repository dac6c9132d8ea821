"""Which account a database belongs to, and what must be said before it trades with real money."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from hashlib import blake2s
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from engine.exchange.capabilities import exchange_named
from engine.live_errors import TradeError
from engine.live_settings import confirmation_of
from engine.stores import ACCOUNT
from runtime.errors import ConfigError, StoreError
from runtime.store import Store


class Mode(StrEnum):
    """Whose money it is."""

    REAL = "real money"
    SANDBOX = "sandbox"
    REHEARSAL = "rehearsal"


class AccountStore(Store, Protocol):
    """A store on which it is written whose it is."""

    def label(self, key: str) -> str | None:
        """What was written under `key`, None when nothing was."""
        ...

    def set_label(self, key: str, value: str) -> None:
        """Write it; it replaces what was there under `key`."""
        ...


class Account(msgspec.Struct, frozen=True):
    """What a database is marked with. `key` is a hash of the API key, never the key itself; `url` is the venue's."""

    exchange: str
    mode: Mode
    key: str
    url: str = ""

    def __str__(self) -> str:
        return f"{self.exchange} ({self.mode.value})"


# Made once, and not in the threads that open accounts: see runtime.store.
decode_account = msgspec.json.Decoder(Account).decode


def choose_mode(exchange: str, *, live: bool, sandbox: bool, url: str | None, confirmation: str) -> Mode:
    """Where to trade. Nothing is assumed: real money only when it is asked for and confirmed.

    Raises:
        ConfigError: the message says exactly what to set.
        TradeError: the exchange offers no such thing.
    """
    known = exchange_named(exchange)
    if sum((live, sandbox, url is not None)) != 1:
        raise ConfigError(
            "Say where to trade, with one of: --url http://127.0.0.1:PORT (a venue of `phasewright venue`, to "
            f"rehearse), --sandbox ({exchange}'s test network), or --live (real money). Nothing was started."
        )
    if url is not None:
        check_loopback(url)
        return Mode.REHEARSAL
    if sandbox:
        if not known.sandbox:
            raise TradeError(
                f"{exchange} has no test network for its spot market that could be used (ccxt knows none). Rehearse "
                "against a venue on loopback instead: `phasewright venue`, then --url."
            )
        return Mode.SANDBOX
    if known.refused:
        raise TradeError(f"No real money is traded on {exchange}: {known.refused}")
    if confirmation != confirmation_of(exchange):
        raise ConfigError(
            "Trading with real money must be confirmed in the configuration too, and is not. Nothing was sent. Set\n"
            f'  PHASEWRIGHT_LIVE="{confirmation_of(exchange)}"\n'
            "in the environment of the bot, exactly so, and start it again."
        )
    return Mode.REAL


def check_loopback(url: str) -> None:
    """Raise ConfigError unless `url` is that of a venue on this machine."""
    parts = urlsplit(url)
    try:
        local = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
        port = parts.port
    except ValueError:
        local, port = False, None
    if parts.scheme != "http" or not local or port is None or parts.path.strip("/"):
        raise ConfigError(
            f"--url is {url!r}: it takes the address of a venue on this machine, as in http://127.0.0.1:8080. The "
            "requests carry keys, and an exchange is reached with --sandbox or --live."
        )


def hash_of_key(exchange: str, api_key: str) -> str:
    """Recognises a key without telling it."""
    return blake2s(f"phasewright\0{exchange}\0{api_key}".encode(), digest_size=16).hexdigest()


def database_name(exchange: str, mode: Mode) -> str:
    """The file of a bot when no other is named: never the same for real money and for a rehearsal."""
    return f"{exchange}.db" if mode is Mode.REAL else f"{exchange}-{mode.value}.db"


def account_of(store: AccountStore) -> Account | None:
    """The account that the database is marked with; None for a recorded run, or a bot that never got to start."""
    label = store.label(ACCOUNT)
    return None if label is None else decode_account(label)


def check_account(store: AccountStore, place: object, account: Account, *, new_key: bool) -> None:
    """Refuse a database that belongs to another account.

    Args:
        place: names the database in messages.
        new_key: the user says that it is another key of the same account.

    Raises:
        StoreError: it belongs to another account, or to a recorded run.
    """
    known = account_of(store)
    if known is None:
        if store.last_event_at() is not None or store.load().entries:
            raise StoreError(
                f"{place}: this database belongs to a recorded run. Its money is not on any exchange. "
                "Give the bot a database of its own with --db."
            )
        return
    if (known.exchange, known.mode) != (account.exchange, account.mode):
        raise StoreError(
            f"{place}: this database belongs to {known}, not to {account}. Two accounts in one database would be one "
            "set of books for two purses. Give each bot a database of its own with --db."
        )
    if known.key != account.key and not new_key:
        raise StoreError(
            f"{place}: this database was traded with another API key. If the key in use belongs to another account, "
            "give it a database of its own with --db. If it is a new key of the same account, say so once with "
            "--new-key."
        )


def mark(store: AccountStore, account: Account) -> None:
    """Write on the database whose it is."""
    store.set_label(ACCOUNT, msgspec.json.encode(account).decode())


def environment_name(account: Account) -> str:
    """Under which name the keyring has the account's keys."""
    return account.mode.value.replace(" ", "-")
