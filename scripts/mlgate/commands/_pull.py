"""What DVC tracks and this machine lacks, fetched by the project's own DVC. The disk is looked at first."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from mlgate.commands._run import Run
from mlgate.errors import MlgateError
from mlgate.model import Verdict
from mlgate.repo import project_dvc
from mlgate.repo.dvc import Out, Pipeline
from mlgate.repo.project_dvc import Trouble
from mlgate.setup import storage
from mlgate.setup.doctor import environ


class NoCredentialsError(MlgateError):
    """The remote wants credentials that this job does not have, as for a pull request from a fork."""


def pull(run: Run, paths: Sequence[str], python: str = "", *, root: Path | None = None, commit: str = "") -> None:
    """Fetch these paths of the commit. Paths that DVC does not track are left to who needs them.

    `root` and `commit` are those of a worktree elsewhere, where it is not the repository's own.

    Raises NoCredentialsError; or MlgateError without a DVC or room on the disk, or when the remote does not give them.
    """
    root = root or run.git.root
    outs = Pipeline(run.git.at(commit or run.head), lenient=True).outs
    tracked = {path: out for path in paths if (out := _tracked(outs, path)) is not None}
    if not tracked:
        return
    home = project_dvc.folder_of(root, "")
    homes = {path: project_dvc.folder_of(root, path.rpartition("/")[0]) or home for path in tracked}
    dvc = project_dvc.find(python, run.git.root, environ())
    first = next(iter(tracked))
    if isinstance(dvc, str):
        raise MlgateError(
            f"{first} is not here, and there is no DVC to fetch it with. {dvc}", fix="Install the project's DVC."
        )
    room = storage.disk(
        storage.need(tracked.values(), None),
        storage.need(tracked.values(), None),
        shutil.disk_usage(root).free,
        copies=2,
    )
    if room.verdict is Verdict.FAIL:
        raise MlgateError(room.reason, fix=room.fix.splitlines()[-1].removeprefix("# "))
    for folder in sorted({home or "" for home in homes.values()}):
        mine = [path for path, there in homes.items() if (there or "") == folder]
        said, trouble = project_dvc.pull(dvc, root / folder, [_below(path, folder) for path in mine], environ())
        if trouble is Trouble.NO_CREDENTIALS or (trouble is Trouble.REFUSED and run.forge.event.from_fork):
            raise NoCredentialsError(f"{', '.join(mine[:3])}: this job has no credentials for the DVC remote ({said}).")
        if said:
            raise MlgateError(
                f"{', '.join(mine[:3])} could not be fetched from the DVC remote: {said.rstrip(' .:')}.",
                fix="Was `dvc push` run, and does this job have the remote's credentials?",
            )


def _tracked(outs: dict[str, Out], path: str) -> Out | None:
    """What DVC has to fetch for a path: itself, or the folder that it is in."""
    while path:
        if path in outs:
            return outs[path]
        path = path.rpartition("/")[0]
    return None


def _below(path: str, folder: str) -> str:
    return path[len(folder) + 1 :] if folder else path
