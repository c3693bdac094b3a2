"""Rules of the error rate: against a number, so many times stable's, or stable's and so much more."""

from __future__ import annotations

from collections.abc import Sequence

from mlgate.config.conditions import Condition
from mlgate.rollout.analysis.counts import Pair, ratio_bounds, ratio_evidence, share_bounds, share_evidence
from mlgate.rollout.analysis.differences import difference_bounds, difference_evidence
from mlgate.rollout.analysis.found import (
    Found,
    Levels,
    MissingError,
    Stratum,
    finite,
    percent,
    said,
    some,
    times,
    within,
)


def judged(condition: Condition, strata: Sequence[Stratum], levels: Levels) -> Found:
    """Raises MissingError without requests, or without callers where they are what is counted."""
    pairs = [pair(stratum, sticky=levels.sticky) for stratum in strata]
    # Callers who stay with one model are the same in each step, which then says one thing several times: each step is
    # tested alone, and all share alpha. Requests are new ones in each, and tested together.
    groups, level = ([[p] for p in pairs], levels.each(levels.steps)) if levels.sticky else ([pairs], levels)
    some(sum(p.canary for p in pairs), "canary")
    if condition.kind == "absolute":
        return _alone(condition, groups, level)
    some(sum(p.stable for p in pairs), "stable")
    return _times(condition, groups, level) if condition.kind == "times" else _beside(condition, groups, level)


def pair(stratum: Stratum, *, sticky: bool) -> Pair:
    """What is counted of a step: requests, or callers."""
    canary, stable = stratum.canary, stratum.stable
    if not sticky:
        return Pair(canary.requests, canary.errors, stable.requests, stable.errors)
    for name, tally in (("the canary", canary), ("stable", stable)):
        if tally.requests and (tally.units is None or tally.bad_units is None):
            raise MissingError(f"it is callers that are counted, and nobody knows how many {name} had")
    return Pair(canary.units or 0, canary.bad_units or 0, stable.units or 0, stable.bad_units or 0)


def ratio(pairs: Sequence[Pair]) -> float | None:
    """The ratio of error rates with steps as strata (Mantel-Haenszel); None without errors of stable."""
    over = sum(p.canary_bad * p.stable / (p.canary + p.stable) for p in pairs if p.canary + p.stable)
    under = sum(p.stable_bad * p.canary / (p.canary + p.stable) for p in pairs if p.canary + p.stable)
    return over / under if under else None


def _alone(condition: Condition, groups: Sequence[Sequence[Pair]], level: Levels) -> Found:
    limit = float(condition.number)
    counts = [(sum(p.canary for p in group), sum(p.canary_bad for p in group)) for group in groups]
    rows = sum(n for n, _ in counts)
    seen = sum(bad for _, bad in counts) / rows
    ends = within([share_bounds(n, bad, level.low, level.high) for n, bad in counts])
    return Found(
        level.state(
            max(share_evidence(n, bad, limit, "above") for n, bad in counts),
            max(share_evidence(n, bad, limit, "below") for n, bad in counts),
        ),
        said(condition, percent(seen), "", "it", (percent(ends[0]), percent(ends[1]))),
        seen,
        interval=ends,
        rows=rows,
        method="sequential shares",
    )


def _times(condition: Condition, groups: Sequence[Sequence[Pair]], level: Levels) -> Found:
    limit = float(condition.number)
    pairs = [p for group in groups for p in group]
    canary, stable = _rates(pairs)
    low, high = within([ratio_bounds(group, level.low, level.high) for group in groups])
    seen = ratio(pairs)
    drawn = seen is not None and finite(high) is not None  # an interval without an end cannot be
    return Found(
        level.state(
            max(ratio_evidence(group, limit, "above") for group in groups),
            max(ratio_evidence(group, limit, "below") for group in groups),
        ),
        said(condition, percent(canary), percent(stable), "the ratio", (times(low), times(high))),
        canary,
        stable,
        change=seen - 1 if seen is not None and drawn else None,
        relative=drawn,
        interval=(low - 1, high - 1) if drawn else None,
        rows=sum(p.canary for p in pairs),
        method="sequential counts",
    )


def _beside(condition: Condition, groups: Sequence[Sequence[Pair]], level: Levels) -> Found:
    limit = float(condition.number)
    pairs = [p for group in groups for p in group]
    canary, stable = _rates(pairs)
    ends = within([difference_bounds(group, level.low, level.high) for group in groups])
    return Found(
        level.state(
            max(difference_evidence(group, limit, "above") for group in groups),
            max(difference_evidence(group, limit, "below") for group in groups),
        ),
        said(condition, percent(canary), percent(stable), "the difference", (percent(ends[0]), percent(ends[1]))),
        canary,
        stable,
        change=canary - stable,
        interval=ends,
        rows=sum(p.canary for p in pairs),
        method="sequential difference",
    )


def _rates(pairs: Sequence[Pair]) -> tuple[float, float]:
    canary = sum(p.canary_bad for p in pairs) / sum(p.canary for p in pairs)
    return canary, sum(p.stable_bad for p in pairs) / sum(p.stable for p in pairs)
