"""Champions that are named where no git ref is: in the ledger, in a model registry, or in a folder of the base.

Whoever names one says which model it is, by digest: the commit that is found has to have just that model. What cannot
be asked is an error; only a clear "there is none" means that there is no champion yet.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import integrity
from mlgate.judge.case import in_folder
from mlgate.repo.champion import AUTO, Chosen, Lookup
from mlgate.repo.dvc import Pipeline

if TYPE_CHECKING:
    from mlgate.commands._binding import Binding
    from mlgate.ledger.chain import Record

KEY = "compare.champion"


def lookup(bound: Binding, binding: Config) -> Lookup:
    """How what `compare.champion` names is found for this model. The function raises MlgateError when it is not."""

    def find(spec: str, by_event: Chosen) -> Chosen:
        scheme, _, name = spec.partition(":")
        if scheme == "path":
            return _folder(bound, binding, name, by_event)
        if scheme == "models":
            return _registry(bound, binding, spec)
        if scheme == "ledger":
            records = bound.remembered.records(binding.ledger)
            return _ledger(bound, binding, records, name) or Chosen(
                "", f"the ledger has no {binding.model} in {name} yet"
            )
        assert spec == AUTO  # noqa: S101 -- config knows no other one
        if not bound.remembered.there(binding.ledger):
            return by_event
        records = bound.remembered.records(binding.ledger)
        return _ledger(bound, binding, _promoted(records, binding.model), "") or by_event

    return find


# -- a folder --------------------------------------------------------------------------------------------------------


def _folder(bound: Binding, binding: Config, name: str, by_event: Chosen) -> Chosen:
    """Of the base: what a change puts into that folder is no champion yet."""
    path = binding.path(name)
    base = bound.run.git.at(by_event.commit) if by_event.commit else None
    if base is None or not base.below(path):
        if not bound.run.git.at(bound.run.head).below(path):
            raise MlgateError(
                f"there is no folder {path} in this repository, which {KEY} names.",
                file=binding.file, line=binding.line(KEY), key=KEY,
                fix="Commit the champion's metrics (and predictions) there.",
            )  # fmt: skip
        return Chosen("", f"{path} is not in the base yet", ref=by_event.ref)
    pinned = in_folder(binding, path, base.files)
    for set_name, one in pinned.evaluate.items():
        files = [pinned.path(metrics) for metrics in one.metrics]
        if not any(file in base.files for file in files):
            raise MlgateError(
                f"{path} is the champion's folder, and {', '.join(files)} (evaluate.{set_name}.metrics) is not in it "
                f"at the base {base.commit[:7]}.",
                file=binding.file, line=binding.line(KEY), key=KEY,
                fix="Commit it there, under that name, to git and not to DVC.",
            )  # fmt: skip
    return replace(by_event, how=f"{KEY} is the folder {path}", folder=path)


# -- the ledger ------------------------------------------------------------------------------------------------------


def _ledger(bound: Binding, binding: Config, records: tuple[Record, ...], environment: str) -> Chosen | None:
    """The model that is in an environment; in any, by the last word on one, without `environment`. None for none."""
    from mlgate.ledger import query  # noqa: PLC0415 -- pydantic's models of every kind of entry

    names = {environment} if environment else {r.entry.environment for r in records if r.entry.environment}
    found = [one for name in sorted(names) if (one := query.current(records, binding.model, name)) is not None]
    record = next((one for one in reversed(query.in_order(records)) if one in found), None)
    if record is None:
        return None
    entry = record.entry
    there = f"the ledger's entry {entry.id[:8]} has {binding.model} in {entry.environment}"
    if not entry.commit:
        raise MlgateError(
            f"{there}, and does not say at which commit.", fix=f"Name a git branch, tag or commit as `{KEY}`."
        )
    commits = [entry.commit]
    if entry.kind == "rollback":
        # The commit of a rollback may be that of the run that made it: where that model came from, earlier entries say.
        before = query.history(records, model=binding.model, kinds=("promotion", "deployment", "decision"))
        commits += [r.entry.commit for r in reversed(before) if query.same_model(r.entry.subject, entry.subject)]
    problem: MlgateError | None = None
    for commit in dict.fromkeys(filter(None, commits)):
        try:
            _same_model(bound, binding, commit, entry.subject, there)
        except MlgateError as error:
            problem = problem or error
        else:
            return Chosen(commit, f"in {entry.environment} since {entry.at[:10]}, by the ledger")
    assert problem is not None  # noqa: S101 -- there is one commit at least
    raise problem


def _promoted(records: tuple[Record, ...], model: str) -> tuple[Record, ...]:
    """What says which model was promoted last; a rollback takes the word of a promotion back."""
    return tuple(r for r in records if r.entry.model == model and r.entry.kind in ("promotion", "rollback"))


def _same_model(bound: Binding, binding: Config, commit: str, subject: Mapping[str, str], said: str) -> None:
    """Raises MlgateError unless the commit is here, and its lock has just this model."""
    path, digest = _artifact(bound, binding, commit, said)
    common = digest.keys() & subject.keys()
    if not common:
        has = f"with {_digests(digest)}" if digest else "without a digest"
        raise MlgateError(
            f"{said} with {_digests(subject)}, and the commit {commit[:7]} has {path or 'no artifact'} {has}: "
            "nothing shows that they are one model.",
            fix="`artifact` has to be an output in dvc.lock, and entries of the ledger have to name DVC's digest.",
        )
    for name in sorted(common):
        if digest[name] != subject[name]:
            raise MlgateError(
                f"{said} as {name} {subject[name][:9]}…, and the commit {commit[:7]} that it names has {path} as "
                f"{digest[name][:9]}…: its metrics are another model's.",
                fix=f"Name a git branch, tag or commit as `{KEY}`, and look at `mlgate audit log`.",
            )


def _digests(digest: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value[:9]}…" for name, value in sorted(digest.items()))


# -- a registry ------------------------------------------------------------------------------------------------------


def _registry(bound: Binding, binding: Config, spec: str) -> Chosen:
    """The commit that a version was trained from. The address is the environment's: a change cannot name its own."""
    from mlgate.tracking.registry import Named, registered  # noqa: PLC0415 -- few ask a registry
    from mlgate.tracking.store import Store  # noqa: PLC0415

    run = bound.run
    store = Store.of(os.environ)
    if store is None:
        raise MlgateError(
            f"{KEY} is {spec}, and nothing says where that registry is.",
            file=binding.file, line=binding.line(KEY), key=KEY,
            fix="Set MLFLOW_TRACKING_URI in the environment of this job.",
        )  # fmt: skip
    database = store.database(run.git.root) if store.kind == "sqlite" else None
    if database is not None and any(database == run.git.root.resolve() / path for path in run.git.at(run.head).files):
        raise MlgateError(
            f"{database.name} is a file of this commit: a change could write its own champion into it.",
            fix="Keep the registry out of git, or on a server.",
        )
    named = Named.parse(spec)
    found = registered(named, store, run.git.root)
    if found is None:
        return Chosen("", f"no version of {named.name} has the alias {named.alias} yet")
    said = f"{store.shown} has version {found.version} of {named.name}"
    path, digest = _artifact(bound, binding, found.commit, said)
    stated = found.digest.rpartition(":")[2]
    alike = [value for value in digest.values() if len(value) == len(stated)]
    if stated and alike and stated not in alike:
        raise MlgateError(
            f"{said} as {stated[:9]}…, and its commit {found.commit[:7]} has {path} as {alike[0][:9]}…: "
            "one of them is another model.",
            fix="Tag that version with the commit whose dvc.lock has its model.",
        )
    alias = f", which is {named.alias}" if named.alias else ""
    return Chosen(found.commit, f"version {found.version} of {named.name} in the registry{alias}")


# -- commits ---------------------------------------------------------------------------------------------------------


def _artifact(bound: Binding, binding: Config, commit: str, said: str) -> tuple[str, Mapping[str, str]]:
    """The model's path and digests at a commit, empty where it has none. Raises MlgateError when it is not here."""
    git = bound.run.git
    try:
        snapshot = git.at(git.ensure(commit))
    except MlgateError as error:
        raise MlgateError(
            f"{said} at the commit {commit[:12]}, which this repository does not have: {error.message}", fix=error.fix
        ) from None
    own = bound.config(snapshot, bound.earlier(snapshot, binding.file, binding))
    config = own if isinstance(own, Config) else binding
    if not config.artifact:
        return "", {}
    path = config.path(config.artifact)
    pipeline = Pipeline(snapshot, lenient=True)
    pipeline.require([path])
    return path, integrity.named(pipeline, path, "artifact").digest
