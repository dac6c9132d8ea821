"""The project's specs, and ways to change and verify them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from codegen.commands import verify
from codegen.verify.result import Verified

SPECS = Path(__file__).parents[3] / "spec"
Change = tuple[str, str]


def changed(text: str, changes: tuple[Change, ...]) -> str:
    """`text` with each passage exchanged; a passage that is not there, or is there twice, is a mistake in the test."""
    for old, new in changes:
        assert text.count(old) == 1, f"{text.count(old)} times in the spec: {old}"
        text = text.replace(old, new)
    return text


@pytest.fixture
def verified(tmp_path: Path) -> Callable[..., Verified]:
    """Verifies one machine of the project after some changes to its text."""

    def run(machine: str, *changes: Change, under_way: int | None = None, out_dir: Path | None = None) -> Verified:
        for path in SPECS.glob("*.yaml"):
            text = path.read_text(encoding="utf-8")
            (tmp_path / path.name).write_text(
                changed(text, changes) if path.stem == machine else text, encoding="utf-8"
            )
        (result,) = verify(tmp_path, [machine], under_way, out_dir=out_dir)
        return result

    return run
