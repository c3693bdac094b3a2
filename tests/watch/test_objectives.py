"""Service-level objectives: exact percentiles of requests, errors, and what has to hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import given
from hypothesis import strategies as st

from mlgate.data.reading import connect
from mlgate.model import Location, Verdict
from mlgate.watch import objectives
from mlgate.watch.nouns import Measure
from watch.outcomes_samples import table


@pytest.fixture(scope="module")
def con() -> DuckDBPyConnection:
    return connect()


def service(con: DuckDBPyConnection, latency: list[Any], **columns: Any) -> dict[str, Measure]:
    given = {"request_id": [f"r{at}" for at in range(len(latency))], "row": [0] * len(latency), "latency_ms": latency}
    return objectives.of_service(con, table(con, given | columns))


def known(**values: float) -> dict[str, Measure]:
    return {name: Measure("slo", name, "ok", value, rows=1000) for name, value in values.items()}


@given(st.lists(st.floats(0, 1e4, allow_nan=False), min_size=300, max_size=400))
def test_percentiles_are_values_that_occurred(con: DuckDBPyConnection, latency: list[float]) -> None:
    found = service(con, latency)
    for name, share in (("latency_p50", 50), ("latency_p95", 95), ("latency_p99", 99)):
        expected = np.percentile(latency, share, method="inverted_cdf") / 1000
        assert found[name].value == expected
        assert found[name].state == "ok"


def test_a_request_counts_once_however_many_rows_it_has(con: DuckDBPyConnection) -> None:
    ids = [f"r{at}" for at in range(100)]
    long = {
        "request_id": [*ids, *["big"] * 900],
        "row": [*[0] * 100, *range(900)],
        "latency_ms": [*[10.0] * 100, *[500.0] * 900],
        "status": [*[200] * 100, *[503] * 900],
    }
    found = objectives.of_service(con, table(con, long))
    assert (found["requests"].value, found["requests"].rows) == (101, 101)
    assert found["latency_p95"].value == 0.01
    assert found["error_rate"].value == 1 / 101
    nameless = long | {"request_id": [None] * 1000}
    assert objectives.of_service(con, table(con, nameless))["requests"].value == 1000


def test_errors_are_answers_of_500_and_more(con: DuckDBPyConnection) -> None:
    found = service(con, [1.0] * 1000, status=[200] * 900 + [404] * 97 + [500, 502, 599])
    assert found["error_rate"].value == 0.003
    assert found["availability"].value == 0.997


def test_what_the_log_does_not_have_is_unknown(con: DuckDBPyConnection) -> None:
    found = service(con, [1.0] * 1000)
    assert found["error_rate"].state == found["availability"].state == "unknown"
    assert "monitor.logs.fields.status" in found["error_rate"].reason
    found = objectives.of_service(con, table(con, {"request_id": ["a"] * 400}))
    assert found["latency_p95"].reason == "400 of 400 requests have no latency_ms."
    some = service(con, [1.0] * 980 + [None] * 20, status=[200] * 980 + [None] * 20)
    assert some["latency_p50"].reason == "20 of 1,000 requests have no latency_ms."
    assert some["error_rate"].reason == "20 of 1,000 requests have no status."
    assert service(con, [1.0] * 995 + [None] * 5)["latency_p50"].value == 0.001


def test_few_requests_have_no_percentile(con: DuckDBPyConnection) -> None:
    found = service(con, [1.0] * 59)
    assert found["latency_p50"].state == "ok"
    assert found["latency_p95"].reason == "59 requests, 60 needed."
    empty = service(con, [], status=[])
    assert empty["error_rate"].reason == "0 requests, 1 needed."
    assert empty["requests"].value == 0


@pytest.mark.parametrize(
    ("sentence", "value", "state"),
    [
        ("latency_p95 <= 100 ms", 0.1, "ok"),
        ("latency_p95 < 100 ms", 0.1, "breached"),
        ("latency_p95 <= 0.1 s", 0.1000001, "breached"),
        ("error_rate <= 1%", 0.01, "ok"),
        ("error_rate <= 1%", 0.010001, "breached"),
        ("availability >= 99.9%", 0.999, "ok"),
        ("availability > 99.9%", 0.999, "breached"),
        ("availability >= 99.9%", 0.9989, "breached"),
        ("auc >= 0.7", 0.7, "ok"),
        ("auc >= 0.7", 0.69, "breached"),
        ("margin >= -2", -1.9, "ok"),
    ],
)
def test_a_sentence_holds_or_not(sentence: str, value: float, state: str) -> None:
    name = sentence.split(maxsplit=1)[0]
    found = objectives.section([sentence], known(**{name: value}))
    [one], [check] = found.measures, found.checks
    assert (found.state, one.state, one.kind, one.name, one.value) == (state, state, "slo", name, value)
    assert check.verdict is (Verdict.PASS if state == "ok" else Verdict.FAIL)
    assert check.title == sentence
    assert (check.observed, check.limit) == (value, one.limit) or sentence.startswith("latency")
    assert bool(one.reason) == (state == "breached")


def test_times_are_shown_in_their_unit() -> None:
    found = objectives.section(
        ["latency_p95 <= 100 ms", "latency_p99 <= 2 s"], known(latency_p95=0.01, latency_p99=3.5)
    )
    assert [(check.observed, check.expected, check.limit) for check in found.checks] == [
        ("10 ms", "at most 100 ms", None),
        ("3.5 s", "at most 2 s", None),
    ]
    assert [(one.value, one.limit) for one in found.measures] == [(0.01, 0.1), (3.5, 2.0)]


def test_what_is_unknown_is_never_met() -> None:
    values = {"auc": Measure("performance", "auc", "unknown", reason="40 rows with truth, 200 needed.")}
    found = objectives.section(["auc >= 0.1", "conversion >= 0%"], values)
    assert found.state == "unknown"
    assert [one.reason for one in found.measures] == [
        "40 rows with truth, 200 needed.",
        "Nobody measured conversion in this window.",
    ]
    assert all(one.verdict is Verdict.INCONCLUSIVE and one.observed == "not measured" for one in found.checks)


def test_model_service_and_business_stand_side_by_side() -> None:
    values = known(latency_p95=0.05, conversion=0.03) | {
        "auc": Measure("performance", "auc", "breached", 0.66, 0.7, 900, "auc is 0.66; at least 0.7 is required.")
    }
    found = objectives.section(["latency_p95 <= 100 ms", "auc >= 0.65", "conversion >= 2%"], values)
    assert [(one.name, one.state) for one in found.measures] == [
        ("latency_p95", "ok"),
        ("auc", "ok"),  # its rule of performance is another one
        ("conversion", "ok"),
    ]
    assert found.measures[1].reason == ""


def test_two_sentences_of_one_metric_are_one_reading_the_worse_one() -> None:
    found = objectives.section(
        ["latency_p95 <= 200 ms", "latency_p95 <= 50 ms", "latency_p95 <= 300 ms"],
        known(latency_p95=0.1),
        lambda key: Location(file="mlgate.yaml", line=3, key=key),
    )
    [one] = found.measures
    assert (one.state, one.limit) == ("breached", 0.05)
    assert [check.verdict for check in found.checks] == [Verdict.PASS, Verdict.FAIL, Verdict.PASS]
    assert len({check.id for check in found.checks}) == 3


def test_the_error_budget_that_is_used_is_said() -> None:
    found = objectives.section(
        ["availability >= 99.9%", "error_rate <= 1%"], known(availability=0.9995, error_rate=0.02)
    )
    assert found.facts == {"error budget used, availability": "50%", "error budget used, error_rate": "200%"}
    assert found.checks[0].reason == "50% of the error budget of this window is used."
    assert found.checks[1].reason == (
        "error_rate is 2 %; `error_rate <= 1%` has to hold. 200% of the error budget of this window is used."
    )
    assert not objectives.section(["availability >= 100%"], known(availability=1.0)).facts
    assert not objectives.section(["latency_p95 <= 1 s"], known(latency_p95=0.5)).facts


def test_no_objective_is_no_pass() -> None:
    assert objectives.section([], {}).state == "unknown"
