"""Who is asking, and whether the request is still fresh: binance's rules for signed requests."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

from engine.venue.codes import VenueError, illegal, mandatory

DEFAULT_WINDOW = 5_000
LONGEST_WINDOW = 60_000
_AHEAD = 1_000
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,3})?")


def sign(secret: str, payload: str) -> str:
    """The signature of the query string and the body, one after the other."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def check_signature(secret: str, query: str, body: str) -> None:
    """Raise -1102 without a signature, -1022 with one that is not over exactly these bytes."""
    signed = []
    given = None
    for text in (query, body):
        parts = text.split("&") if text else []
        signed.append("&".join(part for part in parts if not part.startswith("signature=")))
        for part in parts:
            if part.startswith("signature="):
                given = part.removeprefix("signature=")
    if not given:
        raise mandatory("signature")
    if not same_signature(given, sign(secret, "".join(signed))):
        raise VenueError(-1022)


def same_signature(given: str, right: str) -> bool:
    """Compare in constant time; the case of the letters does not count."""
    return hmac.compare_digest(given.lower().encode(), right.encode())


def window_of(params: Mapping[str, str]) -> tuple[int, int]:
    """The request's timestamp and window in milliseconds."""
    if not params.get("timestamp"):
        raise mandatory("timestamp")
    values = []
    for name, default in (("timestamp", ""), ("recvWindow", str(DEFAULT_WINDOW))):
        text = params.get(name, default)
        if not _NUMBER.fullmatch(text):
            raise illegal(name, r"^[0-9]{1,20}$")
        values.append(int(float(text)) if "." in text else int(text))
    timestamp, window = values
    if window > LONGEST_WINDOW:
        raise VenueError(-1131)
    return timestamp, window


def check_window(timestamp: int, window: int, server_time: int) -> None:
    """Raise -1021 unless timestamp < server time + 1 s and server time - timestamp <= window."""
    if timestamp >= server_time + _AHEAD:
        raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if server_time - timestamp > window:
        raise VenueError(-1021)
