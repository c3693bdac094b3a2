"""Student's t distribution, against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from mlgate.judge.paired import normal

degrees = st.floats(1, 1e9)


@given(t=st.floats(-50, 50), df=degrees)
@example(t=6e-8, df=32.0)
@example(t=-40.0, df=1.0)
@example(t=1e-200, df=3.0)
def test_tails(t: float, df: float) -> None:
    assert normal.upper_tail(t, df) == pytest.approx(float(stats.t.sf(t, df)), rel=1e-8, abs=1e-14)


@given(p=st.floats(0.001, 0.9999), df=degrees)
def test_quantiles(p: float, df: float) -> None:
    assert normal.quantile(p, df) == pytest.approx(float(stats.t.ppf(p, df)), rel=1e-7, abs=1e-9)


def test_the_ends() -> None:
    assert normal.upper_tail(math.inf, 5) == 0
    assert normal.upper_tail(-math.inf, 5) == 1
    assert math.isnan(normal.upper_tail(math.nan, 5))
    assert normal.upper_tail(0.0, 5) == 0.5


def test_a_printed_table() -> None:
    """Student's own: 0.95 and 10 degrees 1.812, 0.975 and 4 degrees 2.776, 0.99 and 30 degrees 2.457."""
    assert normal.quantile(0.95, 10) == pytest.approx(1.812, abs=5e-4)
    assert normal.quantile(0.975, 4) == pytest.approx(2.776, abs=5e-4)
    assert normal.quantile(0.99, 30) == pytest.approx(2.457, abs=5e-4)
