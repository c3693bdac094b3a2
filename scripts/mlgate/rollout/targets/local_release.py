"""What stands for an image on this machine: a copy of the model and of the server's settings, under the image's digest.

prepare(place, release, model, settings)    # once for each release; `start` of the local target needs it
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.judge import record
from mlgate.repo import artifact
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import Place, TargetError
from mlgate.rollout.targets.local_kept import Keeper, folder_name, read_json
from mlgate.serving.settings import Settings

PREDICTIONS, REQUESTS = "predictions.jsonl", "requests.jsonl"  # logs of a slot, beside its servers
_KEEP = 5  # copies that do not run, for a way back
# What the server brings stands behind the packages of the project: the model gets those that it was trained with.
_BOOT = (
    "import os, runpy, sys; sys.path += sys.argv.pop(1).split(os.pathsep); "
    "sys.argv[0] = 'mlgate.serving'; runpy.run_module('mlgate.serving', run_name='__main__')"
)


def home(place: Place) -> Path:
    """The folder of one environment of one model."""
    return place.state / folder_name(place.model) / folder_name(place.environment)


@dataclass(frozen=True)
class Prepared:
    """A release that can be started here."""

    folder: Path
    image: str
    sha256: str  # of the model
    model: Path
    command: tuple[str, ...]  # what `--host ... --port ...` is appended to
    cwd: Path

    @property
    def settings(self) -> Path:
        return self.folder / "serving.json"

    def whole(self) -> bool:
        """Whether the model still is what it was when it was copied."""
        try:
            return digest(self.model) == self.sha256
        except (OSError, MlgateError):
            return False


def command(python: str = "", behind: Sequence[str] = ()) -> tuple[str, ...]:
    """What runs the server: the project's own Python with `behind` after its packages, else the one of mlgate."""
    folders = list(behind) if python else extras.site("serve")
    return (python or sys.executable, "-c", _BOOT, os.pathsep.join(folders))


def prepare(
    place: Place,
    release: Release,
    model: Path,
    settings: str,
    *,
    command: Sequence[str] = (),
    folder: Path | None = None,
) -> None:
    """Copies the model and its settings to where `start` finds them. May be repeated; a whole copy is left as it is.

    `settings`: JSON of `serving.settings.Settings`. `command`: what runs the server, else mlgate's own Python (see
    `command`). `folder`: where the project's code is importable, else `place.folder`. Raises MlgateError when the
    model or the settings are not of this release.
    """
    wanted = release.subject.get("sha256", "")
    if not wanted:
        raise MlgateError(f"the decision for {release.model} names no sha256 of the model, so it cannot be recognised.")
    with suppress(TargetError):
        if _same(find(place, release.slot), release, settings, command):
            return
    above = home(place) / "releases"
    above.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Path(tempfile.mkdtemp(dir=above, prefix=".new-"))
    try:
        copied = _copied(model, made / "model")
        found = digest(copied)
        if found != wanted:
            raise MlgateError(
                f"has the digest {found[:12]}..., and the decision is about {wanted[:12]}....", file=str(model),
                fix="Fetch the model of the commit that was decided: `dvc pull`.",
            )  # fmt: skip
        logs = home(place) / "slots" / release.slot
        (made / "serving.json").write_text(_own_logs(settings, logs, release), "utf-8")
        Settings.read(made / "serving.json")
        about = {
            "image": release.image, "sha256": wanted, "model": str(copied.relative_to(made)), "told": settings,
            "command": list(command or _own_command()), "folder": str((folder or place.folder).resolve()),
        }  # fmt: skip
        (made / "release.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
        with Keeper(home(place)).locked():
            _put(made, above / release.slot)
            _prune(home(place), release.slot)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def find(place: Place, slot: str) -> Prepared:
    """Raises TargetError when it was not prepared here."""
    folder = home(place) / "releases" / slot
    told = read_json(folder / "release.json")
    try:
        cwd = Path(told["folder"])
        return Prepared(
            folder, told["image"], told["sha256"], folder / told["model"], tuple(told["command"]),
            cwd if cwd.is_dir() else folder,
        )  # fmt: skip
    except (KeyError, TypeError):
        raise TargetError(
            f"the model of {slot} is not on this machine.", fix="Deploy it from a job that has its files: `dvc pull`."
        ) from None


def digest(path: Path) -> str:
    """The sha256 of a model, as its decision names it."""
    found = artifact.sha256s(path)
    return found[path.name] if path.is_file() else record.model_digest(found)


def _own_command() -> tuple[str, ...]:
    return command()


def _same(found: Prepared, release: Release, settings: str, command: Sequence[str]) -> bool:
    told = read_json(found.folder / "release.json")
    return (
        found.image == release.image
        and found.sha256 == release.subject["sha256"]
        and told.get("told") == settings
        and (not command or tuple(command) == found.command)
        and found.whole()
    )


def _copied(model: Path, to: Path) -> Path:
    try:
        if model.is_dir():
            shutil.copytree(model, to)
            return to
        to.mkdir()
        return Path(shutil.copyfile(model, to / model.name))
    except (OSError, shutil.Error) as error:
        raise MlgateError(f"cannot be copied to {to.parent.parent} ({error}).", file=str(model)) from error


def _own_logs(settings: str, folder: Path, release: Release) -> str:
    """The settings with logs in the slot's own folder: many models share this machine, and none may use /var/log."""
    try:
        told: dict[str, Any] = json.loads(settings)
        named = str(told["identity"]["digest"]).removeprefix("sha256:")
        if told["log"]["to"] != "none":
            told["log"] |= {"to": "file", "path": str(folder / PREDICTIONS)}
        if told.get("replay"):
            told["replay"] |= {"path": str(folder / REQUESTS)}
    except (ValueError, TypeError, KeyError) as error:
        raise MlgateError(f"the settings of {release.model}'s server cannot be read ({error}).") from error
    if named and named != release.subject["sha256"]:
        raise MlgateError(f"the settings of the server are those of another model ({named[:12]}...).")
    return json.dumps(told, sort_keys=True, indent=2) + "\n"


def _put(made: Path, to: Path) -> None:
    """In the place of a copy that was there before, which runs no more once its servers are started again."""
    old = to.with_name(f".old-{to.name}")
    shutil.rmtree(old, ignore_errors=True)
    with suppress(FileNotFoundError):
        os.rename(to, old)
    os.rename(made, to)
    shutil.rmtree(old, ignore_errors=True)


def _prune(folder: Path, newest: str) -> None:
    """Keeps what runs, what was prepared last, and a few more."""
    running = {one.name for one in (folder / "slots").glob("*")}
    idle = [one for one in (folder / "releases").glob("[!.]*") if one.name not in running | {newest}]
    for one in sorted(idle, key=lambda path: path.stat().st_mtime, reverse=True)[_KEEP:]:
        shutil.rmtree(one, ignore_errors=True)


def environ(place: Place) -> Mapping[str, str]:
    """The variables of a server: what a program needs to run, and what mlgate.yaml names. No credentials of the job."""
    target = place.settings.target
    made = {name: value for name, value in place.environ.items() if name in _PASSED or name.startswith("LC_")}
    made |= target.environment
    for name, source in target.secrets.items():
        if source not in place.environ:
            raise TargetError(
                f"the variable {source} is not set, and {name} of the server is to come from it.",
                fix=f"Give the job {source}, or change deploy.environments.{place.environment}.target.secrets.",
            )
        made[name] = place.environ[source]
    return made


_PASSED = {
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH",
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
}  # fmt: skip
