"""How many pods make a share: the real one is said, capacity is never given away, and the way back stays open."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlgate.rollout.targets import TargetError
from mlgate.rollout.targets.kube import names, shares


@pytest.mark.parametrize(
    ("weight", "replicas", "pods", "real"),
    [(5, 1, 1, 50.0), (5, 2, 1, 100 / 3), (5, 19, 1, 5.0), (25, 3, 1, 25.0), (20, 4, 1, 20.0), (50, 3, 3, 50.0)],
)
def test_the_nearest_share_and_what_it_really_is(weight: float, replicas: int, pods: int, real: float) -> None:
    found = shares.split({"stable": 100 - weight, "canary": weight}, replicas, {})
    assert found.pods == {"stable": replicas, "canary": pods}
    assert found.real["canary"] == pytest.approx(real)


@given(st.floats(0.1, 99.9), st.integers(1, 40), st.integers(0, 60), st.integers(0, 60))
def test_no_capacity_is_given_away(weight: float, replicas: int, stable: int, canary: int) -> None:
    found = shares.split({"stable": 100 - weight, "canary": weight}, replicas, {"stable": stable, "canary": canary})
    large = max({"stable": 100 - weight, "canary": weight}.items(), key=lambda one: one[1])[0]
    assert found.pods[large] >= replicas
    assert min(found.pods.values()) >= 1
    assert sum(found.real.values()) == pytest.approx(100)
    best = min(abs(count / (count + found.pods[large]) * 100 - min(weight, 100 - weight))
               for count in range(1, found.pods[large] + 1))  # fmt: skip
    small = min(found.real.values())
    assume(abs(weight - 50) > 1e-6)
    assert abs(small - min(weight, 100 - weight)) == pytest.approx(best)


def test_all_to_one_keeps_what_it_has_grown_to() -> None:
    found = shares.split({"stable": 100, "canary": 0}, 2, {"stable": 5, "canary": 2})
    assert (found.mode, found.only, found.pods, found.real) == ("one", "stable", {"stable": 5}, {"stable": 100.0})


def test_none_to_nobody_and_never_to_three() -> None:
    assert shares.split({}, 2, {}).mode == "nobody"
    with pytest.raises(TargetError, match="two slots at most"):
        shares.split({"a": 30, "b": 30, "c": 40}, 2, {})


@pytest.mark.parametrize(
    ("weights", "ready", "expected"),
    [
        ({}, {"a": 2, "b": 1}, {"a": 0, "b": 0}),
        ({"a": 100}, {"a": 2, "b": 1}, {"a": 100, "b": 0}),
        ({"a": 75, "b": 25}, {"a": 3, "b": 1}, {"a": 75, "b": 25}),
        ({"a": 75, "b": 25}, {"a": 3, "b": 0}, {"a": 100, "b": 0}),  # what really is, not what was asked for
        ({"a": 75, "b": 25}, {"a": 0, "b": 0}, {"a": 0, "b": 0}),
    ],
)
def test_what_a_selector_means_is_read_back(
    weights: dict[str, float], ready: dict[str, int], expected: dict[str, float]
) -> None:
    plan = shares.split(weights, 3, {})
    selector = shares.selector(plan, "m", "e")
    assert shares.percent(selector, ready) == expected
    assert selector.items() >= names.labels("m", "e").items()


def test_what_the_steps_of_a_canary_really_are() -> None:
    assert shares.of_steps([5, 25, 50, 75], 3) == pytest.approx([25.0, 25.0, 50.0, 75.0])
    assert shares.of_steps([100.0], 3) == [100.0]


def test_nothing_is_selected_where_no_service_is() -> None:
    assert shares.percent(None, {"a": 2}) == {"a": 0.0}


def test_parts_of_a_route_are_hundredths_and_never_none() -> None:
    assert shares.parts({"a": 99.75, "b": 0.25, "c": 0}) == {"a": 9975, "b": 25}
    assert shares.parts({"a": 100, "b": 0.0001}) == {"a": 10000, "b": 1}
