"""The file of reasons is read strictly: what is not understood is said, with the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen.mutation.reasons import Reason, ReasonsError, read_reasons, reasons_file


def written(folder: Path, text: str) -> Path:
    path = folder / "lift.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_several_mutants_share_a_reason(tmp_path: Path) -> None:
    path = written(tmp_path, '[[survivors]]\nequivalent = "The same."\nmutants = ["a", "b"]\n')
    assert read_reasons(path) == dict.fromkeys("ab", Reason("equivalent", "The same."))


def test_without_a_file_there_are_no_reasons(tmp_path: Path) -> None:
    assert read_reasons(tmp_path / "lift.toml") == {}


def test_the_file_stands_beside_the_spec(tmp_path: Path) -> None:
    assert reasons_file(tmp_path / "lift.yaml") == tmp_path / "survivors" / "lift.toml"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[survivors]\n", "cannot be read"),
        ("survivors = 1\n", "each [[survivors]] has"),
        ('[[survivors]]\nmutants = ["a"]\n', "number 1 of [[survivors]]"),
        ('[[survivors]]\ngap = ""\nmutants = ["a"]\n', "number 1 of [[survivors]]"),
        ('[[survivors]]\ngap = "Why."\nmutants = []\n', "number 1 of [[survivors]]"),
        ('[[survivors]]\ngap = "Why."\nequivalent = "Why."\nmutants = ["a"]\n', "number 1 of [[survivors]]"),
        ('[[survivors]]\nbecause = "Why."\nmutants = ["a"]\n', "number 1 of [[survivors]]"),
        (
            '[[survivors]]\ngap = "Why."\nmutants = ["a"]\n[[survivors]]\ngap = "So."\nmutants = ["a"]\n',
            "`a` is given two reasons",
        ),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ReasonsError) as error:
        read_reasons(written(tmp_path, text))
    assert told in str(error.value)
    assert "lift.toml" in str(error.value)
