"""The project's own DVC, by subprocess: which one it is, what it says, and what its errors mean.

mlgate's private environment has no DVC, and a remote needs the plugin and version that the project installed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from mlgate.repo.credentials import redact

TIMEOUT = 300  # seconds: a remote of a million files is listed in that time
QUICK = 60
PULL = 6 * 3600  # the job's own limit comes first


class Trouble(Enum):
    """Why DVC could not answer."""

    NO_CREDENTIALS = "no credentials"
    REFUSED = "credentials refused"
    PLUGIN = "a plugin is missing"
    OLD = "too old"
    CONFIG = "configuration"
    DOWN = "unreachable"


@dataclass(frozen=True)
class Dvc:
    """A DVC that answers. `command` starts it."""

    command: tuple[str, ...]
    version: str

    @property
    def python(self) -> str:
        """What to install plugins with: the interpreter, where it is known."""
        return self.command[0] if len(self.command) > 1 else "python3"


@dataclass(frozen=True)
class Settings:
    """What `dvc config --list` says of the default remote and of the cache. `url` is redacted."""

    name: str = ""  # of the default remote, empty when none is set
    url: str = ""
    folder: Path | None = None  # of a remote that is a directory
    names: tuple[str, ...] = ()  # every remote there is
    cache: Path | None = None  # where the cache is, when it is not below .dvc
    links: bool = False  # the working tree links into the cache, so that a file is on the disk once


@dataclass(frozen=True)
class Status:
    """What the cache and the remote lack, as paths relative to the repository; or why that is not known."""

    not_in_cache: tuple[str, ...] = ()
    not_in_remote: tuple[str, ...] = ()
    trouble: Trouble | None = None
    said: str = ""


@dataclass(frozen=True)
class _Answer:
    code: int
    out: str
    err: str = field(repr=False)


def find(wanted: str, root: Path, environ: Mapping[str, str]) -> Dvc | str:
    """The project's DVC, else one sentence why there is none.

    `wanted` is an interpreter, a path relative to the repository or a name on PATH; empty: what is on PATH.
    """
    search = environ.get("PATH")
    candidates: list[tuple[str, ...]]
    if wanted:
        python = str(root / wanted) if "/" in wanted else (shutil.which(wanted, path=search) or wanted)
        candidates = [(python, "-m", "dvc")]
    else:
        dvc, python3 = shutil.which("dvc", path=search), shutil.which("python3", path=search)
        candidates = ([(dvc,)] if dvc else []) + ([(python3, "-m", "dvc")] if python3 else [])
    said = ""
    for command in candidates:
        answer = _run(command, ["--version"], cwd=root, environ=environ, timeout=QUICK)
        version = answer.out.strip().splitlines()[-1:] if answer.code == 0 else []
        if version and re.match(r"\d+\.\d", version[0]):
            return Dvc(command, version[0])
        said = _last(answer.err) or said
    if wanted:
        return f"`{wanted} -m dvc --version` does not work{f' ({said})' if said else ''}."
    return "There is no `dvc` on PATH, and the `python3` there has no module dvc."


def config(dvc: Dvc, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The whole configuration, `remote.storage.url` -> value; paths are absolute. It may hold secrets."""
    answer = _run(dvc.command, ["config", "--list"], cwd=folder, environ=environ, timeout=QUICK)
    return dict(line.split("=", 1) for line in answer.out.splitlines() if "=" in line)


def cache(dvc: Dvc, folder: Path, environ: Mapping[str, str]) -> Path:
    """Where the cache is. `folder` is DVC's."""
    return Path(config(dvc, folder, environ).get("cache.dir") or folder / ".dvc" / "cache").absolute()


def settings(dvc: Dvc, folder: Path, environ: Mapping[str, str]) -> Settings:
    """Of the whole configuration, which may hold secrets, only these parts are kept."""
    found = config(dvc, folder, environ)
    names = tuple(sorted({key[len("remote.") : -len(".url")] for key in found if _REMOTE.fullmatch(key)}))
    name = found.get("core.remote", "")
    url = found.get(f"remote.{name}.url", "") if name else ""
    return Settings(
        name=name,
        url=redact(url),
        folder=Path(url.removeprefix("file://")) if url and "://" not in url.removeprefix("file://") else None,
        names=names,
        cache=Path(found["cache.dir"]) if found.get("cache.dir") else None,
        links="link" in found.get("cache.type", "").replace("reflink", ""),
    )


_REMOTE = re.compile(r"remote\..+\.url")


def status(dvc: Dvc, folder: Path, prefix: str, environ: Mapping[str, str], *, ask_remote: bool) -> Status:
    """What is missing. `prefix` is DVC's folder within the repository.

    `--granular` asks for every file of a folder: without it DVC looks only for the folder's listing, and a file that
    never arrived is not seen.
    """
    args = ["data", "status", "--json", *(["--not-in-remote", "--granular"] if ask_remote else [])]
    answer = _run(dvc.command, args, cwd=folder, environ=environ, timeout=TIMEOUT)
    if answer.code != 0:
        trouble = classify(answer.code, answer.err)
        return Status(trouble=trouble, said=_last(answer.err))
    try:
        found: dict[str, Any] = json.loads(answer.out)
    except ValueError:
        return Status(trouble=Trouble.OLD, said="its answer is not JSON")
    return Status(_paths(found.get("not_in_cache"), prefix), _paths(found.get("not_in_remote"), prefix))


def pull(dvc: Dvc, folder: Path, paths: Sequence[str], environ: Mapping[str, str]) -> tuple[str, Trouble | None]:
    """Fetch paths, relative to DVC's folder: "" or one sentence why not, and what kind of trouble that is.

    What is not there afterwards is a failure, whatever the exit code.
    """
    answer = _run(dvc.command, ["pull", "--", *paths], cwd=folder, environ=environ, timeout=PULL)
    if answer.code != 0:
        said = _last(answer.err) or f"`dvc pull` ended with exit code {answer.code}"
        return said, classify(answer.code, _without(paths, answer.err))
    lost = [path for path in paths if not (folder / path).exists()]
    return (f"`dvc pull` left no {lost[0]}", Trouble.DOWN) if lost else ("", None)


def _without(paths: Sequence[str], text: str) -> str:
    """What DVC says, but for the names of files: "no credentials.csv" says nothing about credentials."""
    named = "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))
    return re.sub(rf"(?:{named})(?:/[^\n']*)?", "", text)


@dataclass(frozen=True)
class Changed:
    """What `dvc status` says has changed, by stage or .dvc file, relative to the repository; or why it says nothing.

    That data are not here is no change: they are what a clone lacks.
    """

    stages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    always: frozenset[str] = frozenset()  # stages that run each time, whatever their lock says
    trouble: Trouble | None = None
    said: str = ""


def changed(dvc: Dvc, folder: Path, prefix: str, targets: Sequence[str], environ: Mapping[str, str]) -> Changed:
    """Ask for these stages (`dvc.yaml:train`) and .dvc files of `folder`, which is `prefix` in the repository."""
    answer = _run(dvc.command, ["status", "--json", "--", *targets], cwd=folder, environ=environ, timeout=TIMEOUT)
    if answer.code != 0:
        return Changed(trouble=classify(answer.code, answer.err), said=_last(answer.err))
    try:
        found: dict[str, Any] = json.loads(answer.out)
    except ValueError:
        return Changed(trouble=Trouble.OLD, said="its answer is not JSON")
    stages, always = {}, set()
    for name, entries in found.items():
        full = f"{prefix}/{name}" if prefix else name
        said = tuple(_differences(entries if isinstance(entries, list) else []))
        if "always changed" in said:
            always.add(full)
        if rest := tuple(one for one in said if one != "always changed"):
            stages[full] = rest
    return Changed(stages, frozenset(always))


_ABSENT = ("deleted", "not in cache")


def _differences(entries: Sequence[Any]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, Mapping):
            for paths in entry.values():
                for path, state in paths.items() if isinstance(paths, Mapping) else ():
                    if isinstance(state, Mapping):  # a parameters file: key -> state
                        yield from (f"{path} {key} is {word}" for key, word in state.items())
                    elif state not in _ABSENT:
                        yield f"{path} is {state}"


def do(dvc: Dvc, folder: Path, args: Sequence[str], environ: Mapping[str, str], *, timeout: float | None = None) -> str:
    """Run a command that answers by what it leaves (`push`, `checkout`); "" or one sentence why it failed."""
    answer = _run(dvc.command, args, cwd=folder, environ=environ, timeout=timeout or PULL)
    return "" if answer.code == 0 else _last(answer.err) or f"`dvc {args[0]}` ended with exit code {answer.code}"


def ask(dvc: Dvc, folder: Path, args: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What a command prints; None when it fails."""
    answer = _run(dvc.command, args, cwd=folder, environ=environ, timeout=TIMEOUT)
    return answer.out if answer.code == 0 else None


def reachable(url: str, environ: Mapping[str, str]) -> bool:
    """Whether somebody listens at the address of a remote; True where that cannot be told.

    For some kinds of remote DVC takes "no answer" for "not there", and says that everything is missing.
    """
    parts = urllib.parse.urlsplit(url)
    port = _PORTS.get(parts.scheme)
    if port is None or not parts.hostname or any(name.lower().endswith("_proxy") for name in environ):
        return True
    try:
        socket.create_connection((parts.hostname, parts.port or port), timeout=10).close()
    except OSError:
        return False
    return True


_PORTS = {"http": 80, "https": 443, "webdav": 80, "webdavs": 443, "ssh": 22}


def classify(code: int, stderr: str) -> Trouble:
    """What kind of trouble an error of DVC is. Only messages that can mean nothing else are called credentials."""
    text = stderr.lower()
    for trouble, marks in _MARKS.items():
        if any(mark in text for mark in marks):
            return trouble
    return {251: Trouble.CONFIG, 253: Trouble.CONFIG, 254: Trouble.OLD}.get(code, Trouble.DOWN)


_MARKS: dict[Trouble, Sequence[str]] = {
    Trouble.OLD: ("unrecognized arguments", "invalid choice"),
    Trouble.PLUGIN: ("to be installed", "no module named", "is supported, but requires"),
    Trouble.NO_CREDENTIALS: (
        "unable to locate credentials",
        "nocredentialserror",
        "could not automatically determine credentials",
        "default credentials were not found",
        "anonymous caller does not have",
        "must provide either a connection_string or account_name",
        "unable to find azure",
        "no credentials",
        "partial credentials found",
        "401 unauthorized",
        "authentication require both",
        "config profile",
        "no such identity",
    ),
    Trouble.REFUSED: (
        "access denied",
        "accessdenied",
        "invalidaccesskeyid",
        "access key id you provided does not exist",
        "signaturedoesnotmatch",
        "expiredtoken",
        "token has expired",
        "invalid_grant",
        "forbidden",
        "permission denied",
        "authorizationfailure",
        "authenticationfailed",
        "unauthorized",
    ),
    Trouble.CONFIG: ("is invalid", "merge conflict", "configuration error", "not inside of a dvc repository"),
}


def _paths(found: Any, prefix: str) -> tuple[str, ...]:
    names = [name.rstrip("/") for name in found if isinstance(name, str)] if isinstance(found, list) else []
    return tuple(sorted(f"{prefix}/{name}" if prefix else name for name in names))


def _run(
    command: Sequence[str], args: Sequence[str], *, cwd: Path, environ: Mapping[str, str], timeout: float
) -> _Answer:
    quiet = {"DVC_NO_ANALYTICS": "1", "LC_ALL": "C.UTF-8", "COLUMNS": "10000", "NO_COLOR": "1"}
    try:
        done = subprocess.run(
            [*command, *args],
            cwd=cwd,
            env={**environ, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        return _Answer(127, "", error.strerror or str(error))
    except subprocess.TimeoutExpired:
        return _Answer(124, "", f"it did not answer within {timeout:.0f} s")
    return _Answer(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def _last(stderr: str) -> str:
    """The line that says what is wrong, without what could be a secret."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    wrong = [line for line in lines if line.startswith("ERROR:")] or [
        line for line in lines if not line.startswith(("Having any troubles", "Learn more"))
    ]
    if not wrong:
        return ""
    text = wrong[-1].removeprefix("ERROR:").strip().removeprefix("unexpected error - ")
    return redact(text[:300])


def folder_of(root: Path, folder: str) -> str | None:
    """DVC's folder for files below `folder`: the nearest one up with a `.dvc` folder, None when there is none."""
    here = folder
    while True:
        if (root / here / ".dvc").is_dir():
            return here
        if not here:
            return None
        here = os.path.dirname(here)
