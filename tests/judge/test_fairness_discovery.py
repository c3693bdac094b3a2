"""Many claims at once: which are proven."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from mlgate.judge.discovery import Claim, adjusted, benjamini_hochberg, holm, settle
from mlgate.model import Check, Verdict

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=60)

# Benjamini and Hochberg 1995, section 3.1 (thrombolysis): Bonferroni rejects 3 of the 15 at 0.05, theirs rejects 4.
THROMBOLYSIS = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


@given(PROBABILITIES, st.sampled_from([0.01, 0.05, 0.1]))
def test_agrees_with_statsmodels(p: list[float], alpha: float) -> None:
    _, expected, _, _ = multipletests(p, alpha, method="fdr_bh")
    assert adjusted(p) == pytest.approx(list(expected), abs=1e-12)
    _, expected, _, _ = multipletests(p, alpha, method="holm")
    assert holm(p) == pytest.approx(list(expected), abs=1e-12)


def test_the_example_of_the_paper() -> None:
    assert sum(benjamini_hochberg(THROMBOLYSIS, 0.05)) == 4
    assert sum(value <= 0.05 for value in holm(THROMBOLYSIS)) == 3


@given(PROBABILITIES, st.integers(0, 2**32 - 1))
def test_the_order_does_not_matter(p: list[float], seed: int) -> None:
    order = [int(at) for at in np.random.default_rng(seed).permutation(len(p))]
    assert adjusted([p[at] for at in order]) == [adjusted(p)[at] for at in order]


@given(PROBABILITIES)
def test_never_below_the_p_value_itself(p: list[float]) -> None:
    assert all(a >= value for a, value in zip(adjusted(p), p, strict=True))


@pytest.mark.parametrize("bad", [float("nan"), -0.1, 1.1])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a probability"):
        adjusted([0.5, bad])


def test_nothing_asked_is_nothing_proven() -> None:
    assert adjusted([]) == []
    assert settle([], 0.05) == []


def _claim(name: str, p: float | None, verdict: Verdict = Verdict.PASS) -> Claim:
    return Claim(Check(id=name, title=name, verdict=verdict, reason="as it stands"), p=p, harm="proven")


def test_only_what_is_proven_fails() -> None:
    claims = [_claim("a", 0.001), _claim("b", None, Verdict.WARN), _claim("c", 0.04, Verdict.WARN), _claim("d", 0.9)]
    found = settle(claims, 0.05)
    assert [c.verdict for c in found] == [Verdict.FAIL, Verdict.WARN, Verdict.WARN, Verdict.PASS]
    assert [c.reason for c in found] == ["proven", "as it stands", "as it stands", "as it stands"]
    assert [c.outcome for c in found] == ["worse", None, None, None]


def test_one_claim_among_many_needs_more() -> None:
    """0.01 proves it alone, but not as the smallest of a hundred."""
    one = _claim("one", 0.01)
    assert settle([one], 0.05)[0].verdict is Verdict.FAIL
    rest = [_claim(str(n), 0.5) for n in range(99)]
    assert settle([one, *rest], 0.05)[0].verdict is Verdict.PASS


def test_the_share_of_false_discoveries() -> None:
    """20 of 100 hypotheses are false, seen at 3 standard errors: of the rejected at most 5 % are wrong on average."""
    rng = np.random.default_rng(20)
    shares = []
    for _ in range(400):
        z = rng.normal(size=100)
        z[:20] += 3
        p = [0.5 * float(v) for v in np.vectorize(math.erfc)(z / np.sqrt(2))]
        rejected = benjamini_hochberg(p, 0.05)
        shares.append(sum(rejected[20:]) / max(1, sum(rejected)))
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= 0.05 + 3 * error
