"""What a line of the prediction log says, and what it never says."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import uuid
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logging_samples import KEY, WHO, answer, count, metrics, sink, table, written

from mlgate.errors import MlgateError
from mlgate.serving import requestid
from mlgate.serving.lines import Lines
from mlgate.serving.log import Answer, Sink
from mlgate.serving.settings import Log


def logged(tmp_path: Path, *answers: Answer, **settings: Any) -> list[dict[str, Any]]:
    path, counts = tmp_path / "p.jsonl", metrics()
    log = sink(path, counts, **settings)
    log.start()
    for one in answers:
        log.put(one)
    log.close()
    found = written(path)
    assert count(counts, "mlgate_log_written_total") == len(found)
    assert count(counts, "mlgate_log_dropped_total") == 0
    return found


def test_a_line_has_everything_that_follows_a_prediction_back(tmp_path: Path) -> None:
    line = logged(tmp_path, answer(age=[40], name=["Ada"]), features=("age",), hashed=("name",))[0]
    assert list(line) == [
        "time", "request_id", "model", "version", "digest", "commit", "environment", "row",
        "features", "hashed", "prediction", "score", "latency_ms",
    ]  # fmt: skip
    assert line["time"] == "2026-01-01T00:00:00.500Z"
    assert datetime.fromisoformat(line["time"]).timestamp() == 1_767_225_600.5
    assert (line["request_id"], line["environment"], line["row"]) == ("r-1", "staging", 0)
    assert [line[key] for key in ("model", "version", "digest", "commit")] == [
        WHO.model, WHO.version, WHO.digest, WHO.commit,
    ]  # fmt: skip
    assert (line["prediction"], line["score"], line["latency_ms"]) == (1, 0.75, 12.5)
    assert line["features"] == {"age": 40}
    expected = hmac.new(KEY["MLGATE_LOG_KEY"].encode(), b"Ada", hashlib.sha256).hexdigest()[:16]
    assert line["hashed"] == {"name": expected}


def test_only_named_columns_are_logged(tmp_path: Path) -> None:
    one = answer(age=[40], name=["Ada"], diagnosis=["secret"])
    text = json.dumps(logged(tmp_path, one, features=("age",), hashed=("name",)))
    assert "secret" not in text
    assert "Ada" not in text


def test_without_names_no_column_is_logged(tmp_path: Path) -> None:
    line = logged(tmp_path, answer(age=[40]))[0]
    assert (line["features"], line["hashed"], line["prediction"]) == ({}, {}, 1)


def test_a_batch_gives_a_line_a_row(tmp_path: Path) -> None:
    one = Answer("b", 0.0, 0.1, table({"x": np.arange(3), "y": pd.Series(["a", "b", None])}), np.array([1, 0, 1]), None)
    found = logged(tmp_path, one, features=("x", "y"))
    assert [(line["row"], line["features"]["x"], line["prediction"], line["score"]) for line in found] == [
        (0, 0, 1, None), (1, 1, 0, None), (2, 2, 1, None),
    ]  # fmt: skip
    assert found[2]["features"]["y"] is None


def test_predictions_of_any_shape(tmp_path: Path) -> None:
    one = Answer("m", 0.0, 0.1, table({}), ["cat", [0.5, 1.5]], np.array([[0.25, 0.75], [1.0, 0.0]]))
    found = logged(tmp_path, one)
    assert [line["prediction"] for line in found] == ["cat", [0.5, 1.5]]
    assert [line["score"] for line in found] == [[0.25, 0.75], [1.0, 0.0]]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.none() | st.text() | st.integers() | st.floats()),
    st.lists(st.sampled_from("abcdef"), unique=True),
    st.integers(0, 6),
)
def test_the_quick_way_for_one_row_says_the_same(columns: dict[str, Any], names: list[str], cut: int) -> None:
    lines = Lines(WHO, "t", names[:cut], names[cut:], b"k" * 20)
    one = answer(1, **{name: [value] for name, value in columns.items()})
    assert [lines.one(lines.taken(one))] == list(lines.all(one))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, None), (math.inf, None), (10**30, 10**30), (Decimal("1.5"), "1.5"), ("\ud800", "\ud800"),
        (np.float32(0.5), 0.5), (np.int64(7), 7), (pd.Timestamp("2026-01-02"), "2026-01-02T00:00:00"),
        ("line\nbreak\u2028", "line\nbreak\u2028"), ({1: math.nan, "s": 10**30}, {"1": None, "s": 10**30}),
        (b"\xff", "b'\\xff'"), (True, True), (None, None), ([10**30, math.nan], [10**30, None]),
    ],
)  # fmt: skip
def test_any_value_is_one_line_of_json(tmp_path: Path, value: Any, said: Any) -> None:
    assert logged(tmp_path, answer(x=[value]), features=("x",))[0]["features"]["x"] == said


def test_a_value_that_cannot_be_said_costs_its_line_only(tmp_path: Path) -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no")

    path, counts, said = tmp_path / "p.jsonl", metrics(), []
    log = sink(path, counts, features=("x",), say=said.append)
    log.start()
    log.put(answer(3, "bad", x=[1, Odd(), 3]))
    log.put(answer(1, "good", x=[1]))
    log.close()
    assert [line["request_id"] for line in written(path)] == ["bad", "good"]
    assert count(counts, "mlgate_log_dropped_total") == 2
    assert len(said) == 1
    assert "2 lines were dropped" in said[0]


@given(st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_a_hash_is_hmac_of_the_value_as_json_has_it(value: str | float | bool) -> None:
    log = Sink(Log(hashed=("x",)), WHO, "t", metrics=metrics(), environ=KEY)
    whole = isinstance(value, float) and value == int(value) and abs(value) < 2**53
    text = value if isinstance(value, str) else json.dumps(int(value) if whole else value)
    line = json.loads(next(iter(log._lines.all(answer(x=[value])))))
    expected = hmac.new(KEY["MLGATE_LOG_KEY"].encode(), text.encode(errors="surrogatepass"), hashlib.sha256)
    assert line["hashed"]["x"] == expected.hexdigest()[:16]


def test_a_missing_value_has_no_hash_and_a_long_key_is_a_key(tmp_path: Path) -> None:
    environ = {"MLGATE_LOG_KEY": "k" * 100}
    log = Sink(Log(hashed=("x",)), WHO, "t", metrics=metrics(), environ=environ)
    found = [json.loads(line)["hashed"]["x"] for line in log._lines.all(answer(3, x=[None, math.nan, "v"]))]
    assert found == [None, None, hmac.new(b"k" * 100, b"v", hashlib.sha256).hexdigest()[:16]]


@pytest.mark.parametrize(("key", "says"), [("", "is not set"), ("short", "too short")])
def test_no_key_for_a_hash_is_refused_at_the_start(key: str, says: str) -> None:
    with pytest.raises(MlgateError, match=says) as caught:
        Sink(Log(hashed=("name",)), WHO, "t", metrics=metrics(), environ={"MLGATE_LOG_KEY": key} if key else {})
    assert "MLGATE_LOG_KEY" in str(caught.value)
    assert "name" in str(caught.value)


def test_a_column_is_not_logged_raw_and_hashed() -> None:
    with pytest.raises(MlgateError, match="name is in both"):
        Sink(Log(features=("name",), hashed=("name",)), WHO, "t", metrics=metrics(), environ=KEY)


def test_nothing_is_logged_to_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    counts = metrics()
    log = Sink(Log(to="none", hashed=("name",)), WHO, "t", metrics=counts, environ={})
    log.start()
    log.put(answer(name=["Ada"]))
    log.close()
    assert capfd.readouterr() == ("", "")
    assert count(counts, "mlgate_log_written_total") == count(counts, "mlgate_log_dropped_total") == 0


@pytest.mark.parametrize("header", [b"abc", b"A-1.2_3:4/5+6=@", b"x" * 128, b"4b1f9c0e-3d55-4a0b-9d0a-2f1f3f0c6a11"])
def test_a_fit_request_id_is_kept(header: bytes) -> None:
    assert requestid.take(header) == header.decode()


@pytest.mark.parametrize(
    "header", [None, b"", b"a b", b"x" * 129, b'a"b', b"a\n", b"\xff", "é".encode(), b"a;b", b"a,b"]
)
def test_an_unfit_request_id_is_replaced(header: bytes | None) -> None:
    made = requestid.take(header)
    assert uuid.UUID(made).version == 4
    assert str(uuid.UUID(made)) == made
    assert made != requestid.take(header)
