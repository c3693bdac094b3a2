"""The rows of each group counted in joint cells (label x challenger x champion), and the rates that follow from them.

Everything a parity metric needs, its uncertainty included, is in these eight counts of each group: the bootstrap over
rows is a draw from them as one multinomial. With weights the cells hold sums of weights and variances are linearised;
with clusters the sums of whole clusters vary. Either way a rate then has an effective number of rows, by which it is
treated like a share of that many (Korn and Graubard 1998, Survey Methodology 24); a rate that does not vary is worth
what its weights are (Kish 1965), or as many rows as it has clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.data.rows import Groups, Predicted, Rows
from mlgate.parity import Rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CELLS = 8
_CELL = np.arange(CELLS)
LABEL, CHALLENGER, CHAMPION = _CELL >> 2 & 1, _CELL >> 1 & 1, _CELL & 1


@dataclass(frozen=True)
class Measured:
    """One rate of one model in each of G groups. `value` is NaN where nothing counts towards it (`rows` is 0)."""

    value: Array  # (G,)
    rows: Array  # (G,) rows that count towards it, as they are
    effective: Array  # (G,) as many rows as it is worth: never more than `rows`
    variance: Array  # (G,)
    influence: Array  # (G, 8): by how much a row of each cell moves it, per unit of weight
    clusters: Array | None = None  # (G,) that have a row which counts


@dataclass(frozen=True)
class Tally:
    names: tuple[str, ...]
    count: Array  # (G, 8) rows
    weight: Array  # (G, 8) sums of weights; without weights the rows
    _unit: Array  # (U, 8) what varies as one piece: sums of squared weights of a group, or weights of a cluster in it
    _of: NDArray[np.intp] | None  # (U,) the group of each unit; None where each group is one line of `_unit`
    clusters: Array | None = None  # (G,)
    compared: bool = True  # whether there is a champion

    @property
    def rows(self) -> Array:
        total: Array = self.count.sum(axis=1)
        return total

    @cached_property
    def base_rate(self) -> Array:
        return _divided(self.weight @ LABEL, self.weight.sum(axis=1))

    def rate(self, name: Rate, *, champion: bool = False) -> Measured:
        """One rate of the challenger, or of the champion."""
        decided = CHAMPION if champion else CHALLENGER
        counted, positive = _parts(name, decided)
        total = self.weight @ counted
        value = _divided(self.weight @ (counted * positive), total)
        rows: Array = (self.count @ counted) * (total > 0)
        influence = np.nan_to_num(_divided(counted * (positive - value[:, None]), total[:, None]))
        variance = self.covariance(influence, influence)
        clusters = self._clusters_of(counted)
        alike = _divided(total**2, self._unit @ counted, else_=0.0) if clusters is None else clusters
        with np.errstate(divide="ignore", invalid="ignore"):
            worth = np.where(variance > 0, value * (1 - value) / variance, alike)
        return Measured(value, rows, np.minimum(worth, rows), variance, influence, clusters)

    def covariance(self, a: Array, b: Array) -> Array:
        """(G,): of two rates of the same group, by their influences."""
        if self._of is None:
            plain: Array = np.einsum("gc,gc,gc->g", self._unit, a, b)
            return plain
        products = np.einsum("uc,uc->u", self._unit, a[self._of]) * np.einsum("uc,uc->u", self._unit, b[self._of])
        assert self.clusters is not None  # noqa: S101 -- units without clusters have no `_of`
        summed = np.bincount(self._of, products, minlength=len(self.names))
        scaled: Array = summed * _divided(self.clusters, np.maximum(self.clusters - 1, 0), else_=1.0)
        return scaled

    def _clusters_of(self, counted: NDArray[Any]) -> Array | None:
        if self._of is None:
            return None
        there = (self._unit @ counted > 0).astype(float)
        return np.asarray(np.bincount(self._of, there, minlength=len(self.names)), dtype=np.float64)


def tally(rows: Rows, groups: Groups) -> Tally:
    """Count the rows of every group. Labels are binary and both sides decided; without a champion its cell is 0.

    One pass; memory is that of a few arrays of `n` whatever the number of groups.
    """
    cells = groups.codes.astype(np.int64) * CELLS
    cells += (rows.label == 1).astype(np.int64) * 4
    cells += _decided(rows.challenger).astype(np.int64) * 2
    if rows.champion is not None:
        cells += _decided(rows.champion)
    size = len(groups.names)
    count = np.bincount(cells, minlength=size * CELLS).reshape(size, CELLS).astype(float)
    weighted = count
    if rows.weight is not None:
        weighted = np.bincount(cells, rows.weight, size * CELLS).reshape(size, CELLS)
    compared = rows.champion is not None
    if rows.cluster is not None:
        return _clustered(rows, groups, cells, count, weighted, compared=compared)
    unit = count
    if rows.weight is not None:
        unit = np.bincount(cells, rows.weight**2, size * CELLS).reshape(size, CELLS)
    return Tally(groups.names, count, weighted, unit, None, compared=compared)


def _clustered(
    rows: Rows, groups: Groups, cells: NDArray[np.int64], count: Array, weighted: Array, *, compared: bool
) -> Tally:
    """A cluster that has rows in several groups counts once in each; what it shares between them is left out, which
    makes differences between groups look less certain than they are, never more (rows of a cluster go together)."""
    assert rows.cluster is not None  # noqa: S101 -- asked only then
    size = len(groups.names)
    pieces, at = np.unique(rows.cluster.astype(np.int64) * size + groups.codes, return_inverse=True)
    unit = np.bincount(at * CELLS + cells % CELLS, rows.weight, len(pieces) * CELLS).reshape(-1, CELLS)
    of = (pieces % size).astype(np.intp)
    clusters = np.bincount(of, minlength=size).astype(float)
    return Tally(groups.names, count, weighted, unit.astype(float), of, clusters, compared)


def _decided(predicted: Predicted) -> NDArray[np.int32]:
    if predicted.decided is None:
        raise ValueError("rates of groups need decided classes")
    return predicted.decided


def _parts(name: Rate, decided: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The cells that count towards a rate, and those of them that make it larger."""
    everything = np.ones(CELLS, dtype=np.int64)
    return {
        "selection_rate": (everything, decided),
        "true_positive_rate": (LABEL, decided),
        "false_positive_rate": (1 - LABEL, decided),
        "precision": (decided, LABEL),
    }[name]


def _divided(over: Any, under: Any, else_: float = float("nan")) -> Array:
    over, under = np.broadcast_arrays(np.asarray(over, float), np.asarray(under, float))
    found: Array = np.divide(over, under, out=np.full(over.shape, else_), where=under > 0)
    return found


def chosen(measured: Sequence[Measured], keep: Sequence[NDArray[np.bool_]]) -> list[Measured]:
    """Each rate in its own choice of groups."""
    return [
        Measured(m.value[k], m.rows[k], m.effective[k], m.variance[k], m.influence[k])  # clusters have been seen to
        for m, k in zip(measured, keep, strict=True)
    ]
