"""What ends a live bot, in words for whoever runs it."""

from __future__ import annotations

from engine.live_notices import clause
from runtime.errors import PhasewrightError


class TradeError(PhasewrightError):
    """The bot cannot trade, or not any longer. What is committed stays, and orders that are live stay live."""


def key_refused(exchange: str, why: str) -> str:
    """What to say when the exchange refuses the key for everything."""
    why = clause(why.removeprefix(f"{exchange} refuses the key: "))
    return (
        f"{exchange} refuses the key or what it may do: {why}. Check the key and its secret, that it may trade on the "
        "spot market, and that it may be used from this machine's address. The bot has stopped and keeps its books; "
        "orders that are live stay live at the exchange. With a key that works, the same command goes on from here."
    )


def trading_refused(exchange: str, why: str) -> str:
    """What to say when it refuses orders, and still answers what is read."""
    return (
        f"{exchange} refused an order for the sake of the key ({clause(why)}), and still answers what it "
        "reads: the right to trade was taken from the key, or from the account, or orders are allowed from other "
        "addresses only. Give it back (spot trading), then start the same command again. The bot has stopped and "
        "keeps its books; orders that are live stay live at the exchange."
    )
