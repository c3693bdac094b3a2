"""How far apart windows of the reference are from each other, where a profile has days. Pure.

Rows of one day are more alike than rows drawn from the whole reference: weekdays, weather, who is on duty. Chi-square
takes every row for a draw of its own, and so calls every Monday a drift. The profile's own days say what is usual: each
run of as many days as the window has is held against the rest of the reference, as the window is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlgate.data.drift.statistics import chi_square_quantile, noise_floor, psi
from mlgate.data.profiles.nouns import Day

LEAST = 7  # windows that do not overlap; fewer say nothing about the next one
_CAUTION = 0.05  # the spread between windows is taken at its upper 95 % bound: few windows may all be alike by luck


@dataclass(frozen=True)
class Floor:
    """`psi`: what chance alone stays below, at the level asked for. `factor`: how many times that of chi-square it is.

    `nulls`: the largest growth of the share of missing values in any window of the reference. `windows`: how many
    windows said so; 0 where chi-square did.
    """

    psi: float
    factor: float = 1.0
    nulls: float = 0.0
    windows: int = 0


def floor(
    name: str, before: Sequence[int], rows: int, days: Sequence[Day], *, length: int = 1, level: float = 0.95
) -> Floor:
    """For a window of so many rows and days; `before` are the reference's rows in the column's bins."""
    n = sum(before)
    used = max(2, sum(1 for count in before if count))
    plain = noise_floor(used, n, rows, level) if n and rows else 0.0
    found = _windows(name, before, days, length)
    if len(days) // length < LEAST or len(found) < LEAST or not plain:
        return Floor(plain)
    # Each as it would be with as many rows as the window has.
    noise = (used - 1) * (1 / n + 1 / rows)
    seen = []
    for window in found:
        rest = [a - b for a, b in zip(before, window, strict=True)]
        m, others = sum(window), sum(rest)
        seen.append(max(0.0, psi(rest, window) - (used - 1) * (1 / others + 1 / m) + noise))
    many = len(days) // length
    mean = sum(seen) / len(seen)
    spread = sum((one - mean) ** 2 for one in seen) / (len(seen) - 1)
    spread *= (many - 1) / chi_square_quantile(_CAUTION, many - 1)
    usual = 0.0
    if mean > 0 and spread > 0:  # a scaled chi-square of the same mean and variance (Satterthwaite 1946)
        usual = spread / (2 * mean) * chi_square_quantile(level, 2 * mean**2 / spread)
    highest = max(plain, usual, *seen)
    share = before[-1] / n
    nulls = max(window[-1] / sum(window) - share for window in found)
    return Floor(highest, highest / plain, max(0.0, nulls), len(found))


def _windows(name: str, before: Sequence[int], days: Sequence[Day], length: int) -> list[list[int]]:
    """Rows in each run of so many days, overlapping; none that is empty or all there is."""
    counts = [day.counts[name] for day in days if name in day.counts and len(day.counts[name]) == len(before)]
    total = sum(before)
    windows = [
        [sum(column) for column in zip(*counts[at : at + length], strict=True)]
        for at in range(len(counts) - length + 1)
    ]
    return [one for one in windows if 0 < sum(one) < total and all(a >= b for a, b in zip(before, one, strict=True))]
