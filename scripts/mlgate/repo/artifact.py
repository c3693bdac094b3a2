"""A committed model, file or folder, by its digest: where it is on this machine, and how it is handed to another job.

What `inputs` does for one file, this does for a model that may be a folder. Nothing is given out before every byte of
it was hashed; what another job handed over is read without following a link.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError
from mlgate.model import Named
from mlgate.repo import content, inputs
from mlgate.repo.git import Snapshot

_DIR = ".dir"
_LARGEST_LISTING = 100_000_000


def is_folder(named: Named) -> bool:
    """Whether the commit has a folder under this name."""
    return "git-tree-sha256" in named.digest or named.digest.get("dvc-md5", "").endswith(_DIR)


def find(
    named: Named,
    *,
    root: Path,
    snapshot: Snapshot,
    scratch: Path,
    caches: Sequence[Path] = (),
    folder: Path | None = None,
    strict: bool = False,
    legacy: bool = False,
) -> Path | None:
    """Where the model of this digest is: in the working tree `root`, in a cache of DVC's, in the inputs folder
    `folder`, or in the commit itself; None when it is nowhere.

    What has to be put together (from a cache, from git) is put into `scratch`, a private folder of the caller's.
    `strict`: in the commit or the inputs folder only. Raises MlgateError like `inputs.find`.
    """
    path = named.name
    if not is_folder(named):
        return inputs.find(
            path, named, root=root, snapshot=snapshot, caches=caches, folder=folder, strict=strict, legacy=legacy
        )
    if "dvc-md5" not in named.digest:
        return _from_git(snapshot, path, scratch)
    md5 = named.digest["dvc-md5"]
    try:
        if not strict:
            here = root / path
            if here.is_dir() and not here.is_symlink() and content.is_named(here, md5, legacy=legacy):
                return here
            for cache in caches:
                if (made := _from_cache(cache, md5, scratch)) is not None:
                    return made
        handed = folder / called(named) if folder is not None else None
        if handed is None or not _plain(handed):
            return None
        if not content.is_named(handed, md5, legacy=legacy):
            raise MlgateError(
                f"is not {path}: it does not have the digest that its name says.", file=handed.name,
                fix="Run the job that made the inputs again.",
            )  # fmt: skip
    except OSError as error:
        raise MlgateError(f"cannot be read ({error.strerror or error}).", file=path) from error
    return handed


def called(named: Named) -> str:
    """What the model is called in the inputs folder."""
    return f"dvc-md5-{named.digest['dvc-md5']}" if is_folder(named) else inputs.name(named)


def give(folder: Path, path: Path, named: Named, *, snapshot: Snapshot, legacy: bool = False) -> Path | None:
    """Puts the model into the inputs folder under its digest, whole or not at all; None where git has it anyway.

    Raises MlgateError for one with another digest.
    """
    if not is_folder(named):
        return inputs.give(folder, path, named, snapshot=snapshot, legacy=legacy)
    if "dvc-md5" not in named.digest:
        return None
    target = folder / called(named)
    temporary = folder / f".{target.name}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(path, temporary)
        if not content.is_named(temporary, named.digest["dvc-md5"], legacy=legacy):
            raise MlgateError(
                "is not the committed model: it was changed.", file=named.name, fix="Run `dvc checkout`, or commit it."
            )
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
    except OSError as error:
        raise MlgateError(
            f"cannot be put into {folder} ({error.strerror or error}).", file=named.name, fix="Make room."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def sha256s(path: Path) -> dict[str, str]:
    """The sha256 of each file of a model, by its path inside the folder; of a single file under its own name.

    Raises MlgateError for anything in it that is neither file nor folder. Raises OSError.
    """
    if path.is_file():
        return {path.name: content.digest(path, {})["sha256"]}
    return {inside: content.digest(path / inside, {})["sha256"] for inside in sorted(_files(path))}


def _files(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            found = Path(place, name)
            mode = found.lstat().st_mode
            if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                raise MlgateError(
                    "is neither a file nor a folder, and a model has nothing else.",
                    file=found.relative_to(folder).as_posix(), fix="Let the training stage write plain files.",
                )  # fmt: skip
        yield from (Path(place, name).relative_to(folder).as_posix() for name in files)


def _plain(folder: Path) -> bool:
    """Whether a folder that another job handed over is there, with nothing in it but files and folders."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise MlgateError("is no folder, and a model's name says it is one.", file=folder.name, fix="Remove it.")
    except FileNotFoundError:
        return False
    for _ in _files(folder):
        pass
    return True


def _from_cache(cache: Path, md5: str, scratch: Path) -> Path | None:
    """A folder put together from DVC's cache; None where the cache lacks any of it."""
    for layout in ("files/md5", ""):
        base = cache / layout
        listing = _listing(base / md5[:2] / md5[2:])
        if listing is None:
            continue
        made = Path(tempfile.mkdtemp(prefix="model-", dir=scratch))
        if all(_copied(base, made, entry) for entry in listing) and content.is_named(made, md5):
            return made
        shutil.rmtree(made, ignore_errors=True)
    return None


def _listing(file: Path) -> list[dict[str, Any]] | None:
    with contextlib.suppress(OSError, ValueError):
        if file.stat().st_size <= _LARGEST_LISTING:
            found = json.loads(file.read_bytes())
            if isinstance(found, list) and all(isinstance(entry, dict) for entry in found):
                return found
    return None


def _copied(base: Path, made: Path, entry: dict[str, Any]) -> bool:
    md5, inside = str(entry.get("md5", "")), str(entry.get("relpath", ""))
    source, target = base / md5[:2] / md5[2:], made / inside
    if not md5 or not inside or ".." in Path(inside).parts or Path(inside).is_absolute() or not source.is_file():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return True


def _from_git(snapshot: Snapshot, path: str, scratch: Path) -> Path | None:
    inside = snapshot.below(path)
    if not inside:
        return None
    made = Path(tempfile.mkdtemp(prefix="model-", dir=scratch))
    for relpath, entry in inside.items():
        data = snapshot.git.blob(entry.blob)
        if entry.mode == "120000":
            raise MlgateError("is a symbolic link, and a model is made of files.", file=f"{path}/{relpath}")
        if inputs.is_lfs(data):
            raise MlgateError(
                "is in Git LFS, as part of a folder; such a model is not put together here.", file=f"{path}/{relpath}",
                fix="Track the folder with DVC.",
            )  # fmt: skip
        target = made / relpath
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return made
