"""How the time of `lint`, `generate`, `check` and of importing what is generated grows with the machine.

The machines are made up, from a seed: areas of stages of some twenty phases each, ten rows to a phase, in which every
part of the language that a large process would use occurs. `python -m bench.codegen_size` prints what it finds.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.measuring import ratio

SEED = 1
ROWS_PER_PHASE = 10
SIZES = {"full": (100, 300, 1_000), "ci": (100, 300)}
MOST_GROWTH = {"full": 2.0, "ci": 2.8}
"""At three times the rows, as in CI, what is quadratic shows 3; at ten times, 10."""
NOISE = 0.1
"""Seconds of processor time by which two runs of the same may differ; less than that is taken for that much."""

_ROOT = Path(__file__).parent.parent
_STAGES = ("intake", "pricing", "credit", "stock", "picking", "packing", "customs", "carrier", "billing", "returns")
_STEPS = (
    *("check", "quote", "reserve", "submit", "await", "confirm", "amend", "route", "split", "match", "allocate"),
    *("weigh", "label", "hand_over", "track", "settle", "review", "hold", "cancel", "notify", "archive"),
)
_HAPPENINGS = (
    *("answered", "refused", "amended", "withdrawn", "delayed", "counted", "returned", "damaged", "found", "paid"),
    *("reminded", "escalated", "priced", "booked", "signed", "scanned", "matched", "split", "merged", "expired"),
)
_GUARDS = ("complete", "urgent", "domestic", "insured", "fragile", "prepaid", "oversized", "trusted", "partial", "late")
_ACTIONS = ("note_answer", "count_attempt", "note_price", "book_stock", "note_reason", "set_aside", "note_fault")
_REQUESTS = ("ask_partner", "ask_stock", "send_notice", "print_label")


class Spec(NamedTuple):
    """A machine that was made up: its YAML, and how many rows its generated table has."""

    text: str
    phases: int
    rows: int


def make_spec(name: str, phases: int, seed: int = SEED) -> Spec:
    """A machine of so many phases and about ten times as many rows: the same text for the same seed, anywhere."""
    chance = random.Random(f"{seed} {phases}")
    # Two phases stand outside the stages: where failures lead, and where a pause is waited for.
    stages = _stages(phases - 2, chance)
    areas = [stages[start : start + 7] for start in range(0, len(stages), 7)]
    lines = [*_head(name, stages), "phases:"]
    rows = 0
    for number, (_, members) in enumerate(stages):
        following = stages[(number + 1) % len(stages)][1][0]
        other = stages[chance.randrange(len(stages))][1][0]
        for place in range(len(members)):
            text, count = _phase(members, place, following, other, chance)
            lines += text
            rows += count
    lines += [
        "  BROKEN:",
        "    summary: Something failed that nobody had thought of.",
        "    waits_for: A person.",
        "    on:",
        f"      RESUMED: {{to: {stages[0][1][0]}, do: [note_reason]}}",
        "      FAILED: {do: [note_fault]}",
        *(f"      {happening.upper()}: {{do: [note_answer]}}" for happening in _HAPPENINGS[: ROWS_PER_PHASE - 2]),
        "  PAUSED:",
        "    summary: Everything stands still.",
        "    waits_for: A person.",
        "    on:",
        "      RESUMED: {to: {history: running}}",
        "      FAILED: {to: BROKEN, do: [note_fault]}",
        *(f"      {happening.upper()}: {{do: [note_answer]}}" for happening in _HAPPENINGS[: ROWS_PER_PHASE - 2]),
        "groups:",
    ]
    for stage, members in stages:
        lines.append(f"  {stage}: {{summary: One stage., phases: [{', '.join(members)}]}}")
    for number, area in enumerate(areas, 1):
        lines.append(f"  area_{number:02}: {{summary: Stages of one site., groups: [{', '.join(s for s, _ in area)}]}}")
    lines += [
        "  running:",
        "    summary: All that runs by itself.",
        "    history: true",
        f"    groups: [{', '.join(f'area_{number:02}' for number in range(1, len(areas) + 1))}]",
        "    on:",
        "      FAILED: {to: BROKEN, do: [note_fault]}",
        "      PAUSE_ASKED: {to: PAUSED}",
    ]
    return Spec("\n".join(lines) + "\n", phases, rows + 2 * ROWS_PER_PHASE)


def _stages(phases: int, chance: random.Random) -> list[tuple[str, list[str]]]:
    stages: list[tuple[str, list[str]]] = []
    while phases:
        size = chance.randint(8, 34)
        size = phases if phases < size + 8 else size
        name = f"{_STAGES[len(stages) % len(_STAGES)]}_{len(stages) // len(_STAGES) + 1:02}"
        steps = (
            f"{_STEPS[step % len(_STEPS)]}{step // len(_STEPS) + 1 if step >= len(_STEPS) else ''}"
            for step in range(size)
        )
        stages.append((name, [f"{name}_{step}".upper() for step in steps]))
        phases -= size
    return stages


def _head(name: str, stages: list[tuple[str, list[str]]]) -> Iterator[str]:
    yield f"machine: {name}"
    yield "version: 1"
    yield "summary: A made-up process, to see how long it takes to generate."
    yield f"initial: {stages[0][1][0]}"
    yield "error_event: FAILED"
    yield f"happy_path: [{', '.join(stages[0][1])}]"
    yield "config:"
    for number in range(8):
        wait = 5 * (number + 1)
        yield f"  patience_{number}: {{type: duration, default: {wait}s, summary: How long a step may take.}}"
    yield "data:"
    yield "  attempts: {type: int, summary: Attempts so far.}"
    yield "  price: {type: optional decimal, summary: The price agreed on.}"
    yield "  reason: {type: optional str, summary: Why it went as it did.}"
    yield "events:"
    for happening in _HAPPENINGS:
        yield (
            f"  {happening.upper()}: {{summary: Somebody {happening} it., payload: {{item: str, at: instant}}, "
            "identity: [item, at], otherwise: {ignore: It came too late to matter here.}}"
        )
    for number in range(4):
        yield f"  LATE_{number}: {{summary: It took too long., otherwise: {{reject: Only a timer can raise this.}}}}"
    for request in _REQUESTS:
        yield (
            f"  {request.upper()}_DONE: {{summary: The answer to {request}., payload: {{item: str}}, "
            "otherwise: {ignore: Nothing waits for it any more.}}"
        )
    yield "  FAILED: {summary: Something failed., payload: {error: str, failed_event: str}}"
    yield "  PAUSE_ASKED: {summary: A person asks for a pause., otherwise: {ignore: It is paused.}}"
    yield "  RESUMED: {summary: A person lets it go on., otherwise: {ignore: It is not paused.}}"
    yield "guards:"
    for guard in _GUARDS:
        yield f"  {guard}: {{summary: The item is {guard}.}}"
    yield "actions:"
    for action in _ACTIONS:
        yield f"  {action}: {{summary: What {action} says.}}"
    yield "policies:"
    yield "  ask: {max_attempts: 3, base_delay: 100ms, factor: 2, max_delay: 5s}"
    yield "effects:"
    for request in _REQUESTS:
        done = f"{request.upper()}_DONE"
        yield (
            f"  {request}: {{summary: What {request} says., class: idempotent, retry: ask, args: [attempts], "
            f"outcomes: {{done: {done}, failed: FAILED}}}}"
        )


def _phase(members: list[str], place: int, following: str, other: str, chance: random.Random) -> tuple[list[str], int]:
    """The lines of a phase, and how many rows the table gets for it."""

    def near() -> str:
        """Most steps lead a few phases on or back."""
        return members[(place + chance.choice((-3, -2, -1, 2, 3, 4))) % len(members)]

    def do() -> str:
        return f"do: [{chance.choice(_ACTIONS)}]"

    last = place == len(members) - 1
    onward = following if last else members[place + 1]
    happenings = chance.sample(_HAPPENINGS, 7)
    guard, second = chance.sample(_GUARDS, 2)
    lines = [f"  {members[place]}:", f"    summary: Step {place + 1} of {len(members)} in its stage."]
    # The initial phase may not act on entry; two rows come from the group around every stage.
    rows, request = 2, chance.choice(_REQUESTS)
    if chance.random() < 0.5:
        lines.append(f"    entry: {{request: [{request}]}}")
    if chance.random() < 0.7:
        late = chance.randrange(4)
        lines.append(
            f"    timeout: {{after: patience_{chance.randrange(8)}, raises: LATE_{late}, on_restore: restart}}"
        )
        timer = [f"      LATE_{late}: {{to: {near()}, {do()}}}"]
        rows += 1
    else:
        lines.append("    waits_for: Whoever has to answer.")
        timer = []
    lines += ["    on:", *timer, f"      {happenings[0].upper()}: {{to: {onward}, {do()}}}"]
    lines.append(f"      {happenings[1].upper()}:")
    lines.append(f"        - {{if: {guard}, to: {near()}}}")
    lines.append(f"        - {{if: [not {guard}, {second}], {do()}, request: [{request}]}}")
    lines.append(f"        - {{{do()}}}")
    lines.append(f"      {happenings[2].upper()}: {{to: {near() if chance.random() < 0.8 else other}}}")
    lines.append(f"      {happenings[3].upper()}: defer")
    lines.append(f"      {request.upper()}_DONE: {{{do()}}}")
    rows += 6
    for happening in happenings[4 : 4 + ROWS_PER_PHASE - rows]:
        lines.append(f"      {happening.upper()}: {{{do()}}}")
        rows += 1
    return lines, rows


_COUNT_ROWS = """
from generated.made_up import TABLE
print(sum(len(cell) for cells in TABLE.values() for cell in cells.values() if isinstance(cell, tuple)))
"""


_SMALLEST = """
machine: made_up
version: 1
summary: What a command takes for no machine to speak of.
initial: HERE
error_event: FAILED
events:
  FAILED: {summary: Something failed., payload: {error: str, failed_event: str}}
phases:
  HERE: {summary: Here., waits_for: A failure., on: {FAILED: {to: THERE}}}
  THERE: {summary: There., waits_for: A failure., on: {FAILED: {to: HERE}}}
"""


_Took = dict[str, float]


def _best(folder: Path, *arguments: str) -> tuple[_Took, str]:
    """The better of two runs: for what is short beside its start."""
    return min((_run(folder, *arguments) for _ in range(2)), key=lambda run: run[0]["processor_seconds"])


def _run(folder: Path, *arguments: str, status: int = 0) -> tuple[_Took, str]:
    """How long a command took, by the wall and of the processors, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONHASHSEED": "0"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != status:
        raise RuntimeError(f"{arguments} ended with {done.returncode}:\n{done.stdout[-2_000:]}{done.stderr[-2_000:]}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(wall, 3), "processor_seconds": round(processor, 3)}, done.stdout


def _measure_spec(folder: Path, made: Spec, *, check: bool) -> dict[str, Any]:
    (folder / "spec").mkdir(parents=True)
    (folder / "spec" / "made_up.yaml").write_text(made.text, encoding="utf-8")
    took = {}
    took["lint"], _ = _best(folder, "-m", "phasewright", "lint")
    took["generate"], _ = _run(folder, "-m", "phasewright", "generate")
    if check:
        took["check"], found = _run(folder, "-m", "phasewright", "check", "--json", status=1)
        drifts = [(drift["kind"], drift["path"]) for drift in json.loads(found)]
        # The paths of a verification are not there; apart from them nothing may differ.
        if drifts != [("missing", "generated/made_up/paths.json")]:
            raise RuntimeError(f"what was generated is not what is checked for: {drifts}")
    took["import"], counted = _best(folder, "-c", _COUNT_ROWS)
    if int(counted) != made.rows:
        raise RuntimeError(f"{made.rows} rows were written and {counted.strip()} generated")
    files = [path for path in (folder / "generated").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    size = sum(path.stat().st_size for path in files)
    row = {"what": "a spec, by its rows", "size": made.rows, "phases": made.phases, "files": len(files), "bytes": size}
    for name, seconds in took.items():
        row |= {f"{name}_s": seconds["seconds"], f"{name}_cpu_s": seconds["processor_seconds"]}
    return row


def measure(scale: str) -> dict[str, Any]:
    """Time every command at each size, `full` or `ci`, in processes of their own.

    Raises:
        RuntimeError: a command failed, or did something else than was asked.
    """
    made = [Spec(_SMALLEST, 2, 2), *(make_spec("made_up", phases) for phases in SIZES[scale])]
    with tempfile.TemporaryDirectory(prefix="phasewright-bench-") as folder:
        # `check` does what `generate` does and compares; a short measurement leaves it out.
        rows = [_measure_spec(Path(folder) / str(each.phases), each, check=scale == "full") for each in made]
    nothing, small, large = rows[0], rows[1], rows[-1]
    why = (
        f"{large['size']:,} rows against {small['size']:,}: what is linear stays near 1. It is processor time, without "
        "what the command takes for two phases"
    )
    ratios = {}
    for name in [key.removesuffix("_cpu_s") for key in large if key.endswith("_cpu_s")]:
        started = nothing[f"{name}_cpu_s"]
        small_row, large_row = (max(each[f"{name}_cpu_s"] - started, NOISE) / each["size"] for each in (small, large))
        limit = MOST_GROWTH[scale]
        ratios[f"{name}: time per row, large over small"] = ratio(large_row / small_row, why, at_most=limit)
    return {"rows": rows, "ratios": ratios}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1] if len(sys.argv) > 1 else "full"), indent=2))
