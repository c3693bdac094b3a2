"""What a commit says that a data path is: which files it names, and which bytes they are. Pure.

A path is a file, a folder or a glob. Git knows files; DVC knows files, and folders as a whole. What is read on a
machine counts only where it is all of that, and nothing beside it.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from mlgate.data.reading import paths
from mlgate.model import Check, Digests, Location, Verdict
from mlgate.repo.dvc import Pipeline


@dataclass(frozen=True)
class Claim:
    """What is said of one file or folder. No digest where it is known, and nothing says which bytes it has."""

    digest: Digests
    legacy: bool = False  # DVC 2: text files were hashed with CRLF read as LF
    contested: tuple[str, ...] = ()  # who says different things of it


@dataclass(frozen=True)
class Committed:
    """The files and folders that a path names in a commit; none where the commit knows nothing of it."""

    path: str
    claims: Mapping[str, Claim]

    @property
    def digest(self) -> Digests:
        """Of all of them. Empty unless each one has a digest."""
        found = {name: claim.digest for name, claim in self.claims.items()}
        return whole(self.path, found) if all(found.values()) else {}

    @property
    def contested(self) -> tuple[str, tuple[str, ...]] | None:
        """The first name that is said to have different bytes, and by whom."""
        return next(((name, claim.contested) for name, claim in self.claims.items() if claim.contested), None)


def whole(path: str, files: Mapping[str, Digests]) -> Digests:
    """One digest for all that a path names: that of the file itself, or one over the names and digests of several."""
    if not files or set(files) == {path}:
        return dict(files.get(path, {}))
    listing = json.dumps(files, sort_keys=True, separators=(",", ":"))
    return {"files-sha256": hashlib.sha256(listing.encode()).hexdigest()}


def check(one: Committed, seen: Mapping[str, Digests], *, strict: bool) -> Check:
    """Whether what was read is what the commit names. `seen`: of all its claims, and of whatever else was read.

    Other bytes are an `error` where it is `strict`, else a `warn`: in a terminal, data are being edited.
    """
    path, claims = one.path, one.claims
    if not claims:
        reason = f"{path} is in neither dvc.lock, a .dvc file nor git: nothing says which data these are. Track it."
        return _check(path, Verdict.WARN, reason)
    if told := one.contested:
        reason = f"{told[0]} has another digest in {' than in '.join(told[1])}: which one counts cannot be known."
        return _check(path, Verdict.ERROR, f"{reason} Keep one.")
    for name in sorted({*claims, *seen}):
        if name not in claims:
            reason = f"{name} is here and not in the commit, and {path} takes it in. Remove it, or commit it."
            return _check(path, Verdict.ERROR if strict else Verdict.WARN, reason)
        said, here = claims[name].digest, seen.get(name, {})
        if said not in ({}, here):
            tool = "dvc" if "dvc-md5" in said else "git"
            reason = (
                f"The {name} here is not the one that the commit names ({_short(said)}, here {_short(here)}). "
                f"`{tool} checkout {name}`, or commit what is here."
            )
            return _check(path, Verdict.ERROR if strict else Verdict.WARN, reason)
    if unsaid := [name for name, claim in claims.items() if not claim.digest]:
        reason = (
            f"The commit has no digest of {unsaid[0]} itself, so nothing says which data these are. "
            "Track it by itself, or name the whole folder that DVC tracks."
        )
        return _check(path, Verdict.WARN, reason)
    return _check(path, Verdict.PASS, "")


def _short(digest: Digests) -> str:
    return f"{next(iter(digest.values()))[:8]}…" if digest else "nothing"


def _check(path: str, verdict: Verdict, reason: str) -> Check:
    return Check(
        id=f"data.{path}.file", group="integrity", title="data file" if reason else f"{path} is what the commit names",
        verdict=verdict, reason=reason, location=Location(file=path) if reason else None,
    )  # fmt: skip


def of(pipeline: Pipeline, path: str) -> Committed:
    """Raises MlgateError for a file that git has as a symbolic link."""
    one = _one(pipeline, path)
    if one is not None:
        return Committed(path, {path: one})
    names = {*pipeline.snapshot.files, *pipeline.outs}
    found = _of_folder(pipeline, path, names)
    if not found and glob.has_magic(path):
        found = {name for name in names if _matches(name, path)} | {
            folder for folder in pipeline.outs if _folder(pipeline, folder) and _reaches(path, folder)
        }
    if not found and any(path.startswith(f"{out}/") for out in pipeline.outs):
        return Committed(path, {path: Claim({})})  # of a folder that DVC tracks, only the whole has a digest
    return Committed(path, {name: one for name in sorted(found) if (one := _one(pipeline, name)) is not None})


def _one(pipeline: Pipeline, path: str) -> Claim | None:
    """By DVC's lock or pointer, else by git; else by a stage that depends on just this file of a folder."""
    out = pipeline.outs.get(path)
    if out is not None and out.md5:
        return Claim({"dvc-md5": out.md5}, out.legacy, tuple(pipeline.contested.get(path, ())))
    data = pipeline.snapshot.read(path)
    if data is not None:
        return Claim({"sha256": hashlib.sha256(data).hexdigest()})
    read = {dep.md5 for stage in pipeline.stages for dep in stage.deps if dep.path == path and dep.md5}
    if len(read) == 1:
        return Claim({"dvc-md5": read.pop()})
    return Claim({}) if out is not None or read else None


def _folder(pipeline: Pipeline, path: str) -> bool:
    return path in pipeline.outs and pipeline.outs[path].md5.endswith(".dir")


def _of_folder(pipeline: Pipeline, folder: str, names: Iterable[str]) -> set[str]:
    """What is read of a folder: as `data.reading.paths` chooses from the disk."""
    prefix = "" if folder == "." else f"{folder}/"
    inner = {n for n in names if n.startswith(prefix) and not any(map(_left_out, n[len(prefix) :].split("/")))}
    data = {name for name in inner if paths.ending(PurePosixPath(name)) in paths.ENDINGS or _folder(pipeline, name)}
    return data or inner


def _left_out(name: str) -> bool:
    return name[:1] in {".", "_"}


def _matches(name: str, pattern: str) -> bool:
    """Whether a glob names a file, or a folder that it is read with."""
    parts, wanted = PurePosixPath(name).parts, PurePosixPath(pattern).parts
    return any(
        _fits(parts[:end], wanted) and parts[end - 1][0] != "_" and not any(map(_left_out, parts[end:]))
        for end in range(1, len(parts) + 1)
    )


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """As `glob.glob(recursive=True)`: `**` is any number of folders, and no wildcard stands for a leading dot."""
    if not pattern:
        return not parts
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        return _fits(parts, rest) or (bool(parts) and parts[0][0] != "." and _fits(parts[1:], pattern))
    if not parts or (parts[0][0] == "." and first[0] != "."):
        return False
    return fnmatchcase(parts[0], first) and _fits(parts[1:], rest)


def _reaches(pattern: str, folder: str) -> bool:
    """Whether a glob may name files inside a folder."""
    parts, wanted = PurePosixPath(folder).parts, PurePosixPath(pattern).parts
    if "**" in wanted[: len(parts) + 1]:
        return _fits(parts[: wanted.index("**")], wanted[: wanted.index("**")])
    return len(wanted) > len(parts) and _fits(parts, wanted[: len(parts)])
