"""The model of a commit: its digests, its bytes, and the decision that was made about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import integrity, record
from mlgate.model import Named
from mlgate.repo import artifact, content, inputs
from mlgate.repo.dvc import Pipeline

if TYPE_CHECKING:
    from mlgate.judge.record import Statement
    from mlgate.ledger.chain import Record


@dataclass(frozen=True)
class Decided:
    """The last decision about just this model, with its record."""

    entry: Record  # of the ledger
    statement: Statement

    @property
    def commit(self) -> str:
        """At which the model was judged: what it is known by from here on."""
        return self.statement.predicate.decision.commit


def named(config: Config, pipeline: Pipeline) -> Named:
    """The model that a commit names, by the digests of lock, pointer or git. Raises MlgateError where it names none."""
    if config.artifact is None:
        raise MlgateError(
            "names no model.", file=config.file, key="artifact", fix="Add `artifact: <path>`, a file or folder."
        )
    found = integrity.named(pipeline, config.path(config.artifact), "model")
    if not found.digest:
        raise MlgateError(
            f"is in neither dvc.lock, a .dvc file nor git at {pipeline.snapshot.commit[:7]}.", file=found.name,
            fix="Let a stage of dvc.yaml make it, or `dvc add` it; then commit.",
        )  # fmt: skip
    return found


def find(
    run: Run, wanted: Named, pipeline: Pipeline, scratch: Path, *, folder: Path | None = None, strict: bool = False
) -> Path | None:
    """Its bytes, hashed, from the working tree, DVC's cache, the inputs folder or git. None when they are nowhere.

    Raises MlgateError like `artifact.find`.
    """
    root, out = run.git.root, pipeline.outs.get(wanted.name)
    return artifact.find(
        wanted, root=root, snapshot=pipeline.snapshot, scratch=scratch, caches=inputs.caches(root, wanted.name),
        folder=folder, strict=strict, legacy=out is not None and out.legacy,
    )  # fmt: skip


def sha256(path: Path) -> str:
    """The digest of a model: of a folder as `record.model_digest`, of a single file its own. Raises OSError."""
    found = artifact.sha256s(path)
    return found[path.name] if path.is_file() else record.model_digest(found)


def with_sha256(wanted: Named, path: Path) -> Named:
    """The model by every digest there is, with its bytes at hand."""
    digests = {name: value for name, value in wanted.digest.items() if name != "git-tree-sha256"}
    return wanted.model_copy(update={"digest": {**digests, "sha256": sha256(path)}})


def sha256_here(run: Run, subject: Named, pipeline: Pipeline) -> str:
    """The model's digest, where the very files that the commit names are at hand; empty on a runner without them."""
    path = run.git.root / subject.name
    out = pipeline.outs.get(subject.name)
    try:
        if "git-tree-sha256" in subject.digest:
            inside = pipeline.snapshot.below(subject.name)
            blobs = {name: pipeline.snapshot.git.blob(entry.blob) for name, entry in inside.items()}
            return record.model_digest({name: hashlib.sha256(data).hexdigest() for name, data in blobs.items()})
        if "dvc-md5" not in subject.digest or not path.exists():
            return subject.digest.get("sha256", "")
        if not content.is_named(path, subject.digest["dvc-md5"], legacy=out is not None and out.legacy):
            return ""
        return sha256(path)
    except (OSError, MlgateError):
        return ""


def decision(run: Run, config: Config, model: Named) -> Decided | None:
    """What the ledger decided about just this model; None where it decided nothing.

    Raises MlgateError when the ledger cannot be read, is damaged, or its record does not hold.
    """
    from mlgate.ledger import query  # noqa: PLC0415 -- pydantic's models of every kind of entry

    found = query.decision(records(run, config), config.model, model.digest)
    if found is None:
        return None
    from mlgate.judge.record import Statement, agrees, problems  # noqa: PLC0415
    from mlgate.ledger.kinds import Decision  # noqa: PLC0415

    entry = found.entry
    assert isinstance(entry, Decision)  # noqa: S101 -- query looks for no other kind
    statement = Statement.parse(entry.record)
    if told := [*problems(statement), *agrees(statement, entry)]:
        raise MlgateError(
            f"the decision about {config.model} ({found.file}:{found.line} of the ledger) does not hold: {told[0]}.",
            fix="`mlgate audit verify` says more.",
        )
    return Decided(found, statement)


def failed_since(run: Run, config: Config, decided: Decided) -> list[Record]:
    """Where the model was judged again after its decision, and failed. Raises MlgateError like `decision`."""
    from mlgate.ledger import query  # noqa: PLC0415 -- as above

    return query.failed_since(records(run, config), decided.entry)


def records(run: Run, config: Config) -> tuple[Record, ...]:
    """Every event of the ledger, verified; none where there is no ledger. Raises MlgateError like `decision`."""
    from mlgate.commands._ledger import open_ledger  # noqa: PLC0415

    return open_ledger(run, config.ledger, write=False).records()
