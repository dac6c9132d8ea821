"""What the command line does with a database that several processes share. All of it returns data."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from difflib import get_close_matches

import msgspec

from engine.books import SymbolStatus, account_status
from engine.commands import RecoverOutcome
from generated.trading import DEFINITION, Phase, RecoverRequested
from runtime.clock import SystemClock
from runtime.errors import StoreError
from runtime.events import Outcome
from runtime.naming import given
from runtime.postgres.connection import Address, Database, check_schema, connect
from runtime.postgres.inbox import Enqueued, enqueue
from runtime.postgres.overview import Overview, known_instances, read_overview
from runtime.postgres.store import PostgresStore

_RECOVERY = 180
"""Seconds: longer than a recovery takes until it is given up."""
_LATEST = 50
"""Among how many events of a symbol the answer is looked for."""


class Sent(msgspec.Struct, frozen=True):
    """What became of an event that was sent, and the id by which it is known."""

    outcome: Enqueued
    id: str


def send(url: str, account: str, symbol: str, event: str, payload: str, id: str | None) -> Sent:
    """Put an event into the inbox of an account.

    Raises:
        StoreError: there is no such event, the payload is not one's, or the database refuses it.
    """
    defined = DEFINITION.events.get(event)
    if defined is None:
        near = get_close_matches(event.upper(), DEFINITION.events, n=3)
        raise StoreError(
            f"There is no event {event!r} in {DEFINITION.source}. "
            f"{'Did you mean ' + ' or '.join(near) + '? ' if near else ''}Nothing was sent."
        )
    try:
        msgspec.json.decode(payload, type=defined.payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        fields = ", ".join(defined.payload.__struct_fields__) or "none"
        raise StoreError(f"{payload} is no {event}: {error}. Its fields are: {fields}. Nothing was sent.") from None
    id = id or uuid.uuid4().hex
    address = Address(url)
    with connect(address, "send") as connection:
        check_schema(address, connection)
        # An account that was never held has no symbols yet; whoever takes it first knows them.
        if known := known_instances(address, connection, account):
            _check_symbol(account, known, symbol)
        outcome = enqueue(
            address,
            connection,
            account=account,
            instance=symbol,
            event=event,
            payload=payload.encode(),
            at=SystemClock().now(),
            id=id,
        )
    return Sent(outcome, id)


def accounts(url: str) -> Overview:
    """Who holds what, and what waits."""
    address = Address(url)
    with connect(address, "accounts", read_only=True) as connection:
        check_schema(address, connection)
        return read_overview(address, connection, SystemClock().now())


def recover(url: str, account: str, symbol: str, sleep: Callable[[float], None] = time.sleep) -> RecoverOutcome:
    """Ask whoever holds the account to recover a symbol, and wait for what comes of it.

    Raises:
        StoreError: there is no such account or symbol, it is not in ERROR, or nobody answers; what was asked for then
            waits in the inbox.
    """
    database = Database(url, "recover", connections=1, read_only=True)
    try:
        store = PostgresStore(database, account)
        before = _status(store, symbol).phase
        payload = msgspec.json.encode(RecoverRequested(requested_by="phasewright recover"))
        sent = send(url, account, symbol, RecoverRequested.event, payload.decode(), None)
        for _ in range(_RECOVERY * 4):
            rows = store.audit(symbol, _LATEST)
            answer = next((row for row in rows if row.identity == given(sent.id)), None)
            if answer is not None and answer.outcome is not Outcome.HANDLED:
                raise StoreError(f"{symbol} is in {answer.phase_from}. {answer.reason} Nothing was changed.")
            if answer is not None and rows[-1].phase_to != Phase.RECOVERING:
                now = _status(store, symbol)
                return RecoverOutcome(symbol, before, now.phase, now.note if now.phase == Phase.ERROR else "")
            sleep(0.25)
        raise StoreError(
            f"{database.address}, account {account}: nobody has answered in {_RECOVERY} s. `phasewright accounts --db "
            "URL` shows whether a worker holds the account, and what was refused. The request waits in its inbox, and "
            "whoever takes the account will do it."
        )
    finally:
        database.close()


def _status(store: PostgresStore, symbol: str) -> SymbolStatus:
    known = {one.symbol: one for one in account_status(store.load()).symbols}
    _check_symbol(store.account, list(known), symbol)
    return known[symbol]


def _check_symbol(account: str, known: Sequence[str], symbol: str) -> None:
    if symbol not in known:
        raise StoreError(
            f"account {account}: there is no symbol {symbol!r}. It has {', '.join(known) or 'none yet'}. "
            "Symbols are written BASE/QUOTE, in capitals. Nothing was sent."
        )
