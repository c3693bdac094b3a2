"""How long a champion has been the champion: since the commit that brought its model, not since the last commit."""

from __future__ import annotations

from mlgate.config import Config
from mlgate.judge import integrity
from mlgate.judge.case import Side
from mlgate.repo.dvc import Pipeline

_MOST = 50  # commits that are looked at: of a lock that changes with every other model, too


def since(side: Side, binding: Config) -> str:
    """The time (ISO 8601, UTC) at which its branch got this model, as far as the history that is here goes."""
    config = side.config or binding
    snapshot = side.pipeline.snapshot
    git, found = snapshot.git, snapshot.commit
    path = config.path(config.artifact) if config.artifact else ""
    digest = integrity.named(side.pipeline, path, "").digest if path else {}
    if not digest:
        return git.committed_at(found)
    out = side.pipeline.outs.get(path)
    for commit in git.touched(found, out.file if out is not None else path, _MOST):
        if integrity.named(Pipeline(git.at(commit), lenient=True), path, "").digest != digest:
            break
        found = commit
    return git.committed_at(found)
