"""A store without a server: a file in the working folder, its artifacts beside it, and nothing elsewhere."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from mlgate.tracking import Logged, Store, Training, log


def logged_in(training: Training, uri: str = "sqlite:///mlflow.db") -> Logged:
    store = Store.of({}, uri)
    assert store is not None
    return log(training, store)


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_runs_and_artifacts_lie_in_the_working_folder(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    before = everything(tmp_path)
    logged = logged_in(training)
    assert logged.problem == ""
    assert logged.url == ""
    assert logged.how_to_open == f"mlflow ui --backend-store-uri sqlite:///{training.folder}/mlflow.db"
    assert logged.metrics["auc"] == 0.1 + 0.2
    new = everything(tmp_path) - before
    assert all(name.startswith(("project/mlflow.db", "project/mlflow-artifacts/")) for name in new)
    assert any(name.endswith(f"{logged.run_id}/artifacts/model/model.joblib") for name in new)
    again = logged_in(training)
    assert (again.run_id, again.again, again.metrics) == (logged.run_id, True, logged.metrics)


def test_a_file_that_is_no_database(training: Training) -> None:
    (training.folder / "mlflow.db").write_text("age,plan\n" * 1000, "utf-8")
    logged = logged_in(training)
    assert logged.problem == ("MLflow at sqlite:///mlflow.db is no sqlite database, or a broken one.")
    assert (training.folder / "mlflow.db").read_text("utf-8").startswith("age,plan")


def test_folders_are_made_where_they_can_be(training: Training) -> None:
    assert logged_in(training, "sqlite:///runs/here/mlflow.db").problem == ""
    assert (training.folder / "runs" / "here" / "mlflow.db").is_file()
    uri = "sqlite:///metrics.json/mlflow.db"
    assert logged_in(training, uri).problem == f"MLflow at {uri} cannot be written to."


def test_a_database_that_sends_files_elsewhere_is_not_obeyed(training: Training, tmp_path: Path) -> None:
    """A database that came with a pull request names any folder it likes."""
    first = logged_in(replace(training, artifact=None, artifacts=()))
    assert first.problem == ""
    target = tmp_path / "outside"
    with sqlite3.connect(training.folder / "mlflow.db") as connection:
        connection.execute("UPDATE experiments SET artifact_location = ?", (target.as_uri(),))
    connection.close()
    logged = logged_in(replace(training, commit="e" * 40))
    assert logged.problem == ""
    assert logged.metrics["auc"] == 0.1 + 0.2
    assert not target.exists() or everything(target) == set()
    assert [note.split(":")[0] for note in logged.left_out[1:]] == [
        "Of files, nothing was uploaded",
        "Of the model, nothing was uploaded",
    ]
