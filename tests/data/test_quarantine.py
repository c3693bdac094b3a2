# ruff: noqa: S608 -- the SQL of these tests is their own
"""Bad rows in one file, the rest in the other, nothing lost and nothing half-written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from engine_tables import opened, write

from mlgate.data import engine, reading
from mlgate.data.engine import Quarantined
from mlgate.data.nouns import Expectation
from mlgate.errors import MlgateError

ROWS = """SELECT range AS id, CASE WHEN range = 3 THEN NULL ELSE 'p' || range // 2 END AS p,
          CASE WHEN range = 5 THEN CAST('nan' AS DOUBLE) ELSE range / 2 END AS v,
          DATE '2020-01-01' + CAST(range AS INTEGER) AS d FROM range(10)"""


def expectation(type_: str, id_: str, severity: str = "error", **kwargs: Any) -> Expectation:
    return Expectation(f"expect_column_values_to_{type_}", kwargs, severity=severity, id=id_)  # type: ignore[arg-type]


def quarantined(path: Path, expectations: list[Expectation], folder: Path) -> Quarantined:
    con = reading.connect()
    try:
        return engine.quarantine(con, opened(con, path), expectations, folder)
    finally:
        con.close()


def rows(path: Path, columns: str = "id") -> list[Any]:
    found = duckdb.execute(f"SELECT {columns} FROM '{path}'").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


@pytest.mark.parametrize("file", ["people.parquet", "people.csv", "people.jsonl"])
def test_rows_are_parted_and_say_what_they_break(tmp_path: Path, file: str) -> None:
    path = write(tmp_path, ROWS, file)
    wanted = [
        expectation("not_be_null", "p.required", column="p"),
        expectation("be_between", "v.max", column="v", max_value=4),
        expectation("be_between", "id.max", "warn", column="id", max_value=0),  # a warning quarantines nothing
        expectation("be_between", "id.most", column="id", max_value=8, mostly=0.9),  # holds: what it lets through stays
    ]
    done = quarantined(path, wanted, tmp_path / "q")
    assert (done.bad_rows, done.good_rows) == (2, 8)
    suffix = path.suffix
    assert (done.bad, done.good) == (tmp_path / f"q/people.bad{suffix}", tmp_path / f"q/people.good{suffix}")
    assert rows(done.bad, "id, mlgate_row, mlgate_broken") == [(3, 4, "p.required"), (9, 10, "v.max")]
    assert str(rows(done.bad, "mlgate_file")[0]).endswith(file)
    assert rows(done.good) == [0, 1, 2, 4, 5, 6, 7, 8]
    assert {item.name for item in (tmp_path / "q").iterdir()} == {done.bad.name, done.good.name}


def test_parquet_keeps_its_types_and_its_nan(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    done = quarantined(path, [expectation("not_be_null", "p.required", column="p")], tmp_path / "q")
    before = duckdb.execute(f"DESCRIBE FROM '{path}'").fetchall()
    assert duckdb.execute(f"DESCRIBE FROM '{done.good}'").fetchall() == before
    assert rows(done.good, "count(*) FILTER (WHERE isnan(v))") == [1]
    both = f"(SELECT * EXCLUDE (mlgate_row, mlgate_file, mlgate_broken) FROM '{done.bad}' UNION ALL FROM '{done.good}')"
    assert duckdb.execute(f"SELECT count(*) FROM ({both} EXCEPT ALL FROM '{path}')").fetchone() == (0,)


def test_all_rows_of_a_group_that_must_be_unique_are_bad(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    wanted = [
        expectation("be_unique", "p.unique", column="p"),
        Expectation("expect_compound_columns_to_be_unique", {"column_list": ["p", "id"]}, id="both"),
    ]
    done = quarantined(path, wanted, tmp_path / "q")
    assert rows(done.bad) == [0, 1, 4, 5, 6, 7, 8, 9]  # 2 is alone, because 3 has no value
    assert rows(done.bad, "DISTINCT mlgate_broken") == ["p.unique"]
    assert rows(done.good) == [2, 3]


def test_several_reasons_are_all_named(tmp_path: Path) -> None:
    path = write(tmp_path, "SELECT 1 AS id, 'it''s' AS p UNION ALL SELECT 1, NULL")
    wanted = [
        expectation("be_unique", "id's", column="id"),
        expectation("not_be_null", "p.required", column="p"),
        expectation("be_increasing", "id.increasing", column="id", strictly=True),
    ]
    done = quarantined(path, wanted, tmp_path / "q")
    assert rows(done.bad, "mlgate_broken") == ["id's", "id's, p.required, id.increasing"]


def test_good_data_leave_an_empty_file_of_bad_rows(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    done = quarantined(path, [expectation("not_be_null", "id.required", column="id")], tmp_path / "q")
    assert (done.bad_rows, done.good_rows) == (0, 10)
    assert rows(done.bad) == []
    assert rows(done.good) == list(range(10))


def test_the_order_of_many_rows_is_kept_over_several_files(tmp_path: Path) -> None:
    one = write(tmp_path, "SELECT range AS id FROM range(150000)", "a.parquet")
    two = write(tmp_path, "SELECT range + 150000 AS id FROM range(150000)", "b.parquet")
    con = reading.connect()
    table = opened(con, one, two, shown="data/*.parquet")
    wanted = [expectation("not_be_in_set", "id.odd", column="id", value_set=[7, 149_999, 150_000])]
    done = engine.quarantine(con, table, wanted, tmp_path / "q")
    assert rows(done.bad, "id, mlgate_row") == [(7, 8), (149_999, 150_000), (150_000, 1)]
    assert rows(done.good) == [n for n in range(300_000) if n not in {7, 149_999, 150_000}]


def test_a_column_of_our_own_name_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "SELECT 1 AS id, 2 AS MLGATE_Broken")
    with pytest.raises(MlgateError, match="mlgate_broken"):
        quarantined(path, [], tmp_path / "q")
    assert not (tmp_path / "q").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("a file")
    with pytest.raises(MlgateError, match="cannot be written"):
        quarantined(write(tmp_path, ROWS), [], tmp_path / "q")


def test_text_stays_as_it_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text('day,price,flag,note\n2020-01-01 10:00,1.50,TRUE,"a, ""b"""\n2020-01-02 10:00,-3.10,False,\n')
    done = quarantined(path, [expectation("be_between", "price.min", column="price", min_value=0)], tmp_path / "q")
    assert done.good.read_text() == 'day,price,flag,note\n2020-01-01 10:00,1.50,TRUE,"a, ""b"""\n'
    bad = done.bad.read_text().splitlines()
    assert bad[1].startswith("2020-01-02 10:00,-3.10,False,,2,")
    assert bad[1].endswith(",price.min")
