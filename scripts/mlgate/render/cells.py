"""Columns a text takes on a terminal, and text laid out by them."""

from __future__ import annotations

import unicodedata


def of(text: str) -> int:
    """Columns of a text without control characters."""
    return len(text) if text.isascii() else sum(map(_char, text))


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Filled with spaces up to `columns`."""
    gap = " " * max(0, columns - of(text))
    return gap + text if right else text + gap


def cut(text: str, columns: int) -> str:
    """At most `columns` wide, with an ellipsis at the end when something is missing."""
    if of(text) <= columns:
        return text
    kept, taken = [], 0
    for char in text:
        taken += _char(char)
        if taken > columns - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def wrap(text: str, columns: int) -> list[str]:
    """Lines of at most `columns`, broken at spaces; a word that is wider than a line is broken anywhere."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        rest = word
        if line and of(line) + 1 + of(rest) <= columns:
            line += f" {rest}"
            continue
        if line:
            lines.append(line)
        while of(rest) > columns:
            head = _head(rest, columns)
            lines.append(rest[:head])
            rest = rest[head:]
        line = rest
    return [*lines, line] if line or not lines else lines


def _head(text: str, columns: int) -> int:
    taken = 0
    for at, char in enumerate(text):
        taken += _char(char)
        if taken > columns:
            return max(1, at)
    return len(text)


def _char(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
