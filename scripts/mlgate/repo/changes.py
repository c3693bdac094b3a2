"""What differs between champion and challenger, read from committed files: parameters, data, code, stages, packages."""

from __future__ import annotations

import functools
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from mlgate.errors import MlgateError
from mlgate.model import Change
from mlgate.repo.dvc import Out, Pipeline, Stage
from mlgate.repo.fresh import parameters

PACKAGES = re.compile(
    r"requirements[^/]*\.(txt|in)|pyproject\.toml|uv\.lock|poetry\.lock|Pipfile(\.lock)?|pdm\.lock|setup\.(py|cfg)"
    r"|(conda[^/]*|environment[^/]*)\.ya?ml|python_env\.yaml|Dockerfile[^/]*|renv\.lock"
)


def between(champion: Pipeline, challenger: Pipeline, *, produced: list[str], data: list[str]) -> list[Change]:
    """The differences that can have moved the model: those of the stages behind `produced`, and of the `data` files."""
    stages_then = _chain(champion, produced)
    stages_now = _chain(challenger, produced)
    found: dict[tuple[str, str], Change] = {}
    for change in (
        *_parameters(champion, challenger, [*stages_then, *stages_now]),
        *_data(champion, challenger, [*stages_then, *stages_now], data),
        *_code(champion, challenger, [*stages_then, *stages_now]),
        *_commands(stages_then, stages_now),
        *_packages(champion, challenger, produced),
    ):
        found.setdefault((change.kind, change.what), change)
    return sorted(found.values(), key=lambda c: (c.kind, c.what))


def _chain(pipeline: Pipeline, paths: list[str]) -> list[Stage]:
    found: list[Stage] = []
    for path in paths:
        found += [stage for stage in pipeline.upstream(path) if stage not in found]
    return found


def _parameters(then: Pipeline, now: Pipeline, stages: list[Stage]) -> Iterator[Change]:
    files = {file for stage in stages for file in stage.params}
    if not stages:
        files = {"params.yaml"}
    for file in sorted(files):
        before = _flat(then, file)
        after = _flat(now, file)
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                yield Change(kind="parameter", what=f"{file} {key}", before=before.get(key), after=after.get(key))


def _flat(pipeline: Pipeline, file: str) -> dict[str, str]:
    values = None
    with suppress(MlgateError):  # a broken file of the challenger is an error of its own; the champion's is history
        data = pipeline.snapshot.read(file)
        values = parameters(data, file) if data is not None else None
    found: dict[str, str] = {}

    def walk(node: Mapping[str, Any], prefix: str, depth: int = 0) -> None:
        for key, value in node.items():
            if isinstance(value, Mapping) and len(found) < 10_000 and depth < 24:  # YAML can hold what holds itself
                walk(value, f"{prefix}{key}.", depth + 1)
            else:
                found[f"{prefix}{key}"] = value if isinstance(value, str) else _spelled(value)

    walk(values or {}, "")
    return found


def _spelled(value: Any) -> str:
    try:
        return json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):  # keys that are dates, lists that hold themselves
        return str(value)


def _data(then: Pipeline, now: Pipeline, stages: list[Stage], data: list[str]) -> Iterator[Change]:
    """Sources that DVC tracks (no stage makes them), and the named data files, made by a stage or not."""
    paths = {dep.path for stage in stages for dep in stage.deps if dep.path not in {**then.producers, **now.producers}}
    for path in sorted({p for p in paths if p in then.outs or p in now.outs} | set(data)):
        before, after = then.outs.get(path), now.outs.get(path)
        if _digest(before) != _digest(after):
            yield Change(kind="data", what=path, before=_describe(before), after=_describe(after))


def _digest(out: Out | None) -> str:
    return out.md5 if out else ""


def _describe(out: Out | None) -> str | None:
    if out is None:
        return None
    return f"{out.md5[:9]}" + (f", {out.size:,} bytes" if out.size is not None else "")


def _code(then: Pipeline, now: Pipeline, stages: list[Stage]) -> Iterator[Change]:
    """Dependencies of the stages that git tracks."""
    for path in sorted({dep.path for stage in stages for dep in stage.deps}):
        if path in then.outs or path in now.outs or PACKAGES.fullmatch(posixpath.basename(path)):
            continue
        for file in sorted({*_inside(then, path), *_inside(now, path)}):
            before, after = then.snapshot.files.get(file), now.snapshot.files.get(file)
            if before != after:
                yield Change(kind="code", what=file, after=_word(before, after))


def _inside(pipeline: Pipeline, path: str) -> list[str]:
    if path in pipeline.snapshot.files:
        return [path]
    return [f"{path}/{file}" for file in pipeline.snapshot.below(path)]


def _word(before: object, after: object) -> str:
    return "changed" if before and after else "added" if after else "removed"


def _commands(then: list[Stage], now: list[Stage]) -> Iterator[Change]:
    before = {stage.name: stage.cmd for stage in then}
    after = {stage.name: stage.cmd for stage in now}
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Change(
                kind="stage",
                what=name,
                before=None if name not in before else str(before[name]),
                after=None if name not in after else str(after[name]),
            )


def _packages(then: Pipeline, now: Pipeline, produced: list[str]) -> Iterator[Change]:
    """Files that name packages, in the folders around what is produced."""
    folders = {"", *(folder for path in produced for folder in _around(path))}
    for path in sorted({*_package_files(then), *_package_files(now)}):
        if posixpath.dirname(path) in folders:
            before, after = then.snapshot.files.get(path), now.snapshot.files.get(path)
            if before != after:
                yield Change(kind="dependency", what=path, after=_word(before, after))


def _around(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


@functools.lru_cache(maxsize=8)
def _package_files(pipeline: Pipeline) -> list[str]:
    return [path for path in pipeline.snapshot.files if PACKAGES.fullmatch(posixpath.basename(path))]
