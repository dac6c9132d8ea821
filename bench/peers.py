"""A virtual environment of its own for what the benchmarks compare with: none of it belongs among our dependencies."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parent.parent
_VENV = ROOT / ".venv-bench"
_LOCKED = Path(__file__).parent / "requirements-peers.txt"


def peers_python() -> Path:
    """The interpreter that has the peers, and what `runtime` needs; made at the first call, which takes minutes.

    Raises:
        subprocess.CalledProcessError: the packages cannot be installed; pip has said why.
    """
    python, installed = _VENV / "bin" / "python", _VENV / ".installed"
    wanted = hashlib.sha256(_LOCKED.read_bytes() + sys.version.encode()).hexdigest()
    with FileLock(f"{_VENV}.lock"):
        if not installed.is_file() or installed.read_text() != wanted:
            print(f"Installing the peers into {_VENV.name} (a few minutes)", file=sys.stderr, flush=True)
            venv.create(_VENV, with_pip=True, clear=True)
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
            subprocess.run([*pip, "install", "--require-hashes", "-r", str(_LOCKED)], check=True)
            installed.write_text(wanted)
    return python


def peers_environment() -> dict[str, str]:
    """The environment in which `peers_python()` also imports `bench`, `runtime` and `generated`."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
