"""Batches: as many predictions come out as rows went in, in the format and order of the input, or nothing does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from answering import Stub, predicted
from mlgate.errors import MlgateError
from mlgate.model import Verdict, worst
from mlgate.rollout import checks
from mlgate.rollout.checks import Batch, Published, Tried
from mlgate.rollout.checks.patience import Stop
from mlgate.rollout.checks.predicting import Done, Wanted, predict
from mlgate.serving.settings import Input
from rollout.trials import CANDIDATE, Here, Server, asked, described

COUNT = 257
INPUTS = (Input("age", "integer"), Input("income", "number"))
ROWS = [{"person": f"{n:04d}", "age": 20 + n % 60, "income": 0.5 * n, "visited": n % 2} for n in range(COUNT)]


def written(file: Path, rows: list[dict[str, Any]]) -> Path:
    lines = file.with_suffix(".lines")
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    kind = {".csv": "FORMAT csv, HEADER", ".parquet": "FORMAT parquet", ".jsonl": "FORMAT json"}[file.suffix]
    duckdb.sql(
        f"COPY (SELECT * FROM read_json('{lines}', format='newline_delimited', "  # noqa: S608
        "columns={person: 'VARCHAR', age: 'BIGINT', income: 'DOUBLE', visited: 'BIGINT'}))"
        f" TO '{file}' ({kind})"
    )
    lines.unlink()
    return file


def read(file: Path) -> list[dict[str, Any]]:
    reader = {".csv": "read_csv", ".parquet": "read_parquet", ".jsonl": "read_json"}[file.suffix]
    more = ", all_varchar=true" if file.suffix == ".csv" else ""
    found = duckdb.sql(f"SELECT * FROM {reader}('{file}'{more})")  # noqa: S608
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def batch(stub: Stub, data: Path, output: Path, **more: Any) -> Done:
    wanted = Wanted(data, data.name, output, **{"rows": 100, "inputs": INPUTS, **more})
    return predict(stub.url, wanted, Stop())


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_row_is_predicted_in_its_order_and_format(kind: str, tmp_path: Path) -> None:
    data, output = written(tmp_path / f"new.{kind}", ROWS), tmp_path / "out" / f"made.{kind}"
    with Stub() as stub:
        done = batch(stub, data, output, id="person")
        assert stub.asked == 3 + 1, "chunks of 100 rows, and one to find out how it is asked"
    assert done.rows == COUNT
    found = read(output)
    assert [row["person"] for row in found] == [row["person"] for row in ROWS], "007 stays 007"
    assert [float(row["probability"]) for row in found] == [predicted(row) for row in ROWS]
    assert [int(row["prediction"]) for row in found] == [int(predicted(row) >= 0.5) for row in ROWS]
    assert list(found[0]) == ["person", "prediction", "probability"]
    assert [one.name for one in output.parent.iterdir()] == [output.name], "nothing else is left"


def test_without_ids_rows_are_counted(tmp_path: Path) -> None:
    data, output = written(tmp_path / "new.parquet", ROWS), tmp_path / "made.parquet"
    with Stub() as stub:
        batch(stub, data, output)
    assert [row["row"] for row in read(output)] == list(range(COUNT))


def test_a_model_without_columns_is_sent_all_but_the_truth(tmp_path: Path) -> None:
    data, output = written(tmp_path / "new.parquet", ROWS), tmp_path / "made.parquet"
    bodies: list[bytes] = []
    with Stub() as stub:
        records = stub.records
        stub.records = lambda body: (bodies.append(body), records(body))[1]  # type: ignore[method-assign]
        batch(stub, data, output, inputs=(), id="person", truth=["visited"])
    assert all(set(json.loads(body)["records"][0]) == {"age", "income"} for body in bodies)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("short", "predictions for"), ("nan", "null, NaN"), ("flaky", "503"), ("drop", "no answer"), ("mlflow", "")],
)
def test_a_batch_that_is_not_whole_leaves_nothing(fault: str, said: str, tmp_path: Path) -> None:
    data, output = written(tmp_path / "new.parquet", ROWS), tmp_path / "out" / "made.parquet"
    output.parent.mkdir()
    output.write_text("of yesterday", "utf-8")
    with Stub([fault]) as stub:
        if fault == "mlflow":
            assert batch(stub, data, output).rows == COUNT, "MLflow's own server is asked its own way"
            return
        with pytest.raises(MlgateError, match=said):
            batch(stub, data, output, rows=2)
    assert output.read_text("utf-8") == "of yesterday"
    assert [one.name for one in output.parent.iterdir()] == [output.name]


def spoiled(change: Callable[[dict[str, Any]], dict[str, Any]]) -> list[dict[str, Any]]:
    return [change(dict(row)) if number == 150 else dict(row) for number, row in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ([], {}, "has no row"),
        (spoiled(lambda row: row | {"age": None}), {}, "rows 101 to 200 of new.parquet were not predicted"),
        (ROWS, {"inputs": [*INPUTS, Input("town")]}, "no column 'town'"),
        (ROWS, {"inputs": [], "truth": ["age", "income", "visited"], "id": "person"}, "no column that a model"),
    ],
)
def test_data_that_cannot_be_predicted_are_named(
    rows: list[dict[str, Any]], more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    data, output = written(tmp_path / "new.parquet", rows), tmp_path / "made.parquet"
    with Stub() as stub, pytest.raises(MlgateError, match=said):
        batch(stub, data, output, **more)
    assert not output.exists()


def test_an_infinity_is_named_by_its_row(tmp_path: Path) -> None:
    data = tmp_path / "new.parquet"
    query = "SELECT 30 AS age, CASE WHEN i = 3 THEN 'inf'::DOUBLE ELSE i END AS income FROM range(10) t(i)"
    duckdb.sql(f"COPY ({query}) TO '{data}' (FORMAT parquet)")
    with Stub() as stub, pytest.raises(MlgateError, match=r"row 4 of new\.parquet has an infinity"):
        batch(stub, data, tmp_path / "made.parquet")


def test_a_column_that_shows_late_what_it_is_is_read_again(tmp_path: Path) -> None:
    data, output = tmp_path / "new.csv", tmp_path / "made.csv"
    lines = ["person,age,income", *(f"{n},30,{n}" for n in range(30_000)), "x,30,0.5"]
    data.write_text("\n".join(lines) + "\n", "utf-8")
    with Stub() as stub:
        assert batch(stub, data, output, id="person", rows=10_000).rows == 30_001
    assert read(output)[-1]["person"] == "x"


# -- as a strategy -----------------------------------------------------------------------------------------------------

SETTINGS = {"strategy": "batch", "batch": {"data": "data/new.parquet", "output": "out/made.parquet", "rows": 100}}


def tried(folder: Path, target: Here, publish: Callable[[Path], Published], **more: Any) -> Tried:
    data = folder / "new.parquet"
    if not data.exists():
        written(data, ROWS)
    given = Batch(data, folder / "out" / "made.parquet", publish, id="person", truth=("visited",))
    return checks.batch(target, CANDIDATE, asked(folder, settings=SETTINGS, batch=given, **more))


def test_what_was_predicted_is_published(tmp_path: Path) -> None:
    published: list[Path] = []

    def publish(output: Path) -> Published:
        published.append(output)
        return Published(output.with_suffix(".dvc"), "md5:abc", output.stat().st_size)

    with Server(openapi=described()) as server:
        found = tried(tmp_path, Here({CANDIDATE.slot: server.url}), publish)
    assert [one.verdict for one in found.checks] == [Verdict.PASS, Verdict.PASS], found.checks
    assert published == [tmp_path / "out" / "made.parquet"]
    assert found.facts["batch_rows"] == COUNT
    assert found.facts["batch_digest"] == "md5:abc"


def test_what_is_not_published_is_no_pass(tmp_path: Path) -> None:
    def publish(_: Path) -> Published:
        raise MlgateError("the remote is not there.")

    with Server() as server:
        found = tried(tmp_path, Here({CANDIDATE.slot: server.url}), publish, inputs=INPUTS)
    assert worst(one.verdict for one in found.checks) is Verdict.ERROR
    assert "the remote is not there" in found.checks[-1].reason


class Runs(Here):
    """A target that predicts files in a way of its own, and may lose rows."""

    lost = 0

    def run(self, release: Any, data: Path, output: Path, rows: int) -> None:
        query = f"SELECT person, 1 AS prediction FROM read_parquet('{data}') LIMIT {COUNT - self.lost}"  # noqa: S608
        duckdb.sql(f"COPY ({query}) TO '{output}' (FORMAT parquet)")


@pytest.mark.parametrize("lost", [0, 1, COUNT])
def test_a_target_of_its_own_ways_is_counted_after(lost: int, tmp_path: Path) -> None:
    target = Runs({})
    target.lost = lost
    found = tried(tmp_path, target, lambda output: Published(output, "md5:abc", 1))
    output = tmp_path / "out" / "made.parquet"
    if lost:
        assert worst(one.verdict for one in found.checks) is Verdict.ERROR
        assert f"{COUNT - lost:,} predictions were made for {COUNT} rows" in found.checks[0].reason
        assert not output.exists()
    else:
        assert worst(one.verdict for one in found.checks) is Verdict.PASS
        assert len(read(output)) == COUNT
    assert not [one for one in output.parent.iterdir() if one.name.startswith(".")]
