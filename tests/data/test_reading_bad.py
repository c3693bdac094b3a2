"""Files that cannot be read: each is named, with the place and how to mend it, and never takes part in a pass."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.files import Data, one
from mlgate.config.settings import Read
from mlgate.data import reading
from mlgate.errors import MlgateError

duckdb = pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


def parquet(**columns: list[Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


GOOD = parquet(a=[1, 2], b=["x", "y"])
ROWS = "1,2\n" * 30_000

# name -> (file, content, how it is read, what the error must say)
BROKEN: dict[str, tuple[str, bytes | str, Read, list[str]]] = {
    "empty": ("a.csv", "", Read(), ["a.csv is empty"]),
    "too many values": ("a.csv", "a,b\n1,2\n1,2,3\n", Read(), ["a.csv:3", "has 3 values", "2 columns"]),
    "too few values": ("a.csv", "a,b\n1,2\n1\n", Read(), ["a.csv:3", "has 1 values", "2 columns"]),
    "ragged late": ("a.csv", f"a,b\n{ROWS}1\n{ROWS}", Read(), ["a.csv:30002", "has 1 values"]),
    "semicolons": ("a.csv", "a;b\n1;2\n", Read(), ["a.csv:1", "one column", "a semicolon", "delimiter: ';'"]),
    "tabs": ("a.csv", "a\tb\n1\t2\n", Read(), ["a tab", 'delimiter: "\\t"']),
    "commas in a tsv": ("a.tsv", "a,b\n1,2\n", Read(), ["a comma", "delimiter: ','"]),
    "utf-16": ("a.csv", "a,b\n1,2\n".encode("utf-16"), Read(), ["a.csv is UTF-16", "encoding: utf-16"]),
    "utf-16 without a mark": ("a.csv", "a,b\n1,2\n".encode("utf-16-le"), Read(), ["a.csv", "NUL"]),
    "utf-8 for utf-16": ("a.csv", "a,b\n1,2\n12\n", Read(encoding="utf-16"), ["a.csv", "utf-16"]),
    "mixed encodings": ("a.csv", "a,b\n1,é\n".encode() + "2,é\n".encode("latin-1"), Read(), ["a.csv:3", "not utf-8"]),
    "mixed encodings, late": ("a.csv", f"a,b\n{ROWS}".encode() + b"2,\xe9\n", Read(), ["a.csv:30002", "not utf-8"]),
    "header not utf-8": ("a.csv", "é,b\n1,2\n".encode("latin-1"), Read(), ["a.csv:1", "not utf-8", "latin-1"]),
    "the same name twice": ("a.csv", "a,b,a\n1,2,3\n", Read(), ["a.csv", "'a' twice", "1 and 3"]),
    "the same but for case": ("a.csv", "Age,b,age\n1,2,3\n", Read(), ["the columns 'Age' and 'age'", "1 and 3"]),
    "our own name": ("a.csv", "mlgate_row,b\n1,2\n", Read(), ["'mlgate_row'", "Rename"]),
    "plain, named gzip": ("a.csv.gz", "a,b\n1,2\n", Read(), ["a.csv.gz is not compressed with gzip", "Remove .gz"]),
    "gzip, named plain": ("a.csv", gzip.compress(b"a,b\n1,2\n"), Read(), ["a.csv is compressed with gzip", ".gz"]),
    "gzip, named zstd": ("a.csv.zst", gzip.compress(b"a,b\n1,2\n"), Read(), ["compressed with gzip"]),
    "gzip, truncated": ("a.csv.gz", gzip.compress(os.urandom(9000))[:4000], Read(), ["a.csv.gz", "gzip"]),
    "zstd, garbage": ("a.csv.zst", b"\x28\xb5\x2f\xfd" + b"x" * 99, Read(), ["a.csv.zst", "zstd"]),
    "a zip": ("a.csv", b"PK\x03\x04" + b"x" * 99, Read(), ["a zip archive, not CSV"]),
    "parquet, named csv": ("a.csv", GOOD, Read(), ["a.csv is Parquet, not CSV"]),
    "quote never closed": ("a.csv", 'a,b\n1,"2\n3,4\n', Read(), ["a.csv:2", "never closed"]),
    "quote never closed in the header": ("a.csv", 'a,"b\n1,2\n3,4\n', Read(), ["a.csv:1", "quote"]),
    "text after a quote": ("a.csv", 'a,b\n1,"2"x\n', Read(), ["a.csv:2", "after the closing one"]),
    "nul": ("a.csv", "a,b\n1,x\0y\n", Read(), ["a.csv:2", "NUL"]),
    "nul at the end": ("a.csv", f"a,b\n{ROWS * 4}".encode() + b"\0" * 4096, Read(), ["a.csv", "NUL"]),
    "an empty line first": ("a.csv", "\na,b\n1,2\n", Read(), ["a.csv:1", "empty line"]),
    "mixed endings": ("a.csv", "a,b\n1,2\r\n3,4\n", Read(), ["a.csv", "line endings"]),
    "unknown ending": ("a.dat", "a,b\n", Read(), ["a.dat", "format", "read: {format: csv}"]),
    "parquet of 0 bytes": ("a.parquet", b"", Read(), ["a.parquet is empty"]),
    "parquet truncated": ("a.parquet", GOOD[:-9], Read(), ["a.parquet", "no Parquet file that can be read"]),
    "parquet, half": ("a.parquet", GOOD[: len(GOOD) // 2], Read(), ["no Parquet file that can", "end of file)"]),
    "no format": ("a.xlsx", "a,b\n1,2\n", Read(), ["a.xlsx does not say", "in mlgate.yaml: `read: {format: csv}`"]),
    "parquet, corrupt length": ("a.parquet", GOOD[:-8] + b"\xff\xff\xff\x7fPAR1", Read(), ["a.parquet", "no Parquet"]),
    "parquet, only its mark": ("a.parquet", b"PAR1", Read(), ["a.parquet", "no Parquet"]),
    "parquet, encrypted": ("a.parquet", b"PARE" + GOOD[4:-4] + b"PARE", Read(), ["a.parquet is encrypted"]),
    "parquet, encrypted columns": ("a.parquet", GOOD[:-4] + b"PARE", Read(), ["a.parquet", "encrypted"]),
    "csv, named parquet": ("a.parquet", "a,b\n1,2\n", Read(), ["a.parquet is not Parquet"]),
    "json array": ("a.json", '[{"a": 1}]', Read(), ["a.json:1", "a JSON array", "one object per line"]),
    "json, a broken line": ("a.jsonl", '{"a": 1}\n{"a": \n{"a": 2}\n', Read(), ["a.jsonl:2", "no JSON"]),
    "json, two a line": ("a.jsonl", '{"a": 1}\n{"a": 1}{"a": 2}\n', Read(), ["a.jsonl:2", "no JSON"]),
    "json, indented": ("a.json", '{\n  "a": 1\n}\n', Read(), ["a.json:1", "no JSON", "one object per line"]),
    "json, a number": ("a.jsonl", '{"a": 1}\n5\n', Read(), ["a.jsonl:2", "no JSON object"]),
    "json, null": ("a.jsonl", '{"a": 1}\nnull\n', Read(), ["a.jsonl:2", "no JSON object"]),
    "json, a key twice": ("a.jsonl", '{"a": 1}\n{"a": 1, "a": 2}\n', Read(), ["a.jsonl", "same key twice"]),
    "json, keys but for case": ("a.jsonl", '{"a": 1}\n{"A": 1}\n', Read(), ["a.jsonl", "the columns 'a' and 'A'"]),
    "json, marked": ("a.jsonl", b'\xef\xbb\xbf{"a": 1}\n', Read(), ["a.jsonl:1", "byte order mark"]),
    "json, not utf-8": ("a.jsonl", b'{"a": 1}\n{"a": "\xe9"}\n', Read(), ["a.jsonl:2"]),
    "json, no keys": ("a.jsonl", "{}\n{}\n", Read(), ["a.jsonl", "no columns"]),
    "json, a key without a name": ("a.jsonl", '{"": 1}\n', Read(), ["a.jsonl", "no name"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named(data: Data, case: str) -> None:
    file, content, read, says = BROKEN[case]
    data.write(file, content)
    with pytest.raises(MlgateError) as caught:
        data.rows(file, read)
    for part in says:
        assert part in str(caught.value)
    assert "/tmp" not in str(caught.value)
    assert caught.value.file == file


@pytest.mark.parametrize("place", [60, 200, 4000])
def test_a_damaged_page_of_parquet_is_named(data: Data, place: int) -> None:
    content = bytearray(parquet(a=list(range(20_000)), b=[str(n * 7919 % 100_003) for n in range(20_000)]))
    content[place : place + 40] = b"\xff" * 40
    data.write("a.parquet", bytes(content))
    with pytest.raises(MlgateError, match=r"a\.parquet: ?cannot be read|a\.parquet"):
        data.rows("a.parquet")


FOLDERS: dict[str, tuple[dict[str, bytes | str], list[str]]] = {
    "a column is missing": (
        {"d/a.csv": "a,b\n1,2\n", "d/b.csv": "a\n1\n"},
        ["d/b.csv has no column 'b'", "d/a.csv"],
    ),
    "a column more": (
        {"d/a.csv": "a\n1\n", "d/b.csv": "a,b\n1,2\n"},
        ["d/b.csv has a column 'b' more", "d/a.csv"],
    ),
    "types differ": (
        {"d/a.parquet": parquet(a=[1]), "d/b.parquet": parquet(a=["x"])},
        ["d/b.parquet has VARCHAR in column 'a', which is BIGINT there", "d/a.parquet"],
    ),
    "formats differ": (
        {"d/a.csv": "a\n1\n", "d/b.parquet": parquet(a=[1])},
        ["d/b.parquet is Parquet", "d/a.csv is CSV"],
    ),
    "one is ragged": ({"d/a.csv": "a,b\n1,2\n", "d/b.csv": "a,b\n1,2\n3\n"}, ["d/b.csv:3", "has 1 values"]),
    "one is empty": ({"d/a.csv": "a,b\n1,2\n", "d/b.csv": ""}, ["d/b.csv is empty"]),
    "one is broken JSON": ({"d/a.jsonl": '{"a": 1}\n', "d/b.jsonl": '{"a": 1}\n{"a"\n'}, ["d/b.jsonl:2", "no JSON"]),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_files_that_are_not_one_table_are_named(data: Data, case: str) -> None:
    files, says = FOLDERS[case]
    for file, content in files.items():
        data.write(file, content)
    with pytest.raises(MlgateError) as caught:
        data.rows("d")
    for part in says:
        assert part in str(caught.value)


def test_a_value_of_the_data_is_in_no_message(data: Data) -> None:
    data.write("a.csv", "a,b\n1,2\nsecret-value,2,3\n")
    with pytest.raises(MlgateError) as caught:
        data.rows("a.csv")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("cells", [1, 3])
def test_a_cell_of_a_hundred_megabytes_is_read(data: Data, cells: int) -> None:
    data.write("a.csv", "a,b\n1,2\n" + f'3,"{"x" * (100 << 20)}"\n' + "4,5\n" * cells)
    table = data.open("a.csv")
    found = one(data, table, "SELECT count(*), max(length(b)), sum(a) FROM {}")
    assert found == (2 + cells, 100 << 20, 4 + 4 * cells)


def test_ten_thousand_columns_are_read(data: Data) -> None:
    names = [f"c{n}" for n in range(10_000)]
    data.write(
        "a.csv", "\n".join([",".join(names), ",".join(map(str, range(10_000))), ",".join(["x"] * 10_000)]) + "\n"
    )
    table = data.open("a.csv")
    assert len(table.columns) == 10_000
    assert one(data, table, "SELECT count(*), max(c9999) FROM {}") == (2, "x")
    assert {column.type for column in table.columns} == {"VARCHAR"}


def test_ten_thousand_columns_are_settled(data: Data) -> None:
    names = [f"c{n}" for n in range(10_000)]
    line = ",".join(["1"] * 10_000)
    data.write("a.csv", "\n".join([",".join(names), *[line] * 40, ",".join(["1"] * 9_999 + ["x"])]) + "\n")
    table = data.read("a.csv", columns=["c0", "c9999"])
    assert [column.type for column in table.columns[-2:]] == ["BIGINT", "VARCHAR"]


LINKS: dict[str, Callable[[Path, Path], None]] = {
    "a file": lambda root, out: (root / "a.csv").symlink_to(out / "a.csv"),
    "a folder": lambda root, out: (root / "a.csv").symlink_to(out),
}


@pytest.mark.parametrize("case", LINKS)
def test_a_link_that_leaves_the_repository_is_refused(tmp_path: Path, case: str) -> None:
    root, out = tmp_path / "repository", tmp_path / "elsewhere"
    root.mkdir(), out.mkdir()
    (out / "a.csv").write_text("a\n1\n")
    LINKS[case](root, out)
    with pytest.raises(MlgateError, match="leaves the repository by a symbolic link"):
        Data(root).rows("a.csv")


def test_a_link_inside_a_folder_is_refused_too(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    (root / "d").mkdir(parents=True)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (root / "d" / "a.csv").write_text("a\n1\n")
    (root / "d" / "b.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(MlgateError, match=r"d/b\.csv.*leaves the repository"):
        Data(root).rows("d")


def test_links_into_a_cache_of_dvc_and_inside_the_repository_are_followed(tmp_path: Path) -> None:
    root, cached = tmp_path / "repository", tmp_path / "cache/files/md5/ab/cdef0123456789abcdef0123456789"
    root.mkdir(), cached.parent.mkdir(parents=True)
    cached.write_text("a\n1\n")
    (root / "a.csv").symlink_to(cached)
    (root / "b.csv").symlink_to(root / "a.csv")
    assert Data(root).rows("a.csv") == [(1,)]
    (root / "c.csv").write_text("a\n2\n")
    (root / "d.csv").symlink_to(root / "c.csv")
    assert Data(root).rows("d.csv") == [(2,)]


def test_a_folder_that_links_to_itself_comes_to_an_end(data: Data) -> None:
    data.write("d/a.csv", "a\n1\n")
    (data.root / "d" / "again").symlink_to(data.root / "d")
    with pytest.raises(MlgateError, match=r"d/again is a link to a folder that is read already"):
        data.rows("d")


def test_a_link_to_nothing_is_named(data: Data) -> None:
    (data.root / "a.csv").symlink_to(data.root / "gone.csv")
    with pytest.raises(MlgateError, match=r"a\.csv is a link to nothing.*dvc pull"):
        data.rows("a.csv")


def test_a_file_that_may_not_be_read_is_named(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    data.write("a.csv", "a\n1\n")

    def refuse(*_: Any, **__: Any) -> Any:  # to root nothing is refused
        raise PermissionError(13, "Permission denied")

    con, files = data.con, reading.resolve(data.root, "a.csv")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MlgateError) as caught:
        reading.open_table(con, files, "a.csv", Read())
    monkeypatch.undo()
    assert str(caught.value) == "a.csv cannot be read (Permission denied). Check its permissions."


def test_a_pipe_is_no_file(data: Data) -> None:
    os.mkfifo(data.root / "a.csv")
    with pytest.raises(MlgateError, match=r"a\.csv is no file"):
        data.rows("a.csv")


def test_long_lines_are_read_from_packed_files_and_json_too(data: Data) -> None:
    long = "x" * (20 << 20)
    data.write("a.csv.gz", gzip.compress(f"a,b\n1,{long}\n2,y\n".encode(), 1))
    data.write("a.jsonl", f'{{"a": 1, "b": "{long}"}}\n{{"a": 2, "b": "y"}}\n')
    for file in ("a.csv.gz", "a.jsonl"):
        table = data.open(file)
        assert one(data, table, "SELECT count(*), max(length(b)), sum(a) FROM {}") == (2, 20 << 20, 3)


MISSING = {
    "gone.csv": r"gone\.csv does not exist.*dvc pull",
    "d/*.csv": r"d/\*\.csv: matches no file.*pattern",
    "empty": r"empty holds no data file",
}


@pytest.mark.parametrize("path", MISSING)
def test_nothing_there_is_named(data: Data, path: str) -> None:
    (data.root / "empty").mkdir()
    with pytest.raises(MlgateError, match=MISSING[path]):
        data.rows(path)
