"""Champions that are named where no git ref is: in the ledger, in a model registry, or in a folder of the base."""

from __future__ import annotations

from dataclasses import replace

from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.repo.champion import Chosen, Lookup


def lookup(run: Run, binding: Config) -> Lookup:
    """How what `compare.champion` names is found for this model. The function raises MlgateError when it is not."""

    def find(spec: str, by_event: Chosen) -> Chosen:
        scheme, _, name = spec.partition(":")
        if scheme == "path":
            return _folder(run, binding, name, by_event)
        if scheme == "ledger":
            return _ledger(run, binding, name)
        raise MlgateError(f"the champion {spec} cannot be looked up.", file=binding.file, key="compare.champion")

    return find


def _folder(run: Run, binding: Config, name: str, by_event: Chosen) -> Chosen:
    """Of the base: what a change puts into that folder is no champion yet."""
    path = binding.path(name)
    snapshot = run.git.at(by_event.commit) if by_event.commit else None
    if snapshot is None or not (snapshot.below(path) or path in snapshot.files):
        return Chosen("", f"{path} is not in the base yet", ref=by_event.ref)
    return replace(by_event, how=f"compare.champion is the folder {path}", folder=path)


def _ledger(run: Run, binding: Config, environment: str) -> Chosen:
    """The model that is in an environment, by the commit that its entry names."""
    from mlgate.commands._ledger import open_ledger  # noqa: PLC0415 -- pydantic's models of every kind of entry
    from mlgate.ledger import query  # noqa: PLC0415

    record = query.current(open_ledger(run, binding.ledger, write=False).records(), binding.model, environment)
    if record is None:
        return Chosen("", f"the ledger has no {binding.model} in {environment} yet")
    entry = record.entry
    if not entry.commit:
        raise MlgateError(
            f"the ledger's entry {entry.id} says that {binding.model} is in {environment}, and not at which commit.",
            fix="Name a git branch, tag or commit as `compare.champion`.",
        )
    return Chosen(entry.commit, f"in {environment} since {entry.at}, by the ledger")
