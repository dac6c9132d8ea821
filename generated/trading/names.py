# Generated from spec/trading.yaml; do not edit.
# Change the spec and run: make generate
"""The names of the machine trading."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The phases an instance can be in."""
    WARMUP = 'WARMUP'
    """The strategy collects bars."""
    IDLE = 'IDLE'
    """No order, no position."""
    ENTRY_EVAL = 'ENTRY_EVAL'
    """The strategy is asked whether to buy."""
    PLACE_BUY = 'PLACE_BUY'
    """A buy order has been asked for; no answer yet."""
    WAIT_FILL = 'WAIT_FILL'
    """A buy order is live on the exchange."""
    CANCEL_BUY = 'CANCEL_BUY'
    """The buy order is live until the exchange confirms its cancel."""
    BUY_UNKNOWN = 'BUY_UNKNOWN'
    """Nobody knows whether the exchange has the buy order; it is looked up until it is known."""
    POSITION = 'POSITION'
    """Something is held and can be sold."""
    EXIT_EVAL = 'EXIT_EVAL'
    """The strategy is asked whether to sell."""
    PLACE_SELL = 'PLACE_SELL'
    """A sell order has been asked for; no answer yet."""
    WAIT_SELL_FILL = 'WAIT_SELL_FILL'
    """A sell order is live on the exchange."""
    CANCEL_SELL = 'CANCEL_SELL'
    """The sell order is live until the exchange confirms its cancel."""
    SELL_UNKNOWN = 'SELL_UNKNOWN'
    """Nobody knows whether the exchange has the sell order; it is looked up until it is known."""
    DUST = 'DUST'
    """What is left is too small to be sold; it is set aside in the books and reported."""
    POST_TRADE = 'POST_TRADE'
    """The trade is closed in the books."""
    COOLDOWN = 'COOLDOWN'
    """A pause before the next trade."""
    ERROR = 'ERROR'
    """Stopped for a person to look; fills that arrive are still booked."""
    RECOVERING = 'RECOVERING'
    """The exchange is asked what became of the orders; the phase follows its answer."""


class FSMEvent(StrEnum):
    """What can happen to an instance."""
    WARMUP_COMPLETED = 'WARMUP_COMPLETED'
    """The strategy has seen enough bars to speak."""
    SLOT_AVAILABLE = 'SLOT_AVAILABLE'
    """A bar closed that is worth a look; a trading slot may be free."""
    SIGNAL_DETECTED = 'SIGNAL_DETECTED'
    """The strategy wants to buy."""
    NO_SIGNAL = 'NO_SIGNAL'
    """The strategy does not want to buy."""
    GUARDS_FAILED = 'GUARDS_FAILED'
    """The signal is good, but slots, cash or the exchange's minima forbid it."""
    EVALUATION_TIMEOUT = 'EVALUATION_TIMEOUT'
    """The strategy did not answer in time."""
    BUY_ORDER_PLACED = 'BUY_ORDER_PLACED'
    """The exchange has the buy order."""
    BUY_ORDER_REJECTED = 'BUY_ORDER_REJECTED'
    """The exchange refused the buy order, or it provably never left."""
    BUY_ORDER_ABSENT = 'BUY_ORDER_ABSENT'
    """Proven that the exchange has no such buy order and can no longer come to have it."""
    BUY_ORDER_PARTIAL = 'BUY_ORDER_PARTIAL'
    """A buy order is filled in part and stays live."""
    BUY_ORDER_FILLED = 'BUY_ORDER_FILLED'
    """A buy order is filled."""
    BUY_ORDER_CANCELED = 'BUY_ORDER_CANCELED'
    """A buy order is final and not wholly filled; the fills that it has are listed."""
    BUY_ORDER_TIMEOUT = 'BUY_ORDER_TIMEOUT'
    """The buy order was not filled in time."""
    EXIT_CHECK_DUE = 'EXIT_CHECK_DUE'
    """A bar closed at which the position should be judged."""
    NO_EXIT = 'NO_EXIT'
    """The strategy keeps the position."""
    TAKE_PROFIT_HIT = 'TAKE_PROFIT_HIT'
    """The position has gained enough."""
    STOP_LOSS_HIT = 'STOP_LOSS_HIT'
    """The position has lost too much."""
    TRAILING_STOP_HIT = 'TRAILING_STOP_HIT'
    """The position has fallen too far from its best price."""
    POSITION_TIMEOUT = 'POSITION_TIMEOUT'
    """The position was held for too long."""
    SELL_ORDER_PLACED = 'SELL_ORDER_PLACED'
    """The exchange has the sell order."""
    SELL_ORDER_REJECTED = 'SELL_ORDER_REJECTED'
    """The exchange refused the sell order, or it provably never left."""
    SELL_ORDER_ABSENT = 'SELL_ORDER_ABSENT'
    """Proven that the exchange has no such sell order and can no longer come to have it."""
    SELL_ORDER_PARTIAL = 'SELL_ORDER_PARTIAL'
    """A sell order is filled in part and stays live."""
    SELL_ORDER_FILLED = 'SELL_ORDER_FILLED'
    """A sell order is filled."""
    SELL_ORDER_CANCELED = 'SELL_ORDER_CANCELED'
    """A sell order is final and not wholly filled; the fills that it has are listed."""
    SELL_ORDER_TIMEOUT = 'SELL_ORDER_TIMEOUT'
    """The sell order was not filled in time."""
    ORDER_OUTCOME_UNKNOWN = 'ORDER_OUTCOME_UNKNOWN'
    """Nobody knows yet whether the exchange has the order."""
    CANCEL_OUTCOME_UNKNOWN = 'CANCEL_OUTCOME_UNKNOWN'
    """Nobody knows yet whether the cancel was carried out."""
    PLACEMENT_TIMEOUT = 'PLACEMENT_TIMEOUT'
    """No answer to an order request."""
    CANCEL_TIMEOUT = 'CANCEL_TIMEOUT'
    """A cancel is still unconfirmed."""
    RESOLVE_DUE = 'RESOLVE_DUE'
    """The fate of an order is still unknown."""
    DUST_SET_ASIDE = 'DUST_SET_ASIDE'
    """What cannot be sold is booked as dust."""
    TRADE_COMPLETE = 'TRADE_COMPLETE'
    """The round trip is closed."""
    COOLDOWN_EXPIRED = 'COOLDOWN_EXPIRED'
    """The pause is over."""
    ERROR_OCCURRED = 'ERROR_OCCURRED'
    """Something failed that the machine has no row for."""
    RECOVER_REQUESTED = 'RECOVER_REQUESTED'
    """A person asks for the symbol to be recovered."""
    RECONCILED = 'RECONCILED'
    """The exchange has been asked about every order of the symbol; here is its answer."""
    RECONCILE_FAILED = 'RECONCILE_FAILED'
    """The exchange could not be asked."""
    RECOVERY_TIMEOUT = 'RECOVERY_TIMEOUT'
    """The recovery got no answer."""


class Effect(StrEnum):
    """What is asked of the world."""
    evaluate_entry = 'evaluate_entry'
    """Ask the strategy about the bar."""
    submit_buy = 'submit_buy'
    """Send the buy order."""
    cancel_buy = 'cancel_buy'
    """Cancel the buy order and learn its final state."""
    resolve_buy = 'resolve_buy'
    """Find out whether the exchange has the buy order, once it can no longer accept it."""
    evaluate_exit = 'evaluate_exit'
    """Ask the strategy about the position."""
    submit_sell = 'submit_sell'
    """Send the sell order."""
    cancel_sell = 'cancel_sell'
    """Cancel the sell order and learn its final state."""
    resolve_sell = 'resolve_sell'
    """Find out whether the exchange has the sell order, once it can no longer accept it."""
    reconcile = 'reconcile'
    """Ask the exchange about both orders of the symbol."""
