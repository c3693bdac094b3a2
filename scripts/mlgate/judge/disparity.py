"""Every parity metric of one column of groups, for both models, with bounds: what fairness rules and reports read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from mlgate import parity
from mlgate.data.rows import Groups, Rows
from mlgate.judge import gaps
from mlgate.judge.bias import Group, Metric, Rates, Table, Value
from mlgate.judge.gaps import Pairs
from mlgate.judge.grouped import LEAST, Small
from mlgate.judge.tally import Measured, Tally, chosen, tally
from mlgate.parity import Parity, Rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

_RATES: tuple[Rate, ...] = get_args(Rate)
_COUNTED = {
    "selection_rate": "row",
    "true_positive_rate": "positive row",
    "false_positive_rate": "negative row",
    "precision": "row decided to be positive",
}


@dataclass(frozen=True)
class Found:
    """A metric that could be measured. `p(limit)` is of the truth being exactly at the limit, in the metric's units."""

    value: Value
    p: Callable[[float], float]
    rows: int
    of: tuple[float, float] = (
        0.0,
        0.0,
    )  # of a change: what both models have, over the groups that both can be judged in


@dataclass(frozen=True)
class Disparity:
    """One metric of one table. Without a value, `reason` ends the sentence "it cannot be measured: ..."."""

    name: str
    known: Parity
    challenger: Found | None
    champion: Found | None
    change: Found | None
    reason: str
    champion_reason: str
    small: tuple[Small, ...]  # the groups it says nothing of
    small_of_change: tuple[Small, ...]  # those that only the comparison says nothing of
    judged: int  # groups


@dataclass(frozen=True)
class Measures:
    table: Table
    metrics: dict[str, Disparity]  # by canonical name


def measure(rows: Rows, groups: Groups, *, min_rows: int, confidence: float, set_name: str = "") -> Measures:
    """Everything about these groups. Labels are binary and both sides have decided classes.

    A group without rows is no group. One with fewer than `min_rows`, or a rate with fewer than 30 rows or clusters, is
    listed and says nothing; metrics are over the others.
    """
    counted = tally(rows, groups)
    return _Measuring(counted, rows.champion is not None, min_rows, confidence).all(groups.by, set_name)


class _Measuring:
    def __init__(self, counted: Tally, compared: bool, min_rows: int, confidence: float) -> None:
        self._tally, self._confidence, self._min_rows = counted, confidence, min_rows
        self._sides = (False, True) if compared else (False,)
        self._rates = {(name, side): counted.rate(name, champion=side) for name in _RATES for side in self._sides}
        self._why = [self._too_small(at) for at in range(len(counted.names))]
        self._enough = np.array([not why for why in self._why]) & (counted.rows > 0)

    def _too_small(self, at: int) -> str:
        rows = int(self._tally.rows[at])
        if rows < max(self._min_rows, LEAST):
            return f"{_count(rows, 'row')}, {max(self._min_rows, LEAST):,} needed"
        clusters = self._tally.clusters
        if clusters is not None and clusters[at] < LEAST:
            return f"{_count(int(clusters[at]), 'cluster')}, {LEAST} needed"
        return ""

    def all(self, by: str, set_name: str) -> Measures:
        metrics = {name: self._metric(name, known) for name, known in parity.KNOWN.items()}
        table = Table(
            set=set_name,
            by=by,
            rows=int(self._tally.rows.sum()),
            min_rows=self._min_rows,
            groups=tuple(self._group(at) for at in range(len(self._why)) if self._tally.rows[at] > 0),
            metrics=tuple(_reported(one, self._why_of) for one in metrics.values()),
        )
        return Measures(table, metrics)

    def _why_of(self, name: str) -> str:
        return self._why[self._tally.names.index(name)]

    def _group(self, at: int) -> Group:
        def rates(side: bool) -> Rates:
            values = (float(self._rates[name, side].value[at]) for name in _RATES)
            return Rates(*(None if np.isnan(value) else value for value in values))

        base = float(self._tally.base_rate[at])
        return Group(
            name=self._tally.names[at],
            rows=int(self._tally.rows[at]),
            base_rate=None if np.isnan(base) else base,
            challenger=rates(False),
            champion=rates(True) if len(self._sides) > 1 else None,
            not_judged=self._why[at],
        )

    def _metric(self, name: str, known: Parity) -> Disparity:
        own, of_champion = (
            [self._judged(rate, side) for rate in known.rates] for side in (False, len(self._sides) > 1)
        )
        challenger, reason = self._found(known, False, own)
        champion, champion_reason, change = None, "", None
        both = [a & b for a, b in zip(own, of_champion, strict=True)]
        if len(self._sides) > 1:
            champion, champion_reason = self._found(known, True, of_champion)
            if challenger and champion:
                change = self._changed(known, both)
        small = self._small(known, own, False)
        beyond = [a & ~b for a, b in zip(own, both, strict=True)]
        listed = {one.name for one in small}
        small_of_change = [
            Small(one.name, one.rows, f"{one.why} (champion)")
            for one in self._small(known, [~b for b in beyond], len(self._sides) > 1)
            if one.name not in listed
        ]
        judged = int(np.logical_and.reduce(own).sum())
        return Disparity(
            name, known, challenger, champion, change, reason, champion_reason, tuple(small), tuple(small_of_change),
            judged,
        )  # fmt: skip

    def _judged(self, rate: Rate, side: bool) -> Mask:
        measured = self._rates[rate, side]
        enough: Mask = self._enough & (measured.rows >= LEAST)
        return enough if measured.clusters is None else enough & (measured.clusters >= LEAST)

    def _small(self, known: Parity, judged: list[Mask], side: bool) -> list[Small]:
        """The groups that at least one of the rates says nothing of."""
        found = []
        for at, name in enumerate(self._tally.names):
            rows = int(self._tally.rows[at])
            if rows == 0 or all(mask[at] for mask in judged):
                continue
            few = next(rate for rate, mask in zip(known.rates, judged, strict=True) if not mask[at])
            measured = self._rates[few, side]
            has = _count(int(measured.rows[at]), _COUNTED[few])
            if measured.clusters is not None and measured.rows[at] >= LEAST:
                has += f" in {_count(int(measured.clusters[at]), 'cluster')}"
            why = self._why[at] or f"{has}, {LEAST} needed"
            found.append(Small(name, rows, why))
        return found

    def _found(self, known: Parity, side: bool, judged: list[Mask]) -> tuple[Found | None, str]:
        """The metric of one model, or why there is none."""
        for rate, mask in zip(known.rates, judged, strict=True):
            if mask.sum() < 2:
                return None, f"{rate} could be measured in {_count(int(mask.sum()), 'group')}, and it takes two"
        chosen_ = self._pairs(known, side, judged)
        if isinstance(chosen_, str):
            return None, chosen_
        these, names, _ = chosen_
        return self._value(known, gaps.gap(these, self._confidence), these, names, self._rows(judged)), ""

    def _changed(self, known: Parity, judged: list[Mask]) -> Found | None:
        if any(mask.sum() < 2 for mask in judged):
            return None
        a, b = self._pairs(known, False, judged), self._pairs(known, True, judged)
        if isinstance(a, str) or isinstance(b, str) or a[2] != b[2]:
            return None
        shared = []
        for number in a[2]:
            rate, mask = known.rates[number], judged[number]
            one, other = self._rates[rate, False], self._rates[rate, True]
            shared.append(self._tally.covariance(one.influence, other.influence)[mask])
        bound = gaps.change(a[0], b[0], shared, self._confidence)
        sign = 1 if known.kind == "difference" else -1
        low, high = sorted((sign * bound.lower, sign * bound.upper))
        of = (sign * float(a[0].harm.max()), sign * float(b[0].harm.max()))
        return Found(Value(sign * bound.harm, max(-1.0, low), min(1.0, high)), bound.p, self._rows(judged), of)

    def _pairs(
        self, known: Parity, side: bool, judged: list[Mask]
    ) -> tuple[Pairs, list[list[str]], tuple[int, ...]] | str:
        """The pairs of groups, the groups' names, and which of the rates: a ratio of rates that are 0 everywhere is
        not defined, and where another rate remains, that one says how alike the groups are."""
        kept: list[int] = []
        for number, (rate, mask) in enumerate(zip(known.rates, judged, strict=True)):
            if known.kind == "difference" or (self._rates[rate, side].value[mask] > 0).any():
                kept.append(number)
        if not kept:
            return f"{known.rates[0]} is 0 in every group, and a ratio of zeros is not defined"
        rates: list[Measured] = chosen([self._rates[known.rates[k], side] for k in kept], [judged[k] for k in kept])
        names = [[n for n, there in zip(self._tally.names, judged[k], strict=True) if there] for k in kept]
        return gaps.pairs(known.kind, rates), names, tuple(kept)

    @staticmethod
    def _value(known: Parity, bound: gaps.Bound, these: Pairs, names: list[list[str]], rows: int) -> Found:
        here = names[int(these.rate[bound.worst])]
        low, high = here[int(these.low[bound.worst])], here[int(these.high[bound.worst])]
        if known.kind == "difference":
            value = Value(bound.harm, max(0.0, bound.lower), min(1.0, bound.upper), low, high)
            return Found(value, bound.p, rows)
        value = Value(-bound.harm, max(0.0, -bound.upper), min(1.0, -bound.lower), low, high)
        return Found(value, lambda limit: bound.p(-limit), rows)

    def _rows(self, judged: list[Mask]) -> int:
        """All rows of the groups that are judged."""
        return int(self._tally.rows[np.logical_or.reduce(judged)].sum())


def _reported(one: Disparity, why_of: Callable[[str], str]) -> Metric:
    return Metric(
        name=one.name,
        challenger=one.challenger.value if one.challenger else None,
        champion=one.champion.value if one.champion else None,
        change=one.change.value if one.change else None,
        reason=one.reason or (f"champion: {one.champion_reason}" if one.champion_reason else ""),
        not_judged=tuple(
            (small.name, small.why) for small in (*one.small, *one.small_of_change) if not why_of(small.name)
        ),
    )


def _count(n: int, one: str) -> str:
    plural = one.replace("row", "rows", 1) if one.startswith("row ") else f"{one}s"
    return f"{n:,} {one if n == 1 else plural}"
