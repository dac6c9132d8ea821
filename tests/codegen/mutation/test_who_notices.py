"""A mutant is judged by lint, then by the checker, then by the paths, and what was found is not looked for again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from codegen.loading import Loaded
from codegen.model import Machine
from codegen.mutation.cache import Cache
from codegen.mutation.campaign import run
from codegen.mutation.judge import Judge, Verdict
from codegen.mutation.mutants import Mutant, mutants
from codegen.mutation.reasons import Reason
from codegen.mutation.score import Score
from codegen.mutation.text import render_score

Shop = Callable[[], tuple[Loaded, Loaded]]


def judge(loaded: Loaded, venue: Loaded | None = None, play: Callable[[Machine], str | None] | None = None) -> Judge:
    assert loaded.spec is not None
    return Judge(loaded.spec, venue.spec if venue is not None else None, play, requests=1)


def nothing_kept() -> Cache:
    return Cache(None, "", "", "")


def verdicts(loaded: Loaded, judging: Judge) -> dict[str, Verdict]:
    return run(tuple(mutants(loaded)), judging, nothing_kept(), jobs=1).verdicts


def test_the_checker_names_the_claim_that_a_lost_order_breaks(shop: Shop) -> None:
    bot, venue = shop()
    found = verdicts(bot, judge(bot, venue))
    assert found["row-retargeted SENDING/LATE/1 IDLE"] == Verdict("verify", "one_order")
    assert found["row-retargeted SENDING/LOST/1 IDLE"] == Verdict("verify", "one_order")
    assert found["guard-dropped OPEN/DONE/1 present"].stage == "lint"
    assert found["timeout-dropped OPEN/timeout"] == Verdict("lint", "PW205")


def test_what_neither_notices_is_played(lift: Loaded) -> None:
    rings = [one.key for one in mutants(lift) if "ring" in one.key]

    def play(machine: Machine) -> str | None:
        done = [branch.do for _, _, _, branch in machine.rows() if branch.do]
        return None if done == [("ring",)] else "the bell is not rung"

    found = verdicts(lift, judge(lift, play=play))
    assert [found[key] for key in rings] == [Verdict("paths", "the bell is not rung")]
    assert verdicts(lift, judge(lift))[rings[0]] == Verdict("survived")


def test_several_processes_find_the_same(lift: Loaded) -> None:
    every = tuple(mutants(lift))
    found = run(every, judge(lift), nothing_kept(), jobs=2).verdicts
    assert found == verdicts(lift, judge(lift))


def test_a_run_that_was_stopped_goes_on(lift: Loaded, tmp_path: Path) -> None:
    every = tuple(mutants(lift))
    asked: list[str] = []

    class Stopped(Judge):
        def judge(self, mutant: Mutant, known: object) -> object:  # type: ignore[override]
            if len(asked) == 7:
                raise KeyboardInterrupt
            asked.append(mutant.key)
            return super().judge(mutant, known)  # type: ignore[arg-type]

    assert lift.spec is not None
    file = tmp_path / "kept" / "mutation.jsonl"
    first = run(every, Stopped(lift.spec, None, None), Cache(file, "", "", ""), jobs=1)
    assert first.stopped
    assert list(first.verdicts) == asked
    file.write_text(file.read_text(encoding="utf-8") + '["half a li', encoding="utf-8")
    again: list[int] = []
    second = run(every, judge(lift), Cache(file, "", "", ""), 1, lambda judged, of, survived: again.append(judged))
    assert not second.stopped
    assert len(again) == len(every) - 7
    assert second.verdicts == verdicts(lift, judge(lift))


def test_what_was_found_of_another_venue_counts_no_more(lift: Loaded, tmp_path: Path) -> None:
    mutant = next(one for one in mutants(lift) if "ring" in one.key)
    kept = Cache(tmp_path / "mutation.jsonl", "lint", "venue", "paths")
    kept.keep(mutant, [("lint", None), ("verify", "a claim")])
    assert Cache(tmp_path / "mutation.jsonl", "lint", "venue", "other").known(mutant) == {
        "lint": None,
        "verify": "a claim",
    }
    assert Cache(tmp_path / "mutation.jsonl", "lint", "another", "paths").known(mutant) == {"lint": None}


def scored(lift: Loaded, reasons: dict[str, Reason]) -> Score:
    every = tuple(mutants(lift))
    judged = run(every, judge(lift), nothing_kept(), jobs=1)
    return Score("lift", judged, reasons, frozenset(one.key for one in every))


def test_every_survivor_needs_a_reason_and_every_reason_a_survivor(lift: Loaded) -> None:
    bare = scored(lift, {})
    survivors = [one.key for one in bare.unexplained]
    assert survivors
    assert not bare.settled
    why = {key: Reason("harmless", "Nobody minds.") for key in survivors}
    assert scored(lift, why).settled
    caught = scored(lift, {**why, "timeout-dropped RISING/timeout": Reason("gap", "It is hard to see.")})
    assert caught.outdated == ("timeout-dropped RISING/timeout: lint notices it now (PW205)",)
    assert not caught.settled
    gone = scored(lift, {**why, "row-retargeted ATTIC/CALLED/1 BELOW": Reason("gap", "It is hard to see.")})
    assert gone.outdated == ("row-retargeted ATTIC/CALLED/1 BELOW: the spec has no such mutant",)


def test_equivalent_mutants_are_left_aside(lift: Loaded) -> None:
    survivors = [one.key for one in scored(lift, {}).unexplained]
    before = scored(lift, {}).tally()
    same = {survivors[0]: Reason("equivalent", "It is the same.")}
    after = scored(lift, same).tally()
    assert (after.made, after.equivalent, after.missed) == (before.made, 1, before.missed - 1)
    assert before.caught == 1 - before.missed / before.made
    assert after.caught == 1 - after.missed / (after.made - 1)


def test_the_table_fits_a_terminal_and_names_each_survivor(lift: Loaded) -> None:
    score = scored(lift, {})
    text = render_score(score)
    assert max(map(len, text.splitlines())) <= 80
    assert "row-retargeted" in text
    for mutant in score.unexplained:
        assert f"key: {mutant.key}" in text
        assert mutant.position in text
