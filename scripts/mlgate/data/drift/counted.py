"""What is counted of a column now: chunk by chunk, added up, so that no more than a chunk is ever in memory. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.profiles.nouns import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]


@dataclass
class Numbers:
    """Of numbers, as doubles. `below`: how many are at most each knot; `equal`: how many are each of `values`."""

    column: Column
    rows: int = 0
    missing: int = 0
    unfit: int = 0  # neither missing nor a number
    finite: int = 0
    low: float = 0.0  # the sum of what lies below the first knot, and above the last one: by how much
    high: float = 0.0
    far_low: float = 0.0  # the same beyond the range of the reference
    far_high: float = 0.0
    under: int = 0  # below the range of the reference, and above it
    over: int = 0
    total: float = 0.0  # of the finite ones, from the reference's mean
    squares: float = 0.0
    knots: Floats = field(init=False)
    below: Counts = field(init=False)
    values: Floats = field(init=False)
    equal: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.knots = np.asarray(self.column.knots, dtype=np.float64)
        self.below = np.zeros(len(self.knots), dtype=np.int64)
        self.values = np.asarray([float(one) for one in self.column.values], dtype=np.float64)
        self.equal = np.zeros(len(self.values), dtype=np.int64)

    def add(self, values: Floats, missing: int, unfit: int = 0) -> None:
        """Some more; `values` is sorted in place, and NaN among them is missing."""
        values.sort()
        there = values[: int(np.searchsorted(values, math.nan))]
        self.rows += len(values) + missing + unfit
        self.missing += missing + len(values) - len(there)
        self.unfit += unfit
        if not len(there):
            return
        self.below += np.searchsorted(there, self.knots, side="right")
        if len(self.values):
            left, right = (np.searchsorted(there, self.values, side=side) for side in ("left", "right"))
            self.equal += right - left
        finite = there[int(np.searchsorted(there, -math.inf, side="right")) : int(np.searchsorted(there, math.inf))]
        self._moments(finite)
        if self.column.least is not None and self.column.most is not None:
            self.under += int(np.searchsorted(there, self.column.least, side="left"))
            self.over += len(there) - int(np.searchsorted(there, self.column.most, side="right"))
        if len(self.knots) and len(finite):
            beyond = finite[int(np.searchsorted(finite, self.knots[-1], side="right")) :]
            self.high += float((beyond - self.knots[-1]).sum())
            short = finite[: int(np.searchsorted(finite, self.knots[0], side="left"))]
            self.low += float((self.knots[0] - short).sum())
            if self.column.least is not None and self.column.most is not None:
                self.far_high += float(np.maximum(beyond - self.column.most, 0.0).sum())
                self.far_low += float(np.maximum(self.column.least - short, 0.0).sum())

    def _moments(self, finite: Floats) -> None:
        self.finite += len(finite)
        away = finite - (self.column.mean or 0.0)
        self.total += float(away.sum())
        # In place, and not np.dot: BLAS would start threads for it, which wait for each other on a busy machine.
        self.squares += float(np.square(away, out=away).sum())

    @property
    def present(self) -> int:
        return self.rows - self.missing - self.unfit

    @property
    def mean(self) -> float | None:
        return (self.column.mean or 0.0) + self.total / self.finite if self.finite else None

    @property
    def spread(self) -> float | None:
        """The standard deviation, n - 1."""
        if self.finite < 2:
            return None
        return math.sqrt(max(0.0, (self.squares - self.total**2 / self.finite) / (self.finite - 1)))


@dataclass
class Names:
    """Of categories: rows of each value that the profile names, in its order."""

    column: Column
    rows: int = 0
    missing: int = 0
    unseen: int = 0
    unfit: int = 0  # of them, values of another type
    equal: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.equal = np.zeros(len(self.column.values), dtype=np.int64)

    def add(self, codes: Floats, missing: int, unfit: int = 0) -> None:
        """Some more: places in the profile's `values`, -1 for what is not there."""
        found = np.bincount(codes.astype(np.int64) + 1, minlength=len(self.equal) + 1)
        self.rows += len(codes) + missing + unfit
        self.missing += missing
        self.unfit += unfit
        self.unseen += int(found[0]) + unfit
        self.equal += found[1:]

    @property
    def present(self) -> int:
        return self.rows - self.missing
