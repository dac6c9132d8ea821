"""A finished run, and what the tests of commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from phasewright_process import Done, Traded, phasewright, write_market

sys.path.append(str(Path(__file__).parents[1] / "runtime" / "postgres"))

from postgres_server import postgres

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Traded:
    folder = tmp_path_factory.mktemp("traded")
    market = write_market(folder / "market", 400)
    done = phasewright("run", "--db", "bot.db", "--data", "market", cwd=folder)
    assert done.status == 0, done.err
    return Traded(folder, folder / "bot.db", market, done)


@pytest.fixture
def refused() -> Callable[[Done], str]:
    """The one message of a command that refused, or could not do, what was asked."""

    def message(done: Done) -> str:
        assert done.status == 1, done
        assert done.out == ""
        assert done.err.count("error: ") == 1, done.err
        return done.err[done.err.index("error: ") :]

    return message
