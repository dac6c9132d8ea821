# Generated from spec/trading.yaml; do not edit.
# Change the spec and run: make generate
"""What trading sends along when it asks something of the world."""

from __future__ import annotations

import msgspec

from .data import OrderContext


class EvaluateEntryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the strategy about the bar."""

    bar_at: int
    """The close of the bar that is being judged. Milliseconds since the epoch (UTC)."""


class SubmitBuyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Send the buy order."""

    entry_order: OrderContext
    """The latest buy order."""


class CancelBuyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel the buy order and learn its final state."""

    entry_order: OrderContext
    """The latest buy order."""


class ResolveBuyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Find out whether the exchange has the buy order, once it can no longer accept it."""

    entry_order: OrderContext
    """The latest buy order."""


class EvaluateExitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the strategy about the position."""

    bar_at: int
    """The close of the bar that is being judged. Milliseconds since the epoch (UTC)."""
    opened_at: int
    """The first fill of the position. Milliseconds since the epoch (UTC)."""
    entry_order: OrderContext
    """The latest buy order."""


class SubmitSellRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Send the sell order."""

    exit_order: OrderContext
    """The latest sell order."""


class CancelSellRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel the sell order and learn its final state."""

    exit_order: OrderContext
    """The latest sell order."""


class ResolveSellRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Find out whether the exchange has the sell order, once it can no longer accept it."""

    exit_order: OrderContext
    """The latest sell order."""


class ReconcileRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the exchange about both orders of the symbol."""

    entry_order: OrderContext | None
    """The latest buy order."""
    exit_order: OrderContext | None
    """The latest sell order."""
