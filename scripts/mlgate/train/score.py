"""The committed model scored once more, in a worktree of its commit and without credentials."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.model import StageRun, Verdict
from mlgate.repo import content
from mlgate.repo import metrics as metrics_files
from mlgate.repo.dvc import Stage
from mlgate.train import agreement, plan, predictions, stages
from mlgate.train.project import Evaluated, Project
from mlgate.train.proofs import Shown
from mlgate.train.scratch import Scratch
from mlgate.train.stages import Shell, StageError


def possible(project: Project, one: Evaluated) -> str:
    """Why an evaluation set cannot be scored again; empty when it can."""
    if one.score:
        return ""
    if not project.artifact:
        return "mlgate.yaml names no `artifact`, so there is no model to score with."
    if not _after(project, one):
        return (
            f"no stage of its own makes {_listed(one)} from {project.artifact}: "
            f"give evaluate.{one.name}.score, a command with {{model}} {{data}} {{predictions}}."
        )
    return ""


def again(project: Project, one: Evaluated, scratch: Scratch, shown: Shown) -> None:
    """Score one evaluation set. Raises StageError when its code fails, MlgateError when something cannot be had."""
    todo = _after(project, one)
    if one.score:
        # Only what comes after the predictions: they themselves are made by the command.
        behind = plan.after(plan.chain(project.pipeline, one.metrics), [one.predictions] if one.predictions else [])
        todo = [s for s in behind if one.predictions and not _makes(s, one.predictions)]
    reads = plan.inputs(project.pipeline, todo)
    named = [path for path in (project.artifact, one.data) if path and plan.tracked(project.pipeline, path)]
    fetched = list(dict.fromkeys([*named, *(p for p in reads if p != one.predictions or not one.score)]))
    project.pull(scratch.tree, project.commit, fetched)
    committed = _committed(project, one, scratch, todo)
    scratch.forget_credentials()
    shell = Shell(scratch.tree, project.code, project.say)
    metrics = [path for path in one.metrics if any(_makes(stage, path) for stage in todo)]
    made = Made(scratch.tree, committed, metrics, "scored again")
    if one.score:
        shown.stages.append(_command(project, one, shell))
        scores(project, one, made, shown)
    for stage in todo:
        shown.stages += stages.run(shell, [stage])
        if one.predictions and _makes(stage, one.predictions):
            scores(project, one, made, shown)  # before a stage that may stumble over them
    measures(project, one, made, shown)


@dataclass(frozen=True)
class Made:
    """What was made again of one evaluation set, and where it lies."""

    tree: Path
    committed: Path | None  # the committed predictions; None where nothing keeps them
    metrics: Sequence[str]  # those that were made again
    how: str  # "scored again"


def scores(project: Project, one: Evaluated, made: Made, shown: Shown) -> None:
    """Hold the predictions that were made again against the commit."""
    if one.predictions and made.committed is not None:
        _predictions(project, one, made, shown)
    elif one.predictions:
        reason = f"what is committed of {one.predictions} could not be had"
        shown.claim("predictions", "not run", reason)
        shown.check(f"predictions.{one.name}", one.predictions, Verdict.WARN, f"Not compared: {reason}.")


def measures(project: Project, one: Evaluated, made: Made, shown: Shown) -> None:
    """Hold the metrics that were made again against the commit."""
    for path in made.metrics:
        _metrics(project, path, made, shown)
    if left := [path for path in one.metrics if path not in made.metrics]:
        source = one.predictions or "the model"
        reason = f"{', '.join(left)} was not made again: no stage of dvc.yaml makes it from {source}."
        shown.claim("metrics", "not run", reason.rstrip("."))
        shown.check(f"metrics.{one.name}", ", ".join(left), Verdict.WARN, reason, file=left[0])


def _after(project: Project, one: Evaluated) -> list[Stage]:
    """The stages between the model and its results; the model's own are not among them."""
    if not project.artifact:
        return []
    wanted = [*one.metrics, *([one.predictions] if one.predictions else [])]
    behind = plan.chain(project.pipeline, wanted)
    todo = plan.after(behind, [project.artifact])
    return todo if all(any(_makes(stage, path) for stage in todo) for path in wanted[-1:]) else []


def _makes(stage: Stage, path: str) -> bool:
    return any(out.path == path or path.startswith(f"{out.path}/") for out in stage.outs)


def _listed(one: Evaluated) -> str:
    return ", ".join([*([one.predictions] if one.predictions else []), *one.metrics])


def _committed(project: Project, one: Evaluated, scratch: Scratch, todo: Sequence[Stage]) -> Path | None:
    """The committed predictions, moved beside the worktree; None where nothing keeps them."""
    if not one.predictions:
        return None
    if plan.tracked(project.pipeline, one.predictions):
        project.pull(scratch.tree, project.commit, [one.predictions])
    there = scratch.tree / one.predictions
    if not there.exists():
        return None
    if not is_committed(project, there, one.predictions):
        raise MlgateError("is not what the lock names, as it came from DVC.", file=one.predictions)
    return set_aside(there, scratch.beside / one.name)


def is_committed(project: Project, there: Path, path: str) -> bool:
    """Whether a file or folder on the disk is what the commit names; also where it names no digest and has no file."""
    out = project.pipeline.outs.get(path)
    if out is None or not out.md5:
        data = project.pipeline.snapshot.read(path)
        return data is None or (there.is_file() and there.read_bytes() == data)
    return content.digest(there, project.digest(path), legacy=out.legacy) == project.digest(path)


def set_aside(path: Path, folder: Path) -> Path:
    """Copy a file or folder under its own name: what runs next may write into it."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / path.name
    if path.is_dir():
        shutil.copytree(path, aside, dirs_exist_ok=True)
    else:
        shutil.copyfile(path, aside)
    return aside


def _command(project: Project, one: Evaluated, shell: Shell) -> StageRun:
    places = {"model": project.artifact, "data": one.data, "predictions": one.predictions}
    there = {word: shell.tree / path if path else None for word, path in places.items()}
    return command(project, one, shell, there, one.predictions)


def written(project: Project, one: Evaluated, tree: Path, places: Mapping[str, Path | None]) -> str:
    """The `score` command with paths for its words. Raises MlgateError where it has a word without a path."""
    text = one.score
    for word, path in places.items():
        if f"{{{word}}}" in text and path is None:
            raise MlgateError(
                f"evaluate.{one.name}.score has {{{word}}}, and mlgate.yaml does not say where that is.",
                file=project.own.file,
            )
        relative = os.path.relpath(path, tree / one.folder) if path else ""
        text = text.replace(f"{{{word}}}", shlex.quote(relative))
    return text


def command(
    project: Project, one: Evaluated, shell: Shell, places: Mapping[str, Path | None], shown: str = ""
) -> StageRun:
    """Run the `score` command: `model`, `data` and `predictions` are where these are, None where nothing says.

    `shown` is what the predictions are called. Raises StageError when it fails or writes none.
    """
    name = f"evaluate.{one.name}.score"
    text = written(project, one, shell.tree, places)
    made = places["predictions"]
    if made is not None:
        stages.remove(made)
        made.parent.mkdir(parents=True, exist_ok=True)
    ended = stages.command_line(shell, text, one.folder)
    seconds = round(ended.seconds, 3)
    if ended.code != 0:
        run = StageRun(name=name, state="failed", seconds=seconds, reason=ended.how)
        raise StageError(stages.failed(name, ended, shell.tree), [run])
    if made is not None and not made.exists():
        run = StageRun(name=name, state="failed", seconds=seconds, reason=f"it did not write {shown}")
        raise StageError(f"{name} ended well, but it did not write {shown}.", [run])
    return StageRun(name=name, state="ran", seconds=seconds)


def _predictions(project: Project, one: Evaluated, made: Made, shown: Shown) -> None:
    path, how = one.predictions, made.how
    assert made.committed is not None  # noqa: S101 -- the caller looked
    if not is_committed(project, made.committed, path):
        reason = f"What {path} is compared with was changed while project code ran."
        shown.check(f"predictions.{one.name}", f"{path}, {how}", Verdict.ERROR, reason, file=path)
        shown.claim("predictions", "refuted", reason.rstrip("."))
        return
    table = predictions.Tables(project.connect(), made.committed, made.tree / path, path)
    seen = predictions.compare(table, by=one.by, tolerance=project.tolerance)
    title = f"{path}, {how}"
    if seen.wrong:
        reason = f"{path} does not follow from the commit: {how}, {'; '.join(seen.wrong[:5])}."
        shown.check(
            f"predictions.{one.name}", title, Verdict.FAIL, reason, file=path, rows=seen.compared,
            examples=seen.examples,
        )  # fmt: skip
        shown.claim("predictions", "refuted", f"{path}: {'; '.join(seen.wrong[:3])}")
        return
    shown.check(f"predictions.{one.name}", title, Verdict.PASS, rows=seen.compared)
    shown.claim("predictions", "proven", f"{how}: {seen.compared:,} rows, largest difference {seen.largest:.3g}")


def _metrics(project: Project, path: str, made: Made, shown: Shown) -> None:
    how = made.how
    title = f"{path}, {how}"
    file = made.tree / path
    now = metrics_files.parse(file.read_bytes() if file.is_file() else b"", path)
    if bad := agreement.not_finite(now, path):
        shown.check(f"metrics.{path}", title, Verdict.ERROR, f"{bad[0]}: that is no measurement.", file=path)
        shown.claim("metrics", "refuted", bad[0])
        return
    data = project.pipeline.snapshot.read(path)
    if data is None:
        shown.check(
            f"metrics.{path}", title, Verdict.ERROR, f"{path} is not committed: there is nothing to hold it to."
        )
        shown.claim("metrics", "not run", f"{path} is not committed")
        return
    before = metrics_files.parse(data, path)
    decisive = [key for key in project.decisive if key in before or key in now]
    seen = agreement.metrics(before, now, project.tolerance, decisive=decisive)
    if seen.wrong:
        reason = f"{path} does not follow from the commit: {how}, {'; '.join(seen.wrong[:5])}."
        shown.check(f"metrics.{path}", title, Verdict.FAIL, reason, file=path)
        shown.claim("metrics", "refuted", f"{path}: {'; '.join(seen.wrong[:3])}")
        return
    if seen.minor:
        reason = f"{how.capitalize()}, {'; '.join(seen.minor[:5])}. No rule is about it."
        shown.check(f"metrics.{path}.minor", path, Verdict.WARN, reason, file=path)
    shown.check(f"metrics.{path}", title, Verdict.PASS)
    values = "1 value" if seen.compared == 1 else f"{seen.compared:,} values"
    shown.claim("metrics", "proven", f"{how}: {values}, largest difference {seen.largest:.3g}")
