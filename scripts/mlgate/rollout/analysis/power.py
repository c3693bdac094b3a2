"""How many requests decide a rule: how likely the evidence reaches its bar when the canary is as it is supposed to be.

The evidence is the mean over a grid of alternatives, so it is at least each of them divided by their number. The log of
one of them is a sum over requests, whose mean and variance are known; the best one gives the chance, a little too low.
Each function gives the chance that the claim is proven at the given numbers of requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

from mlgate.rollout.analysis import differences, shift
from mlgate.rollout.analysis.counts import FACTORS, Side

_NORMAL = NormalDist()
_NOISE = 1.6  # times sqrt(1/n + 1/m): how far two samples of the same scores are apart, all but 1 time in 100
TAIL = math.sqrt(2)  # assumed: where times are as long as half the margin (as a factor), so many fewer are longer


class Numbers(NamedTuple):
    """Requests of the canary and of stable in one step."""

    canary: float
    stable: float


def ratio(steps: Sequence[Numbers], rates: tuple[float, float], limit: float, side: Side, alpha: float) -> float:
    """For `rates` of (canary, stable), and `error_rate <= limit x stable`."""
    best = 0.0
    for factor in FACTORS:
        rho = factor if side == "above" else 1 / factor
        mean = variance = 0.0
        for step in steps:
            grown = math.log((step.canary * limit * rho + step.stable) / (step.canary * limit + step.stable))
            for n, rate, gain in ((step.canary, rates[0], math.log(rho) - grown), (step.stable, rates[1], -grown)):
                mean += n * rate * gain
                variance += n * rate * gain * gain
        best = max(best, _chance(mean, variance, len(FACTORS), alpha))
    return best


def share(n: float, rate: float, limit: float, side: Side, alpha: float) -> float:
    """For a share that is `rate`, and may be `limit`."""
    best = 0.0
    for factor in FACTORS:
        rho = factor if side == "above" else 1 / factor
        mean = n * (rate * math.log(rho) - math.log1p(limit * (rho - 1)))
        variance = n * rate * (1 - rate) * math.log(rho) ** 2
        best = max(best, _chance(mean, variance, len(FACTORS), alpha))
    return best


def difference(steps: Sequence[Numbers], rates: tuple[float, float], limit: float, side: Side, alpha: float) -> float:
    """For `rates` of (canary, stable), and `error_rate <= stable + limit`."""
    best = 0.0
    for canary, stable in differences.alternatives(rates[1], limit, side):
        mean = variance = 0.0
        for step in steps:
            part = step.canary / (step.canary + step.stable)
            kept = differences.nearest(part, canary, stable, limit)
            for n, rate, at, other in (
                (step.canary, rates[0], kept + limit, canary),
                (step.stable, rates[1], kept, stable),
            ):
                bad, good = math.log(other / at), math.log((1 - other) / (1 - at))
                mean += n * (rate * bad + (1 - rate) * good)
                variance += n * rate * (1 - rate) * (bad - good) ** 2
        best = max(best, _chance(mean, variance, differences.ALTERNATIVES, alpha))
    return best


def quantiles(step: Numbers, quantile: float, alpha: float) -> float:
    """For times that are alike, and a limit at so many times stable's that half of the slow answers lie beyond it."""
    slow = 1 - quantile
    canary = share(step.canary, slow / TAIL, slow, "below", alpha)
    return canary + share(step.stable, min(0.95, slow * TAIL), slow, "above", alpha) - 1


def shifted(step: Numbers, seen: float, limit: float, alpha: float) -> float:
    """For scores that lie `seen` apart: 0.99 where that is proven to be within the limit, else 0."""
    noise = _NOISE * math.sqrt(1 / step.canary + 1 / step.stable)
    return 0.99 if seen + noise + sum(shift.radius(n, alpha / 2) for n in step) <= limit else 0.0


def _chance(mean: float, variance: float, among: int, alpha: float) -> float:
    if variance <= 0:
        return 0.0
    return _NORMAL.cdf((mean - math.log(among / alpha)) / math.sqrt(variance))
