"""Whether a canary's error rate lies more than so much above stable's: `error_rate <= stable + 0.2%`.

One request is a draw of a model and of how it went. For any pair of rates that break the rule, the pair that keeps it
and is nearest (in relative entropy) gives a likelihood ratio whose mean is at most 1 for every pair that keeps it, as
those pairs are a convex set (Grünwald, de Heide & Koolen; Turner, Ly & Grünwald). The mean over a grid of such pairs
may be looked at as often as anybody likes, and base rates may move as they like. Leaving pairs out only lowers it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mlgate.rollout.analysis.counts import Pair, Side

_BASES = tuple(10 ** (-4.5 + 0.25 * i) for i in range(17))  # stable's rate: 0.003 % to 32 %
_GAPS = tuple(0.00025 * 2**i for i in range(11))  # how far beyond the limit
ALTERNATIVES = len(_BASES) * (len(_GAPS) + 1)  # of which those far from what was seen are left out
_NEAR = 5  # of the bases, those that could matter
_STEPS = 24


def difference_evidence(pairs: Sequence[Pair], limit: float, side: Side) -> float:
    """Log of the evidence that the canary's error rate is above (below) stable's plus `limit`."""
    used = [p for p in pairs if p.canary and p.stable]
    if not used or not -1 < limit < 1:
        return 0.0
    stable = sum(p.stable_bad for p in used) / sum(p.stable for p in used)
    terms = [sum(_gain(pair, other, base, limit) for pair in used) for other, base in alternatives(stable, limit, side)]
    if not terms:
        return 0.0
    highest = max(terms)
    return highest + math.log(sum(math.exp(term - highest) for term in terms)) - math.log(ALTERNATIVES)


def alternatives(stable: float, limit: float, side: Side) -> Iterator[tuple[float, float]]:
    """Rates of (canary, stable) that break the rule (keep it), near a rate of stable's."""
    near = sorted(_BASES, key=lambda base: abs(math.log(base / max(stable, _BASES[0]))))[:_NEAR]
    sign = 1 if side == "above" else -1
    for base in near:
        for gap in (*_GAPS, abs(limit)):
            other = base + limit + sign * gap
            if gap and 0 < other < 1:
                yield other, base


def difference_bounds(pairs: Sequence[Pair], alpha_low: float, alpha_high: float) -> tuple[float, float]:
    """Between which the difference of the rates lies, each end with its own alpha, at all looks together."""
    used = [p for p in pairs if p.canary and p.stable]
    if not used:
        return -1.0, 1.0
    seen = sum(p.canary_bad for p in used) / sum(p.canary for p in used)
    seen -= sum(p.stable_bad for p in used) / sum(p.stable for p in used)
    return (
        _border(used, seen, -1.0, math.log(1 / alpha_low), "above"),
        _border(used, seen, 1.0, math.log(1 / alpha_high), "below"),
    )


def _border(pairs: Sequence[Pair], seen: float, far: float, need: float, side: Side) -> float:
    near = seen
    for _ in range(_STEPS):
        middle = (near + far) / 2
        if difference_evidence(pairs, middle, side) >= need:
            far = middle
        else:
            near = middle
    return far


def _gain(pair: Pair, canary: float, stable: float, limit: float) -> float:
    """The log likelihood ratio of two rates to the nearest ones that keep the rule."""
    share = pair.canary / (pair.canary + pair.stable)
    kept = nearest(share, canary, stable, limit)
    gain = 0.0
    for n, bad, rate, at in (
        (pair.canary, pair.canary_bad, canary, kept + limit),
        (pair.stable, pair.stable_bad, stable, kept),
    ):
        gain += bad * math.log(rate / at) + (n - bad) * math.log((1 - rate) / (1 - at))
    return gain


def nearest(share: float, canary: float, stable: float, limit: float) -> float:
    """Stable's rate of the pair on the limit that is nearest; the slope of the distance grows with it."""
    low, high = max(0.0, -limit), min(1.0, 1.0 - limit)
    # It lies between what each of the two rates alone would make of it.
    low, high = max(low, min(stable, canary - limit)), min(high, max(stable, canary - limit))
    for _ in range(_STEPS):
        at = (low + high) / 2
        other = at + limit
        slope = share * (other - canary) / (other * (1 - other)) + (1 - share) * (at - stable) / (at * (1 - at))
        low, high = (low, at) if slope > 0 else (at, high)
    return (low + high) / 2
