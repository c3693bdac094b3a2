# ruff: noqa: S608 -- every name and constant is escaped by `sql`
"""Where a drift sits: without which slice it would be gone.

A profile knows each column alone, not which values go together, so that a slice cannot be held against itself as it
was. What can be said exactly is how far the column has moved without the slice's rows: the slice that takes most of the
drift away is where it sits.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mlgate.data.drift import frozen, statistics
from mlgate.data.drift.against import of_profile, placed
from mlgate.data.profiles.nouns import FLOOR, Profile

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SLICES = 20  # of one feature, the most frequent ones
_COLUMNS = 5  # columns that are looked at, those that moved most
_SHOWN = 3  # slices of one column that are said
_LESS = 0.8  # what is left of the drift without a slice, at most, for it to be said


def sliced(
    con: DuckDBPyConnection,
    relation: str,
    columns: Mapping[str, str],
    profile: Profile,
    *,
    moved: Sequence[str],
    by: Iterable[str],
    private: Container[str] = frozenset(),
) -> dict[str, tuple[str, ...]]:
    """For each column that moved (the worst first): `without health = poor: PSI 0.03 of 0.42 (1,204 rows)`.

    `by`: the features whose values are the slices; a column is not sliced by itself, nor by a private one. A slice of
    fewer than 10 rows is not named. Raises duckdb.Error when the rows cannot be read.
    """
    of = {name: column for name, _, column in of_profile(profile)}
    found: dict[str, tuple[str, ...]] = {}
    for name in [one for one in moved if one in of and one in columns][:_COLUMNS]:
        place = placed(con, relation, columns[name], name, of[name])
        if place is None:
            continue
        before = list(frozen.bins(of[name]).before)
        said: list[tuple[float, str]] = []
        for feature in by:
            if feature != name and feature in columns and feature not in private:
                said += _by(con, relation, (feature, columns[feature]), place, before)
        if said:
            found[name] = tuple(text for _, text in sorted(said)[:_SHOWN])
    return found


def _by(
    con: DuckDBPyConnection, relation: str, by: tuple[str, str], place: str, before: list[int]
) -> list[tuple[float, str]]:
    """Each slice of one feature that takes a good part of the drift away: the PSI that is left, and the words."""
    name, expression = by
    rows = con.execute(
        f"SELECT CAST({expression} AS VARCHAR) AS s, CAST({place} AS BIGINT) AS b, count(*)::BIGINT FROM {relation} "
        "WHERE b IS NOT NULL GROUP BY 1, 2"
    ).fetchall()
    bins = len(before)
    whole = [0] * bins
    slices: dict[str | None, list[int]] = {}
    for value, at, count in rows:
        own = slices.setdefault(value, [0] * bins)
        own[int(at)] += int(count)
        whole[int(at)] += int(count)
    there = _psi(before, whole)
    found = []
    largest = sorted(slices.items(), key=lambda pair: (-sum(pair[1]), str(pair[0])))[:_SLICES]
    for value, own in largest:
        rest = [a - b for a, b in zip(whole, own, strict=True)]
        if sum(own) < FLOOR or sum(rest) < FLOOR:
            continue
        left = _psi(before, rest)
        if left <= _LESS * there:
            shown = "missing" if value is None else value[:40]
            text = f"without {name} = {shown}: PSI {left:.2g} of {there:.2g} ({sum(own):,} rows)"
            found.append((left, text))
    return found


def _psi(before: Sequence[int], now: Sequence[int]) -> float:
    used = [i for i in range(len(now)) if before[i] or now[i]]
    return statistics.psi([before[i] for i in used], [now[i] for i in used])
