"""What the venue's process is given besides its options: the profile of faults, prices that are known for minutes and
not for hours, and a count of what its own list of faults does not have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torture_settings import TORTURE


def prepare_venue(counts: Path) -> None:
    """Appends a line to `counts` for every report of a stream that is lost, repeated or held back, and every view that
    is behind the books."""
    from engine.venue import fates, prices
    from engine.venue.venue import Venue

    fates.PROFILES["torture"] = TORTURE
    module: Any = prices
    module.BEHIND, module.AHEAD, module.HOUR = 60_000, 900_000, 300_000
    output = os.open(counts, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def count(what: str) -> None:
        os.write(output, f"{what}\n".encode())

    report, view, trades_view = fates.Fates.report, Venue.view, Venue.trades_view

    def reporting(known: fates.Fates, client_order_id: str, number: int) -> tuple[int, ...]:
        copies = report(known, client_order_id, number)
        if not copies:
            count("report lost")
        if len(copies) > 1:
            count("report repeated")
        if any(copies):
            count("report held back")
        return copies

    def viewing(venue: Venue, order: Any) -> Any:
        shown = view(venue, order)
        if shown is None:
            count("order not shown yet")
        elif shown != order.state(venue.present()):
            count("order shown as it was")
        return shown

    def viewing_trades(venue: Venue, order: Any) -> Any:
        shown = trades_view(venue, order)
        if len(shown) < len(order.trades):
            count("trades not shown yet")
        return shown

    patched: Any = Venue
    patched.view, patched.trades_view = viewing, viewing_trades
    known: Any = fates.Fates
    known.report = reporting
