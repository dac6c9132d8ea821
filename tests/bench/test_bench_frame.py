"""How benchmarks are run and judged, on benchmarks that measure nothing."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import run
from bench.measuring import CannotMeasure, in_turns, is_behind, middle_ratio, ratio

FACTS = {"date": "2026-01-01", "cpu": "a cpu"}


def benchmark(monkeypatch: pytest.MonkeyPatch, name: str, measure: Any) -> None:
    monkeypatch.setitem(sys.modules, f"bench.{name}", SimpleNamespace(measure=measure))


def result(value: float, **limit: float) -> dict[str, Any]:
    rows = [{"case": "a case", "value": 3, "unit": "s", "ours": True}, {"case": "another", "value": 0, "unit": "s"}]
    return {"rows": [*rows, {"what": "a <table>"}], "ratios": {"one by another": ratio(value, "because", **limit)}}


@pytest.mark.parametrize(
    ("found", "behind"),
    [
        (ratio(1.5, "", at_least=1.4), False),
        (ratio(1.5, "", at_least=1.6), True),
        (ratio(1.5, "", at_most=1.6), False),
        (ratio(1.5, "", at_most=1.4), True),
    ],
)
def test_a_ratio_is_behind_when_it_is_outside_its_limit(found: dict[str, Any], behind: bool) -> None:
    assert is_behind(found) is behind


def test_a_ratio_without_a_limit_or_with_two_is_refused() -> None:
    with pytest.raises(ValueError, match="one limit"):
        ratio(1, "")
    with pytest.raises(ValueError, match="one limit"):
        ratio(1, "", at_least=1, at_most=2)


def test_a_benchmark_that_is_behind_or_fails_is_told_and_the_page_shows_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark(monkeypatch, "good", lambda scale: result(2, at_least=1))
    assert run.run("good", "ci", FACTS, tmp_path)
    benchmark(monkeypatch, "slow", lambda scale: result(2, at_least=3))
    assert not run.run("slow", "ci", FACTS, tmp_path)

    def broken(scale: str) -> dict[str, Any]:
        raise RuntimeError("no such table")

    benchmark(monkeypatch, "broken", broken)
    assert not run.run("broken", "ci", FACTS, tmp_path)

    def elsewhere(scale: str) -> dict[str, Any]:
        raise CannotMeasure("there is no server here")

    benchmark(monkeypatch, "elsewhere", elsewhere)
    assert run.run("elsewhere", "ci", FACTS, tmp_path), "told, and no failure"
    told = capsys.readouterr()
    assert "BEHIND" in told.out
    assert "there is no server here" in told.out
    assert "no such table" in told.err
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["good", "slow"]
    assert json.loads((tmp_path / "good.json").read_text())["machine"]["cpu"] == "a cpu"
    page = run.write_page(tmp_path).read_text()
    assert "one by another" in page
    assert "a &lt;table&gt;" in page
    assert "a cpu" in page


def test_every_round_runs_every_case_each_beginning_with_another() -> None:
    order: list[str] = []
    cases = {name: lambda name=name: lambda: order.append(name) for name in ("a", "b", "c")}
    taken = in_turns(cases, rounds=3)
    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert {name: len(times) for name, times in taken.items()} == {"a": 3, "b": 3, "c": 3}


def test_what_slows_a_whole_round_down_cancels_out() -> None:
    assert middle_ratio([2.0, 20.0, 2.2], [1.0, 10.0, 1.0]) == 2.0


def test_the_frame_finds_what_measures_and_nothing_else() -> None:
    assert {"dispatch", "durable"} <= set(run.benchmarks())
    assert not {"run", "page", "measuring", "peers", "cycle", "dispatch_ours"} & set(run.benchmarks())
