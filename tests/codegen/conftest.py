from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def door() -> str:
    """The text of a small machine that gives no findings."""
    return (Path(__file__).parent / "lint" / "valid" / "spec.yaml").read_text(encoding="utf-8")


@pytest.fixture
def spec_dir(tmp_path: Path, door: str) -> Path:
    """A folder that holds that machine as door.yaml."""
    folder = tmp_path / "spec"
    folder.mkdir()
    (folder / "door.yaml").write_text(door, encoding="utf-8")
    return folder
