"""What bounds and a margin decide, and how many rows would."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlgate.judge import decide
from mlgate.judge.measures import Bounds

RANK = {"worse": 0, "inconclusive": 1, "non-inferior": 2, "superior": 3}

numbers = st.floats(-10, 10, allow_nan=False)
positive = st.floats(0.001, 10)
margins = st.floats(0, 10)


def bounds(lower: float, upper: float, *, too_little: str = "", se: float = 1.0, rows: int = 100) -> Bounds:
    return Bounds(1.0, 0.5, (lower + upper) / 2, lower, upper, se, rows, "paired means", too_little=too_little)


@pytest.mark.parametrize(
    ("lower", "upper", "outcome"),
    [
        (0.001, 0.2, "superior"),
        (0.0, 0.2, "non-inferior"),
        (-0.005, 0.2, "non-inferior"),
        (-0.01, 0.2, "non-inferior"),  # a boundary value passes
        (-0.011, 0.2, "inconclusive"),
        (-0.2, -0.01, "inconclusive"),  # and does not fail
        (-0.2, -0.011, "worse"),
        (-0.008, -0.002, "non-inferior"),  # surely worse, by less than it may
    ],
)
def test_four_outcomes(lower: float, upper: float, outcome: str) -> None:
    assert decide.outcome(bounds(lower, upper), 0.01, True) == outcome
    assert decide.outcome(bounds(-upper, -lower), 0.01, False) == outcome


def test_a_margin_of_zero_asks_not_to_be_worse_at_all() -> None:
    assert decide.outcome(bounds(0.0, 1.0), 0.0, True) == "non-inferior"
    assert decide.outcome(bounds(-1.0, 0.0), 0.0, True) == "inconclusive"
    assert decide.outcome(bounds(-1.0, -1e-9), 0.0, True) == "worse"


@pytest.mark.parametrize("lower", [-5.0, 0.5])
@pytest.mark.parametrize("greater", [True, False])
def test_too_little_data_decides_nothing_whatever_it_says(lower: float, greater: bool) -> None:
    assert decide.outcome(bounds(lower, lower + 1, too_little="3 rows"), 0.01, greater) == "inconclusive"


@pytest.mark.parametrize("broken", [(math.nan, 1.0), (0.5, math.nan), (math.nan, math.nan), (1.0, 0.5)])
def test_what_is_no_interval_decides_nothing(broken: tuple[float, float]) -> None:
    assert decide.outcome(bounds(*broken), 0.01, True) == "inconclusive"
    assert decide.outcome(bounds(*broken), 0.01, False) == "inconclusive"


def test_open_ended_bounds_decide_on_their_closed_side() -> None:
    assert decide.outcome(bounds(0.5, math.inf), 0.01, True) == "superior"
    assert decide.outcome(bounds(-math.inf, math.inf), 0.01, True) == "inconclusive"
    assert decide.outcome(bounds(-math.inf, -0.5), 0.01, True) == "worse"


@pytest.mark.parametrize("margin", [-0.01, math.nan, math.inf])
def test_a_margin_that_is_no_limit_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="a margin is a number that is not negative"):
        decide.outcome(bounds(0.0, 1.0), margin, True)


def test_within_a_relative_margin_is_superior_only_where_it_is_better() -> None:
    relative = bounds(0.01, 0.03)  # above 98 % of the champion
    assert decide.outcome(relative, 0.0, True, plain=bounds(-0.01, 0.01)) == "non-inferior"
    assert decide.outcome(relative, 0.0, True, plain=bounds(0.001, 0.02)) == "superior"
    assert decide.outcome(relative, 0.0, True, plain=bounds(0.001, 0.02, too_little="3 rows")) == "non-inferior"


@given(point=numbers, less=positive, half=positive, margin=margins, greater=st.booleans())
def test_at_the_same_variance_a_lower_point_never_improves_the_outcome(
    point: float, less: float, half: float, margin: float, greater: bool
) -> None:
    sign = 1 if greater else -1
    better, poorer = sign * point, sign * (point - less)
    assert (
        RANK[decide.outcome(bounds(poorer - half, poorer + half), margin, greater)]
        <= RANK[decide.outcome(bounds(better - half, better + half), margin, greater)]
    )


@given(lower=numbers, width=positive, margin=margins, more=positive)
def test_a_wider_margin_never_makes_it_worse(lower: float, width: float, margin: float, more: float) -> None:
    found = bounds(lower, lower + width)
    assert RANK[decide.outcome(found, margin, True)] <= RANK[decide.outcome(found, margin + more, True)]


@pytest.mark.parametrize(
    ("discordant", "margin", "rows"),
    [
        (0.02, 0.002, 42_825),  # (1.645 + 1.282)^2 * share of discordant rows / margin^2
        (0.05, 0.005, 17_130),
        (0.1, 0.01, 8_565),
        (0.2, 0.02, 4_282),
    ],
)
def test_the_rows_needed_are_those_of_the_published_formula(discordant: float, margin: float, rows: int) -> None:
    found = settled(se=math.sqrt(discordant / 1000), rows=1000)
    assert decide.needed(found, margin, 0.95) == pytest.approx(rows, rel=3e-4)


def settled(se: float, rows: int, wider: float = 1.0) -> Bounds:
    """Normal bounds at 0.95, or wider ones."""
    half = wider * se * float(stats.norm.ppf(0.95))
    return bounds(-half, half, se=se, rows=rows)


def test_wider_bounds_need_more_rows_but_not_without_limit() -> None:
    usual, wider, widest, absurd = (
        decide.needed(settled(0.02, 400, fold), 0.01, 0.95) or 0 for fold in (1.0, 1.1, 1.25, 50.0)
    )
    assert usual == decide.needed(settled(0.02, 400, 0.5), 0.01, 0.95)
    assert usual < wider < widest == absurd < 1.35 * usual
    z = stats.norm.ppf(0.95), stats.norm.ppf(0.9)
    assert wider == math.ceil(400 * (0.02 * (1.1 * z[0] + z[1]) / 0.01) ** 2)


def test_rows_needed_grow_with_confidence_and_power() -> None:
    found = settled(se=0.02, rows=400)
    usual = decide.needed(found, 0.01, 0.95)
    assert usual is not None
    assert decide.needed(found, 0.01, 0.99) > usual  # type: ignore[operator]
    assert decide.needed(found, 0.01, 0.95, power=0.8) < usual  # type: ignore[operator]
    assert decide.needed(found, 0.02, 0.95) == pytest.approx(usual / 4, abs=1)


@pytest.mark.parametrize(("margin", "se"), [(0.0, 0.1), (0.01, 0.0), (0.01, math.nan), (0.01, math.inf), (1e-300, 1.0)])
def test_where_no_number_of_rows_settles_it_none_is_named(margin: float, se: float) -> None:
    assert decide.needed(bounds(-1, 1, se=se), margin, 0.95) is None


def test_a_relative_margin_is_a_share_of_the_champion() -> None:
    assert decide.relative_margin(bounds(-1, 1), 0.98) == pytest.approx(0.02 * 0.5)
    assert decide.relative_margin(bounds(-1, 1), 1.02) == pytest.approx(0.02 * 0.5)


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_bonferroni_shares_the_error(count: int) -> None:
    assert (1 - decide.bonferroni(0.95, count)) * count == pytest.approx(0.05)


def test_no_comparison_shares_nothing() -> None:
    with pytest.raises(ValueError, match="0 comparisons"):
        decide.bonferroni(0.95, 0)


@pytest.mark.parametrize("p", [1e-9, 0.05, 0.5, 0.95, 0.999999])
def test_normal_quantiles_and_tails_are_those_of_scipy(p: float) -> None:
    assert decide.quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-9, abs=1e-12)
    assert decide.upper_tail(stats.norm.ppf(p)) == pytest.approx(1 - p, rel=1e-6)
    assert decide.upper_tail(30.0) == pytest.approx(stats.norm.sf(30.0), rel=1e-9)
