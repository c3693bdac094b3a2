"""The bins that PSI compares: frozen by the reference, with missing, rare and unseen values counted. Pure.

- Numbers: deciles of the reference, open at both ends. Numbers of few different values are taken as categories.
- Categories: one bin for each with at least 0.5 % of the reference; the rarer ones together; those that the reference
  does not know in a bin of their own. In any sample of a long tail some values are unseen, which is no drift: so the
  reference, too, has its share of unseen ones, the values that are there once (they would be unseen but for that row;
  Good 1953).
- Missing values: one bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgate.data.drift import statistics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEW = 20  # different values up to which numbers are categories
RARE = 0.005  # share of the reference below which categories are pooled


@dataclass(frozen=True)
class Bins:
    """Counts of the same bins on both sides: only those that any row is in. `unseen` counts rows of now."""

    reference: tuple[int, ...]
    now: tuple[int, ...]
    unseen: int = 0
    kept: int = 0  # categories with a bin of their own

    @property
    def size(self) -> int:
        return len(self.reference)


def of_numbers(reference: Floats, now: Floats, missing: tuple[int, int]) -> Bins:
    """Sorted values; `missing`: how many rows have none, in the reference and now."""
    import numpy as np  # noqa: PLC0415

    steps = np.flatnonzero(reference[1:] != reference[:-1])
    if len(steps) < FEW:
        different = reference[np.append(steps, len(reference) - 1)]
        counts = [_counts(values, different) for values in (reference, now)]
        known = list(zip(*counts, strict=True))
        return of_categories(known, len(now) - sum(counts[1]), missing)
    edges = statistics.decile_edges(reference)
    first, second = statistics.binned(reference, edges), statistics.binned(now, edges)
    return _kept([*zip(first, second, strict=True), missing])


def of_categories(known: Sequence[tuple[int, int]], unseen: int, missing: tuple[int, int]) -> Bins:
    """`known`: rows of each category of the reference, then and now; `unseen`: rows of now in none of them."""
    rows = sum(before for before, _ in known) + missing[0]
    kept = [pair for pair in known if pair[0] >= RARE * rows]
    rare = [pair for pair in known if pair[0] < RARE * rows]
    once = sum(before == 1 for before, _ in rare)
    return pooled(kept, (sum(before for before, _ in rare), sum(after for _, after in rare)), once, unseen, missing)


def pooled(
    kept: Sequence[tuple[int, int]], rare: tuple[int, int], once: int, unseen: int, missing: tuple[int, int]
) -> Bins:
    """The same with the rare ones already added up; `once`: how many of them are there once in the reference."""
    return _kept([*kept, (rare[0] - once, rare[1]), (once, unseen), missing], unseen, len(kept))


def _counts(values: Floats, different: Floats) -> list[int]:
    import numpy as np  # noqa: PLC0415

    found = np.searchsorted(values, different, side="right") - np.searchsorted(values, different, side="left")
    return [int(count) for count in found]


def _kept(pairs: Sequence[tuple[int, int]], unseen: int = 0, kept: int = 0) -> Bins:
    used = [pair for pair in pairs if any(pair)]
    return Bins(tuple(pair[0] for pair in used), tuple(pair[1] for pair in used), unseen, kept)
