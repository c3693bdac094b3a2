"""A champion scored again on the challenger's evaluation data: first on its own, to show that it is still the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mlgate.judge import integrity
from mlgate.model import StageRun
from mlgate.repo.dvc import Pipeline
from mlgate.train import locked, predictions, score
from mlgate.train.agreement import Agreement
from mlgate.train.project import Project
from mlgate.train.ready import Judged, Ready


class NotDecidableError(Exception):
    """Why a champion cannot be held against the challenger, and what would change that: sentences."""


def possible(side: str, judged: Judged, project: Project) -> None:
    """Whether its commit says how to score other data. Raises NotDecidableError."""
    name, commit = judged.evaluated.name, project.commit[:7]
    if not judged.evaluated.score:
        raise NotDecidableError(
            f"the {side} {commit} has no evaluate.{name}.score: a command of that commit with {{model}} {{data}} "
            "{predictions} would let it be scored on the new data."
        )
    for word in ("data", "predictions"):
        if f"{{{word}}}" not in judged.evaluated.score:
            raise NotDecidableError(
                f"evaluate.{name}.score of the {side} {commit} has no {{{word}}}, so it scores the same data each time."
            )
    if not judged.evaluated.predictions:
        raise NotDecidableError(
            f"the {side} {commit} has no committed predictions for {name}, so whether it still scores as it did cannot "
            f"be seen: set evaluate.{name}.predictions in a commit of its own first."
        )


def requirements(project: Project) -> dict[str, bytes]:
    """The files of `train.requirements`, by path. Raises NotDecidableError where the commit lacks one."""
    found = {}
    for path in (project.own.path(one) for one in project.own.train.requirements):
        data = project.pipeline.snapshot.read(path)
        if data is None:
            raise NotDecidableError(f"train.requirements names {path}, which {project.commit[:7]} does not have.")
        found[path] = data
    return found


def environment(then: Project, now: Project, scratch: Path, beside: Path, python: str) -> tuple[Mapping[str, str], str]:
    """What the earlier commit's code sees, and a sentence about where its packages come from.

    The project's own Python does where both commits lock the same, or where the earlier one says nothing: that it
    scores as it did then is shown before anything is concluded. Raises MlgateError, NotDecidableError.
    """
    before, after = requirements(then), requirements(now)
    if not before:
        return now.code, "with the project's Python, because its commit names no train.requirements"
    if locked.digest(before) == locked.digest(after):
        return now.code, "with the project's Python, whose locked requirements are the same"
    files = [scratch / path for path in before]
    code = locked.environment(files, python, code=now.code, environ=now.environ, beside=beside, say=now.say)
    return code, f"with the packages of its own {', '.join(before)}"


def reproduced(ready: Ready, judged: Judged, committed: Path, tolerance: float) -> tuple[Agreement, StageRun]:
    """Its own evaluation data scored once more, held against what it committed. Raises StageError, MlgateError."""
    one = judged.evaluated
    again = ready.beside("again", one.name) / PurePosixPath(one.predictions).name
    ran = _score(ready, judged, ready.scratch.tree / one.data, again)
    tables = predictions.Tables(ready.project.connect(), committed, again, one.predictions)
    return predictions.compare(tables, by=one.by, tolerance=tolerance), ran


def on(ready: Ready, judged: Judged, data: Path) -> tuple[Path, StageRun]:
    """The predictions for other data. Raises StageError, MlgateError."""
    one = judged.evaluated
    made = ready.beside("now", one.name) / PurePosixPath(one.predictions).name
    return made, _score(ready, judged, data, made)


def _score(ready: Ready, judged: Judged, data: Path, to: Path) -> StageRun:
    project, one = ready.project, judged.evaluated
    model = ready.scratch.tree / project.artifact if project.artifact else None
    ran = score.command(project, one, ready.shell, {"model": model, "data": data, "predictions": to}, to.name)
    return ran.model_copy(update={"name": f"{ran.name} ({ready.side})"})


def other_data(then: tuple[Pipeline, str], now: tuple[Pipeline, str]) -> bool:
    """Whether both commits measured on evaluation data of different digests, as far as both say."""
    digests = [integrity.named(pipeline, path, "").digest for pipeline, path in (then, now)]
    return all(digests) and digests[0] != digests[1]
