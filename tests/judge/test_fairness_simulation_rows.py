"""Rows drawn with the truth exactly at the limit, with weights, clusters and two rates: false alarms and coverage."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from mlgate.data.rows import Groups, Predicted, Rows
from mlgate.judge import disparity

ALPHA = 0.05
Generator = np.random.Generator


@dataclass(frozen=True)
class Case:
    name: str
    metric: str
    make: Callable[[Generator], Rows]
    truth: float  # of the metric, or of its change where `change`
    change: bool = False


def _rows(label: np.ndarray, decided: np.ndarray, codes: np.ndarray, **more: object) -> Rows:
    champion = more.pop("champion", None)
    return Rows(
        "binary",
        label.astype(float),
        Predicted(decided=decided.astype(np.int32)),
        Predicted(decided=champion.astype(np.int32)) if isinstance(champion, np.ndarray) else None,
        classes=("no", "yes"),
        groups={"sex": Groups("sex", codes.astype(np.int32), tuple("abcdef"[: codes.max() + 1]))},
        **more,  # type: ignore[arg-type]
    )


def _codes(n: int, groups: int) -> np.ndarray:
    return np.arange(n) % groups


def _odds(rng: Generator) -> Rows:
    codes = _codes(1800, 3)
    label = rng.random(1800) < 0.5
    rate = np.where(label, np.array([0.6, 0.65, 0.7])[codes], np.array([0.2, 0.3, 0.25])[codes])  # both gaps are 0.1
    return _rows(label, rng.random(1800) < rate, codes)


def _precision(rng: Generator) -> Rows:
    codes = _codes(1500, 2)
    decided = rng.random(1500) < 0.3
    label = rng.random(1500) < np.where(decided, np.array([0.6, 0.75])[codes], 0.1)  # 0.6 / 0.75 is 0.8
    return _rows(label, decided, codes)


def _weighted(rng: Generator) -> Rows:
    """Weights of which a few are ten times the others."""
    codes = _codes(1200, 2)
    weight = rng.lognormal(0, 0.8, 1200)
    decided = rng.random(1200) < np.array([0.4, 0.5])[codes]
    return _rows(rng.random(1200) < 0.5, decided, codes, weight=weight)


def _clusters(size: int, spread: float) -> Callable[[Generator], Rows]:
    """Persons with `size` rows each and rates of their own (beta distributed), about 0.3 and 0.4 in the two groups."""

    def make(rng: Generator) -> Rows:
        persons = 160
        group = _codes(persons, 2)
        mean = np.array([0.3, 0.4])[group]
        own = rng.beta(mean / spread, (1 - mean) / spread)
        person = np.repeat(np.arange(persons), size)
        decided = rng.random(len(person)) < own[person]
        label = rng.random(len(person)) < 0.5
        return _rows(label, decided, group[person], cluster=person.astype(np.int32))

    return make


def _between(rng: Generator) -> Rows:
    """Persons with rows in both groups, such as years of age."""
    persons, size = 200, 6
    person = np.repeat(np.arange(persons), size)
    codes = np.tile(_codes(size, 2), persons)
    shift = rng.normal(0, 0.1, persons)[person]
    decided = rng.random(len(person)) < np.clip(np.array([0.35, 0.45])[codes] + shift, 0, 1)
    return _rows(rng.random(len(person)) < 0.5, decided, codes, cluster=person.astype(np.int32))


def _changed(rng: Generator) -> Rows:
    """Clustered rows; the champion's gap is 0.1 and the challenger's 0.15, and they go together."""
    persons, size = 200, 5
    person = np.repeat(np.arange(persons), size)
    codes = _codes(persons, 2)[person]
    luck = np.clip(rng.random(len(person)) * 0.6 + rng.random(persons)[person] * 0.4, 0, 1)
    # The sum of two uniforms is not uniform: both models cut it at quantiles of its distribution.
    order = np.sort(rng.random(200_000) * 0.6 + rng.random(200_000) * 0.4)
    cut = lambda rates: order[(np.array(rates)[codes] * len(order)).astype(int)]  # noqa: E731
    return _rows(
        rng.random(len(person)) < 0.5, luck < cut([0.3, 0.45]), codes, champion=luck < cut([0.3, 0.4]),
        cluster=person.astype(np.int32),
    )  # fmt: skip


CASES = [
    Case("two rates", "equalized_odds_difference", _odds, 0.1),
    Case("precision", "predictive_parity_ratio", _precision, 0.8),
    Case("weights", "demographic_parity_difference", _weighted, 0.1),
    Case("weights, ratio", "disparate_impact_ratio", _weighted, 0.8),
    Case("clusters of 5", "demographic_parity_difference", _clusters(5, 0.3), 0.1),
    Case("clusters of 20", "disparate_impact_ratio", _clusters(20, 0.5), 0.75),
    Case("clusters over groups", "demographic_parity_difference", _between, 0.1),
    Case("change in clusters", "demographic_parity_difference", _changed, 0.05, change=True),
]


def _run(case: Case, times: int, seed: int) -> tuple[float, float]:
    """How often harm is claimed at the truth, and how often the bound on the other side excludes it."""
    rng = np.random.default_rng(seed)
    claimed = missed = 0
    for _ in range(times):
        rows = case.make(rng)
        found = disparity.measure(rows, rows.groups["sex"], min_rows=30, confidence=1 - ALPHA).metrics[case.metric]
        one = found.change if case.change else found.challenger
        assert one is not None
        claimed += one.p(case.truth) <= ALPHA
        better = one.value.lower > case.truth if case.metric.endswith("ratio") else one.value.upper < case.truth
        missed += better
    return claimed / times, missed / times


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_errors_quickly(case: Case) -> None:
    times = 60 if case.change else 150
    most = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / times)
    assert max(_run(case, times, 3)) <= most


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_errors(case: Case) -> None:
    times = 3000
    most = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / times)
    assert max(_run(case, times, 5)) <= most
