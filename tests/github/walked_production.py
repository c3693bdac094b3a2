"""A model that is watched, as a consumer has it: a real DVC, a profile, a ledger that knows what is deployed, logs.

    there = Walked(tmp_path, forge)
    there.logs(older=60)                         # what production logged yesterday
    done = there.act("schedule", "model-monitor.yml")

The starters are its workflows. Only what they give as `setup:` is changed, to set up in a moment what takes minutes.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import walk
import yaml
from test_walks import consumer, payload, publish
from workflow_files import ROOT

from example.consumer import commit, git
from forges.dispatch_forges import DispatchGitHub
from forges.issue_forges import IssueGitHub
from mlgate.ledger.branch import Ledger
from mlgate.ledger.chain import CHAINS
from mlgate.ledger.kinds import TIME, Deployment, Entry
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, Remote
from train import prepared

DAY = timedelta(days=1)
STARTERS = ("model-monitor.yml", "model-retrain.yml")
MODEL = "models/model.json"
TORN = '{"time": "2026-11-20T00:12", "features": {"x": "torn away'


class Forge(DispatchGitHub, IssueGitHub):
    """It knows the workflows that the starters are, with the inputs that these declare."""

    def __init__(self) -> None:
        super().__init__()
        self.workflows = {name: _inputs(ROOT / "workflows" / name) for name in (*STARTERS, "model-gate.yml")}


class Walked:
    """Rows have one feature, `x`, which is 0 to 96 in the training data; beyond the middle, the label is 1."""

    def __init__(self, folder: Path, forge: Forge) -> None:
        self.folder, self.forge = folder, forge
        self.survey = folder / "survey.csv"  # where new data come from
        repo = prepared.published(folder)
        repo.write("mlgate.yaml", prepared.CONFIG + yaml.safe_dump(self._sections(), sort_keys=False))
        done = repo.mlgate("profile")
        assert done.returncode == 0, done.stdout + done.stderr
        self.repo = consumer(folder, made=repo.path)
        for name in STARTERS:
            text = (ROOT / "workflows" / name).read_text("utf-8")
            (self.repo / ".github/workflows" / name).write_text(
                text.replace("setup: pip install", "setup: echo install")
            )
        commit(self.repo, "Watch it")
        self.deployed = publish(self.repo, "refs/heads/main")
        self.made = (self.repo / MODEL).read_bytes()
        self.digest = sha256(self.made).hexdigest()
        came = Deployment(
            model="visits", environment="production", state="complete", version="v1.0.0", commit=self.deployed,
            at=(datetime.now(UTC) - 10 * DAY).strftime(TIME), subject={"sha256": self.digest},
        )  # fmt: skip
        assert self._ledger().append(came).pushed

    def _sections(self) -> dict[str, Any]:
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
            },
        }

    # -- what production logged, and what the survey says by now -----------------------------------------------------

    def logs(self, *, more: int, rows: int = 600) -> None:
        """Of yesterday, and of today in case that midnight passes. `more` is added to `x`; a line is torn."""
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for day in (today - DAY, today):
            draw = random.Random(7)  # noqa: S311 -- test data
            lines = []
            for at in range(rows):
                x = draw.randrange(97) + more
                score = self._score(x)
                lines.append(json.dumps({
                    "time": (day + at * DAY / rows).isoformat(timespec="milliseconds"), "request_id": f"{day:%d}-{at}",
                    "model": "visits", "version": "v1.0.0", "digest": self.digest, "commit": self.deployed,
                    "environment": "production", "row": 0, "features": {"x": x}, "hashed": {},
                    "prediction": int(score >= 0.5), "score": score, "latency_ms": 4.0,
                }))  # fmt: skip
            file = self.folder / "logs" / f"{day:%Y-%m-%d}.jsonl"
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n".join([*lines[:9], TORN, *lines[9:]]) + "\n")

    def _score(self, x: float) -> float:
        model = json.loads(self.made)
        return 1 / (1 + math.exp(-((x - model["mean"]) / 50 + model["shift"])))

    def surveyed(self, *, broken: bool = False) -> None:
        """New data, in which one person has said nothing if it is `broken`: that cannot be trained on."""
        text = prepared.rows(0, 500, 11).splitlines()
        head, *lines = text
        moved = [f"{one.split(',')[0]},{int(one.split(',')[1]) + 20},{one.split(',')[2]}" for one in lines]
        self.survey.write_text("\n".join([head, *moved, *(["900,nothing,1"] if broken else [])]) + "\n")

    # -- what is run -------------------------------------------------------------------------------------------------

    def act(
        self, event: str, starter: str, *, secrets: dict[str, str], run: str, branch: str = "main", **inputs: str
    ) -> walk.Walk:
        told: dict[str, Any] = {"repository": payload("push")["repository"], "ref": f"refs/heads/{branch}"}
        told |= {"schedule": "17 5 * * *"} if event == "schedule" else {"inputs": inputs}
        more = {"GITHUB_RUN_ID": run}
        return walk.act(self.repo, event, told, self.forge, secrets=secrets, more=more, only=starter, timeout=500)

    def beside(self) -> Walked:
        """The same project on another machine, for a run at the same time."""
        found = object.__new__(Walked)
        found.__dict__ |= self.__dict__
        found.folder = self.folder / "beside"
        found.folder.mkdir()
        (found.folder / "origin.git").symlink_to(self.folder / "origin.git")
        found.repo = Path(shutil.copytree(self.repo, found.folder / "project", symlinks=True))
        return found

    # -- what is left behind -----------------------------------------------------------------------------------------

    def _ledger(self) -> Ledger:
        here = f"{walk.SERVER}/{walk.PROJECT}"  # it is the ledger of that repository, wherever that is reached
        return Ledger(
            Git(self.repo), Remote(here), spool=self.folder / "spool", by=Identity("mlgate", "mlgate@example.org"),
            settings=((f"url.{(self.folder / 'origin.git').as_uri()}.insteadOf", here),),
        )  # fmt: skip

    def entries(self, *kinds: str) -> list[Any]:
        """Of the ledger, of these kinds; it is verified as it is read."""
        found: list[Entry] = [one.entry for one in self._ledger().records(CHAINS)]
        return [entry for entry in found if entry.kind in kinds]

    def fetched(self, branch: str) -> str:
        """The head of a branch of the forge, which is here now."""
        git(self.repo, "fetch", "--quiet", str(self.folder / "origin.git"), f"refs/heads/{branch}")
        return git(self.repo, "rev-parse", "FETCH_HEAD")

    def branches(self) -> set[str]:
        return {*git(self.folder / "origin.git", "branch", "--format=%(refname:short)").split()}


def _inputs(starter: Path) -> list[str] | None:
    """Those of `workflow_dispatch`; None where nobody can start it."""
    on = yaml.safe_load(starter.read_text("utf-8"))[True]
    if "workflow_dispatch" not in on:
        return None
    return [*((on["workflow_dispatch"] or {}).get("inputs") or {})]


def only(found: Sequence[Any]) -> Any:
    """The one that is there."""
    assert len(found) == 1, found
    return found[0]
