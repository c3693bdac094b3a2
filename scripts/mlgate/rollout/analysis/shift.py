"""How far the scores of a canary lie from those that stable gives at the same time.

The distance is that of Kolmogorov and Smirnov: the largest difference of the two shares of scores up to some value.

Its bounds hold at all looks together. How far `n` observed shares lie from the true ones is a submartingale when `n`
goes down, so that Doob's inequality and Massart's bound (2 exp(-2 n r^2)) give, for all n >= m at once, at most
exp(-4 m r^2) + 8 r sqrt(pi m / 2) exp(-2 m r^2). Ages that grow by a quarter, from 16 scores on, share alpha.
"""

from __future__ import annotations

import math

from mlgate.rollout.nouns import Histogram

FEWEST = 16  # scores below which nothing is said
_GROWTH = 1.25  # of an age


def distance(canary: Histogram, stable: Histogram) -> float:
    """Between 0 and 1; both must hold something. Predictions that are no numbers are ordered in some fixed way."""
    apart = here = there = 0.0
    for bin_ in sorted({*canary.counts, *stable.counts}):
        here += canary.counts.get(bin_, 0) / canary.total
        there += stable.counts.get(bin_, 0) / stable.total
        apart = max(apart, abs(here - there))
    return min(apart, 1.0)


def radius(n: float, alpha: float) -> float:
    """How far the observed shares of `n` independent scores may lie from the true ones, at all looks together."""
    if n < FEWEST:
        return 1.0
    age = int(math.log(n / FEWEST) / math.log(_GROWTH))
    begun = FEWEST * _GROWTH**age
    spent = alpha * 6 / math.pi**2 / (age + 1) ** 2
    low, high = 0.5, 10.0
    for _ in range(40):
        u = (low + high) / 2
        chance = math.exp(-4 * u * u) + 8 * u * math.sqrt(math.pi / 2) * math.exp(-2 * u * u)
        low, high = (u, high) if chance > spent else (low, u)
    return min(1.0, high / math.sqrt(begun))


def bounds(
    canary: Histogram, stable: Histogram, independent: tuple[float, float], alpha_low: float, alpha_high: float
) -> tuple[float, float]:
    """Between which the distance lies, each end with its own alpha.

    `independent`: how many independent things the scores of the canary and of stable come from; rows of one request,
    or requests of one caller, are not.
    """
    seen = distance(canary, stable)
    low, high = (sum(radius(n, alpha / 2) for n in independent) for alpha in (alpha_low, alpha_high))
    return max(0.0, seen - low), min(1.0, seen + high)
