"""How the command line shows a database that several processes share."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from engine.terminal import plain_table
from runtime.postgres.overview import Overview

_LATE = 5_000
"""Milliseconds by which a timer may be overdue before it is worth a colour."""


def show_accounts(console: Console, found: Overview) -> None:
    """One line per account, then what needs somebody, then the workers."""
    shown = plain_table("account", "holder", numbers=("epoch", "lease s", "open", "overdue", "waiting", "refused"))
    for one in found.accounts:
        shown.add_row(
            Text(one.account),
            Text(one.holder) if one.holder else Text("nobody" if one.served else "nobody serves it", style="yellow"),
            str(one.epoch),
            f"{one.expires_in / 1000:.1f}" if one.holder else "-",
            *(str(number) if number else "-" for number in (one.open_intents, one.overdue, one.waiting)),
            Text(str(one.refused), style="red") if one.refused else "-",
        )
    console.print(shown)
    for one in found.accounts:
        if one.strayed:
            text = (
                f"{one.account}: the database goes on with another history than it was last held in; nobody takes it. "
                "Compare it with its exchange, then run `phasewright db accept-failover`."
            )
            console.print(Text(text, style="bold red"), soft_wrap=not console.is_terminal)
    for message in found.refused:
        text = f"{message.account}: message {message.message}, {message.event} for {message.instance}, was refused: "
        console.print(Text(text + message.reason, style="red"), soft_wrap=not console.is_terminal)
    console.print()
    workers = plain_table("worker", numbers=("holds", "of", "seen s ago"))
    for worker in found.workers:
        workers.add_row(Text(worker.worker), str(worker.holds), str(worker.serves), f"{worker.unseen / 1000:.1f}")
    console.print(workers if found.workers else "No worker is running.")
