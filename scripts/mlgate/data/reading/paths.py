"""From what a user calls a data file to the files it is: one file, a folder of them, or a glob."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from mlgate.errors import MlgateError

ENDINGS = {
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
}
PACKED = (".gz", ".zst")
# How DVC names a file in its cache. A link to such a file may leave the repository: caches are often shared.
_CACHED = re.compile(r"/[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?$")


def ending(file: PurePath) -> str:
    """What a name says of the format, without the compression: `.csv` of `a.csv.gz`."""
    name = file.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return PurePath(name).suffix


def resolve(root: Path, path: str) -> list[Path]:
    """The files that a path of the repository `root` names, sorted.

    A folder is its data files, also those in its subfolders: files whose names end like a data file, or, where no name
    does, all of them. Names that begin with `.` or `_` are left out, as Spark and pandas leave them out. A path that
    exists is taken literally, also with a `*` in its name. Raises MlgateError when there is nothing, when something
    cannot be looked at, or when a link leaves the repository.
    """
    root = root.resolve()
    there = root / path
    try:
        found = [path] if os.path.lexists(there) else sorted(_matches(root, path))
        files = [file for one in found for file in _files(root, root / one)]
    except OSError as error:
        name = os.path.relpath(error.filename, root) if error.filename else path
        raise MlgateError(
            f"cannot be read ({error.strerror or error}).", file=name, fix="Check its permissions."
        ) from error
    if files:
        return sorted(set(files))
    if found:
        raise MlgateError("holds no data file.", file=path, fix="CSV, Parquet and JSON lines are read.")
    if glob.has_magic(path):
        raise MlgateError("matches no file.", file=path, fix="Check the pattern, or fetch the data with `dvc pull`.")
    raise MlgateError("does not exist.", file=path, fix="Check the path, or fetch the data with `dvc pull`.")


def left_out(root: Path, path: str) -> list[str]:
    """Files of a folder or glob that end like data, and that `resolve` leaves out for how a name begins.

    Not those in hidden folders: they are some program's own.
    """
    literal = set(Path(path).parts)
    found = set()
    for one in [path] if os.path.lexists(root / path) else glob.glob(path, root_dir=root, recursive=True):
        files = [Path(one)]
        for parent, folders, names in os.walk(root / one):
            folders[:] = [name for name in folders if not name.startswith(".")]
            files += [Path(parent, name).relative_to(root) for name in names]
        found |= {file for file in files if ending(file) in ENDINGS and (root / file).is_file()}
    return sorted(f.as_posix() for f in found if any(p[0] in "._" for p in f.parts if p not in literal))


def _matches(root: Path, pattern: str) -> Iterator[str]:
    if glob.has_magic(pattern):
        found = glob.glob(pattern, root_dir=root, recursive=True)
        yield from (name for name in found if not Path(name).name.startswith("_"))


def _files(root: Path, path: Path) -> Iterator[Path]:
    _inside(root, path)
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise MlgateError("is no file.", file=os.path.relpath(path, root), fix="Data are read from files and folders.")
    inner = sorted(_walk(root, path, set()))
    data = [file for file in inner if ending(file) in ENDINGS]
    yield from data or inner


def _walk(root: Path, folder: Path, seen: set[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in seen:
        raise MlgateError(
            "is a link to a folder that is read already.", file=os.path.relpath(folder, root), fix="Remove the link."
        )
    seen.add(real)
    with os.scandir(folder) as entries:
        inner = sorted((Path(e.path) for e in entries if e.name[0] not in "._"), key=str)
    for path in inner:
        _inside(root, path)
        if path.is_dir():
            yield from _walk(root, path, seen)
        elif path.is_file():
            yield path


def _inside(root: Path, path: Path) -> None:
    """A change can commit a link to any file of the machine, and examples would show what it holds."""
    try:
        real = path.resolve(strict=True)
    except (FileNotFoundError, RuntimeError) as error:
        raise MlgateError(
            "is a link to nothing.", file=os.path.relpath(path, root), fix="Fetch the data with `dvc pull`."
        ) from error
    if real.is_relative_to(root) or (path.is_symlink() and _CACHED.search(real.as_posix())):
        return
    raise MlgateError(
        "leaves the repository by a symbolic link.",
        file=os.path.relpath(path, root),
        fix="Only files of this repository and of DVC's cache are read.",
    )


def names(files: Sequence[Path], shown: str) -> dict[Path, str]:
    """What each file is called to the user, by its place in the repository; no two have the same name."""
    known = [part for part in Path(shown).parts if part not in {".", ".."}]
    if known and all(file.match("/".join(known)) for file in files):
        called = {file: Path(*file.parts[-len(known) :]).as_posix() for file in files}
        if len(set(called.values())) == len(files):
            return called
    known = list(itertools.takewhile(lambda part: not glob.has_magic(part), known)) or known[:1]
    for at in reversed(range(len(files[0].parts))):  # the repository may be called like a folder in it
        before = files[0].parts[:at]
        if all(list(f.parts[at : at + len(known)]) == known and f.parts[:at] == before for f in files):
            return {file: Path(*file.parts[at:]).as_posix() for file in files}
    above = Path(os.path.commonpath([file.parent for file in files]))
    return {file: file.relative_to(above).as_posix() for file in files}
