"""Rows added, removed and changed, put beside each data file that changed since the champion."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlgate.commands._run import Run
from mlgate.config.settings import DataFile
from mlgate.errors import MlgateError
from mlgate.model import Change
from mlgate.repo import project_dvc
from mlgate.repo.dvc import Out, Pipeline
from mlgate.train import rows
from mlgate.train.project import Project
from mlgate.train.proofs import Shown
from mlgate.train.scratch import worktree


def counted(run: Run, project: Project, then: Pipeline, changes: Sequence[Change], shown: Shown) -> list[Change]:
    """The changes, those of data told in rows where both versions can be had; what cannot is listed as not run."""
    entries = {project.own.path(entry.path): entry for entry in project.own.data if entry.id}
    found = []
    for change in changes:
        before, after = then.outs.get(change.what), project.pipeline.outs.get(change.what)
        entry = entries.get(change.what)
        if change.kind == "data" and entry is not None and before and after:
            try:
                said = _rows(run, project, (then, before), (project.pipeline, after), entry)
                found.append(change.model_copy(update={"after": f"{change.after} ({said})"}))
                continue
            except (MlgateError, OSError) as error:
                shown.not_run.append(f"Which rows of {change.what} changed: {error}")
        found.append(change)
    return found


def _rows(run: Run, project: Project, then: tuple[Pipeline, Out], now: tuple[Pipeline, Out], entry: DataFile) -> str:
    with tempfile.TemporaryDirectory(prefix="mlgate-") as temporary:
        folder = Path(temporary)
        before = _version(run, project, *then, folder / "then")
        after = _version(run, project, *now, folder / "now")
        found = rows.compare(
            project.connect(), before, after, by=entry.id or [], read=entry.read, shown=project.own.path(entry.path)
        )
    return str(found)


def _version(run: Run, project: Project, pipeline: Pipeline, out: Out, folder: Path) -> Path:
    """One version of a data file: from DVC's cache, into which it is fetched when it is not there."""
    if project.dvc is None:
        raise MlgateError("there is no DVC that keeps earlier versions.")
    cache = project_dvc.cache(project.dvc, run.git.root / project.home, project.environ)
    there = rows.from_cache(cache, out, folder)
    if there is None:
        commit = pipeline.snapshot.commit
        with worktree(run.git, commit, project.homes, project.environ) as scratch:
            project.pull(scratch.tree, commit, [out.path])
        there = rows.from_cache(cache, out, folder)
    if there is None:
        raise MlgateError(f"the version of {pipeline.snapshot.commit[:7]} could not be had.")
    return there
