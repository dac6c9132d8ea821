"""YAML is read with its positions, without surprises, and without a traceback whatever a file holds."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.commands import lint
from codegen.document import Document, UnreadableError
from codegen.model import Position


def test_every_key_and_value_knows_where_it_stands() -> None:
    document = Document("x.yaml", "a:\n  - b: {c: 1}\n    d: two words\n")
    assert document.key(("a",)) == Position(1, 1)
    assert document.value(("a",)) == Position(2, 3)
    assert document.key(("a", 0, "b")) == Position(2, 5)
    assert document.value(("a", 0, "b", "c")) == Position(2, 12)
    assert document.value(("a", 0, "d")) == Position(3, 8)


def test_a_path_that_leads_nowhere_gives_the_nearest_place() -> None:
    document = Document("x.yaml", "a:\n  b: 1\n")
    assert document.value(("a", "c", 7)) == Position(2, 3)


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "n", "0x10", "1_000", "12:30", "2024-01-01", ".inf"])
def test_words_that_yaml_1_1_would_convert_stay_texts(word: str) -> None:
    assert Document("x.yaml", f"{word}: {word}").data == {word: word}


def test_scalars_are_what_yaml_1_2_says() -> None:
    data = Document("x.yaml", "[true, False, null, ~, 12, -3, 012, 0.1, 1e3, '1', \"true\"]").data
    assert data == [True, False, None, None, 12, -3, 12, Decimal("0.1"), Decimal("1e3"), "1", "true"]
    assert [type(item) for item in data[7:9]] == [Decimal, Decimal]


def test_an_alias_repeats_its_anchor_and_points_there() -> None:
    document = Document("x.yaml", "a: &one {x: 1}\nb: *one\n")
    assert document.data == {"a": {"x": 1}, "b": {"x": 1}}
    assert document.value(("b", "x")) == Position(1, 13)


def test_merged_keys_give_way_to_written_ones() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\n"
    assert Document("x.yaml", text).data["c"] == {"x": 3, "y": 1, "z": 2}


def test_duplicate_keys_are_all_noted_and_the_first_counts() -> None:
    document = Document("x.yaml", "a: 1\nb: 2\na: 3\na: 4\n")
    assert document.data == {"a": 1, "b": 2}
    assert document.duplicates == [("a", Position(3, 1), Position(1, 1)), ("a", Position(4, 1), Position(1, 1))]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: [1, 2", 1, 4),
        ("a: {b: 1\nc: 2", 2, 2),
        ("a:\n\tb: 1", 2, 1),
        ("a:\n  - 1\n b: 2", 3, 2),
        ("a: 'open", 1, 4),
        ("a: b: c", 1, 5),
        ("a: *nowhere", 1, 4),
        ("a: &a [*a]", 1, 8),
        ("a: 1\n---\nb: 2", 2, 1),
        ("? [a]\n: 1", 1, 5),
        ("a: !!set {b}", 1, 4),
        ("<<: 3", 1, 5),
        ("a: b\x01c", 1, 5),
        ("%NOPE\n---\na: 1", 1, 6),
        ("", 1, 1),
    ],
)
def test_broken_yaml_is_told_with_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(UnreadableError) as caught:
        Document("x.yaml", text)
    assert caught.value.trouble.position == Position(line, column)
    assert caught.value.trouble.what
    assert caught.value.trouble.fix


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "- " * 100_000,
        "{a: " * 100_000,
        "".join(f"a{n}: &a{n} [{'*a' + str(n - 1) + ',' if n else ''} x]\n" for n in range(200)),
        "a: &a [" + "x, " * 1_000 + "]\nb: &b [" + "*a, " * 1_000 + "]\nc: [" + "*b, " * 1_000 + "]",
    ],
    ids=["lists", "items", "mappings", "deep aliases", "wide aliases"],
)
def test_deep_nesting_and_multiplying_aliases_are_refused(text: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        Document("x.yaml", text)
    assert caught.value.trouble.kind == "too_big"


def test_what_is_no_readable_file_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "empty").mkdir()
    missing = tmp_path / "missing.yaml"
    assert [finding.code for finding in lint([tmp_path])] == ["PW001"]
    assert [finding.code for finding in lint([tmp_path / "empty"])] == ["PW001"]
    (finding,) = lint([missing])
    assert (finding.code, finding.line, finding.column) == ("PW001", 1, 1)
    assert finding.file == str(missing)


@pytest.mark.parametrize("content", ["[]", "just a text", "3", "- machine: x", "null", "machine:", "{}"])
def test_yaml_that_is_no_spec_is_a_finding(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(content)
    assert lint([path])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise_anything(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    assert lint([path])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_spec_raises_anything(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    lines = (Path(__file__).parent / "lint" / "valid" / "spec.yaml").read_text().splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "copy", "cut", "word", "null"])):
            case "drop":
                lines.pop(at)
            case "copy":
                lines.insert(at, data.draw(st.sampled_from(lines)))
            case "cut":
                lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
            case "word":
                words = lines[at].split(" ")
                words[data.draw(st.integers(0, len(words) - 1))] = data.draw(
                    st.sampled_from(["x", "not", "-5s", "[]", "{}", "otherwise", "defer", "CLOSED", "*a", "&a", "<<:"])
                )
                lines[at] = " ".join(words)
            case "null":
                lines[at] = lines[at].split(":")[0] + ":"
    path = tmp_path_factory.getbasetemp() / "damaged.yaml"
    path.write_text("\n".join(lines))
    for finding in lint([path]):
        assert 1 <= finding.line <= len(lines) + 1
        assert finding.column >= 1
        assert finding.what
        assert finding.fix
        assert finding.headline().isprintable()
