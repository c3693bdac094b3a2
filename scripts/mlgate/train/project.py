"""One model of one commit, and how this machine reaches its project."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.config import Config
from mlgate.config.settings import EvaluationSet
from mlgate.model import Digests
from mlgate.repo import project_dvc
from mlgate.repo.dvc import Pipeline, Stage
from mlgate.repo.git import Git, Snapshot
from mlgate.repo.project_dvc import Dvc
from mlgate.train import plan
from mlgate.train.process import Say

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Evaluated:
    """One evaluation set, paths repository-relative. `folder` is where its `score` command runs."""

    name: str
    metrics: tuple[str, ...]
    data: str = ""
    predictions: str = ""
    by: str | None = None  # the id column
    score: str = ""
    folder: str = ""


@dataclass(eq=False)
class Project:
    """`own` is the change's configuration; `binding` the base's, whose level, tolerance and evaluation sets count.

    `base` is the commit of `binding`, None where the change's own counts. `environ` has the remote's credentials, and
    `code` is what project code sees. `pull` fetches paths of a commit into a tree and raises MlgateError; `connect`
    gives the one DuckDB connection.
    """

    git: Git
    commit: str
    own: Config
    binding: Config
    pipeline: Pipeline
    dvc: Dvc | None
    environ: Mapping[str, str]
    code: Mapping[str, str]
    say: Say
    pull: Callable[[Path, str, Sequence[str]], None]
    connect: Callable[[], DuckDBPyConnection]
    base: Snapshot | None = None

    def at(self, pipeline: Pipeline) -> Project:
        """The same model, read from elsewhere: the working tree."""
        return replace(self, pipeline=pipeline)

    @cached_property
    def artifact(self) -> str:
        return self.own.path(self.own.artifact) if self.own.artifact else ""

    @cached_property
    def sets(self) -> list[Evaluated]:
        """The binding version's, as long as their files are there, and those that only the change has."""
        found = {name: self._set(self.own, name, one) for name, one in self.own.evaluate.items()}
        for name, one in self.binding.evaluate.items():
            there = self._set(self.binding, name, one)
            if name in found and any(path in self.pipeline.snapshot.files for path in there.metrics):
                found[name] = there
        return list(found.values())

    def _set(self, config: Config, name: str, one: EvaluationSet) -> Evaluated:
        return Evaluated(
            name=name,
            metrics=tuple(config.path(path) for path in one.metrics),
            data=config.path(one.data) if one.data else "",
            predictions=config.path(one.predictions.path) if one.predictions else "",
            by=one.columns.id,
            score=one.score or "",
            folder=config.folder,
        )

    @cached_property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(path for one in self.sets for path in one.metrics))

    @cached_property
    def results(self) -> list[str]:
        """Metrics and predictions."""
        return [*self.metrics, *(one.predictions for one in self.sets if one.predictions)]

    @cached_property
    def chain(self) -> list[Stage]:
        """Every stage behind the model and its results."""
        return plan.chain(self.pipeline, [*([self.artifact] if self.artifact else []), *self.results])

    @cached_property
    def home(self) -> str:
        """DVC's folder, relative to the repository."""
        return project_dvc.folder_of(self.git.root, self.own.folder) or ""

    @property
    def tolerance(self) -> float:
        return float(self.binding.train.tolerance)

    @cached_property
    def decisive(self) -> tuple[str, ...]:
        """The metrics that rules are about."""
        return tuple({*self.binding.compare.rules, *self.own.compare.rules})

    @property
    def homes(self) -> dict[str, Dvc]:
        return {self.home: self.dvc} if self.dvc else {}

    def digest(self, path: str) -> Digests:
        out = self.pipeline.outs.get(path)
        return {"dvc-md5": out.md5} if out and out.md5 else {}

    def targets(self) -> Iterator[str]:
        """What to ask `dvc status` for: the stages of the chain, and the pointers that they start from."""
        files = set()
        for stage in self.chain:
            yield plan.address(stage, self.home)
        wanted = [self.artifact, *self.results, *(one.data for one in self.sets)]
        for path in dict.fromkeys([*plan.inputs(self.pipeline, self.chain), *wanted]):
            out = plan.tracked(self.pipeline, path) if path else None
            if out is not None and out.file.endswith(".dvc"):
                files.add(posixpath.relpath(out.file, self.home) if self.home else out.file)
        yield from sorted(files)
