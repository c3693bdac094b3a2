"""The shift of scores: its distance, and bounds that hold at all looks together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlgate.rollout.analysis import bins, shift
from mlgate.rollout.nouns import Histogram
from rollout.tallies import scores

values = st.lists(st.floats(-10, 10).map(lambda x: round(x, 1)), min_size=4, max_size=60)


@given(values, values)
def test_the_distance_is_that_of_kolmogorov_and_smirnov(one: list[float], other: list[float]) -> None:
    """Values that differ by a tenth lie in bins of their own, so that nothing is lost."""
    exact = stats.ks_2samp(one, other, method="asymp").statistic
    assert shift.distance(scores(one), scores(other)) == pytest.approx(exact, abs=1e-9)


def test_words_are_compared_too() -> None:
    yes, no = bins.score("yes"), bins.score("no")
    assert yes is not None
    assert no is not None
    assert shift.distance(Histogram({yes: 5, no: 5}), Histogram({yes: 9, no: 1})) == pytest.approx(0.4)


def test_the_radius_shrinks_like_one_over_the_root_and_is_never_below_that_of_a_single_look() -> None:
    for n in (16, 100, 1000, 10_000, 10**6):
        once = math.sqrt(math.log(2 / 0.05) / (2 * n))  # Massart's
        assert once < shift.radius(n, 0.05) < 3.2 * once
    assert shift.radius(15, 0.05) == 1.0
    assert shift.radius(1000, 0.01) > shift.radius(1000, 0.05)


def test_at_every_look_together_the_radius_is_left_in_at_most_alpha() -> None:
    """400 streams of uniform scores, looked at after each of 16 to 3,000; the worst case of the bound's own theorem."""
    draw = np.random.default_rng(11)
    grid = np.linspace(0.05, 0.95, 19)
    sizes = np.arange(1, 3001)
    radii = np.array([shift.radius(int(n), 0.05) for n in sizes])
    left = 0
    for _ in range(400):
        below = np.cumsum(draw.random(3000)[:, None] <= grid, axis=0) / sizes[:, None]
        left += bool((np.abs(below - grid).max(axis=1) > radii).any())
    assert left / 400 <= 0.05


def test_a_constant_output_lies_far_from_stable_soon() -> None:
    draw = np.random.default_rng(2)
    stable = scores(draw.beta(2, 5, 4000))
    constant = scores([0.25] * 200)
    low, _ = shift.bounds(constant, stable, (200, 4000), 0.05, 0.05)
    assert low > 0.1


def test_equal_scores_are_proven_to_be_near_when_there_are_enough() -> None:
    draw = np.random.default_rng(2)
    one, other = scores(draw.beta(2, 5, 20_000)), scores(draw.beta(2, 5, 20_000))
    assert shift.bounds(one, other, (20_000, 20_000), 0.05, 0.05)[1] < 0.1
    assert shift.bounds(one, other, (200, 200), 0.05, 0.05)[1] > 0.3
