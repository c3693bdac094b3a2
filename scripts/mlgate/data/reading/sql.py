"""How names and values are written in DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def name(text: str) -> str:
    """An identifier."""
    return '"' + text.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text literal. DuckDB reads a quote twice as one, and a backslash as itself."""
    return "'" + value.replace("'", "''") + "'"


def paths(files: Iterable[Path]) -> str:
    """A list of files, each taken literally: DuckDB would take a `*` in a file's name for a pattern."""
    return f"[{', '.join(text(literal(str(file))) for file in files)}]"


def literal(path: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)
