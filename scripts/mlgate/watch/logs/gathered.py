"""All files of a source for one window, wherever they are: of one format, or a sentence that says what is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlgate.config.watching import Source
from mlgate.errors import MlgateError
from mlgate.watch.logs import database, files, places, storage
from mlgate.watch.logs.nouns import File, Format, Where
from mlgate.watch.nouns import Window


@dataclass(frozen=True)
class Gathered:
    """What is to be read."""

    files: tuple[File, ...]
    format: Format
    notes: tuple[str, ...]
    key: str  # of mlgate.yaml

    @property
    def where(self) -> Where:
        return Where(self.format, tuple(one.shown for one in self.files), sum(one.size for one in self.files))

    @property
    def shown(self) -> str:
        """What an error of no file in particular is about."""
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"{self.files[0].shown}{more}" if self.files else ""


def gather(
    source: Source, window: Window, *, root: Path, environ: Mapping[str, str], key: str, say: Callable[[str], object]
) -> Gathered:
    """Raises MlgateError for places that are not there or cannot be reached, and for files of several formats."""
    if source.query is not None:
        return Gathered(*database.rows(source, window, root=root, environ=environ, key=key, say=say), key)
    if not source.path:
        raise MlgateError(
            "says neither where the rows are nor how to query them.", key=key, fix="Give `path`, or `query`."
        )
    there: dict[Path, File] = {}
    notes: list[str] = []
    for path in source.path:
        several = places.expanded(path, window, key)
        if storage.remote(path):
            got, missing = storage.fetched(several, window, key=key, say=say)
        else:
            got, missing = _local(root, path, several, key)
        there |= {one.path: one for one in got}
        if missing and places.dated(path):
            notes.append(f"{path}: nothing for {missing} of {len(several)} times of the window.")
        elif missing:
            notes.append(f"{path}: no file.")
    kept: list[File] = []
    formats: dict[Format, str] = {}
    for one in there.values():
        format_ = source.format or files.format_of(one.shown.rsplit("/", 1)[-1])
        if format_ is None:
            notes.append(f"{one.shown} was left out: its name does not say what it is, and `format` is not set.")
            continue
        formats.setdefault(format_, one.shown)
        kept.append(one)
    if len(formats) > 1:
        (first, name), (second, other), *_ = formats.items()
        raise MlgateError(
            f"is {second}, and {name} is {first}.", file=other, key=key, fix="Name files of one format only."
        )
    if not kept and there:
        name = next(iter(there.values())).shown
        raise MlgateError(
            "does not say by its name what format it has.",
            file=name,
            key=key,
            fix="Set `format` to jsonl, parquet or csv.",
        )
    return Gathered(tuple(kept), next(iter(formats), source.format or "jsonl"), tuple(notes), key)


def _local(root: Path, path: str, several: list[str], key: str) -> tuple[list[File], int]:
    """Files, and how many of the paths have none. A folder that is not there at all is a mistake, not an empty day."""
    base = places.fixed(path)
    if not os.path.lexists(root / base):
        raise MlgateError(
            "does not exist.", file=base, key=key, fix="Check the path, and that it is there on this machine."
        )
    got: list[File] = []
    missing = 0
    for one in several:
        found = files.found(root, one)
        missing += not found
        got += [files.file(each, _shown(each, root)) for each in found]
    return got, missing


def _shown(path: Path, root: Path) -> str:
    inside = root.resolve()
    return path.relative_to(inside).as_posix() if path.is_relative_to(inside) else str(path)
