"""Which files of a commit a training run may replace: those that DVC or mlgate.yaml say are made, not written.

Everything else (code, workflows, pipelines, parameters, rules) is written by people and reviewed as such.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from mlgate.errors import MlgateError
from mlgate.repo.changes import PACKAGES
from mlgate.repo.dvc import Pipeline
from mlgate.repo.fresh import entries
from mlgate.repo.git import LINK, SUBMODULE, Snapshot
from mlgate.repo.metrics import SUFFIXES

if TYPE_CHECKING:
    from mlgate.config import Config

Kind = Literal["lock", "pointer", "ignore", "metrics", "output", "allowed"]

MADE = (*SUFFIXES, ".jsonl", ".md", ".txt", ".html", ".htm", ".svg", ".png", ".jpg", ".jpeg", ".gif", ".pdf", ".vega")
_RULES = re.compile(r"dvc\.yaml|mlgate[^/]*\.ya?ml|params[^/]*\.(ya?ml|json|toml|py)|CODEOWNERS|package(-lock)?\.json")
_CI = re.compile(r"azure-pipelines[^/]*|bitbucket-pipelines[^/]*|\.?appveyor[^/]*|Jenkinsfile|cloudbuild[^/]*")
_TEMPLATE = re.compile(r"\\?\$\{[^}]*\}")


@dataclass(frozen=True)
class Declared:
    """One output that a dvc.yaml lists."""

    path: str
    metrics: bool
    cached: bool


@dataclass(eq=False)
class Owned:
    """The files of one commit that training makes.

    `configs` are configurations that are not called mlgate.yaml; `allow` are further paths that the caller vouches for.
    """

    snapshot: Snapshot
    configs: Iterable[str] = ()
    allow: frozenset[str] = frozenset()
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        self.pipeline = Pipeline(self.snapshot, lenient=True)

    def kind(self, path: str) -> Kind:
        """What a path is. Raises MlgateError, one sentence, for one that training does not make."""
        name = posixpath.basename(path)
        files = self.snapshot.files
        parent = posixpath.dirname(path)
        while parent:
            if parent in files:
                raise _not(path, f"{parent} is a file, a link or a submodule")
            parent = posixpath.dirname(parent)
        if path in files and files[path].mode in (LINK, SUBMODULE):
            raise _not(path, "it is a symbolic link or a submodule")
        if name == "dvc.lock":
            return self._lock(path)
        if name.endswith(".dvc") and name != ".dvc":
            if path in files:
                return "pointer"
            raise _not(path, "the commit has no such pointer, and a new one is a person's decision")
        if name == ".gitignore":
            if posixpath.dirname(path) in self.ignoring:
                return "ignore"
            raise _not(path, "no output of DVC lies beside it")
        if why := self._written(path):
            raise _not(path, why)
        if path in self.allow:
            return "allowed"
        return self._output(path)

    def _lock(self, path: str) -> Kind:
        entry = self.snapshot.files.get(posixpath.join(posixpath.dirname(path), "dvc.yaml"))
        if entry is None or entry.mode in (LINK, SUBMODULE):
            raise _not(path, "there is no dvc.yaml beside it")
        return "lock"

    def _written(self, path: str) -> str:
        """Why a file is for people to write whatever DVC says about it; "" when it is not."""
        name = posixpath.basename(path)
        if any(part.startswith(".") for part in path.split("/")) or _CI.fullmatch(name):
            return "hidden files and CI configuration are not written by training"
        if _RULES.fullmatch(name) or PACKAGES.fullmatch(name) or path in self.configs:
            return "pipelines, rules, parameters and dependencies are not written by training"
        if path in self.allow:
            return ""
        if not path.lower().endswith(MADE):
            return "only data, text and pictures are, not code"
        made = path in self.pipeline.producers or self.declared(path) is not None
        if path in self._inputs and not made:
            return "it is an input of the pipeline"
        return ""

    def _output(self, path: str) -> Kind:
        declared = self.declared(path)
        if declared is None:
            pointed = path in self.pipeline.outs and self.pipeline.outs[path].file.endswith(".dvc")
            if path in self.judged and not pointed:
                return "metrics"
            if path in self.profiles and not pointed:
                return "output"
            raise _not(path, "neither a dvc.yaml nor an mlgate.yaml lists it")
        if declared.cached:
            raise _not(path, "DVC keeps it in its cache, and git ignores it")
        return "metrics" if declared.metrics and path.lower().endswith(SUFFIXES) else "output"

    def declared(self, path: str) -> Declared | None:
        """The output of a dvc.yaml that a path is, or lies in."""
        folder = path
        while folder:
            if found := self.outputs.get(folder):
                return found
            folder = posixpath.dirname(folder)
        return next((out for pattern, out in self.templates if pattern.fullmatch(path) and self._is_made(path)), None)

    def _is_made(self, path: str) -> bool:
        """Of what a template could stand for, only what was made before or is new: it must not reach other files."""
        return path in self.pipeline.producers or path not in self.snapshot.files

    @cached_property
    def ignoring(self) -> dict[str, set[str]]:
        """Folders whose .gitignore DVC keeps, and the names it lists there."""
        found: dict[str, set[str]] = {}
        declared = {out.path for out in self.outputs.values() if not out.cached}
        cached = {out.path for out in self.outputs.values() if out.cached}
        for path in (*cached, *(set(self.pipeline.outs) - declared)):
            found.setdefault(posixpath.dirname(path), set()).add(posixpath.basename(path))
        for _, out in self.templates:
            if out.cached:
                found.setdefault(posixpath.dirname(out.path), set()).add(posixpath.basename(out.path))
        return {folder: names for folder, names in found.items() if "${" not in folder}

    @cached_property
    def outputs(self) -> dict[str, Declared]:
        """Outputs that dvc.yaml files list by name."""
        return {out.path: out for out in self._outputs if "${" not in out.path}

    @cached_property
    def templates(self) -> list[tuple[re.Pattern[str], Declared]]:
        """Outputs whose names dvc.yaml makes of variables, in a folder that it names."""
        found = []
        for out in self._outputs:
            if "${" in out.path and "${" not in out.path.split("/")[0]:
                parts = [re.escape(part) for part in _TEMPLATE.split(out.path)]
                found.append((re.compile(r"[A-Za-z0-9_.-]+".join(parts)), out))
        return found

    @cached_property
    def _outputs(self) -> list[Declared]:
        return [out for path, pipeline in self.pipeline.definitions() for out in _declarations(pipeline, path)]

    @cached_property
    def _inputs(self) -> set[str]:
        stages = self.pipeline.stages
        return {dep.path for s in stages for dep in s.deps} | {file for s in stages for file in s.params}

    @cached_property
    def judged(self) -> set[str]:
        """The metrics files that configurations list."""
        return {
            one.path(path)
            for one in self._settings
            for evaluation in one.evaluate.values()
            for path in evaluation.metrics
        }

    @cached_property
    def profiles(self) -> set[str]:
        """The reference profiles of models that are watched: training writes them anew."""
        return {one.path(one.monitor.profile) for one in self._settings if one.monitor.logs is not None}

    @cached_property
    def _settings(self) -> list[Config]:
        """What configurations say. A broken one says nothing: it is judged elsewhere."""
        from mlgate import config  # noqa: PLC0415 -- typed settings are slow to import, and rarely asked for here

        named = [p for p in self.snapshot.files if posixpath.basename(p) == "mlgate.yaml"]
        found: list[Config] = []
        for file in (*named, *self.configs):
            with suppress(MlgateError):
                text = self.snapshot.read(file)
                found += [config.load(text, file=file, base=self.snapshot.read)] if text is not None else []
        return found


def _not(path: str, why: str) -> MlgateError:
    return MlgateError(f"{path} is not a file that training makes here ({why})")


def _declarations(pipeline: Mapping[str, Any], file: str) -> Iterator[Declared]:
    top = posixpath.dirname(file)
    for path, _ in entries(pipeline.get("metrics")):
        yield Declared(_under(top, path), metrics=True, cached=False)
    for path, _ in _plots(pipeline.get("plots")):
        yield Declared(_under(top, path), metrics=False, cached=False)
    stages = pipeline.get("stages")
    for raw in stages.values() if isinstance(stages, dict) else ():
        stage = raw.get("do", raw) if isinstance(raw, dict) else None
        if not isinstance(stage, dict):
            continue
        wdir = stage.get("wdir")
        folder = _under(top, wdir) if isinstance(wdir, str) else top
        for key in ("outs", "metrics", "plots"):
            for path, options in entries(stage.get(key)):
                cached = not (isinstance(options, dict) and options.get("cache", True) is False)
                if "://" not in path:
                    yield Declared(_under(folder, path), metrics=key == "metrics", cached=cached)


def _plots(value: Any) -> Iterator[tuple[str, Any]]:
    """`plots:` at the top of a dvc.yaml: a list, or a mapping; names that are no file of plots are titles."""
    listed = value.items() if isinstance(value, dict) else entries(value)
    for name, options in listed:
        if isinstance(name, str) and name.lower().endswith(MADE):
            yield name, options


def _under(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))
