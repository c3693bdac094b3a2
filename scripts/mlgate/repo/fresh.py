"""Whether a locked stage still describes the commit: its dependencies, parameters and command, without running DVC.

A dependency that git tracks is hashed as DVC hashes it; one that DVC tracks is compared with the pointer that now
stands for it. What neither knows (a URL, a path outside) is named, not assumed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from mlgate.errors import MlgateError, why
from mlgate.repo import dvc, yaml12
from mlgate.repo.dvc import Out, Pipeline, Stage


@dataclass(frozen=True)
class Staleness:
    """One way in which a stage no longer matches the commit, or could not be compared with it (`known` false).

    `doubtful`: it could not be compared although it differs, so it may well have changed.
    """

    stage: str
    what: str
    known: bool = True
    doubtful: bool = False


def check(pipeline: Pipeline, stage: Stage) -> Iterator[Staleness]:
    """Every difference found; nothing when the stage is fresh."""
    if stage.defined is None:
        yield Staleness(stage.name, f"dvc.yaml has no stage {stage.name!r} any more")
        return
    yield from _command(stage)
    yield from _declared(stage)
    for dep in stage.deps:
        yield from _dependency(pipeline, stage, dep)
    yield from _parameters(pipeline, stage)


_TEMPLATED = re.compile(r"\\?\$\{[^}]*\}")


def _command(stage: Stage) -> Iterator[Staleness]:
    command = (stage.defined or {}).get("cmd")
    # DVC writes the resolved command into the lock. What `${}` stood for is a parameter, and those are compared below.
    pattern = ".*".join(re.escape(part) for part in _TEMPLATED.split(_words(command)))
    if not re.fullmatch(pattern, _words(stage.cmd), re.DOTALL):
        yield Staleness(stage.name, "its command changed in dvc.yaml")


def _declared(stage: Stage) -> Iterator[Staleness]:
    """What dvc.yaml lists and the lock has never seen."""
    locked = {out.path for out in (*stage.deps, *stage.outs)}
    defined = stage.defined or {}
    listed = [entry for key in ("deps", "outs", "metrics", "plots") for entry in entries(defined.get(key))]
    for path, _ in listed:
        if "${" not in f"{defined.get('wdir')}{path}" and "://" not in path:
            full = posixpath.normpath(posixpath.join(stage.folder, path))
            if full not in locked:
                yield Staleness(stage.name, f"{full} was added to it in dvc.yaml after it ran")


def entries(value: Any) -> Iterator[tuple[str, Any]]:
    """`deps:`, `outs:` and the like: names, or names with their options."""
    for entry in value if isinstance(value, list) else []:
        name, options = next(iter(entry.items())) if isinstance(entry, dict) and entry else (entry, None)
        if isinstance(name, str):
            yield name, options


def _words(command: Any) -> str:
    return "\n".join(str(line).strip() for line in command) if isinstance(command, list) else str(command).strip()


def _dependency(pipeline: Pipeline, stage: Stage, dep: Out) -> Iterator[Staleness]:
    now = pipeline.outs.get(dep.path)
    if now is not None:
        if now.md5 != dep.md5:
            yield Staleness(stage.name, f"{dep.path} changed after it ran")
        return
    snapshot = pipeline.snapshot
    data = snapshot.read(dep.path)
    if data is not None:
        if not dvc.matches(dep, data):
            yield Staleness(stage.name, f"{dep.path} changed after it ran")
        return
    inside = snapshot.below(dep.path)
    if inside and dep.md5.endswith(".dir"):
        files = [(relpath, snapshot.read(f"{dep.path}/{relpath}") or b"") for relpath in inside]
        if dvc.folder_md5(files) != dep.md5 and dep.files is not None and dep.files > len(inside):
            yield Staleness(
                stage.name,
                f"{dep.path}/ held {dep.files} files when it ran and git has {len(inside)}, so it was not compared "
                "(list what git ignores, such as __pycache__, in .dvcignore)",
                known=False,
                doubtful=True,
            )
        elif dvc.folder_md5(files) != dep.md5:
            yield Staleness(stage.name, f"{dep.path}/ changed after it ran")
        return
    if not dep.md5 or "://" in dep.path or dep.path.startswith("../") or _within_tracked_folder(pipeline, dep.path):
        yield Staleness(
            stage.name, f"{dep.path} is outside of git and of DVC's pointers, so it was not compared", False
        )
        return
    yield Staleness(stage.name, f"{dep.path} is in neither git nor DVC any more")


def _within_tracked_folder(pipeline: Pipeline, path: str) -> bool:
    return any(path.startswith(f"{out}/") for out in pipeline.outs)


def _parameters(pipeline: Pipeline, stage: Stage) -> Iterator[Staleness]:
    for file, locked in stage.params.items():
        data = pipeline.snapshot.read(file)
        if data is None:
            yield Staleness(stage.name, f"{file} is not committed")
            continue
        values = parameters(data, file)
        if values is None:
            yield Staleness(stage.name, f"{file} is of a kind that only DVC reads, so it was not compared", False)
            continue
        for key, was in locked.items():
            if lookup(values, key) != was:
                yield Staleness(stage.name, f"{file} {key} changed after it ran")


def parameters(data: bytes, path: str) -> Mapping[str, Any] | None:
    """A parameters file as a mapping; None for a kind that only DVC reads. Raises MlgateError when it is broken."""
    try:
        if path.endswith(".toml"):
            import tomllib  # noqa: PLC0415 -- few repositories have one

            return tomllib.loads(data.decode())
        if path.endswith((".yaml", ".yml", ".json")):
            value = yaml12.load(data.decode())
            return value if isinstance(value, dict) else {}
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise MlgateError(
            f"cannot be read: {why(error)}.", file=path, fix="Restore it, then run `dvc repro`."
        ) from error
    return None


_ABSENT = object()


def lookup(values: Any, dotted: str) -> Any:
    """`train.depth` in nested mappings; a key that itself holds the dot wins."""
    if isinstance(values, Mapping):
        if dotted in values:
            return values[dotted]
        head, _, rest = dotted.partition(".")
        while rest:
            if head in values:
                return lookup(values[head], rest)
            more, _, rest = rest.partition(".")
            head = f"{head}.{more}"
    return _ABSENT
