"""What is generated is what the specs give: nothing more, nothing less, and nothing half."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen.commands import CommandError, SpecError, check, generate, verify
from codegen.output import DriftKind, render_drifts

ROOT = Path(__file__).parents[2]


@pytest.fixture
def out_dir(spec_dir: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "generated"
    generate(spec_dir, folder)
    write_paths(spec_dir, folder)
    return folder


def write_paths(spec_dir: Path, out_dir: Path) -> None:
    """What a verification writes among the generated files."""
    assert all(result.good for result in verify(spec_dir, out_dir=out_dir))


def drifts(spec_dir: Path, out_dir: Path) -> list[tuple[str, str]]:
    return [(drift.kind.value, str(Path(drift.path).relative_to(out_dir))) for drift in check(spec_dir, out_dir)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_this_project_has_generated_is_fresh() -> None:
    found = check(ROOT / "spec", ROOT / "generated")
    assert not found, f"run `make generate`\n{render_drifts(found)}"


def test_a_machine_gets_its_package_its_diagrams_and_its_page(out_dir: Path) -> None:
    names = set(files(out_dir))
    modules = ("__init__", "names", "data", "events", "requests", "handlers", "table", "definition")
    assert {f"door/{module}.py" for module in modules} <= names
    assert {"door/machine.dot", "door/machine.svg", "door/machine.mmd", "door/README.md"} <= names
    for phase in ("CLOSED", "OPENING", "OPEN", "BROKEN"):
        assert {f"door/phases/{phase}.dot", f"door/phases/{phase}.svg"} <= names


def test_every_file_says_that_it_is_generated_and_from_what(out_dir: Path) -> None:
    for name, content in files(out_dir).items():
        start = content[:400].decode()
        assert "Generated from " in start, name
        assert "do not edit" in start, name
        if name != "__init__.py":
            assert "spec/door.yaml" in start, name


def test_what_was_just_generated_is_fresh(spec_dir: Path, out_dir: Path) -> None:
    assert check(spec_dir, out_dir) == []


def test_the_same_spec_gives_the_same_bytes_anywhere(spec_dir: Path, out_dir: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "some where" / "spec"
    elsewhere.mkdir(parents=True)
    (elsewhere / "door.yaml").write_bytes((spec_dir / "door.yaml").read_bytes())
    generate(elsewhere, tmp_path / "other")
    write_paths(elsewhere, tmp_path / "other")
    assert files(tmp_path / "other") == files(out_dir)


def test_generating_again_touches_nothing(spec_dir: Path, out_dir: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out_dir.rglob("*")}
    result = generate(spec_dir, out_dir)
    assert (result.written, result.removed, result.foreign) == ((), (), ())
    assert {*result.unchanged, "door/paths.json"} == set(files(out_dir))
    assert {path: path.stat().st_mtime_ns for path in out_dir.rglob("*")} == before


LOCKED = """\
  LOCKED:
    summary: Nobody comes in.
    waits_for: The morning.
    on:
      REPAIRED: {to: CLOSED}
"""


def test_a_new_phase_is_seen_by_check_and_written_by_generate(spec_dir: Path, out_dir: Path, door: str) -> None:
    edits = {
        "  BROKEN:\n": f"{LOCKED}  BROKEN:\n",
        "HELD: {to: CLOSED}": "HELD: {to: LOCKED}",
        "OPENING, OPEN, CLOSED]": "OPENING, OPEN, LOCKED, CLOSED]",
        "[CLOSED, OPENING, OPEN]": "[CLOSED, OPENING, OPEN, LOCKED]",
    }
    for old, new in edits.items():
        door = door.replace(old, new)
    (spec_dir / "door.yaml").write_text(door)
    found = drifts(spec_dir, out_dir)
    assert ("missing", "door/phases/LOCKED.svg") in found
    assert ("changed", "door/table.py") in found
    assert ("changed", "door/events.py") not in found
    result = generate(spec_dir, out_dir)
    assert set(result.written) == {path for _, path in found} - {"door/paths.json"}
    assert drifts(spec_dir, out_dir) == [("out of date", "door/paths.json")]
    write_paths(spec_dir, out_dir)
    assert check(spec_dir, out_dir) == []


def test_paths_are_missing_until_they_were_worked_out(spec_dir: Path, out_dir: Path) -> None:
    path = out_dir / "door" / "paths.json"
    content = path.read_bytes()
    path.unlink()
    (drift,) = check(spec_dir, out_dir)
    assert (drift.kind, drift.path, drift.make) == (DriftKind.MISSING, str(path), "verify")
    path.write_bytes(content)
    result = generate(spec_dir, out_dir)
    assert (result.removed, result.foreign) == ((), ())
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("default: 5s", "default: 7s", "out of date"),
        ("summary: The door", "summary: That door", None),
    ],
)
def test_paths_are_out_of_date_when_the_meaning_has_changed(
    spec_dir: Path, out_dir: Path, door: str, old: str, new: str, kind: str | None
) -> None:
    assert old in door
    (spec_dir / "door.yaml").write_text(door.replace(old, new))
    generate(spec_dir, out_dir)
    assert drifts(spec_dir, out_dir) == ([(kind, "door/paths.json")] if kind else [])


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda content: content[: len(content) // 2], id="cut short"),
        pytest.param(lambda content: content[:-1], id="without its last byte"),
        pytest.param(lambda content: content.replace(b'"OPENING"', b'"AJAR"', 1), id="one word changed"),
        pytest.param(lambda content: re.sub(rb' "contents": .*\n', b"", content), id="nothing to compare with"),
        pytest.param(lambda content: content + b' "contents": "and more"\n', id="a line more"),
    ],
)
def test_paths_that_were_edited_are_seen_and_written_anew(
    spec_dir: Path, out_dir: Path, edit: Callable[[bytes], bytes]
) -> None:
    path = out_dir / "door" / "paths.json"
    content = path.read_bytes()
    path.write_bytes(edit(content))
    assert path.read_bytes() != content
    (drift,) = check(spec_dir, out_dir)
    assert (drift.kind, drift.path, drift.make) == (DriftKind.CHANGED, str(path), "verify")
    write_paths(spec_dir, out_dir)
    assert path.read_bytes() == content


def test_check_shows_what_differs_as_a_unified_diff(spec_dir: Path, out_dir: Path) -> None:
    path = out_dir / "door" / "names.py"
    path.write_text(path.read_text().replace('OPEN = "OPEN"', 'OPEN = "AJAR"'))
    (drift,) = check(spec_dir, out_dir)
    assert (drift.kind, drift.path) == (DriftKind.CHANGED, str(path))
    assert '-    OPEN = "AJAR"\n+    OPEN = "OPEN"\n' in drift.diff
    assert drift.to_dict() == {"kind": "changed", "path": str(path), "diff": drift.diff}
    assert render_drifts([drift]).startswith(f"changed: {path}\n--- {path}\n")


def test_check_reports_what_is_missing_and_what_is_left_over(spec_dir: Path, out_dir: Path) -> None:
    (out_dir / "door" / "table.py").unlink()
    (out_dir / "door" / "helper.py").write_text("# Mine.\n")
    (out_dir / "old").mkdir()
    (out_dir / "old" / "names.py").write_text("# Generated from spec/old.yaml; do not edit.\n")
    (out_dir / "door" / "__pycache__").mkdir()
    (out_dir / "door" / "__pycache__" / "names.pyc").write_bytes(b"\0")
    assert drifts(spec_dir, out_dir) == [
        ("left over", "door/helper.py"),
        ("missing", "door/table.py"),
        ("left over", "old/names.py"),
    ]


def test_a_folder_that_is_not_there_is_all_missing(spec_dir: Path, tmp_path: Path) -> None:
    found = check(spec_dir, tmp_path / "nowhere")
    assert found
    assert {drift.kind for drift in found} == {DriftKind.MISSING}
    assert not (tmp_path / "nowhere").exists()


def test_files_of_a_removed_machine_are_removed_with_their_folder(spec_dir: Path, out_dir: Path, door: str) -> None:
    (out_dir / "door" / "__pycache__").mkdir()
    (spec_dir / "door.yaml").rename(spec_dir / "gate.yaml")
    (spec_dir / "gate.yaml").write_text(door.replace("machine: door", "machine: gate"))
    result = generate(spec_dir, out_dir)
    assert "door/table.py" in result.removed
    assert not (out_dir / "door").exists()
    assert (out_dir / "gate" / "table.py").exists()
    write_paths(spec_dir, out_dir)
    assert check(spec_dir, out_dir) == []


def test_generate_removes_nothing_that_it_did_not_generate(spec_dir: Path, out_dir: Path) -> None:
    mine = out_dir / "door" / "notes.txt"
    mine.write_text("Mine.")
    (out_dir / "door" / "linked.py").symlink_to(mine)
    result = generate(spec_dir, out_dir)
    assert result.foreign == ("door/linked.py", "door/notes.txt")
    assert mine.read_text() == "Mine."
    assert drifts(spec_dir, out_dir) == [("left over", "door/linked.py"), ("left over", "door/notes.txt")]


def test_what_an_interrupted_run_left_is_cleaned_up(spec_dir: Path, out_dir: Path) -> None:
    (out_dir / "door" / "table.py.phasewright-tmp").write_text("half a t")
    assert drifts(spec_dir, out_dir) == [("left over", "door/table.py.phasewright-tmp")]
    generate(spec_dir, out_dir)
    assert check(spec_dir, out_dir) == []


def test_nothing_is_written_when_any_spec_has_an_error(spec_dir: Path, out_dir: Path, door: str) -> None:
    before = files(out_dir)
    (spec_dir / "gate.yaml").write_text(door.replace("machine: door", "machine: gate").replace("{to: OPEN}", "{to: X}"))
    (spec_dir / "door.yaml").write_text(door.replace("default: 5s", "default: 7s"))
    with pytest.raises(SpecError) as caught:
        generate(spec_dir, out_dir)
    assert "PW111" in {finding.code for finding in caught.value.findings}
    assert files(out_dir) == before
    with pytest.raises(SpecError):
        check(spec_dir, out_dir)


def test_a_warning_does_not_stand_in_the_way(spec_dir: Path, out_dir: Path, door: str) -> None:
    (spec_dir / "door.yaml").write_text(door.replace("    history: true\n", "").replace("{history: working}", "CLOSED"))
    generate(spec_dir, out_dir)
    (spec_dir / "door.yaml").write_text(door.replace("{history: working}", "CLOSED"))
    assert [finding.code for finding in generate(spec_dir, out_dir).warnings] == ["PW225"]


def test_a_folder_without_specs_is_an_error_and_removes_nothing(out_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = files(out_dir)
    with pytest.raises(SpecError):
        generate(tmp_path / "empty", out_dir)
    with pytest.raises(SpecError):
        generate(tmp_path / "missing", out_dir)
    assert files(out_dir) == before


@pytest.mark.parametrize("where", [".", "spec", "spec/generated"])
def test_specs_and_generated_files_need_folders_of_their_own(where: str, spec_dir: Path) -> None:
    before = files(spec_dir.parent)
    with pytest.raises(CommandError, match="folders of their own"):
        generate(spec_dir, spec_dir.parent / where)
    assert files(spec_dir.parent) == before


def test_a_file_where_the_folder_should_be_is_told(spec_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(CommandError, match="not a folder"):
        generate(spec_dir, tmp_path / "out")
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "door").write_text("")
    with pytest.raises(CommandError, match=r"door.*cannot be written"):
        generate(spec_dir, tmp_path / "generated")


def test_pictures_are_written_on_demand(spec_dir: Path, out_dir: Path, tmp_path: Path) -> None:
    result = generate(spec_dir, out_dir, tmp_path / "pictures")
    assert str(tmp_path / "pictures" / "door" / "machine.png") in result.drawn
    for path in result.drawn:
        assert Path(path).read_bytes().startswith(b"\x89PNG")
