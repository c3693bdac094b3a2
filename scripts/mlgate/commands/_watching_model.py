"""Which model production has, by the ledger, and what it is held against: the profile and metrics of its commit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlgate.commands._run import Run
from mlgate.config import Config, EvaluationSet
from mlgate.config.values import NAME_PATTERN
from mlgate.errors import MlgateError
from mlgate.ledger import query
from mlgate.ledger.chain import Record
from mlgate.model import Change, Named
from mlgate.repo import changes, metrics
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import Snapshot
from mlgate.watch.changed import Release

if TYPE_CHECKING:
    from mlgate.data.profiles import Profile


@dataclass(frozen=True)
class There:
    """`commit` is the one that made the model; `snapshot` that of the commit, or of HEAD where this clone lacks it."""

    environment: str
    snapshot: Snapshot
    subject: Mapping[str, str] = field(default_factory=dict)  # digests; empty where the ledger knows of none
    version: str = ""
    since: str = ""  # when it came, ISO 8601
    said: str = ""  # what is not known of it, one sentence

    @property
    def digest(self) -> str | None:
        return self.subject.get("sha256")


def environment(config: Config, asked: str) -> str:
    """The environment that is watched. Raises MlgateError for a name that mlgate.yaml does not have."""
    known = list(config.deploy.environments)
    name = asked or config.monitor.environment or (known[-1] if known else "production")
    if not re.fullmatch(NAME_PATTERN, name):  # it is put into commands, queries and the ledger
        raise MlgateError(
            f"{name[:60]!a} is no name of an environment.", key="monitor.environment",
            fix="Names have letters, digits, `.`, `_` and `-`.",
        )  # fmt: skip
    if known and name not in known:
        raise MlgateError(
            f"there is no environment {name}.", file=config.file, line=config.line("monitor.environment"),
            key="deploy.environments", fix=f"There are {', '.join(known)}.",
        )  # fmt: skip
    return name


def there(run: Run, config: Config, name: str, records: Sequence[Record], *, on: str) -> There:
    """What was in an environment at a moment, by the ledger. Logs may be older than the ledger: where it knows of
    nothing then, they are held against what is there now."""
    found = query.current(records, config.model, name, on=on)
    said = ""
    if found is None and (found := query.current(records, config.model, name)) is not None:
        said = f"By the ledger, {config.model} came to {name} on {found.entry.at[:10]}, after this window."
    if found is None:
        why = f"The ledger has no {config.model} in {name}: predictions of every version are taken together."
        return There(name, run.git.at(run.head), said=why)
    entry = found.entry
    commit = run.git.resolve(_decided(records, config.model, entry.subject) or entry.commit)
    if not commit:
        said = f"This clone lacks the commit of {config.model} in {name}: its profile is taken from {run.head[:7]}."
    return There(
        name, run.git.at(commit or run.head), dict(entry.subject), getattr(entry, "version", ""), entry.at, said
    )


def _decided(records: Sequence[Record], model: str, subject: dict[str, str]) -> str:
    """The commit at which the model was judged: a deployment may have run at a later one."""
    found = query.decision(records, model, subject)
    return found.entry.commit if found else ""


def release(run: Run, config: Config, found: There, records: Sequence[Record], *, on: str) -> Release | None:
    """When the model came, and what its commit changed against that of the model before it."""
    if not found.since:
        return None
    before = query.previous(records, config.model, found.environment, on=on)
    commit = before and (_decided(records, config.model, before.entry.subject) or before.entry.commit)
    resolved = run.git.resolve(commit) if commit else ""
    changed: tuple[Change, ...] = ()
    if resolved and config.artifact is not None:
        then, now = (Pipeline(snapshot, lenient=True) for snapshot in (run.git.at(resolved), found.snapshot))
        data = [config.path(entry.path) for entry in config.data]
        changed = tuple(changes.between(then, now, produced=[config.path(config.artifact)], data=data))
    return Release(found.since, found.version, found.snapshot.commit, changed)


def profile(run: Run, config: Config, found: There) -> tuple[Profile, Named, str]:
    """The reference profile, its digest, and a sentence where it is not that of the model's own commit.

    Raises MlgateError where there is none, or it is of another model.
    """
    from mlgate.data import profiles  # noqa: PLC0415 -- numpy

    path = config.path(config.monitor.profile)
    data, said = found.snapshot.read(path), found.said
    if data is None:
        data = run.read(path)
        if data is not None and found.subject:
            said = f"The commit of the model, {found.snapshot.commit[:7]}, has no {path}: that of this run's is taken."
    if data is None:
        raise MlgateError(
            "does not exist, so there is nothing to hold production against.", file=path, key="monitor.profile",
            fix="Write it with `mlgate profile`, and commit it beside the metrics.",
        )  # fmt: skip
    made = profiles.read(data, path, model=config.model)
    if made.digest and found.digest and made.digest != found.digest:
        raise MlgateError(
            f"is the profile of another model file ({made.digest[:12]}...) than {found.environment} has "
            f"({found.digest[:12]}...).", file=path, key="digest",
            fix="Write it again with `mlgate profile` at the commit of that model.",
        )  # fmt: skip
    if made.data and not said:
        said = _stale(config, found.snapshot, made)
    return made, Named(name=path, digest={"sha256": hashlib.sha256(data).hexdigest()}, role="profile"), said


def _stale(config: Config, snapshot: Snapshot, made: Profile) -> str:
    """Why a profile is not that of its commit; empty where it is, or where the commit cannot tell."""
    from mlgate.setup import profiled  # noqa: PLC0415 -- contracts

    with suppress(MlgateError):
        return profiled.why_stale(made, profiled.wanted(config, Pipeline(snapshot, lenient=True), snapshot.read))
    return ""


def evaluation(config: Config) -> tuple[str, EvaluationSet] | None:
    """The evaluation set that production is held against, where one is clear."""
    named = config.monitor.performance.evaluation if config.monitor.performance else None
    if named is not None:
        return named, config.evaluate[named]
    return next(iter(config.evaluate.items())) if len(config.evaluate) == 1 else None


def baseline(config: Config, found: There) -> dict[str, Any]:
    """The committed metrics of the model's commit, by their dotted key. Raises MlgateError for a corrupt file."""
    chosen = evaluation(config)
    values: dict[str, Any] = {}
    for path in chosen[1].metrics if chosen else ():
        where = config.path(path)
        data = found.snapshot.read(where)
        if data is not None:
            values |= metrics.parse(data, where)
    return values
