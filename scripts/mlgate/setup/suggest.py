"""A number for a rule, from what the metric did so far. A suggestion is written as a comment: a person accepts it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise

from mlgate import estimators

_SPLIT = r"(?:test|val|valid|validation|holdout|eval|dev)"
_SPLITS = re.compile(rf"^{_SPLIT}[_-]|[_-]{_SPLIT}$")
# Counts, times and settings: numbers that are in metrics files and say nothing of how good a model is.
_ASIDE = (
    "n num count rows? samples? epochs? steps? iter iterations? seed time timestamp seconds secs? ms duration size "
    "bytes mb support version tn fp fn tp lr learning_rate threshold cut_off positives? negatives? features?"
)
_NOT_A_QUALITY = re.compile(rf"(?:^|[._ -])(?:{'|'.join(_ASIDE.split())})(?:$|[._ -])", re.IGNORECASE)


@dataclass(frozen=True)
class Suggestion:
    """One rule, ready to be written. `words` are in the order in which they are written."""

    key: str
    words: tuple[tuple[str, str], ...]
    because: str


def estimator(key: str) -> str | None:
    """The name mlgate knows the metric of this key by: `val.test_auc` is roc_auc."""
    last = key.rsplit(".", 1)[-1].strip().lower().replace(" ", "_").replace("-", "_")
    for name in (last, _SPLITS.sub("", last)):
        if estimators.find(name):
            return estimators.ALIASES.get(name, name)
    return None


def is_quality(key: str) -> bool:
    """Whether a number can be a metric of the model at all, and not a count, a time or a setting."""
    return estimator(key) is not None or not _NOT_A_QUALITY.search(key)


def rule(key: str, history: Sequence[float], *, commits: int) -> Suggestion:
    """`history`: the values oldest first, the last is what is there now; `commits`: how many of them are committed."""
    known = estimator(key)
    values = [Decimal(repr(float(v))) for v in history]
    greater = estimators.KNOWN[known].greater_is_better if known else None
    steps = [a - b for a, b in pairwise(values)]
    if greater is False:
        steps = [-step for step in steps]
    elif greater is None:
        steps = [abs(step) for step in steps]
    drop = max([*steps, Decimal(0)])
    margin = nice(2 * drop if drop else abs(values[-1]) / 100)
    words: list[tuple[str, str]] = []
    if known and greater is not None:
        words += [("is", known), *_threshold(values, margin, greater=greater)]
    else:
        words.append(("greater_is_better", "true or false"))
    words.append(("max_absolute_regression", plain(margin)))
    return Suggestion(key, tuple(words), _because(values, drop, commits, greater))


def _threshold(values: Sequence[Decimal], margin: Decimal, *, greater: bool) -> list[tuple[str, str]]:
    """A little worse than the worst so far; none where that would be on the other side of zero, or is nothing."""
    worst = min(values) if greater else max(values)
    rounding, sign = (ROUND_FLOOR, -1) if greater else (ROUND_CEILING, 1)
    found = ((worst + sign * margin) / margin).to_integral_value(rounding) * margin
    if (found <= 0 < min(values)) or (found >= 0 > max(values)):
        return []
    return [("threshold", plain(found))]


def _because(values: Sequence[Decimal], drop: Decimal, commits: int, greater: bool | None) -> str:
    now = plain(_short(values[-1]))
    if commits == 0:
        return f"now {now}; no history yet"
    if commits == 1:
        return f"one commit: {now}; no history yet"
    low, high = plain(_short(min(values))), plain(_short(max(values)))
    word = {True: "drop", False: "rise", None: "step"}[greater]
    change = f"largest {word} {plain(_short(drop))}" if drop else f"no {word}"
    return f"last {commits} commits: {low} to {high}, {change}"


def nice(value: Decimal) -> Decimal:
    """The next number up of the series 1, 2, 5, 10, ..."""
    if value <= 0:
        return Decimal("0.01")
    power = Decimal(10) ** value.adjusted()
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value).normalize()


def _short(value: Decimal) -> Decimal:
    """Four significant digits are enough for a person."""
    if not value:
        return Decimal(0)
    digits = max(3 - value.adjusted(), 0)
    return value.quantize(Decimal(1).scaleb(-digits)).normalize()


def plain(value: Decimal) -> str:
    """Without an exponent, and as YAML reads a number."""
    return f"{value:f}" if value else "0"
