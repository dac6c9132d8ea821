"""The project's pinned formatter over generated Python, so that it is the same on every machine."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path as FilePath

_SETTINGS = ("--isolated", "--no-cache", "--config", "line-length = 120", "--config", 'target-version = "py311"')
_TIDY = (
    "check",
    "--quiet",
    "--fix",
    "--select",
    "I,F401,RUF022",
    "--config",
    'lint.isort.known-first-party = ["runtime"]',
)


class FormatterError(Exception):
    """The formatter is missing or refused what was generated."""


def format_python(files: dict[str, str]) -> dict[str, str]:
    """The texts, by relative path, with unused imports dropped, imports sorted and lines laid out.

    Raises:
        FormatterError: ruff is not installed, or a text is no Python.
    """
    with tempfile.TemporaryDirectory(prefix="phasewright-") as folder:
        root = FilePath(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(text.encode("utf-8"))
        _ruff(*_TIDY, *_SETTINGS, ".", cwd=root)
        _ruff("format", "--quiet", *_SETTINGS, ".", cwd=root)
        return {name: (root / name).read_bytes().decode("utf-8") for name in files}


def _ruff(*arguments: str, cwd: FilePath) -> None:
    try:
        from ruff import find_ruff_bin  # type: ignore[import-untyped]
    except ImportError:
        raise FormatterError("ruff is not installed, and it formats what is generated; run: make install") from None
    finished = subprocess.run(
        [find_ruff_bin(), *arguments], cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if finished.returncode:
        raise FormatterError(f"ruff refused what was generated:\n{finished.stdout}{finished.stderr}")
