"""Fairness in production: the judge's parity rules, on what was really answered to the groups of the log.

Rates of decisions need no truth and are those of the present window; rates of hits and mistakes are those of the window
whose truth is due. A limit counts as broken only where the rows prove it, at most a share `1 - confidence` of what is
called proven is wrong (as in `compare.fairness`); a value beyond it without proof warns. Groups need columns that are
logged as they are: a hashed one has no edges, and a column that is not logged makes no groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mlgate import parity
from mlgate.config.limits import Fairness
from mlgate.model import Check, Location, Verdict
from mlgate.watch.answered import Answered
from mlgate.watch.nouns import Measure, Section, State, state_of

_STATES: dict[Verdict, State] = {
    Verdict.PASS: "ok",
    Verdict.WARN: "ok",
    Verdict.INCONCLUSIVE: "unknown",
    Verdict.FAIL: "breached",
    Verdict.ERROR: "unknown",
}


def _nowhere(_: str) -> Location | None:
    return None


@dataclass(frozen=True)
class Setting:
    """`locate` takes a rule's key to its line of mlgate.yaml."""

    confidence: float = 0.95
    locate: Callable[[str], Location | None] = _nowhere


def parts(settings: Fairness) -> tuple[Fairness | None, Fairness | None]:
    """The rules about decisions alone, and those that need truth; None where there are none."""
    decisions = {key: rule for key, rule in settings.rules.items() if not _truthful(rule.is_ or key)}
    outcomes = {key: rule for key, rule in settings.rules.items() if key not in decisions}
    return tuple(settings.model_copy(update={"rules": some}) if some else None for some in (decisions, outcomes))  # type: ignore[return-value]


def _truthful(name: str) -> bool:
    known = parity.find(name)
    return known is None or known.rates != ("selection_rate",)


def columns(settings: Fairness) -> list[tuple[str, ...]]:
    """The columns that make groups, and combinations of them: what `answered.read` takes as `by`."""
    return [(one,) if isinstance(one, str) else tuple(one) for one in settings.by]


def section(answered: Answered, settings: Fairness, setting: Setting) -> Section:
    """One measure for each rule and column of groups: `disparate_impact_ratio.sex`."""
    if answered.rows is None or not answered.count:
        why = f"It cannot be measured: {answered.wrong or 'there are no rows'}."
        checks = [_nothing(key, by, why, setting) for key in settings.rules for by in _names(settings)]
        return _section(settings, checks)
    from mlgate.judge import discovery, fairness, grouped  # noqa: PLC0415 -- numpy

    if why := fairness.unfit(answered.rows):
        checks = [
            _nothing(key, by, f"It cannot be measured: {why}.", setting)
            for key in settings.rules
            for by in _names(settings)
        ]
        return _section(settings, checks)
    judged = grouped.Setting(confidence=setting.confidence, locate=setting.locate)
    claims, _ = fairness.check(answered.rows, settings, judged)
    settled = discovery.settle(claims, 1 - setting.confidence)
    return _section(settings, [_shaped(check) for check in settled])


def _names(settings: Fairness) -> list[str]:
    return [" x ".join(one) for one in columns(settings)]


def _nothing(key: str, by: str, why: str, setting: Setting) -> Check:
    return Check(
        id=f"watch.fairness.{key}.{by}.unknown",
        group="watch",
        title=f"{key} by {by}",
        verdict=Verdict.INCONCLUSIVE,
        reason=why,
        observed="not measured",
        location=setting.locate(key),
    )


def _shaped(check: Check) -> Check:
    """As a check of watching. What the judge calls an error is a column that is not logged: nothing was measured."""
    update: dict[str, object] = {"id": f"watch.{check.id}", "group": "watch"}
    if check.verdict is Verdict.ERROR:
        update["verdict"] = Verdict.INCONCLUSIVE
        if check.id.endswith(".groups"):
            by = check.title.partition(" by ")[2]
            update["reason"] = (
                f"The log has no groups by {by}: log the column as it is (`serve.log.features`), or name another one "
                "in monitor.fairness.by."
            )
    return check.model_copy(update=update)


def _section(settings: Fairness, checks: Iterable[Check]) -> Section:
    shown = tuple(checks)
    measures = []
    for key in settings.rules:
        for by in _names(settings):
            about = [check for check in shown if check.id.startswith(f"watch.fairness.{key}.{by}.")]
            measures.append(_measure(f"{key}.{by}", [one for one in about if not one.id.endswith(".not_judged")]))
    return Section("fairness", state_of(tuple(measures)), tuple(measures), shown)


def _measure(name: str, checks: list[Check]) -> Measure:
    worst = max(checks, key=lambda one: one.verdict.rank, default=None)
    if worst is None:
        return Measure("fairness", name, "unknown", reason="Nothing was measured.")
    state = _STATES[worst.verdict]
    value = worst.observed if isinstance(worst.observed, float) and state != "unknown" else None
    if value is None:
        return Measure("fairness", name, "unknown", rows=worst.rows, reason=worst.reason)
    return Measure("fairness", name, state, value, worst.limit, worst.rows, worst.reason)
