"""The schema serves editors as well as the loader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from codegen.document import read_document
from codegen.shape import schema, shape_troubles

ROOT = Path(__file__).parents[2]


def properties(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, inner in node.get("properties", {}).items():
            if isinstance(inner, dict):  # `properties` is also a key of the spec itself.
                yield f"{path}.{name}", inner
        for key, inner in node.items():
            yield from properties(inner, f"{path}.{key}")
    elif isinstance(node, list):
        for inner in node:
            yield from properties(inner, path)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())


def test_an_editor_can_say_what_every_key_means() -> None:
    definitions = schema()["$defs"]
    silent = []
    for path, node in properties(schema()):
        target = definitions[node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else {}
        if not (node.get("title") or target.get("title")) or not (node.get("description") or target.get("description")):
            silent.append(path)
    assert silent == []


@pytest.mark.parametrize("path", sorted((ROOT / "spec").glob("*.yaml")), ids=lambda path: path.stem)
def test_each_spec_points_editors_to_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../codegen/schema.json"
    assert (path.parent / "../codegen/schema.json").resolve().is_file()


@pytest.mark.parametrize("name", ["trading", "crossing"])
def test_the_loader_and_a_plain_validator_agree_on_good_specs(name: str) -> None:
    document = read_document(ROOT / "spec" / f"{name}.yaml", name)
    assert shape_troubles(document) == []
    assert list(Draft202012Validator(schema()).iter_errors(document.data)) == []


def test_a_bad_cell_is_found_in_every_place_where_it_stands(spec_dir: Path, door: str) -> None:
    """Cells of a shape that was seen before are looked at again unless that shape was good."""
    path = spec_dir / "door.yaml"
    path.write_text(door.replace("{to: CLOSED}", "{goto: CLOSED}"))
    troubles = shape_troubles(read_document(path, "door.yaml"))
    assert [trouble.kind for trouble in troubles] == ["unknown_key"] * door.count("{to: CLOSED}")
