"""How a model came to be, as one commit says it: data, parameters, code, commands and metrics, by digest and value.

Read from git's own objects: `dvc.lock` and `.dvc` files are what attests the data, not the files that lie here now.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.errors import MlgateError
from mlgate.repo import metrics
from mlgate.repo.dvc import Out, Pipeline, Stage
from mlgate.repo.git import Git

_MOST = 5000  # parameters and metrics of one model


@dataclass(frozen=True)
class File:
    """A file behind a model. `digest` is `algorithm:hex` as lock, pointer or git have it; empty where none has."""

    path: str
    digest: str = ""
    role: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Commit:
    id: str
    title: str = ""
    author: str = ""
    at: str = ""  # ISO 8601, UTC: when it was committed


@dataclass(frozen=True)
class Origin:
    """What a commit says of one model."""

    commit: Commit
    data: tuple[File, ...] = ()
    code: tuple[File, ...] = ()
    stages: Mapping[str, str] = field(default_factory=dict)  # name -> command, in the order in which they ran
    parameters: Mapping[str, Any] = field(default_factory=dict)  # "params.yaml train.seed" -> value, as locked
    metrics: Mapping[str, Any] = field(default_factory=dict)  # "metrics/eval.json auc" -> value, as committed
    unread: tuple[str, ...] = ()  # what could not be read, one sentence each


@dataclass(frozen=True)
class Wanted:
    """Which files of a commit are this model's, repository-relative."""

    artifact: str
    data: Mapping[str, str] = field(default_factory=dict)  # path -> role
    metrics: Sequence[str] = ()


def read(pipeline: Pipeline, wanted: Wanted, commit: Commit) -> Origin:
    """What the commit says; broken files are told in `unread`, and the rest is read."""
    unread: list[str] = []
    try:
        stages: list[Stage] = []
        for path in (wanted.artifact, *wanted.metrics):
            stages += [stage for stage in reversed(pipeline.upstream(path)) if stage not in stages]
    except MlgateError as error:
        stages = []
        unread.append(str(error))
    unread += [str(error) for _, error in sorted(pipeline.broken.items())]
    measured: dict[str, Any] = {}
    for path in wanted.metrics:
        try:
            data = pipeline.snapshot.read(path)
            if data is None:
                unread.append(f"{path} is not in commit {commit.id[:7]}, so its metrics are not known.")
                continue
            measured |= {f"{path} {key}": value for key, value in metrics.parse(data, path).items()}
        except MlgateError as error:
            unread.append(str(error))
    return Origin(
        commit=commit,
        data=tuple(_data(pipeline, wanted, stages)),
        code=tuple(_code(pipeline, stages)),
        stages={stage.name: _command(stage.cmd) for stage in stages},
        parameters=dict(list(_parameters(stages))[:_MOST]),
        metrics=dict(list(measured.items())[:_MOST]),
        unread=tuple(dict.fromkeys(unread)),
    )


def commit_of(git: Git, commit: str) -> Commit:
    """Who made a commit, when and with which title. The commit is in this clone."""
    done = git.try_run("show", "--no-patch", "--no-show-signature", "--format=%an%x00%s", commit)
    author, _, title = done.stdout.decode(errors="replace").strip().partition("\0")
    return Commit(commit, _plain(title), _plain(author), git.committed_at(commit))


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:200].strip()


def _data(pipeline: Pipeline, wanted: Wanted, stages: Sequence[Stage]) -> Iterator[File]:
    """The files that are named, and all that DVC tracks behind the model."""
    roles = dict(wanted.data)
    for stage in stages:
        for dep in stage.deps:
            if dep.path != wanted.artifact and (dep.path in pipeline.outs or "://" in dep.path):
                roles.setdefault(dep.path, f"read by {stage.name}")
    locked = {dep.path: dep for stage in stages for dep in stage.deps}
    for path, role in sorted(roles.items(), key=lambda item: (item[0] not in wanted.data, item[0])):
        out = pipeline.outs.get(path) or locked.get(path)
        yield _file(pipeline, path, out, role)


def _file(pipeline: Pipeline, path: str, out: Out | None, role: str) -> File:
    if out is not None and out.md5:
        return File(path, f"dvc-md5:{out.md5}", role, out.size)
    entry = pipeline.snapshot.files.get(path)
    return File(path, f"git-blob:{entry.blob}" if entry else "", role)


def _code(pipeline: Pipeline, stages: Sequence[Stage]) -> Iterator[File]:
    """Dependencies that git tracks, folders by their files."""
    paths = dict.fromkeys(dep.path for stage in stages for dep in stage.deps if dep.path not in pipeline.outs)
    for path in sorted(paths):
        entry = pipeline.snapshot.files.get(path)
        if entry is not None:
            yield File(path, f"git-blob:{entry.blob}")
            continue
        for name, inside in sorted(pipeline.snapshot.below(path).items()):
            yield File(posixpath.join(path, name), f"git-blob:{inside.blob}")


def _parameters(stages: Iterable[Stage]) -> Iterator[tuple[str, Any]]:
    """As the lock has them: what the stages did read, not what a file says now."""
    for stage in stages:
        for file, values in stage.params.items():
            for key, value in _flat(values):
                yield f"{file} {key}", value


def _flat(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value and depth < 24:
            yield from _flat(value, f"{prefix}{key}.", depth + 1)
        else:
            yield f"{prefix}{key}", value if isinstance(value, str | int | float | bool) else _spelled(value)


def _spelled(value: Any) -> str:
    try:
        return json.dumps(value, default=str, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _command(cmd: Any) -> str:
    return " && ".join(str(one) for one in cmd) if isinstance(cmd, list) else str(cmd or "")
