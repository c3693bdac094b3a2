"""Quantiles of latencies: what is known of them from bins, and bounds that hold at all looks together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.rollout.analysis import bins
from mlgate.rollout.analysis.quantiles import Times
from mlgate.rollout.nouns import Histogram
from rollout.tallies import times


@given(st.lists(st.floats(1e-4, 60), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_numpys_to_two_percent(seconds: list[float], quantile: float) -> None:
    exact = float(np.quantile(seconds, quantile, method="inverted_cdf"))
    assert Times(times(seconds)).at(quantile) == pytest.approx(exact, rel=0.0201)


@given(st.lists(st.floats(1e-4, 60), min_size=20, max_size=300), st.sampled_from([0.5, 0.95]))
def test_bounds_hold_what_was_seen_and_agree_with_the_test_of_a_limit(seconds: list[float], quantile: float) -> None:
    seen = Times(times(seconds))
    low, high = seen.bounds(quantile, 0.05, 0.05)
    assert low <= seen.at(quantile) <= high
    bar = math.log(20)
    if low > 0:
        assert seen.evidence(low * 0.999, quantile, "above") >= bar
    assert seen.evidence(low * 1.03, quantile, "above") < bar
    if math.isfinite(high):
        assert seen.evidence(high * 1.001, quantile, "below") >= bar
        assert seen.evidence(high * 0.97, quantile, "below") < bar


def test_few_requests_prove_nothing_about_a_high_quantile() -> None:
    assert Times(times([0.01] * 200)).bounds(0.99, 0.05, 0.05)[1] == math.inf
    assert Times(times([0.01] * 2000)).bounds(0.99, 0.05, 0.05)[1] < 0.011
    assert Times(Histogram()).bounds(0.5, 0.05, 0.05) == (0.0, math.inf)


def test_requests_without_an_answer_are_slower_than_any() -> None:
    seen = Times(times([0.01] * 900), lost=100)
    assert seen.at(0.95) == math.inf
    assert seen.at(0.5) < 0.011
    assert seen.evidence(30.0, 0.95, "above") > math.log(20)
    assert seen.bounds(0.95, 0.05, 0.05) == (math.inf, math.inf)


def test_what_lies_in_the_bin_of_the_limit_proves_neither() -> None:
    edge = bins.longest(400)
    inside = (bins.longest(399) + edge) / 2
    seen = Times(Histogram({400: 5000}))
    assert seen.longer(inside, surely=True) == 0
    assert seen.longer(inside, surely=False) == 5000
    assert seen.evidence(inside, 0.95, "above") < 0
    assert seen.evidence(inside, 0.95, "below") < 0
    assert seen.evidence(edge, 0.95, "below") > math.log(20)


def test_requests_of_one_caller_are_one_piece_of_evidence() -> None:
    alone, together = Times(times([0.5] * 400)), Times(times([0.5] * 400), together=8)
    assert together.evidence(0.1, 0.5, "above") == pytest.approx(alone.evidence(0.1, 0.5, "above") / 8)
    assert Times(times([0.5] * 20), together=8).bounds(0.5, 0.05, 0.05) == (0.0, math.inf)


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_at_every_look_together_the_bounds_miss_the_truth_in_at_most_alpha(quantile: float) -> None:
    """300 streams, looked at 50 times each, of lognormal times; the bins can only make them wider."""
    draw = np.random.default_rng(3)
    true = math.exp(-4 + 0.5 * {0.5: 0.0, 0.95: 1.6448536, 0.99: 2.3263479}[quantile])
    missed = 0
    for _ in range(300):
        seconds = np.exp(draw.normal(-4, 0.5, 5000))
        slow = np.cumsum(seconds > true)
        wrong = False
        for n in range(100, 5001, 100):
            count = int(slow[n - 1])
            seen = Times(Histogram({1: n - count, bins.latency(true) + 2: count}))
            wrong = wrong or seen.evidence(true, quantile, "above") >= math.log(20)
            wrong = wrong or seen.evidence(true, quantile, "below") >= math.log(20)
        missed += wrong
    assert missed / 300 <= 0.10  # two bounds, 5 % each


def test_callers_who_are_slow_as_a_whole_raise_no_false_alarm() -> None:
    """Each caller's 10 requests are all slow, or none: counted one by one, chance looks like proof."""
    draw = np.random.default_rng(4)
    alarms = {1: 0, 10: 0}
    for _ in range(300):
        slow = np.cumsum(draw.random(400) < 0.05) * 10
        for together in alarms:
            alarms[together] += any(
                Times(Histogram({1: int(n * 10 - slow[n - 1]), 500: int(slow[n - 1])}), together=together).evidence(
                    0.01, 0.95, "above"
                )
                >= math.log(20)
                for n in range(20, 401, 20)
            )
    assert alarms[10] / 300 <= 0.05
    assert alarms[1] / 300 > 0.2
