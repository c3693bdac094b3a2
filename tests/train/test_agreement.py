"""What counts as the same: metrics and predictions, held against a second reading in plain Python."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgate.data import reading
from mlgate.errors import MlgateError
from mlgate.train import agreement, predictions
from mlgate.train.agreement import Agreement

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (0.5, 0.5, True),
        (0.5, 0.5 + 1e-7, True),
        (0.5, 0.5 + 2e-6, False),
        (1, 1.0, True),
        (NAN, NAN, False),
        (0.5, NAN, False),
        (INF, INF, True),
        (INF, -INF, False),
        (True, True, True),
        (True, 1, False),
        ("a", "a", True),
        ("1", 1, False),
        (None, None, True),
    ],
)
def test_metrics(before: Any, now: Any, same: bool) -> None:
    seen = agreement.metrics({"m": before}, {"m": now}, 1e-6)
    assert (not seen.wrong) is same


def test_metrics_that_are_missing_or_new_differ() -> None:
    assert agreement.metrics({"a": 1}, {}, 1).wrong == ("a is gone",)
    assert agreement.metrics({}, {"a": 1}, 1).wrong == ("a is new",)


def test_a_number_that_no_rule_is_about_may_differ() -> None:
    seen = agreement.metrics({"auc": 0.7, "seconds": 3}, {"auc": 0.7, "seconds": 4}, 1e-6, decisive=["auc"])
    assert not seen.wrong
    assert seen.minor == ("seconds is 4 and 3 is committed",)
    assert agreement.metrics({"seconds": 3}, {"seconds": 4}, 1e-6).wrong


def write(file: Path, rows: list[tuple[Any, ...]], head: tuple[str, ...] = ("id", "p")) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([head, *rows])
    return file


def compare(
    folder: Path, before: Any, now: Any, *, by: str | None = "id", heads: tuple[str, str] = ("id,p", "id,p")
) -> Agreement:
    con = reading.connect()
    try:
        one = write(folder / "then/p.csv", before, tuple(heads[0].split(",")))
        other = write(folder / "now/p.csv", now, tuple(heads[1].split(",")))
        tables = predictions.Tables(con, one, other, "p.csv")
        return predictions.compare(tables, by=by, tolerance=1e-6)
    finally:
        con.close()


ROWS = [(1, 0.25), (2, 0.5), (3, 0.75)]


def test_the_same_rows_in_another_order(tmp_path: Path) -> None:
    assert compare(tmp_path, ROWS, ROWS[::-1]) == Agreement(3)
    assert compare(tmp_path, ROWS, ROWS[::-1], by=None).wrong


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ([(1, 0.25), (2, 0.5)], "1 ids are missing (3)"),
        ([*ROWS, (4, 1.0)], "1 ids are new (4)"),
        ([*ROWS, (1, 0.25)], "1 ids of the rows made again are there several times or missing (1)"),
        ([(1, 0.25), (2, 0.5), (3, 0.5)], "p differs in 1 of 3 rows, by up to 0.25"),
        ([(1, 0.25), (2, 0.5), (3, "nan")], "p differs in 1 of 3 rows"),
        ([(1, 0.25), (2, 0.5), (3, "")], "p differs in 1 of 3 rows"),
        ([(1, "low"), (2, "low"), (3, "high")], "p is VARCHAR and was DOUBLE"),
        ([], "there are no rows"),
    ],
)
def test_what_differs_is_named_and_counted(tmp_path: Path, now: list[tuple[Any, ...]], said: str) -> None:
    assert said in "; ".join(compare(tmp_path, ROWS, now).wrong)


def test_nan_agrees_with_nothing(tmp_path: Path) -> None:
    rows = [(1, 0.5), (2, "nan")]
    assert "p differs in 1 of 2 rows" in compare(tmp_path, rows, rows).wrong


def test_columns(tmp_path: Path) -> None:
    seen = compare(tmp_path, [(1, 2)], [(1, 2)], heads=("id,a", "id,b"))
    assert seen.wrong == ("column a is gone", "column b is new")
    with pytest.raises(MlgateError, match="no column 'person'"):
        compare(tmp_path, ROWS, ROWS, by="person")


def test_examples_name_the_row(tmp_path: Path) -> None:
    seen = compare(tmp_path, ROWS, [(1, 0.25), (2, 0.9), (3, 0.75)])
    assert seen.examples[0].values == {"id": "2", "p, committed": "0.5", "p": "0.9"}
    seen = compare(tmp_path, ROWS, [(1, 0.25), (2, 0.9), (3, 0.75)], by=None)
    assert seen.examples[0].row == 2


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return not math.isnan(a) and not math.isnan(b) and (a == b or abs(a - b) <= 1e-6)


NUMBER = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.1, 0.1 + 5e-7, 0.1 + 3e-6, NAN, INF, -INF]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=8))
def test_numbers_agree_as_they_do_in_plain_python(
    tmp_path: Path, pairs: list[tuple[float | None, float | None]]
) -> None:
    import duckdb  # noqa: PLC0415

    con = duckdb.connect()
    for name, place in (("then", 0), ("now", 1)):
        (tmp_path / name).mkdir(exist_ok=True)
        con.execute("CREATE OR REPLACE TABLE t (id BIGINT, p DOUBLE)")
        con.executemany("INSERT INTO t VALUES (?, ?)", [(i, pair[place]) for i, pair in enumerate(pairs)])
        con.execute(f"COPY t TO '{tmp_path / name / 'p.parquet'}'")
    mine = reading.connect()
    tables = predictions.Tables(mine, tmp_path / "then/p.parquet", tmp_path / "now/p.parquet", "p")
    seen = predictions.compare(tables, by="id", tolerance=1e-6)
    mine.close()
    wanted = sum(not _same(a, b) for a, b in pairs)
    said = [line for line in seen.wrong if line.startswith("p differs")]
    assert len(said) == (wanted > 0)
    assert not said or f"in {wanted} of {len(pairs)} rows" in said[0]
