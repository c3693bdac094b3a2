"""A registry for the tests of signing, and a project whose model was decided about and built."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from parts import cosign, missing, push
from statement_samples import evidence

from builder import Repo
from engine import registry as registries
from mlgate.commands._model import sha256
from mlgate.judge import record
from mlgate.ledger.branch import Ledger
from mlgate.ledger.kinds import Entry
from mlgate.model import Check, Evidence, Named, Verdict
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, Remote
from mlgate.signing import statement
from mlgate.signing.statement import Facts, Statement


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry without TLS on this machine."""
    try:
        found, group = registries.start(tmp_path_factory.mktemp("registry"), os.getpid(), "true")
    except FileNotFoundError as error:
        missing(str(error))
        raise
    yield found.address
    registries.stop(group)


class Project:
    """A repository with a ledger that has a decision, and both statements in .mlgate."""

    def __init__(self, folder: Path, *, name: str, image: str) -> None:
        self.folder = folder
        self.repo = Repo(folder / "a repo ü")
        self.repo.model()
        self.model = self.repo.write("models/visits/model bytes.bin", "weights")
        self.repo.write("models/visits/MLmodel", "flavors: {}\n")
        self.repo.write(".gitignore", "/models/\n/.mlgate/\n")
        self.commit = self.repo.commit("Train")
        self.bare = folder / "forge.git"
        self.repo.git("clone", "--quiet", "--bare", str(self.repo.path), str(self.bare))
        self.repo.git("remote", "add", "origin", f"file://{self.bare}")
        self.subject = Named(
            name="models/visits", digest={"sha256": sha256(self.model.parent), "dvc-md5": f"{'b' * 32}.dir"}
        )
        self.decision = self._decided()
        self.statement = self.stated(name=name, image=image)
        self.decision_file = self.repo.write(".mlgate/decisions/visits.json", self.decision.to_bytes())
        self.image_file = self.repo.write(".mlgate/images/visits.json", self.statement.to_bytes())
        self.repo.write(".mlgate/images/visits.predicate.json", self.statement.predicate_bytes())
        self.append(record.entry(self.decision, self.who))

    @property
    def who(self) -> dict[str, str]:
        return {"actor": "ada", "commit": self.commit, "run_url": "https://forge.test/run/1"}

    def _decided(self) -> record.Statement:
        seen = Evidence(
            kind="compare", model="visits", verdict=Verdict.PASS, statistics="paired", subject=self.subject,
            checks=[Check(id="rules.auc.threshold", title="auc", verdict=Verdict.PASS)],
        )  # fmt: skip
        rules = Named(name="mlgate.yaml", digest={record.RULES: "d" * 64})
        facts = record.Facts(commit=self.commit, default_branch=True, rules=rules, sha256=self.subject.digest["sha256"])
        # The rules are named by a commit that nobody has, so that only signatures are looked at here.
        return record.state(seen, replace(facts, rules_commit="e" * 40))

    def stated(self, *, name: str, image: str, subject: Named | None = None, decision: str = "") -> Statement:
        facts = Facts(
            name=name, image=image, subject=subject or self.subject, commit=self.commit, inputs="2" * 64,
            decision=decision or self.decision.digest,
        )  # fmt: skip
        return statement.state(evidence(), facts)

    def append(self, *entries: Entry) -> None:
        by = Identity("mlgate-bot", "mlgate-bot@noreply.example.org")
        ledger = Ledger(
            Git(self.repo.path), Remote(f"file://{self.bare}"), spool=self.folder / f"spool-{uuid.uuid4().hex}", by=by
        )
        assert ledger.append(*entries).pushed

    def registered(self) -> None:
        self.append(statement.entry(self.statement, self.who))

    def audit(self, *args: str, code: int = 0, **env: str) -> str:
        """What `mlgate audit` prints; both streams where it fails."""
        done = self.repo.mlgate("audit", *args, **{"MLGATE_COSIGN": cosign(), **env})
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    def public(self, data: bytes, name: str = "cosign.pub") -> str:
        file = self.folder / name
        file.write_bytes(data)
        return str(file)


@pytest.fixture
def project(tmp_path: Path, registry: str) -> Project:
    repository = f"visits-{uuid.uuid4().hex[:12]}"
    return Project(tmp_path, name=f"{registry}/{repository}", image=push(registry, repository))
