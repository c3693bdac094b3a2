"""A repository with two models that were decided about, built, registered and deployed, and a prediction log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from builder import MLGATE, Repo, md5
from mlgate.judge import record
from mlgate.ledger.branch import Ledger
from mlgate.ledger.kinds import Deployment, Entry, Promotion, Registration, Rollback
from mlgate.model import Approval, Champion, Check, Evidence, Named, Verdict
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, Remote
from mlgate.signing import statement

NAME = "registry.test/acme/visits"


class Traced:
    """`v1` is in production, `v2` came after it; both are commits of main."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repo = Repo(folder / "repo")
        self.repo.model({"auc": 0.72, "log_loss": 0.58}, seed="one", config=MLGATE)
        self.v1 = self.repo.commit("Train the first one")
        self.repo.model({"auc": 0.74, "log_loss": 0.56}, seed="two", data="newer test rows", config=MLGATE)
        self.v2 = self.repo.commit("Train on more")
        self.bare = folder / "forge.git"
        self.repo.git("clone", "--quiet", "--bare", str(self.repo.path), str(self.bare))
        self.repo.git("remote", "add", "origin", f"file://{self.bare}")
        self.repo.git("fetch", "--quiet", "origin")
        self.records: dict[str, record.Statement] = {}
        self.images: dict[str, statement.Statement] = {}

    def digests(self, seed: str) -> dict[str, str]:
        return {"sha256": {"one": "1", "two": "2"}[seed] * 64, "dvc-md5": md5(f"model {seed}".encode())}

    def image(self, seed: str) -> str:
        return {"one": "a", "two": "b"}[seed] * 64

    def decide(self, seed: str, *, warn: str = "", approved_by: str = "") -> Entry:
        """The decision of the gate for one model, as `mlgate compare` writes it."""
        checks = [Check(id="rules.auc.threshold", title="auc", verdict=Verdict.PASS, observed=0.72)]
        if warn:
            checks.append(Check(id=warn, title=warn, verdict=Verdict.WARN, reason="met, and not proven."))
        champion = None
        if seed == "two":
            subject = Named(name="models/visits.joblib", digest=self.digests("one"))
            champion = Champion(commit=self.v1, subject=subject)
        evidence = Evidence(
            kind="compare", model="visits", verdict=Verdict.WARN if warn else Verdict.PASS, statistics="paired",
            subject=Named(name="models/visits.joblib", digest={"dvc-md5": self.digests(seed)["dvc-md5"]}),
            champion=champion, checks=checks,
        )  # fmt: skip
        if approved_by:
            evidence = evidence.model_copy(update={"approval": Approval(by=approved_by)})
        facts = record.Facts(
            commit=self.commit(seed), default_branch=True,
            rules=Named(name="mlgate.yaml", digest={record.RULES: "c" * 64}),
        )  # fmt: skip
        self.records[seed] = record.state(evidence, facts)
        return record.entry(self.records[seed], self.who(seed))

    def build(self, seed: str) -> Entry:
        check = Check(id="image.smoke", title="answers", verdict=Verdict.PASS, group="image")
        evidence = Evidence(kind="build-image", model="visits", verdict=Verdict.PASS, checks=[check])
        facts = statement.Facts(
            name=NAME, image=f"sha256:{self.image(seed)}", commit=self.commit(seed),
            subject=Named(name="models/visits.joblib", digest=self.digests(seed)),
            decision=self.records[seed].digest, inputs="d" * 64,
            base=Named(name="python:3.13-slim", digest={"sha256": "e" * 64}),
        )  # fmt: skip
        self.images[seed] = statement.state(evidence, facts)
        return statement.entry(self.images[seed], self.who(seed))

    def register(self, seed: str, version: str, **more: Any) -> Entry:
        return Registration(
            **self.who(seed), model="visits", name="visits", version=version, subject=self.digests(seed),
            image={"sha256": self.image(seed)}, decision=self.records[seed].digest, **more,
        )  # fmt: skip

    def deploy(self, seed: str, version: str, *, at: str, state: str = "complete", **more: Any) -> Entry:
        given = {"environment": "production", "model": "visits", "subject": self.digests(seed), "version": version}
        image = {"image": {"sha256": self.image(seed)}}
        return Deployment(**{**self.who(seed), **given, **image, "state": state, "at": at, **more})

    def promote(self, seed: str, version: str, *, at: str, **more: Any) -> Entry:
        given = {"environment": "production", "model": "visits", "subject": self.digests(seed), "version": version}
        return Promotion(**{**self.who(seed), **given, "at": at, **more})

    def roll_back(self, seed: str, instead_of: str, *, at: str) -> Entry:
        return Rollback(
            **{**self.who(seed), "at": at}, environment="production", model="visits", subject=self.digests(seed),
            instead_of=self.digests(instead_of), version="v1.0.0", reason="error rate doubled",
        )  # fmt: skip

    def commit(self, seed: str) -> str:
        return {"one": self.v1, "two": self.v2}[seed]

    def who(self, seed: str) -> dict[str, Any]:
        return {"actor": "ada", "commit": self.commit(seed), "run_url": "https://forge.test/run/1", "forge": "github"}

    def write(self, *entries: Entry) -> None:
        """Put entries onto the ledger's branch."""
        by = Identity("mlgate-bot", "mlgate-bot@noreply.example.org")
        remote = Remote(f"file://{self.bare}")
        receipt = Ledger(Git(self.repo.path), remote, spool=self.folder / "spool", by=by).append(*entries)
        assert receipt.pushed, receipt

    def whole(self) -> None:
        """Both models decided, built and registered; the second one in production after the first."""
        at = "2026-10-0{}T12:00:00Z".format
        self.write(
            self.decide("one"), self.build("one"), self.register("one", "v1.0.0", registries={"mlflow": "7"}),
            self.deploy("one", "v1.0.0", at=at(1)),
            self.decide("two", warn="rules.log_loss.bound", approved_by="grace"), self.build("two"),
            self.register("two", "v1.1.0"),
            self.deploy("two", "v1.1.0", at=at(2), state="advanced", weight=10),
            self.deploy("two", "v1.1.0", at=at(3), approved_by=("bob",)),
        )  # fmt: skip

    def trace(self, *args: str, code: int = 0, **env: str) -> str:
        done = self.repo.mlgate("trace", *args, **env)
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    def told(self, *args: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.trace(*args, "--json"))
        return value

    def log(self, *lines: dict[str, Any], name: str = "predictions.jsonl") -> Path:
        file = self.folder / name
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        return file

    def line(self, seed: str = "two", **changed: Any) -> dict[str, Any]:
        """As the server in the image logs one predicted row."""
        return {
            "time": "2026-10-04T09:30:00.123Z", "request_id": "r-1", "model": "visits", "version": "v1.1.0",
            "digest": f"sha256:{self.digests(seed)['sha256']}", "commit": self.commit(seed),
            "environment": "production", "row": 0, "features": {"age": 61}, "hashed": {"person": "0f3a9c"},
            "prediction": 1, "score": 0.83, "latency_ms": 2.5, **changed,
        }  # fmt: skip
