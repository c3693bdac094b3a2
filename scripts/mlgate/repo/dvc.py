"""What DVC's committed files say: outputs, stages and parameters of one commit.

Parsed from a commit, never from the working tree, and never by running DVC: the judge needs neither DVC nor data.
`dvc.lock` paths are relative to the stage's working directory, which only `dvc.yaml` knows. All paths here are
relative to the repository.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

from mlgate.errors import MlgateError, why
from mlgate.repo import yaml12
from mlgate.repo.git import Snapshot

_CONFLICT = (b"\n<<<<<<< ", b"\n=======\n", b"\n>>>>>>> ")
_PARSED: dict[str, Any] = {}  # blob id -> parsed file; the same lock is read for both sides of a comparison


@dataclass(frozen=True)
class Out:
    """A file or folder that DVC knows by digest."""

    path: str
    md5: str  # ends in .dir for a folder; "" when the lock has none
    size: int | None = None
    stage: str = ""  # "" for a plain .dvc file
    file: str = ""  # the dvc.lock or .dvc that says so
    files: int | None = None  # how many a folder held
    legacy: bool = False  # DVC 2: text files were hashed with CRLF read as LF


@dataclass(frozen=True)
class Stage:
    """A stage as locked, and what dvc.yaml says of it now."""

    name: str  # "train", "train@eu" for one of a foreach or matrix
    lock: str
    folder: str  # its working directory
    cmd: Any
    deps: tuple[Out, ...] = ()
    outs: tuple[Out, ...] = ()
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    defined: Mapping[str, Any] | None = None  # the stage of dvc.yaml, None when it has none any more


@dataclass(frozen=True)
class MetricFile:
    """A `metrics:` entry of a dvc.yaml. `cached`: DVC keeps it in its cache, out of git."""

    path: str
    cached: bool
    file: str


@dataclass(eq=False)
class Pipeline:
    """All that DVC's files of one commit say.

    A broken one raises MlgateError; a `lenient` pipeline keeps it for `require`, because in a repository of many
    projects a file of another project is nobody's reason to stop.
    """

    snapshot: Snapshot
    lenient: bool = False
    broken: dict[str, MlgateError] = field(default_factory=dict)

    @cached_property
    def stages(self) -> list[Stage]:
        found: list[Stage] = []
        for path in self._named("dvc.lock"):
            found += _stages(self._try(path), path, self._try(_sibling(path, "dvc.yaml")))
        # What dvc.yaml has no stage for any more is left over from an earlier name: a later entry stands before it.
        return sorted(found, key=lambda stage: stage.defined is not None)

    @cached_property
    def outs(self) -> dict[str, Out]:
        """Every locked output and every target of a .dvc file, by path."""
        found = {out.path: out for stage in self.stages for out in stage.outs}
        return found | {out.path: out for out in self._pointed}

    @cached_property
    def _pointed(self) -> list[Out]:
        files = [p for p in self.snapshot.files if p.endswith(".dvc") and posixpath.basename(p) != ".dvc"]
        return [out for file in files for out in _pointers(self._try(file), file)]

    @cached_property
    def contested(self) -> dict[str, list[str]]:
        """Paths that several files claim with different digests, which DVC refuses: path -> who claims it."""
        claims: dict[str, dict[str, str]] = {}
        for stage in self.stages:
            for out in stage.outs if stage.defined is not None else ():
                claims.setdefault(out.path, {})[f"stage {stage.name} of {out.file}"] = out.md5
        for out in self._pointed:
            claims.setdefault(out.path, {})[out.file] = out.md5
        return {path: list(said) for path, said in claims.items() if len(set(said.values())) > 1}

    @cached_property
    def producers(self) -> dict[str, Stage]:
        return {out.path: stage for stage in self.stages for out in stage.outs}

    @cached_property
    def metric_files(self) -> list[MetricFile]:
        found: dict[str, MetricFile] = {}
        for path in self._named("dvc.yaml"):
            for metric in _metric_files(self._try(path), path):
                found[metric.path] = metric
        return list(found.values())

    def definitions(self) -> list[tuple[str, dict[str, Any]]]:
        """Every dvc.yaml, and what it says."""
        return [(path, self._try(path)) for path in self._named("dvc.yaml")]

    def require(self, paths: Iterable[str]) -> None:
        """Raises MlgateError for a broken file of DVC that lies beside or above one of these paths."""
        _ = self.outs, self.metric_files
        wanted = list(paths)
        for file, error in sorted(self.broken.items()):
            folder = posixpath.dirname(file)
            if not folder or any(path.startswith(f"{folder}/") for path in wanted):
                raise error

    def upstream(self, path: str) -> list[Stage]:
        """The stages that made a path, the last one first."""
        found: list[Stage] = []
        queue = [path]
        while queue:
            stage = self.producers.get(queue.pop())
            if stage and stage not in found:
                found.append(stage)
                queue += [dep.path for dep in stage.deps]
        return found

    def reads(self, produced: Iterable[str], path: str) -> bool:
        """Whether a stage behind one of these files depends on a path: on itself, a folder around it, or inside it."""
        deps = {dep.path for file in produced for stage in self.upstream(file) for dep in stage.deps}
        return any(f"{path}/".startswith(f"{dep}/") or dep.startswith(f"{path}/") for dep in deps)

    def _named(self, name: str) -> list[str]:
        return [p for p in self.snapshot.files if p == name or p.endswith(f"/{name}")]

    def _try(self, path: str) -> dict[str, Any]:
        try:
            return self._load(path)
        except MlgateError as error:
            if not self.lenient:
                raise
            self.broken[path] = error
            return {}

    def _load(self, path: str) -> dict[str, Any]:
        entry = self.snapshot.files.get(path)
        if entry is None:
            return {}
        if entry.blob not in _PARSED:
            _PARSED[entry.blob] = _parse(self.snapshot.read(path) or b"", path)
        parsed: dict[str, Any] = _PARSED[entry.blob]
        return parsed


def _parse(data: bytes, path: str) -> dict[str, Any]:
    if all(mark in b"\n" + data for mark in _CONFLICT):
        raise MlgateError(
            "still has merge conflict markers.", file=path, fix="Resolve them, run `dvc repro`, and commit the result."
        )
    try:
        value = yaml12.load(data.decode())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        fix = "Restore it, or run `dvc repro`."
        raise MlgateError(f"cannot be read as YAML: {why(error)}.", file=path, fix=fix) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MlgateError("is not a mapping, so DVC did not write it.", file=path)
    return value


def _sibling(path: str, name: str) -> str:
    return posixpath.join(posixpath.dirname(path), name)


def _under(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _outs(entries: Any, folder: str, *, stage: str, file: str) -> Iterator[Out]:
    for entry in _list(entries):
        item = _mapping(entry)
        path = item.get("path")
        if isinstance(path, str):
            size, count = item.get("size"), item.get("nfiles")
            yield Out(
                path=path if "://" in path else _under(folder, path),
                md5=str(item.get("md5") or item.get("etag") or item.get("checksum") or ""),
                size=size if isinstance(size, int) else None,
                files=count if isinstance(count, int) else None,
                stage=stage,
                file=file,
                legacy="hash" not in item,
            )


def _stages(lock: dict[str, Any], path: str, pipeline: dict[str, Any]) -> Iterator[Stage]:
    defined = _mapping(pipeline.get("stages"))
    for name, raw in _mapping(lock.get("stages")).items():
        item = _mapping(raw)
        definition = _definition(defined, str(name))
        folder = posixpath.dirname(path)
        if isinstance(definition, dict) and isinstance(definition.get("wdir"), str):
            folder = _under(folder, definition["wdir"])
        yield Stage(
            name=str(name),
            lock=path,
            folder=folder,
            cmd=item.get("cmd"),
            deps=tuple(_outs(item.get("deps"), folder, stage="", file=path)),
            outs=tuple(_outs(item.get("outs"), folder, stage=str(name), file=path)),
            params={_under(folder, str(file)): _mapping(v) for file, v in _mapping(item.get("params")).items()},
            defined=definition,
        )


def _definition(defined: dict[str, Any], name: str) -> dict[str, Any] | None:
    stage = defined.get(name)
    if stage is None and "@" in name:
        stage = defined.get(name.split("@", 1)[0])
    if not isinstance(stage, dict):
        return None
    body = stage.get("do")
    return body if isinstance(body, dict) else stage


def _pointers(parsed: dict[str, Any], path: str) -> Iterator[Out]:
    folder = posixpath.dirname(path)
    if isinstance(parsed.get("wdir"), str):
        folder = _under(folder, parsed["wdir"])
    yield from _outs(parsed.get("outs"), folder, stage="", file=path)


def _metric_files(pipeline: dict[str, Any], path: str) -> Iterator[MetricFile]:
    top = posixpath.dirname(path)
    for entry in _list(pipeline.get("metrics")):
        if isinstance(entry, str) and "${" not in entry:
            yield MetricFile(_under(top, entry), cached=False, file=path)
    for raw in _mapping(pipeline.get("stages")).values():
        stage = _mapping(raw)
        stage = _mapping(stage.get("do")) or stage
        folder = _under(top, stage["wdir"]) if isinstance(stage.get("wdir"), str) else top
        for entry in _list(stage.get("metrics")):
            name, options = next(iter(entry.items())) if isinstance(entry, dict) and entry else (entry, {})
            if isinstance(name, str) and "${" not in f"{folder}{name}":
                yield MetricFile(
                    _under(folder, name), cached=_mapping(options).get("cache", True) is not False, file=path
                )


# -- digests as DVC computes them ------------------------------------------------------------------------------------


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def matches(out: Out, data: bytes) -> bool:
    """Whether bytes are those the lock recorded."""
    return md5(data) == out.md5 or (out.legacy and md5(data.replace(b"\r\n", b"\n")) == out.md5)


def folder_md5(files: Iterable[tuple[str, bytes]]) -> str:
    """DVC's digest of a folder: md5 of the JSON list of its files, sorted by relative path."""
    listing = [{"md5": md5(data), "relpath": relpath} for relpath, data in sorted(files)]
    return f"{md5(json.dumps(listing, sort_keys=True).encode())}.dir"
