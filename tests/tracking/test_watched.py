"""A window of production as a run of MLflow: found again, never a value for what is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgate.model import Evidence
from mlgate.tracking import Logged, Store, watched
from render import watches


def logged_in(folder: Path, evidence: Evidence, uri: str = "sqlite:///mlflow.db") -> Logged:
    store = Store.of({}, uri)
    assert store is not None
    folder.mkdir(exist_ok=True)
    return watched.log(evidence, store, folder=folder, files={"report.html": "<!doctype html><p>moved</p>"})


def test_a_window_is_one_run_with_its_readings_and_its_report(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    logged = logged_in(folder, watches.moved())
    assert logged.problem == ""
    assert logged.left_out == ()
    assert logged.experiment == "doctor-visits"
    assert logged.metrics["psi.age"] == 0.312
    assert logged.metrics["number_of_drifted_columns"] == 3
    assert logged.metrics["drift_share"] == pytest.approx(0.346, abs=0.01)  # the reading itself, not a share of ours
    assert logged.metrics["dataset_drift_detected"] == 1
    assert "psi.income" not in logged.metrics
    assert "auc" not in logged.metrics  # not of this window
    (report,) = folder.rglob(f"{logged.run_id}/artifacts/report.html")
    assert "moved" in report.read_text("utf-8")
    (kept,) = folder.rglob(f"{logged.run_id}/artifacts/monitor.json")
    assert Evidence.from_json(kept.read_bytes()) == watches.moved()
    again = logged_in(folder, watches.moved())
    assert (again.run_id, again.again) == (logged.run_id, True)


def test_a_window_that_came_to_nothing_does_not_stand_for_the_one_that_did(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    nothing = logged_in(folder, watches.unreadable())
    assert nothing.problem == ""
    assert nothing.metrics == {"rows": 0}
    whole = logged_in(folder, watches.calm())
    assert whole.run_id != nothing.run_id
    assert whole.metrics["dataset_drift_detected"] == 0
    assert whole.metrics["number_of_drifted_columns"] == 0


def test_evidence_of_something_else_is_not_logged(tmp_path: Path) -> None:
    evidence = watches.calm().model_copy(update={"watched": None})
    logged = logged_in(tmp_path / "project", evidence)
    assert logged.problem == "There is nothing to log: no window of production was read."
    assert logged.run_id == ""


def test_a_server_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    store = Store.of({}, "http://127.0.0.1:9")
    assert store is not None
    logged = watched.log(watches.calm(), store, folder=tmp_path, timeout=30)
    assert logged.problem
    assert "Traceback" not in logged.problem


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("2026-11-20T00:00:00Z", "monitor-2026-11-20"),
        ("2026-11-20T13:00:00Z", "monitor-2026-11-20-13:00"),
        ("2026-11-20T13:30:00Z", "monitor-2026-11-20-13:30"),
    ],
)
def test_a_run_is_called_by_its_window(since: str, said: str) -> None:
    assert watched.title(watches.watched(since=since)) == said


def test_what_mlflow_calls_otherwise_is_said(tmp_path: Path) -> None:
    logged = logged_in(tmp_path / "project", watches.hostile("a|b: c"))
    assert logged.problem == ""
    assert any("a|b" in note or "psi." in note for note in logged.left_out)
