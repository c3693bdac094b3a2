"""What a model in production promises, how it is taken back and out of service, and who answers for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mlgate.governance import placeholders
from mlgate.governance.nouns import Document, Held

_WORDS = {
    "latency_p95_ms": ("95th percentile of the time to answer", "ms"),
    "latency_p99_ms": ("99th percentile of the time to answer", "ms"),
    "throughput_rps": ("requests that are answered in a second", "per second"),
    "availability": ("share of all requests that are answered", ""),
}
_BETTER = {"throughput_rps", "availability"}  # of which more is better
_LOAD = "build-image"  # whose evidence measures these of the image; `compare` times the model alone


@dataclass(frozen=True)
class Promise:
    """One number of the SLA, and what was measured of the image that was built of this model."""

    name: str
    means: str
    unit: str
    promised: float
    measured: float | None = None
    evidence: str = ""
    sha256: str = ""
    check: str = ""

    @property
    def kept(self) -> bool | None:
        """None: nothing was measured. A boundary value is kept."""
        if self.measured is None:
            return None
        return self.measured >= self.promised if self.name in _BETTER else self.measured <= self.promised


@dataclass(frozen=True)
class Service:
    """Everything about the model in use."""

    model: str
    commit: str
    owners: tuple[str, ...]
    promises: tuple[Promise, ...]
    rollback: Document
    retirement: Document
    tags: dict[str, str]

    def to_json(self) -> str:
        data: dict[str, Any] = {"schema": 1, "kind": "service"} | asdict(self)
        for promise, one in zip(data["promises"], self.promises, strict=True):
            promise["kept"] = one.kept
        return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def make(held: Held) -> Service:
    said = held.config.governance
    return Service(
        model=held.model,
        commit=held.commit,
        owners=tuple(said.owners),
        promises=tuple(promises(held)),
        rollback=held.rollback,
        retirement=held.retirement,
        tags=dict(sorted(said.tags.items())),
    )


def promises(held: Held) -> Iterator[Promise]:
    """Each number of the SLA, held against the evidence of the image where there is any of this very model."""
    for name, (means, unit) in _WORDS.items():
        promised = getattr(held.config.governance.sla, name)
        if promised is None:
            continue
        value, file, sha256, check = _measured(held, name)
        yield Promise(name, means, unit, float(promised), value, file, sha256, check)


def _measured(held: Held, name: str) -> tuple[float | None, str, str, str]:
    """Value, evidence, its digest, and the check or fact; None where nobody measured it of this very model."""
    evidence, named = held.of_this(_LOAD), held.named(_LOAD)
    if evidence is None or named is None:
        return None, "", "", ""
    for check in evidence.checks:
        if isinstance(check.observed, float) and name in (check.title, *check.id.split(".")):
            return check.observed, named.name, named.digest["sha256"], check.id
    fact = evidence.facts.get(name)  # what has no limit has no check
    if isinstance(fact, float):
        return fact, named.name, named.digest["sha256"], f"facts.{name}"
    return None, "", "", ""


def problems(held: Held) -> Iterator[tuple[str, str, str]]:
    """What is missing or says nothing: key of mlgate.yaml, why, and how to mend it."""
    said = held.config.governance
    if not said.owners:
        yield "governance.owners", "nobody answers for the model", "owners: [team-name, name@example.org]"
    for number, owner in enumerate(said.owners):
        if why := placeholders.problem(owner, prose=False):
            yield f"governance.owners[{number}]", f"the owner {why}", "Name a person, a team or an address."
    names = [name for name in _WORDS if getattr(said.sla, name) is not None]
    if not any(name.startswith("latency") for name in names):
        yield "governance.sla", "no latency is promised", "sla: {latency_p95_ms: 100, throughput_rps: 50}"
    if "throughput_rps" not in names:
        yield "governance.sla", "no throughput is promised", "sla: {latency_p95_ms: 100, throughput_rps: 50}"
    yield from _document(held.rollback, "rollback", "the rollback strategy", "How is the model taken back, by whom?")
    yield from _document(held.retirement, "retirement", "the retirement plan", "When is it taken out of service, how?")
    for key, value in said.tags.items():
        if why := placeholders.mark(value):
            yield f"governance.tags.{key}", f"the tag {key} {why}", "Give it a value, or remove it."


def _document(found: Document, key: str, what: str, fix: str) -> Iterator[tuple[str, str, str]]:
    if found.missing:
        yield f"governance.{key}", f"{what} is {found.file}, which is not in this commit", f"Commit {found.file}."
    elif not found.said:
        yield f"governance.{key}", f"{what} is missing", f"{key}: {fix}"
    elif why := placeholders.problem(found.said):
        where = found.file or f"governance.{key}"
        yield f"governance.{key}", f"{what} ({where}) {why}", fix
