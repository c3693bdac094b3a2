"""Tricks by which a model could come into an environment that nobody has let through. Each is stopped, and nothing of
it is started: the platform's own log of what it was told shows that."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploying.deployed import Project
from engine import registry as registries
from jobs import environ
from mlgate.commands import _rolling
from mlgate.ledger.kinds import Comparison
from mlgate.model import Named
from mlgate.rollout import targets
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State
from mlgate.signing import statement
from signing.parts import cosign, missing, pem, push


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry without TLS on this machine."""
    try:
        found, group = registries.start(tmp_path_factory.mktemp("images"), os.getpid(), "true")
    except FileNotFoundError as error:
        missing(str(error))
        raise
    yield found.address
    registries.stop(group)


@pytest.fixture
def project(tmp_path: Path, images: str) -> Project:
    made = Project(tmp_path, images)
    for settings in made.settings["deploy"]["environments"].values():
        settings["checks"] = {"smoke": False, "api": False}
    return made


def stopped(project: Project, *args: str, environment: str = "production", code: int = 2, **env: str) -> str:
    """What `mlgate deploy` says; nothing was started, and no traffic was moved."""
    project.mlgate("deploy", "--environment", environment, *args, code=code, **env)
    assert not [call for call in project.calls(environment) if call.split()[0] in ("start", "weigh", "stop")]
    evidence: dict[str, Any] = project.repo.evidence("visits", "deploy")
    return json.dumps(evidence["checks"], ensure_ascii=False)


def test_without_a_trick_it_is_deployed(project: Project) -> None:
    """The control: what stops the others is the trick."""
    project.two()
    project.runs({"one": 100})
    project.mlgate("deploy", "--environment", "production")
    assert project.slots() == {"two": 100.0}
    assert [entry.state for entry in project.entries("deployment") if entry.rollout] == ["started", "complete"]


def test_an_image_that_was_only_pushed(project: Project) -> None:
    project.two()
    project.runs({"one": 100})
    digest = push(project.registry, project.repository, {"io.mlgate.model": "visits", "made": "by hand"})
    said = stopped(project, "--image", f"{project.registry}/{project.repository}@{digest}")
    assert "nothing states which model is in it" in said


def test_a_tag_that_can_be_moved(project: Project) -> None:
    project.two()
    said = stopped(project, "--image", f"{project.registry}/{project.repository}:latest")
    assert "a tag can be another image tomorrow" in said


def test_the_decision_of_another_model(project: Project) -> None:
    """Whoever may write to the ledger gives a model that failed the decision of one that passed."""
    project.two()
    project.train("worse")
    project.decided["worse"] = project.decided["two"]
    digest = push(project.registry, project.repository, project.labels("worse"))
    subject = Named(name="models/visits.joblib", digest=project.digests("worse"))
    project.write(statement.entry(project.stated("worse", digest, subject=subject), project.who("worse")))
    assert "is not the one that the decision is about" in stopped(project, environment="staging")


def test_another_image_under_a_statement_that_holds(project: Project) -> None:
    """The statement is about the right model, and the image that it names holds another one."""
    project.write(project.decide("one"))
    labels = {**project.labels("one"), "io.mlgate.model-digest": f"sha256:{'0' * 64}"}
    made = project.stated("one", push(project.registry, project.repository, labels))
    project.write(statement.entry(made, project.who("one")))
    assert "its label io.mlgate.model-digest is" in stopped(project, environment="staging")


def test_past_staging(project: Project) -> None:
    project.release("one", "v1.0.0")
    assert "was never in staging" in stopped(project)


def test_a_rebuilt_image_past_staging(project: Project) -> None:
    project.two()
    project.write(project.build("two", made="later"))
    assert "was never in staging" in stopped(project)


def test_an_older_model_as_if_it_were_new(project: Project) -> None:
    project.three()
    assert "is older than what is in production" in stopped(project, "--version", "v1.0.0")


def test_a_model_that_has_failed_since(project: Project) -> None:
    project.two()
    again = Comparison(**project.who("two"), model="visits", subject=project.digests("two"), verdict="fail")
    project.write(again)
    assert "was judged again" in stopped(project)


def test_worse_than_what_is_really_there(project: Project) -> None:
    """It passed against a model that never came to production."""
    project.two()
    project.runs({"one": 100})
    project.release("worse", "v1.2.0", against="two")
    project.write(project.deployed("worse", "v1.2.0", environment="staging", day=5))
    assert "it was compared again" in stopped(project, code=1)


def test_from_a_branch_that_nobody_has_merged(project: Project) -> None:
    project.two()
    project.repo.git("checkout", "--quiet", "-b", "change")
    push_event = {"before": "0" * 40, "after": project.repo.head, "ref": "refs/heads/change"}
    refs = {"GITHUB_REF": "refs/heads/change", "GITHUB_REF_NAME": "change"}
    said = stopped(project, code=2, **environ(project.folder / "job", project.repo, "push", push_event, **refs))
    assert "this run is for the branch change" in said


def test_a_signature_of_somebody_else(project: Project) -> None:
    """mlgate.yaml names the team's key, and the images are signed with another one."""
    project.repo.write("keys/team.pub", pem()[1])
    project.settings["deploy"] |= {"trust": "signed", "verify": {"key": "keys/team.pub"}}
    project.train("one")
    project.release("one", "v1.0.0")
    file = project.repo.path / ".mlgate/images/visits.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(project.images["one"].to_bytes())
    project.mlgate("audit", "sign", "--registry", "false", COSIGN_PRIVATE_KEY=pem()[0], MLGATE_COSIGN=cosign())
    assert "is signed with another key than keys/team.pub" in stopped(project, environment="staging")


def test_a_key_that_is_exchanged_in_the_working_tree(project: Project) -> None:
    """In CI the key is the commit's: what another step of the job writes there does not count."""
    private, public = pem()
    project.repo.write("keys/team.pub", pem()[1])
    project.settings["deploy"] |= {"trust": "signed", "verify": {"key": "keys/team.pub"}}
    project.train("one")
    project.release("one", "v1.0.0")
    project.repo.write("keys/team.pub", public)
    file = project.repo.path / ".mlgate/images/visits.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(project.images["one"].to_bytes())
    project.mlgate("audit", "sign", "--registry", "false", COSIGN_PRIVATE_KEY=private, MLGATE_COSIGN=cosign())
    pushed = {"before": "0" * 40, "after": project.repo.head, "ref": "refs/heads/main"}
    refs = {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "MLGATE_LEDGER_TOKEN": "x"}
    said = stopped(
        project, environment="staging", **environ(project.folder / "job", project.repo, "push", pushed, **refs)
    )
    assert "is signed with another key than keys/team.pub" in said


def test_a_ledger_that_was_rewritten(project: Project) -> None:
    """Somebody edits the line that says that the model failed."""
    project.two()
    again = Comparison(**project.who("two"), model="visits", subject=project.digests("two"), verdict="fail")
    project.write(again)
    work = project.folder / "elsewhere"
    project.repo.git("clone", "--quiet", "--branch", "mlgate-ledger", f"file://{project.bare}", str(work))
    (file,) = work.glob("*/events-*.jsonl")
    file.write_text(file.read_text().replace('"verdict":"fail"', '"verdict":"pass"'))
    for args in (["commit", "--quiet", "--all", "--message", "x"], ["push", "--quiet"]):
        project.repo.git("-C", str(work), *args)
    assert "cannot be believed" in stopped(project)


def test_papers_that_are_not_there(project: Project) -> None:
    project.two()
    project.configure(governance={"require": ["documentation"]})
    assert '"checklist.documentation"' in stopped(project, code=1)


def test_an_approval_that_nobody_gave(project: Project) -> None:
    project.two()
    project.configure(deploy={**project.settings["deploy"], "criticality": "high"})
    assert '"rollout.approval"' in stopped(project, code=3)


def test_a_state_that_somebody_put_at_the_target(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollout of an image that nobody let through, half done, which a scheduled job would go on with."""
    project.two()
    project.runs({"one": 100})
    monkeypatch.setenv("MLGATE_STATE", str(project.state))
    digest = push(project.registry, project.repository, {"made": "by hand"})
    forged = Release(
        model="visits", image=f"{project.registry}/{project.repository}@{digest}", subject=project.digests("two"),
        version="v1.1.0", commit=project.commits["two"],
    )  # fmt: skip
    run = project.run()
    with targets.find(_rolling.place(run, project.config(run), "production")) as target:
        state = State(
            rollout="a" * 32, environment="production", strategy="replace", candidate=forged, began=target.now(),
            changed=target.now(), phase="promoting",
        )  # fmt: skip
        target.write(state.to_json(), after="")
    assert "nothing states which model is in it" in stopped(project, "--once")
