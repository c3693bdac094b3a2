"""How good the predictions of a window turned out to be: the judge's estimators and intervals, on rows with truth.

A `threshold` is decided by the measured value; that the interval reaches to its other side is said. A regression is
measured from the committed number, which is taken as it stands. It counts as one only where the rows prove it: by
chance alone, at most a share `1 - confidence` of windows shows any (Holm, over all rules). A value that is beyond the
limit without proof warns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlgate.config import Policy, Rule
from mlgate.config.watching import Performance
from mlgate.judge import discovery, rules
from mlgate.judge.measures import Bounds, Spec, UndefinedError
from mlgate.judge.numbers import MISSING
from mlgate.judge.statistics import NO_INTERVAL
from mlgate.model import Check, Location, Verdict
from mlgate.watch.answered import Answered
from mlgate.watch.nouns import Measure, Section, State, state_of
from mlgate.watch.truth import UNKNOWN, Joined

CHAMPION = "the committed metrics"
UNEVEN = 0.1  # between tenths of the scores: the difference of the shares with truth that is worth a warning
_P = 0.001
_REGRESSIONS = {
    "absolute_regression": ("max_absolute_regression", "warn_absolute_regression"),
    "relative_regression": ("max_relative_regression", "warn_relative_regression"),
}


def _nowhere(_: str) -> Location | None:
    return None


@dataclass(frozen=True)
class Setting:
    """What is known besides the rows. `baseline`: committed metrics of one version of the model; `said` names them.

    `version`: whose they are, where that is known; predictions of other versions are then said. `locate` takes a rule's
    key to its line of mlgate.yaml.
    """

    baseline: Mapping[str, Any] = field(default_factory=dict)
    confidence: float = 0.95
    said: str = CHAMPION
    version: str = ""
    locate: Callable[[str], Location | None] = _nowhere


def section(answered: Answered, joined: Joined, settings: Performance, setting: Setting) -> Section:
    """Of the window that is due. Nothing is measured of fewer rows than `min_rows`: `unknown`."""
    measures = [_share(joined)]
    facts: dict[str, str | float] = {"performance window": str(joined.window), "rows with truth": joined.known}
    if why := too_few(answered, joined, settings.min_rows):
        measures += [Measure("performance", key, "unknown", reason=why) for key in settings.rules]
        checks = [_unknown(key, why, setting, rows=answered.count) for key in settings.rules]
    else:
        found = [_Rule(key, rule, answered, setting) for key, rule in settings.rules.items()]
        settled = _settled(found, 1 - setting.confidence)
        measures += [one.measure(made) for one, made in zip(found, settled, strict=True)]
        checks = [check for made in settled for check in made]
    checks += [*_others(joined, setting), *arrival(joined)]
    return Section("performance", state_of(tuple(measures)), tuple(measures), tuple(checks), facts=facts)


def provisional(answered: Answered, settings: Performance) -> dict[str, str]:
    """What is known so far of windows whose truth is still coming: for people, and never a reading."""
    shown = {}
    for key, rule in settings.rules.items():
        try:
            value, bounds = _measured(key, rule, answered, 0.95)
        except UndefinedError:
            continue
        spread = f" ({bounds.lower:.4g} to {bounds.upper:.4g})" if bounds is not None else ""
        shown[f"{key} so far"] = f"{value:.4g}{spread}, {answered.count:,} rows"
    return shown


def too_few(answered: Answered, joined: Joined, least: int) -> str:
    """Why nothing is measured, as a sentence; empty where there is enough."""
    if not joined.predictions:
        return f"There are no predictions in {joined.window}."
    if not joined.known:
        if joined.examples:
            ours, theirs = (one[:60] for one in joined.examples)
            return (
                f"None of {joined.predictions:,} predictions has truth: no request id of the log is one of the truth "
                f"(the log has `{ours}`, the truth `{theirs}`)."
            )
        return f"None of {joined.predictions:,} predictions has truth."
    if answered.rows is None:
        return f"It cannot be measured: {answered.wrong}."
    if answered.count < least:
        return f"{answered.count:,} rows with truth, {least:,} needed."
    return ""


def _share(joined: Joined) -> Measure:
    share = joined.share
    if share is None:
        return Measure("performance", "truth_share", "unknown", rows=0, reason="There are no predictions.")
    return Measure("performance", "truth_share", "ok", share, rows=joined.predictions)


def _others(joined: Joined, setting: Setting) -> list[Check]:
    """A warning where other versions answered than the one whose numbers these are held against."""
    others = {name: rows for name, rows in joined.versions.items() if name not in {setting.version, UNKNOWN}}
    if not setting.version or not others:
        return []
    listed = ", ".join(f"{name}: {rows:,} rows" for name, rows in others.items())
    return [
        Check(
            id="watch.performance.versions",
            group="watch",
            title=f"{setting.version} answered",
            verdict=Verdict.WARN,
            reason=f"Other versions answered, too ({listed}): {setting.said} are of {setting.version}.",
            observed=float(sum(others.values())),
            expected="0 rows of other versions",
            rows=joined.known,
        )
    ]


def arrival(joined: Joined) -> list[Check]:
    """Whether truth comes for some scores more often than for others: what is measured is then about the others less.

    A warning where the shares of the tenths differ by ten points or more, beyond chance (chi-square, p below 0.001).
    """
    tenths = [one for one in joined.tenths if one.rows]
    rows, known = sum(one.rows for one in tenths), sum(one.known for one in tenths)
    if len(tenths) < 2 or not 0 < known < rows:
        return []
    share = known / rows
    least, most = (end(tenths, key=lambda one: one.known / one.rows) for end in (min, max))
    apart = most.known / most.rows - least.known / least.rows
    squares = sum((one.known - share * one.rows) ** 2 / (share * (1 - share) * one.rows) for one in tenths)
    from mlgate.data.drift.statistics import chi_square_quantile  # noqa: PLC0415 -- only here

    if apart < UNEVEN or squares < chi_square_quantile(1 - _P, len(tenths) - 1):
        return []
    reason = (
        f"Truth came for {share:.0%} of the predictions, but for {least.known / least.rows:.0%} of those with scores "
        f"up to {least.most:.3g}, and for {most.known / most.rows:.0%} of those up to {most.most:.3g} (tenths of all "
        "scores). What is measured holds for the rows that have truth."
    )
    return [
        Check(
            id="watch.performance.truth",
            group="watch",
            title="truth comes for all scores alike",
            verdict=Verdict.WARN,
            reason=reason,
            observed=apart,
            expected="up to 10 points between tenths of the scores",
            rows=rows,
        )
    ]


def _measured(key: str, rule: Rule, answered: Answered, confidence: float) -> tuple[float, Bounds | None]:
    """The metric, and its bounds where it has any. Raises UndefinedError."""
    from mlgate import estimators  # noqa: PLC0415 -- beside the arithmetic
    from mlgate.judge import estimate, paired  # noqa: PLC0415 -- numpy

    spec: Spec | None = estimate.spec_of(key, rule)
    rows = answered.rows
    if rows is None:
        raise UndefinedError(answered.wrong)
    if spec is None:
        raise UndefinedError("it names no estimator that mlgate knows")
    if rows.task not in estimators.tasks(spec.name):
        raise UndefinedError(f"it is not defined for {rows.task} labels")
    need = estimators.needs(spec.name)
    has = rows.challenger.decided if need == "class" else None if need == "row" else rows.challenger.score
    if has is None:
        lacking = {"class": "decided class", "row": "value per row"}.get(need, "score")
        raise UndefinedError(f"the log has no {lacking}")
    value = estimate.value(spec, rows, rows.challenger)
    if spec.name in NO_INTERVAL:
        return value, None
    return value, paired.level(spec, rows, rows.challenger, confidence=confidence)


@dataclass
class _Rule:
    """One rule, measured and held to its limits by its value; what is proven is decided for all of them at once."""

    key: str
    rule: Rule
    answered: Answered
    setting: Setting
    checks: list[Check] = field(default_factory=list)
    value: float = 0.0  # where it is not `unknown`
    bounds: Bounds | None = None
    unknown: str = ""

    def __post_init__(self) -> None:
        try:
            self.value, self.bounds = _measured(self.key, self.rule, self.answered, self.setting.confidence)
        except UndefinedError as error:
            self.unknown = f"{self.key} cannot be measured: {error}."
            return
        where = rules.Where(self.key, f"watch.performance.{self.key}", self.key, self.setting.said)
        committed = self.setting.baseline.get(self.key, MISSING)
        found = rules.check(self.rule, rules.Values(self.value, champion=committed), Policy(), where)
        if self.bounds is not None and self.bounds.too_little:
            # A score that is the same for everybody does not vary, and misses its threshold all the same.
            found = [check for check in found if _missed(check) and self.bounds.se == 0]
            if not found:
                self.unknown = f"{self.key} is {self.value:.4g}, of too little to decide on: {self.bounds.too_little}."
                return
        self.checks = [self._shaped(check) for check in found]
        if not self.checks:
            self.unknown = f"{self.key} is {self.value:.4g}, and no limit says what that means."

    def _shaped(self, check: Check) -> Check:
        update: dict[str, Any] = {"group": "watch", "location": self.setting.locate(self.key)}
        update |= {"rows": self.answered.count, "method": self.bounds.method if self.bounds else ""}
        if check.verdict is Verdict.ERROR:  # the committed number is missing, or none
            why = f"{self.key} is {self.value:.4g}, and has nothing to be held against: "
            why += f"{self.setting.said} have no such number." if check.champion == "missing" else check.reason
            return check.model_copy(update={**update, "verdict": Verdict.INCONCLUSIVE, "reason": why, "fix": ""})
        if self.bounds is None:
            return check.model_copy(update=update)
        low, high = self.bounds.lower, self.bounds.upper
        if check.id.endswith("regression") and isinstance(check.champion, float):
            unit = abs(check.champion) if check.relative else 1.0
            update["interval"] = ((low - check.champion) / unit, (high - check.champion) / unit)
            update["reason"] = check.reason.replace("than the champion", f"than in {self.setting.said}")
        else:
            update["interval"] = (low, high)
            inside = check.limit is not None and low < check.limit < high
            if inside and self.rule.threshold is not None:
                told = check.reason or f"{self.key} meets its limit"
                update["reason"] = (
                    f"{told.removesuffix('.')}; the interval of {self.answered.count:,} rows contains it."
                )
        return check.model_copy(update=update)

    def claims(self) -> list[tuple[int, float]]:
        """Which of the checks are regressions that would fail, and how likely such rows are at the limit."""
        found = []
        for at, check in enumerate(self.checks):
            word = check.id.rpartition(".")[2]
            if word not in _REGRESSIONS or getattr(self.rule, _REGRESSIONS[word][0]) is None:
                continue
            if self.bounds is None or check.limit is None or check.verdict is Verdict.INCONCLUSIVE:
                continue
            worse = self.bounds.below if check.greater_is_better else self.bounds.above
            p = worse(check.limit)
            found.append((at, p if 0.0 <= p <= 1.0 else 1.0))
        return found

    def measure(self, checks: list[Check]) -> Measure:
        if self.unknown:
            return Measure("performance", self.key, "unknown", rows=self.answered.count, reason=self.unknown)
        order: dict[Verdict, State] = {Verdict.FAIL: "breached", Verdict.INCONCLUSIVE: "unknown"}
        states = [order.get(check.verdict, "ok") for check in checks]
        state: State = next((one for one in ("breached", "unknown") if one in states), "ok")
        told = next((one for one, its in zip(checks, states, strict=True) if its == state), None)
        limit = told.limit if told is not None else None
        if state == "unknown":
            return Measure("performance", self.key, state, rows=self.answered.count, reason=told.reason if told else "")
        reason = told.reason if told is not None else ""
        return Measure("performance", self.key, state, self.value, limit, self.answered.count, reason)


def _missed(check: Check) -> bool:
    return check.id.endswith(".threshold") and check.verdict is Verdict.FAIL


def _settled(found: list[_Rule], alpha: float) -> list[list[Check]]:
    """The checks of every rule: of regressions only those fail that are proven."""
    asked = [(one, at, p) for one in found for at, p in one.claims()]
    adjusted = discovery.holm([p for _, _, p in asked])
    proven = {(id(one), at): p <= alpha for (one, at, _), p in zip(asked, adjusted, strict=True)}
    together = f" ({len(asked)} limits are asked at once)" if len(asked) > 1 else ""
    settled = []
    for one in found:
        if one.unknown:
            settled.append([_unknown(one.key, one.unknown, one.setting, rows=one.answered.count)])
            continue
        settled.append([_proven(check, proven.get((id(one), at)), together) for at, check in enumerate(one.checks)])
    return settled


def _proven(check: Check, proven: bool | None, together: str) -> Check:
    if proven is None or (check.verdict is not Verdict.FAIL and not proven):
        return check
    if proven:
        return check.model_copy(update={"verdict": Verdict.FAIL, "outcome": "worse"})
    reason = f"{check.reason} {check.rows or 0:,} rows do not prove it{together}."
    return check.model_copy(update={"verdict": Verdict.WARN, "outcome": "inconclusive", "reason": reason})


def _unknown(key: str, why: str, setting: Setting, *, rows: int) -> Check:
    return Check(
        id=f"watch.performance.{key}.unknown",
        group="watch",
        title=key,
        verdict=Verdict.INCONCLUSIVE,
        reason=why,
        observed="not measured",
        rows=rows,
        location=setting.locate(key),
    )
