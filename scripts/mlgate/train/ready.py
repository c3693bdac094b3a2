"""One side whose code can be run: its commit in a worktree, with what it reads, and an environment for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlgate.config import Config
from mlgate.config.settings import EvaluationSet, Read
from mlgate.judge import case, wanted
from mlgate.judge.made import Side
from mlgate.train.project import Evaluated, Project
from mlgate.train.scratch import Scratch
from mlgate.train.stages import Shell


@dataclass(frozen=True)
class Ready:
    """`code` is what its project code sees: no credentials. `python` is the interpreter, empty for that on PATH."""

    side: Side
    project: Project
    scratch: Scratch
    code: Mapping[str, str]
    python: str = ""

    @property
    def shell(self) -> Shell:
        return Shell(self.scratch.tree, self.code, self.project.say)

    @property
    def interpreter(self) -> str:
        if "/" in self.python:
            return self.python
        path = self.code.get("PATH", os.defpath)
        return shutil.which(self.python or "python3", path=path) or self.python or "python3"

    @property
    def folder(self) -> Path:
        """Where mlgate.yaml lies: project code is run and imported from there."""
        return self.scratch.tree / self.project.own.folder

    def beside(self, *parts: str) -> Path:
        """A folder of this side for what is made, out of its worktree."""
        folder = self.scratch.beside.joinpath(self.side, *parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@dataclass(frozen=True)
class Judged:
    """One evaluation set of one side: what the version that judges says of it, and where this commit has its files.

    Paths are repository-relative, empty where there is none. `score` is the side's own, `one` the judge's.
    """

    config: Config  # of the side
    one: EvaluationSet
    evaluated: Evaluated
    truth: str  # the file with the labels

    @property
    def name(self) -> str:
        return self.evaluated.name

    @property
    def rows(self) -> str:
        """The file that functions of the project are shown: the evaluation data, else the labels."""
        return self.evaluated.data or self.truth

    def read(self, path: str) -> Read:
        """How a data file is read, where mlgate.yaml says so."""
        return next((entry.read for entry in self.config.data if self.config.path(entry.path) == path), Read())


def _predictions(found: EvaluationSet) -> str | None:
    return found.predictions.path if found.predictions else None


def judged(side: case.Side, config: Config, name: str) -> Judged | None:
    """The set of this name; None where `config`, the version that judges, or the side knows none."""
    one = config.evaluate.get(name)
    if one is None or side.config is None:
        return None
    own = side.config.evaluate.get(name)
    if own is None and side.trusted:
        return None
    mine = own or one
    evaluated = Evaluated(
        name=name,
        metrics=(),
        data=wanted.place(side, config, name, lambda found: found.data),
        predictions=wanted.place(
            side, config, name, lambda found: found.predictions.path if found.predictions else None
        ),
        by=mine.columns.id,
        score=mine.score or "",
        folder=side.config.folder,
    )
    truth = wanted.place(side, config, name, lambda found: found.labels or found.data)
    return Judged(side.config, one, evaluated, truth)
