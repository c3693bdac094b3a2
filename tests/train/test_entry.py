"""Metrics of the project's own, asked in a process of the project's Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import duckdb
import pytest

from mlgate.config.settings import Read
from mlgate.errors import MlgateError
from mlgate.judge.made import Side
from mlgate.train import entry
from mlgate.train.entry import Data, WrongError
from mlgate.train.project import Project
from mlgate.train.ready import Ready
from mlgate.train.scratch import Scratch

DATA = "id,x,label\n" + "".join(f"{i:03d},{i},{i % 2}\n" for i in range(6))
PREDICTIONS = "id,p\n" + "".join(f"{i:03d},0.{i}\n" for i in (5, 3, 1, 0, 2, 4))


def ready(home: Path, side: Side = "challenger", **environ: str) -> Ready:
    """A side of a project that is one folder, without git or DVC."""
    tree, beside = home / side / "tree", home / side / "beside"
    for folder in (tree, beside):
        folder.mkdir(parents=True, exist_ok=True)
    heard: list[str] = []
    project = SimpleNamespace(own=SimpleNamespace(folder=""), say=heard.append, artifact="model.json", heard=heard)
    code = {"PATH": os.environ["PATH"], **environ}
    return Ready(side, cast("Project", project), Scratch(tree, beside, {}), code, sys.executable)


def asked(one: Ready, code: str, data: str = DATA, predictions: str = PREDICTIONS) -> list[tuple[str, float]]:
    """The values of `metric.each`, by the ids as the judge reads them."""
    tree = one.scratch.tree
    (tree / "metric.py").write_text(code)
    (tree / "data.csv").write_text(data)
    (tree / "predictions.csv").write_text(predictions)
    tables = [Data([tree / f"{name}.csv"], f"{name}.csv", "csv", Read()) for name in ("data", "predictions")]
    to, kept = one.beside() / "values.csv", one.beside() / "values.parquet"
    count = entry.ask(one, "metric:each", tables[0], tables[1], id_="id", to=to)
    con = duckdb.connect()
    entry.keep(con, to, "id", kept)
    found = con.execute("SELECT id, value FROM read_parquet(?)", [str(kept)]).fetchall()
    assert len(found) == count
    return found


def test_values_go_to_the_rows_that_they_were_given_for(tmp_path: Path) -> None:
    found = asked(ready(tmp_path), "def each(rows):\n    return rows['x'] * 10 + rows['p']\n")
    assert found == [(f"{i:03d}", pytest.approx(10 * i + i / 10)) for i in range(6)]


@pytest.mark.parametrize(
    "given",
    [
        "list(rows['x'])",
        "rows['x'].to_numpy()",
        "rows['x'].sample(frac=1, random_state=3)",
        "rows['x'].set_axis(list('abcdef'))",
        "(x for x in ()) if False else tuple(rows['x'])",
    ],
)
def test_what_is_one_value_per_row_is_taken(given: str, tmp_path: Path) -> None:
    assert [value for _, value in asked(ready(tmp_path), f"def each(rows):\n    return {given}\n")] == list(range(6))


@pytest.mark.parametrize(
    ("given", "said", "ids"),
    [
        ("None", "it gave nothing back", ()),
        ("1.5", "a single value", ()),
        ("rows", "a data frame with 4 columns", ()),
        ("list(rows['x'])[:4]", "it gave 4 values for 6 rows", ()),
        ("list(rows['x']) * 2", "it gave 12 values for 6 rows", ()),
        ("rows['x'][:4]", "it gave no value for 2 of 6 rows", ("004", "005")),
        ("rows['x'].where(rows['x'] != 3)", "it gave NaN or infinity for 1 of 6 rows", ("003",)),
        ("[float('inf')] * 6", "it gave NaN or infinity for 6 of 6 rows", ("000", "001", "002", "003", "004")),
        ("['a'] * 6", "are no numbers", ()),
        ("[None] * 6", "it gave NaN or infinity for 6 of 6 rows", ("000", "001", "002", "003", "004")),
        ("[[1, 2]] * 6", "a table", ()),
        ("__import__('pandas').concat([rows['x'], rows['x'][:1]])", "several values for the same row", ()),
    ],
)
def test_anything_else_is_named_and_counted(given: str, said: str, ids: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(WrongError, match="metric:each: ") as caught:
        asked(ready(tmp_path), f"def each(rows):\n    return {given}\n")
    assert said in str(caught.value)
    assert caught.value.ids == ids


def test_what_raises_is_shown_with_its_own_lines_and_no_others(tmp_path: Path) -> None:
    one = ready(tmp_path)
    with pytest.raises(MlgateError) as caught:
        asked(one, "def each(rows):\n    return helper(rows)\n\ndef helper(rows):\n    return rows['colour']\n")
    said = str(caught.value)
    assert said.startswith("metric:each failed (exit code 1). It said last:\n")
    assert said.endswith("KeyError: 'colour'")
    assert "worker.py" not in said
    assert str(one.scratch.tree) not in said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("each = 3\n", "module metric has no function each"),
        ("def other(rows): return 1\n", "module metric has no function each"),
        ("import no_such_module\n", "No module named 'no_such_module'"),
        ("def each(rows):\n    import os; os.kill(os.getpid(), 9)\n", "SIGKILL"),
        ("def each(rows):\n    import os; os._exit(0)\n", "without an answer"),
    ],
)
def test_a_function_that_cannot_be_asked(code: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(MlgateError) as caught:
        asked(ready(tmp_path), code)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("data", "predictions", "said", "ids"),
    [
        (DATA, "id,p\n000,0.1\n", "the predictions lack 5 of the 6 rows", ("001", "002", "003", "004", "005")),
        (DATA, PREDICTIONS + "003,0.5\n", "the predictions have 1 ids more than once", ("003",)),
        (DATA + "001,9,9\n", PREDICTIONS, "the evaluation data have 1 ids more than once", ("001",)),
        (DATA, PREDICTIONS + ",0.5\n", "predictions.csv has 1 rows without id", ()),
        (DATA, "p\n0.1\n", "predictions.csv has no column id", ()),
    ],
)
def test_rows_that_cannot_be_joined(
    data: str, predictions: str, said: str, ids: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(WrongError) as caught:
        asked(ready(tmp_path), "def each(rows):\n    return rows['x']\n", data, predictions)
    assert said in str(caught.value)
    assert caught.value.ids == ids


def test_a_column_of_the_predictions_that_the_data_have_too(tmp_path: Path) -> None:
    """The data's own stays: a label in the predictions is no label."""
    predictions = PREDICTIONS.replace("id,p", "id,label")
    code = "def each(rows):\n    return rows['label'] + 10 * rows['label_predicted']\n"
    assert [value for _, value in asked(ready(tmp_path), code, predictions=predictions)] == [0, 2, 2, 4, 4, 6]


def test_a_module_of_the_project_is_not_shadowed_by_those_of_the_tool(tmp_path: Path) -> None:
    one = ready(tmp_path)
    (one.scratch.tree / "score.py").write_text("value = 7\n")
    (one.scratch.tree / "src").mkdir()
    found = asked(one, "import score\ndef each(rows):\n    return [score.value] * len(rows)\n")
    assert {value for _, value in found} == {7}


def test_the_files_of_an_entry_point(tmp_path: Path) -> None:
    class Snapshot:
        def read(self, path: str) -> bytes | None:
            return {"m/src/a.py": b"1", "b/__init__.py": b"2"}.get(path)

    snapshot = cast("entry.Snapshot", Snapshot())
    assert entry.source(snapshot, "m", "src.a:f") == ("m/src/a.py", b"1")
    assert entry.source(snapshot, "", "b:f") == ("b/__init__.py", b"2")
    assert entry.source(snapshot, "", "numpy:mean") is None
