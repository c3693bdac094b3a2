"""From a merge to production and back, by the real act: starters, reusable workflows, actions, servers and traffic.

act asks nobody for an approval, so what counts is what the API says: first that nobody approved, then that ada did.
"""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import requests
import walk
import yaml
from test_walks import consumer, payload, publish
from workflow_files import ROOT

import tools
from builder import environment
from engine.building import COLUMNS
from example.consumer import commit, git
from forges.deploying_forges import DeployingGitHub
from mlgate.config.deploying import Environment
from mlgate.model import Evidence
from mlgate.rollout.targets import Place, local
from rollout.local_bench import free_port
from shipping import Passed

pytestmark = pytest.mark.act
RUN = "42"  # of which the API knows who approved
CANARY = {
    "strategy": "canary", "steps": [20, 50], "keep": "1 h",
    "step": {"at_least": "1 s", "at_most": "2 minutes", "period": "0.5 s", "warm_up": "0.5 s"},
    "rules": ["error_rate <= 20%"], "expected": {"error_rate": "0.1%", "requests_per_second": 200},
    "self_approval": False,
}  # fmt: skip


class Forge(DeployingGitHub):
    """`mona` pushes what she wrote; `ada` may approve."""

    def starts(self, event: str, who: str = "mona") -> None:
        self.run = {"event": event, "actor": who, "triggering_actor": who}
        self.reviews.clear()


@pytest.fixture
def forge() -> Iterator[Forge]:
    with Forge() as fake:
        yield fake
    assert not fake.problems


class Walked:
    """A project of which act runs the workflows, and what runs of it on this machine."""

    def __init__(self, folder: Path, forge: Forge, image: dict[str, Any] | None, docker: str) -> None:
        self.folder, self.forge = folder, forge
        self.state, self.docker, self.whole = folder / "state", docker, image is not None
        self.ports = {"staging": free_port(), "production": free_port()}
        environments: dict[str, Any] = {
            "staging": {"strategy": "blue-green", "step": {"period": "0.5 s"}},
            "production": CANARY,
        }
        for name, port in self.ports.items():
            environments[name] = environments[name] | {"target": {"kind": "local", "port": port}}
        self.environments = environments
        deploy = {"trust": "branch", "criticality": "medium", "environments": environments}
        serve = {"workers": 1, "timeout_seconds": 3}
        self.passed = Passed(folder, config={"deploy": deploy, "serve": serve, **({"image": image} if image else {})})
        self.passed.store()
        self.repo = consumer(folder, made=self.passed.repo.path, starter="model-deploy.yml")
        for starter in ("model-promote.yml", "model-rollback.yml", "model-rollout.yml"):
            text = (ROOT / "workflows" / starter).read_text("utf-8")
            (self.repo / ".github/workflows" / starter).write_text(text)
        self._local()
        self._publish("Deploy by hand, too")

    def _local(self) -> None:
        """What the starter leaves to who uses it: a local target serves the model's own files, which `fetch` gathers.
        The job `told` stands for whatever comes after: it sees what the called workflows hand out."""
        file = self.repo / ".github/workflows/model-gate.yml"
        found = yaml.safe_load(file.read_text("utf-8"))
        found["on"] = found.pop(True)
        jobs = found["jobs"]
        if not self.whole:
            for name in ("gate", "build", "required"):
                del jobs[name]
            del jobs["staging"]["needs"]
        for name in self.ports:
            jobs[name]["with"] |= {"fetch": True}
        jobs["told"] = _told(*self.ports)
        file.write_text(yaml.safe_dump(found, sort_keys=False))
        others = {"model-promote.yml": "deploy", "model-rollback.yml": "rollback", "model-rollout.yml": "go-on"}
        for starter, job in others.items():
            file = self.repo / ".github/workflows" / starter
            found = yaml.safe_load(file.read_text("utf-8"))
            found["on"] = found.pop(True)
            if job != "rollback":
                found["jobs"][job]["with"] |= {"fetch": True}
            found["jobs"]["told"] = _told(job)
            file.write_text(yaml.safe_dump(found, sort_keys=False))

    def _publish(self, why: str) -> str:
        commit(self.repo, why)
        return publish(self.repo, "refs/heads/main")

    def better(self) -> None:
        """A second model, merged; where the workflow has no gate, it has been decided about when that begins."""
        self.passed.before = git(self.repo, "rev-parse", "HEAD")
        self.passed.train(seed=1)
        for args in (["commit", "--force"], ["push"]):
            dvc = [tools.script("dvc"), *args]
            subprocess.run(dvc, cwd=self.repo, env=environment(DVC_NO_ANALYTICS="1"), check=True, capture_output=True)
        self._publish("Train again")
        if not self.whole:
            self.passed.decide()

    def act(self, event: str, starter: str, **inputs: str) -> walk.Walk:
        told: dict[str, Any] = {"repository": payload("push")["repository"], "ref": "refs/heads/main"}
        if event == "schedule":
            told |= {"schedule": "*/15 * * * *"}
        elif event == "push":
            told |= payload("push") | {"ref": "refs/heads/main"}
            told |= {"before": git(self.repo, "rev-parse", "HEAD~1"), "after": git(self.repo, "rev-parse", "HEAD")}
            told |= {"created": False, "deleted": False, "forced": False, "base_ref": None}
        else:
            told |= {"inputs": inputs}
        more = {"MLGATE_STATE": str(self.state), "GITHUB_RUN_ID": RUN, "MLGATE_DOCKER": self.docker}
        return walk.act(self.repo, event, told, self.forge, more=more, only=starter, timeout=1500)

    def version(self, environment: str) -> str:
        """The digest of the model that answers there; empty where nothing does."""
        try:
            answer = requests.get(f"http://127.0.0.1:{self.ports[environment]}/version", timeout=5)
        except requests.ConnectionError:
            return ""
        return str(answer.json()["digest"])

    def entries(self) -> list[dict[str, Any]]:
        files = self._origin("ls-tree", "-r", "--name-only", "mlgate-ledger").split()
        events = sorted(file for file in files if "events" in file and file.endswith(".jsonl"))
        lines = [line for file in events for line in self._origin("show", f"mlgate-ledger:{file}").splitlines()]
        return [json.loads(line)["entry"] for line in lines]

    def _origin(self, *args: str) -> str:
        return self.passed.repo.git("--git-dir", str(self.passed.origin), *args)

    def take_down(self) -> None:
        for name, settings in self.environments.items():
            for folder in self.state.glob("*"):
                place = Place("visits", name, Environment.model_validate(settings), self.repo, folder)
                local.take_down(place)


def _told(*jobs: str) -> dict[str, Any]:
    """A job that sees all outputs of these."""
    names = {job: job.upper().replace("-", "_") for job in jobs}
    env = {names[job]: f"${{{{ toJSON(needs.{job}.outputs) }}}}" for job in jobs}
    lines = "\n".join(f'echo "{job}=$(tr -d "\\n" <<<"${{{names[job]}}}")" >>"${{GITHUB_OUTPUT}}"' for job in jobs)
    step = {"name": "See outputs", "run": lines, "env": env, "shell": "bash"}
    return {"needs": [*jobs], "runs-on": "ubuntu-latest", "timeout-minutes": 5, "permissions": {}, "steps": [step]}


class Traffic:
    """Real requests to one port of this machine, for as long as it is entered: few until `busy`, then many."""

    def __init__(self, port: int, busy: Callable[[], bool] = lambda: True) -> None:
        self.url = f"http://127.0.0.1:{port}/predict"
        self.busy = busy
        self.bad: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(2)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            row = {name: (number * 7 + index * 13) % 29 / 10 - 1.4 for index, name in enumerate(COLUMNS)}
            try:
                answer = requests.post(self.url, json={"records": [row]}, timeout=15)
                if not answer.ok:
                    self.bad.append(answer.text)
            except requests.RequestException as error:
                self.bad.append(str(error))
            self._stop.wait(0.02 if self.busy() else 0.5)


@pytest.fixture(params=["deploys", pytest.param("whole", marks=[pytest.mark.long, pytest.mark.docker])])
def walked(request: pytest.FixtureRequest, tmp_path: Path, forge: Forge) -> Iterator[Walked]:
    """`whole`: the starter with its gate and its build, which take minutes; else from where both have passed."""
    image, docker = None, ""
    if request.param == "whole":
        docker = request.getfixturevalue("engine").command
        name = request.getfixturevalue("registry").name(f"visits-{uuid.uuid4().hex[:8]}")
        image = {
            "name": name, "base": request.getfixturevalue("trusting_base"), "sign": "attest",
            "requirements": ["requirements.txt"], "scan": {"environment": False},
        }  # fmt: skip
    found = Walked(tmp_path, forge, image, docker)
    yield found
    found.take_down()


def test_from_a_merge_to_production_and_back(walked: Walked, forge: Forge) -> None:
    # -- by hand, the first model: into staging at once, and into production only when somebody else has let it
    forge.starts("workflow_dispatch")
    done = walked.act("workflow_dispatch", "model-promote.yml", environment="staging")
    assert done.job("Deploy") == "success", done.text
    first = walked.version("staging")
    assert first

    done = walked.act("workflow_dispatch", "model-promote.yml", environment="production")
    assert done.code != 0
    assert done.job("Deploy") == "failure"
    outputs = done.outputs("Deploy")
    assert (outputs["verdict"], outputs["passed"], outputs["exit-code"]) == ("inconclusive", "false", "3")
    assert "Nobody has approved the environment production in this run." in done.summary
    assert not walked.version("production")
    assert {entry["environment"] for entry in walked.entries() if entry["kind"] == "deployment"} == {"staging"}
    assert {one["environment"] for one in forge.deployments} == {"staging"}

    forge.review("ada")
    done = walked.act("workflow_dispatch", "model-promote.yml", environment="production")
    assert done.job("Deploy") == "success", done.text
    assert walked.version("production") == first

    # -- a merge: staging with a drill, ada's approval, a canary under traffic
    walked.better()
    head = git(walked.repo, "rev-parse", "HEAD")
    forge.starts("push")
    forge.review("ada")
    own = forge.deploy("production", sha=head)  # what GitHub itself writes for a job with an `environment:`
    forge.of_run(own["id"], RUN)
    made = len(forge.deployments)
    artifact = walked.folder / "artifacts/mlgate-audit-visits"
    jobs = ["Deploy", "told"]
    if walked.whole:
        jobs += ["Run", "Judge", "Build", "Register", "Model gate"]
    else:
        (artifact / "papers").mkdir(parents=True)
        (artifact / "papers/visits.md").write_text("# Left by the build\n")
    asked = len(forge.requests)

    def begun() -> bool:
        return any(seen.query.get("environment") == "production" for seen in forge.requests[asked:])

    with Traffic(walked.ports["production"], busy=begun) as traffic:
        done = walked.act("push", "model-gate.yml")
    assert {job: done.job(job) for job in jobs} == dict.fromkeys(jobs, "success"), done.text
    assert traffic.bad == []
    second = walked.version("production")
    assert second != first
    assert walked.version("staging") == second

    seen = done.outputs("See outputs")
    for name in walked.ports:
        outputs = json.loads(seen[name])
        assert outputs["passed"] == outputs["finished"] == "true"
        assert (outputs["state"], outputs["weight"]) == ("complete", "100")
        assert outputs["url"] == f"http://127.0.0.1:{walked.ports[name]}"
        assert "@sha256:" in outputs["image"]
    assert outputs["version"] == ("v1.0.0" if walked.whole else "")
    called = f"visits {outputs['version']}".strip()
    assert f"{called} was tried in staging, which keeps the model that it had." in done.summary, "the drill"
    assert f"{called} is in production." in done.summary
    assert "ada approved the environment production" in done.summary

    kept = walked.folder / "artifacts/mlgate-deploy-production"
    papers = [paper.relative_to(artifact) for paper in artifact.rglob("papers/**/*.md")]
    assert papers
    assert all((kept / paper).is_file() for paper in papers), "what the build left was here, too"
    evidence = Evidence.from_json((kept / "evidence/visits/deploy.json").read_bytes())
    assert evidence.source.event == "push"
    weights = [look.weight for look in evidence.timeline]
    assert {20, 50} <= {*weights}
    assert weights == sorted(weights)

    told = [entry for entry in walked.entries() if entry["kind"] == "deployment"]
    (rollout,) = {entry["rollout"] for entry in told if entry["state"] == "advanced" and entry["weight"] == 50}
    last = [entry for entry in told if entry["rollout"] == rollout]
    states = [entry["state"] for entry in last if entry["state"] != "held"]  # while there are few requests yet
    assert states == ["started", "advanced", "advanced", "complete"]
    assert [entry["weight"] for entry in last if entry["state"] == "advanced"] == [20, 50]
    assert {tuple(entry["approved_by"]) for entry in last} == {("ada",)}
    assert "judged" in [entry["state"] for entry in told if entry["environment"] == "staging"], "the drill"

    posted = forge.deployments[made:]  # staging has no record of GitHub's own, and production has
    assert [one["environment"] for one in posted] == ["staging"] * len(posted)
    assert {forge.progress[one["id"]][-1]["state"] for one in posted} == {"success"}
    assert [status["state"] for status in forge.progress[own["id"]]] == ["in_progress"], "GitHub's own stays GitHub's"

    # -- a schedule goes on with it, although nobody is asked again: all that is left to do is to wait for `keep`
    forge.starts("schedule")
    done = walked.act("schedule", "model-rollout.yml")
    assert done.job("Deploy") == "success", done.text
    outputs = json.loads(done.outputs("See outputs")["go-on"])
    assert (outputs["state"], outputs["weight"], outputs["passed"]) == ("complete", "100", "true")
    assert walked.version("production") == second
    assert [entry for entry in walked.entries() if entry["kind"] == "deployment"] == told

    # -- and back
    forge.starts("workflow_dispatch")
    forge.review("ada")
    with Traffic(walked.ports["production"]) as traffic:
        inputs = {"environment": "production", "reason": "errors since noon", "to": ""}
        done = walked.act("workflow_dispatch", "model-rollback.yml", **inputs)
    assert done.job("Rollback") == "success", done.text
    assert traffic.bad == []
    assert walked.version("production") == first
    outputs = json.loads(done.outputs("See outputs")["rollback"])
    assert (outputs["verdict"], outputs["passed"]) == ("warn", "true"), "`trust: branch` is said each time"
    assert 0 <= float(outputs["seconds"]) < 5
    assert "is in production again" in done.summary
    (entry,) = [entry for entry in walked.entries() if entry["kind"] == "rollback"]
    assert (entry["reason"], entry["approved_by"]) == ("errors since noon", ["ada"])
