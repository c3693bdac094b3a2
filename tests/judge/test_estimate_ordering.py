"""Rows come in the exact order of their scores, and ties are exactly the equal scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from mlgate.judge.estimate import curves, ordering
from mlgate.judge.paired.placements import by_class

ANY = st.floats(allow_nan=False, allow_infinity=True)
NEAR = st.integers(0, 40).map(lambda k: 0.7 + k * 2.0**-53)  # told apart by the last bits alone
SCORES = st.one_of(ANY, st.floats(0, 1), NEAR, st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, 1e-300, 5e-324]))


@st.composite
def scored(draw: st.DrawFn) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Rows of two classes, at least one of each."""
    count = draw(st.integers(2, 60))
    positive = draw(arrays.arrays(np.bool_, count))
    positive[0], positive[-1] = True, False
    elements = draw(st.sampled_from([SCORES, NEAR, st.floats(0, 1, width=32)]))
    return positive, draw(arrays.arrays(np.float64, count, elements=elements))


def check(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> None:
    for block in (ordering._BLOCK, 7):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ordering, "_BLOCK", block)
            found = ordering.ascending(positive, score, ordering.tags(positive))
        place, mark = found.tag >> 1, found.tag & 1
        by_class = [score[~positive], score[positive]]
        ordered = np.array([by_class[m][p] for m, p in zip(mark, place, strict=True)])
        assert np.array_equal(ordered, np.sort(score))
        first = np.append(True, ordered[1:] != ordered[:-1])
        assert first.all() if found.first is None else np.array_equal(found.first, first)
        for m in (0, 1):
            assert sorted(place[mark == m]) == list(range(len(by_class[m])))


@given(scored())
def test_any_scores(rows: tuple[Any, Any]) -> None:
    check(*rows)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["close", "wide", "few", "single", "rounded"]))
def test_many_scores_of_which_some_differ_in_the_last_bits_alone(seed: int, kind: str) -> None:
    """Enough rows, or a range so wide, that the leading bits leave runs to be put in order."""
    draw = np.random.default_rng(seed)
    positive = np.append([True, False], draw.random(998) < 0.3)
    score = {
        "close": 0.5 + draw.integers(0, 300, 1000) * 2.0**-53 + draw.integers(0, 3, 1000) * 1e-3,
        "wide": np.concatenate(([-1e300, 1e300, 5e-324], 0.5 + draw.integers(0, 300, 997) * 2.0**-53)),
        "few": np.append(few := draw.random(990), [*np.nextafter(few[:7], 1), 1e-300, few[8], 5e-324]),
        "single": draw.random(1000).astype(np.float32).astype(np.float64),
        "rounded": draw.random(1000).round(2),
    }[kind]
    check(positive, score)


@pytest.mark.parametrize("value", [0.0, -1.5, 1.0])
def test_one_score_for_all(value: float) -> None:
    check(np.array([True, False, True]), np.full(3, value))


@given(scored())
def test_placements_are_shares_of_the_other_class(rows: tuple[Any, Any]) -> None:
    """Counted pair by pair; and their mean is the area, in either class."""
    positive, score = rows
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ordering, "_BLOCK", 7)
        found = by_class(positive, [score, -score])
    pos, neg = score[positive], score[~positive]
    wins = (pos[:, None] > neg).astype(float) + 0.5 * (pos[:, None] == neg)
    assert found[0][0] == pytest.approx(wins.mean(axis=1), abs=1e-15)
    assert found[1][0] == pytest.approx(wins.mean(axis=0), abs=1e-15)
    area = curves.auc(score, positive)
    assert [one.mean() for one in (found[0][0], found[1][0])] == pytest.approx([area, area], abs=1e-14)
    assert [one.mean() for one in (found[0][1], found[1][1])] == pytest.approx([1 - area, 1 - area], abs=1e-14)
