"""Predictions and labels as other libraries and versions write them, and as text files hold them."""

from __future__ import annotations

import datetime
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.aligned_files import Set, only
from mlgate.config.settings import Read
from mlgate.data.aligned import File
from mlgate.data.rows import Rows

IDS = ["a1", "b2", "c3", "d4"]
TRUE = [0.0, 1.0, 1.0, 0.0]
SCORES = [0.25, 0.75, 0.5, 0.125]


@pytest.fixture
def at(tmp_path: Path) -> Set:
    return Set(tmp_path)


def arrow(at: Set, name: str, columns: dict[str, Any], **options: Any) -> File:
    path = at.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return File(path, name)


def good(rows: Rows | None) -> None:
    assert rows is not None
    assert rows.label.tolist() == TRUE
    assert rows.challenger.score is not None
    assert rows.challenger.score.tolist() == SCORES
    assert rows.challenger.score.dtype == np.float64


LABEL_TYPES = {
    "int8": pa.array([0, 1, 1, 0], pa.int8()),
    "uint64": pa.array([0, 1, 1, 0], pa.uint64()),
    "half": pa.array(np.array(TRUE, dtype=np.float16)),
    "bool": pa.array([False, True, True, False]),
    "decimal": pa.array([Decimal("0.00"), Decimal("1.00"), Decimal("1.00"), Decimal("0.00")], pa.decimal128(9, 2)),
    "text": pa.array(["0", "1", "1", "0"]),
    "large text": pa.array(["false", "true", "true", "false"], pa.large_string()),
    "dictionary": pa.array(["false", "true", "true", "false"]).dictionary_encode(),
    "dictionary of numbers": pa.array([0, 1, 1, 0]).dictionary_encode(),
}
SCORE_TYPES = {
    "half": pa.array(np.array(SCORES, dtype=np.float16)),
    "float": pa.array(SCORES, pa.float32()),
    "decimal": pa.array([Decimal(str(score)) for score in SCORES], pa.decimal128(5, 3)),
    "wide decimal": pa.array([Decimal(str(score)) for score in SCORES], pa.decimal128(38, 9)),
    "dictionary": pa.array(SCORES).dictionary_encode(),
}
ID_TYPES = {
    "text": pa.array(IDS),
    "large text": pa.array(IDS, pa.large_string()),
    "dictionary": pa.array(IDS).dictionary_encode(),
    "bytes": pa.array([id_.encode() for id_ in IDS]),
}
OPTIONS = {
    "as of 2013": {"version": "1.0", "data_page_version": "1.0", "use_dictionary": False, "compression": "none"},
    "pages of version 2": {"data_page_version": "2.0", "compression": "zstd", "row_group_size": 2},
    "snappy": {"compression": "snappy", "use_dictionary": True, "write_statistics": False},
    "brotli": {"compression": "brotli"},
    "lz4": {"compression": "lz4", "store_schema": False},
}


@pytest.mark.parametrize("label", LABEL_TYPES.values(), ids=LABEL_TYPES)
def test_labels_of_any_type(at: Set, label: Any) -> None:
    labels = arrow(at, "data/test.parquet", {"id": IDS, "y": label})
    good(at.read(labels, {"id": IDS, "p": SCORES}, score="p").rows)


@pytest.mark.parametrize("score", SCORE_TYPES.values(), ids=SCORE_TYPES)
def test_scores_of_any_type(at: Set, score: Any) -> None:
    scores = arrow(at, "eval/p.parquet", {"id": IDS, "p": score})
    good(at.read({"id": IDS, "y": [0, 1, 1, 0]}, scores, score="p").rows)


@pytest.mark.parametrize("there", ID_TYPES.values(), ids=ID_TYPES)
@pytest.mark.parametrize("here", ID_TYPES.values(), ids=ID_TYPES)
def test_ids_of_any_type_of_text(at: Set, here: Any, there: Any) -> None:
    labels = arrow(at, "data/test.parquet", {"id": there, "y": [0, 1, 1, 0]})
    scores = arrow(
        at, "eval/p.parquet", {"id": here.take(pa.array([2, 0, 3, 1])), "p": [SCORES[n] for n in (2, 0, 3, 1)]}
    )
    found = at.read(labels, scores, score="p")
    good(found.rows)
    assert found.rows is not None
    assert [found.rows.id_of(row) for row in range(4)] == IDS


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_parquet_of_any_version(at: Set, options: dict[str, Any]) -> None:
    labels = arrow(at, "data/test.parquet", {"id": IDS, "y": [0, 1, 1, 0], "g": ["x", "y", "x", "y"]}, **options)
    scores = arrow(at, "eval/p.parquet", {"id": IDS, "p": SCORES}, **options)
    found = at.read(labels, scores, score="p", groups=(("g",),))
    good(found.rows)
    assert found.findings == ()


def test_an_index_of_pandas(at: Set) -> None:
    path = at.root / "named.parquet"
    pd.DataFrame({"p": SCORES}, index=pd.Index(IDS, name="id")).to_parquet(path)
    good(at.read({"id": IDS, "y": [0, 1, 1, 0]}, File(path, "eval/p.parquet"), score="p").rows)
    path = at.root / "nameless.parquet"
    pd.DataFrame({"p": SCORES}, index=IDS).to_parquet(path)
    finding = only(at.read({"id": IDS, "y": [0, 1, 1, 0]}, File(path, "eval/p.parquet"), score="p"))
    assert "has no column 'id'" in finding.sentence
    assert "index of pandas" in finding.fix


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array([[0.1, 0.9]] * 4), "p holds nested or binary values (DOUBLE[]), where numbers are expected"),
        (pa.array([{"p": 0.1}] * 4), "p holds nested or binary values (STRUCT"),
        (pa.array([b"x"] * 4), "p holds nested or binary values (BLOB)"),
        (pa.array([datetime.date(2024, 1, 1)] * 4), "p holds dates, where numbers are expected"),
        (pa.array([datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)] * 4), "p holds timestamps"),
        (pa.nulls(4), "p has no number in 4 of 4 rows"),
    ],
)
def test_scores_that_are_no_numbers(at: Set, column: Any, words: str) -> None:
    found = at.read({"id": IDS, "y": [0, 1, 1, 0]}, arrow(at, "p.parquet", {"id": IDS, "p": column}), score="p")
    assert found.rows is None
    assert words in only(found).sentence


def test_nested_ids_labels_and_groups(at: Set) -> None:
    nested = pa.array([[1], [2], [3], [4]])
    scores = {"id": IDS, "p": SCORES}
    for columns, column in (
        ({"id": nested, "y": [0, 1, 1, 0]}, "id"),
        ({"id": IDS, "y": nested}, "y"),
        ({"id": IDS, "y": [0, 1, 1, 0], "g": nested}, "g"),
    ):
        asked = {"groups": (("g",),)} if column == "g" else {}
        finding = only(at.read(arrow(at, "data/test.parquet", columns), scores, score="p", **asked))
        assert (finding.column, finding.level) == (column, "error")
        assert "nested" in finding.sentence
    finding = only(
        at.read({"id": IDS, "y": [0, 1, 1, 0]}, arrow(at, "p.parquet", {"id": nested, "p": SCORES}), score="p")
    )
    assert (finding.side, finding.column) == ("challenger", "id")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_as_ids_groups_and_clusters(at: Set, unit: str) -> None:
    moments = pa.array([datetime.datetime(2024, 1, 1, hour) for hour in range(4)]).cast(pa.timestamp(unit))
    days = pa.array([datetime.date(2024, 1, day) for day in (1, 1, 2, 2)])
    labels = arrow(at, "data/test.parquet", {"id": moments, "y": [0, 1, 1, 0], "day": days, "at": moments})
    scores = arrow(at, "p.parquet", {"id": moments.cast(pa.timestamp("us")), "p": SCORES})
    found = at.read(labels, scores, score="p", groups=(("day",),), cluster="day", query=None)
    good(found.rows)
    assert found.rows is not None
    assert found.rows.groups["day"].names == ("day = 2024-01-01", "day = 2024-01-02")
    assert found.rows.cluster is not None
    assert len(set(found.rows.cluster.tolist())) == 2


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.parquet", "p.csv.gz", "p.jsonl.gz"])
@pytest.mark.parametrize("cached", [False, True])
def test_files_by_the_name_that_people_gave_them(at: Set, name: str, cached: bool) -> None:
    """A cache calls a file by its digest, which says neither its format nor how it is packed."""
    scores = at.write(f"eval/{name}", {"id": IDS, "p": SCORES}).path
    if name.endswith(".jsonl.gz"):
        scores.write_bytes(
            gzip.compress(pd.DataFrame({"id": IDS, "p": SCORES}).to_json(orient="records", lines=True).encode())
        )
    if cached:
        scores = scores.rename(at.root / "dvc-md5-0123456789abcdef0123456789abcdef")
    labels = at.write("test.csv", {"id": IDS, "y": [0, 1, 1, 0]})
    good(at.read(labels, File(scores, f"eval/{name}"), score="p").rows)


def test_text_files_whose_late_values_are_of_another_type(at: Set) -> None:
    """The first rows say whole numbers; the last id is text, and the last score is no number."""
    count = 30_000
    ids = [*map(str, range(count - 1)), "last"]
    labels = at.write("test.csv", {"id": ids, "y": [0, 1] * (count // 2)})
    scores = at.write("p.csv", {"id": ids, "p": [1] * (count - 1) + [0.5]})
    found = at.read(labels, scores, score="p")
    assert found.findings == ()
    assert found.rows is not None
    assert found.rows.challenger.score is not None
    assert found.rows.challenger.score[-1] == 0.5
    assert found.rows.id_of(count - 1) == "last"
    scores = at.write("p.csv", {"id": ids, "p": [*map(str, [1] * (count - 1)), "?"]})
    finding = only(at.read(labels, scores, score="p"))
    assert "p is text, where numbers are expected (predictions.score): 1 of its values are none" in finding.sentence
    assert finding.examples == ("last",)


def test_a_text_file_is_read_as_its_options_say(at: Set) -> None:
    (at.root / "p.txt").write_text("id;p\na1;0.25\nb2;0.75\nc3;0.5\nd4;NA\n")
    read = Read(format="csv", delimiter=";", nulls=["NA"])
    finding = only(at.read({"id": IDS, "y": [0, 1, 1, 0]}, File(at.root / "p.txt", "p.txt", read), score="p"))
    assert "1 of 4 rows (1 missing or NaN" in finding.sentence
    assert finding.examples == ("d4",)


def test_a_folder_of_files(at: Set) -> None:
    at.write("eval/part-2.parquet", {"id": IDS[2:], "p": SCORES[2:]})
    at.write("eval/part-1.parquet", {"id": IDS[:2], "p": SCORES[:2]})
    good(at.read({"id": IDS, "y": [0, 1, 1, 0]}, File(at.root / "eval", "eval"), score="p").rows)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_damaged_file_is_a_finding_and_no_traceback(at: Set, content: bytes) -> None:
    (at.root / "p.parquet").write_bytes(content)
    broken = File(at.root / "p.parquet", "eval/p.parquet")
    found = at.read({"id": IDS, "y": [0, 1, 1, 0]}, {"id": IDS, "p": SCORES}, broken, score="p")
    assert found.rows is not None
    assert found.rows.champion is None
    assert only(found).sentence.startswith("eval/p.parquet (champion)")
    found = at.read(broken, {"id": IDS, "p": SCORES}, score="p")
    assert found.rows is None
    assert only(found).side is None


def test_a_file_that_is_damaged_behind_its_first_rows(at: Set) -> None:
    path = at.root / "p.parquet"
    pq.write_table(pa.table({"id": range(200_000), "p": np.random.default_rng(1).random(200_000)}), path)
    data = bytearray(path.read_bytes())
    data[1_000:60_000] = b"\xff" * 59_000
    path.write_bytes(data)
    labels = {"id": range(200_000), "y": [0, 1] * 100_000}
    found = at.read(labels, File(path, "eval/p.parquet"), score="p")
    assert found.rows is None
    assert "eval/p.parquet (challenger) cannot be read" in only(found).sentence
    (at.root / "p.csv").write_text("id,p\n" + "1,0.5\n" * 30_000 + "1,0.5,7\n")
    found = at.read(labels, File(at.root / "p.csv", "p.csv"), score="p")
    assert found.rows is None
    assert "3 values" in only(found).sentence


@pytest.mark.parametrize(
    ("column", "asked", "words"),
    [
        ("id", {}, "4 of 4 rows have no id"),
        ("y", {}, "y is missing in 4 of 4 rows"),
        ("g", {"groups": (("g",),)}, "g, which makes groups, is missing in 4 of 4 rows"),
        ("c", {"cluster": "c"}, "c (`columns.cluster`) is missing in 4 of 4 rows"),
        ("w", {"weight": "w"}, "w has no number in 4 of 4 rows"),
    ],
)
@pytest.mark.parametrize("kind", ["nulls", "text", "csv"])
def test_columns_of_the_labels_without_any_value(
    at: Set, column: str, asked: dict[str, Any], words: str, kind: str
) -> None:
    empty = pa.nulls(4) if kind == "nulls" else pa.nulls(4, pa.string())
    columns = {"id": IDS, "y": [0, 1, 1, 0], "more": IDS} | {column: empty}
    labels = arrow(at, "data/test.parquet", columns)
    if kind == "csv":
        labels = at.write("data/test.csv", pa.table(columns).to_pandas())
    finding = only(found := at.read(labels, {"id": IDS, "p": SCORES}, score="p", **asked))
    assert (found.rows is None) == (column != "g")
    if column == "w" and kind != "nulls":
        words = "w has no value at all, where numbers are expected (columns.weight)"
    assert words in finding.sentence
