"""The venue as a process, and ccxt clients of it as the documentation has them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import phasewright

ROOT = Path(phasewright.__file__).parent


@contextmanager
def started(db: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Any, httpx.Client]]:
    command = [sys.executable, str(ROOT / "phasewright.py"), "venue", "--db", str(db), "--control", "--json", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            with httpx.Client(base_url=ready["url"], verify=False) as http:
                yield process, ready, http
        finally:
            process.kill()


def documented(kind: str) -> list[str]:
    """The blocks of this kind in docs/venue.md."""
    page = (ROOT / "docs" / "venue.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def client_of(name: str, ready: Any, keys: Any = None) -> Any:
    """A ccxt client, made as the documentation has it; of the first account, or of that with `keys`."""
    keys = keys or ready
    namespace: dict[str, Any] = {}
    for block in documented("python client"):
        exec(block, namespace)
    client = namespace[name](ready["url"], keys["api_key"], keys["secret"])
    client.enableRateLimit = False
    return client
