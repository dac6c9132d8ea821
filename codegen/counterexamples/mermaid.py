"""The sequence diagram as Mermaid, for places that draw it, such as the text of a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codegen.counterexamples.happenings import Happening, Lane
from codegen.diagrams.style import clean
from codegen.model import Machine

_NAMES = {Lane.OUTSIDE: "outside", Lane.BOT: "bot", Lane.VENUE: "venue"}


def mermaid_sequence(machine: Machine, told: Sequence[Happening], first_phase: str, loss: str) -> str:
    """The story as a Mermaid `sequenceDiagram`."""
    lines = ["sequenceDiagram", "    participant outside", f"    participant bot as {machine.spec.machine}"]
    if machine.spec.venue is not None:
        lines.append("    participant venue")
    lines.append(f"    Note over bot: {first_phase}")
    lines += [f"    {line}" for one in told for line in _lines(one)]
    lines.append(f"    Note over outside,{'venue' if machine.spec.venue is not None else 'bot'}: {_text(loss)}")
    return "\n".join(lines) + "\n"


def _lines(one: Happening) -> Iterator[str]:
    number = f"{one.step}. " if one.first else ""
    text = _text(number + ": ".join(part for part in (one.title, one.text) if part))
    if one.shape == "arrow":
        yield f"{_NAMES[one.tail]}{'--x' if one.lost else '->>'}{_NAMES[one.head]}: {text}"
    else:
        yield f"Note over {_NAMES[one.tail]}: {text}"
    if one.phase or one.became:
        yield f"Note over bot: {_text(one.phase or one.became)}"


def _text(text: str) -> str:
    """Without what Mermaid takes for the end of a line or for an entity."""
    return clean(text).replace(";", ",").replace("#", "")
