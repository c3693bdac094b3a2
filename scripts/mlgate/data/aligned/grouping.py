"""The groups of rows that columns of the labels' file make."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.data.aligned import arrays
from mlgate.data.aligned.nouns import Asked, Finding
from mlgate.data.aligned.source import RefusedError, Source
from mlgate.data.rows import Groups

if TYPE_CHECKING:
    from mlgate.data.rows import Codes

MOST = 1_000  # groups of one column, or combination: more are a list of rows


class Plan:
    """Which columns are read for the groups. A column that cannot be used leaves out the groups it is part of."""

    def __init__(self, source: Source, asked: Asked) -> None:
        self.source, self.asked = source, asked
        self.sql: dict[str, str] = {}  # "by <column>" -> SQL
        self._names: dict[str, tuple[str, ...]] = {}
        self._findings: list[Finding] = []
        for name in dict.fromkeys(name for by in asked.groups for name in by):
            try:
                self._add(name)
            except RefusedError as error:
                self._findings += error.findings

    def _add(self, name: str) -> None:
        source = self.source
        column = source.require(name, "by")
        if name in self.asked.edges:
            self.sql[f"by {name}"] = arrays.number(source, column, what="`edges` are set for it")
            return
        made = arrays.factor_sql(source, column, MOST)
        if made is None:
            raise RefusedError(self._too_many(name))
        self.sql[f"by {name}"], self._names[name] = made

    def _too_many(self, name: str) -> Finding:
        said = f"{name} has more than {MOST:,} values, each of which would be a group."
        return self.source.finding(said, column=name, fix="Name another column, or set `edges` for numbers.")

    def groups(self, found: Mapping[str, Any]) -> tuple[dict[str, Groups], list[Finding]]:
        """By `Groups.by`, and what is wrong with the others."""
        single: dict[str, Groups] = {}
        for name in [key.removeprefix("by ") for key in self.sql]:
            try:
                single[name] = self._single(name, found[f"by {name}"])
            except RefusedError as error:
                self._findings += error.findings
        groups: dict[str, Groups] = {}
        for by in self.asked.groups:
            if not by:
                said = "a list of columns that make groups is empty."
                self._findings.append(self.source.finding(said, fix="Name a column in `by`."))
            elif all(name in single for name in by):
                try:
                    made = self._combined([single[name] for name in by])
                except RefusedError as error:
                    self._findings += error.findings
                else:
                    groups[made.by] = made
        return groups, self._findings

    def _single(self, name: str, found: Any) -> Groups:
        column = self.source.columns[name]
        if name in self.asked.edges:
            return self._binned(name, found)
        factor = arrays.factor(column, found, self._names[name])
        if factor.absent:
            count = factor.absent
            said = f"{name}, which makes groups, is missing in {count:,} of {len(factor.codes):,} rows."
            rows = list(np.flatnonzero(factor.codes < 0)[:5])
            raise RefusedError(self.source.finding(said, column=name, count=count, rows=rows))
        if len(factor.names) > MOST:
            raise RefusedError(self._too_many(name))
        return _used(name, factor.codes, [f"{name} = {value}" for value in factor.names])

    def _binned(self, name: str, found: Any) -> Groups:
        """A value on an edge belongs to the group above it. A group without rows is one, too."""
        values = arrays.finite(self.source, name, found, what="it makes groups")
        edges = sorted(self.asked.edges[name])
        if not edges:
            return Groups(name, np.zeros(len(values), dtype=np.int32), (name,))
        codes = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="right").astype(np.int32)
        shown = [arrays.number_name(float(edge)) for edge in edges]
        names = [f"{name} < {shown[0]}"]
        names += [f"{low} <= {name} < {high}" for low, high in itertools.pairwise(shown)]
        return Groups(name, codes, (*names, f"{name} >= {shown[-1]}"))

    def _combined(self, parts: list[Groups]) -> Groups:
        """The combinations that occur."""
        if len(parts) == 1:
            return parts[0]
        codes = parts[0].codes.astype(np.int64)
        for part in parts[1:]:
            codes = codes * len(part.names) + part.codes
        distinct, indices = arrays.indexed(codes)
        by = " x ".join(part.by for part in parts)
        if len(distinct) > MOST:
            raise RefusedError(self._too_many(by))
        names = []
        for code in distinct:
            said, rest = [], int(code)
            for part in reversed(parts):
                rest, place = divmod(rest, len(part.names))
                said.append(part.names[place])
            names.append(", ".join(reversed(said)))
        return Groups(by, indices, tuple(names))


def _used(by: str, codes: Codes, names: list[str]) -> Groups:
    counts = np.bincount(codes, minlength=len(names))
    if counts.all():
        return Groups(by, codes, tuple(names))
    kept = np.flatnonzero(counts)
    rank = np.full(len(names), -1, dtype=np.int32)
    rank[kept] = np.arange(len(kept), dtype=np.int32)
    return Groups(by, rank[codes], tuple(names[int(place)] for place in kept))
