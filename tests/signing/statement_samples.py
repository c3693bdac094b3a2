"""A decision, an image, and the statements about both."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from mlgate.judge import record
from mlgate.model import Check, Evidence, Named, Source, Verdict
from mlgate.signing import statement
from mlgate.signing.statement import Facts, Statement

COMMIT = "c" * 40
MODEL = Named(name="models/visits", digest={"sha256": "a" * 64, "dvc-md5": f"{'b' * 32}.dir"})
WHO = {
    "actor": "ada", "run_url": "https://forge/run/1", "event": "push", "trigger": "push", "forge": "github",
    "commit": COMMIT, "repository": "https://forge/acme/visits",
}  # fmt: skip


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def decided(subject: Named = MODEL, *, commit: str = COMMIT, model: str = "visits") -> record.Statement:
    evidence = Evidence(
        kind="compare", model=model, verdict=Verdict.PASS, statistics="paired", subject=subject,
        checks=[Check(id="rules.auc.threshold", title="auc", verdict=Verdict.PASS, observed=0.8)],
    )  # fmt: skip
    rules = Named(name="mlgate.yaml", digest={record.RULES: "d" * 64})
    facts = record.Facts(commit=commit, default_branch=True, rules=rules, sha256=subject.digest.get("sha256", ""))
    return record.state(evidence, facts)


def evidence(verdict: Verdict = Verdict.PASS, **more: Any) -> Evidence:
    check = Check(id="image.skew.holdout", title="holdout", verdict=verdict, group="image", rows=100)
    return Evidence(kind="build-image", model="visits", verdict=verdict, checks=[check], **more)


def facts(**changed: Any) -> Facts:
    made = Facts(
        name="registry.test/acme/visits",
        image=f"sha256:{'1' * 64}",
        subject=MODEL,
        commit=COMMIT,
        decision=decided().digest,
        inputs="2" * 64,
        base=Named(name="python:3.13-slim", digest={"sha256": "3" * 64}),
        platform="linux/amd64",
        source=Source(run_url="https://forge/run/1"),
        tool="mlgate 1.0.0",
    )
    return replace(made, **changed)


def stated(**changed: Any) -> Statement:
    return statement.state(evidence(), facts(**changed))
