"""Fairness rules: how differently groups of people are treated, and whether that is proven.

A limit fails only where the rows prove that it is crossed (see `gaps`, settled with all other claims of the run); where
only the measured value crosses it, that is a warning. Small groups are listed, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from mlgate import parity
from mlgate.config import Rule
from mlgate.config.limits import Fairness
from mlgate.data.rows import Rows
from mlgate.judge import disparity, grouped
from mlgate.judge.bias import Metric, Table
from mlgate.judge.discovery import Claim
from mlgate.judge.disparity import Disparity, Found
from mlgate.judge.grouped import Setting, crosses, shown
from mlgate.judge.numbers import plain
from mlgate.model import Check, Verdict

SECTION = "fairness"
METHOD = "joint cells, MOVER"


def check(rows: Rows, fairness: Fairness, setting: Setting) -> tuple[list[Claim], list[Table]]:
    """The claims of every rule for every entry of `by`, and the tables of the bias report.

    The claims are settled together with those of slices and of other evaluation sets (`discovery.settle`). `rows` has
    `Rows.groups` for each entry of `by`, a binary task and decided classes; what is not there is an `error`.
    """
    claims: list[Claim] = []
    tables: list[Table] = []
    for entry in fairness.by:
        by = grouped.name_of(entry)
        wrong = unfit(rows)
        if by not in rows.groups or wrong:
            for key in fairness.rules:
                claims.append(
                    Claim(_unfit(key, by, wrong, setting) if wrong else grouped.missing(SECTION, key, by, setting))
                )
            continue
        measures = disparity.measure(
            rows, rows.groups[by], min_rows=fairness.min_rows, confidence=setting.confidence, set_name=setting.set
        )
        limits: dict[str, dict[str, str]] = {}
        for key, rule in fairness.rules.items():
            name = parity.canonical(rule.is_ or key)
            if name is None:
                claims.append(Claim(_unfit(key, by, f"`{rule.is_ or key}` is not a fairness metric", setting)))
                continue
            claims += _Judging(key, by, rule, measures.metrics[name], setting).claims(
                compared=rows.champion is not None
            )
            limits[name] = {word: plain(value) for word, value in rule.limits().items()}
        tables.append(replace(measures.table, metrics=tuple(_limited(m, limits) for m in measures.table.metrics)))
    return claims, tables


def unfit(rows: Rows) -> str:
    """Why parity cannot be measured on these rows at all; "" where it can."""
    if rows.task != "binary":
        return f"fairness metrics are about two classes, and this is {rows.task}"
    if rows.challenger.decided is None:
        return "the challenger's predictions have no decided class: name `class`, or a `cut_off` for the score"
    if rows.champion is not None and rows.champion.decided is None:
        return "the champion's predictions have no decided class: name `class`, or a `cut_off` for the score"
    return ""


def _limited(metric: Metric, limits: dict[str, dict[str, str]]) -> Metric:
    return replace(metric, limits=limits.get(metric.name, {}))


def _unfit(key: str, by: str, wrong: str, setting: Setting) -> Check:
    return Check(
        id=setting.id(SECTION, key, by, "unfit"),
        group=SECTION,
        title=setting.title(f"{key} by {by}"),
        verdict=Verdict.ERROR,
        reason=f"{key} cannot be measured: {wrong}.",
        location=setting.locate(key),
    )


class _Judging:
    """One rule, one column of groups."""

    def __init__(self, key: str, by: str, rule: Rule, found: Disparity, setting: Setting) -> None:
        self.key, self.by, self.rule, self.found, self.setting = key, by, rule, found, setting
        self.sign = 1 if found.known.greater_is_better else -1

    def claims(self, *, compared: bool) -> Iterator[Claim]:
        rule, found = self.rule, self.found
        if found.challenger is None:
            yield self._nothing("challenger", found.reason)
            return
        if rule.threshold is not None or rule.warn_threshold is not None:
            yield self._threshold(found.challenger)
        if rule.max_absolute_regression is not None or rule.warn_absolute_regression is not None:
            if not compared:
                verdict, why = self.setting.absent
                yield Claim(self._check("comparison", verdict, f"{self.key} was not compared: {why}."))
            elif found.champion is None:
                yield self._nothing("champion", found.champion_reason)
            elif found.change is None:
                yield self._nothing("comparison", "fewer than two groups have enough rows on both sides")
            else:
                yield self._regression(found.challenger, found.champion, found.change)
        small = [*found.small, *(found.small_of_change if compared else ())]
        if small:
            yield Claim(grouped.not_judged(SECTION, self.key, self.by, small, self.setting, all_=False))

    def _nothing(self, word: str, why: str) -> Claim:
        """Nothing could be measured of one side. Too few groups cannot decide, whatever the limit."""
        whose = "" if word == "challenger" else " of the champion" if word == "champion" else " of both models"
        listed = "; ".join(f"{small.name}: {small.why}" for small in self.found.small[:8])
        reason = f"{self.key}{whose} by {self.by} cannot be judged: {why}{f' ({listed})' if listed else ''}."
        return Claim(self._check(word, Verdict.INCONCLUSIVE, reason, observed="not judged"))

    def _threshold(self, found: Found) -> Claim:
        fail, warn, value = self.rule.threshold, self.rule.warn_threshold, found.value
        floor = "at least" if self.sign > 0 else "at most"
        limit = fail if fail is not None else warn
        crossed = next(
            (x for x in (fail, warn) if x is not None and crosses(-self.sign * value.value, -self.sign * x)), None
        )
        where = self._where(found)
        told = f"{self.key} by {self.by} is {shown(value.value, *self._limits(fail, warn))}"
        interval = f"{shown(value.lower)} to {shown(value.upper)}"
        reason = ""
        if crossed is not None:
            doubt = f", which {found.rows:,} rows do not prove to be broken ({interval})" if crossed == fail else ""
            word = "is required" if self.sign > 0 else "is allowed"
            reason = f"{told}; {floor} {plain(crossed)} {word}{doubt}. {where}"
        expected = " ".join(
            part
            for part in (
                f"{floor} {plain(fail)}" if fail is not None else "",
                f"(warn {'below' if self.sign > 0 else 'above'} {plain(warn)})" if warn is not None else "",
            )
            if part
        )
        proven = fail is not None and (value.lower >= fail if self.sign > 0 else value.upper <= fail)
        made = self._check(
            "threshold",
            Verdict.PASS if crossed is None else Verdict.WARN,
            reason,
            observed=value.value,
            expected=expected,
            limit=limit,
            interval=(value.lower, value.upper),
            outcome="non-inferior" if proven else None,
            rows=found.rows,
        )
        if fail is None:
            return Claim(made)
        harm = (
            f"{told}, and that is proven to break the limit ({interval}): {floor} {plain(fail)} "
            f"{'is required' if self.sign > 0 else 'is allowed'}. {where}"
        )
        return Claim(made, p=found.p(float(fail)), harm=harm, size=float(-self.sign * (Decimal(value.value) - fail)))

    def _regression(self, own: Found, champion: Found, change: Found) -> Claim:
        fail, warn = self.rule.max_absolute_regression, self.rule.warn_absolute_regression
        value = change.value
        harm = -self.sign * value.value
        margin = fail if fail is not None else warn
        crossed = next((x for x in (fail, warn) if x is not None and crosses(harm, x)), None)
        told = f"{self.key} by {self.by} is {shown(abs(harm), *self._limits(fail, warn))} worse than the champion's"
        interval = f"{shown(value.lower)} to {shown(value.upper)}"
        reason = ""
        if crossed is not None:
            doubt = f", which {change.rows:,} rows do not prove ({interval})" if crossed == fail else ""
            reason = f"{told}; at most {plain(crossed)} is allowed{doubt}. {self._where(own)}"
        word = "down to" if self.sign > 0 else "up to"
        expected = " ".join(
            part
            for part in (
                f"{word} {plain(-self.sign * fail, signed=True)}" if fail is not None else "",
                f"(warn beyond {plain(-self.sign * warn, signed=True)})" if warn is not None else "",
            )
            if part
        )
        most = max(-self.sign * value.lower, -self.sign * value.upper)
        observed, base = change.of
        made = self._check(
            "absolute_regression",
            Verdict.PASS if crossed is None else Verdict.WARN,
            reason,
            observed=observed,
            champion=base,
            change=value.value,
            expected=expected,
            limit=None if margin is None else Decimal(str(base)) - self.sign * margin,
            interval=(value.lower, value.upper),
            outcome="non-inferior" if fail is not None and most <= fail else None,
            rows=change.rows,
        )
        if fail is None:
            return Claim(made)
        said = f"{told}, and that is proven to be more than the {plain(fail)} allowed ({interval}). {self._where(own)}"
        return Claim(made, p=change.p(float(fail)), harm=said, size=harm - float(fail))

    def _where(self, found: Found) -> str:
        value = found.value
        return f"Lowest: {value.lowest}; highest: {value.highest}."

    @staticmethod
    def _limits(*limits: Decimal | None) -> list[Decimal]:
        return [limit for limit in limits if limit is not None]

    def _check(
        self,
        word: str,
        verdict: Verdict,
        reason: str,
        *,
        observed: float | str | None = None,
        champion: float | None = None,
        change: float | None = None,
        expected: str = "",
        limit: Decimal | None = None,
        interval: tuple[float, float] | None = None,
        outcome: str | None = None,
        rows: int | None = None,
    ) -> Check:
        return Check.model_validate(
            {
                "id": self.setting.id(SECTION, self.key, self.by, word),
                "group": SECTION,
                "title": self.setting.title(f"{self.key} by {self.by}"),
                "verdict": verdict,
                "reason": reason,
                "observed": observed,
                "champion": champion,
                "change": change,
                "expected": expected,
                "limit": None if limit is None else float(limit),
                "greater_is_better": self.sign > 0,
                "interval": interval,
                "outcome": outcome,
                "method": METHOD if interval else "",
                "rows": rows,
                "location": self.setting.locate(self.key),
            }
        )
