"""Shares of requests and of callers."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.rollout.targets.local_share import Share

SHARES = st.lists(st.integers(0, 100), min_size=1, max_size=4).filter(lambda found: 0 < sum(found) <= 100)


@given(SHARES)
def test_of_as_many_requests_as_percent_each_gets_its_own(found: list[int]) -> None:
    weights = {f"slot-{number}": float(weight) for number, weight in enumerate(found)}
    share = Share(weights)
    for _ in range(3):
        counts = Counter(share.next() for _ in range(sum(found)))
        assert counts == {slot: weight for slot, weight in weights.items() if weight}


@pytest.mark.parametrize("percent", [1, 5, 25, 50, 99])
def test_any_hundred_requests_in_a_row_keep_to_the_weights(percent: int) -> None:
    share = Share({"stable": 100 - percent, "canary": percent})
    drawn = [share.next() for _ in range(1000)]
    for start in range(0, 900, 7):
        assert abs(drawn[start : start + 100].count("canary") - percent) <= 1


def test_weights_are_kept_to_the_fraction() -> None:
    share = Share({"stable": 99.9, "canary": 0.1})
    assert Counter(share.next() for _ in range(10_000))["canary"] == 10


def test_nobody_has_weight() -> None:
    share = Share({"stable": 0})
    assert (share.next(), share.of("ada"), share.instead([])) == ("", "", "")


def test_a_caller_stays_with_one_model() -> None:
    one, other = (Share({"stable": 95, "canary": 5}) for _ in range(2))
    assert [one.of(f"user-{i}") for i in range(100)] == [other.of(f"user-{i}") for i in range(100)]


@pytest.mark.parametrize("percent", [5, 25, 50])
def test_callers_are_split_by_weight(percent: int) -> None:
    share = Share({"stable": 100 - percent, "canary": percent})
    counts = Counter(share.of(f"user-{i}") for i in range(20_000))
    assert counts["canary"] / 200 == pytest.approx(percent, abs=1)


def test_a_growing_canary_takes_callers_and_gives_none_back() -> None:
    names = [f"user-{i}" for i in range(5000)]
    before: set[str] = set()
    for percent in (5, 25, 50, 100):
        share = Share({"stable": 100 - percent, "canary": percent})
        now = {name for name in names if share.of(name) == "canary"}
        assert before <= now
        before = now
    assert before == set(names)


def test_other_callers_come_first_in_the_next_rollout() -> None:
    names = [f"user-{i}" for i in range(20_000)]
    first, second = (Share({"stable": 95, canary: 5}) for canary in ("canary-1", "canary-2"))
    both = sum(first.of(name) != "stable" and second.of(name) != "stable" for name in names)
    assert both < 0.02 * len(names)


def test_what_one_has_lost_goes_to_the_largest_of_the_others_without_taking_a_turn() -> None:
    share = Share({"a": 10, "b": 60, "c": 30})
    assert [share.instead(gone) for gone in ([], ["b"], ["b", "c"], ["a", "b", "c"])] == ["b", "c", "a", ""]
    assert Counter(share.next() for _ in range(100)) == {"a": 10, "b": 60, "c": 30}
