"""How far rates lie apart between groups, how far they may, and what of it the rows prove.

The largest difference of many groups is large even where all are alike, because it is the largest. So nothing is read
from the two groups that happen to be outermost as if they had been named beforehand:

- *harm* (the gap is larger than a limit) is claimed when one pair of groups proves it, with its p-value multiplied by
  the number of pairs (Bonferroni), for all pairs are looked at;
- *no harm* (the gap is smaller) is claimed when every pair proves it, which needs no correction: an intersection-union
  test (Berger 1982, Technometrics 24).

A pair is judged by MOVER: bounds of a difference, or of a ratio, from Wilson's bounds of the two shares (Newcombe 1998,
Statistics in Medicine 17; Donner and Zou 2012, Statistical Methods in Medical Research 21), which hold near 0 and 1 and
for unequal groups, where the normal approximation does not. Two models are held against each other by the same method
with the correlation of what they say of the same rows (Zou 2007, Psychological Methods 12).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlgate.judge.tally import Measured

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_Z = np.linspace(0.0, 12.0, 241)  # a normal deviate of 12 is a p of 1e-33
_LOG_TAIL = np.log([0.5 * math.erfc(z / math.sqrt(2)) for z in _Z])
MOST_PAIRED = 4_000  # ordered pairs of groups (about 60 groups) up to which two models are compared pair by pair
MOST_GROUPS = 200  # of more groups only the pairs of those with the highest and the lowest rates are looked at


@dataclass(frozen=True)
class Pairs:
    """Every ordered pair of groups, of every rate that counts: `harm` is larger where the pair is treated less alike.

    A difference is `high - low`, a ratio the negative of `low / high`. All arrays (K,); two orders of one pair are two
    entries, as either group may be the favoured one.
    """

    kind: Literal["difference", "ratio"]
    rate: NDArray[np.intp]
    high: NDArray[np.intp]  # index of the group, in its rate
    low: NDArray[np.intp]
    of: tuple[Measured, ...]
    unordered: float  # all pairs that could have been looked at, each counted once
    complete: bool = True  # whether all of them are here

    def _taken(self, field: str, which: NDArray[np.intp]) -> Array:
        found: Array = np.concatenate([getattr(one, field) for one in self.of])[self._start[self.rate] + which]
        return found

    @cached_property
    def _start(self) -> NDArray[np.intp]:
        return np.cumsum([0, *(len(one.value) for one in self.of)], dtype=np.intp)[:-1]

    @cached_property
    def _highs(self) -> tuple[Array, Array]:
        return self._taken("value", self.high), self._taken("effective", self.high)

    @cached_property
    def _lows(self) -> tuple[Array, Array]:
        return self._taken("value", self.low), self._taken("effective", self.low)

    @cached_property
    def harm(self) -> Array:
        (high, _), (low, _) = self._highs, self._lows
        if self.kind == "difference":
            return high - low
        found: Array = -np.divide(low, high, out=np.full(high.shape, np.inf), where=high > 0)
        return found

    def lower(self, z: float | Array, at: int | slice = slice(None)) -> Array:
        """At least this much harm, at the one-sided normal deviate `z`."""
        return self._bound(z, at, self._highs, self._lows, least=True)

    def upper(self, z: float | Array, at: int | slice = slice(None)) -> Array:
        """At most this much harm."""
        return self._bound(z, at, self._highs, self._lows, least=False)

    def _bound(
        self,
        z: float | Array,
        at: int | slice,
        highs: tuple[Array, Array],
        lows: tuple[Array, Array],
        *,
        least: bool,
    ) -> Array:
        high, low = highs[0][at], lows[0][at]
        high_low, high_up = wilson(high, highs[1][at], z)
        low_low, low_up = wilson(low, lows[1][at], z)
        near, far = (high_low, low_up) if least else (high_up, low_low)
        if self.kind == "difference":
            half = np.sqrt((near - high) ** 2 + (far - low) ** 2)
            return high - low - half if least else high - low + half
        product = high * low
        a, c = near * (2 * high - near), far * (2 * low - far)
        root = np.sqrt(np.maximum(product**2 - a * c, 0))
        over, under = (product + root, a) if least else (c, product + root)
        nothing = np.inf if least else 0.0
        found: Array = -np.divide(over, under, out=np.full(np.shape(over), nothing), where=under > 0)
        return found

    def most(self, alpha: float) -> float:
        """No pair has more harm than this. Where not all pairs are here, from the bounds of the two outermost groups,
        which share the error."""
        if self.complete:
            return float(self.upper(_deviate(alpha)).max())
        z, found = _deviate(alpha / 2), []
        for one in self.of:
            lows, ups = wilson(one.value, one.effective, z)
            low, up = float(lows.min()), float(ups.max())
            found.append(up - low if self.kind == "difference" else -low / up)
        return max(found)

    def mirrored(self, harm: Array) -> Array:
        """The same limit for the other order of a pair."""
        if self.kind == "difference":
            return -harm
        with np.errstate(divide="ignore"):
            found: Array = np.where(harm < 0, 1 / np.minimum(harm, 0), -np.inf)
        return found


@dataclass(frozen=True)
class Bound:
    """`harm`: the largest of the pairs, `worst`: which. `lower` allows for all pairs, `upper` needs every one of them.

    `p(limit)`: of rows as bad as these, were the truth exactly at the limit.
    """

    harm: float
    worst: int
    lower: float
    upper: float
    p: Callable[[float], float]


def pairs(kind: Literal["difference", "ratio"], measured: Sequence[Measured]) -> Pairs:
    """All ordered pairs of groups of each rate. A rate with fewer than two groups has none."""
    rate, high, low = [], [], []
    for number, one in enumerate(measured):
        outer = _outer(one)
        first, second = (grid.ravel() for grid in np.meshgrid(outer, outer, indexing="ij"))
        apart = first != second
        high.append(first[apart])
        low.append(second[apart])
        rate.append(np.full(int(apart.sum()), number))
    parts = [np.concatenate(part).astype(np.intp) for part in (rate, high, low)]
    sizes = [len(one.value) for one in measured]
    unordered = sum(size * (size - 1) for size in sizes) / 2
    return Pairs(kind, parts[0], parts[1], parts[2], tuple(measured), unordered, max(sizes) <= MOST_GROUPS)


def _outer(one: Measured) -> NDArray[np.intp]:
    """The groups whose pairs are looked at. To leave some out makes a claim of harm harder, never easier."""
    size = len(one.value)
    if size <= MOST_GROUPS:
        return np.arange(size)
    order = np.argsort(one.value, kind="stable")
    return np.sort(np.concatenate([order[: MOST_GROUPS // 2], order[-MOST_GROUPS // 2 :]]))


def gap(these: Pairs, confidence: float) -> Bound:
    """The largest gap between any two groups. `these` has at least one pair."""
    alpha = 1 - confidence
    worst = int(np.argmax(these.harm))
    shown = int(np.argmax(these.lower(_deviate(alpha / these.unordered))))
    curve = these.lower(_Z, slice(shown, shown + 1))
    return Bound(
        harm=float(these.harm[worst]),
        worst=worst,
        lower=_lowest(curve, these.mirrored, these.unordered, alpha),
        upper=these.most(alpha),
        p=lambda limit: float(_p(curve, np.array(limit), these.mirrored(np.array(limit)), these.unordered)),
    )


def change(a: Pairs, b: Pairs, shared: Sequence[Array], confidence: float) -> Bound:
    """How much larger the gap of `a` is than that of `b`: the same groups, rates and rows; `shared` is the covariance
    of both models' rate in each group.

    The gap of `a` is at least that of one pair and the gap of `b` is that of some pair: so harm is proven by a pair of
    `a` that is worse, by more than the limit, than every pair of `b`.
    """
    alpha = 1 - confidence
    worst = int(np.argmax(a.harm))
    if len(a.high) > MOST_PAIRED:
        return _unpaired(a, b, worst, confidence)
    correlated = _Correlation(a, b, shared)
    curve = correlated.curve(a, b, alpha)
    back = correlated.other.curve(b, a, alpha)
    return Bound(
        harm=float(a.harm[worst]) - float(b.harm.max()),
        worst=worst,
        lower=_lowest(curve, np.negative, a.unordered, alpha),
        upper=-_lowest(back, np.negative, b.unordered, alpha),
        p=lambda limit: float(_p(curve, np.array(limit), np.array(-limit), a.unordered)),
    )


def wilson(value: Array, rows: Array, z: float | Array) -> tuple[Array, Array]:
    """Wilson's bounds of shares (1927), each one-sided at the deviate `z`; `rows` need not be whole."""
    worth = z * z / np.maximum(rows, 1e-9)
    centre = (value + worth / 2) / (1 + worth)
    half = np.sqrt(np.maximum(worth * (value * (1 - value) + worth / 4), 0)) / (1 + worth)
    return np.minimum(np.maximum(centre - half, 0), value), np.maximum(np.minimum(centre + half, 1), value)


class _Correlation:
    """What the estimates of a pair of one model share with those of a pair of the other."""

    def __init__(self, a: Pairs, b: Pairs, shared: Sequence[Array]) -> None:
        self._a, self._b, self._shared = a, b, shared
        scaled = [
            (one.value, other.value) if a.kind == "ratio" else (np.ones_like(one.value),) * 2
            for one, other in zip(a.of, b.of, strict=True)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            self._both = [c / (s * t) for c, (s, t) in zip(shared, scaled, strict=True)]
            own = [
                np.concatenate([m.variance / s[k] ** 2 for m, s in zip(p.of, scaled, strict=True)])
                for k, p in enumerate((a, b))
            ]
        self._sd = [
            np.sqrt(v[p._start[p.rate] + p.high] + v[p._start[p.rate] + p.low])
            for v, p in zip(own, (a, b), strict=True)
        ]

    @property
    def other(self) -> _Correlation:
        return _Correlation(self._b, self._a, self._shared)

    def of(self, one: int) -> Array:
        """(K,): of pair `one` of the first model with every pair of the second. 0 where it is not known."""
        a, b = self._a, self._b
        rate, high, low = a.rate[one], a.high[one], a.low[one]
        both = self._both[rate]
        covariance = (
            ((b.high == high) - 1.0 * (b.low == high)) * both[high]
            + ((b.low == low) - 1.0 * (b.high == low)) * both[low]
        ) * (b.rate == rate)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = covariance / (self._sd[0][one] * self._sd[1])
        kept: Array = np.clip(np.where(np.isfinite(found), found, 0.0), -1, 1)
        return kept

    def curve(self, a: Pairs, b: Pairs, alpha: float) -> Array:
        """At least this much more harm in `a` than in `b`, at each deviate of `_Z`, from the pair that shows most."""
        z = _deviate(alpha / a.unordered)
        a_lower, b_upper = a.lower(z), b.upper(z)
        likely = np.argsort(a_lower)[::-1][:_LIKELY]
        found = [
            float(_apart(a.harm[one], a_lower[one], b.harm, b_upper, self.of(one)).min()) for one in likely.tolist()
        ]
        one = int(likely[int(np.argmax(found))])
        correlation = self.of(one)
        least = a.lower(_Z, slice(one, one + 1))
        step = max(1, _TOGETHER // len(b.high))
        pieces = [
            _apart(a.harm[one], least[k : k + step, None], b.harm, b.upper(_Z[k : k + step, None]), correlation)
            for k in range(0, len(_Z), step)
        ]
        return np.concatenate([piece.min(axis=1) for piece in pieces])


_TOGETHER = 200_000  # numbers that are worked on at once
_LIKELY = 40  # pairs that are tried; to leave the others out makes a claim harder, never easier


def _apart(a: Array, a_lower: Array, b: Array, b_upper: Array, correlation: Array) -> Array:
    """(K,): at least this much lies between one pair of the first model and each of the second. A pair of the second
    that has no value, only a bound, stands at its bound."""
    with np.errstate(invalid="ignore"):
        known = np.isfinite(b)
        down, up = a - a_lower, np.where(known, b_upper - b, 0.0)
        half = np.sqrt(np.maximum(down**2 + up**2 - 2 * np.where(known, correlation, 0.0) * down * up, 0))
        found: Array = np.nan_to_num(a - np.where(known, b, b_upper) - half, nan=-np.inf, neginf=-np.inf)
    return found


def _unpaired(a: Pairs, b: Pairs, worst: int, confidence: float) -> Bound:
    """Of very many groups: each model's own bound, at half the error each, without what they share."""
    half = (1 + confidence) / 2
    one, other = gap(a, half), gap(b, half)

    def p(limit: float) -> float:
        least, most = 1e-12, 1.0
        for _ in range(25):
            middle = math.sqrt(least * most)
            proven = gap(a, 1 - middle / 2).lower - gap(b, 1 - middle / 2).upper > limit
            least, most = (least, middle) if proven else (middle, most)
        return most

    return Bound(
        harm=one.harm - other.harm, worst=worst, lower=one.lower - other.upper, upper=one.upper - other.lower, p=p
    )


def _deviate(tail: float) -> float:
    return -NormalDist().inv_cdf(min(tail, 0.5))


def _at(curve: Array, limit: Array) -> Array:
    """The deviate at which a bound that falls with it is at the limit; 0 where it is below from the start."""
    return np.interp(-limit, -curve, _Z)


def _p(curve: Array, limit: Array, mirrored: Array, times: float) -> Array:
    """Of the pair either way round: at a limit near 0 both orders can be mistaken for harm, further out only one."""
    z = _at(curve, limit)
    tails = np.exp(np.interp([z, np.maximum(z, _at(curve, mirrored))], _Z, _LOG_TAIL)).sum(axis=0)
    found: Array = np.where(z <= 0, 1.0, np.minimum(1.0, times * tails))
    return found


def _lowest(curve: Array, mirrored: Callable[[Array], Array], times: float, alpha: float) -> float:
    """The limit of which `_p` is `alpha`."""
    found = _p(curve, curve, mirrored(curve), times)
    return float(np.interp(math.log(alpha), np.log(found)[::-1], curve[::-1]))
