"""What is read from well-formed files: every row, with the values and types that the whole file shows."""

# ruff: noqa: S608 -- relations made by mlgate itself

from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.files import Data, one
from mlgate.config.settings import Read
from mlgate.data import reading
from mlgate.data.reading.paths import names
from mlgate.errors import MlgateError

duckdb = pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

BIG = 123456789012345678901234567890


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


# the values of one column, as the file has them -> its type, and what is read
TYPES: dict[str, tuple[list[str], str, list[Any]]] = {
    "integers": (["1", "-20", "0"], "BIGINT", [1, -20, 0]),
    "integers with blanks": ([" 1", "2 "], "BIGINT", [1, 2]),
    "64 bits": (["9223372036854775807", "-9223372036854775808"], "BIGINT", [2**63 - 1, -(2**63)]),
    "more than 64 bits": (["9223372036854775808", "1"], "HUGEINT", [2**63, 1]),
    "30 digits": ([str(BIG)], "HUGEINT", [BIG]),
    "more than 128 bits": (["1" * 40, "2"], "VARCHAR", ["1" * 40, "2"]),
    "zip codes": (["01067", "10115"], "VARCHAR", ["01067", "10115"]),
    "zip codes, negative": (["-01", "-2"], "VARCHAR", ["-01", "-2"]),
    "telephone numbers": (["+4930", "+4940"], "VARCHAR", ["+4930", "+4940"]),
    "underscores": (["2024_10", "2024_11"], "VARCHAR", ["2024_10", "2024_11"]),
    "hexadecimal": (["0x10", "0x11"], "VARCHAR", ["0x10", "0x11"]),
    "numbers": (["1.5", "-0.25", "2"], "DOUBLE", [1.5, -0.25, 2.0]),
    "numbers, short": ([".5", "5.", "-.5"], "DOUBLE", [0.5, 5.0, -0.5]),
    "exponents": (["1e5", "1E-3", "2.5e+10"], "DOUBLE", [1e5, 1e-3, 2.5e10]),
    "minus zero": (["-0", "1"], "DOUBLE", [-0.0, 1.0]),
    "infinities": (["inf", "-inf", "Infinity", "1.5"], "DOUBLE", [float("inf"), -float("inf"), float("inf"), 1.5]),
    "too large for a double": (["1e400", "1.5"], "VARCHAR", ["1e400", "1.5"]),
    "an integer that a double rounds": (["9007199254740993", "1.5"], "VARCHAR", ["9007199254740993", "1.5"]),
    "leading zeros before a point": (["007.5", "1.5"], "VARCHAR", ["007.5", "1.5"]),
    "thousands": (['"1,000"', '"2,000"'], "VARCHAR", ["1,000", "2,000"]),
    "NA is text": (["1", "NA", "3"], "VARCHAR", ["1", "NA", "3"]),
    "booleans": (["true", "False", "TRUE"], "BOOLEAN", [True, False, True]),
    "no booleans": (["t", "f"], "VARCHAR", ["t", "f"]),
    "yes and no": (["yes", "no"], "VARCHAR", ["yes", "no"]),
    "booleans and numbers": (["true", "1"], "VARCHAR", ["true", "1"]),
    "zero and one": (["0", "1"], "BIGINT", [0, 1]),
    "dates": (["2024-01-05", "0001-01-01"], "DATE", [dt.date(2024, 1, 5), dt.date(1, 1, 1)]),
    "no dates": (["2024-1-5", "2024-01-05"], "VARCHAR", ["2024-1-5", "2024-01-05"]),
    "days that are none": (["2024-02-30"], "VARCHAR", ["2024-02-30"]),
    "slashes": (["2024/01/05", "01/02/2024"], "VARCHAR", ["2024/01/05", "01/02/2024"]),
    "infinite dates": (["infinity", "2024-01-05"], "VARCHAR", ["infinity", "2024-01-05"]),
    "epoch": (["epoch", "2024-01-05"], "VARCHAR", ["epoch", "2024-01-05"]),
    "times": (
        ["2024-01-05 10:00", "2024-01-05T10:00:01.5"],
        "TIMESTAMP",
        [dt.datetime(2024, 1, 5, 10), dt.datetime(2024, 1, 5, 10, 0, 1, 500_000)],
    ),
    "times and dates": (["2024-01-05", "2024-01-05 10:00"], "VARCHAR", ["2024-01-05", "2024-01-05 10:00"]),
    "hour 24": (["2024-01-05 24:00"], "VARCHAR", ["2024-01-05 24:00"]),
    "zones": (
        ["2024-01-05T10:00:00Z", "2024-01-05 10:00+02:00", "2024-01-05 10:00-0130"],
        "TIMESTAMP WITH TIME ZONE",
        [
            dt.datetime(2024, 1, 5, 10),
            dt.datetime(2024, 1, 5, 8),
            dt.datetime(2024, 1, 5, 11, 30),
        ],
    ),
    "zones and none": (
        ["2024-01-05T10:00:00Z", "2024-01-05T10:00:00"],
        "VARCHAR",
        ["2024-01-05T10:00:00Z", "2024-01-05T10:00:00"],
    ),
    "text": (["a", "ä", "😀"], "VARCHAR", ["a", "ä", "😀"]),
    "blanks of text": ([" a", "b "], "VARCHAR", [" a", "b "]),
    "missing": (["1", "", "3"], "BIGINT", [1, None, 3]),
    "missing, quoted": (["1", '""', "3"], "BIGINT", [1, None, 3]),
    "quoted numbers": (['"1"', '"2"'], "BIGINT", [1, 2]),
    "only missing": (["", ""], "VARCHAR", [None, None]),
}


@pytest.mark.parametrize("case", TYPES)
def test_the_type_of_a_column_of_csv(data: Data, case: str) -> None:
    values, type_, read = TYPES[case]
    data.write("a.csv", "c,n\n" + "".join(f"{value},{n}\n" for n, value in enumerate(values)))
    assert data.types("a.csv")["c"] == type_
    assert [row[0] for row in data.rows("a.csv")] == read
    assert [str(row[0]) for row in data.rows("a.csv")] == [
        str(value) for value in read
    ]  # True is no 1, and -0.0 no 0.0


@pytest.mark.parametrize("case", TYPES)
def test_the_type_depends_on_the_whole_file(data: Data, case: str) -> None:
    """The first rows say nothing of the last ones: the same types whichever comes first, also in another file."""
    values, type_, _ = TYPES[case]
    if len(values) < 2:
        values = [*values, values[0]]
    for first, last in ((values[0], values[1:]), (values[-1], values[:-1])):
        head, tail = f"{first},0\n" * 2_500, "".join(f"{value},1\n" for value in last)
        data.write("a.csv", f"c,n\n{head}{tail}")
        assert data.types("a.csv")["c"] == type_
        assert len(data.rows("a.csv")) == 2_500 + len(last)
        data.write("d/1.csv", f"c,n\n{head}")
        data.write("d/2.csv", f"n,c\n{''.join(f'1,{value}' + chr(10) for value in last)}")
        assert data.types("d")["c"] == type_


def test_nan_is_a_number(data: Data) -> None:
    data.write("a.csv", "c,n\n1.5,1\nnan,2\nNaN,3\n")
    assert data.types("a.csv")["c"] == "DOUBLE"
    assert one(data, data.open("a.csv"), "SELECT count(c), count(*) FILTER (isnan(c)) FROM {}") == (3, 2)


def test_nanoseconds_are_kept(data: Data) -> None:
    data.write("a.csv", "c,n\n2024-01-05 10:00:00.123456789,1\n2024-01-05 10:00,2\n")
    assert data.types("a.csv")["c"] == "TIMESTAMP_NS"
    assert one(data, data.open("a.csv"), "SELECT max(c)::VARCHAR FROM {}") == ("2024-01-05 10:00:00.123456789",)


# content -> how it is read, and the rows
READ: dict[str, tuple[str, bytes | str, Read, list[tuple[Any, ...]]]] = {
    "crlf": ("a.csv", "a,b\r\n1,x\r\n2,y\r\n", Read(), [(1, "x"), (2, "y")]),
    "no newline at the end": ("a.csv", "a,b\n1,x", Read(), [(1, "x")]),
    "header only": ("a.csv", "a,b\n", Read(), []),
    "header only, no newline": ("a.csv", "a,b", Read(), []),
    "bom": ("a.csv", "\ufeffa,b\n1,x\n", Read(), [(1, "x")]),
    "bom and quotes": ("a.csv", '\ufeff"a","b"\n1,x\n', Read(), [(1, "x")]),
    "empty lines are no rows": ("a.csv", "a,b\n1,x\n\n2,y\n\n", Read(), [(1, "x"), (2, "y")]),
    "one column": ("a.csv", "a\n1\n\n2\n", Read(), [(1,), (None,), (2,)]),
    "newline in a value": ("a.csv", 'a,b\n1,"x\ny"\n2,"z"\n', Read(), [(1, "x\ny"), (2, "z")]),
    "quotes": ("a.csv", 'a,b\n1,"x ""y"", z"\n', Read(), [(1, 'x "y", z')]),
    "a quote inside": ("a.csv", 'a,b\n1,5" pipe\n', Read(), [(1, '5" pipe')]),
    "a delimiter at the end of a line": ("a.csv", "a,b\n1,x,\n2,y\n", Read(), [(1, "x"), (2, "y")]),
    "a quoted value after a blank": ("a.csv", 'a,b\n1, "x,y"\n', Read(), [(1, "x,y")]),
    "no comments": ("a.csv", "a,b\n#1,x\n", Read(), [("#1", "x")]),
    "semicolons": ("a.csv", "a;b\n1;x,y\n", Read(delimiter=";"), [(1, "x,y")]),
    "a single column that holds a semicolon": ("a.csv", "a;b\nx;y\n", Read(delimiter=","), [("x;y",)]),
    "tsv": ("a.tsv", "a\tb\n1\tx,y\n", Read(), [(1, "x,y")]),
    "other quotes": ("a.csv", "a,b\n1,'x,y'\n", Read(quote="'"), [(1, "x,y")]),
    "no header": ("a.csv", "1,x\n2,y\n", Read(header=False), [(1, "x"), (2, "y")]),
    "nulls": ("a.csv", "a,b\n1,NA\nNA,\n", Read(nulls=["NA"]), [(1, None), (None, "")]),
    "several nulls": (
        "a.csv",
        'a,b\n1,NA\n-,"-"\n,x\n',
        Read(nulls=["", "NA", "-"]),
        [(1, None), (None, None), (None, "x")],
    ),
    "no nulls": ("a.csv", "a,b\n1,\n2,x\n", Read(nulls=[]), [(1, ""), (2, "x")]),
    "latin-1": ("a.csv", "a,b\n1,é\n".encode("latin-1"), Read(encoding="latin-1"), [(1, "é")]),
    "latin-1 header": ("a.csv", "a,é\n1,é\n".encode("latin-1"), Read(encoding="latin-1"), [(1, "é")]),
    "utf-16": ("a.csv", "a,b\n1,é€😀\n".encode("utf-16"), Read(encoding="utf-16"), [(1, "é€😀")]),
    "utf-16 be": ("a.csv", b"\xfe\xff" + "a,b\n1,é😀\n".encode("utf-16-be"), Read(encoding="utf-16"), [(1, "é😀")]),
    "gzip": ("a.csv.gz", gzip.compress(b"a,b\n1,x\n"), Read(), [(1, "x")]),
    "format said": ("a.dat", "a,b\n1,x\n", Read(format="csv"), [(1, "x")]),
    "jsonl": (
        "a.jsonl",
        '{"a": 1, "b": "x"}\n{"b": "y"}\n\n{"a": null}',
        Read(),
        [(1, "x"), (None, "y"), (None, None)],
    ),
    "jsonl.gz": ("a.jsonl.gz", gzip.compress(b'{"a": 1, "b": "x"}\n'), Read(), [(1, "x")]),
    "a late key": ("a.jsonl", '{"a": 1}\n' * 40_000 + '{"z": 2}\n', Read(), [(1, None)] * 40_000 + [(None, 2)]),
    "text and numbers": ("a.jsonl", '{"a": 1}\n{"a": "x"}\n', Read(), [("1",), ("x",)]),
    "numbers": ("a.jsonl", '{"a": 1}\n{"a": 2.5}\n', Read(), [(1.0,), (2.5,)]),
    "text of digits": ("a.jsonl", '{"a": "1"}\n{"a": "2"}\n', Read(), [("1",), ("2",)]),
    "big numbers": ("a.jsonl", f'{{"a": {BIG}}}\n{{"a": 1}}\n', Read(), [(BIG,), (1,)]),
    "booleans": ("a.jsonl", '{"a": true}\n{"a": false}\n', Read(), [(True,), (False,)]),
    "dates": ("a.jsonl", '{"a": "2024-01-05"}\n', Read(), [(dt.date(2024, 1, 5),)]),
    "nested": ("a.jsonl", '{"a": 1, "b": {"c": [1]}}\n', Read(), [(1, '{"c":[1]}')]),
    "odd keys": ("a.jsonl", '{"a.b": 1, "$": 2, "it\'s": 3, "\\"": 4}\n', Read(), [(1, 2, 3, 4)]),
}


@pytest.mark.parametrize("case", READ)
def test_what_is_read(data: Data, case: str) -> None:
    file, content, read, rows = READ[case]
    data.write(file, content)
    assert data.rows(file, read) == rows
    if file.endswith(".csv"):
        data.write(file + ".gz", gzip.compress((data.root / file).read_bytes()))
        assert data.rows(file + ".gz", read) == rows


def test_zstd_is_read(data: Data) -> None:
    for file, content in {
        "a.csv": 'a,"b\nc"\n1,x\n2,y\n',
        "a.jsonl": '{"a": 1, "b\\nc": "x"}\n{"a": 2, "b\\nc": "y"}\n',
    }.items():
        packed = pa.compress(content.encode(), codec="zstd", asbytes=True)
        data.write(f"{file}.zst", packed)
        assert data.rows(f"{file}.zst") == [(1, "x"), (2, "y")]
        assert list(data.types(f"{file}.zst")) == ["a", "b\nc"]


def test_the_names_of_columns(data: Data) -> None:
    data.write("a.csv", '\ufeff"x ""y""",,b.c, d\n1,2,3,4\n')
    assert list(data.types("a.csv")) == ['x "y"', "Unnamed: 1", "b.c", " d"]
    data.write("b.csv", "1,2\n")
    assert list(data.types("b.csv", Read(header=False))) == ["column0", "column1"]


def test_parquet_keeps_its_types(data: Data) -> None:
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int32()),
            "u": pa.array([2**64 - 1, 0], pa.uint64()),
            "d": pa.array([Decimal("1.10"), None], pa.decimal128(20, 2)),
            "f": pa.array([1.5, float("nan")], pa.float32()),
            "t": pa.array(["x", ""]).dictionary_encode(),
            "s": pa.array([0, 1], pa.timestamp("us")),
            "z": pa.array([0, 1], pa.timestamp("us", "Europe/Berlin")),
            "l": pa.array([[1], []]),
            "o": pa.array([{"x": 1}, None]),
            "b": pa.array([True, None]),
            "day": pa.array([dt.date(2024, 1, 5), None]),
        }
    )
    pq.write_table(table, data.root / "a.parquet")
    columns = data.open("a.parquet").columns
    assert {column.name: (column.type, column.kind) for column in columns} == {
        "i": ("INTEGER", "integer"),
        "u": ("UBIGINT", "integer"),
        "d": ("DECIMAL(20,2)", "number"),
        "f": ("FLOAT", "number"),
        "t": ("VARCHAR", "text"),
        "s": ("TIMESTAMP", "timestamp"),
        "z": ("TIMESTAMP WITH TIME ZONE", "timestamp"),
        "l": ("BIGINT[]", "other"),
        "o": ("STRUCT(x BIGINT)", "other"),
        "b": ("BOOLEAN", "boolean"),
        "day": ("DATE", "date"),
    }
    assert one(data, data.open("a.parquet"), "SELECT min(d), max(u), count(i) FROM {}") == (
        Decimal("1.10"),
        2**64 - 1,
        1,
    )


def test_the_footer_of_parquet_hides_no_nan(data: Data) -> None:
    pq.write_table(pa.table({"x": [1.0, float("nan")] * 50}), data.root / "a.parquet")
    table = data.open("a.parquet")
    missing = "nullif(x, CAST('nan' AS DOUBLE))"
    assert one(data, table, f"SELECT count({missing}), max({missing}) FROM {{}}") == (50, 1.0)
    for condition in ("isnan(x)", "x > 1", "NOT x <= 1", "x = CAST('nan' AS DOUBLE)"):
        assert one(data, table, f"SELECT count(*) FROM {{}} WHERE {condition}") == (50,)


def test_several_files_are_one_table(data: Data) -> None:
    data.write("d/1.csv", "a,b\n1,x\n2,y\n")
    data.write("d/sub/2.csv", "b,a\nz,3\n")
    data.write("d/README.md", "no data")
    data.write("d/.hidden.csv", "c\n1\n")
    data.write("d/_SUCCESS", "")
    assert data.rows("d") == data.rows("d/**/*.csv") == [(1, "x"), (2, "y"), (3, "z")]
    assert data.numbered("d") == [(1, "x", "d/1.csv", 1), (2, "y", "d/1.csv", 2), (3, "z", "d/sub/2.csv", 1)]
    assert data.rows("d/*.csv") == [(1, "x"), (2, "y")]


def test_parquet_files_in_another_order_are_one_table(data: Data) -> None:
    (data.root / "year=2024").mkdir()
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), data.root / "year=2024" / "1.parquet")
    pq.write_table(pa.table({"b": ["z"], "a": [3]}), data.root / "year=2024" / "2.parquet")
    assert data.rows("year=2024") == [(1, "x"), (2, "y"), (3, "z")]
    assert [row[-2:] for row in data.numbered("year=2024")] == [
        ("year=2024/1.parquet", 1),
        ("year=2024/1.parquet", 2),
        ("year=2024/2.parquet", 1),
    ]


NAMED = {
    "a.csv": ["a.csv"],
    "./a.csv": ["a.csv"],
    "d": ["d/a.csv", "d/d/a.csv"],
    "d/d": ["d/d/a.csv"],
    "d/*.csv": ["d/a.csv"],
    "d/*/*.csv": ["d/d/a.csv"],
    "**/*.csv": ["a.csv", "d/a.csv", "d/d/a.csv"],
    "*": ["a.csv", "d/a.csv", "d/d/a.csv"],
}


@pytest.mark.parametrize("shown", NAMED)
def test_what_files_are_called(tmp_path: Path, shown: str) -> None:
    data = Data(tmp_path / "d")  # the repository may be called like a folder in it
    for file in ("a.csv", "d/a.csv", "d/d/a.csv"):
        data.write(file, "a\n1\n")
    files = reading.resolve(data.root, shown)
    called = sorted(names(files, shown).values())
    # What a pattern without a folder's name starts from is not known here: the names then begin where the files part.
    assert called == (NAMED[shown] if len(files) == 1 or "*" not in shown else sorted({*called}))
    assert len(called) == len(files)


def test_names_of_parquet_columns_are_never_options(data: Data) -> None:
    pq.write_table(pa.table({"file_row_number": [7, 8], "filename": ["x", "y"]}), data.root / "a.parquet")
    assert data.numbered("a.parquet") == [(7, "x", "a.parquet", 1), (8, "y", "a.parquet", 2)]


def test_duplicate_names_of_parquet_are_named(data: Data) -> None:
    table = pa.table([pa.array([1]), pa.array([{"a": 1}]), pa.array([2])], names=["a", "s", "A"])
    pq.write_table(table, data.root / "a.parquet")
    with pytest.raises(MlgateError, match=r"columns 'a' and 'A', equal but for upper and lower case \(columns 1"):
        data.open("a.parquet")


@pytest.mark.parametrize(
    "name",
    [
        "it's.csv",
        "a b.csv",
        "ü😀.csv",
        "[ab].csv",
        "a*.csv",
        "a?.csv",
        "{x}.csv",
        '".csv',
        "a\\b.csv",
        "%s.csv",
        "-.csv",
    ],
)
def test_a_files_name_is_taken_literally(data: Data, name: str) -> None:
    data.write(name, "a\n1\n")
    for other in ("a.csv", "ab.csv", "a1.csv", "x.csv", "b.csv"):
        data.write(other, "a\n2\n")
    assert data.numbered(name) == [(1, name, 1)]


@pytest.mark.parametrize("packed", [False, True])
def test_rows_are_numbered_in_the_order_of_the_file(data: Data, packed: bool) -> None:
    """Also with quoted newlines, several buffers and parallel scans."""
    lines = [f'{n},"{"x" * (n % 50)}\n""{n}"",\r\ny"\n' for n in range(300_000)]
    content = ("n,t\n" + "".join(lines)).encode()
    name = "a.csv.gz" if packed else "a.csv"
    data.write(name, gzip.compress(content, 1) if packed else content)
    table = data.open(name)
    wrong = data.con.execute(f"SELECT count(*) FILTER (mlgate_row <> n + 1), count(*) FROM {table.numbered}").fetchone()
    assert wrong == (0, 300_000)
    assert one(data, table, "SELECT count(*), sum(n), count(DISTINCT t) FROM {}") == (300_000, 44999850000, 300_000)


def test_json_rows_are_numbered_in_the_order_of_the_file(data: Data) -> None:
    data.write("a.jsonl", "".join(f'{{"n": {n}, "t": "{"x" * (n % 90)}"}}\n' for n in range(400_000)))
    table = data.open("a.jsonl")
    query = f"SELECT count(*) FILTER (mlgate_row <> n + 1), count(*), min(mlgate_file) FROM {table.numbered}"
    assert data.con.execute(query).fetchone() == (0, 400_000, "a.jsonl")


def test_parquet_rows_are_numbered_by_the_file(data: Data) -> None:
    pq.write_table(pa.table({"n": list(range(100_000))}), data.root / "a.parquet", row_group_size=1000)
    table = data.open("a.parquet")
    query = f"SELECT count(*) FILTER (mlgate_row <> n + 1), count(*) FROM {table.numbered} WHERE n % 3 = 0"
    assert data.con.execute(query).fetchone() == (0, 33_334)


LIMITS = {"2GB": 2 * 10**9, "512MiB": 2**29, "": 0, " 1.5 gb ": 1_500_000_000, "40000000B": 40_000_000}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_memory_limit_is_kept(tmp_path: Path, limit: str) -> None:
    con = reading.connect(limit, tmp_path)
    said = con.execute("SELECT current_setting('memory_limit')").fetchone()[0]
    if limit:
        number, unit = said.split()
        factor = {"GiB": 2**30, "MiB": 2**20}[unit]
        assert abs(float(number) * factor - LIMITS[limit]) < 0.1 * factor


@pytest.mark.parametrize("limit", ["much", "2", "2XB", "-2GB", "1KB", "80%", "2GB; SET threads=1", "0GB"])
def test_what_is_no_memory_limit_is_named(limit: str) -> None:
    with pytest.raises(MlgateError, match="memory limit"):
        reading.connect(limit)


def test_the_connection_reaches_for_nothing(tmp_path: Path) -> None:
    con = reading.connect("", tmp_path)
    assert con.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)
    for query in (
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('http://127.0.0.1:9/a.csv')",
        "SELECT * FROM read_csv('s3://bucket/a.csv')",
        "SET autoinstall_known_extensions = true",
        "SET temp_directory = '/'",
        "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
        "SELECT * FROM tmp_path",
    ):
        with pytest.raises(duckdb.Error):
            con.execute(query)
    spill = Path(con.execute("SELECT current_setting('temp_directory')").fetchone()[0])
    assert spill.parent == tmp_path
    assert spill.stat().st_mode & 0o777 == 0o700
