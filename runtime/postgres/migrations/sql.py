"""The SQL of a revision lies beside it, in a file that editors and psql understand."""

from pathlib import Path


def script(name: str) -> list[str]:
    """The statements of a file; a line of dashes ends each."""
    text = (Path(__file__).parent / "versions" / name).read_text(encoding="utf-8")
    return [statement for part in text.split("\n----\n") if (statement := part.strip())]
