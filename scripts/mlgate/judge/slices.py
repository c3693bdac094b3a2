"""Slice rules: groups of rows in which the challenger may not be proven to be worse than the champion.

Each group is compared as the whole set is, by `judge.paired`, on its own rows. There are many groups, so a limit fails
only where its harm is proven among all claims of the run (`discovery.settle`); where only the measured value crosses
it, that is a warning. A `threshold` is decided by the measured value. Small groups are listed, never passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from mlgate.config import Rule
from mlgate.config.limits import Slices
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate, grouped, paired
from mlgate.judge.discovery import Claim
from mlgate.judge.grouped import Setting, Small, crosses, shown
from mlgate.judge.measures import Bounds, Spec, UndefinedError
from mlgate.judge.numbers import percent, plain
from mlgate.model import Check, Verdict

SECTION = "slices"
_FEW = 5  # rows; so many that differ are no pattern

Compare = Callable[..., Bounds]  # as paired.bounds
Level = Callable[..., Bounds]  # as paired.level


def check(
    rows: Rows,
    slices: Slices,
    setting: Setting,
    *,
    compare: Compare = paired.bounds,
    level: Level = paired.level,
) -> list[Claim]:
    """The claims of every rule in every group, the worst of each rule first.

    `rows` has `Rows.groups` for each entry of `slices.by`; what is not there is an `error`. A group without rows is no
    group.
    """
    claims: list[Claim] = []
    for entry in slices.by:
        by = grouped.name_of(entry)
        judging = [_Judging(key, by, rule, setting, (compare, level)) for key, rule in slices.rules.items()]
        if by not in rows.groups:
            claims += [Claim(grouped.missing(SECTION, one.key, by, setting)) for one in judging]
            continue
        ready = [one for one in judging if one.known]
        for name, part in grouped.split(rows, rows.groups[by]):
            for one in ready:
                one.see(name, part, slices.min_rows)
        for one in judging:
            claims += one.claims()
    return claims


@dataclass(frozen=True)
class _Limit:
    """A regression limit: `fail` and `warn` are in the metric's units, or shares of the champion's value."""

    word: str
    fail: Decimal | None
    warn: Decimal | None
    relative: bool


class _Judging:
    """One rule in every group of one column."""

    def __init__(self, key: str, by: str, rule: Rule, setting: Setting, methods: tuple[Compare, Level]) -> None:
        self.key, self.by, self.rule, self.setting = key, by, rule, setting
        self._compare, self._level = methods
        self.sign = 1 if rule.direction(key) else -1
        self.spec = estimate.spec_of(key, rule)
        self._limits = [
            limit
            for limit in (
                _Limit("absolute_regression", rule.max_absolute_regression, rule.warn_absolute_regression, False),
                _Limit("relative_regression", rule.max_relative_regression, rule.warn_relative_regression, True),
            )
            if limit.fail is not None or limit.warn is not None
        ]
        self._found: list[Claim] = []
        self._small: list[Small] = []
        self._alone = False
        self._seen = 0

    @property
    def known(self) -> bool:
        return self.spec is not None

    def see(self, name: str, rows: Rows, min_rows: int) -> None:
        """Judge one group."""
        assert self.spec is not None  # noqa: S101 -- asked by `known`
        self._seen += 1
        if rows.count < min_rows:
            why = f"{rows.count:,} {'row' if rows.count == 1 else 'rows'}, {min_rows:,} needed"
            self._small.append(Small(name, rows.count, why))
            return
        try:
            found = list(self._judge(name, rows, self.spec))
        except UndefinedError as error:
            self._small.append(Small(name, rows.count, str(error)))
            return
        except _TooLittleError as error:
            self._small.append(Small(name, rows.count, str(error)))
            return
        self._found += found

    def claims(self) -> Iterator[Claim]:
        if self.spec is None:
            yield Claim(
                self._check(
                    self.by,
                    "unknown",
                    Verdict.ERROR,
                    f"{self.key} cannot be measured by group: mlgate does not know it.",
                )
            )
            return
        if self._alone:
            verdict, why = self.setting.absent
            yield Claim(self._check(self.by, "comparison", verdict, f"{self.key} was not compared: {why}."))
        yield from sorted(self._found, key=lambda claim: (-claim.check.verdict.rank, -claim.size, claim.check.id))
        if self._small or not self._seen:
            small = self._small or [Small(self.by, 0, "no rows")]
            none = len(small) >= self._seen
            yield Claim(grouped.not_judged(SECTION, self.key, self.by, small, self.setting, all_=none))

    def _judge(self, name: str, rows: Rows, spec: Spec) -> Iterator[Claim]:
        if self.rule.threshold is not None or self.rule.warn_threshold is not None:
            yield self._threshold(name, rows, spec)
        if self._limits and rows.champion is None:
            self._alone = True
            return
        for limit in self._limits:
            assert rows.champion is not None  # noqa: S101 -- seen above
            yield self._regression(name, rows, spec, rows.champion, limit)

    def _threshold(self, name: str, rows: Rows, spec: Spec) -> Claim:
        found = self._level(spec, rows, rows.challenger, confidence=self.setting.confidence)
        fail, warn = self.rule.threshold, self.rule.warn_threshold
        crossed = self._first(-self.sign * found.a, fail, warn, times=-self.sign)
        least = fail if fail is not None else warn
        edge = found.lower if self.sign > 0 else found.upper
        if found.too_little:
            raise _TooLittleError(found.too_little)
        floor = "at least" if self.sign > 0 else "at most"
        told = f"{self.key} of {name} is {shown(found.a, *_set(fail, warn))}"
        verdict, reason = Verdict.PASS, ""
        if crossed is not None:
            verdict = Verdict.FAIL if crossed == fail else Verdict.WARN
            reason = f"{told}; {floor} {plain(crossed)} is required."
        elif fail is not None and not self.sign * edge >= self.sign * fail:
            verdict = Verdict.WARN
            reason = (
                f"{told}; that it is {floor} {plain(fail)} is not proven by {found.rows:,} rows "
                f"({shown(found.lower)} to {shown(found.upper)})."
            )
        expected = _both(
            f"{floor} {plain(fail)}" if fail is not None else "",
            f"(warn {'below' if self.sign > 0 else 'above'} {plain(warn)})" if warn is not None else "",
        )
        return self._claim(
            name,
            "threshold",
            self._check(
                name,
                "threshold",
                verdict,
                reason,
                observed=found.a,
                expected=expected,
                limit=None if least is None else float(least),
                interval=(found.lower, found.upper),
                rows=found.rows,
                method=found.method,
            ),
            size=-self.sign * (found.a - float(least)) if least is not None else 0.0,
        )

    def _regression(self, name: str, rows: Rows, spec: Spec, champion: Predicted, limit: _Limit) -> Claim:
        margin = limit.fail if limit.fail is not None else limit.warn
        assert margin is not None  # noqa: S101 -- a limit has one of them
        ratio = 1 - self.sign * float(margin) if limit.relative else 1.0
        found = self._compare(spec, rows, rows.challenger, champion, confidence=self.setting.confidence, ratio=ratio)
        if limit.relative and found.b <= 0:
            raise UndefinedError(f"the champion's is {shown(found.b)}, of which there is no share")
        unit = found.b if limit.relative else 1.0
        harm = -self.sign * (found.a - found.b) / unit
        crossed = self._first(harm, limit.fail, limit.warn)
        # What is bounded is a - ratio * b: (ratio - 1) * b more is the plain difference.
        shift = (ratio - 1) * found.b
        interval = ((found.lower + shift) / unit, (found.upper + shift) / unit)
        most = max(-self.sign * edge for edge in interval)
        if found.too_little and not (most <= margin and _agree(spec, rows.challenger, champion)):
            raise _TooLittleError(found.too_little)
        show = percent if limit.relative else plain
        size = (
            percent(Decimal(f"{abs(harm):.3g}")) if limit.relative else shown(abs(harm), *_set(limit.fail, limit.warn))
        )
        told = f"{self.key} of {name} is {size} worse than the champion's"
        doubt = ""
        if crossed is not None and crossed == limit.fail:
            doubt = f", which {found.rows:,} rows do not prove"
        reason = "" if crossed is None else f"{told}; at most {show(crossed)} is allowed{doubt}."
        word = "down to" if self.sign > 0 else "up to"
        expected = _both(
            f"{word} {show(-self.sign * limit.fail, signed=True)}" if limit.fail is not None else "",
            f"(warn beyond {show(-self.sign * limit.warn, signed=True)})" if limit.warn is not None else "",
        )
        made = self._check(
            name,
            limit.word,
            Verdict.PASS if crossed is None else Verdict.WARN,
            reason,
            observed=found.a,
            champion=found.b,
            change=(found.a - found.b) / unit,
            relative=limit.relative,
            expected=expected,
            limit=found.b - self.sign * float(margin) * unit,
            interval=interval,
            outcome="non-inferior" if limit.fail is not None and not found.too_little and most <= limit.fail else None,
            rows=found.rows,
            method=found.method,
        )
        spread = found.se / unit or 1.0
        size_of = (harm - float(margin)) / spread
        if limit.fail is None or found.too_little:
            return self._claim(name, limit.word, made, size=size_of)
        edge = 0.0 if limit.relative else -self.sign * float(margin)
        p = 1.0
        if crosses(harm, limit.fail):  # else there is nothing to prove, and a p-value costs as much as its bounds
            found_p = found.below(edge) if self.sign > 0 else found.above(edge)
            p = found_p if 0 <= found_p <= 1 else 1.0  # a NaN proves nothing
        harmed = f"{told}, and that is proven to be more than the {show(margin)} allowed."
        return self._claim(name, limit.word, made, size=size_of, p=p, harm=harmed)

    def _claim(
        self, name: str, limit: str, check: Check, *, size: float, p: float | None = None, harm: str = ""
    ) -> Claim:
        return Claim(check, p, harm, size, set=self.setting.set, metric=self.key, group=name, limit=limit)

    def _first(self, harm: float, fail: Decimal | None, warn: Decimal | None, times: int = 1) -> Decimal | None:
        """The limit that is crossed, the failing one first."""
        return next((x for x in (fail, warn) if x is not None and crosses(harm, times * x)), None)

    def _check(
        self,
        name: str,
        word: str,
        verdict: Verdict,
        reason: str,
        *,
        observed: float | None = None,
        champion: float | None = None,
        change: float | None = None,
        relative: bool = False,
        expected: str = "",
        limit: float | None = None,
        interval: tuple[float, float] | None = None,
        outcome: str | None = None,
        rows: int | None = None,
        method: str = "",
    ) -> Check:
        return Check.model_validate(
            {
                "id": self.setting.id(SECTION, self.key, name, word),
                "group": SECTION,
                "title": self.setting.title(f"{self.key}, {name}"),
                "verdict": verdict,
                "reason": reason,
                "observed": observed,
                "champion": champion,
                "change": change,
                "relative": relative,
                "expected": expected,
                "limit": limit,
                "greater_is_better": self.sign > 0,
                "interval": interval if interval and all(map(math.isfinite, interval)) else None,
                "outcome": outcome,
                "rows": rows,
                "method": method,
                "location": self.setting.locate(self.key),
            }
        )


class _TooLittleError(Exception):
    """A group of which the bounds may not say anything."""


def _agree(spec: Spec, a: Predicted, b: Predicted) -> bool:
    """Whether two models say the same of nearly every row of a group: what hardly changed does no harm there, however
    little else the group says."""
    needs = estimate.needs(spec)
    one, other = a.score, b.score
    if "class" in needs:
        one, other = a.decided, b.decided  # type: ignore[assignment]
    elif "row" in needs:
        one, other = a.values.get(spec.column), b.values.get(spec.column)
    if one is None or other is None:
        return False
    apart = one != other
    return int(apart.reshape(len(apart), -1).any(axis=1).sum()) < _FEW


def _set(*limits: Decimal | None) -> list[Decimal]:
    return [limit for limit in limits if limit is not None]


def _both(*parts: str) -> str:
    return " ".join(part for part in parts if part)
