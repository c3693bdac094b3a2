"""What a file that training makes may hold: digests that change, numbers that are finite, nothing else that acts."""

from __future__ import annotations

import hashlib
import json
import math
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import yaml

from mlgate.errors import MlgateError, why
from mlgate.repo import dvc, metrics
from mlgate.repo.dvc import Out, Pipeline
from mlgate.repo.git import Entry, Snapshot
from mlgate.repo.owned import Kind, Owned
from mlgate.repo.yaml12 import Loader

DEEPEST = 100  # levels of a YAML file
# What DVC writes anew when data changes. All else in a pointer says where data comes from and where it goes.
_VOLATILE = frozenset(
    {"md5", "etag", "checksum", "size", "nfiles", "hash", "version_id", "rev_lock", "isexec", "files", "cloud", "mtime"}
)


@dataclass(frozen=True)
class Moved:
    """One metric of a proposed file. None where there is no such number."""

    file: str
    key: str
    before: float | None
    after: float | None


@dataclass(eq=False)
class Overlay(Snapshot):
    """A commit with some files replaced (None: deleted), before there is such a commit."""

    over: Mapping[str, bytes | None] | None = None

    @cached_property
    def files(self) -> dict[str, Entry]:
        found = dict(self.git.at(self.commit).files)
        for path, data in (self.over or {}).items():
            found.pop(path, None)
            if data is not None:
                found[path] = Entry("100644", _blob(data, len(self.commit)))
        return found

    def read(self, path: str) -> bytes | None:
        data = (self.over or {}).get(path)
        return data if data is not None else super().read(path)


def _blob(data: bytes, width: int) -> str:
    """The id git gives a blob."""
    make = hashlib.sha1 if width == 40 else hashlib.sha256
    return make(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def check(owned: Owned, files: Mapping[str, bytes | None], kinds: Mapping[str, Kind]) -> list[Moved]:
    """The metrics that moved. Raises MlgateError, one sentence, for contents that training does not make."""
    before = owned.snapshot
    for path, data in files.items():
        if data is not None and path.lower().endswith((".lock", ".dvc", ".yaml", ".yml")):
            with suppress(ValueError, yaml.YAMLError):  # said below
                _bounded(data, path)
    after = Overlay(before.git, before.commit, over=files)
    pipeline = Pipeline(after, lenient=True)
    outs = pipeline.outs
    for path in files:
        if path in pipeline.broken:
            raise pipeline.broken[path]
    moved: list[Moved] = []
    for path, data in sorted(files.items()):
        if data is None and kinds[path] not in ("metrics", "output"):
            raise MlgateError("is deleted, and training deletes no such file.", file=path)
        if data is not None:
            _contents(owned, kinds[path], path, data)
        if kinds[path] == "metrics":
            moved += _metrics(before.read(path), data, path)
        if data is not None:
            _attested(outs.get(path), path, data)
    for out in outs.values():
        if out.file in files and out.path not in files:
            _complete(owned, after, out)
    return moved


def _contents(owned: Owned, kind: Kind, path: str, data: bytes) -> None:
    if kind == "lock":
        _lock(data, path)
    elif kind == "pointer":
        _pointer(owned.snapshot.read(path) or b"", data, path)
    elif kind == "ignore":
        _ignore(owned.snapshot.read(path) or b"", data, path, owned.ignoring[posixpath.dirname(path)])
    else:
        _data(data, path)


def _attested(out: Out | None, path: str, data: bytes) -> None:
    """A file of which the lock has a digest is that file."""
    if out is not None and out.md5 and not out.md5.endswith(".dir") and not dvc.matches(out, data):
        raise MlgateError(f"is not the file that {out.file} attests.", file=path)


def _complete(owned: Owned, after: Snapshot, out: Out) -> None:
    """What a proposed lock attests and git keeps is either proposed with it, or as it was."""
    declared = owned.declared(out.path)
    if declared is None or declared.cached or not out.md5 or out.md5.endswith(".dir"):
        return
    data = after.read(out.path)
    if data is None or not dvc.matches(out, data):
        raise MlgateError(
            f"attests another {out.path} than the commit would have: the file is not in the proposal.", file=out.file
        )


def _lock(data: bytes, path: str) -> None:
    stages = _yaml(data, path).get("stages")
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        raise MlgateError("has no mapping of stages, so DVC did not write it.", file=path)
    _inside(stages, path)


def _pointer(before: bytes, after: bytes, path: str) -> None:
    if _steady(_yaml(before, path)) != _steady(_yaml(after, path)):
        raise MlgateError("changes more than digests: where data comes from or goes is for people to say.", file=path)
    _inside(_yaml(after, path), path)


def _inside(value: Any, path: str) -> None:
    """The files that DVC lists inside a folder stay inside it."""
    if isinstance(value, dict):
        name = value.get("relpath", "x")
        if not isinstance(name, str) or posixpath.isabs(name) or ".." in name.replace("\\", "/").split("/"):
            raise MlgateError(f"lists {str(name)[:100]!a}, which leaves its folder.", file=path)
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        _inside(item, path)


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _steady(item) for key, item in value.items() if key not in _VOLATILE}
    return [_steady(item) for item in value] if isinstance(value, list) else value


def _ignore(before: bytes, after: bytes, path: str, names: set[str]) -> None:
    """DVC adds and removes `/name` of its own outputs; nothing else may come to be ignored, or cease to be."""
    changed = set(_lines(before, path)) ^ set(_lines(after, path))
    if other := sorted(changed - {f"/{name}" for name in names} - {""}):
        raise MlgateError(f"changes {other[0][:60]!a}, which is no output of DVC.", file=path)


def _lines(data: bytes, path: str) -> list[str]:
    try:
        return [line.rstrip() for line in data.decode("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise MlgateError(f"cannot be read: {why(error)}.", file=path) from error


def _data(data: bytes, path: str) -> None:
    """Data files that say what they are must be that."""
    try:
        if path.lower().endswith(".json"):
            json.loads(data)
        elif path.lower().endswith((".yaml", ".yml")):
            yaml.load(data.decode(), Loader=Loader)  # noqa: S506 -- a safe one
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise MlgateError(f"cannot be read: {why(error)}.", file=path) from error


def _metrics(before: bytes | None, after: bytes | None, path: str) -> Iterator[Moved]:
    try:
        old = metrics.parse(before, path) if before is not None else {}
    except MlgateError:
        old = {}  # what is replaced may well have been broken
    new = metrics.parse(after, path) if after is not None else {}
    for key in new:
        if any(not math.isfinite(number) for number in _numbers(new[key])):
            raise MlgateError(f"{key} is not a finite number, so it measures nothing.", file=path, key=key)
    for key in {**old, **new}:
        one = Moved(path, key, _number(old.get(key)), _number(new.get(key)))
        if (one.before, one.after) != (None, None):
            yield one if one.before is None or math.isfinite(one.before) else replace(one, before=None)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _numbers(item)
    elif (number := _number(value)) is not None:
        yield number


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _bounded(data: bytes, path: str) -> None:
    """A few lines of aliases hold more than any memory, and deep nesting ends the process in the C parser's stack.

    Neither DVC nor training writes any. Read as events, neither of them costs more than its own length.
    """
    depth = 0
    for event in yaml.parse(data, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise MlgateError("uses YAML aliases, which DVC does not write.", file=path)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise MlgateError("is nested too deeply.", file=path)


def _yaml(data: bytes, path: str) -> dict[str, Any]:
    try:
        value = yaml.load(data.decode(), Loader=Loader)  # noqa: S506 -- a safe one
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise MlgateError(f"cannot be read as YAML: {why(error)}.", file=path) from error
    if not isinstance(value, dict):
        raise MlgateError("is not a mapping, so DVC did not write it.", file=path)
    return value
