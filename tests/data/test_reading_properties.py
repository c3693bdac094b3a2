"""Random well-formed tables: what is read is what Python's csv module and pyarrow read, row by row."""

# ruff: noqa: S608 -- relations made by mlgate itself

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from data.files import Data
from mlgate.config.settings import Read
from mlgate.data.reading import rungs

duckdb = pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

slow = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
NUMBERS = ["0", "1", "-5", "007", "1.5", "1e5", "nan", "inf", " 1", "1 ", "+1", "1_0", "-0", ".5", "5.", str(2**63)]
MOMENTS = ["2024-01-05", "2024-01-05 10:00", "2024-01-05T10:00:00Z", "2024-02-30"]
WORDS = ["", "true", "False", "NA", "null", "#", "'", "\\", "\\n", "ä", "😀", "\ufeff", "\u2028", "\x1a", "\t", ";"]
TOKENS = st.sampled_from([*NUMBERS, *MOMENTS, *WORDS, '"', '""', ",", "\n", "\r\n", "\r", "a\nb"])
CELLS = st.one_of(TOKENS, st.text(CHARACTERS, max_size=6), st.integers(-(2**70), 2**70).map(str), st.floats().map(repr))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data(tmp_path_factory.mktemp("data"))


@st.composite
def grids(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    columns = [draw(st.one_of(st.lists(TOKENS, max_size=9), st.lists(CELLS, max_size=9))) for _ in range(width)]
    height = max(map(len, columns))
    return [[(column or [""])[n % max(len(column), 1)] for column in columns] for n in range(height)]


def type_of(values: list[str]) -> str:
    """The rule of `rungs`, once more and in Python."""
    bare = [value.strip(" \t\n\v\f\r") for value in values]
    if not values:
        return "VARCHAR"
    for type_, fits in FITS.items():
        if all(fits(value) for value in bare):
            return type_
    return "VARCHAR"


def _integer(low: int, high: int) -> Any:
    return lambda text: re.fullmatch("0|-?[1-9][0-9]*", text) is not None and low <= int(text) <= high


def _double(text: str) -> bool:
    if re.fullmatch("(?i)-?(nan|inf|infinity)", text):
        return True
    if not re.fullmatch(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", text):
        return False
    return math.isfinite(float(text)) and (abs(float(text)) < 2**53 or re.fullmatch("-?[0-9]+", text) is None)


def _date(text: str) -> bool:
    return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None and _iso(text)


def _time(zone: str) -> Any:
    pattern = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?{zone}"
    return lambda text: re.fullmatch(pattern, text) is not None and _iso(text)


def _iso(text: str) -> bool:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


FITS: dict[str, Any] = {
    "BOOLEAN": lambda text: text in {"true", "false", "True", "False", "TRUE", "FALSE"},
    "BIGINT": _integer(-(2**63), 2**63 - 1),
    "HUGEINT": _integer(-(2**127), 2**127 - 1),
    "DOUBLE": _double,
    "DATE": _date,
    "TIMESTAMP": _time(""),
    "TIMESTAMP WITH TIME ZONE": _time("(Z|[-+][0-9]{2}(:?[0-9]{2})?)"),
}


@slow
@given(
    grid=grids(), ending=st.sampled_from(["\n", "\r\n"]), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
)
@example(grid=[["1"], [""], ["2"]], ending="\n", quoting=csv.QUOTE_MINIMAL)
@example(grid=[["x", "5\r\n"], ["", '"']], ending="\r\n", quoting=csv.QUOTE_MINIMAL)
def test_csv_is_read_as_python_reads_it(data: Data, grid: list[list[str]], ending: str, quoting: Any) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator=ending, quoting=quoting)
    width = len(grid[0]) if grid else 2
    writer.writerows([[f"c{n}" for n in range(width)], *grid])
    data.write("a.csv", stream.getvalue())
    stream.seek(0)
    expected = [row or [""] for row in csv.reader(stream)][1:]
    assume(expected == grid)  # Python quotes no lone carriage return
    table = data.read("a.csv")
    columns = list(zip(*expected, strict=True)) or [()] * width
    assert [column.type for column in table.columns] == [type_of([v for v in values if v]) for values in columns]
    found = data.con.execute(f"SELECT * FROM {as_text(table.relation, table)}").fetchall()
    assert len(found) == len(expected)
    for values, read, column in zip(columns, zip(*found, strict=True), table.columns, strict=False):
        for value, text in zip(values, read, strict=True):
            assert same(value, text, column.type)
    numbers = data.con.execute(f"SELECT mlgate_row FROM {table.numbered}").fetchall()
    assert numbers == [(n + 1,) for n in range(len(expected))]


def as_text(relation: str, table: Any) -> str:
    return f"(SELECT {', '.join(f'CAST({c.name} AS VARCHAR)' for c in table.columns)} FROM {relation})"


def same(value: str, text: str | None, type_: str) -> bool:
    """Whether a value of the file is what was read, written as DuckDB writes it."""
    if not value or text is None:
        return not value and text is None
    if type_ in {"BIGINT", "HUGEINT"}:
        return int(value) == int(text)
    if type_ == "DOUBLE":
        return float(value) == float(text) or (math.isnan(float(value)) and math.isnan(float(text)))
    if type_ == "BOOLEAN":
        return value.strip().lower() == text
    if type_ == "VARCHAR":
        return value == text
    return dt.datetime.fromisoformat(value.strip()) == dt.datetime.fromisoformat(text)


@settings(slow, max_examples=60)
@given(
    text=st.one_of(
        CELLS, st.text("0123456789.eE+-_ xninfa", max_size=9), st.from_regex(r"[-+]?[0-9._]+([eE][-+]?[0-9_]+)?")
    )
)
def test_the_quick_way_is_the_strict_way(data: Data, text: str) -> None:
    """What a scan accepts at a glance is nothing that the rule would refuse."""
    for rung in rungs.RUNGS:
        query = (
            f"SELECT ({rungs.value('v', 'x', rung, 0)})::VARCHAR "
            f"FROM (SELECT v, {rungs.made('v', rung)} AS x FROM (SELECT ?::VARCHAR AS v))"
        )
        may = data.con.execute(f"SELECT {rungs.fitting('v')} & {rung.bit} FROM (SELECT ?::VARCHAR AS v)", [text])
        if not may.fetchone()[0]:
            with pytest.raises(duckdb.Error, match=rungs.MARK):
                data.con.execute(query, [text])
            continue
        accepted = data.con.execute(query, [text]).fetchone()
        known = f"SELECT ({rungs.known('v', rung)})::VARCHAR FROM (SELECT ?::VARCHAR AS v)"
        assert accepted == data.con.execute(known, [text]).fetchone() != (None,)


VALUES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): st.floats(),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"])),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.decimal128(38, 10): st.decimals(-(10**27), 10**27, places=10, allow_nan=False),
    pa.list_(pa.int64()): st.lists(st.integers(-9, 9), max_size=3),
}


@st.composite
def tables(draw: st.DrawFn) -> Any:
    rows = draw(st.integers(0, 6))
    types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4))
    columns = [
        pa.array(draw(st.lists(st.none() | VALUES[type_], min_size=rows, max_size=rows)), type_) for type_ in types
    ]
    return pa.table(columns, names=[f"c{n}" for n in range(len(columns))])


@slow
@given(table=tables(), size=st.integers(1, 4), codec=st.sampled_from(["none", "snappy", "zstd"]))
def test_parquet_is_read_as_pyarrow_reads_it(data: Data, table: Any, size: int, codec: str) -> None:
    pq.write_table(table, data.root / "a.parquet", row_group_size=size, compression=codec)
    expected = pq.read_table(data.root / "a.parquet").to_pylist()
    found = data.rows("a.parquet")
    assert [[repr(value) for value in row] for row in found] == [[repr(v) for v in row.values()] for row in expected]
    assert [row[-1] for row in data.numbered("a.parquet")] == list(range(1, len(expected) + 1))


JSON = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(), st.text(CHARACTERS, max_size=5), TOKENS
)
KEYS = st.sampled_from(["a", "b c", "é", 'q"', "x.y", "$", "0"])


@slow
@given(
    rows=st.lists(st.dictionaries(KEYS, JSON, max_size=4), min_size=1, max_size=8).filter(any), escaped=st.booleans()
)
def test_json_lines_are_read_as_python_reads_them(data: Data, rows: list[dict[str, Any]], escaped: bool) -> None:
    data.write("a.jsonl", "".join(json.dumps(row, ensure_ascii=escaped) + "\n" for row in rows))
    table = data.read("a.jsonl")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    assert sorted(column.name for column in table.columns) == sorted(keys)
    found = data.con.execute(f"SELECT * FROM {table.relation}").fetchall() if not zoned(table) else []
    for row, read in zip(rows, found, strict=False):
        for column, value in zip(table.columns, read, strict=True):
            assert equal(value, row.get(column.name), column.type)
    assert data.con.execute(f"SELECT count(*) FROM {table.relation}").fetchone() == (len(rows),)


def equal(value: Any, of_python: Any, type_: str) -> bool:
    """Whether what DuckDB gives is what Python's json gives."""
    if value is None or of_python is None:
        return value is of_python
    if type_ == "DOUBLE":
        return bool(value == float(of_python)) or (math.isnan(value) and math.isnan(of_python))
    if type_ in {"BIGINT", "HUGEINT", "BOOLEAN"} or (type_ == "VARCHAR" and isinstance(of_python, str)):
        return bool(value == of_python)
    return True  # text in a column of dates, or numbers in one of text: the types say so


def zoned(table: Any) -> bool:
    return any("ZONE" in column.type for column in table.columns)


@slow
@given(rows=st.lists(st.tuples(st.text(CHARACTERS, max_size=4), st.text(CHARACTERS, max_size=4)), max_size=5))
@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings_are_read_as_python_reads_them(data: Data, encoding: str, rows: list[tuple[str, str]]) -> None:
    if encoding == "latin-1":
        rows = [tuple(cell.encode("latin-1", "replace").decode("latin-1") for cell in row) for row in rows]  # type: ignore[misc]
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        [("n", "a", "b"), *(("x", *row) for row in rows)]
    )
    data.write("e.csv", stream.getvalue().encode(encoding))
    table = data.read("e.csv", Read(encoding=encoding))  # type: ignore[arg-type]
    found = data.con.execute(f"SELECT * FROM {as_text(table.relation, table)}").fetchall()
    assert len(found) == len(rows)
    for (
        (_, *read),
        row,
    ) in zip(found, rows, strict=True):
        for text, cell, column in zip(read, row, table.columns[1:], strict=True):
            assert same(cell, text, column.type)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_large_files_are_read_whole(tmp_path: Path, suffix: str) -> None:
    """Buffers and threads cut a file anywhere: no row is lost, doubled or joined."""
    data = Data(tmp_path)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(["n", "a", "b"])
    lines = [[n, '"\n,' * (n % 7) + "x" * (n * 7919 % 211), "\r\n" if n % 3 else "é"] for n in range(200_000)]
    writer.writerows(lines)
    content = stream.getvalue().encode()
    data.write(f"a.csv{suffix}", gzip.compress(content, 1) if suffix else content)
    table = data.open(f"a.csv{suffix}")
    query = "SELECT count(*), sum(n), sum(length(a)), sum(length(b)), count(DISTINCT n) FROM "
    totals = (len(lines), sum(x[0] for x in lines), sum(len(x[1]) for x in lines), sum(len(x[2]) for x in lines))
    assert data.con.execute(query + table.relation).fetchone() == (*totals, len(lines))
    wrong = f"SELECT count(*) FILTER (n + 1 <> mlgate_row), count(*) FROM {table.numbered}"
    assert data.con.execute(wrong).fetchone() == (0, len(lines))
