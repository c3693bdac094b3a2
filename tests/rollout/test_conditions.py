"""The sentences of rules: what they mean, and that nothing else is one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter
from pydantic_core import PydanticCustomError

from mlgate.config.conditions import Condition, Group, Rule, leaves, parse, written

D = Decimal


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("error_rate <= 1%", ("error_rate", "<=", "absolute", D("0.01"), 1, "%")),
        ("error_rate<=1 %", ("error_rate", "<=", "absolute", D("0.01"), 1, "%")),
        ("error_rate < 0.015", ("error_rate", "<", "absolute", D("0.015"), 1, "")),
        ("error_rate <= 1.5x stable", ("error_rate", "<=", "times", D("1.5"), 1, "")),
        ("error_rate <= 1.5 x stable", ("error_rate", "<=", "times", D("1.5"), 1, "")),
        ("error_rate <= stable + 0.2%", ("error_rate", "<=", "beside", D("0.002"), 1, "%")),
        ("sold >= stable - 3", ("sold", ">=", "beside", D(-3), 1, "")),
        ("latency_p99 <= 2 s", ("latency_p99", "<=", "absolute", D(2), 1, "s")),
        ("latency_p99 <= 2s for 3 periods", ("latency_p99", "<=", "absolute", D(2), 3, "s")),
        ("latency_p50 <= 20 ms for 1 period", ("latency_p50", "<=", "absolute", D("0.020"), 1, "ms")),
        ("latency_p95 <= stable + 5 ms", ("latency_p95", "<=", "beside", D("0.005"), 1, "ms")),
        ("prediction_shift <= 0.1", ("prediction_shift", "<=", "absolute", D("0.1"), 1, "")),
        ("  Sold_2   >   10   for   12   periods ", ("Sold_2", ">", "absolute", D(10), 12, "")),
    ],
)
def test_a_sentence(text: str, meant: tuple[Any, ...]) -> None:
    found = parse(text)
    assert isinstance(found, Condition)
    assert (found.metric, found.operator, found.kind, found.number, found.periods, found.unit) == meant
    assert found.against_stable is (found.kind != "absolute")
    assert parse(written(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "error_rate",
        "error_rate <=",
        "error_rate = 1%",
        "error_rate == 1%",
        "error_rate => 1%",
        "error_rate != 1%",
        "<= 1%",
        "error_rate <= one",
        "error_rate <= NaN",
        "error_rate <= inf",
        "error_rate <= -1%",
        "error_rate <= 1e-3",
        "error_rate <= 1,5x stable",
        "error_rate <= 1.5x champion",
        "error_rate <= x stable",
        "error_rate <= 1% stable",
        "error_rate <= stable",
        "error_rate <= stable * 2",
        "error_rate <= 1 minute",
        "error_rate <= 1% for 0 periods",
        "error_rate <= 1% for 3 hours",
        "error_rate <= 1% for three periods",
        "error_rate <= 1% or latency_p99 <= 1 s",
        "error_rate <= 1% OR 1",
        "error rate <= 1%",
        "__import__('os') <= 1",
        "error_rate <= __import__('os').system('true')",
        "{error_rate} <= 1",
        "error_rate <= 1%; rm",
        "ｅrror_rate <= 1%",
        "error_rate <= ١%",
        "1x <= 2",
        f"error_rate <= 1{'0' * 40}",
    ],
)
def test_nothing_else_is_a_sentence(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        parse(text)


@pytest.mark.parametrize(
    "value",
    [
        1,
        None,
        True,
        [],
        {},
        {"any": []},
        {"any": ["a <= 1"]},
        {"any": "a <= 1"},
        {"any": ["a <= 1", 3]},
        {"none": ["a <= 1", "b <= 1"]},
        {"any": ["a <= 1", "b <= 1"], "all": ["a <= 1", "b <= 1"]},
    ],
)
def test_nothing_else_is_a_group(value: Any) -> None:
    with pytest.raises(PydanticCustomError):
        parse(value)


trees = st.recursive(
    st.builds(
        "{} {} {}{}".format,
        st.sampled_from(["error_rate", "latency_p99", "sold"]),
        st.sampled_from(["<=", "<", ">=", ">"]),
        st.sampled_from(["1%", "2 s", "20 ms", "1.5x stable", "stable + 2", "stable - 0.5%", "17"]),
        st.sampled_from(["", " for 3 periods"]),
    ),
    lambda inner: st.builds(
        lambda how, of: {how: of}, st.sampled_from(["any", "all"]), st.lists(inner, min_size=2, max_size=3)
    ),
    max_leaves=8,
)


@given(trees)
def test_what_is_written_reads_the_same_and_fits_the_schema(value: Any) -> None:
    tree = parse(value)
    assert parse(json.loads(json.dumps(written(tree)))) == tree
    assert parse(tree) is tree
    assert len(list(leaves(tree))) >= 1
    schema = TypeAdapter(Rule).json_schema()
    Draft202012Validator(schema).validate(written(tree))


def test_a_group_keeps_its_order() -> None:
    tree = parse({"any": ["a <= 1", {"all": ["b <= 1", "c <= 1"]}]})
    assert isinstance(tree, Group)
    assert [leaf.metric for leaf in leaves(tree)] == ["a", "b", "c"]
