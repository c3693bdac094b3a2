"""Rules decided by intervals: what point values say of a limit, and whether the rows prove it.

`rules.check` says what the numbers are, exactly; here each of its checks gets the interval of its rows and the verdict
that follows. A regression has to be shown to be within the margin, a `threshold` may be met without being proven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.config import Rule
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import decide
from mlgate.judge.measures import Bounds, Spec, UndefinedError
from mlgate.judge.rules import Where
from mlgate.model import Check, Verdict

_OUTCOME = {
    "superior": Verdict.PASS,
    "non-inferior": Verdict.PASS,
    "worse": Verdict.FAIL,
    "inconclusive": Verdict.INCONCLUSIVE,
}
SAME = "the same predictions"
NO_INTERVAL = frozenset({"max_error"})  # of one row: how it varies, no sample says. Its point decides


@dataclass(frozen=True)
class Compared:
    """The rows of one evaluation set, and of which pair of models which metric is asked. Bounds are made once.

    `rows` are those that a comparison may use: none on which the champion was trained. `same` are the sides whose
    predictions are the challenger's, by digest: the only proof that nothing differs.
    """

    rows: Rows
    confidence: float
    same: frozenset[str] = frozenset()
    alone: Rows | None = None  # all rows, for the challenger by itself; None where `rows` are all
    known: dict[tuple[Any, ...], Bounds] = field(default_factory=dict, compare=False)

    def side(self, name: str) -> Predicted | None:
        found: Predicted | None = getattr(self.rows, name)
        return found

    def bounds(self, spec: Spec, other: str, ratio: float = 1.0) -> Bounds:
        """Of the challenger minus `ratio` times the other side. Raises UndefinedError."""
        from mlgate.judge import paired  # noqa: PLC0415 -- numpy

        side = self.side(other)
        assert side is not None  # noqa: S101 -- callers ask `side` first
        return self._made(
            ("bounds", repr(spec), other, ratio),
            lambda: paired.bounds(spec, self.rows, self.rows.challenger, side, confidence=self.confidence, ratio=ratio),
        )

    def level(self, spec: Spec) -> Bounds:
        """Of the challenger alone. Raises UndefinedError."""
        from mlgate.judge import paired  # noqa: PLC0415 -- numpy

        rows = self.alone or self.rows
        return self._made(
            ("level", repr(spec)),
            lambda: paired.level(spec, rows, rows.challenger, confidence=self.confidence),
        )

    def _made(self, key: tuple[Any, ...], make: Callable[[], Bounds]) -> Bounds:
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]


def settle(points: Sequence[Check], where: Where, rule: Rule, spec: Spec, compared: Compared) -> list[Check]:
    """The checks of `rules.check` with intervals, and verdicts that follow from them.

    Where rows say nothing of a metric, the check says why and is `inconclusive`, unless its point fails already.
    """
    if spec.name in NO_INTERVAL:
        return list(points)
    greater = bool(rule.direction(where.key))
    settled = []
    for check in points:
        word = check.id.removeprefix(f"{where.id}.")
        if check.verdict is Verdict.ERROR or not isinstance(check.observed, float):
            settled.append(check)
            continue
        try:
            if word == "threshold":
                settled.append(_threshold(check, rule, spec, compared, greater=greater))
            elif word in _WORDS:
                settled.append(_change(check, word, rule, spec, compared, greater=greater))
            else:
                settled.append(check)
        except UndefinedError as error:
            settled.append(_undecided(check, f"{check.title} cannot be held to its limit by these rows: {error}."))
    return settled


def _undecided(check: Check, reason: str) -> Check:
    verdict = max(check.verdict, Verdict.INCONCLUSIVE, key=lambda v: v.rank)
    said = f"{check.reason} {reason}".strip() if verdict is check.verdict else reason
    return check.model_copy(update={"verdict": verdict, "reason": said, "outcome": "inconclusive"})


def _threshold(check: Check, rule: Rule, spec: Spec, compared: Compared, *, greater: bool) -> Check:
    bounds = compared.level(spec)
    update: dict[str, Any] = {
        "interval": _finite(bounds.lower, bounds.upper), "rows": bounds.rows, "method": bounds.method,
    }  # fmt: skip
    proof = rule.threshold_by == "bound"
    if rule.threshold is None or (check.verdict is Verdict.FAIL and not proof):
        return check.model_copy(update=update)
    limit = float(rule.threshold)
    low, high = (bounds.lower, bounds.upper) if greater else (-bounds.upper, -bounds.lower)
    limit = limit if greater else -limit
    if low >= limit and not bounds.too_little:
        return check.model_copy(update=update)
    within = f"the interval of {bounds.rows:,} rows reaches {'down' if greater else 'up'} to the other side of it"
    why = bounds.too_little or within
    if not proof:
        reason = check.reason or f"{check.title} meets its limit, but that is not proven: {why}."
        return check.model_copy(update={**update, "verdict": max(check.verdict, Verdict.WARN, key=lambda v: v.rank),
                                        "reason": reason})  # fmt: skip
    if high < limit and not bounds.too_little:
        reason = f"{check.title} is proven to miss its limit."
        return check.model_copy(update={**update, "verdict": Verdict.FAIL, "reason": check.reason or reason})
    reason = f"{check.title} has to be proven to meet its limit, and cannot be either way: {why}."
    return check.model_copy(update={**update, "verdict": Verdict.INCONCLUSIVE, "reason": reason})


# The word of a check -> side, margin that fails, margin that warns, whether a share of the other side's value.
_WORDS: dict[str, tuple[str, str, str, bool]] = {
    "absolute_regression": ("champion", "max_absolute_regression", "warn_absolute_regression", False),
    "relative_regression": ("champion", "max_relative_regression", "warn_relative_regression", True),
    "anchor": ("anchor", "max_anchor_regression", "", False),
    "absolute_change": ("champion", "min_absolute_change", "", False),
    "relative_change": ("champion", "min_relative_change", "", True),
}


def _change(check: Check, word: str, rule: Rule, spec: Spec, compared: Compared, *, greater: bool) -> Check:
    other, fails, warns, relative = _WORDS[word]
    if compared.side(other) is None:
        return check
    if other in compared.same and rule.entry_point is None:  # what a function makes of the same rows may differ
        return check.model_copy(
            update={"interval": (0.0, 0.0), "outcome": "non-inferior", "method": SAME, "rows": compared.rows.count}
        )
    fail = getattr(rule, fails)
    margin = fail if fail is not None else getattr(rule, warns)
    improves = word.endswith("_change")
    step = float(margin) if improves else -float(margin)  # gained at least this much
    ratio = 1.0 + (step if greater else -step) if relative else 1.0
    plain = compared.bounds(spec, other)
    asked = compared.bounds(spec, other, ratio) if relative else plain
    update = _measured(asked, plain, ratio, relative=relative)
    if improves:
        return _improved(check, asked, step if not relative else 0.0, update, greater=greater)
    outcome = decide.outcome(asked, 0.0 if relative else float(margin), greater, plain=plain)
    update["outcome"] = outcome
    if fail is None:  # only a warning is asked for: the point gives it
        return check.model_copy(update=update)
    if outcome == "inconclusive":
        by = abs(1 - ratio) * abs(asked.b) if relative else float(margin)
        needed = decide.needed(asked, by, compared.confidence)
        if needed is not None and needed <= asked.rows:
            needed = None  # where so many could not tell, the models are not alike, and that is what it assumes
        update |= {"needed": needed, "verdict": Verdict.INCONCLUSIVE, "reason": _open(check, asked, needed, other)}
    elif outcome == "worse":
        update |= {"verdict": Verdict.FAIL, "reason": check.reason or f"{check.title} is worse than the {other}."}
    else:  # proven to be within the margin: at most the point's own warning is left
        update["verdict"] = Verdict.WARN if check.verdict is Verdict.WARN else Verdict.PASS
        update["reason"] = check.reason if check.verdict is Verdict.WARN else ""
    return check.model_copy(update=update)


def _measured(asked: Bounds, plain: Bounds, ratio: float, *, relative: bool) -> dict[str, Any]:
    """Interval, method and rows: of the change as the check shows it, a share of the other side's value or not."""
    if relative and asked.b:
        low, high = sorted((asked.lower / asked.b + ratio - 1, asked.upper / asked.b + ratio - 1))
        change = plain.difference / asked.b
    else:
        low, high, change = plain.lower, plain.upper, plain.difference
    return {
        "interval": _finite(low, high), "rows": asked.rows, "method": asked.method, "change": change,
    }  # fmt: skip


def _finite(low: float, high: float) -> tuple[float, float] | None:
    return (low, high) if -1e300 < low <= high < 1e300 else None


def _improved(check: Check, asked: Bounds, step: float, update: dict[str, Any], *, greater: bool) -> Check:
    """Better by at least this much has to be proven, like everything that is claimed of a challenger."""
    low, high = (asked.lower, asked.upper) if greater else (-asked.upper, -asked.lower)
    if low >= step and not asked.too_little:
        return check.model_copy(update={**update, "verdict": Verdict.PASS, "reason": ""})
    if high < step and not asked.too_little:
        return check.model_copy(
            update={**update, "verdict": Verdict.FAIL,
                    "reason": check.reason or f"{check.title} is proven to gain less than it has to."}
        )  # fmt: skip
    why = asked.too_little or f"the interval of {asked.rows:,} rows holds that gain and less"
    reason = f"{check.title} has to be proven to gain that much, and cannot be either way: {why}."
    return check.model_copy(update={**update, "verdict": Verdict.INCONCLUSIVE, "reason": reason})


def _open(check: Check, bounds: Bounds, needed: int | None, other: str) -> str:
    """Why the rows decide nothing, and what would."""
    if bounds.too_little:
        return f"{check.title} cannot be held against the {other}: {bounds.too_little}."
    more = f" About {_round(needed)} rows like these would settle it." if needed else ""
    return (
        f"{check.title} may be worse than the {other} by more than is allowed, or not: {bounds.rows:,} rows cannot "
        f"tell.{more}"
    )


def _round(count: int) -> str:
    """Two significant digits: it is an estimate."""
    size = max(0, len(str(count)) - 2)
    return f"{-(-count // 10**size) * 10**size:,}"
