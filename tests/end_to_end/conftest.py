"""The tests here also use the world of the engine's tests, and the PostgreSQL servers of the runtime's."""

from __future__ import annotations

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(_TESTS / "engine"), str(_TESTS / "runtime" / "postgres")]

from postgres_server import database_url, postgres  # noqa: E402

__all__ = ["database_url", "postgres"]
