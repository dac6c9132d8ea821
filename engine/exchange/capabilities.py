"""What each exchange can do through the installed ccxt: how our order id is sent, looked up and canceled, and how a
request is made to expire. Every entry is checked by the bytes that ccxt makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from runtime.errors import ConfigError


class LookUp(StrEnum):
    BY_ID = "one request by our id"
    LISTS = "lists of open and closed orders, filtered by our id"
    NONE = "none by our id"


class Expiry(StrEnum):
    """How the bytes of a create say until when they may be carried out."""

    PARAMETERS = "timestamp + recvWindow, signed"
    HEADERS = "X-BAPI-TIMESTAMP + X-BAPI-RECV-WINDOW, signed"
    EXP_TIME = "expTime header"
    DEADLINE = "deadline parameter, signed"
    NONE = "none that can be set"


class Trades(StrEnum):
    BY_ORDER = "by the order's id"
    BY_TRADE_IDS = "by the ids that the order lists"


class Exchange(msgspec.Struct, frozen=True):
    """One exchange. `id_key`, `look_up_key` and `cancel_key` are ccxt's parameters for our id; `refused` says why no
    real money is traded there, and what it would take."""

    name: str
    sent_as: str
    look_up: LookUp
    expiry: Expiry
    max_window: int | None
    sandbox: bool
    fee_in_base: bool
    lacks: str
    id_key: str = "clientOrderId"
    look_up_key: str = "clientOrderId"
    cancel_key: str = "clientOrderId"
    trades: Trades = Trades.BY_ORDER
    market_buy: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    refused: str = ""
    history: bool = False
    """Whether the account's past can be read page by page, each row once, by the bytes of ccxt's requests."""
    open_at_once: int | None = None
    """From how many symbols on one question for the open orders of all symbols weighs less than one for each; None
    where its answer need not be whole."""


_MINUTE = 60_000

EXCHANGES: dict[str, Exchange] = {
    exchange.name: exchange
    for exchange in (
        Exchange(
            "binance",
            sent_as="newClientOrderId",
            look_up=LookUp.BY_ID,
            expiry=Expiry.PARAMETERS,
            max_window=_MINUTE,
            sandbox=True,
            fee_in_base=True,
            lacks="an order has no fees: they are in its trades",
            options={"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False},
            history=True,
            open_at_once=14,
        ),
        Exchange(
            "okx",
            sent_as="clOrdId",
            look_up=LookUp.BY_ID,
            expiry=Expiry.EXP_TIME,
            max_window=_MINUTE,
            sandbox=True,
            fee_in_base=True,
            lacks="a create is answered with ids alone",
            options={"fetchMarkets": {"types": ["spot"]}},
        ),
        Exchange(
            "bybit",
            sent_as="orderLinkId",
            look_up=LookUp.LISTS,
            look_up_key="orderLinkId",
            cancel_key="orderLinkId",
            expiry=Expiry.HEADERS,
            max_window=_MINUTE,
            sandbox=True,
            fee_in_base=True,
            lacks="creates and cancels are answered with ids alone; no look-up of one spot order by our id",
            market_buy={"marketUnit": "baseCoin"},
            options={
                "fetchMarkets": {"types": ["spot"]},
                "enableUnifiedMargin": False,
                "enableUnifiedAccount": True,
                "unifiedMarginStatus": 6,
            },
        ),
        Exchange(
            "kraken",
            sent_as="cl_ord_id",
            look_up=LookUp.LISTS,
            expiry=Expiry.DEADLINE,
            max_window=_MINUTE,
            sandbox=False,
            fee_in_base=False,
            lacks="a create is answered with the id and our own inputs; a cancel with a count",
            trades=Trades.BY_TRADE_IDS,
        ),
        Exchange(
            "kucoin",
            sent_as="clientOid",
            look_up=LookUp.BY_ID,
            expiry=Expiry.NONE,
            max_window=None,
            sandbox=False,
            fee_in_base=False,
            lacks="a create is answered with the id alone, never with ours",
            refused="a create is never confirmed by our id, and a request that is lost does not expire: each order "
            "would be looked up, and one that is not shown could neither be sent again nor given up. It would take a "
            "way to make its requests expire.",
        ),
        Exchange(
            "bitget",
            sent_as="clientOid",
            look_up=LookUp.BY_ID,
            expiry=Expiry.NONE,
            max_window=None,
            sandbox=False,
            fee_in_base=True,
            lacks="a create is answered with ids alone",
            options={"uta": False},
            refused="a request that is lost does not expire, so an order that is not shown could neither be sent again "
            "nor given up. It would take a way to make its requests expire.",
        ),
        Exchange(
            "gate",
            sent_as="text, as t-ID of at most 28 characters",
            look_up=LookUp.BY_ID,
            expiry=Expiry.NONE,
            max_window=None,
            sandbox=False,
            fee_in_base=True,
            lacks="a cancel by our id is sent without any id",
            options={"unifiedAccount": False},
            refused="its order ids have at most 28 characters, ours have 32; and requests do not expire. It would take "
            "shorter ids and a cancel by the exchange's own id.",
        ),
        Exchange(
            "coinbase",
            sent_as="client_order_id",
            id_key="client_order_id",
            look_up=LookUp.NONE,
            expiry=Expiry.NONE,
            max_window=None,
            sandbox=False,
            fee_in_base=False,
            lacks="no look-up and no cancel by our id; market buys only by their cost",
            refused="an order cannot be looked up by our id, so one whose answer is lost could not be found again, and "
            "requests do not expire. It would take a scan of all orders that is proven to be complete.",
        ),
    )
}


def exchange_named(name: str) -> Exchange:
    """The exchange's entry.

    Raises:
        ConfigError: there is none.
    """
    exchange = EXCHANGES.get(name)
    if exchange is None:
        raise ConfigError(
            f"Exchange {name!r} is not in the table of what is known to be safe ({', '.join(EXCHANGES)}), so an order "
            "whose answer is lost might be sent twice there. Nothing was sent. Use one of the table, or add an entry "
            "to engine/exchange/capabilities.py with a test of the bytes: how our order id is sent, looked up and "
            "canceled, and how a request expires."
        )
    return exchange
