"""What an answer of the exchange proves, as a table. What is not in it proves nothing: Unknown.

A row is only as good as its evidence. To add one, show that the exchange says so of a request that it did not carry
out; a row that is missing costs a look-up, a row that is wrong costs money.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engine.exchange.wire import Ask, Cause, Failed, Reply


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    """The exchange has the order, and names it by its id and by ours."""
    REJECTED = "rejected"
    """Refused for good: the same order would be refused again."""
    UNSENT = "unsent"
    """Nothing was done, for a reason that is not the order's: it may be asked again."""
    LOOK = "look"
    """The exchange says that it has seen the order before: look it up."""
    ABSENT = "absent"
    """The exchange does not show the order."""
    UNKNOWN = "unknown"


class Row(msgspec.Struct, frozen=True):
    """A condition on a failure and what it proves; what is None or empty matches everything. The first row counts."""

    asks: tuple[Ask, ...]
    verdict: Verdict
    evidence: str
    exchange: str | None = None
    causes: tuple[Cause, ...] = (Cause.ANSWERED,)
    errors: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    codes: tuple[str, ...] = ()
    text: str = ""

    def matches(self, exchange: str, ask: Ask, failed: Failed) -> bool:
        return (
            ask in self.asks
            and self.exchange in (None, exchange)
            and failed.cause in self.causes
            and (not self.errors or failed.error in self.errors)
            and (not self.statuses or failed.status in self.statuses)
            and (not self.codes or failed.code in self.codes)
            and self.text in failed.message.lower()
        )


_ORDERS = (Ask.CREATE, Ask.CANCEL)
_ANY = tuple(Ask)
_CREATE = (Ask.CREATE,)
_UNSAYABLE = ("ArgumentsRequired", "BadRequest", "BadSymbol", "InvalidOrder", "NotSupported", "UnsayableOrder")

TABLE: tuple[Row, ...] = (
    Row(
        _CREATE,
        Verdict.REJECTED,
        "raised before the request was begun: the order cannot be said in this exchange's terms",
        causes=(Cause.LOCAL,),
        errors=_UNSAYABLE,
    ),
    Row(_ANY, Verdict.UNSENT, "the order's own request was never begun", causes=(Cause.LOCAL,)),
    Row(
        _ANY,
        Verdict.UNSENT,
        "no connection was made (DNS, refused, TLS, or a time-out before any): no byte of the request left",
        causes=(Cause.NOT_CONNECTED,),
    ),
    Row((Ask.ORDER,), Verdict.ABSENT, "the lists were read to the end", causes=(Cause.ABSENT,)),
    # --- binance: https://developers.binance.com/docs/binance-spot-api-docs/errors ---
    Row(
        _ANY,
        Verdict.UNSENT,
        "-1021 INVALID_TIMESTAMP: the request is refused before it is carried out, and the same bytes are not sent "
        "again; measure the clock, then claim anew",
        exchange="binance",
        codes=("-1021",),
    ),
    Row(
        _ANY,
        Verdict.UNSENT,
        "-1003 TOO_MANY_REQUESTS: counted and refused at the door",
        exchange="binance",
        codes=("-1003",),
    ),
    Row(
        _CREATE,
        Verdict.UNSENT,
        "-1015 TOO_MANY_ORDERS: the limit on new orders is checked before one is made",
        exchange="binance",
        codes=("-1015",),
    ),
    Row(
        _ANY,
        Verdict.UNSENT,
        "429 (a limit was broken) and 418 (banned for going on) are answered at the door, by the exchange's "
        "documentation of its limits",
        exchange="binance",
        statuses=(429, 418),
    ),
    Row(
        _CREATE,
        Verdict.LOOK,
        "-2010 'Duplicate order sent.': an open order has this client order id, so an earlier request was accepted",
        exchange="binance",
        codes=("-2010",),
        text="duplicate",
    ),
    Row(
        _CREATE,
        Verdict.REJECTED,
        "-2010 NEW_ORDER_REJECTED (insufficient balance, market closed, and so on): the matching engine refused it",
        exchange="binance",
        codes=("-2010",),
    ),
    Row(
        _CREATE,
        Verdict.REJECTED,
        "-1013 INVALID_MESSAGE 'Filter failure': checked before the order is made",
        exchange="binance",
        codes=("-1013",),
    ),
    Row(
        _ANY,
        Verdict.REJECTED,
        "-1002, -1022, -2014, -2015: the key, its permissions, its address or the signature is refused; after an "
        "authenticated call ccxt calls -2015 DDoSProtection, which would look as if it passed",
        exchange="binance",
        codes=("-1002", "-1022", "-2014", "-2015"),
    ),
    Row(
        _CREATE,
        Verdict.REJECTED,
        "-11xx: a parameter is missing, malformed or not allowed; the request was not understood",
        exchange="binance",
        codes=tuple(str(-code) for code in (*range(1100, 1122), *range(1125, 1129), 1130, 1131)),
    ),
    Row(
        (Ask.ORDER,),
        Verdict.ABSENT,
        "-2013 NO_SUCH_ORDER",
        exchange="binance",
        codes=("-2013",),
    ),
    Row(
        (Ask.CANCEL,),
        Verdict.LOOK,
        "-2011 CANCEL_REJECTED 'Unknown order sent.': not open; it may have filled",
        exchange="binance",
        codes=("-2011",),
    ),
    # --- okx: https://www.okx.com/docs-v5/en/#error-code ---
    Row(
        _CREATE,
        Verdict.LOOK,
        "51016 duplicated client order id: an earlier request was accepted",
        exchange="okx",
        codes=("51016",),
    ),
    Row(
        _CREATE,
        Verdict.UNSENT,
        "50102: the timestamp, or 50036: the expTime, lies in the past; refused before it is carried out",
        exchange="okx",
        codes=("50036", "50102"),
    ),
    Row(_CREATE, Verdict.REJECTED, "51008 insufficient balance", exchange="okx", codes=("51008",)),
    Row(
        _CREATE,
        Verdict.REJECTED,
        "51020, 51000: below the minimum; a parameter is wrong",
        exchange="okx",
        codes=("51000", "51020"),
    ),
    Row((Ask.ORDER,), Verdict.ABSENT, "51603 the order does not exist", exchange="okx", codes=("51603",)),
    Row(
        (Ask.CANCEL,),
        Verdict.LOOK,
        "51400 to 51402, 51410: already filled, canceled, unknown or being canceled",
        exchange="okx",
        codes=("51400", "51401", "51402", "51410"),
    ),
    # --- bybit: https://bybit-exchange.github.io/docs/v5/error ---
    Row(_CREATE, Verdict.UNSENT, "10002: outside of recv_window", exchange="bybit", codes=("10002",)),
    Row(
        _CREATE,
        Verdict.LOOK,
        "110072, 170141: duplicate orderLinkId; an earlier request was accepted",
        exchange="bybit",
        codes=("110072", "170141"),
    ),
    Row(_CREATE, Verdict.REJECTED, "170131 insufficient balance", exchange="bybit", codes=("170131",)),
    Row(
        (Ask.CANCEL,),
        Verdict.LOOK,
        "110001, 170213: the order does not exist or is final; it may have filled",
        exchange="bybit",
        codes=("110001", "170213"),
    ),
    # --- kraken: https://docs.kraken.com/api/docs/guides/spot-errors ---
    Row(
        _ANY,
        Verdict.UNSENT,
        "EAPI:Invalid nonce: refused as not authentic",
        exchange="kraken",
        codes=("EAPI:Invalid nonce",),
    ),
    Row(
        _CREATE, Verdict.REJECTED, "EOrder:Insufficient funds", exchange="kraken", codes=("EOrder:Insufficient funds",)
    ),
    Row(
        (Ask.CANCEL,),
        Verdict.LOOK,
        "EOrder:Unknown order: not open; it may have filled",
        exchange="kraken",
        codes=("EOrder:Unknown order",),
    ),
)


def verdict(exchange: str, ask: Ask, client_order_id: str, reply: Reply) -> Verdict:
    """What `reply` proves of the request.

    That an order was accepted is believed only of a reply that names it by the exchange's id and by ours.
    """
    if isinstance(reply, Failed):
        row = next((row for row in TABLE if row.matches(exchange, ask, reply)), None)
        return Verdict.UNKNOWN if row is None else row.verdict
    named = bool(reply.exchange_order_id) and reply.client_order_id == client_order_id
    return Verdict.ACCEPTED if named else Verdict.UNKNOWN


_KEY_ERRORS = ("AuthenticationError", "PermissionDenied", "AccountNotEnabled", "AccountSuspended")
_KEY_CODES = {"binance": ("-1002", "-1022", "-2014", "-2015")}


def refuses_key(exchange: str, reply: Failed) -> bool:
    """Whether the exchange refuses our key, its permissions or its address, so that asking again changes nothing."""
    return reply.cause is Cause.ANSWERED and (reply.code in _KEY_CODES.get(exchange, ()) or reply.error in _KEY_ERRORS)
