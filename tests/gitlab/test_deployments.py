"""What becomes of a merge to main after the build: staging with a drill, production when somebody lets it, and back.

By gitlab-ci-local, with real models, servers and requests on this machine; who approved is read from GitLab's API.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

import tools
from builder import md5
from engine.building import COLUMNS
from forges.deploying_forges import DeployingGitLab
from mlgate.config.deploying import Environment
from mlgate.rollout.targets import Place, local
from rollout.local_bench import free_port
from shipping import Passed

from .conftest import copied, runner
from .pipelines import HOST, PROJECT, Project
from .test_pipelines import TOKEN, facts

pytestmark = pytest.mark.gitlab
TRACKED = ("data/train.csv", "data/test.csv", "models/visits.joblib", "eval/predictions.csv")


class Released:
    """main has a newer model than staging and production, and a decision about it; DVC's files are in a remote."""

    def __init__(self, home: Path, wheel: Path, gitlab: DeployingGitLab) -> None:
        self.state, self.store = home / "state", home / "store"
        self.ports = {"staging": free_port(), "production": free_port()}
        target = {name: {"kind": "local", "port": port} for name, port in self.ports.items()}
        self.environments: dict[str, dict[str, Any]] = {
            "staging": {"target": target["staging"], "strategy": "blue-green", "step": {"period": "0.5 s"}},
            "production": {
                "target": target["production"], "strategy": "canary", "steps": [50], "keep": "1 h",
                "approval": "required", "rules": ["error_rate <= 50%"], "expected": {"error_rate": "1%"},
                "step": {"at_least": "1 s", "at_most": "1 minute", "period": "0.5 s", "warm_up": "0.5 s"},
            },
        }  # fmt: skip
        deploy = {"trust": "branch", "environments": self.environments}
        made = Passed(home / "seed", decide=False, config={"deploy": deploy, "serve": {"workers": 1}})
        made.repo.write(".dvc/config", f"[core]\n    remote = store\n['remote \"store\"']\n    url = {self.store}\n")
        made.repo.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        made.repo.commit("Keep data in a remote")
        made.repo.git("push", "--quiet", "origin", "main")
        made.decide()
        first = made.repo.head
        made.before = first
        made.train(seed=1)
        made.repo.commit("Train again")
        made.repo.git("push", "--quiet", "origin", "main")
        made.decide()
        made.repo.path.rename(home / "seed" / "project")
        self.project: Project = copied(runner(home / "seed"), wheel, home / "home")
        self.repo = self.project.repo
        for path in TRACKED:
            self._keep(path)
        self.gitlab = gitlab
        known = {name: value for name, value in facts(gitlab).items() if not name.startswith("CI_MERGE_REQUEST")}
        del known["CI_PIPELINE_SOURCE"]
        self.project.variables |= known | {
            "CI_SERVER_URL": f"https://{HOST}", "CI_PROJECT_URL": f"https://{HOST}/{PROJECT}",
            "CI_JOB_TOKEN": gitlab.environ()["CI_JOB_TOKEN"], "MLGATE_STATE": str(self.state),
        }  # fmt: skip
        self._begin(made, first)

    def _keep(self, path: str) -> None:
        """What `dvc push` would do; nobody has it afterwards but the remote."""
        data = (self.repo.path / path).read_bytes()
        kept = self.store / "files" / "md5" / md5(data)[:2] / md5(data)[2:]
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(data)

    def _begin(self, made: Passed, first: str) -> None:
        """The first model is there already, by jobs of an earlier pipeline."""
        self.repo.git("switch", "--quiet", "--detach", first)
        made.repo.path = self.repo.path
        made.train()
        env = {**self.gitlab.environ(), **self.project.variables, "CI_COMMIT_SHA": first, "GITLAB_TOKEN": TOKEN}
        env.pop("WHEEL")
        for name in self.environments:
            done = self.repo.mlgate("deploy", "--environment", name, "--python", str(tools.script("python")), **env)
            assert done.returncode == 0, done.stdout + done.stderr
        for path in TRACKED:
            (self.repo.path / path).unlink()
        self.repo.git("checkout", "--quiet", "--", ".")
        self.repo.git("switch", "--quiet", "main")

    def take_down(self) -> None:
        for folder in self.state.glob("*"):
            for name, settings in self.environments.items():
                found = Environment.model_validate(settings)
                local.take_down(Place("visits", name, found, self.repo.path, folder))

    def there(self, name: str) -> str:
        """The commit of the model that answers in an environment."""
        told = requests.get(f"http://127.0.0.1:{self.ports[name]}/version", timeout=10).json()
        return str(told["commit"])

    def entries(self, kind: str, name: str) -> list[dict[str, Any]]:
        done = self.repo.mlgate("audit", "log", "--json", GIT_CONFIG_GLOBAL=self.project.variables["GIT_CONFIG_GLOBAL"])
        assert done.returncode == 0, done.stdout + done.stderr
        found = [each["entry"] for each in json.loads(done.stdout)]
        return [entry for entry in found if (entry["kind"], entry.get("environment")) == (kind, name)]

    @contextmanager
    def traffic(self, name: str) -> Iterator[list[int]]:
        """Requests as they come, until it is left: the status of each, 0 where there was no answer."""
        over, seen = threading.Event(), list[int]()

        def call() -> None:
            with closing(http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=15)) as address:
                while not over.wait(0.02):
                    seen.append(_predicted(address))

        callers = [threading.Thread(target=call) for _ in range(2)]
        for caller in callers:
            caller.start()
        try:
            yield seen
        finally:
            over.set()
            for caller in callers:
                caller.join()


def _predicted(address: http.client.HTTPConnection) -> int:
    """The status of one answer, 0 where there was none."""
    row = {column: random.gauss(0, 1) for column in COLUMNS}
    try:
        address.request("POST", "/predict", json.dumps({"records": [row]}), {"Content-Type": "application/json"})
        with address.getresponse() as answer:
            answer.read()
            return answer.status
    except (OSError, http.client.HTTPException):
        address.close()
        return 0


@pytest.fixture
def gitlab() -> Iterator[DeployingGitLab]:
    with DeployingGitLab() as fake:
        yield fake


@pytest.fixture
def released(tmp_path: Path, wheel: Path, gitlab: DeployingGitLab) -> Iterator[Released]:
    made = Released.__new__(Released)
    try:
        gitlab.player, gitlab.manual = "ada", [901]
        made.__init__(tmp_path, wheel, gitlab)  # type: ignore[misc]
        yield made
    finally:
        made.take_down()


def test_a_merge_walks_to_production_and_back(released: Released, gitlab: DeployingGitLab) -> None:
    project, python = released.project, str(tools.script("python"))
    project.include("model-deploy", prepare=True, python=python, client="none", pull=True)
    project.include("rollback", python=python, client="none")
    scoped = {"GITLAB_TOKEN": {"values": {"production": TOKEN}}}
    (released.repo.path / ".gitlab-ci-local-variables.yml").write_text(yaml.safe_dump(scoped), "utf-8")
    old = released.there("production")
    new = released.repo.head
    head = project.push("Deploy")
    assert head != new != old

    gitlab.manual = []
    merged = project.run()
    assert merged.codes == {"mlgate-gather": 0, "mlgate-staging": 0}, merged.text
    assert released.there("staging") == new
    assert released.there("production") == old, "production waits for somebody"
    ends = [entry["state"] for entry in released.entries("deployment", "staging")]
    assert [state for state in ends if state in ("complete", "judged", "aborted", "failed")] == [
        *("complete", "judged", "complete")  # the model before, the drill, the new one
    ]
    assert (merged.artifact("mlgate-staging") / "drill.html").exists()
    assert not (merged.artifact("mlgate-staging") / "inputs").exists(), "the model and its rows are no report"
    left = (merged.artifact("mlgate-staging") / "deploy.env").read_text("utf-8")
    assert left == f"MLGATE_DEPLOYED_URL=http://127.0.0.1:{released.ports['staging']}\n"

    refused = project.run("mlgate-production")
    assert refused.codes == {"mlgate-production": 3}, refused.text
    assert "this job is not a manual one" in refused.said("mlgate-production")
    assert released.there("production") == old

    gitlab.manual = [901]
    with released.traffic("production") as seen:
        let = project.run("mlgate-production")
    assert let.codes == {"mlgate-production": 0}, let.text
    assert released.there("production") == new
    assert set(seen) == {200}
    last = released.entries("deployment", "production")[-1]
    assert (last["state"], last["commit"]) == ("complete", new)
    assert "ada" in json.dumps(released.entries("deployment", "production"))
    weights = [entry.get("weight") for entry in released.entries("deployment", "production")]
    assert 50 in weights

    back = project.run("mlgate-rollback", MLGATE_REASON="the old one was better")
    assert back.codes == {"mlgate-rollback": 0}, back.text
    assert released.there("production") == old
    (undone,) = released.entries("rollback", "production")
    assert (undone["reason"], undone["approved_by"]) == ("the old one was better", ["ada"])
    assert TOKEN not in merged.text + refused.text + let.text + back.text
