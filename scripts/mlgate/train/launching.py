"""What a retraining adds to training: new data brought first, and stages started elsewhere.

Both are commands that the base's mlgate.yaml names. The first gets the remote's credentials, as DVC does; the second
runs project code, and gets what project code gets.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from mlgate.errors import MlgateError
from mlgate.train import process
from mlgate.train.project import Project

PLACE = "{command}"
_POINTERS = (".dvc", "/dvc.lock", ".gitignore")  # what DVC itself changes when data come


def bring(project: Project, command: str) -> None:
    """Run `retrain.prepare` in the folder of mlgate.yaml. Raises MlgateError when it fails, or changes what people
    write: what is trained has to follow from a commit."""
    project.say(f"$ {command}")
    folder = project.git.root / project.own.folder
    before = set(project.git.dirty())
    shell = process.shell_of(project.environ)
    ended = process.run([shell, "-c", command], cwd=folder, environ=project.environ, say=project.say)
    key, file = "retrain.prepare", project.own.file
    if ended.code != 0:
        said = f" It said last: {ended.tail[-1]}" if ended.tail else ""
        raise MlgateError(
            f"`retrain.prepare` ended with {ended.how}, so nothing was trained.{said}", file=file, key=key,
            fix="Run it by hand.",
        )  # fmt: skip
    if other := foreign(path for path in project.git.dirty() if path not in before):
        raise MlgateError(
            f"`retrain.prepare` changed {', '.join(other[:3])}, so nothing was trained: it may bring data, and "
            "everything else is for people to write.", file=file, key=key, fix="Let it change .dvc files only.",
        )  # fmt: skip


def foreign(changed: Iterable[str]) -> list[str]:
    """Of changed files those that bringing data does not change."""
    return sorted(path for path in changed if not f"/{path}".endswith(_POINTERS))


def launched(launcher: str | None, command: Sequence[str]) -> list[str]:
    """A command as a launcher runs it. `{command}` alone stands for its words; inside a word, for them quoted.

    Raises MlgateError for a launcher that is none.
    """
    if not launcher:
        return list(command)
    try:
        words = shlex.split(launcher)
    except ValueError as error:
        raise MlgateError(f"`retrain.launcher` cannot be read ({error}).", key="retrain.launcher") from None
    if not any(PLACE in word for word in words):
        raise MlgateError(
            "`retrain.launcher` does not say where the command goes.", key="retrain.launcher",
            fix="Write it like `srun --gres=gpu:1 {command}`.",
        )  # fmt: skip
    found: list[str] = []
    for word in words:
        found += command if word == PLACE else [word.replace(PLACE, shlex.join(command))]
    return found
