"""Upright axes that begin at 0 and end at a round number, or that have tenfold steps where values lie far apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

_FAR = 25.0  # times the usual: a value for which steps are tenfold


class Scale(NamedTuple):
    """Its ticks, from the lowest to the highest."""

    ticks: tuple[float, ...]
    logarithmic: bool

    def share(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        if self.logarithmic:
            return min(1.0, max(0.0, math.log(max(value, low) / low) / math.log(high / low)))
        return min(1.0, max(0.0, value / high))


def of(usual: Sequence[float], least: float, most: float) -> Scale:
    """For values from `least` to `most`, mostly like `usual`."""
    middle = median(usual)
    if middle > 0 and least > 0 and most / middle > _FAR:
        low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
        nth = max(1, math.ceil((high - low) / 4))
        return Scale(tuple(10.0**ten for ten in (*range(low, high, nth), high)), logarithmic=True)
    return Scale(tuple(upward(most)) if most > 3 else (0.0, most / 2 or 0.5, most or 1.0), logarithmic=False)


def upward(most: float) -> list[float]:
    """From 0 to a round number that is no less: two or three steps."""
    if most <= 1:
        return [0.0, 1.0]
    step = 10.0 ** math.floor(math.log10(most))
    step = next(s for s in (step / 2, step, step * 2, step * 5) if most / s <= 3)
    step = max(1.0, step)
    return [step * number for number in range(math.ceil(most / step) + 1)]
