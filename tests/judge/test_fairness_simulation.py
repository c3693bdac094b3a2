"""Rows drawn where the truth is exactly at the limit: how often harm is claimed that is not there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from mlgate.judge.gaps import change, gap, pairs
from mlgate.judge.tally import Tally

ALPHA = 0.05


@dataclass(frozen=True)
class Truth:
    """`rates`: of each group, how often the challenger decides positive; `agree`: how much the champion goes along."""

    rates: tuple[float, ...]
    rows: tuple[int, ...]
    kind: Literal["difference", "ratio"]
    limit: float  # of the gap, or of its change, which the truth has exactly
    champion: tuple[float, ...] = ()
    agree: float = 0.0
    positives: float = 1.0  # base rate; the rates are those of the positive rows


def _cells(truth: Truth) -> NDArray[np.float64]:
    """(G, 8): the probability of each cell. Where a champion is, both decide together with probability `agree`."""
    found = []
    for at, rate in enumerate(truth.rates):
        other = truth.champion[at] if truth.champion else 0.0
        both = truth.agree * min(rate, other) + (1 - truth.agree) * rate * other
        decided = np.array([1 - rate - other + both, other - both, rate - both, both])
        found.append(np.concatenate([(1 - truth.positives) * decided, truth.positives * decided]))
    return np.array(found)


def _claims(truth: Truth, times: int, seed: int) -> float:
    """The share of draws in which harm is claimed at ALPHA."""
    rng = np.random.default_rng(seed)
    cells = _cells(truth)
    names = tuple(str(at) for at in range(len(truth.rates)))
    sign = 1 if truth.kind == "difference" or truth.champion else -1
    rate = "true_positive_rate" if truth.positives < 1 else "selection_rate"
    claimed = 0
    for _ in range(times):
        count = np.array([rng.multinomial(n, p) for n, p in zip(truth.rows, cells, strict=True)], dtype=float)
        tally = Tally(names, count, count, count, None)
        a = tally.rate(rate)
        if truth.champion:
            b = tally.rate(rate, champion=True)
            shared = [tally.covariance(a.influence, b.influence)]
            bound = change(pairs(truth.kind, [a]), pairs(truth.kind, [b]), shared, 1 - ALPHA)
        else:
            bound = gap(pairs(truth.kind, [a]), 1 - ALPHA)
        p = bound.p(sign * truth.limit)
        claimed += p <= ALPHA
        if abs(p - ALPHA) > 1e-3:  # the interval that is shown says the same
            assert (p < ALPHA) == (bound.lower > sign * truth.limit)
    return claimed / times


def _most(truth: Truth, times: int) -> float:
    """ALPHA and three Monte-Carlo errors; 0.07 where a rate rests on fewer than 100 rows."""
    few = min(truth.rows) * truth.positives < 100
    level = 0.07 if few else ALPHA
    return level + 3 * math.sqrt(level * (1 - level) / times)


DIFFERENCES = [
    Truth((0.3, 0.4), (300, 300), "difference", 0.1),
    Truth((0.5, 0.5), (300, 300), "difference", 0.0),  # both orders can be mistaken
    Truth((0.05, 0.15), (60, 60), "difference", 0.1),
    Truth((0.02, 0.07), (40, 4000), "difference", 0.05),
    Truth((0.07, 0.02), (40, 4000), "difference", 0.05),
    Truth((0.99, 0.89), (40, 4000), "difference", 0.1),
    Truth((0.2, 0.2, 0.2, 0.3, 0.3), (500,) * 5, "difference", 0.1),
    Truth((0.4,) * 20, (300,) * 20, "difference", 0.0),  # the largest of 190 gaps
    Truth((0.6, 0.7), (400, 300), "difference", 0.1, positives=0.3),
]
RATIOS = [
    Truth((0.4, 0.5), (300, 300), "ratio", 0.8),
    Truth((0.08, 0.1), (300, 300), "ratio", 0.8),
    Truth((0.04, 0.05), (60, 60), "ratio", 0.8),
    Truth((0.04, 0.05), (40, 4000), "ratio", 0.8),
    Truth((0.05, 0.04), (40, 4000), "ratio", 0.8),
    Truth((0.9, 0.99), (200, 1000), "ratio", 0.9 / 0.99),
    Truth((0.3,) * 10, (300,) * 10, "ratio", 1.0),
    Truth((0.24,) * 5 + (0.3,) * 5, (300,) * 10, "ratio", 0.8),
]
CHANGES = [
    Truth((0.3, 0.45), (300, 300), "difference", 0.05, champion=(0.35, 0.45), agree=0.9),
    Truth((0.3, 0.45), (300, 300), "difference", 0.05, champion=(0.35, 0.45), agree=0.0),
    Truth((0.4, 0.4), (300, 300), "difference", 0.0, champion=(0.4, 0.4), agree=0.8),
    Truth((0.05, 0.12), (60, 60), "difference", 0.05, champion=(0.05, 0.07), agree=0.8),
    Truth((0.3, 0.3, 0.45, 0.45), (400,) * 4, "difference", 0.05, champion=(0.3, 0.35, 0.4, 0.35), agree=0.9),
    Truth((0.3, 0.45), (300, 300), "difference", 0.05, champion=(0.45, 0.35), agree=0.5),  # the order turns round
    Truth((0.3, 0.4), (400, 400), "ratio", 0.1, champion=(0.34, 0.4), agree=0.9),
    Truth((0.03, 0.04), (100, 1000), "ratio", 0.1, champion=(0.034, 0.04), agree=0.9),
    Truth((0.03, 0.04), (1000, 100), "ratio", 0.1, champion=(0.034, 0.04), agree=0.0),
]
ALL = [*DIFFERENCES, *RATIOS, *CHANGES]


@pytest.mark.parametrize("truth", ALL, ids=str)
def test_false_alarms_quickly(truth: Truth) -> None:
    times = 300
    assert _claims(truth, times, seed=7) <= _most(truth, times)


@pytest.mark.long
@pytest.mark.parametrize("truth", ALL, ids=str)
def test_false_alarms(truth: Truth) -> None:
    times = 5000
    assert _claims(truth, times, seed=11) <= _most(truth, times)


@pytest.mark.parametrize(
    ("truth", "limit"),
    [
        (Truth((0.2, 0.4), (1000, 1000), "difference", 0.1), 0.9),
        (Truth((0.2, 0.4), (1000, 1000), "ratio", 0.8), 0.9),
        (Truth((0.2, 0.4), (1000, 1000), "difference", 0.02, champion=(0.3, 0.4), agree=0.9), 0.9),
        (Truth((0.2, 0.4), (1000, 1000), "ratio", 0.05, champion=(0.3, 0.4), agree=0.9), 0.9),
    ],
    ids=str,
)
def test_real_harm_is_found(truth: Truth, limit: float) -> None:
    assert _claims(truth, 100, seed=3) >= limit
