"""Rules over point values: a metric of the challenger against a number, the champion or the anchor.

A boundary value passes. What cannot be judged (missing, NaN, text, a ratio to zero) is never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from mlgate.config import Policy, Rule
from mlgate.judge import numbers
from mlgate.judge.numbers import MISSING, NO_SIDE, exact
from mlgate.model import Check, Location, Verdict, worst

PRECISION = 60  # digits; enough that no difference of two floats is rounded


@dataclass(frozen=True)
class Values:
    """What each side's metrics file says. `champion` and `anchor` are NO_SIDE without one to compare with;
    `absent` then says why, and how much it matters."""

    challenger: Any
    champion: Any = NO_SIDE
    anchor: Any = NO_SIDE
    absent: tuple[Verdict, str] = (Verdict.ERROR, "there is no champion")
    adrift: tuple[Verdict, str] | None = None  # the same for an anchor that there is, and that is not comparable


@dataclass(frozen=True)
class Where:
    """How a rule is named and where to look when it breaks."""

    key: str
    id: str
    title: str
    file: str  # the metrics file
    line: int | None = None
    version: str = ""  # "proposed": the pull request's own version of the rule


def check(rule: Rule, values: Values, policy: Policy, where: Where) -> list[Check]:
    """One check for each limit of the rule; exactly one, saying why, when the values cannot be judged."""
    with localcontext() as context:
        context.prec = PRECISION
        return list(_check(rule, values, policy, where))


def _check(rule: Rule, values: Values, policy: Policy, where: Where) -> Iterator[Check]:
    wrong = numbers.problem(values.challenger)
    if wrong:
        yield _unjudged(where, wrong, "challenger", _verdict_of_missing(values.challenger, policy))
        return
    judged = _Judged(where, rule, exact(values.challenger))
    if rule.threshold is not None or rule.warn_threshold is not None:
        yield judged.threshold()
    if _compares(rule) and values.champion is NO_SIDE:
        yield judged.alone(*values.absent)
    elif _compares(rule):
        wrong = numbers.problem(values.champion)
        if wrong:
            yield _unjudged(where, wrong, "champion", _verdict_of_missing(values.champion, policy), judged.observed)
        else:
            yield from judged.against_champion(exact(values.champion))
    if rule.max_anchor_regression is not None and values.anchor is not NO_SIDE:
        wrong = numbers.problem(values.anchor)
        if wrong:
            yield _unjudged(where, wrong, "anchor", _verdict_of_missing(values.anchor, policy), judged.observed)
        else:
            yield judged.regression("anchor", exact(values.anchor), fail=rule.max_anchor_regression, other="anchor")
    elif rule.max_anchor_regression is not None and values.adrift is not None:
        yield judged.alone(*values.adrift, "anchor")


def _compares(rule: Rule) -> bool:
    return bool(rule.limits().keys() - {"threshold", "warn_threshold", "max_anchor_regression"})


def _verdict_of_missing(value: Any, policy: Policy) -> Verdict:
    return Verdict(policy.missing_metric) if value is MISSING else Verdict.ERROR


def _unjudged(where: Where, wrong: str, side: str, verdict: Verdict, observed: Decimal | None = None) -> Check:
    advice = {
        "missing": f"Look for a renamed key in {where.file}, or change the rule.",
    }.get(wrong, "A metric that is not a number cannot be judged: look at the stage that wrote it.")
    return Check(
        id=f"{where.id}.{side}",
        title=where.title,
        verdict=verdict,
        reason=f"{where.key} is {wrong} in the {side}'s {where.file}. {advice}",
        observed=wrong if side == "challenger" else _number(observed),
        champion=wrong if side == "champion" else None,
        expected="a number",
        location=Location(file=where.file, line=where.line, key=where.key),
    )


def _number(value: Decimal | None) -> float | None:
    """For the evidence, which holds doubles: None for what is too large for one."""
    number = None if value is None else float(value)
    return None if number is None or math.isinf(number) else number


@dataclass(frozen=True)
class _Judged:
    where: Where
    rule: Rule
    observed: Decimal

    @property
    def sign(self) -> int:
        return 1 if self.rule.direction(self.where.key) else -1

    def threshold(self) -> Check:
        floor = "at least" if self.sign > 0 else "at most"
        fail, warn = self.rule.threshold, self.rule.warn_threshold
        verdict = self._graded(lambda limit: self.sign * (self.observed - limit) >= 0, fail, warn)
        limit = fail if fail is not None else warn
        expected = " ".join(
            part
            for part in (
                f"{floor} {numbers.plain(fail)}" if fail is not None else "",
                f"(warn {'below' if self.sign > 0 else 'above'} {numbers.plain(warn)})" if warn is not None else "",
            )
            if part
        )
        crossed = fail if verdict is Verdict.FAIL else warn
        reason = ""
        if verdict is not Verdict.PASS and crossed is not None:
            reason = (
                f"{self.where.key} is {numbers.plain(self.observed)}; {floor} {numbers.plain(crossed)} is required."
            )
        return self._make("threshold", verdict, expected, reason, limit=limit)

    def against_champion(self, champion: Decimal) -> Iterator[Check]:
        rule = self.rule
        if rule.max_absolute_regression is not None or rule.warn_absolute_regression is not None:
            yield self.regression(
                "absolute_regression", champion, fail=rule.max_absolute_regression, warn=rule.warn_absolute_regression
            )
        if rule.max_relative_regression is not None or rule.warn_relative_regression is not None:
            yield self._relative(champion, "relative_regression") or self.regression(
                "relative_regression",
                champion,
                fail=rule.max_relative_regression,
                warn=rule.warn_relative_regression,
                relative=True,
            )
        if rule.min_absolute_change is not None:
            yield self.improvement("absolute_change", champion, rule.min_absolute_change)
        if rule.min_relative_change is not None:
            yield self._relative(champion, "relative_change") or self.improvement(
                "relative_change", champion, rule.min_relative_change, relative=True
            )

    def regression(
        self,
        word: str,
        champion: Decimal,
        *,
        fail: Decimal | None = None,
        warn: Decimal | None = None,
        relative: bool = False,
        other: str = "champion",
    ) -> Check:
        """Not worse than the other side by more than the margin."""
        change, unit = self._change(champion, relative=relative)
        # Compared by products, not quotients: a division would round, and a boundary value must pass.
        verdict = self._graded(lambda margin: -self.sign * (self.observed - champion) <= margin * unit, fail, warn)
        direction = "down to" if self.sign > 0 else "up to"
        show = numbers.percent if relative else numbers.plain
        expected = " ".join(
            part
            for part in (
                f"{direction} {show(-self.sign * fail, signed=True)}" if fail is not None else "",
                f"(warn beyond {show(-self.sign * warn, signed=True)})" if warn is not None else "",
            )
            if part
        )
        if other != "champion":
            expected += f" of the {other}"
        margin = fail if fail is not None else warn
        crossed = fail if verdict is Verdict.FAIL else warn
        reason = ""
        if verdict is not Verdict.PASS and crossed is not None:
            size = numbers.percent(_short(abs(change))) if relative else numbers.plain(_short(abs(change)))
            allowed = "allowed" if verdict is Verdict.FAIL else "expected"
            reason = f"{self.where.key} is {size} worse than the {other}; at most {show(crossed)} is {allowed}."
        return self._make(
            word,
            verdict,
            expected,
            reason,
            champion=champion,
            change=change,
            relative=relative,
            limit=None if margin is None else champion - self.sign * margin * unit,
        )

    def improvement(self, word: str, champion: Decimal, least: Decimal, *, relative: bool = False) -> Check:
        """Better than the champion by at least this much."""
        change, unit = self._change(champion, relative=relative)
        verdict = Verdict.PASS if self.sign * (self.observed - champion) >= least * unit else Verdict.FAIL
        show = numbers.percent if relative else numbers.plain
        needed = show(self.sign * least, signed=True)
        reason = "" if verdict is Verdict.PASS else f"{self.where.key} must change by at least {needed}; it does not."
        return self._make(
            word,
            verdict,
            f"at least {needed} against the champion",
            reason,
            champion=champion,
            change=change,
            relative=relative,
            limit=champion + self.sign * least * unit,
        )

    def _change(self, champion: Decimal, *, relative: bool) -> tuple[Decimal, Decimal]:
        """The signed difference to show, and the size of one unit of margin."""
        unit = abs(champion) if relative else Decimal(1)
        return (self.observed - champion) / unit, unit

    def _relative(self, champion: Decimal, word: str) -> Check | None:
        """A share of zero or of a negative number means nothing: said, not guessed."""
        if champion > 0:
            return None
        return self._make(
            word,
            Verdict.ERROR,
            "a champion above zero",
            f"{self.where.key} is {numbers.plain(champion)} in the champion, so a relative limit has no meaning. "
            "Use max_absolute_regression or min_absolute_change.",
            champion=champion,
        )

    def alone(self, verdict: Verdict, why: str, word: str = "comparison") -> Check:
        """The rule compares, and there is nothing to compare with."""
        return self._make(word, verdict, "", f"{self.where.key} was not compared: {why}.")

    @staticmethod
    def _graded(holds: Callable[[Decimal], bool], fail: Decimal | None, warn: Decimal | None) -> Verdict:
        if fail is not None and not holds(fail):
            return Verdict.FAIL
        if warn is not None and not holds(warn):
            return Verdict.WARN
        return Verdict.PASS

    def _make(
        self,
        word: str,
        verdict: Verdict,
        expected: str,
        reason: str,
        *,
        champion: Decimal | None = None,
        change: Decimal | None = None,
        relative: bool = False,
        limit: Decimal | None = None,
    ) -> Check:
        where = self.where
        return Check(
            id=f"{where.id}.{word}",
            title=where.title,
            verdict=verdict,
            reason=reason,
            observed=_number(self.observed),
            champion=_number(champion),
            expected=expected,
            limit=_number(limit),
            change=_number(change),
            relative=relative,
            greater_is_better=self.sign > 0,
            location=Location(file=where.file, line=where.line, key=where.key),
        )


def _short(value: Decimal) -> Decimal:
    """Four significant digits, for sentences."""
    return Decimal(f"{value:.3e}").normalize()


def controls(rule: Rule, policy: Policy, where: Where) -> tuple[int, int]:
    """Feed the rule challengers that it must stop, and one that it must let through; how many it judged rightly.

    Around a made-up champion of 0.5: NaN, a missing value, text and an infinity must not pass; a challenger worse than
    every limit must not pass; one better than every limit must.
    """
    sign = 1 if rule.direction(where.key) else -1
    far = float(2 * (1 + sum(abs(limit) for limit in rule.limits().values())))
    bad: list[Any] = [float("nan"), MISSING, "0.9", sign * float("inf"), -sign * far]
    stopped = sum(_outcome(rule, value, policy, where) is not Verdict.PASS for value in bad)
    let_through = _outcome(rule, sign * far, policy, where) is Verdict.PASS
    return stopped + let_through, len(bad) + 1


def _outcome(rule: Rule, challenger: Any, policy: Policy, where: Where) -> Verdict:
    checks = check(rule, Values(challenger, champion=0.5, anchor=0.5), policy, where)
    return worst(c.verdict for c in checks)
