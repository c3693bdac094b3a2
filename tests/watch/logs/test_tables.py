"""Parquet and CSV: the same rows and the same counts as JSON lines give; Parquet without a copy."""

# ruff: noqa: S608 -- relations made by mlgate itself

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mlgate.errors import MlgateError
from watch.logs.made import DAY, DIGEST, adds_up, left_out, line, opened, written

FLAT = {"features": "."}
Put = Callable[..., Path]


def parquet(root: Path, lines: list[dict[str, Any]], name: str = "logs/p.parquet", select: str = "*") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_suffix(".source")
    source.write_bytes(written(lines))
    duckdb.execute("SET TimeZone = 'UTC'")
    duckdb.sql(
        f"COPY (SELECT {select} FROM read_json('{source}', format = 'newline_delimited')) TO '{path}' (FORMAT parquet)"
    )
    source.unlink()
    return path


def flat(number: int, **changed: Any) -> dict[str, Any]:
    one = line(number, **changed)
    return {
        **{key: value for key, value in one.items() if key not in {"features", "hashed", "commit"}},
        **one["features"],
    }


def csv(root: Path, lines: list[dict[str, Any] | str], name: str = "logs/p.csv", end: str = "") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(flat(0))
    rows = [
        one if isinstance(one, str) else ",".join("" if one[k] is None else str(one[k]) for k in names) for one in lines
    ]
    path.write_text("\n".join([",".join(names), *rows]) + "\n" + end)
    return path


def mixed() -> list[dict[str, Any]]:
    return [
        *(flat(n) for n in range(500)),
        flat(1, request_id="before", time="2026-11-19T23:59:59.999Z"),
        flat(1, request_id="after", time="2026-11-21T00:00:00Z"),
        flat(1, request_id="future", time="2026-11-21T06:05:01Z"),
        flat(1, request_id="model", model="other"),
        flat(1, request_id="environment", environment="staging"),
        flat(1, request_id="version", digest="cd" * 32, version="v2.0.0"),
        flat(5),
        flat(5, time="2026-11-20T01:00:00Z", prediction=7),
    ]


REASONS = {
    "before": 1,
    "after": 1,
    "future": 1,
    "other_model": 1,
    "other_environment": 1,
    "other_version": 1,
    "duplicates": 2,
}


def json_lines(root: Path, lines: list[dict[str, Any]]) -> Path:
    path = root / "logs" / "p.jsonl"
    path.parent.mkdir()
    path.write_bytes(written(lines))
    return path


@pytest.mark.parametrize("put", [parquet, csv, json_lines])
def test_every_format_gives_the_same(tmp_path: Path, put: Put) -> None:
    put(tmp_path, mixed())
    con, logged = opened(tmp_path, digest=DIGEST, fields=FLAT)
    assert left_out(logged) == REASONS
    assert adds_up(logged)
    assert logged.counts["rows"] == 500
    assert logged.facts["contradicting"] == 1
    assert logged.versions == {"v1.0.0": 502, "v2.0.0": 1}
    assert {name: logged.types[name] for name in ("age", "income", "health", "prediction")} == {
        "age": "BIGINT",
        "income": "DOUBLE",
        "health": "VARCHAR",
        "prediction": "BIGINT",
    }
    age, income, health = (logged.features[name] for name in ("age", "income", "health"))
    found = con.execute(
        f"SELECT count(*), sum({age}), round(sum({income}), 6), max({health}), sum({logged.prediction}), "
        f"round(sum({logged.score}), 6), sum(latency_ms), sum(row), min(epoch_ms(time)), count(request_id) "
        f"FROM {logged.relation}"
    ).fetchall()
    start = int(DAY.since.timestamp()) * 1000
    assert found == [(500, 22250, 17821.428571, "poor", 250, 247.5, 750.0, 0, start, 500)]


@pytest.mark.parametrize(
    ("time", "fact"),
    [
        ("CAST(time AS TIMESTAMP)", "naive"),
        ("CAST(time AS TIMESTAMPTZ)", ""),
        ("CAST(time AS TIMESTAMP_NS)", "naive"),
        ("CAST(time AS TIMESTAMP_MS)", "naive"),
        ("strftime(CAST(time AS TIMESTAMP), '%Y-%m-%dT%H:%M:%SZ')", ""),
        ("epoch_ms(CAST(time AS TIMESTAMP))", "epoch"),
        ("epoch(CAST(time AS TIMESTAMP))", "epoch"),
    ],
)
def test_times_of_any_type(tmp_path: Path, time: str, fact: str) -> None:
    parquet(tmp_path, mixed(), select=f"* REPLACE ({time} AS time)")
    con, logged = opened(tmp_path, digest=DIGEST, fields=FLAT)
    assert left_out(logged) == REASONS
    assert {name for name in ("naive", "zoned", "epoch") if logged.facts[name]} == ({fact} if fact else set())
    assert con.execute(f"SELECT count(*) FROM {logged.relation}").fetchall() == [(500,)]


def test_parquet_stays_a_scan_and_reads_only_the_parts_of_the_window(tmp_path: Path) -> None:
    lines = [flat(n % 80_000, request_id=f"a{n}") for n in range(80_000)]
    other = [flat(1, time="2026-11-18T00:00:00Z") for _ in range(80_000)]
    parquet(tmp_path, lines, "logs/a.parquet", "* REPLACE (CAST(time AS TIMESTAMPTZ) AS time)")
    parquet(tmp_path, other, "logs/b.parquet", "* REPLACE (CAST(time AS TIMESTAMPTZ) AS time)")
    con, logged = opened(tmp_path, fields=FLAT)
    assert logged.counts["rows"] == 80_000
    assert logged.counts["before"] == 80_000
    assert "read_parquet" in logged.relation
    plan = con.execute(f"EXPLAIN SELECT sum({logged.features['age']}) FROM {logged.relation}").fetchall()[0][1]
    scan = plan[plan.index("READ_PARQUET") :].split("Filters")[0]
    assert "age" in scan
    assert "income" not in scan, "a reader of one column reads no other"
    assert "time>=" in plan.replace(" ", "").replace("\n", "").replace("│", ""), "the window reaches the reader"


@pytest.mark.parametrize(
    "column",
    [
        "{'age': age, 'income': income, 'health': health}",
        "map {'age': CAST(age AS DOUBLE), 'income': income}",
        "CAST(to_json({'age': age, 'income': income}) AS VARCHAR)",
    ],
)
def test_features_in_one_column(tmp_path: Path, column: str) -> None:
    parquet(tmp_path, mixed(), select=f"* EXCLUDE (age, income, health), {column} AS features")
    con, logged = opened(tmp_path, digest=DIGEST)
    assert left_out(logged) == REASONS
    found = con.execute(
        f"SELECT sum({logged.features['age']}), round(sum({logged.features['income']}), 3) FROM {logged.relation}"
    )
    assert found.fetchall() == [(22250, 17821.429)]


def test_files_with_different_columns_are_read_by_name(tmp_path: Path) -> None:
    parquet(tmp_path, [flat(n) for n in range(10)], "logs/a.parquet")
    parquet(tmp_path, [{**flat(n), "new": n} for n in range(10, 20)], "logs/b.parquet")
    con, logged = opened(tmp_path, fields=FLAT)
    assert con.execute(
        f"SELECT count({logged.features['age']}), count({logged.features['new']}) FROM {logged.relation}"
    ).fetchall() == [(20, 10)]


def test_a_column_of_another_type_in_one_file_is_said_by_its_type(tmp_path: Path) -> None:
    parquet(tmp_path, [flat(n) for n in range(10)], "logs/a.parquet")
    parquet(tmp_path, [{**flat(n), "age": "old"} for n in range(10, 20)], "logs/b.parquet")
    con, logged = opened(tmp_path, fields=FLAT)
    assert logged.types["age"] == "VARCHAR"
    assert con.execute(f"SELECT count({logged.features['age']}) FROM {logged.relation}").fetchall() == [(20,)]


def test_broken_and_empty_parquet_are_named(tmp_path: Path) -> None:
    path = parquet(tmp_path, [flat(n) for n in range(10)])
    path.with_name("q.parquet").write_bytes(path.read_bytes()[:-30])
    with pytest.raises(MlgateError, match=r"logs/q.parquet: cannot be read as Parquet|logs/q.parquet cannot be read"):
        opened(tmp_path, fields=FLAT)
    path.with_name("q.parquet").write_bytes(b"")
    with pytest.raises(MlgateError, match=r"logs/q.parquet is empty"):
        opened(tmp_path, fields=FLAT)


def test_another_schema_of_parquet(tmp_path: Path) -> None:
    parquet(tmp_path, [{"when": "2026-11-20", "x": 1}])
    with pytest.raises(MlgateError, match=r"logs/p.parquet has no field 'time'; it has when, x\."):
        opened(tmp_path)


def test_csv_counts_lines_of_another_length_and_keeps_them(tmp_path: Path) -> None:
    csv(
        tmp_path,
        [*(flat(n) for n in range(400)), "only,three,values", *(flat(n) for n in range(400, 500))],
        end="2026-11-20T1",
    )
    _, logged = opened(tmp_path, fields=FLAT)
    assert left_out(logged) == {"corrupt": 1, "unfinished": 1}
    assert logged.counts["lines"] == 502
    assert adds_up(logged)
    assert logged.quarantine is not None
    kept = [json.loads(one) for one in logged.quarantine.read_text().splitlines()]
    assert [one["text"] for one in kept] == ["only,three,values", "2026-11-20T1"]
    with pytest.raises(MlgateError, match=r"cannot be read: 0\.20%"):
        opened(tmp_path, fields=FLAT, max_corrupt=0)


def test_csv_with_an_open_quote_is_an_error_and_not_a_short_file(tmp_path: Path) -> None:
    csv(tmp_path, [flat(1), '"never closed', *(flat(n) for n in range(2, 200))])
    with pytest.raises(
        MlgateError, match=r"logs/p.csv:3: has a quote that is never closed|has a quote that is never closed"
    ):
        opened(tmp_path, fields=FLAT)


def test_csv_files_with_columns_in_another_order(tmp_path: Path) -> None:
    csv(tmp_path, [flat(n) for n in range(10)])
    (tmp_path / "logs" / "q.csv").write_text(
        "prediction;time;request_id;age\n1;2026-11-20T10:00:00Z;x1;44\n0;2026-11-20T10:00:00Z;x2;\n"
    )
    con, logged = opened(tmp_path, fields=FLAT)
    assert logged.counts["rows"] == 12
    assert con.execute(
        f"SELECT {logged.features['age']} FROM {logged.relation} WHERE request_id[1] = 'x' ORDER BY request_id"
    ).fetchall() == [(44,), (None,)]
