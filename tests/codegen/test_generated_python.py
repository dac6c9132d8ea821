"""Generated Python means what the spec says, passes the project's own tools, and can be injected with nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys
import typing
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import msgspec
import pytest

from codegen.commands import SpecError, generate
from runtime.definition import Branch, Defer, EffectClass, Ignore, OnRestore, RetryPolicy, Timeout

ROOT = Path(__file__).parents[2]

NASTY = [
    '"""; __import__("os").abort() #',
    "'''; raise SystemExit",
    "ends with a backslash \\",
    'ends with a quote "',
    '"starts with one',
    "{{ 7 * 7 }} {% raw %} {# gone #} {% endfor %}",
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    'x" ]; evil [shape=box label="y',
    "first line\nsecond line\r\nimport os\n\n\n# Generated",
    "tab\there, bell\x07, escape\x1b[31m, right to left \u202e, null-ish \u0085 \u2028",
    "|table|row|\n---|---\n[link](javascript:alert(1)) `code` **bold** $x$",
    "ünïcödé 🚪 \U0001f6aa",
    "word" * 100,
    "a few words, then " * 30,
    "\\N{BULLET} \\x41 \\u0041 %s {0} \\",
    '\\"""',
]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for generated packages that Python can import from, under a name that no other test uses."""
    folder = tmp_path / f"made_by_{tmp_path.name}"
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == folder.name]:
        del sys.modules[name]


def made(spec_dir: Path, package: Path, machine: str = "door") -> ModuleType:
    generate(spec_dir, package)
    importlib.invalidate_caches()
    return importlib.import_module(f"{package.name}.{machine}")


def yaml_text(text: str) -> str:
    return '"' + "".join(c if c.isalnum() or c == " " else f"\\U{ord(c):08x}" for c in text) + '"'


def test_the_definition_says_what_the_spec_says(spec_dir: Path, package: Path) -> None:
    definition = made(spec_dir, package).DEFINITION
    assert (definition.name, definition.version, definition.source) == ("door", 1, "spec/door.yaml")
    assert (definition.initial, definition.error_event, definition.history_groups) == ("CLOSED", "FAILED", ("working",))
    assert definition.phases["OPENING"].entry_request == ("open_door",)
    assert definition.phases["OPENING"].groups == ("working",)
    assert definition.phases["OPEN"].entry_do == ("count_visit",)
    assert definition.phases["OPEN"].timeout == Timeout("hold", "HELD", OnRestore.KEEP_DEADLINE, since="opened_at")
    assert definition.policies == {"motor": RetryPolicy("attempts", 100, 2, 1000)}
    effect = definition.effects["open_door"]
    assert (effect.effect_class, effect.window, effect.retry) == (EffectClass.AT_MOST_ONCE, "patience", "motor")
    assert effect.outcomes == {"opened": "DOOR_OPENED", "stuck": "DOOR_STUCK", "unknown": "MOTOR_SILENT"}
    assert definition.events["BADGE_SHOWN"].identity == ("shown_at",)
    assert definition.events["GIVEN_UP"].internal
    error = definition.make_error("it broke", "HELD")
    assert (error.error, error.failed_event, error.event) == ("it broke", "HELD", "FAILED")


def test_the_table_is_total_and_its_rows_are_numbered(spec_dir: Path, package: Path) -> None:
    table = made(spec_dir, package).TABLE
    door = importlib.import_module(f"{package.name}.door")
    assert {(phase, event) for phase, cells in table.items() for event in cells} == {
        (phase, event) for phase in door.Phase for event in door.FSMEvent
    }
    assert table["CLOSED"]["BADGE_SHOWN"] == (
        Branch(
            id="CLOSED/BADGE_SHOWN/1",
            guards=(("known", True), ("expired", False)),
            to="OPENING",
            do=("note_badge",),
        ),
        Branch(id="CLOSED/BADGE_SHOWN/2", ignored="This person may not come in."),
    )
    assert table["OPENING"]["BADGE_SHOWN"] == Defer()
    assert table["OPEN"]["BADGE_SHOWN"] == Ignore("The door is busy.")
    assert table["BROKEN"]["REPAIRED"] == (Branch(id="BROKEN/REPAIRED/1", history="working"),)
    assert table["OPEN"]["FAILED"] == (Branch(id="OPEN/FAILED/1", to="BROKEN", do=("note_failure",)),)


def event_types(module: ModuleType, protocol: str, method: str) -> set[str]:
    """The names of the event classes that a handler of this name may be given."""
    namespace = vars(importlib.import_module(f"{module.__name__}.handlers"))
    hint = typing.get_type_hints(getattr(namespace[protocol], method), namespace)["event"]
    return {kind.__name__ for kind in typing.get_args(hint) or (hint,)}


def test_handlers_are_typed_with_the_events_that_can_reach_them(spec_dir: Path, package: Path, door: str) -> None:
    (spec_dir / "door.yaml").write_text(
        door.replace(
            "    entry: {do: [count_visit]}\n", "    entry: {do: [count_visit]}\n    exit: {do: [note_badge]}\n"
        )
    )
    module = made(spec_dir, package)
    assert event_types(module, "Guards", "known") == {"BadgeShown"}
    # On entry, by each row that leads to the phase, going back by history included.
    assert event_types(module, "Actions", "count_visit") == {"DoorOpened", "Repaired"}
    # In a row, and on leaving a phase by its own row or a shared one.
    assert event_types(module, "Actions", "note_badge") == {"BadgeShown", "Held", "Failed"}
    assert event_types(module, "Actions", "note_failure") == {"Failed"}


EVERYTHING = """
machine: kit
version: 7
summary: Every kind of value.
initial: A
error_event: FAILED
config:
  c_duration: {type: duration, default: 1.5s, min: 1ms, max: 2h, summary: Duration.}
  c_int: {type: int, default: -3, summary: Int.}
  c_decimal: {type: decimal, default: 0.10, min: 0, max: 1, env: SHARE, summary: Decimal.}
  c_bool: {type: bool, default: true, summary: Bool.}
  c_str: {type: str, default: "it's \\"so\\"", summary: Str.}
types:
  Node:
    summary: A node of a tree.
    fields: {label: str, parent: optional Node, size: decimal, children: [Node], at: instant, for_how_long: duration}
data:
  d_str: {type: str, summary: Str.}
  d_int: {type: int, summary: Int.}
  d_bool: {type: bool, summary: Bool.}
  d_decimal: {type: decimal, summary: Decimal.}
  d_instant: {type: instant, summary: Instant.}
  d_duration: {type: duration, summary: Duration.}
  d_optional: {type: optional Node, summary: Optional.}
  d_list: {type: [Node], summary: List.}
  d_numbers: {type: [decimal], summary: Numbers.}
events:
  FAILED: {summary: Something failed., payload: {error: str, failed_event: str}, otherwise: {to: B}}
  GO: {summary: Go., payload: {node: Node, nodes: [Node], maybe: optional decimal, at: instant}, identity: []}
  DONE: {summary: Done., otherwise: {reject: Nobody asked.}}
guards:
  ready: {summary: It is ready.}
actions:
  note: {summary: Take a note.}
policies:
  twice: {max_attempts: 2, base_delay: c_duration, factor: 2, max_delay: 1m}
effects:
  send: {summary: Send., class: at_most_once, window: c_duration, retry: twice, outcomes: {sent: DONE, unknown: FAILED}}
  look: {summary: Look., class: pure, args: [d_optional, optional d_list, d_int], outcomes: {done: DONE}}
phases:
  A: {summary: A., waits_for: GO, on: {GO: [{if: ready, to: B, do: [note], request: [look, send]}, {ignore: Wait.}]}}
  B: {summary: B., final: true, on: {GO: {ignore: It is over.}, DONE: {ignore: Seen.}}}
migrations:
  - {from: "0123456789abcdef", phases: {OLD: A}, rename_data: {old: d_str}, drop_data: [gone]}
"""
BARE = """
machine: bare
version: 1
summary: As little as there can be.
initial: A
error_event: FAILED
events:
  FAILED: {summary: Something failed., payload: {error: str, failed_event: str}, otherwise: {ignore: So what.}}
  GO: {summary: Go., otherwise: {ignore: It is over.}}
phases:
  A: {summary: A., waits_for: GO, on: {GO: {to: B}, FAILED: {to: B}}}
  B: {summary: B., final: true}
"""


@pytest.fixture
def kits(tmp_path: Path) -> Path:
    folder = tmp_path / "kits"
    folder.mkdir()
    (folder / "kit.yaml").write_text(EVERYTHING)
    (folder / "bare.yaml").write_text(BARE)
    return folder


def test_every_type_has_its_python_and_its_start_value(kits: Path, package: Path) -> None:
    kit = made(kits, package, "kit")
    data = kit.StateData()
    assert msgspec.to_builtins(data) == {
        "d_str": "",
        "d_int": 0,
        "d_bool": False,
        "d_decimal": "0",
        "d_instant": 0,
        "d_duration": 0,
        "d_optional": None,
        "d_list": [],
        "d_numbers": [],
    }
    assert data.d_list is not kit.StateData().d_list
    config = kit.Config()
    assert (config.c_duration, config.c_int, config.c_bool, config.c_str) == (1500, -3, True, 'it\'s "so"')
    assert repr(config.c_decimal) == "Decimal('0.10')"
    share = next(knob for knob in kit.KNOBS if knob.name == "c_decimal")
    assert (share.env, share.minimum, share.maximum) == ("SHARE", Decimal(0), Decimal(1))
    (migration,) = kit.DEFINITION.migrations
    assert (migration.phases, migration.rename_data, migration.drop_data) == ({"OLD": "A"}, {"old": "d_str"}, ("gone",))
    assert kit.DEFINITION.events["GO"].identity == ()


def test_data_and_payloads_survive_json(kits: Path, package: Path) -> None:
    kit = made(kits, package, "kit")
    node = kit.Node(label="n", size=Decimal("0.10"), at=5, for_how_long=7)
    node.children.append(kit.Node(label="m", size=Decimal(2), at=6, for_how_long=8, parent=None))
    event = kit.Go(node=node, at=9)
    assert msgspec.json.decode(msgspec.json.encode(event), type=kit.Go) == event
    data = kit.StateData(d_optional=node, d_numbers=[Decimal("1.10")])
    assert msgspec.json.decode(msgspec.json.encode(data), type=kit.StateData) == data
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"node": {"label": "n"}, "at": 1}', type=kit.Go)


def test_a_required_argument_is_required_in_the_request(kits: Path, package: Path) -> None:
    request = made(kits, package, "kit").LookRequest
    hints = typing.get_type_hints(request, vars(importlib.import_module(f"{package.name}.kit.requests")))
    assert hints["d_optional"].__name__ == "Node"
    assert hints["d_int"] is int


def test_what_is_generated_passes_the_projects_own_tools(kits: Path, package: Path) -> None:
    generate(kits, package)
    settings = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    for command in (["ruff", "check", *settings], ["ruff", "format", "--check", *settings]):
        ran = subprocess.run([sys.executable, "-m", *command, str(package)], capture_output=True, text=True, cwd=ROOT)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary"),
            *("--cache-dir", str(ROOT / ".mypy_cache" / "of_tests"), str(package)),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_no_text_can_inject_anything(text: str, spec_dir: Path, package: Path, door: str) -> None:
    for summary in ("The door is closed.", "Somebody shows a badge.", "The badge is known.", "Remember the badge."):
        assert summary in door
        door = door.replace(summary, yaml_text(text))
    for other in ("A door that opens for who may come in.", "How long the door stays open.", "Ask the motor to open"):
        door = door.replace(other, yaml_text(text) if other.endswith(".") else other)
    door = door.replace("The door is busy.", yaml_text(text)).replace("This person may not come in.", yaml_text(text))
    door = door.replace("The last badge.", yaml_text(text)).replace("Somebody with a badge.", yaml_text(text))
    (spec_dir / "door.yaml").write_text(door)
    module = made(spec_dir, package)
    table = module.TABLE
    assert table["OPEN"]["BADGE_SHOWN"] == Ignore(text)
    assert table["CLOSED"]["BADGE_SHOWN"][1].ignored == text
    assert next(knob.summary for knob in module.KNOBS if knob.name == "hold") == text
    assert set(vars(module)) >= {"DEFINITION", "StateData", "Guards"}
    ran = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "--no-cache", str(package)],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout
    for path in package.rglob("*.svg"):
        for element in ElementTree.fromstring(path.read_text(encoding="utf-8")).iter():
            assert element.tag.rpartition("}")[2] not in ("script", "image", "img", "foreignObject")
            assert not any(name.lower().startswith("on") for name in element.attrib)
            assert not any("javascript:" in value for name, value in element.attrib.items() if name.endswith("href"))
    for path in package.rglob("*.md"):
        assert "<script" not in path.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize(
    "name",
    [
        "CLOSED'",
        'CLO"SED',
        "CLO SED",
        "CLO\nSED",
        "__CLASS__",
        "Ä",
        "CLOSED;",
        "{{X}}",
        "../X",
        "X/Y",
        "<b>",
        "closed",
        "1ST",
    ],
)
@pytest.mark.parametrize("declared", ["  CLOSED:\n", "  known: {", "  Badge:\n", "  note_badge: {", "  HELD: {"])
def test_no_name_can_inject_anything(name: str, declared: str, spec_dir: Path, package: Path, door: str) -> None:
    if declared.strip(" :{\n").islower():
        name = name.lower() if name != "closed" else "Closed"
    old = declared.strip(" :{\n")
    (spec_dir / "door.yaml").write_text(door.replace(declared, declared.replace(old, yaml_text(name))))
    with pytest.raises(SpecError) as caught:
        generate(spec_dir, package)
    assert "PW101" in {finding.code for finding in caught.value.findings}
    assert not package.exists()


@pytest.mark.parametrize("name", ['d"""oor', "do\nimport os\nor", "d{{x}}oor", "d-->oor", "d\\oor", "d*oor"])
def test_no_file_name_can_inject_anything(name: str, spec_dir: Path, package: Path) -> None:
    (spec_dir / "door.yaml").rename(spec_dir / f"{name}.yaml")
    module = made(spec_dir, package)
    assert "\n" not in module.DEFINITION.source
    for path in package.rglob("*.svg"):
        ElementTree.fromstring(path.read_text(encoding="utf-8"))
