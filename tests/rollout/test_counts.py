"""The count tests: against exact enumeration and scipy, at limits where they are right or wrong by design."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlgate.rollout.analysis.counts import (
    FACTORS,
    Pair,
    Side,
    mean_of,
    ratio_bounds,
    ratio_evidence,
    share_bounds,
    share_evidence,
)
from mlgate.rollout.analysis.differences import difference_bounds, difference_evidence
from mlgate.rollout.analysis.mismatch import differs
from rollout import simulated

SIDES: tuple[Side, Side] = ("above", "below")
pairs = st.builds(
    lambda n, b, m, c: Pair(n, min(n, b), m, min(m, c)),
    st.integers(0, 20_000), st.integers(0, 300), st.integers(0, 20_000), st.integers(0, 300),
)  # fmt: skip


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("limit", [1.0, 1.5, 3.0])
@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (50, 950), (700, 20)])
def test_the_evidence_is_a_mean_of_likelihood_ratios_whose_mean_is_one_at_the_limit(
    n: int, m: int, limit: float, side: Side
) -> None:
    """Exactly: summed over all ways in which `k` errors fall to the two models, each with its binomial chance."""
    share = n * limit / (n * limit + m)
    for k in (1, 3, 20):
        mean = sum(
            stats.binom.pmf(c, k, share) * math.exp(ratio_evidence([Pair(n, c, m, k - c)], limit, side))
            for c in range(k + 1)
        )
        assert mean == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("limit", [0.01, 0.2])
def test_the_evidence_of_a_share_is_one_on_average_at_the_limit_and_less_within_it(limit: float, side: Side) -> None:
    for rate in (limit, limit / 2 if side == "above" else min(1.0, limit * 2)):
        mean = sum(
            stats.binom.pmf(bad, 200, rate) * math.exp(share_evidence(200, bad, limit, side)) for bad in range(201)
        )
        assert mean <= 1 + 1e-9
        assert rate != limit or mean == pytest.approx(1.0)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("limit", [0.0, 0.002, 0.1, -0.01])
def test_the_evidence_of_a_difference_is_at_most_one_on_average_wherever_the_rule_holds(
    limit: float, side: Side
) -> None:
    """Exactly, over all outcomes of 12 and 30 requests, for base rates from next to nothing to almost all."""
    n, m = 12, 30
    table = {
        (b, c): math.exp(difference_evidence([Pair(n, b, m, c)], limit, side))
        for b in range(n + 1)
        for c in range(m + 1)
    }
    for base in (1e-4, 0.005, 0.03, 0.2, 0.5, 0.85):
        for more in (0.0, 0.05):
            rate = base + limit - more if side == "above" else base + limit + more
            if 0 <= rate <= 1:
                mean = sum(
                    stats.binom.pmf(b, n, rate) * stats.binom.pmf(c, m, base) * value for (b, c), value in table.items()
                )
                assert mean <= 1 + 1e-9, (base, rate)


def test_errors_that_fall_like_the_requests_are_no_evidence_and_twice_as_many_are() -> None:
    bar = math.log(20)
    assert ratio_evidence([Pair(50_000, 250, 50_000, 250)], 1.5, "above") < 0
    assert ratio_evidence([Pair(50_000, 250, 50_000, 250)], 1.5, "below") > bar
    assert ratio_evidence([Pair(50_000, 500, 50_000, 250)], 1.5, "above") > bar
    assert ratio_evidence([Pair(5000, 0, 95_000, 475)], 1.0, "below") > bar


def test_steps_are_strata_so_that_a_change_of_both_rates_is_no_difference_of_the_models() -> None:
    # The canary got most of its requests when both failed often: pooled, it fails 1.8 times as often.
    steps = [Pair(1000, 1, 19_000, 19), Pair(20_000, 800, 20_000, 800)]
    pooled = [Pair(*map(sum, zip(*steps, strict=True)))]
    assert ratio_evidence(pooled, 1.5, "above") > math.log(20)
    assert ratio_evidence(steps, 1.5, "above") < 0
    assert ratio_evidence(steps, 1.5, "below") > math.log(20)


def test_without_errors_or_requests_nothing_is_said() -> None:
    for side in SIDES:
        for nothing in ([], [Pair(0, 0, 0, 0)], [Pair(100, 0, 100, 0)], [Pair(100, 5, 0, 0)], [Pair(0, 0, 100, 5)]):
            assert ratio_evidence(nothing, 1.5, side) == pytest.approx(0.0)
        assert difference_evidence([Pair(100, 5, 0, 0)], 0.01, side) == 0.0
        assert share_evidence(0, 0, 0.01, side) == pytest.approx(0.0)
    assert ratio_bounds([], 0.05, 0.05) == (0.0, math.inf)
    assert share_bounds(0, 0, 0.05, 0.05) == (0.0, 1.0)
    assert difference_bounds([], 0.05, 0.05) == (-1.0, 1.0)


def test_a_limit_of_nothing_is_broken_by_one_error_and_never_proven() -> None:
    assert share_evidence(10**6, 0, 0.0, "above") == 0.0
    assert share_evidence(10**6, 0, 0.0, "below") == 0.0
    assert share_evidence(10**6, 1, 0.0, "above") == math.inf
    assert ratio_evidence([Pair(10, 1, 10, 0)], 0.0, "above") == math.inf


@given(st.lists(pairs, min_size=1, max_size=3))
def test_bounds_are_where_the_evidence_turns(steps: list[Pair]) -> None:
    low, high = ratio_bounds(steps, 0.05, 0.05)
    assert 0 <= low <= high
    if low > 1e-3:
        assert ratio_evidence(steps, low * 1.001, "above") <= math.log(20) + 1e-6
        assert ratio_evidence(steps, low * 0.999, "above") >= math.log(20) - 1e-6
    if high < 1e3:
        assert ratio_evidence(steps, high * 0.999, "below") <= math.log(20) + 1e-6
        assert ratio_evidence(steps, high * 1.001, "below") >= math.log(20) - 1e-6


@given(pairs, st.floats(0.2, 5.0))
def test_more_errors_of_the_canary_are_never_less_evidence_against_it(pair: Pair, limit: float) -> None:
    if pair.canary > pair.canary_bad:
        worse = pair._replace(canary_bad=pair.canary_bad + 1)
        assert ratio_evidence([worse], limit, "above") >= ratio_evidence([pair], limit, "above") - 1e-9
        assert ratio_evidence([worse], limit, "below") <= ratio_evidence([pair], limit, "below") + 1e-9
        share = min(0.9, limit / 10)
        before, after = (share_evidence(p.canary, p.canary_bad, share, "above") for p in (pair, worse))
        assert after >= before


@given(st.integers(1, 50_000), st.floats(0, 1))
def test_bounds_of_a_share_hold_it_and_are_wider_than_those_for_one_look(n: int, part: float) -> None:
    bad = round(n * part)
    low, high = share_bounds(n, bad, 0.05, 0.05)
    exact = stats.binomtest(bad, n).proportion_ci(0.90, "exact")  # 5 % on each side, looked at once
    assert low <= bad / n <= high
    assert low <= exact.low + 1e-3 * max(exact.low, 1e-9) + 1e-9
    assert high >= exact.high * (1 - 1e-3) - 1e-9


def test_bounds_of_a_share_come_close_to_those_for_one_look() -> None:
    low, high = share_bounds(10_000, 100, 0.05, 0.05)
    assert (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4)) == (0.0071, 0.0136)


def test_the_difference_is_bounded_around_what_was_seen() -> None:
    low, high = difference_bounds([Pair(20_000, 100, 20_000, 100)], 0.05, 0.05)
    assert -0.004 < low < 0 < high < 0.004
    assert difference_evidence([Pair(20_000, 100, 20_000, 100)], 0.005, "below") > math.log(20)
    assert difference_evidence([Pair(20_000, 300, 20_000, 100)], 0.005, "above") > math.log(20)


@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_at_every_look_together_the_bounds_miss_the_truth_in_at_most_alpha(ratio: float) -> None:
    """500 streams of 300 looks each, one step at 25 %: how often either bound ever excludes the true ratio."""
    draw = np.random.default_rng(5)
    counts = np.zeros((500, 1, 4))
    above, below = np.zeros(500, dtype=bool), np.zeros(500, dtype=bool)
    for _ in range(300):
        canary = draw.binomial(200, 0.25, 500)
        bad, other = draw.binomial(canary, 0.01 * ratio), draw.binomial(200 - canary, 0.01)
        counts[:, 0] += np.stack([canary, bad, 200 - canary, other], axis=-1)
        above |= simulated.evidence(counts, ratio, "above") >= math.log(20)
        below |= simulated.evidence(counts, ratio, "below") >= math.log(20)
    assert above.mean() <= 0.05
    assert below.mean() <= 0.05
    assert above.mean() + below.mean() > 0  # the bar is not out of reach


@given(st.lists(pairs, min_size=3, max_size=3), st.sampled_from(SIDES), st.floats(0.5, 4))
def test_the_simulations_use_the_same_evidence(steps: list[Pair], side: Side, limit: float) -> None:
    array = np.array([steps], dtype=float)
    assert simulated.evidence(array, limit, side)[0] == pytest.approx(ratio_evidence(steps, limit, side), abs=1e-6)


def test_the_mean_of_logs_does_not_overflow() -> None:
    assert mean_of([5000.0, 5000.0]) == pytest.approx(5000.0)
    assert all(factor > 1 for factor in FACTORS)


# --- the split of the traffic


@pytest.mark.parametrize(
    ("canary", "stable", "weight", "off"),
    [
        (50, 950, 5, False),
        (500, 9500, 5, False),
        (590, 9410, 5, False),  # within a point
        (800, 9200, 5, True),
        (200, 9800, 5, True),
        (0, 40, 5, False),
        (0, 1000, 5, True),
        (0, 100_000, 1, True),
        (5000, 5000, 50, False),
        (5400, 4600, 50, True),
        (0, 0, 50, False),
        (3, 1, 50, False),
    ],
)
def test_a_split_that_is_more_than_a_point_off_is_found(canary: int, stable: int, weight: float, off: bool) -> None:
    assert differs(canary, stable, weight) is off


@pytest.mark.long
@pytest.mark.parametrize("side", SIDES)
def test_the_difference_is_not_missed_at_all_looks_together(side: Side) -> None:
    """300 streams of 20 looks, exactly at the limit, while the base rate goes up and down."""
    draw = np.random.default_rng(8)
    alarms = 0
    for _ in range(300):
        canary = stable = bad = other = 0
        for look in range(20):
            base = 0.002 if look % 2 else 0.02
            n = int(draw.binomial(1500, 0.25))
            canary, stable = canary + n, stable + 1500 - n
            bad += int(draw.binomial(n, base + 0.005))
            other += int(draw.binomial(1500 - n, base))
            if difference_evidence([Pair(canary, bad, stable, other)], 0.005, side) >= math.log(20):
                alarms += 1
                break
    assert alarms / 300 <= 0.05
