"""A model that is watched, on GitLab: a real DVC, its profile, a ledger that knows what is deployed, and its logs.

there = Watched(tmp_path, wheel, gitlab)
there.include("model-monitor")
there.logs(more=60)                          # what production logged yesterday
done = there.run("schedule")
"""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from builder import Repo
from forges.dispatch_forges import DispatchGitLab
from forges.issue_forges import IssueGitLab
from mlgate.ledger.branch import Ledger
from mlgate.ledger.chain import CHAINS
from mlgate.ledger.kinds import TIME, Deployment, Entry
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, Remote
from train import prepared

from .conftest import copied, runner
from .pipelines import HOST, PROJECT, Pipeline, Project
from .test_pipelines import TOKEN, facts

DAY = timedelta(days=1)
MODEL = "models/model.json"


class Forge(DispatchGitLab, IssueGitLab):
    """It starts pipelines, opens merge requests and keeps issues; `started` and `merges` are what came of it."""


class Watched:
    """Rows have one feature, `x`, which is 0 to 96 in the training data; beyond the middle, the label is 1."""

    def __init__(self, folder: Path, wheel: Path, gitlab: Forge, **retrain: Any) -> None:
        self.folder, self.gitlab = folder, gitlab
        self.survey = folder / "survey.csv"  # where new data come from
        seed = folder / "seed"
        made = prepared.published(seed)
        sections = yaml.safe_dump(self._sections(retrain), sort_keys=False)
        made.write("mlgate.yaml", prepared.CONFIG + sections)
        done = made.mlgate("profile")
        assert done.returncode == 0, done.stdout + done.stderr
        made.commit("Watch it")
        made.git("push", "--quiet", str(seed / "origin.git"), "main")
        self.project = copied(runner(seed), wheel, folder / "home")
        self.repo = self.project.repo
        self.model = (self.repo.path / MODEL).read_bytes()
        self.digest = sha256(self.model).hexdigest()
        self.deployed = self.repo.head
        known = {name: value for name, value in facts(gitlab).items() if not name.startswith("CI_MERGE_REQUEST")}
        del known["CI_PIPELINE_SOURCE"]
        self.project.variables |= known | {
            "CI_SERVER_URL": f"https://{HOST}", "CI_PROJECT_URL": f"https://{HOST}/{PROJECT}",
            "CI_JOB_TOKEN": gitlab.environ()["CI_JOB_TOKEN"],
        }  # fmt: skip
        came = Deployment(
            model="visits", environment="production", state="complete", version="v1.0.0", commit=self.deployed,
            at=(datetime.now(UTC) - 10 * DAY).strftime(TIME), subject={"sha256": self.digest},
        )  # fmt: skip
        assert self._ledger().append(came).pushed

    def _sections(self, retrain: dict[str, Any]) -> dict[str, Any]:
        return {
            "serve": {"log": {"features": ["x"]}},
            "monitor": {
                "environment": "production",
                "logs": f"{self.folder}/logs/{{date}}.jsonl",
                "min_rows": 200,
                "drift": {"psi": 0.2, "prediction": {"psi": 0.2}},
                "rules": {"drift": {"retrain": True, "message": "Ask the survey whether its questions have changed."}},
            },
            "notify": {"channels": {"chat": "CHAT_URL", "board": {"issue": True, "labels": ["mlgate"]}}},
            "retrain": {
                "prepare": f"cp {self.survey} data/train.csv && dvc add --quiet data/train.csv",
                "cooldown": "1 s",
                "labels": ["model"],
                **retrain,
            },
        }

    def include(self, *names: str, **inputs: Any) -> str:
        """Each file, as a user includes it; the commit. `setup` is given to those that have one."""
        for name in names:
            own = {"setup": 'echo "token <$GITLAB_TOKEN>"'} if name == "model-retrain" else {}
            self.project.include(name, **own, **inputs)
        return self.project.push()

    def scoped(self, everywhere: Mapping[str, str] | None = None, **variables: str) -> None:
        """CI/CD variables of the environment `mlgate`, as docs/gitlab.md says."""
        given = {name: {"values": {"mlgate": value}} for name, value in {"GITLAB_TOKEN": TOKEN, **variables}.items()}
        text = yaml.safe_dump({**(everywhere or {}), **given})
        (self.repo.path / ".gitlab-ci-local-variables.yml").write_text(text, "utf-8")

    # -- what production logged, and what the survey says by now -----------------------------------------------------

    def logs(self, *, more: int = 0, rows: int = 600) -> None:
        """Of yesterday, and of today in case that it becomes yesterday meanwhile. `more` is added to `x`."""
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for day in (today - DAY, today):
            draw = random.Random(7)  # noqa: S311 -- test data
            lines = [
                self._line(day + at * DAY / rows, f"{day:%d}-{at}", draw.randrange(97) + more) for at in range(rows)
            ]
            lines.insert(300, '{"time": "torn away')
            file = self.folder / "logs" / f"{day:%Y-%m-%d}.jsonl"
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n".join(lines) + "\n")

    def _line(self, at: datetime, request: str, x: int) -> str:
        model = json.loads(self.model)
        score = 1 / (1 + math.exp(-((x - model["mean"]) / 50 + model["shift"])))
        return json.dumps({
            "time": at.isoformat(timespec="milliseconds"), "request_id": request, "model": "visits",
            "version": "v1.0.0", "digest": self.digest, "commit": self.deployed, "environment": "production", "row": 0,
            "features": {"x": x}, "hashed": {}, "prediction": int(score >= 0.5), "score": score, "latency_ms": 4.0,
        })  # fmt: skip

    def surveyed(self, *, broken: bool = False) -> None:
        """New data, in which one person has said nothing if it is `broken`: that cannot be trained on."""
        head, *lines = prepared.rows(0, 500, 11).splitlines()
        moved = [f"{one.split(',')[0]},{int(one.split(',')[1]) + 60},{one.split(',')[2]}" for one in lines]
        self.survey.write_text("\n".join([head, *moved, *(["900,nothing,1"] if broken else [])]) + "\n")

    # -- what is run, and what it leaves behind ----------------------------------------------------------------------

    def run(self, source: str, **variables: str) -> Pipeline:
        return self.project.run(source=source, **variables)

    def beside(self) -> Watched:
        """The same project on another runner, for a pipeline at the same time."""
        found = object.__new__(Watched)
        found.__dict__ |= self.__dict__
        repo = Repo(shutil.copytree(self.repo.path, self.folder / "beside" / "project", symlinks=True))
        found.project = Project(repo, self.project.remote, self.project.variables)
        found.repo = repo
        return found

    def _ledger(self) -> Ledger:
        config = {"GIT_CONFIG_GLOBAL": self.project.variables["GIT_CONFIG_GLOBAL"]}
        remote = Remote(f"https://{HOST}/{PROJECT}.git", config)  # the ledger knows whose it is
        by = Identity("mlgate", "mlgate@example.org")
        return Ledger(Git(self.repo.path, config), remote, spool=self.folder / "spool", by=by)

    def entries(self, *kinds: str) -> list[Any]:
        """Of the ledger, of these kinds; it is verified as it is read."""
        found: list[Entry] = [one.entry for one in self._ledger().records(CHAINS)]
        return [entry for entry in found if entry.kind in kinds]

    def fetched(self, branch: str) -> str:
        """The head of a branch of the remote, which is here now."""
        self.repo.git("fetch", "--quiet", f"file://{self.project.remote}", f"refs/heads/{branch}")
        return self.repo.git("rev-parse", "FETCH_HEAD")

    def branches(self) -> list[str]:
        lines = self.repo.git("ls-remote", "--heads", f"file://{self.project.remote}").splitlines()
        return [line.split("refs/heads/")[1] for line in lines]
