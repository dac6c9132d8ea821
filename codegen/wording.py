"""Small pieces of the sentences that findings are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_LISTED_AT_MOST = 12


def closest(name: str, known: Iterable[str]) -> str:
    """`did you mean X? ` when a known name is close, else nothing. The trailing space joins what follows."""
    options = list(known)
    by_case = [option for option in options if option.lower() == name.lower()]
    found = by_case or get_close_matches(name, options, n=1, cutoff=0.6)
    return f"did you mean `{found[0]}`? " if found else ""


def listed(names: Sequence[str]) -> str:
    """The names, separated by commas; a long list is cut and says how many are left out."""
    shown = ", ".join(names[:_LISTED_AT_MOST])
    return shown if len(names) <= _LISTED_AT_MOST else f"{shown} and {len(names) - _LISTED_AT_MOST} more"
