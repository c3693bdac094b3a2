"""What DVC says of a pipeline: its graph, and which stage runs while it works."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlgate.model import StageRun
from mlgate.repo import project_dvc
from mlgate.train import process
from mlgate.train.launching import launched
from mlgate.train.process import Ended, Say
from mlgate.train.project import Project

_NODE = re.compile(r'^"((?:[^"\\]|\\.)*)"(?: -> "((?:[^"\\]|\\.)*)")?;$')


def graph(project: Project, target: str = "", folder: Path | None = None) -> tuple[list[str], list[tuple[str, str]]]:
    """Stages and who depends on whom (first -> second), of all or of what is behind a target; empty without one."""
    if project.dvc is None:
        return [], []
    where = folder or project.git.root / project.home
    out = project_dvc.ask(project.dvc, where, ["dag", "--dot", *(["--", target] if target else [])], project.environ)
    nodes, edges = [], []
    for line in (out or "").splitlines():
        if found := _NODE.match(line.strip()):
            if found[2] is None:
                nodes.append(found[1])
            else:
                edges.append((found[1], found[2]))
    return nodes, edges


QUIET = {"DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "10000", "NO_COLOR": "1"}
_RUNS = re.compile(r"Running stage '(.+)':$")
_CACHED = re.compile(r"Stage '(.+)' is cached - skipping run")
_HINT = re.compile(
    r"\s*(?:To track the changes with git, run:|git add .*|To enable auto staging, run:|dvc config core\.autostage true"
    r"|Use `dvc push` to send your updates to remote storage\.)"
)
_SAME = re.compile(r"Stage '(.+)' didn't change, skipping")


@dataclass
class Log:
    """Listens to `dvc repro`, and knows which stage ran how long. It must hear DVC alone (`repro`)."""

    say: Say
    stages: list[StageRun] = field(default_factory=list)
    _running: str = ""
    _since: float = 0.0

    def __call__(self, line: str) -> None:
        if _HINT.fullmatch(line):
            return  # what to do with what it made, we say
        self.say(line)
        for pattern, state, reason in ((_CACHED, "cached", "run cache"), (_SAME, "not run", "unchanged")):
            if found := pattern.match(line):
                self.close("ran")
                self.stages.append(StageRun(name=found[1], state=state, reason=reason))
                return
        if found := _RUNS.match(line):
            self.close("ran")
            self._running, self._since = found[1], time.monotonic()

    def close(self, state: str, reason: str = "") -> None:
        if self._running:
            seconds = round(time.monotonic() - self._since, 3)
            run = StageRun(name=self._running, state=state, seconds=seconds, reason=reason)
            self.stages.append(run)
            self._running = ""

    @property
    def running(self) -> str:
        return self._running


def repro(project: Project, arguments: Sequence[str], folder: Path, log: Log, *, launcher: str | None = None) -> Ended:
    """`dvc repro` without credentials. What stages print is passed on, and never taken for what DVC says.

    With a `launcher` it may run on another machine, to which no pipe of ours leads: one stream is heard then.
    """
    assert project.dvc is not None  # noqa: S101 -- the caller looked
    command = launched(launcher, [*project.dvc.command, "repro", *arguments])
    environ = {**project.code, **QUIET}
    if launcher:
        return process.run(command, cwd=folder, environ=environ, say=log)
    with process.apart(environ) as by:
        return process.run(command, cwd=folder, environ=environ, say=log, started=project.say, by=by)
