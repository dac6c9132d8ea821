"""The generated paths show everything there is to show, and are the same wherever they are worked out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codegen.commands import verify
from codegen.flatten import flatten
from codegen.loading import load
from codegen.verify.items import items
from codegen.verify.text import render_verified

HOUSE = Path(__file__).parents[3]

SWITCH = """\
machine: switch
version: 1
summary: A switch that waits before it goes off.
initial: OFF
error_event: FAILED

config:
  linger: {type: duration, default: 5s, summary: How long it stays on.}

events:
  PRESSED: {summary: Somebody presses it.}
  OVER: {summary: It has been on for long enough., otherwise: {reject: Only a timer can raise this.}}
  FAILED: {summary: Something fails., payload: {error: str, failed_event: str}, otherwise: {ignore: It stays as it is.}}

guards:
  dark: {summary: It is dark.}

actions:
  light: {summary: Light the lamp.}

phases:
  OFF:
    summary: It is off.
    waits_for: Somebody who presses it.
    on:
      PRESSED:
        - {if: dark, to: ON, do: [light]}
        - {ignore: It is day.}
  ON:
    summary: It is on.
    timeout: {after: linger, raises: OVER, on_restore: keep_deadline}
    on:
      PRESSED: defer
      OVER: {to: OFF}
      FAILED: {to: OFF}
"""


def spec_with(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = SWITCH
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    folder = tmp_path / "spec"
    folder.mkdir(exist_ok=True)
    (folder / "switch.yaml").write_text(text, encoding="utf-8")
    return folder


def test_everything_there_is_to_show_is_named(tmp_path: Path) -> None:
    spec = load(spec_with(tmp_path) / "switch.yaml").spec
    assert spec is not None
    assert [one.name for one in items(flatten(spec))] == [
        "guard:OFF/PRESSED dark=true",
        "guard:OFF/PRESSED dark=false",
        "row:OFF/PRESSED/1",
        "crash-before:OFF/PRESSED/1",
        "crash-after:OFF/PRESSED/1",
        "row:OFF/PRESSED/2",
        "cell:OFF/OVER",
        "cell:OFF/FAILED",
        "timeout:ON",
        "stale:ON",
        "cell:ON/PRESSED",
        "taken-later:ON/PRESSED",
        "row:ON/OVER/1",
        "crash-before:ON/OVER/1",
        "crash-after:ON/OVER/1",
        "row:ON/FAILED/1",
        "crash-before:ON/FAILED/1",
        "crash-after:ON/FAILED/1",
        "guard-error:dark",
        "action-error:light",
    ]


def test_paths_show_all_of_it_and_say_what_no_world_provokes(tmp_path: Path) -> None:
    (result,) = verify(spec_with(tmp_path), out_dir=tmp_path / "out")
    assert result.good
    coverage = result.coverage
    assert coverage is not None
    assert str(coverage).startswith("switch: 20 of 20 items covered by ")
    written = json.loads((tmp_path / "out" / "switch" / "paths.json").read_text(encoding="utf-8"))
    covers = [name for path in written["paths"] for name in path["covers"]]
    assert len(covers) == len(set(covers)) == 20
    free = {name for path in written["paths"] if not path["with_exchange"] for name in path["covers"]}
    assert free == {"cell:OFF/OVER"}
    assert coverage.only_free == 1


def test_what_no_path_shows_is_named_with_its_place_and_nothing_is_written(tmp_path: Path) -> None:
    # The row raises what its own phase rejects, so it can never be carried out.
    dazzled = "  DAZZLED: {summary: It is day., source: internal, otherwise: {reject: No.}}\n"
    folder = spec_with(
        tmp_path,
        ("{ignore: It is day.}", "{raise: [DAZZLED]}"),
        ("  FAILED: {summary", f"{dazzled}  FAILED: {{summary"),
    )
    (result,) = verify(folder, out_dir=tmp_path / "out")
    assert result.holds
    assert not result.good
    assert result.coverage is not None
    assert [one.name for one in result.coverage.missing] == [
        f"{kind}:OFF/PRESSED/2" for kind in ("row", "crash-before", "crash-after")
    ]
    text = render_verified(result)
    assert "switch: 21 of 24 items covered" in text
    assert f"    spec/switch.yaml:{result.coverage.missing[0].line}: row:OFF/PRESSED/2" in text
    assert not (tmp_path / "out").exists()


FADING = """\
  FADING:
    summary: It fades.
    entry: {raise: [FADED]}
    on:
      FADED: {to: OFF}
      PRESSED: {ignore: It fades.}
      FAILED: {to: OFF}
"""


def test_a_phase_that_is_only_passed_through_is_not_counted(tmp_path: Path) -> None:
    faded = "  FADED: {summary: It is dark., source: internal, otherwise: {reject: No.}}\n"
    folder = spec_with(
        tmp_path,
        ("      OVER: {to: OFF}\n", "      OVER: {to: FADING}\n"),
        ("  ON:\n", f"{FADING}  ON:\n"),
        ("  FAILED: {summary", f"{faded}  FAILED: {{summary"),
    )
    (result,) = verify(folder, out_dir=tmp_path / "out")
    assert result.good
    assert result.coverage is not None
    # PRESSED in FADING, and the like; what was raised there is shown.
    assert result.coverage.passing > 0
    covers = {name for path in result.coverage.paths for name in path.covers}
    assert "row:FADING/FADED/1" in covers


def test_a_smaller_bound_writes_no_paths(tmp_path: Path) -> None:
    (result,) = verify(spec_with(tmp_path), under_way=2, out_dir=tmp_path / "out")
    assert result.coverage is None
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_the_paths_are_the_same_for_every_hash_seed(seed: str, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from codegen.commands import verify; " + (
        "[*verify(Path('spec'), ['crossing', 'venue'], out_dir=Path(sys.argv[1]))]"
    )
    env = {**os.environ, "PYTHONHASHSEED": seed}
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=HOUSE, env=env, check=True)
    for machine in ("crossing", "venue"):
        found = (tmp_path / machine / "paths.json").read_bytes()
        assert found == (HOUSE / "generated" / machine / "paths.json").read_bytes()
