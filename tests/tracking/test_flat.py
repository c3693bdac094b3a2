"""Names and values as MLflow takes them, checked against MLflow's own rules; nothing is cut without a word."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils import validation

from mlgate.tracking import flat
from mlgate.tracking.flat import Limits

NAMES = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="./ -_:@a0", max_size=12),
    st.text(min_size=240, max_size=300),
    st.sampled_from(["..", ".", "/", "a//b", "../../etc/passwd", "a/../b", "", " ", "roc_auc@10", "f1:macro"]),
)
NUMBERS = st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text(max_size=3))


@given(st.dictionaries(NAMES, NUMBERS, max_size=20))
def test_every_metric_is_logged_under_a_valid_name_or_said_to_be_left_out(metrics: dict[str, Any]) -> None:
    made = flat.metrics(metrics)
    for key, value in made.values.items():
        validation._validate_metric(key, value, 0, 0)
        assert metrics[made.names[key]] == value
        assert math.isfinite(value)
    left = set(metrics) - set(made.names.values())
    for name in left:
        value = metrics[name]
        finite = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        assert not finite or float(value) != value
    assert bool(left) == any("of the metrics" in note for note in made.notes)
    renamed = {name for key, name in made.names.items() if key != name}
    assert bool(renamed) == any("takes not every name" in note for note in made.notes)


@given(st.dictionaries(NAMES, st.text(max_size=400), max_size=20), st.sampled_from([Limits(), Limits(param=250)]))
def test_every_parameter_has_a_name_and_a_value_that_mlflow_takes(params: dict[str, str], limits: Limits) -> None:
    made = flat.params(params, limits)
    assert sorted(made.names.values()) == sorted(params)
    for key, value in made.values.items():
        validation._validate_param(key, value)
        assert len(value) <= limits.param
        sent = params[made.names[key]]
        if len(sent) > limits.param:
            assert f"cut from {len(sent):,}" in value
            assert any("was cut" in note and "parameters.json" in note for note in made.notes)
        elif sent.isascii():
            assert value == (sent or '""')


def test_nested_parameters_become_dotted_and_types_can_be_told() -> None:
    made = flat.params(
        {"train": {"depth": 7, "rate": 1e-3, "on": True, "off": None, "features": ["age", 1], "none": {}}, "s": "7"},
        Limits(),
    )
    assert made.values == {
        "train.depth": "7",
        "train.rate": "0.001",
        "train.on": "true",
        "train.off": "null",
        "train.features": '["age", 1]',
        "train.none": "{}",
        "s": "7",
    }
    assert made.notes == ()


def test_parameters_beyond_the_limit_are_named() -> None:
    made = flat.params({f"p{i}": i for i in range(1_500)}, Limits())
    assert len(made.values) == 1_000
    assert made.notes == (
        "500 parameters beyond the first 1,000 were left out, `p1000`, `p1001`, `p1002` and 497 more; "
        "parameters.json has all of it.",
    )


def test_names_that_become_the_same_stay_apart() -> None:
    made = flat.metrics({"p@1": 1.0, "p#1": 2.0, "p_1": 3.0})
    assert sorted(made.values.values()) == [1.0, 2.0, 3.0]
    assert set(made.names.values()) == {"p@1", "p#1", "p_1"}


def test_what_is_no_number_is_named_and_not_made_one() -> None:
    made = flat.metrics(
        {"auc": 0.7, "nan": math.nan, "inf": math.inf, "word": "0.7", "yes": True, "big": 2**53 + 1, "cm": [[1, 2]]}
    )
    assert made.values == {"auc": 0.7}
    assert made.notes == (
        "`nan`, `inf`, `word` and 3 more of the metrics are no finite numbers that MLflow holds exactly.",
    )


@given(
    st.recursive(st.integers(), lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=30)
)
def test_whatever_is_nested_is_flattened_without_loss_of_leaves(value: Any) -> None:
    made = flat.params({"top": value}, Limits())
    numbers = [text for text in made.values.values() if text.lstrip("-").isdigit()]
    assert len(numbers) == len(_integers(value))


def _integers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _integers(inner)]
    return [value]


def test_deep_nesting_ends_as_json() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = {"a": deep}
    made = flat.params({"deep": deep}, Limits())
    (value,) = made.values.values()
    assert json.loads(value)
