"""What the checks are given of a real project: rows by digest from its DVC, the model's example, a batch's pointer."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
import yaml

import tools
from answering import Stub
from mlgate.commands import _checking
from mlgate.commands._run import Run, Unloadable
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.model import Verdict, worst
from mlgate.rollout import checks
from mlgate.rollout.checks import Asked
from mlgate.rollout.nouns import Release
from rollout.trials import CANDIDATE, Here
from shipping import COLUMNS, Passed

pytestmark = pytest.mark.dvc

DEPLOY = {
    "trust": "branch",
    "environments": {
        "staging": {"target": "local", "checks": {"smoke": False, "api": False, "skew": True}},
        "nightly": {
            "target": {"kind": "local", "port": 8081}, "strategy": "batch", "checks": {"smoke": False, "api": False},
            "batch": {"data": "data/test.csv", "output": "out/made.csv", "rows": 50},
        },
        "lean": {"target": {"kind": "local", "port": 8082}},
    }
}  # fmt: skip


class Served(Stub):
    """Answers by the project's own model."""

    def __init__(self, model: Path, off: float = 0.0) -> None:
        super().__init__()
        self.model, self.off = joblib.load(model), off

    def records(self, body: bytes) -> Any:
        rows = json.loads(body)["records"]
        if not isinstance(rows, list) or not rows or not all(set(row) == {*COLUMNS} for row in rows):
            raise ValueError("rows of other columns")
        return rows

    def told(self, records: Any, request: str) -> dict[str, Any]:
        scores = self.model.predict_proba(pd.DataFrame(records)[list(COLUMNS)])[:, 1] + self.off
        return {"prediction": [int(one >= 0.5) for one in scores], "probability": scores.tolist()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Passed:
    passed = Passed(tmp_path_factory.mktemp("project"), decide=False, config={"deploy": DEPLOY})
    passed.store()
    passed.repo.commit("Keep the data")
    return passed


@pytest.fixture
def project(made: Passed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone without any data, as a job has it."""
    folder = tmp_path / "clone"
    left_out = shutil.ignore_patterns("cache", "tmp", "*.csv", "*.joblib")
    shutil.copytree(made.repo.path, folder, symlinks=True, ignore=left_out)
    monkeypatch.setenv("PATH", f"{tools.script('dvc').parent}:{os.environ['PATH']}")
    monkeypatch.chdir(folder)
    return folder


def gathered(folder: Path, name: str, tmp_path: Path, **more: Any) -> Asked:
    run = Run.start("mlgate.yaml", str(folder), summary=False)
    config = run.load("mlgate.yaml")
    assert isinstance(config, Config), config.error if isinstance(config, Unloadable) else ""
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    release = Release("visits", CANDIDATE.image, CANDIDATE.subject, commit=run.head)
    return _checking.asked(run, config, name, release, scratch=scratch, **more)


def test_rows_are_fetched_and_predicted_as_judged(project: Path, made: Passed, tmp_path: Path) -> None:
    asked = gathered(project, "staging", tmp_path)
    (rows,) = asked.rows
    assert rows.sample is not None, rows.missing
    assert len(rows.sample.records) > 100
    for off, expected in ((0.0, Verdict.PASS), (1e-3, Verdict.FAIL)):
        with Served(made.model, off) as server:
            tried = checks.before_traffic(Here({CANDIDATE.slot: server.url}), CANDIDATE, None, asked)
        assert worst(one.verdict for one in tried.checks) is expected, [one.reason for one in tried.checks]


def test_rows_that_cannot_be_had_are_no_pass(project: Path, made: Passed, tmp_path: Path) -> None:
    asked = gathered(project, "staging", tmp_path, pull=False)
    assert asked.rows[0].sample is None
    with Served(made.model) as server:
        tried = checks.before_traffic(Here({CANDIDATE.slot: server.url}), CANDIDATE, None, asked)
    assert worst(one.verdict for one in tried.checks) is Verdict.ERROR
    assert "dvc pull" in tried.checks[0].reason


def test_nothing_is_fetched_that_no_check_wants(project: Path, tmp_path: Path) -> None:
    asked = gathered(project, "lean", tmp_path)
    assert asked.rows == ()
    assert not list((project / "data").glob("*.csv"))
    assert not (project / "models").exists() or not list((project / "models").iterdir())


def test_a_batch_is_predicted_and_its_pointer_pushed(project: Path, made: Passed, tmp_path: Path) -> None:
    asked = gathered(project, "nightly", tmp_path)
    with Served(made.model) as server:
        asked = replace(asked, inputs=())
        tried = checks.batch(Here({CANDIDATE.slot: server.url}), CANDIDATE, asked)
    assert worst(one.verdict for one in tried.checks) is Verdict.PASS, [one.reason for one in tried.checks]
    pointer = project / "out/made.csv.dvc"
    assert tried.artifacts == [pointer]
    out = yaml.safe_load(pointer.read_text("utf-8"))["outs"][0]
    assert tried.facts["batch_digest"] == f"md5:{out['md5']}"
    stored = made.folder / "storage/files/md5" / out["md5"][:2] / out["md5"][2:]
    assert stored.read_bytes() == (project / "out/made.csv").read_bytes()
    lines = (project / "out/made.csv").read_text("utf-8").splitlines()
    assert (lines[0], len(lines)) == ("person,prediction,probability", 301)


def test_a_batch_whose_remote_is_gone_is_no_pass(project: Path, made: Passed, tmp_path: Path) -> None:
    asked = gathered(project, "nightly", tmp_path)
    config = project / ".dvc/config"
    config.write_text(config.read_text("utf-8").replace(str(made.folder / "storage"), "s3://no-such/bucket"), "utf-8")
    with Served(made.model) as server:
        tried = checks.batch(Here({CANDIDATE.slot: server.url}), CANDIDATE, asked)
    (last,) = [one for one in tried.checks if one.id == "rollout.batch.published"]
    assert last.verdict is Verdict.ERROR
    assert "cannot be published" in last.reason


def test_data_of_a_batch_that_cannot_be_had_stop_it(project: Path, tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match=r"data/test\.csv"):
        gathered(project, "nightly", tmp_path, pull=False)
