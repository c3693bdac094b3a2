"""Ids as numbers that numpy compares, and the order of one file's rows in another.

Ids that are whole numbers on both sides are compared as 64-bit integers. All else is compared as text, by DuckDB's
64-bit hash of it: among n rows of which m have a wrong id, one is taken for right with a chance of n * m / 2 ** 64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlgate.data.aligned.source import RefusedError, Source
from mlgate.data.reading import sql
from mlgate.data.reading.table import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.intp]

Form = Literal["whole", "text"]

_FITTING = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_WIDTH = 4  # whole numbers in a range of so many times their count are placed without sorting
_EXACT = 2**53 - 1  # up to here a double holds every integer, and no other integer is rounded to it


def column(source: Source) -> Column:
    """Raises RefusedError when there is no id column, or one of nested values."""
    found = source.require(source.id, "columns.id")
    if found.kind == "other" and found.type not in {"BLOB", "TIME", '"NULL"'}:
        said = f"{found.name} is nested ({found.type}), where an id is a number or a text."
        raise RefusedError(source.finding(said, column=found.name, fix="Name another column in `columns.id`."))
    return found


def form(source: Source, column: Column) -> Form:
    """What a file's ids can be compared as. Reads the column where its type does not say."""
    if column.type in _FITTING:
        return "whole"
    if column.kind not in {"integer", "number"}:
        source.touch(column)
        return "text"
    every = source.one(f"bool_and({_whole(column)} IS NOT NULL) FILTER (WHERE NOT ({missing(column)}))")
    return "whole" if every is not False else "text"


def key(column: Column, form: Form) -> str:
    """SQL: what ids are compared by; NULL where one is missing."""
    if form == "whole":
        return _whole(column)
    if column.type in _FITTING or column.type == "VARCHAR":  # nothing but NULL is missing
        return f"CASE WHEN {sql.name(column.name)} IS NULL THEN NULL ELSE hash({text(column)}) END"
    return f"CASE WHEN {missing(column)} THEN NULL ELSE hash({text(column)}) END"


def text(column: Column) -> str:
    """SQL: an id as text. A whole number is its digits, whichever type holds it."""
    v = sql.name(column.name)
    if column.type in {"DOUBLE", "FLOAT"}:
        plain = f"CAST(CAST({v} AS BIGINT) AS VARCHAR)"
        return f"CASE WHEN {_integral(v)} THEN {plain} ELSE CAST({v} AS VARCHAR) END"
    if column.type.startswith("DECIMAL"):
        short = f"rtrim(rtrim(CAST({v} AS VARCHAR), '0'), '.')"
        return f"CASE WHEN contains(CAST({v} AS VARCHAR), '.') THEN {short} ELSE CAST({v} AS VARCHAR) END"
    return f"CAST({v} AS VARCHAR)"


def missing(column: Column) -> str:
    """SQL: whether there is no id. pandas makes a missing one of numbers NaN."""
    v = sql.name(column.name)
    return f"({v} IS NULL OR isnan({v}))" if column.type in {"DOUBLE", "FLOAT"} else f"({v} IS NULL)"


def _integral(v: str) -> str:
    return f"({v} = trunc({v}) AND abs({v}) <= {_EXACT})"


def _whole(column: Column) -> str:
    v = sql.name(column.name)
    if column.type in _FITTING:
        return f"CAST({v} AS BIGINT)"
    if column.type in {"DOUBLE", "FLOAT"}:
        return f"CASE WHEN {_integral(v)} THEN CAST({v} AS BIGINT) END"
    if column.type.startswith("DECIMAL"):
        return f"CASE WHEN {v} = trunc({v}) THEN TRY_CAST({v} AS BIGINT) END"
    return f"TRY_CAST({v} AS BIGINT)"


@dataclass(frozen=True)
class Match:
    """How the rows of a file stand to those of the labels; places count in each file's own order."""

    order: Places | None = None  # where each row of the labels is in the file; None: in the same place
    lost: Places | None = None  # rows of the labels that the file has not
    extra: Places | None = None  # rows of the file that the labels have not
    again: Places | None = None  # rows of the file whose id another row before has

    @property
    def whole(self) -> bool:
        return not any(part is not None and len(part) for part in (self.lost, self.extra, self.again))


@dataclass(frozen=True, eq=False)
class Keys:
    """What the rows of a file are compared by: int64 or uint64, none missing."""

    values: NDArray[Any]
    form: Form

    @cached_property
    def order(self) -> Places:
        """The rows in the order of their keys."""
        return np.arange(len(self.values), dtype=np.intp) if self.rising else np.argsort(self.values)

    @cached_property
    def rising(self) -> bool:
        return bool(np.all(self.values[1:] > self.values[:-1]))

    @cached_property
    def sorted(self) -> NDArray[Any]:
        return self.values if self.rising else np.sort(self.values)

    def again(self) -> Places:
        """Rows whose id another row before has."""
        alone = self.sorted
        if self.rising or not np.any(alone[1:] == alone[:-1]):
            return np.empty(0, dtype=np.intp)
        return _again(self.values)

    def match(self, other: NDArray[Any]) -> Match:
        """The rows of a file with these keys, to the ones here, of which each is there once."""
        if np.array_equal(self.values, other):
            return Match()
        if len(other) == len(self.values):
            order = self._dense(other)
            if order is None and np.array_equal(self.sorted, np.sort(other)):
                order = np.empty(len(other), dtype=np.intp)
                order[self.order] = np.argsort(other)
            if order is not None:
                return Match(order)
        return Match(
            lost=np.flatnonzero(~_within(self.values, np.sort(other))),
            extra=np.flatnonzero(~_within(other, self.sorted)),
            again=_again(other),
        )

    def _dense(self, other: NDArray[Any]) -> Places | None:
        """The order without sorting, for whole numbers that are close to each other. None where they do not agree.

        As many keys as here, of which each here is one, are the ones here.
        """
        if self.form != "whole" or not len(other):
            return None
        least, most = int(self.sorted[0]), int(self.sorted[-1])
        if most - least >= _WIDTH * len(other) or int(other.min()) < least or int(other.max()) > most:
            return None
        place = np.full(most - least + 1, -1, dtype=np.intp)
        place[other - least] = np.arange(len(other), dtype=np.intp)
        order = place[self.values - least]
        return None if (order < 0).any() else order

    def places(self, some: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows here have one of these keys, and which of these keys no row here has."""
        return _within(self.values, np.sort(some)), ~_within(some, self.sorted)


def _again(values: NDArray[Any]) -> Places:
    """Rows whose value a row before has, in their order."""
    order = np.argsort(values, kind="stable")
    there = values[order]
    return np.sort(order[1:][there[1:] == there[:-1]])


def _within(values: NDArray[Any], among: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value is in a sorted array."""
    if not len(among):
        return np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(among, values), len(among) - 1)
    return np.asarray(among[place] == values)
