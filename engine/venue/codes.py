"""Binance's refusals: code, HTTP status, text."""

from __future__ import annotations

import msgspec


class VenueError(Exception):
    """What the venue answers instead of a result: `code` and `text` in the body, `status` on the wire."""

    def __init__(self, code: int, text: str | None = None, status: int | None = None, retry_after: int | None = None):
        known = CODES[code]
        self.code = code
        self.text = known.text if text is None else text
        self.status = known.status if status is None else status
        self.retry_after = retry_after
        super().__init__(f"{self.code} {self.text}")

    @property
    def body(self) -> bytes:
        return msgspec.json.encode({"code": self.code, "msg": self.text})


class Code(msgspec.Struct, frozen=True):
    status: int
    text: str


# From binance's error page and from answers seen; where it has many texts for a code, the most frequent.
CODES = {
    -1000: Code(500, "An unknown error occurred while processing the request."),
    -1001: Code(500, "Internal error; unable to process your request. Please try again."),
    -1002: Code(401, "You are not authorized to execute this request."),
    -1003: Code(
        429,
        "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket "
        "Streams for live updates to avoid polling the API.",
    ),
    -1006: Code(500, "An unexpected response was received from the message bus. Execution status unknown."),
    -1007: Code(
        504, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    ),
    -1008: Code(503, "Server is currently overloaded with other requests. Please try again in a few minutes."),
    -1013: Code(400, "Filter failure: LOT_SIZE"),
    -1015: Code(429, "Too many new orders; current limit is 100 orders per 10 SECOND."),
    -1016: Code(503, "This service is no longer available."),
    -1020: Code(400, "This operation is not supported."),
    -1021: Code(400, "Timestamp for this request is outside of the recvWindow."),
    -1022: Code(400, "Signature for this request is not valid."),
    -1100: Code(400, "Illegal characters found in a parameter."),
    -1101: Code(400, "Too many parameters sent for this endpoint."),
    -1102: Code(400, "A mandatory parameter was not sent, was empty/null, or malformed."),
    -1104: Code(400, "Not all sent parameters were read."),
    -1106: Code(400, "A parameter was sent when not required."),
    -1111: Code(400, "Parameter 'quantity' has too much precision."),
    -1115: Code(400, "Invalid timeInForce."),
    -1116: Code(400, "Invalid orderType."),
    -1117: Code(400, "Invalid side."),
    -1120: Code(400, "Invalid interval."),
    -1121: Code(400, "Invalid symbol."),
    -1125: Code(400, "This listenKey does not exist."),
    -1128: Code(400, "Combination of optional parameters invalid."),
    -1131: Code(400, "recvWindow must be less than 60000."),
    -2010: Code(400, "Account has insufficient balance for requested action."),
    -2011: Code(400, "Unknown order sent."),
    -2013: Code(400, "Order does not exist."),
    -2014: Code(401, "API-key format invalid."),
    -2015: Code(401, "Invalid API-key, IP, or permissions for action."),
    -2026: Code(400, "Order was canceled or expired with no executed qty over 90 days ago and has been archived."),
}


def mandatory(name: str) -> VenueError:
    """The refusal of a request without the parameter `name`."""
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, pattern: str) -> VenueError:
    """The refusal of a parameter that does not match `pattern`."""
    return VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")
