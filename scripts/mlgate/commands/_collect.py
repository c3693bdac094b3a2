"""Evidence from disk, taken as it comes: another job wrote it, and perhaps not a job of ours.

A file that cannot be evidence becomes evidence of its own that says so. Nothing is skipped in silence: a verdict that
got lost must not look like one that passed.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from pydantic import ValidationError

from mlgate.model import Check, Evidence, Location, Verdict

FILE_LIMIT = 16_000_000  # octets
TOTAL_LIMIT = 256_000_000
FILES_LIMIT = 2_000
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VERB = re.compile(r"[a-z][a-z-]{0,39}")


class _RefusedError(Exception):
    """Why a file is not read."""


def collect(folder: Path) -> list[Evidence]:
    """All evidence below `<folder>/<model>/<verb>.json`, sorted by path; nothing when there is no such folder.

    Symbolic links are not followed. Raises nothing: what cannot be read is an `error` that names the file.
    """
    found: list[Evidence] = []
    room = TOTAL_LIMIT
    for number, path in enumerate(_files(folder)):
        if number == FILES_LIMIT:
            found.append(_refused(folder, path, f"is one more than the {FILES_LIMIT:,} evidence files that are read"))
            break
        try:
            text = _read(path, min(FILE_LIMIT, room))
            room -= len(text)
            found.append(_parse(text, path, folder))
        except _RefusedError as error:
            found.append(_refused(folder, path, str(error)))
    return found


def _files(folder: Path) -> list[Path]:
    """What ends in .json, links and folders of that name included, and links to folders: they are to be named."""
    if folder.is_symlink():
        return [folder]
    paths: list[Path] = []
    for parent, folders, files in os.walk(folder, followlinks=False):
        here = Path(parent)
        paths += [here / name for name in files if name.endswith(".json") and not name.startswith(".")]
        paths += [here / name for name in folders if (here / name).is_symlink() or name.endswith(".json")]
        if len(paths) > 10 * FILES_LIMIT:
            break
    return sorted(paths)


def _read(path: Path, limit: int) -> bytes:
    """Opened without following a link and without waiting for a pipe; read up to the limit whatever it says it is."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise _RefusedError("is not a regular file")
            text = file.read(limit + 1)
    except OSError as error:
        linked = path.is_symlink()
        raise _RefusedError(
            "is a symbolic link" if linked else f"cannot be read ({error.strerror or 'error'})"
        ) from None
    if len(text) > limit:
        raise _RefusedError(f"is larger than {limit / 1e6:,.0f} MB")
    return text


def _parse(text: bytes, path: Path, folder: Path) -> Evidence:
    try:
        evidence = Evidence.from_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        raise _RefusedError(f"is not evidence of schema 1 ({f'{at}: ' if at else ''}{first['msg'][:200]})") from None
    if path != folder / evidence.model / f"{evidence.kind}.json":
        raise _RefusedError("speaks of another model or verb than its path does")
    if not _MODEL.fullmatch(evidence.model) or not _VERB.fullmatch(evidence.kind):
        raise _RefusedError("is named like no model and verb of ours")
    return evidence


def _refused(folder: Path, path: Path, why: str) -> Evidence:
    """Filed where the file lies, so that it stands in place of what is missing."""
    try:
        shown = f"{folder.parent.name}/{folder.name}/{path.relative_to(folder)}".rstrip("/.")
    except ValueError:
        shown = path.name
    model = path.parent.name if _MODEL.fullmatch(path.parent.name) and path.parent != folder else "unreadable"
    kind = path.stem if _VERB.fullmatch(path.stem) else "evidence"
    reason = f"`{shown}` {why}: what it should have said is missing, so this is not a pass."
    check = Check(
        id=f"evidence.{kind}",
        group="judge",
        title="evidence can be read",
        verdict=Verdict.ERROR,
        reason=reason,
        location=Location(file=shown),
    )
    return Evidence(kind=kind, model=model, title=reason, verdict=Verdict.ERROR, checks=[check])
