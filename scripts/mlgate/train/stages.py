"""Single stages run as DVC runs them: their command, in their folder, without what they made before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.model import StageRun
from mlgate.repo.dvc import Stage
from mlgate.repo.fresh import entries
from mlgate.train import process
from mlgate.train.process import Say


class StageError(MlgateError):
    """A stage failed, or left something undone. `stages` is what ran until then, the failed one at the end."""

    def __init__(self, message: str, stages: Sequence[StageRun], *, file: str = "", fix: str = "") -> None:
        super().__init__(message, file=file, fix=fix)
        self.stages = tuple(stages)


@dataclass(frozen=True)
class Shell:
    """How commands are run: in which tree, with which environment, and who hears what they say."""

    tree: Path
    environ: Mapping[str, str]
    say: Say


def run(shell: Shell, stages: Sequence[Stage]) -> list[StageRun]:
    """Run these stages in order. Raises StageError."""
    done: list[StageRun] = []
    for stage in stages:
        done.append(_one(shell, stage, done))
    return done


def _one(shell: Shell, stage: Stage, before: Sequence[StageRun]) -> StageRun:
    persistent = kept(stage)
    for out in stage.outs:
        place = shell.tree / out.path
        if out.path not in persistent:
            remove(place)
        place.parent.mkdir(parents=True, exist_ok=True)
    environ = {**shell.environ, "DVC_STAGE": stage.name, "DVC_ROOT": str(shell.tree)}
    commands = stage.cmd if isinstance(stage.cmd, list) else [stage.cmd]
    seconds = 0.0
    for command in commands:
        ended = command_line(Shell(shell.tree, environ, shell.say), str(command), stage.folder)
        seconds += ended.seconds
        if ended.code != 0:
            run_ = StageRun(name=stage.name, state="failed", seconds=round(seconds, 3), reason=ended.how)
            raise StageError(failed(stage.name, ended, shell.tree), [*before, run_])
    for out in stage.outs:
        if not os.path.lexists(shell.tree / out.path):
            reason = f"it did not write {out.path}"
            run_ = StageRun(name=stage.name, state="failed", seconds=round(seconds, 3), reason=reason)
            raise StageError(f"Stage {stage.name} ended well, but {reason}.", [*before, run_])
    return StageRun(name=stage.name, state="ran", seconds=round(seconds, 3))


def failed(name: str, ended: process.Ended, tree: Path) -> str:
    """One sentence, and the last lines below it. Paths in the tree are shown as they are in the repository."""
    said = "\n".join(f"  {line.replace(f'{tree}/', '')}" for line in ended.tail)
    return f"Stage {name} failed ({ended.how})." + (f" It said last:\n{said}" if said else " It said nothing.")


def command_line(shell: Shell, command: str, folder: str) -> process.Ended:
    """Run one command in a folder of the tree, by the shell that DVC would take."""
    program = shell.environ.get("SHELL") or "/bin/sh"
    if not os.access(program, os.X_OK):
        program = "/bin/sh"
    options = {"zsh": ["--no-rcs"], "bash": ["--noprofile", "--norc"]}.get(os.path.basename(program), [])
    shell.say(f"> {command}")
    cwd = shell.tree / folder
    if not cwd.is_dir():
        raise MlgateError(f"there is no folder {folder} in the commit to run `{command}` in.")
    return process.run([program, *options, "-c", command], cwd=cwd, environ=shell.environ, say=shell.say)


def kept(stage: Stage) -> set[str]:
    """Outputs that are there when the stage starts: `persist: true`."""
    names = set()
    for key in ("outs", "metrics", "plots"):
        for name, options in entries((stage.defined or {}).get(key)):
            if isinstance(options, Mapping) and options.get("persist"):
                names.add(name)
    return {out.path for out in stage.outs if any(out.path == n or out.path.endswith(f"/{n}") for n in names)}


def remove(path: Path) -> None:
    """A link is removed, not what it points to: that is the cache."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
