"""Whether a canary fails more often than it may, by tests that may be looked at as often as anybody likes.

Each test is a nonnegative martingale while the rule holds (a mixture of likelihood ratios), so the chance that it ever
exceeds 1/alpha is at most alpha, however often it is looked at (Ville; Robbins 1970; for counts Lindon & Malek 2022).

**Against stable.** Of all errors of a step the canary makes, while its rate is `r` times stable's, the share
`s r / (s r + 1 - s)`, where `s` is its share of the requests. That needs no error rate, so that bursts and days and
nights, which both models see, cancel. `s` is what was observed, not what was configured: a router that is off does not
accuse a model. Steps are strata: each has its own share, and one ratio is tested over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

Side = Literal["above", "below"]  # which claim is being proven: that the value is above the limit, or below it
LARGEST = 1e4  # a ratio beyond it is not told from an infinite one
_POINTS = 24
# By how much the odds are off where the limit does not hold: dense near 1, where most errors are needed to tell.
FACTORS = tuple(math.exp(math.log(40) * (i / _POINTS) ** 1.5) for i in range(1, _POINTS + 1))
_STEPS = 60  # of a bisection


class Pair(NamedTuple):
    """Requests (or callers) of both models in one step, and how many of them went wrong."""

    canary: int
    canary_bad: int
    stable: int
    stable_bad: int


def ratio_evidence(pairs: Sequence[Pair], limit: float, side: Side) -> float:
    """Log of the evidence that the canary's error rate is above (below) `limit` times stable's; 0 says nothing."""
    if limit <= 0:
        return math.inf if side == "above" and any(p.canary_bad and p.stable for p in pairs) else 0.0
    terms = []
    used = [p for p in pairs if p.canary and p.stable and p.canary_bad + p.stable_bad]
    for factor in FACTORS:
        rho = factor if side == "above" else 1 / factor
        log_rho = math.log(rho)
        total = 0.0
        for n_c, b_c, n_s, b_s in used:
            at_limit = n_c * limit + n_s
            total += b_c * log_rho - (b_c + b_s) * math.log((n_c * limit * rho + n_s) / at_limit)
        terms.append(total)
    return mean_of(terms)


def ratio_bounds(pairs: Sequence[Pair], alpha_low: float, alpha_high: float) -> tuple[float, float]:
    """Between which the ratio of error rates lies, each end with its own alpha, at all looks together."""
    low, high = math.log(1 / LARGEST), math.log(LARGEST)
    need_low, need_high = math.log(1 / alpha_low), math.log(1 / alpha_high)
    below = _border(lambda x: ratio_evidence(pairs, math.exp(x), "above") >= need_low, low, high)
    above = _border(lambda x: ratio_evidence(pairs, math.exp(x), "below") < need_high, low, high)
    return (0.0 if below <= low else math.exp(below)), (math.inf if above >= high else math.exp(above))


def share_evidence(n: float, bad: float, limit: float, side: Side) -> float:
    """Log of the evidence that more (less) than the share `limit` of requests goes wrong, `bad` of `n` having done."""
    if limit <= 0:
        return math.inf if side == "above" and bad else 0.0
    if limit >= 1:
        return math.inf if side == "below" and bad < n else 0.0
    terms = []
    for factor in FACTORS:
        rho = factor if side == "above" else 1 / factor
        rest = math.log1p(limit * (rho - 1))  # of odds that are `rho` times those of the limit
        terms.append(bad * math.log(rho) - n * rest)
    return mean_of(terms)


def share_bounds(n: float, bad: float, alpha_low: float, alpha_high: float) -> tuple[float, float]:
    """Between which the share lies, each end with its own alpha, at all looks together."""
    need_low, need_high = math.log(1 / alpha_low), math.log(1 / alpha_high)
    low = _border(lambda x: share_evidence(n, bad, _share(x), "above") >= need_low, -30.0, 30.0)
    high = _border(lambda x: share_evidence(n, bad, _share(x), "below") < need_high, -30.0, 30.0)
    return (0.0 if low <= -30 else _share(low)), (1.0 if high >= 30 else _share(high))


def mean_of(terms: Sequence[float]) -> float:
    """Log of the mean of what is given as logs."""
    highest = max(terms)
    return highest + math.log(sum(math.exp(term - highest) for term in terms)) - math.log(len(terms))


def _share(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _border(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Up to where it holds, of what holds below some value and not above it."""
    if not holds(low):
        return low
    if holds(high):
        return high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return (low + high) / 2
