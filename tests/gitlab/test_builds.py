"""What becomes of a merge to main: judged, built, proven, pushed, signed and registered, each by the job that may.

With a real Docker engine, a registry that asks for a password, DVC, cosign and gitlab-ci-local.
"""

from __future__ import annotations

import base64
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from builder import environment, md5
from engine.registry import Registry
from mlgate.image import login, registry
from mlgate.image.engine import Engine
from mlgate.image.reference import Reference
from mlgate.signing import statement
from shipping import Passed
from signing.parts import cosign, pem

from .conftest import copied, runner
from .pipelines import HOST, PROJECT, Project
from .test_pipelines import TOKEN, GitLabOfOurs, facts

pytestmark = [pytest.mark.gitlab, pytest.mark.docker]
TRACKED = ("data/train.csv", "data/test.csv", "models/visits.joblib", "eval/predictions.csv")
JOBS = ("mlgate-run", "mlgate-judge", "mlgate-fetch", "mlgate-build", "mlgate-register")


@pytest.fixture
def gitlab() -> Iterator[GitLabOfOurs]:
    with GitLabOfOurs() as fake:
        yield fake


class Merged:
    """main before a merge, with the gate and the build in its pipeline; the branch `candidate` has another model."""

    def __init__(self, home: Path, wheel: Path, image: dict[str, Any], variables: dict[str, str]) -> None:
        self.store = home / "store"
        made = Passed(home / "seed", decide=False, config={"image": image, "register": {"to": ["git"]}})
        made.repo.write(".dvc/config", f"[core]\n    remote = store\n['remote \"store\"']\n    url = {self.store}\n")
        made.repo.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        made.repo.write(".gitignore", "/data/*.csv\n/models/\n/eval/\n")
        made.repo.commit("Keep data in a remote")
        self._keep(made.repo.path)
        made.repo.git("switch", "--quiet", "--create", "candidate")
        made.train(seed=3)
        made.repo.commit("Train again")
        self._keep(made.repo.path)
        made.repo.git("switch", "--quiet", "main")
        for path in TRACKED:
            (made.repo.path / path).unlink()  # nobody has them but the remote
        made.repo.path.rename(home / "seed" / "project")
        self.project = copied(runner(home / "seed"), wheel, home / "home")
        self.project.variables |= variables
        self.project.include("ml-pipeline")
        self.project.include("model-build", docker="runner")
        self.base = self.project.push()
        self.project.repo.git("rebase", "--quiet", "main", "candidate")
        self.project.publish_branch()

    def _keep(self, repo: Path) -> None:
        """What `dvc push` would do."""
        for path in TRACKED:
            data = (repo / path).read_bytes()
            kept = self.store / "files" / "md5" / md5(data)[:2] / md5(data)[2:]
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(data)

    def remote(self, *command: str) -> str:
        """What git says of the remote."""
        return self.project.repo.git(f"--git-dir={self.project.remote}", *command)

    def give(self, **secrets: str) -> None:
        """Variables of the environment `mlgate`."""
        scoped = {name: {"values": {"mlgate": value}} for name, value in secrets.items()}
        (self.project.repo.path / ".gitlab-ci-local-variables.yml").write_text(yaml.safe_dump(scoped), "utf-8")

    def ledger(self) -> list[dict[str, Any]]:
        """The entries that the remote has, in their order."""
        git = {"GIT_CONFIG_GLOBAL": self.project.variables["GIT_CONFIG_GLOBAL"]}
        done = self.project.repo.mlgate("audit", "log", "--json", **git)
        assert done.returncode == 0, done.stdout + done.stderr
        return [each["entry"] for each in json.loads(done.stdout)]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.ledger() if entry["kind"] == kind]


@pytest.fixture
def image(trusting_base: str) -> dict[str, Any]:
    return {
        "base": trusting_base,
        "requirements": ["requirements.txt"],
        "scan": {"environment": False},
        "sign": "cosign",
    }


@pytest.fixture
def variables(engine: Engine, locked_registry: Registry, gitlab: GitLabOfOurs) -> dict[str, str]:
    """What GitLab says to every job: itself, and its registry of images with the job's own login."""
    known = {name: value for name, value in facts(gitlab).items() if not name.startswith("CI_MERGE_REQUEST")}
    known.pop("CI_PIPELINE_SOURCE", None)
    return known | {
        "CI_SERVER_URL": f"https://{HOST}",
        "CI_PROJECT_URL": f"https://{HOST}/{PROJECT}",
        "CI_REGISTRY": locked_registry.address,
        "CI_REGISTRY_IMAGE": locked_registry.name(f"acme/{uuid.uuid4().hex[:8]}"),
        "CI_REGISTRY_USER": locked_registry.user,
        "CI_REGISTRY_PASSWORD": locked_registry.password,
        "MLGATE_DOCKER": engine.command,
        "MLGATE_COSIGN": cosign(),
    }


@pytest.fixture
def inside(engine: Engine, locked_registry: Registry) -> Iterator[Engine]:
    """The engine, logged in to that registry."""
    with login.session(engine, [(locked_registry.address, locked_registry.user, locked_registry.password)]) as found:
        yield found


def pushed(variables: dict[str, str]) -> list[str]:
    """The tags of the model's image in that registry."""
    host, _, name = variables["CI_REGISTRY_IMAGE"].partition("/")
    who = (variables["CI_REGISTRY_USER"], variables["CI_REGISTRY_PASSWORD"])
    answer = requests.get(f"http://{host}/v2/{name}/visits/tags/list", auth=who, timeout=10)
    return sorted((answer.json().get("tags") if answer.ok else None) or [])


def test_a_merge_to_main_ends_in_a_pushed_digest_and_a_registered_version(
    tmp_path: Path, wheel: Path, image: dict[str, Any], variables: dict[str, str], inside: Engine
) -> None:
    merged = Merged(tmp_path, wheel, image, variables)
    project = merged.project
    private, public = pem()
    key = {"COSIGN_PRIVATE_KEY": base64.b64encode(private.encode()).decode(), "COSIGN_PASSWORD": ""}
    merged.give(GITLAB_TOKEN=TOKEN, **key)
    project.land()
    done = project.run(CI_COMMIT_BEFORE_SHA=merged.base)
    assert done.codes == dict.fromkeys(JOBS, 0), done.text
    assert "command not found" not in done.text

    [decision], [built], [registered, *_] = map(merged.of_kind, ("decision", "image", "registration"))
    assert {entry["commit"] for entry in (decision, built, registered)} == {project.repo.head}
    assert decision["at"] <= built["at"] <= registered["at"]
    [stated] = [
        statement.Statement.parse(json.loads(file.read_bytes()))
        for file in done.artifact("mlgate-build").glob("images/visits.json")
    ]
    assert stated.predicate.decision == decision["statement"], "built on what the judge had decided"
    assert stated.name == f"{variables['CI_REGISTRY_IMAGE']}/visits"
    found = registry.exists(inside, Reference.parse(stated.reference))
    assert found is not None
    assert list(statement.labelled(stated, found.labels)) == []
    pub = tmp_path / "cosign.pub"
    pub.write_bytes(public)
    subprocess.run(
        [cosign(), "verify", "--private-infrastructure", "--key", str(pub), stated.reference],
        check=True, capture_output=True, env=environment(DOCKER_CONFIG=inside.environ["DOCKER_CONFIG"]),
    )  # fmt: skip
    assert built["image"] == registered["image"] == {"sha256": stated.image.removeprefix("sha256:")}
    tag = f"visits@{registered['version']}"
    assert tag in merged.remote("tag", "--list").splitlines()
    assert merged.remote("rev-parse", f"{tag}^{{commit}}") == project.repo.head

    for name in ("mlgate-build", "mlgate-register"):
        assert not (done.artifact(name) / "inputs").exists(), "the model and its rows are no report"
    for secret in (TOKEN, variables["CI_REGISTRY_PASSWORD"], key["COSIGN_PRIVATE_KEY"]):
        assert secret not in done.text

    tags, images, entries = merged.remote("show-ref", "--tags"), pushed(variables), merged.ledger()
    again = project.run(*JOBS[-2:], CI_COMMIT_BEFORE_SHA=merged.base)
    assert again.codes == dict.fromkeys(JOBS[-2:], 0), again.text
    assert "The same inputs were built and proven" in (
        again.artifact("mlgate-build") / "evidence/visits/build-image.json"
    ).read_text("utf-8")
    assert pushed(variables) == images
    assert merged.remote("show-ref", "--tags") == tags
    for kind in ("decision", "image", "registration"):
        assert merged.of_kind(kind) == [entry for entry in entries if entry["kind"] == kind], "nothing is done twice"


def test_what_the_judge_stops_is_neither_fetched_nor_built(
    tmp_path: Path, wheel: Path, image: dict[str, Any], variables: dict[str, str]
) -> None:
    merged = Merged(tmp_path, wheel, image, variables)
    merged.give(GITLAB_TOKEN=TOKEN)
    project = merged.project
    rules = yaml.safe_load((project.repo.path / "mlgate.yaml").read_text("utf-8"))
    rules["compare"]["rules"]["auc"]["threshold"] = 0.999
    project.repo.git("switch", "--quiet", "main")
    project.repo.write("mlgate.yaml", yaml.safe_dump(rules, sort_keys=False))
    base = project.push("Ask for more")
    project.repo.git("rebase", "--quiet", "main", "candidate")
    project.land()
    done = project.run(CI_COMMIT_BEFORE_SHA=base)
    assert done.codes == {"mlgate-run": 0, "mlgate-judge": 1}, done.text
    assert pushed(variables) == []
    assert merged.remote("tag", "--list") == ""


def test_without_the_key_nothing_is_registered_that_is_to_be_signed(
    tmp_path: Path, wheel: Path, image: dict[str, Any], variables: dict[str, str]
) -> None:
    merged = Merged(tmp_path, wheel, image, variables)
    merged.give(GITLAB_TOKEN=TOKEN)
    merged.project.land()
    done = merged.project.run(CI_COMMIT_BEFORE_SHA=merged.base)
    assert done.codes == {**dict.fromkeys(JOBS, 0), "mlgate-register": 2}, done.text
    assert "there is no key: COSIGN_PRIVATE_KEY is not set" in done.said("mlgate-register")
    assert merged.remote("tag", "--list") == ""
    assert merged.of_kind("decision")
    assert merged.of_kind("registration") == []


def test_only_main_is_built(tmp_path: Path, wheel: Path, image: dict[str, Any], variables: dict[str, str]) -> None:
    project: Project = Merged(tmp_path, wheel, image, variables).project
    assert project.repo.git("branch", "--show-current") == "candidate"
    for listed in (
        project.run("--list-csv", source="push").out,
        project.run("--list-csv", source="web").out,
        project.merge_request("--list-csv").out,
    ):
        assert "mlgate-build;" not in listed
        assert "mlgate-register;" not in listed
    project.repo.git("switch", "--quiet", "main")
    listed = project.run("--list-csv", source="push").out
    assert all(f"{job};" in listed for job in JOBS)


def test_what_a_commit_carries_is_not_what_was_handed_over(
    tmp_path: Path, wheel: Path, image: dict[str, Any], variables: dict[str, str]
) -> None:
    """A statement and evidence of its own, which the job that registers must not take for those of the build."""
    merged = Merged(tmp_path, wheel, image, variables)
    merged.give(GITLAB_TOKEN=TOKEN)
    merged.project.repo.git("switch", "--quiet", "main")
    merged.project.repo.write(".mlgate/images/visits.json", "{}\n")
    merged.project.push("Bring a statement")
    for job in JOBS[-2:]:
        done = merged.project.run(job)
        assert done.codes == {job: 2}, done.text
        assert "git rm -r --cached .mlgate" in done.said(job)
