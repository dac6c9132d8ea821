"""The commands that work on a bot, in the order in which help lists them. What they need is imported where used."""

from __future__ import annotations

import typer

from engine.command_line import books, database, live, recorded, shared, venue

app = typer.Typer()
for part in (recorded, live, books, venue, shared, database):
    app.add_typer(part.app)
