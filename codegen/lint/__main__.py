"""Prints the page of all rules: `python -m codegen.lint > docs/lint-rules.md`."""

from codegen.lint.registry import rules_page

print(rules_page(), end="")
