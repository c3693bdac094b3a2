"""Truth joined to predictions: what is known, what is not, and every row accounted for."""

# ruff: noqa: S608 -- names are made here

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import given
from hypothesis import strategies as st

from mlgate.data.reading import connect
from mlgate.errors import MlgateError
from mlgate.watch import truth as joining
from mlgate.watch.nouns import Window
from mlgate.watch.truth import (
    AGAIN,
    AMBIGUOUS,
    CONTRADICTED,
    EARLY,
    EMPTY,
    KNOWN,
    MISSING,
    NAMELESS,
    PENDING,
    SETTLED,
    STRANGE,
    TIMELESS,
    TOO_LATE,
    UNNAMED,
    Joined,
    join,
)
from watch.outcomes_samples import DAY, LATER, NOON, WINDOW, Log, log_of, table, times, truth, truth_of


@pytest.fixture(scope="module")
def con() -> DuckDBPyConnection:
    return connect()


def joined(con: DuckDBPyConnection, log: Log, told: str, now: datetime = LATER, **keys: Any) -> Joined:
    return join(con, log, told, truth(**keys), window=WINDOW, now=now)


def found(con: DuckDBPyConnection, one: Joined) -> list[tuple[Any, ...]]:
    return con.execute(f"SELECT prediction, label FROM {one.relation} ORDER BY place").fetchall()


def said(one: Joined) -> dict[str, int]:
    return {name: count for name, count in one.counts.items() if count}


def test_predictions_get_the_truth_of_their_request(con: DuckDBPyConnection) -> None:
    log = log_of(con, 4, {"prediction": [0, 1, 1, 0], "score": [0.1, 0.9, 0.8, 0.2]})
    one = joined(con, log, truth_of(con, [0, 1, None, 1]))
    assert found(con, one) == [(0, 0), (1, 1), (0, 1)]
    assert said(one) == {KNOWN: 3, MISSING: 1}
    assert (one.predictions, one.known, one.share) == (4, 3, 0.75)
    assert one.versions == {"v1.0.0": 3}


def test_rows_of_one_request_have_truth_of_their_own(con: DuckDBPyConnection) -> None:
    log = Log(
        table(
            con,
            {
                "time": times([NOON] * 3),
                "request_id": ["a", "a", "b"],
                "row": [0, 1, 0],
                "version": ["v1"] * 3,
                "prediction": ["x", "y", "z"],
            },
        ),
        score=None,
    )
    told = table(con, {"request_id": ["a", "a", "b"], "place": ["1", "0", "0"], "label": ["B", "A", "C"]})
    assert found(con, joined(con, log, told, row="place")) == [("x", "A"), ("y", "B"), ("z", "C")]
    # Without the row nobody knows whose truth it is: a request with one row has it, the other has not.
    one = joined(con, log, table(con, {"request_id": ["a", "b"], "label": ["A", "C"]}))
    assert found(con, one) == [("z", "C")]
    assert said(one) == {KNOWN: 1, AMBIGUOUS: 2}


def test_truth_that_may_still_come_is_told_from_what_is_missing(con: DuckDBPyConnection) -> None:
    log = log_of(con, 2, {"prediction": [0, 1]})
    log_times = table(
        con,
        {
            "time": times([NOON, NOON + timedelta(hours=6)]),
            "request_id": ["r0", "r1"],
            "row": [0, 0],
            "version": ["v1", "v1"],
            "prediction": [0, 1],
        },
    )
    one = joined(con, Log(log_times, score=None), truth_of(con, [None, None]), NOON + 7 * DAY + timedelta(hours=1))
    assert said(one) == {PENDING: 1, MISSING: 1}
    assert said(joined(con, log, truth_of(con, [None, None]), LATER)) == {MISSING: 2}


def test_truth_that_is_late_is_missing_for_good_whenever_the_window_is_read(con: DuckDBPyConnection) -> None:
    log = log_of(con, 2, {"prediction": [0, 1]})
    at = times([NOON + 7 * DAY, NOON + 7 * DAY + timedelta(seconds=1)])
    told = table(con, {"request_id": ["r0", "r1"], "label": [0, 1], "known": at})
    for now in (NOON + 8 * DAY, LATER):
        one = joined(con, log, told, now, time="known")
        assert said(one) == {KNOWN: 1, TOO_LATE: 1}
        assert found(con, one) == [(0, 0)]


def test_truth_that_is_said_again_counts_once(con: DuckDBPyConnection) -> None:
    log = log_of(con, 2, {"prediction": [0, 1]})
    told = table(con, {"request_id": ["r0", "r0", "r0", "r1"], "label": [0, 0, 0, 1]})
    one = joined(con, log, told)
    assert said(one) == {KNOWN: 2, AGAIN: 2}
    assert found(con, one) == [(0, 0), (1, 1)]


def test_of_truth_that_contradicts_itself_the_last_counts(con: DuckDBPyConnection) -> None:
    log = log_of(con, 3, {"prediction": [0, 1, 1]})
    ids, labels = ["r0", "r0", "r1", "r1", "r2", "r2"], [0, 1, 1, 0, 1, 0]
    hours = [1, 2, 2, 1, 3, 3]  # of r2 both at once
    at = times([NOON + timedelta(hours=hour) for hour in hours])
    one = joined(con, log, table(con, {"request_id": ids, "label": labels, "known": at}), time="known")
    assert found(con, one) == [(0, 1), (1, 1)]
    assert said(one) == {KNOWN: 2, CONTRADICTED: 1, SETTLED: 2}
    without = joined(con, log, table(con, {"request_id": ids, "label": labels}))
    assert said(without) == {CONTRADICTED: 3}


def test_truth_of_no_prediction_is_counted(con: DuckDBPyConnection) -> None:
    log = log_of(con, 1, {"prediction": [0]})
    told = table(con, {"request_id": ["r0", "x", "y", None], "label": [1.0, 0.0, math.nan, 1.0]})
    assert said(joined(con, log, told)) == {KNOWN: 1, STRANGE: 1, EMPTY: 1, UNNAMED: 1}


def test_where_no_id_matches_one_of_each_side_is_shown(con: DuckDBPyConnection) -> None:
    log = log_of(con, 2, {"prediction": [0, 1]})
    one = joined(con, log, table(con, {"request_id": [7, 8], "label": [0, 1]}))
    assert one.examples == ("r0", "7")
    assert one.known == 0
    assert joined(con, log, truth_of(con, [0, 1])).examples == ()


def test_predictions_without_an_id_can_have_no_truth(con: DuckDBPyConnection) -> None:
    log = table(
        con,
        {
            "time": times([NOON] * 2),
            "request_id": ["r0", None],
            "row": [0, 0],
            "version": ["v1", None],
            "prediction": [0, 1],
        },
    )
    one = joined(con, Log(log, score=None), truth_of(con, [1, 1]))
    assert said(one) == {KNOWN: 1, NAMELESS: 1, STRANGE: 1}


@pytest.mark.parametrize(
    "values",
    [
        ["2026-11-20T13:00:00Z", "2026-11-20T12:00:00+02:00"],
        ["2026-11-20 13:00:00", "2026-11-20 10:00:00"],
        [1_795_179_600, 1_795_168_800],
        [1_795_179_600_000.0, 1_795_168_800_000.0],
    ],
    ids=["zones", "UTC", "seconds", "milliseconds"],
)
def test_times_are_read_however_they_are_written(con: DuckDBPyConnection, values: list[Any]) -> None:
    log = log_of(con, 2, {"prediction": [0, 1]})
    told = table(con, {"request_id": ["r0", "r1"], "label": [0, 1], "known": values})
    assert said(joined(con, log, told, time="known")) == {KNOWN: 2, EARLY: 1}  # r1: at 10:00, asked at 12:00


def test_a_time_that_cannot_be_read_is_counted(con: DuckDBPyConnection) -> None:
    log = log_of(con, 2, {"prediction": [0, 1]})
    told = table(con, {"request_id": ["r0", "r1"], "label": [0, 1], "known": ["yesterday", "2026-11-20T13:00:00Z"]})
    assert said(joined(con, log, told, time="known")) == {KNOWN: 2, TIMELESS: 1}
    none = table(con, {"request_id": ["r0"], "label": [0], "known": ["yesterday"]})
    with pytest.raises(MlgateError, match=r"no value of `known` \(monitor.truth.time\) is a time"):
        joined(con, log, none, time="known")
    flags = table(con, {"request_id": ["r0"], "label": [0], "known": [True]})
    with pytest.raises(MlgateError, match="holds no times"):
        joined(con, log, flags, time="known")


def test_a_column_that_is_not_there_is_named_with_those_that_are(con: DuckDBPyConnection) -> None:
    log = log_of(con, 1, {"prediction": [0]})
    with pytest.raises(MlgateError, match="the truth has no column `label`") as caught:
        joined(con, log, table(con, {"request": ["r0"], "outcome": [1]}), request_id="request")
    assert "Its columns are `request`, `outcome`." in str(caught.value)


def test_failed_requests_predicted_nothing(con: DuckDBPyConnection) -> None:
    """What has no prediction and did not fail stays: it would be measured as if it were not there."""
    log = log_of(con, 4, {"prediction": [1, None, None, None], "status": [200, 503, 200, None]})
    one = joined(con, log, truth_of(con, [1, 1, 1, 1]))
    assert said(one) == {KNOWN: 3, STRANGE: 1}
    assert con.execute(f"SELECT count(*) FROM {joining.served(log.relation)}").fetchall() == [(3,)]


def test_no_predictions_are_no_share(con: DuckDBPyConnection) -> None:
    log = log_of(con, 1, {"prediction": [0]})
    con.execute(f"DELETE FROM {log.relation}")
    one = joined(con, log, truth_of(con, [1]))
    assert one.share is None
    assert said(one) == {STRANGE: 1}


def test_nothing_is_left_behind_but_what_is_given_out() -> None:
    con = connect()
    log = log_of(con, 2, {"prediction": [0, 1], "score": [0.1, 0.2], "sex": ["f", None]}, ["sex"])
    one = join(con, log, truth_of(con, [0, 1]), truth(), window=WINDOW, now=LATER, features=["sex", "age"])
    left = [row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    assert sorted(name for name in left if name.startswith("mlgate")) == [one.relation.strip('"')]
    assert con.execute(f"SELECT {one.features['sex']} FROM {one.relation}").fetchall() == [("f",), (None,)]
    assert "age" not in one.features


def test_shares_with_truth_are_told_by_tenths_of_the_score(con: DuckDBPyConnection) -> None:
    scores = [at / 1000 for at in range(1000)]
    log = log_of(con, 1000, {"prediction": [0] * 1000, "score": scores})
    one = joined(con, log, truth_of(con, [1 if at >= 500 or at % 2 else None for at in range(1000)]))
    assert [(tenth.rows, tenth.known) for tenth in one.tenths] == [(100, 50)] * 5 + [(100, 100)] * 5
    assert [round(tenth.most, 3) for tenth in one.tenths] == [round(0.099 + 0.1 * at, 3) for at in range(10)]
    same = log_of(con, 3, {"prediction": [0] * 3, "score": [0.5, 0.5, math.nan]})
    assert [(tenth.rows, tenth.known) for tenth in joined(con, same, truth_of(con, [1, 1, 1])).tenths] == [(2, 2)]
    nested = log_of(con, 2, {"prediction": [0] * 2, "score": [[0.5, 0.5]] * 2})
    assert joined(con, nested, truth_of(con, [1, 1])).tenths == ()


def test_the_window_that_is_due_has_only_rows_older_than_within() -> None:
    assert joining.due(WINDOW, truth(within="7 days")) == WINDOW.earlier(7)
    assert joining.due(WINDOW, truth(within="36 hours")) == WINDOW.earlier(2)
    assert joining.due(WINDOW, truth(within="1 hour")) == WINDOW.earlier(1)
    week = Window(WINDOW.until - 7 * DAY, WINDOW.until)
    assert joining.due(week, truth(within="3 days")) == week.earlier(1)
    assert joining.waiting(WINDOW, truth(within="2 days")) == Window(WINDOW.since - DAY, WINDOW.until)


@given(
    asked=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 1)), max_size=6, unique=True),
    told=st.lists(
        st.tuples(
            st.sampled_from("abcde"),
            st.integers(0, 1),
            st.sampled_from([0.0, 1.0, None]),
            st.sampled_from([-1, 0, 1, 24 * 7, 24 * 8, None]),
        ),
        max_size=10,
    ),
    by_row=st.booleans(),
    by_time=st.booleans(),
    days=st.sampled_from([1, 30]),
)
def test_every_prediction_is_counted_once_as_a_slow_loop_would(  # noqa: PLR0917 -- what hypothesis gives
    con: DuckDBPyConnection,
    asked: list[tuple[str, int]],
    told: list[tuple[str, int, float | None, int | None]],
    by_row: bool,
    by_time: bool,
    days: int,
) -> None:
    if by_time and told and all(hour is None for _, _, _, hour in told):
        by_time = False  # refused as a whole
    log = table(
        con,
        {
            "time": times([NOON] * len(asked)),
            "request_id": [request for request, _ in asked],
            "row": [row for _, row in asked],
            "version": ["v1"] * len(asked),
            "prediction": list(range(len(asked))),
        },
    )
    moments = times([None if hour is None else NOON + timedelta(hours=hour) for _, _, _, hour in told])
    rows = table(
        con,
        {
            "request_id": [request for request, _, _, _ in told],
            "place": [row for _, row, _, _ in told],
            "label": [label for _, _, label, _ in told],
            "known": moments,
        },
    )
    keys = {"row": "place"} if by_row else {}
    keys |= {"time": "known"} if by_time else {}
    one = joined(con, Log(log, score=None), rows, NOON + timedelta(days=days), **keys)
    fates = dict.fromkeys(joining.PREDICTIONS, 0)
    labels = []
    for at, (request, row) in enumerate(asked):
        mine = [
            (label, (hour if hour is not None else -math.inf) if by_time else 0)
            for its, place, label, hour in told
            if its == request and label is not None and (not by_row or place == row)
        ]
        timely = [pair for pair in mine if pair[1] <= 24 * 7]
        several = not by_row and sum(its == request for its, _ in asked) > 1
        last = {label for label, hour in timely if hour == max(hour for _, hour in timely)}
        if timely and several:
            fates[AMBIGUOUS] += 1
        elif len(last) > 1:
            fates[CONTRADICTED] += 1
        elif timely:
            fates[KNOWN] += 1
            labels.append((at, last.pop()))
        elif mine:
            fates[TOO_LATE] += 1
        else:
            fates[PENDING if days < 7 else MISSING] += 1
    assert {name: one.counts[name] for name in joining.PREDICTIONS} == fates
    assert sum(fates.values()) == len(asked) == one.predictions
    assert found(con, one) == labels
