"""Categories: which of them are written down, and which have a bin of their own. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlgate.data.profiles.nouns import FLOOR

FEW = 20  # different values up to which numbers are categories
LISTED = 500  # categories written down at most, the most frequent ones
LONGEST = 200  # characters of one: longer texts are no categories, and would fill the file
ROOM = 8_000  # characters of all that are listed
SHARE = 0.005  # of all rows, from which on a category has a bin of its own


@dataclass(frozen=True)
class Counted:
    """`values` and `kept` in the order of their names; `other`: different ones that are not listed, and their rows."""

    values: dict[str, int]
    kept: tuple[str, ...]
    other: tuple[int, int]


def counted(
    found: Iterable[tuple[str, int]], rest: tuple[int, int], rows: int, *, only: Iterable[str] | None = None
) -> Counted:
    """Of the most frequent values (text, rows) and the `rest` of them, counted together.

    `only`: the values that may be listed, where another profile says so; those that are not there have 0 rows.
    """
    different, left = rest
    able: list[tuple[int, str]] = []
    allowed = None if only is None else set(only)
    for text, count in found:
        shared = count >= FLOOR and len(text) <= LONGEST if allowed is None else text in allowed
        if shared:
            able.append((-count, text))
        else:
            different, left = different + 1, left + count
    able.sort()
    most = len(able) if allowed is not None else _fitting([text for _, text in able[:LISTED]])
    for count, _ in able[most:]:
        different, left = different + 1, left - count
    values = {text: -count for count, text in sorted(able[:most], key=lambda one: one[1])}
    if allowed is not None:
        values = {text: values.get(text, 0) for text in sorted(allowed)}
    kept = tuple(text for text, count in values.items() if count >= SHARE * rows)
    return Counted(values, kept, (different, left))


def _fitting(texts: list[str]) -> int:
    """How many of them there is room for."""
    room = ROOM
    for place, text in enumerate(texts):
        room -= len(text) + 2
        if room < 0:
            return place
    return len(texts)
