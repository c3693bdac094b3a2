"""What a training run hands over to be committed: a folder of plain data, taken as hostile by the job that commits it.

    proposal.json       the commit it was trained from, the models, and each file: path, sha256, size
    files/<sha256>      their bytes, by digest, so that no path of the proposal is ever a path on disk

The job that runs project code writes it and has no right to write anything else. The job that may commit runs none of
the project's code, and `read` believes nothing: each file must be one that training makes at that very commit
(`owned`), and hold what such a file holds (`held`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mlgate.errors import MlgateError
from mlgate.repo import held
from mlgate.repo.git import Git
from mlgate.repo.held import Moved
from mlgate.repo.owned import Owned
from mlgate.repo.plain import inside, one_line, parents, refused

SCHEMA = 1
MANIFEST, FILES = "proposal.json", "files"
MANIFEST_LIMIT = 2_000_000  # octets
FILE_LIMIT = 10_000_000  # octets of one file: a lock of 50,000 outputs stays below
TOTAL_LIMIT = 50_000_000  # octets of all
COUNT_LIMIT = 2_000  # files
MESSAGE_LIMIT = 200  # characters

_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
_Model = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
_Path = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _File(_Closed):
    path: _Path
    sha256: _Digest | None = None  # None: the file is deleted
    size: Annotated[int, Field(ge=0)] = 0


class _Manifest(_Closed):
    schema_version: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)]
    base: _Commit
    models: Annotated[list[_Model], Field(min_length=1, max_length=1000)]
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)]
    files: Annotated[list[_File], Field(max_length=COUNT_LIMIT)]


@dataclass(frozen=True)
class Proposal:
    """A proposal that was checked. `files`: path -> bytes, None for one that is deleted; only those that differ."""

    base: str
    models: tuple[str, ...]
    message: str  # one line
    files: Mapping[str, bytes | None]
    moved: tuple[Moved, ...]  # the metrics in them, before and after


def collect(git: Git, *, base: str, configs: Iterable[str] = (), allow: Iterable[str] = ()) -> dict[str, bytes | None]:
    """What training made in the working tree of `git.root`, as `write` takes it; what people write is left out.

    Raises MlgateError for a file that is too large or no plain file.
    """
    owned = Owned(git.at(base), tuple(configs), frozenset(allow))
    out = git.run("diff", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", "-z", base, "--")
    new = git.run("ls-files", "--others", "--exclude-standard", "-z")
    found: dict[str, bytes | None] = {}
    for raw in sorted({*out.split(b"\0"), *new.split(b"\0")} - {b""}):
        path = os.fsdecode(raw)
        try:
            owned.kind(inside(path))
        except MlgateError:
            continue
        file = git.root / path
        found[path] = _load(file, path) if file.is_symlink() or file.exists() else None
    return found


def write(
    folder: Path,
    git: Git,
    *,
    base: str,
    files: Mapping[str, bytes | None],
    model: str | Sequence[str],
    message: str = "",
    configs: Iterable[str] = (),
    allow: Iterable[str] = (),
) -> Proposal:
    """Leave a proposal in `folder`, whole or not at all; one that was there is replaced.

    Files that are as the base has them are left out; a proposal of nothing says that nothing changed. Raises
    MlgateError for what `read` would refuse.
    """
    models = [model] if isinstance(model, str) else list(model)
    snapshot = git.at(base)
    differing = {path: data for path, data in files.items() if data != _there(snapshot.files, git, path)}
    listed = [
        {"path": path, "size": 0} if data is None else {"path": path, "sha256": sha256(data), "size": len(data)}
        for path, data in sorted(differing.items())
    ]
    said = message or clip(f"Train {', '.join(models)}")
    manifest = _valid({"schema": SCHEMA, "base": base, "models": models, "message": said, "files": listed})
    proposal = _checked(manifest, differing, git, configs, allow)
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        temporary.chmod(0o755)
        (temporary / FILES).mkdir()
        for data in differing.values():
            if data is not None:
                (temporary / FILES / sha256(data)).write_bytes(data)
        text = manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
        (temporary / MANIFEST).write_text(json.dumps(text, sort_keys=True, indent=2) + "\n", "utf-8")
        if folder.is_symlink():
            raise MlgateError("is a symbolic link; mlgate writes only where it works.", file=str(folder))
        if (folder / MANIFEST).exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except OSError as error:
        fix = "Make room, or name a folder that is empty or holds an earlier proposal."
        raise MlgateError(f"cannot write {folder} ({error.strerror or error}).", fix=fix) from error
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
    return proposal


def read(folder: Path, git: Git, *, configs: Iterable[str] = (), allow: Iterable[str] = ()) -> Proposal:
    """The proposal in a folder, checked against the commit that is checked out.

    Raises MlgateError, one sentence, for anything that training does not make, and then nothing of it is used.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise MlgateError(
            f"there is no proposal in {folder}.",
            fix="The job that trains leaves one with --proposal; hand it over as an artifact.",
        )
    manifest = _manifest(_bytes(folder / MANIFEST, MANIFEST_LIMIT, MANIFEST))
    head = git.head()
    if manifest.base != head:
        raise refused(
            f"was trained from commit {manifest.base[:12]}, and {head[:12]} is checked out",
            "Check out the same commit in both jobs.",
        )
    _only(folder, {MANIFEST, FILES})
    wanted = {file.sha256: file.size for file in manifest.files if file.sha256}
    if sum(wanted.values()) > TOTAL_LIMIT:
        raise refused(f"holds more than {TOTAL_LIMIT // 1_000_000} MB in all")
    if wanted or (folder / FILES).exists():
        _only(folder / FILES, set(wanted))
    blobs: dict[str, bytes] = {}
    for digest, size in wanted.items():
        data = _bytes(folder / FILES / digest, FILE_LIMIT, f"{FILES}/{digest[:12]}")
        if len(data) != size or sha256(data) != digest:
            raise refused(f"holds {FILES}/{digest[:12]}, whose bytes are not those that it names")
        blobs[digest] = data
    files = {file.path: blobs[file.sha256] if file.sha256 else None for file in manifest.files}
    if len(files) != len(manifest.files):
        raise refused("names a path twice")
    return _checked(manifest, files, git, configs, allow)


def _checked(
    manifest: _Manifest,
    files: Mapping[str, bytes | None],
    git: Git,
    configs: Iterable[str],
    allow: Iterable[str],
) -> Proposal:
    """Every rule about paths and contents, the same for who writes and who reads."""
    one_line(manifest.message)
    owned = Owned(git.at(manifest.base), tuple(configs), frozenset(allow))
    _paths(files, owned)
    differing = {path: data for path, data in files.items() if data != _there(owned.snapshot.files, git, path)}
    if sum(len(data or b"") for data in differing.values()) > TOTAL_LIMIT:
        raise refused(f"holds more than {TOTAL_LIMIT // 1_000_000} MB in all")
    _filtered(git, differing)
    try:
        kinds = {path: owned.kind(path) for path in differing}
        moved = held.check(owned, differing, kinds)
    except MlgateError as error:
        raise refused(f"cannot be used: {str(error).rstrip('.')}") from error
    except RecursionError:
        raise refused("holds a file that is nested too deeply") from None
    return Proposal(manifest.base, tuple(dict.fromkeys(manifest.models)), manifest.message, differing, tuple(moved))


def _paths(files: Mapping[str, bytes | None], owned: Owned) -> None:
    there = owned.snapshot.files
    folded = {path.casefold(): path for path in there} if files else {}
    for path, data in files.items():
        inside(path)
        if path not in there and folded.setdefault(path.casefold(), path) != path:
            raise refused(f"names {path}, which differs from {folded[path.casefold()]} only in case")
        if data is None and path not in there:
            raise refused(f"deletes {path}, which the commit does not have")
        if len(data or b"") > FILE_LIMIT:
            raise refused(f"holds {path} of {len(data or b''):,} octets; {FILE_LIMIT:,} is the most")
    above = {parent for path in files for parent in parents(path)}
    if both := sorted(above & set(files)):
        raise refused(f"names {both[0]} both as a file and as a folder")


def _filtered(git: Git, paths: Iterable[str]) -> None:
    """What git stores otherwise than as it lies on disk (LFS) cannot be committed from bytes."""
    named = "\0".join(paths)
    if not named:
        return
    done = git.try_run("check-attr", "--cached", "-z", "--stdin", "filter", given=f"{named}\0".encode())
    fields = done.stdout.decode(errors="replace").split("\0")
    for path, value in zip(fields[0::3], fields[2::3], strict=False):
        if value not in ("unspecified", "unset", ""):
            raise refused(
                f"holds {path}, which .gitattributes gives to the filter {value}",
                "Keep small text files out of git LFS; large ones belong to DVC.",
            )


# -- the folder, as an untrusted job left it -------------------------------------------------------------------------


def _manifest(text: bytes) -> _Manifest:
    try:
        return _valid(json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_constant))
    except (ValueError, RecursionError):
        raise refused(f"has a {MANIFEST} that cannot be read as JSON") from None


def _valid(data: Any) -> _Manifest:
    try:
        return _Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:100] or "all"
        raise refused(f"has a {MANIFEST} that is none ({where!a}: {first['msg'].lower()[:100]})") from None


def clip(message: str) -> str:
    """A message that is not too long."""
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _constant(name: str) -> Any:
    raise ValueError(name)


def _only(folder: Path, names: set[str]) -> None:
    if folder.is_symlink():
        raise refused(f"has a symbolic link where the folder {folder.name} should be")
    try:
        there = {entry.name for entry in os.scandir(folder)}
    except OSError as error:
        raise refused(f"has no folder {folder.name} ({error.strerror})") from None
    if more := sorted(there - names):
        raise refused(f"holds {more[0][:100]!a}, which {MANIFEST} does not name")


def _bytes(path: Path, limit: int, shown: str) -> bytes:
    """The bytes of a plain file, at most `limit`; no link is followed and nothing waits for a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise refused(f"has no readable file {shown} ({error.strerror})") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise refused(f"has something else than a file at {shown}")
    with os.fdopen(handle, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise refused(f"has a {shown} of more than {limit:,} octets")
    return data


def _load(file: Path, path: str) -> bytes:
    if file.is_symlink() or not file.is_file():
        raise MlgateError("is not a plain file, so it cannot be proposed.", file=path)
    return _bytes(file, FILE_LIMIT, path)


def _there(files: Mapping[str, Any], git: Git, path: str) -> bytes | None:
    entry = files.get(path)
    return None if entry is None or not str(entry.mode).startswith("100") else git.blob(entry.blob)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
