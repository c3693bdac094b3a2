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
        raise MlgateError(f"the champion {spec} cannot be looked up.", file=binding.file, key="compare.champion")

    return find


def _folder(run: Run, binding: Config, name: str, by_event: Chosen) -> Chosen:
    """Of the base: what a change puts into that folder is no champion yet."""
    path = binding.path(name)
    snapshot = run.git.at(by_event.commit) if by_event.commit else None
    if snapshot is None or not (snapshot.below(path) or path in snapshot.files):
        return Chosen("", f"{path} is not in the base yet", ref=by_event.ref)
    return replace(by_event, how=f"compare.champion is the folder {path}", folder=path)
