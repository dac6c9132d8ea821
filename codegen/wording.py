"""Small pieces of the sentences that findings are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_LISTED_AT_MOST = 12


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, if one is."""
    options = list(known)
    by_case = [option for option in options if option.lower() == name.lower()]
    return next(iter(by_case or get_close_matches(name, options, n=1, cutoff=0.6)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean X? ` when a known name is close, else nothing. The trailing space joins what follows."""
    found = closest(name, known)
    return f"did you mean `{found}`? " if found else ""


def listed(names: Sequence[str]) -> str:
    """The names, separated by commas; a long list is cut and says how many are left out."""
    shown = ", ".join(names[:_LISTED_AT_MOST])
    return shown if len(names) <= _LISTED_AT_MOST else f"{shown} and {len(names) - _LISTED_AT_MOST} more"


def article(noun: str) -> str:
    """The noun with `a` or `an` before it."""
    return f"an {noun}" if noun[:1] in "aeiou" else f"a {noun}"
