"""Each rule finds what it is for, at the exact place and in the exact words, and nothing else.

A folder in `lint/` is named after the code it is about. It holds specs and, in `expected.txt`, all that is said of
them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen.commands import lint
from codegen.findings import render_findings
from codegen.lint.registry import RULES, rules_page
from codegen.lint.rule import Rule

ROOT = Path(__file__).parents[2]
FIXTURES = sorted(path for path in (Path(__file__).parent / "lint").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FIXTURES, ids=lambda folder: folder.name)
def test_all_that_is_said_of_a_spec(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    said = render_findings(lint(sorted(Path().glob("*.yaml"))))
    assert said == (folder / "expected.txt").read_text(encoding="utf-8").rstrip("\n")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_rule_has_a_fixture_that_it_speaks_in(rule: Rule) -> None:
    expected = [folder / "expected.txt" for folder in FIXTURES if folder.name.startswith(rule.code)]
    assert any(f" {rule.code}: " in path.read_text(encoding="utf-8") for path in expected)


def test_no_two_rules_share_a_code_or_a_title() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
    assert len({rule.title for rule in RULES}) == len(RULES)


def test_the_page_of_rules_is_fresh() -> None:
    assert (ROOT / "docs" / "lint-rules.md").read_text(encoding="utf-8") == rules_page(), (
        "run: python -m codegen.lint > docs/lint-rules.md"
    )


@pytest.mark.parametrize("name", ["trading", "crossing", "venue"])
def test_the_machines_of_this_project_give_no_findings(name: str) -> None:
    assert lint([ROOT / "spec" / f"{name}.yaml"]) == []
