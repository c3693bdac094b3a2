"""What was seen of one rule: whether it is broken, proven to hold, not decided yet, or could not be measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mlgate.config.conditions import KNOWN, Condition
from mlgate.rollout.analysis import failing, scores, slow
from mlgate.rollout.analysis.found import Found, Levels, MissingError, Stratum
from mlgate.rollout.nouns import Arm

Metrics = Mapping[str, Mapping[Arm, float | str]]


def find(condition: Condition, strata: Sequence[Stratum], levels: Levels, metrics: Metrics) -> Found:
    """What all steps up to now say about one rule."""
    try:
        if condition.metric not in KNOWN:
            return _point(condition, metrics.get(condition.metric, {}))
        if condition.operator not in ("<=", "<"):
            raise MissingError(f"{condition.metric} can only be held below a limit")
        if not strata:
            raise MissingError("no request of the canary was counted")
        if condition.metric == "error_rate":
            return failing.judged(condition, strata, levels)
        if condition.metric == "prediction_shift":
            return scores.judged(condition, strata, levels)
        return slow.judged(condition, strata, levels)
    except MissingError as missing:
        return Found("missing", f"{condition.metric} cannot be judged: {missing}.")


def _point(condition: Condition, values: Mapping[Arm, float | str]) -> Found:
    """A number of the user's own: it is what it is, and `for N periods` says how long it has to be so."""
    seen = _value(values, "canary")
    stable = _value(values, "stable") if condition.against_stable else None
    number = float(condition.number)
    limit = number if stable is None else stable * number if condition.kind == "times" else stable + number
    holds = {"<=": seen <= limit, "<": seen < limit, ">=": seen >= limit, ">": seen > limit}[condition.operator]
    beside = "" if stable is None else f", and stable's {stable:.6g}"
    reason = f"The canary's {condition.metric} is {seen:.6g}{beside}; it has to be {condition.operator} {limit:.6g}."
    change = None if stable is None else seen - stable
    return Found("inside" if holds else "broken", reason, seen, stable, change=change, method="the point decides")


def _value(values: Mapping[Arm, float | str], arm: Arm) -> float:
    value = values.get(arm, "it was not measured")
    if isinstance(value, str):
        raise MissingError(value.rstrip("."))
    if not math.isfinite(value):
        raise MissingError(f"of {'the canary' if arm == 'canary' else 'stable'} it is {value}")
    return value
