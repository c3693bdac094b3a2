"""Rules of the times that answers take: a quantile against a limit, or against stable's at the same time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlgate.config.conditions import Condition
from mlgate.rollout.analysis.found import (
    Found,
    Levels,
    MissingError,
    Stratum,
    finite,
    said,
    seconds,
    some,
    state,
    within,
)
from mlgate.rollout.analysis.quantiles import Times
from mlgate.rollout.nouns import Arm, Histogram, Tally

QUANTILES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}
_HOLES = 0.01  # of the answers may be without a time before the log is taken to have holes


def judged(condition: Condition, strata: Sequence[Stratum], levels: Levels) -> Found:
    """Raises MissingError without requests, or where answers have no times."""
    quantile = QUANTILES[condition.metric]
    canary = [_times(s.canary, "canary", sticky=levels.sticky) for s in strata]
    some(sum(t.total for t in canary), "canary")
    if condition.kind == "absolute":
        return _alone(condition, quantile, canary, levels)
    stable = [_times(s.stable, "stable", sticky=levels.sticky) for s in strata]
    some(canary[-1].total, "canary")
    some(stable[-1].total, "stable")
    # Each step alone: at another hour both are slower, and their shares of the hours differ from step to step. Two
    # bounds and any of the steps may decide that it is broken; only the running one, that it holds.
    level = levels.each(2 * levels.steps)
    number = float(condition.number)
    factor, more = (number, 0.0) if condition.kind == "times" else (1.0, number)
    broken = inside = False
    ends = (0.0, math.inf)
    for one, other in zip(canary, stable, strict=True):
        ends = one.bounds(quantile, level.low, level.high)
        fastest, slowest = other.bounds(quantile, level.high, level.low)
        broken = broken or ends[0] > factor * slowest + more
        inside = ends[1] <= factor * fastest + more
    seen, beside = canary[-1].at(quantile), stable[-1].at(quantile)
    known = finite(seen) is not None and finite(beside) is not None
    return Found(
        state(broken, inside),
        said(condition, seconds(seen), seconds(beside), "it", (seconds(ends[0]), seconds(ends[1]))),
        finite(seen),
        finite(beside),
        change=seen - beside if known else None,
        rows=sum(t.total for t in canary),
        method="sequential quantiles",
    )


def _alone(condition: Condition, quantile: float, canary: Sequence[Times], levels: Levels) -> Found:
    limit = float(condition.number)
    whole = _joined(canary)
    groups, level = (list(canary), levels.each(levels.steps)) if levels.sticky else ([whole], levels)
    ends = within([t.bounds(quantile, level.low, level.high) for t in groups])
    seen = whole.at(quantile)
    return Found(
        level.state(
            max(t.evidence(limit, quantile, "above") for t in groups),
            max(t.evidence(limit, quantile, "below") for t in groups),
        ),
        said(condition, seconds(seen), "", "it", (seconds(ends[0]), seconds(ends[1]))),
        finite(seen),
        interval=ends if all(math.isfinite(end) for end in ends) else None,
        rows=whole.total,
        method="sequential quantiles",
    )


def _times(tally: Tally, arm: Arm, *, sticky: bool) -> Times:
    name = "the canary" if arm == "canary" else "stable"
    timed, answered = tally.times.total, tally.requests - tally.errors
    if timed < answered * (1 - _HOLES):
        raise MissingError(f"only {timed:,} of the {answered:,} answers of {name} have a time")
    together = 1
    if sticky and tally.requests:
        if not tally.units:
            raise MissingError(f"it is callers that are counted, and nobody knows how many {name} had")
        together = max(1, math.ceil(tally.requests / tally.units))
    return Times(tally.times, max(0, tally.requests - timed), together)


def _joined(times: Sequence[Times]) -> Times:
    counts: dict[int, int] = {}
    for one in times:
        for bin_, count in one.histogram.counts.items():
            counts[bin_] = counts.get(bin_, 0) + count
    return Times(Histogram(counts), sum(t.lost for t in times), max(t.together for t in times))
