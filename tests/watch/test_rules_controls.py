"""Rules are shown that they can raise an alarm, and that nothing measured is no pass."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.config.alarmed import filled
from mlgate.config.alarms import Alarm, Alarms, When, parse
from mlgate.watch.controls import controls
from mlgate.watch.nouns import Measure, Section
from mlgate.watch.sentences import Measured
from watch.alarm_samples import rule


@pytest.mark.parametrize(
    "keys",
    [
        {"when": "psi.age > 0.2"},
        {"when": "auc < 0.7", "for": "3 of 5"},
        {"when": "drift"},
        {"when": {"all": ["drift_share > 30%", {"any": ["auc < 0.7", "prediction_drift"]}]}, "for": 2},
        {"when": {"all": ["auc > 0.5", "auc < 0.7"]}},
        {"when": {"any": ["auc < 0.5", "auc > 0.99"]}, "severity": "warn"},
        {"when": {"all": ["psi.age", "psi.age > 0.3"]}, "severity": "info"},
        {"when": {"all": [{"any": [f"a{n} > 1", f"b{n} > 1"]} for n in range(12)]}},
    ],
)
def test_a_rule_that_can_tell(keys: dict[str, Any]) -> None:
    found = controls({"one": rule(**keys), "two": rule(when="slo")})
    assert (found.passed, found.total) == (10, 10)


@pytest.mark.parametrize(
    "when",
    [{"all": ["auc > 0.7", "auc < 0.5"]}, {"any": ["auc > 0.5", "auc < 0.7"]}, "drift_share > 100%", "psi.a >= 0"],
)
def test_a_rule_that_cannot(when: Any) -> None:
    found = controls({"one": rule(when=when)})
    assert (found.passed, found.total) == (4, 5)


SENTENCES = st.builds(
    lambda reading, operator, number: parse(f"{reading} {operator} {number}"),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["<", "<=", ">", ">="]),
    st.integers(-2, 2),
)
TREES: st.SearchStrategy[When] = st.recursive(
    SENTENCES,
    lambda inner: st.builds(
        lambda how, of: Alarms(how, tuple(of)), st.sampled_from(["any", "all"]), st.lists(inner, min_size=2, max_size=3)
    ),
    max_leaves=5,
)


@given(TREES, st.booleans())
def test_what_can_be_so_is_found_exactly(when: When, so: bool) -> None:
    """Held against all numbers that could matter: each limit, and halfway beside it."""
    numbers = [n / 2 for n in range(-7, 8)]
    wanted = "breached" if so else "ok"

    def come(a: float, b: float, c: float) -> str:
        those = tuple(Measure("business", name, "ok", value) for name, value in zip("abc", (a, b, c), strict=True))
        return Measured([Section("business", "ok", those)]).tell(when).state

    used = {one.reading for one in _leaves(when)}
    grid = [numbers if name in used else [0.0] for name in "abc"]
    can = any(come(a, b, c) == wanted for a in grid[0] for b in grid[1] for c in grid[2])
    assert (filled(when, so=so) is not None) == can


def _leaves(when: When) -> list[Alarm]:
    return [when] if isinstance(when, Alarm) else [leaf for one in when.of for leaf in _leaves(one)]
