"""`simulate --trace`: a counterexample that was written happens again, and a file that is none is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from phasewright_process import phasewright

SPECS = Path(__file__).parents[2] / "spec"
TIMEOUT = ("BUY_ORDER_TIMEOUT: {to: CANCEL_BUY}", "BUY_ORDER_TIMEOUT: {to: IDLE, do: [release_reservation]}")


def specs(folder: Path, *changes: tuple[str, str]) -> Path:
    """The project's specs, the trading machine with these changes."""
    folder.mkdir()
    for path in SPECS.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        for old, new in changes if path.stem == "trading" else ():
            assert text.count(old) == 1
            text = text.replace(old, new)
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


def test_a_loss_that_was_found_happens_again(tmp_path: Path) -> None:
    found = phasewright("verify", "trading", "--spec", specs(tmp_path / "spec", TIMEOUT), cwd=tmp_path)
    assert found.status == 1
    file = tmp_path / "counterexamples" / "trading-no-forgotten-buy-order.json"
    done = phasewright("simulate", "--trace", file, cwd=tmp_path)
    assert done.status == 0
    assert "reproduced: A buy order is live and nobody looks after it" in done.out
    assert "BUY_ORDER_TIMEOUT handled by WAIT_FILL/BUY_ORDER_TIMEOUT/1, WAIT_FILL -> IDLE" in done.out
    assert "At the end, in IDLE:" in done.out
    assert "live at the exchange: buy order" in done.out
    assert max(map(len, done.out.splitlines())) <= 120

    told = json.loads(file.read_text())
    corrected = {path.name: path.read_text(encoding="utf-8") for path in SPECS.glob("*.yaml")}
    file.write_text(json.dumps({**told, "spec": corrected, "digest": ""}))
    done = phasewright("simulate", "--trace", file, cwd=tmp_path)
    assert done.status == 1
    assert "NOT reproduced: step 6 differed: the phase afterwards: expected IDLE, found CANCEL_BUY" in done.out


def test_a_machine_that_no_bot_carries_out_does_as_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "crossing.json"
    path = json.loads((SPECS.parent / "generated" / "crossing" / "paths.json").read_text())["paths"][0]
    steps = path["steps"][:8]
    file.write_text(json.dumps({"trace": 1, "machine": "crossing", "steps": steps}))
    done = phasewright("simulate", "--trace", file, "--spec", SPECS, cwd=tmp_path)
    assert done.status == 0
    assert done.out.endswith("\nplayed: every step went as the trace says\n")

    file.write_text(json.dumps({"trace": 1, "machine": "crossing", "steps": [], "claim": "no_dead_end", "loss": "All"}))
    done = phasewright("simulate", "--trace", file, "--spec", SPECS, cwd=tmp_path)
    assert done.status == 0
    assert "reproduced" not in done.out
    assert "for a machine without a bot nothing is asked of its books" in done.out

    steps[-1]["after"]["phase"] = "FLASHING"
    file.write_text(json.dumps({"trace": 1, "machine": "crossing", "steps": steps}))
    done = phasewright("simulate", "--trace", file, "--spec", SPECS, cwd=tmp_path)
    assert done.status == 1
    assert "NOT reproduced" in done.out


@pytest.mark.parametrize("claim", ["no_dead_end", "no_fill_let_go", "no_forgotten_buy_order"])
def test_nothing_is_lost_without_a_step(claim: str, tmp_path: Path) -> None:
    file = tmp_path / "trading.json"
    file.write_text(json.dumps({"trace": 1, "machine": "trading", "steps": [], "claim": claim, "loss": "Everything."}))
    done = phasewright("simulate", "--trace", file, "--spec", SPECS, cwd=tmp_path)
    assert done.status == 1
    assert "NOT reproduced: " in done.out
    assert claim in done.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("machine: trading", "this is no trace: "),
        ('{"trace": 1, "machine": "trading"', "this is no trace: Input data was truncated"),
        ('{"machine": "trading"}', "$.trace: no format, expected 1"),
        ('{"trace": 2}', "$.trace: format 2, expected 1"),
        ('{"trace": 1, "machine": "trading", "steps": [{"kind": "jump"}]}', "`$.steps[0].kind`"),
        ('{"trace": 1, "machine": "other", "steps": [], "spec": {"a.yaml": "x"}}', "a.yaml"),
        ('{"trace": 1, "machine": "trading", "steps": [], "spec": {"../a.yaml": "x"}}', "'../a.yaml'"),
        (
            '{"trace": 1, "machine": "crossing", "steps": [{"kind": "timer", "event": "NO", "after": {"phase": ""}}]}',
            "$.steps[0].event: spec/crossing.yaml has no 'NO'",
        ),
        (
            '{"trace": 1, "machine": "trading", "steps": [], "claim": "no_such"}',
            "$.claim: `trading` does not claim",
        ),
        ('{"trace": 1, "machine": "crossing", "steps": [], "claim": ""}', "$.claim: `crossing` does not claim ``"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_trace_is_refused_with_the_place(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    if text is not None:
        file.write_text(text)
    done = phasewright("simulate", "--trace", file, "--spec", SPECS, cwd=tmp_path)
    assert (done.status, done.out) == (1, "")
    assert said in done.err
    assert list(tmp_path.iterdir()) == ([file] if text is not None else [])
