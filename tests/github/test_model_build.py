"""A merge to main, by the real act: the gate decides, one image is built and pushed, the model is registered."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import walk
from test_walks import consumer, payload, publish

from engine.registry import Registry
from forges.fake_forge import FakeGitHub as Forge
from mlgate.image.engine import Engine
from mlgate.model import Evidence
from mlgate.signing.statement import Statement
from shipping import Passed

pytestmark = [pytest.mark.act, pytest.mark.docker]
DIGEST = "Docker-Content-Digest"


@pytest.fixture
def forge() -> Iterator[Forge]:
    with Forge() as fake:
        yield fake
    assert not fake.problems


def test_a_merge_to_main_ends_in_an_image_and_a_version(
    tmp_path: Path, forge: Forge, engine: Engine, registry: Registry, trusting_base: str
) -> None:
    name = registry.name(f"visits-{uuid.uuid4().hex[:8]}")
    image = {
        "name": name, "base": trusting_base, "requirements": ["requirements.txt"], "sign": "attest",
        "scan": {"environment": False},
    }  # fmt: skip
    passed = Passed(tmp_path, decide=False, config={"image": image, "register": {"to": ["git"]}})
    passed.store()
    repo = consumer(tmp_path, made=passed.repo.path, starter="model-build.yml")
    told = payload("push") | {"before": passed.before, "after": publish(repo, "refs/heads/main")}
    told |= {"ref": "refs/heads/main", "created": False, "deleted": False, "forced": False, "base_ref": None}
    more = {"MLGATE_DOCKER": engine.command}
    done = walk.act(repo, "push", told, forge, more=more, timeout=900)
    assert {job: done.job(job) for job in ("Run", "Judge", "Fetch", "Build", "Register", "Model gate")} == {
        "Run": "success", "Judge": "success", "Fetch": "success", "Build": "success", "Register": "success",
        "Model gate": "success",
    }, done.text  # fmt: skip

    built = done.artifacts / "mlgate-build"
    stated = Statement.parse(json.loads((built / "images/visits.json").read_bytes()))
    assert stated.name == name
    host, _, repository = name.partition("/")
    answer = requests.head(f"http://{host}/v2/{repository}/manifests/{stated.image}", timeout=10)
    assert (answer.status_code, answer.headers[DIGEST]) == (200, stated.image)
    evidence = Evidence.from_json((built / "evidence/visits/build-image.json").read_bytes())
    assert evidence.facts["image"] == stated.reference

    assert passed.repo.git("ls-remote", str(passed.origin), "refs/tags/visits@v1.0.0")
    kinds = {json.loads(line)["entry"]["kind"] for line in _ledger(passed).splitlines()}
    assert kinds == {"decision", "genesis", "image", "registration"}
    attested = (done.artifacts / "attested").read_text().splitlines()
    assert attested == [
        "visits.json|@||",
        f"|{stated.reference}|{stated.predicate_type}|visits.predicate.json",
    ]


def _ledger(passed: Passed) -> str:
    files = passed.repo.git("--git-dir", str(passed.origin), "ls-tree", "-r", "--name-only", "mlgate-ledger").split()
    events = [file for file in files if "events" in file and file.endswith(".jsonl")]
    return "".join(
        passed.repo.git("--git-dir", str(passed.origin), "show", f"mlgate-ledger:{file}") + "\n" for file in events
    )
