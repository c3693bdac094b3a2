"""Metrics files as DVC allows them."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import MlgateError
from mlgate.repo.metrics import parse


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("m.json", '{"auc": 0.7, "n": 3}', {"auc": 0.7, "n": 3}),
        ("m.json", '{"weighted avg": {"f1-score": 0.8}}', {"weighted avg.f1-score": 0.8}),
        ("m.json", '{"a": {"b": {"c": 1}}, "list": [1, 2]}', {"a.b.c": 1, "list": [1, 2]}),
        ("m.json", '\ufeff{"auc": 1}', {"auc": 1}),
        ("m.yaml", "auc: 0.7\nnested:\n  log loss: 1e-3\n", {"auc": 0.7, "nested.log loss": 0.001}),
        ("m.yml", "auc: .5\n", {"auc": 0.5}),
        ("m.toml", "auc = 0.7\n[test]\nrmse = 2\n", {"auc": 0.7, "test.rmse": 2}),
        ("m.csv", "auc,log_loss\n0.7,0.5\n", {"auc": 0.7, "log_loss": 0.5}),
        ("m.csv", "metric,value\nauc,0.7\nlog_loss,0.5\n", {"auc": 0.7, "log_loss": 0.5}),
        ("m.tsv", "auc\tname\n0.7\tfirst\n", {"auc": 0.7, "name": "first"}),
    ],
)
def test_kinds(path: str, text: str, expected: dict[str, Any]) -> None:
    assert parse(text.encode(), path) == expected


def test_nan_is_kept_for_the_rules_to_refuse() -> None:
    assert math.isnan(parse(b'{"auc": NaN}', "m.json")["auc"])


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("m.json", b'{"auc": 1, "auc": 2}', r"has the key 'auc' twice"),
        ("m.yaml", b"auc: 1\nauc: 2\n", r"has the key 'auc' twice"),
        ("m.csv", b"auc,auc\n1,2\n", r"has the key 'auc' twice"),
        ("m.toml", b"auc = 1\nauc = 2\n", r"cannot be read as TOML"),
        ("m.json", b'{"a.b": 1, "a": {"b": 2}}', r"has two values for 'a\.b'"),
        ("m.json", b"", r"is empty: nothing was measured"),
        ("m.json", b" \n", r"is empty"),
        ("m.json", b"{", r"cannot be read as JSON"),
        ("m.json", b"[1]", r"holds a list"),
        ("m.json", b"3", r"holds a int"),
        ("m.json", b"\xff\xfe\x00", r"is not text"),
        ("m.json", b"[" * 100_000, r"nested too deeply"),
        ("m.yaml", b"? [a]\n: 1\n", r"cannot be read as YAML"),
        ("m.yaml", b"!!python/object/apply:os.system ['true']", r"cannot be read as YAML"),
        ("m.csv", b"auc,log_loss\n1\n", r"1 values under 2 names"),
        ("m.csv", b"step,auc\n1,0.5\n2,0.6\n", r"2 rows where one is needed"),
        ("m.txt", b"auc 1", r"not a kind of metrics file"),
        ("m.json", b" " * (16 * 2**20 + 1), r"at most"),
    ],
)
def test_what_is_no_metrics_file_is_named_with_the_reason(path: str, data: bytes, said: str) -> None:
    with pytest.raises(MlgateError, match=said) as caught:
        parse(data, path)
    assert caught.value.file == path


def test_aliases_that_multiply_are_stopped() -> None:
    levels = "\n".join(f"l{n}: &l{n} {{a: *l{n - 1}, b: *l{n - 1}}}" for n in range(1, 40))
    with pytest.raises(MlgateError, match="more than 100,000 keys"):
        parse(f"l0: &l0 {{x: 1}}\n{levels}\n".encode(), "m.yaml")


@given(st.binary(max_size=200), st.sampled_from(["m.json", "m.yaml", "m.toml", "m.csv", "m.tsv"]))
def test_any_bytes_are_a_mapping_or_a_clear_error(data: bytes, path: str) -> None:
    with suppress(MlgateError):
        assert isinstance(parse(data, path), dict)
