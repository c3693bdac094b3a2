"""Log files of this machine: named files with what was rotated away from them, folders, and globs."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.watch.logs.nouns import File, Format

_FORMATS: dict[str, Format] = {
    **dict.fromkeys(("jsonl", "ndjson", "json", "log"), "jsonl"),
    **dict.fromkeys(("parquet", "pq"), "parquet"),
    **dict.fromkeys(("csv", "tsv"), "csv"),
}
# An ending may be followed by what rotation and compression add: `.1`, `-20261120`, `.2026-11-20.gz`.
_ENDING = re.compile(r"\.(jsonl|ndjson|json|log|parquet|pq|csv|tsv)(?=$|[.\-_])", re.IGNORECASE)
_ROTATED = re.compile(r"[.\-_]?[0-9][0-9.\-_T]*(\.(gz|zst))?\Z")
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def format_of(name: str) -> Format | None:
    """What a file's name says: the last ending that is known."""
    found = _ENDING.findall(name)
    return _FORMATS[found[-1].lower()] if found else None


def file(path: Path, shown: str) -> File:
    """Raises MlgateError for what cannot be opened."""
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
        size = path.stat().st_size
    except OSError as error:
        raise MlgateError(f"cannot be read ({error.strerror}).", file=shown, fix="Check its permissions.") from error
    packed = next((how for magic, how in _MAGIC.items() if start.startswith(magic)), "none")
    return File(path, shown, packed, size)


def found(root: Path, path: str) -> list[Path]:
    """The files that a path without `{date}` names, sorted; nothing when there are none.

    A file brings along what was rotated away from it (`p.jsonl.1`, `p.jsonl-20261120.gz`), so that nothing is lost
    between two runs. Names that begin with `.` or `_` are left out of folders. Relative paths stay in the repository.
    """
    base = Path("/") if path.startswith("/") else root.resolve()
    relative = path.lstrip("/") if path.startswith("/") else path
    try:
        if os.path.lexists(base / relative):
            named = [base / relative]
        else:
            named = [base / one for one in sorted(glob.glob(relative or ".", root_dir=base, recursive=True))]
        several = sorted({file for one in named for file in _files(one)})
    except OSError as error:
        raise MlgateError(
            f"cannot be read ({error.strerror or error}).", file=path, fix="Check its permissions."
        ) from error
    for one in several:
        if not one.resolve().is_relative_to(base):
            raise MlgateError(
                "leaves the repository by a symbolic link.",
                file=os.path.relpath(one, base),
                fix="Name the folder by its absolute path, if it is meant.",
            )
    return several


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for parent, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if name[0] not in "._")
            there = [Path(parent, name) for name in sorted(names) if name[0] not in "._"]
            # What is not looked into must not go unsaid, and a pipe would be waited for.
            for one in (Path(parent, name) for name in folders):
                if one.is_symlink():
                    raise OSError(0, f"{one.relative_to(path)} in it is a link to a folder")
            for one in there:
                if not one.is_file():
                    raise OSError(0, f"{one.relative_to(path)} in it is no file")
            yield from there
    elif path.is_file():
        yield path
        for other in path.parent.iterdir():
            rest = other.name.removeprefix(path.name)
            if rest != other.name and _ROTATED.match(rest) and other.is_file():
                yield other
    elif not path.exists():
        raise OSError(0, "it is a link to nothing")
    else:
        raise OSError(0, "it is no file")
