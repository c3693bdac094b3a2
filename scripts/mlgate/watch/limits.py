"""One limit of one column: crossed, not crossed, or not to be said. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mlgate.config.watching import Limits
from mlgate.data.drift.compared import LEAST, Compared
from mlgate.model import Check, Verdict
from mlgate.watch.chance import TEST, Evidence
from mlgate.watch.measured import ONLY, fits, hidden, value_of
from mlgate.watch.nouns import Measure, State

SHARES = frozenset({"nulls", "unseen", "out_of_range"})
TITLES = {"ks": "KS distance", "js": "Jensen-Shannon distance", "kl": "Kullback-Leibler divergence",
           "psi": "PSI", "wasserstein": "Wasserstein distance", "cramers_v": "Cramer's V", "nulls": "missing values",
           "unseen": "unseen values", "out_of_range": "values out of range"}  # fmt: skip
STATES: dict[State, Verdict] = {"ok": Verdict.PASS, "breached": Verdict.FAIL, "unknown": Verdict.INCONCLUSIVE}


def measures(one: Compared, limits: Mapping[str, float], evidence: Evidence, alpha: float, few: str) -> list[Measure]:
    found = []
    for name in Limits.model_fields:
        limit, value = limits.get(name), value_of(one, name)
        if limit is None and (value is None or not fits(one, name)):
            continue
        state, reason = _judged(one, name, value=value, limit=limit, evidence=evidence, alpha=alpha, few=few)
        found.append(
            Measure("drift", f"{name}.{one.name}", state, None if state == "unknown" and few else value, limit,
                    one.rows, reason)
        )  # fmt: skip
    return found


def _judged(
    one: Compared,
    name: str,
    *,
    value: float | None,
    limit: float | None,
    evidence: Evidence,
    alpha: float,
    few: str,
) -> tuple[State, str]:
    why = few or one.trouble or _why_not(one, name, value)
    if why:
        return "unknown", why
    if value is None or not math.isfinite(value):
        return "unknown", "It could not be measured."
    if limit is None or value <= limit:
        return "ok", ""
    test = TEST[name]
    proven = evidence.adjusted.get(test, 1.0) < alpha and (name != "psi" or value > evidence.floor.psi)
    if name == "nulls" and evidence.floor.windows and value <= evidence.floor.nulls:
        return "ok", f"Within {evidence.floor.windows} windows of the reference it grew as much."
    if proven:
        return "breached", ""
    sure = evidence.plain.get(test, 1.0) < alpha and (name != "psi" or value > evidence.chance)
    if sure:
        return "ok", f"{evidence.floor.windows} windows of the reference differ as much by their days."
    p = evidence.plain.get(test, 1.0)
    said = f"Above the limit, and chance alone may do that with {one.rows:,} rows (p {p:.2g} over all columns)."
    if name in SHARES:
        return "ok", said
    return "unknown", f"{said} More rows would settle it: a longer window."


def _why_not(one: Compared, name: str, value: float | None) -> str:
    """Why a measure cannot be had."""
    if name == "nulls":
        return ""
    if hidden(one):
        return "Only missing values are compared: the profile keeps its values to itself."
    if ONLY.get(name, one.kind) != one.kind:
        return f"It holds categories, of which {TITLES[name]} says nothing."
    if one.present == 0 and name != "psi":
        return "Every value is missing."
    if min(one.rows, one.rows_before) < LEAST or (name != "psi" and min(one.present, one.present_before) < LEAST):
        here, there = one.present, one.present_before
        return f"Too few values: {here:,} here and {there:,} in the profile, and {LEAST} are needed on each side."
    if value is None and name in {"ks", "wasserstein", "out_of_range"}:
        return "The profile has too few different values of it."
    if value is None and name in {"cramers_v", "unseen"}:
        return f"It holds numbers of many values, of which {TITLES[name]} says nothing."
    return ""


def check(one: Compared, measure: Measure, evidence: Evidence) -> Check:
    name = measure.name.partition(".")[0]
    limit = measure.limit or 0.0
    share = name in SHARES
    expected = f"at most {limit * 100:.6g} %" if share else f"at most {limit:.6g}"
    if name == "nulls":
        expected += " more than in the profile"
    said = measure.reason
    if measure.state == "breached":
        said = breach(name, measure, evidence)
    return Check(
        id=f"watch.drift.{measure.name}",
        title=f"{one.name}: {TITLES[name]}",
        verdict=STATES[measure.state],
        group="watch",
        reason=said,
        observed=measure.value,
        expected=expected,
        limit=measure.limit,
        greater_is_better=False,
        rows=one.rows or None,
        unexpected=one.unseen if name == "unseen" else one.outside if name == "out_of_range" else None,
    )


def breach(name: str, measure: Measure, evidence: Evidence) -> str:
    """By how much, and why it is no chance."""
    value, limit = measure.value or 0.0, measure.limit or 0.0
    said = f"{value:.2%} is above {limit:.2%}" if name in SHARES else f"{value:.3g} is above {limit:.3g}"
    if name == "psi":
        days = f", by {evidence.floor.windows} windows of the reference" if evidence.floor.windows else ""
        return f"{said}, and chance alone stays below {evidence.floor.psi:.2g}{days}."
    p = evidence.adjusted.get(TEST[name], 1.0)
    return f"{said}, and chance does not explain it (p {f'{p:.2g}' if p >= 0.0001 else 'below 0.0001'})."
