"""Every file of a machine: the Python package, the diagrams and the page."""

from __future__ import annotations

from codegen.formatting import format_python
from codegen.model import Machine
from codegen.python_files import python_files

PACKAGE_NOTE = (
    '"""Generated from the specs, one package for each; do not edit. Change a spec and run: make generate"""\n'
)


def render(machines: list[Machine]) -> dict[str, str]:
    """The text of every file below generated/, by its path with slashes.

    Raises:
        FormatterError: the Python could not be formatted.
        RendererError: the diagrams could not be drawn.
    """
    from codegen import diagrams

    python: dict[str, str] = {}
    drawn: dict[str, str] = {}
    for machine in machines:
        folder = machine.spec.machine
        python.update({f"{folder}/{name}": text for name, text in python_files(machine).items()})
        drawn.update({f"{folder}/{name}": text for name, text in diagrams.render(machine).items()})
    return {"__init__.py": PACKAGE_NOTE, **format_python(python), **drawn}
