"""Bots and venues as processes: the command line itself, in children forked from a program that has imported it all.

A child is a whole process with its own memory, files and sockets, which can be killed and stopped like any other; only
the seconds that Python needs to read ccxt are saved.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Prepare = Callable[[], None]
_PR_SET_PDEATHSIG = 1


class Child:
    """`phasewright ARGUMENTS` in a child process. Its output goes to the end of `log`.

    Args:
        prepare: runs in the child before anything else.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, prepare: Prepare, folder: Path
    ) -> None:
        self.began = time.monotonic()
        self.status: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _live(arguments, environment, log, prepare, folder)

    def poll(self) -> int | None:
        """Its exit status, minus the signal's number if one ended it; None while it lives."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def wait(self, seconds: float) -> int | None:
        """Its exit status, as soon as there is one; None when it outlives these seconds."""
        until = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        return self.status

    def send(self, which: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, which)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self.wait(10)


def import_everything() -> None:
    """What the children need, before the first of them is made."""
    for name in (
        "ccxt.pro",
        "engine.live_commands",
        "engine.venue.command",
        "phasewright",
        "uvicorn.loops.auto",
        "uvicorn.protocols.websockets.websockets_sansio_impl",
    ):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def die_with_parent() -> None:
    """Whoever started this process may be killed, and nobody would end it then."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _live(arguments: Sequence[str], environment: Mapping[str, str], log: Path, prepare: Prepare, folder: Path) -> None:
    status = 1
    try:
        die_with_parent()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number in (1, 2):
            os.dup2(output, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder)
        for which in (signal.SIGINT, signal.SIGTERM):
            signal.signal(which, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["phasewright", *arguments]
        import phasewright

        prepare()
        phasewright.main()
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 0 if ending.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
