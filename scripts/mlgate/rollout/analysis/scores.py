"""The rule of the scores: how far those of the canary lie from those that stable gives at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from mlgate.config.conditions import Condition
from mlgate.rollout.analysis import shift
from mlgate.rollout.analysis.found import Found, Levels, MissingError, Stratum, said, some, state
from mlgate.rollout.nouns import Arm, Histogram, Tally

_HOLES = 0.75  # of stable's scores for each answer; less than that, and the canary's are not the whole story


def judged(condition: Condition, strata: Sequence[Stratum], levels: Levels) -> Found:
    """Raises MissingError without requests, or where the running step's scores are not all there."""
    limit = float(condition.number)
    # Each step alone, as what is asked differs from hour to hour; any may show a shift, the running one that none is.
    level = levels.each(levels.steps)
    broken = inside = False
    seen, ends, rows = 0.0, (0.0, 1.0), 0
    for stratum in strata:
        running = stratum is strata[-1]
        if not running and not (_total(stratum.canary) and _total(stratum.stable)):
            continue
        canary, stable = _scores(stratum.canary, "canary"), _scores(stratum.stable, "stable")
        _whole(stratum)
        independent = (
            _independent(stratum.canary, canary, sticky=levels.sticky),
            _independent(stratum.stable, stable, sticky=levels.sticky),
        )
        seen, rows = shift.distance(canary, stable), rows + canary.total
        ends = shift.bounds(canary, stable, independent, level.low, level.high)
        broken, inside = broken or ends[0] > limit, ends[1] <= limit
    reason = said(condition, f"{seen:.3f}", "", "it", (f"{ends[0]:.3f}", f"{ends[1]:.3f}"))
    return Found(state(broken, inside), reason, seen, interval=ends, rows=rows, method="sequential Kolmogorov-Smirnov")


def _total(tally: Tally) -> int:
    return tally.scores.total if tally.scores else 0


def _scores(tally: Tally, arm: Arm) -> Histogram:
    some(tally.requests, arm)
    if tally.scores is None or not tally.scores.total:
        name = "the canary" if arm == "canary" else "stable"
        raise MissingError(f"no score of {name} was logged: its answers hold none, or `serve.log` writes none")
    return tally.scores


def _whole(stratum: Stratum) -> None:
    """NaN is no score: a canary that gives it must not be judged by the rest."""
    canary, stable = (_total(t) / max(1, t.requests - t.errors) for t in (stratum.canary, stratum.stable))
    if canary < _HOLES * stable:
        raise MissingError(
            f"the canary gave {canary:.2f} scores for each answer, and stable {stable:.2f}: some are NaN, or lost"
        )


def _independent(tally: Tally, scores: Histogram, *, sticky: bool) -> float:
    """How many scores count: rows of one request, and requests of one caller, come together."""
    if not sticky:
        return min(scores.total, tally.requests)
    if not tally.units:
        raise MissingError("it is callers that are counted, and nobody knows how many there were")
    return min(scores.total, tally.units)
