"""A model with everything that a regulated team must show: decided on main, with papers and the evidence of its image.

`make` runs the real thing once: DVC, the gate as a push job on main, a ledger in a repository of its own, the papers.
Only the image's evidence is written by hand: no engine is needed to look at papers.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import builder
from jobs import environ
from mlgate.model import Check, Evidence, Named, Source, Verdict
from setup.projects import DVC_ENV, dvc
from train import prepared, projects

CARD = """\
schema: 1
title: Visits of a clinic
intended_use: Planning how many people come on a day, by those who plan the staff.
training_data: Invented rows of people and whether they came, made by a formula.
limitations: |
  - The rows are invented, so nothing here is true of real people.
  - People with x near 48 are told apart badly.
ethical_considerations: Nobody is treated by it, and nobody is refused anything because of it.
more:
  Who was asked: The people who plan the staff have read this card and agreed to it.
"""
SHEET = """\
schema: 1
origin: Made by a formula in this repository, for nobody and about nobody.
use_rights: The team has made them itself, and may do with them what it likes.
licence: CC0-1.0
personal_data: false
deidentified: {state: not needed, how: The rows are invented and are about no person.}
"""
GOVERNANCE = """\
  fairness:
    by: [x]
    edges: {x: [70]}
    min_rows: 10
    rules: {disparate_impact_ratio: {threshold: 0.0001}}
ledger: {remote: "%(ledger)s"}
governance:
  owners: [planning-team]
  card: governance/card.yaml
  data_sheet: governance/data_sheet.yaml
  sla: {latency_p95_ms: 100, throughput_rps: 50}
  rollback: The model before this one is put back by whoever is on call, with one command.
  retirement: docs/retirement.md
  explain: {rows: 60, repeats: 3, examples: 2, predict: 'src.latency:load'}
  tags: {data_schema_version: "2.1", pii_processed: "false"}
"""
RETIREMENT = "# Retirement\n\nThe model is taken out of service when the clinic moves to its new house.\n"
MODEL = "visits"
SIX = ("provenance", "explainability", "bias", "security", "licences", "documentation")


class Main:
    """The repository, and the jobs that run in it."""

    def __init__(self, repo: builder.Repo) -> None:
        self.repo = repo
        self.state = repo.path / ".mlgate"

    def job(self, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A verb in a job for a push to main, as the forge starts it."""
        head = self.repo.head
        payload = {"before": self.repo.git("rev-parse", "HEAD~1"), "after": head, "ref": "refs/heads/main"}
        main = {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_ACTOR": "ada"}
        variables = environ(self.repo.path.parent / "job", self.repo, "push", payload, **main, **DVC_ENV, **more)
        done = self.repo.mlgate(*args, **variables)
        assert "Traceback (most recent call last)" not in done.stderr, done.stderr
        return done

    def papers(self, *args: str) -> subprocess.CompletedProcess[str]:
        return self.job("audit", "papers", *args)

    def checklist(self) -> dict[str, dict[str, Any]]:
        """Each of the six checks by its name."""
        done = self.job("audit", "checklist")
        found: dict[str, Any] = self.repo.evidence(MODEL, verb="checklist")
        checks = {c["id"].removeprefix("checklist."): c for c in found["checks"]}
        assert done.returncode == {"pass": 0, "warn": 0, "fail": 1, "error": 2, "inconclusive": 3}[found["verdict"]]
        return checks

    def paper(self, name: str) -> Path:
        return self.state / "papers" / MODEL / name

    def evidence(self, verb: str) -> Path:
        return self.state / "evidence" / MODEL / f"{verb}.json"

    def built(self, *, commit: str = "", **update: Any) -> None:
        """The evidence that `build-image` leaves."""
        compared = Evidence.from_json(self.evidence("compare").read_bytes())
        checks = [
            Check(id="supply.model", title="model files", verdict=Verdict.PASS, group="supply"),
            Check(id="supply.environment", title="packages", verdict=Verdict.PASS, group="supply"),
            Check(id="supply.licences", title="licences of Python packages", verdict=Verdict.PASS, group="supply"),
            Check(id="image.user", title="user", verdict=Verdict.PASS, group="image"),
        ]
        made = Evidence(
            kind="build-image",
            model=MODEL,
            verdict=Verdict.PASS,
            subject=Named(name="models/model.json", digest=compared.subject.digest if compared.subject else {}),
            source=Source(commit=commit or self.repo.head),
            checks=checks,
            facts={"latency_p95_ms": 12.5, "throughput_rps": 480.0},
        )
        self.evidence("build-image").write_text(made.model_copy(update=update).to_json())


def make(home: Path) -> Main:
    repo = prepared.make(home)
    (home / "ledger").mkdir()
    subprocess.run(["git", "init", "--quiet", "--bare", str(home / "ledger" / "shared.git")], check=True)
    write(repo)
    # The second model, which is judged against the first.
    repo.write("params.yaml", json.dumps({"train": {"seed": 7, "shift": 0.1}}) + "\n")
    dvc(repo, "repro", "--quiet")
    repo.commit("Shift it")
    main = Main(repo)
    done = main.job("compare")
    assert "may be deployed" in done.stdout, done.stdout + done.stderr
    assert main.papers().returncode == 0
    main.built()
    return main


def write(repo: builder.Repo) -> None:
    more = GOVERNANCE % {"ledger": "../ledger/shared.git"}
    repo.write("mlgate.yaml", prepared.config(more=more))
    repo.write("governance/card.yaml", CARD)
    repo.write("governance/data_sheet.yaml", SHEET)
    repo.write("docs/retirement.md", RETIREMENT)
    repo.commit("Write the papers")


def copy(main: Main, home: Path) -> Main:
    return Main(projects.copy(main.repo, home))
