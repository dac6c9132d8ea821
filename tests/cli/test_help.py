from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from phasewright_process import environment, phasewright

HEAVY = {"ccxt", "plotly", "jinja2", "pyarrow", "jsonschema", "yaml", "graphviz"}
PROBE = """
import sys
import phasewright
sys.argv = ["phasewright", *sys.argv[1:]]
try:
    phasewright.main()
finally:
    lists = ("codegen.command_line", "engine.command_line")
    loaded = {name for name in sys.modules if name not in ("codegen", "engine") and not name.startswith(lists)}
    print(*sorted({name.partition(".")[0] for name in loaded}), file=sys.stderr)
"""


def loaded_by(*arguments: str, cwd: Path) -> set[str]:
    """The top-level packages that a command has imported by its end, beyond the lists of commands."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ([], ["generate", "recover", "0 done", "1 something", "2 the command", "130 interrupted"]),
        (["generate"], ["--spec DIR", "--out DIR", "--png DIR", "Nothing is written while a spec has errors"]),
        (["check"], ["--json", "missing or left over", "status 1"]),
        (["verify"], ["--counterexamples DIR", "--requests", "--json", "status 1 for any"]),
        (["simulate"], ["--spec DIR", "--requests", "--trace FILE", "choose by number", "piped in", "Status 0"]),
        (["mutate"], ["--sample", "--seed", "--jobs", "--cache FILE", "--report FILE", "spec/survivors/", "status 1"]),
        (["lint"], ["--json", "docs/lint-rules.md", "Status 1 when there is an error"]),
        (["run"], ["--db PATH", "--data PATH", "--fresh", "--report PATH", "--json", "Ctrl-C", "PAPER_FAULTS"]),
        (["status"], ["--db PATH", "--json", "while a bot is running"]),
        (["trades"], ["--db PATH", "--json", "BTC/USD"]),
        (["audit"], ["--db PATH", "--last", "--json", "why nothing happened"]),
        (["archive"], ["--to FILE", "--before", "--db PATH", "--json", "while the bot is running", "Parquet"]),
        (["recover"], ["--db PATH", "--data PATH", "--json", "stop a recorded run first", "nothing is assumed"]),
        (["trade"], ["--symbol", "--url URL", "--sandbox", "--live", "PHASEWRIGHT_LIVE", "killed at any moment"]),
        (["reconcile"], ["--db PATH", "--json", "change nothing", "while the bot is running", "Status 1"]),
        (["venue"], ["--port", "--faults", "--script FILE", "--control", "--json", "docs/venue.md", "VENUE_SECRET"]),
        (["work"], ["--db URL", "--accounts FILE", "--lease", "--json", "hands over at once", "docs/workers.md"]),
        (["send"], ["--db URL", "--id", "--json", "It is durable", "handles it once"]),
        (["accounts"], ["--db URL", "--json", "until when", "messages that wait or were refused"]),
        (["exchanges"], ["--json", "found again by our id", "sent twice"]),
        (["report"], ["--db PATH", "--data PATH", "--out PATH", "state diagram"]),
    ],
    ids=lambda value: value[0] if value and len(value) == 1 else "",
)
def test_help_teaches_within_80_columns(command: list[str], told: list[str], tmp_path: Path) -> None:
    done = phasewright(*command, "--help", cwd=tmp_path)
    assert done.status == 0
    flowing = " ".join(done.out.split())
    assert [text for text in told if text not in flowing] == []
    assert not [line for line in done.out.splitlines()[1:] if line.endswith("...")], "no sentence is cut"
    assert max(map(len, done.out.splitlines())) <= 80


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    assert not loaded_by("run", "--help", cwd=tmp_path) & (HEAVY | {"codegen", "engine", "rich", "asyncio"})


def test_a_running_bot_does_not_load_the_generator(tmp_path: Path) -> None:
    (tmp_path / "BTC_USD.csv").write_text(
        "time,open,high,low,close,volume\n2024-01-01 00:00,1,1,1,1,1\n2024-01-01 00:30,1,1,1,1,1\n"
    )
    loaded = loaded_by("run", "--db", "bot.db", "--data", ".", cwd=tmp_path)
    assert "engine" in loaded
    assert not loaded & {"codegen", "jinja2", "jsonschema", "yaml", "graphviz"}
