"""What init reads, and the files it would write. Nothing is written here."""

from __future__ import annotations

import csv
import json
import posixpath
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from mlgate import __version__
from mlgate.errors import MlgateError
from mlgate.repo import metrics as metrics_files
from mlgate.repo.git import Git
from mlgate.setup import compose, discover, github_workflows, gitlab_pipeline, suggest
from mlgate.setup.compose import Caller, Draft
from mlgate.setup.discover import Found
from mlgate.setup.doctor import forge_of
from mlgate.setup.ground import numeric
from mlgate.setup.worktree import WorkTree

COMMITS = 12
NAME = "mlgate.yaml"
MAX_HEADER = 64 * 1024
_SCHEMA_OF = "import json, sys; import pyarrow.parquet as p; print(json.dumps(p.read_schema(sys.argv[1]).names))"


@dataclass
class Plan:
    """Files to write, lines to print because their file is not ours to change, and what to say about them."""

    files: dict[str, str] = field(default_factory=dict)
    print_for: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Start:
    """Looks at one working tree. `configs`: the files to write, relative to the repository."""

    git: Git
    python: str = "python3"

    @cached_property
    def files(self) -> WorkTree:
        return WorkTree(self.git)

    def configs(self, patterns: Sequence[str]) -> list[str]:
        """The mlgate.yaml files that patterns name: a glob stands for every folder with a pipeline of its own.

        Raises MlgateError when a glob fits no folder, or when several pipelines would share one file.
        """
        found: list[str] = []
        pipelines = discover.folders(self.files)
        for pattern in patterns:
            if any(c in pattern for c in "*?["):
                folder = posixpath.dirname(pattern)
                fitting = [p for p in pipelines if Path(p).match(folder) and p.count("/") == folder.count("/")]
                if not fitting:
                    raise MlgateError(
                        f"no folder that fits {folder!r} has a dvc.yaml with metrics.",
                        fix="Name each file: mlgate init --config models/visits/mlgate.yaml",
                    )
                found += [f"{p}/{posixpath.basename(pattern)}" for p in fitting]
            else:
                found.append(pattern)
        if list(patterns) == [NAME] and "" not in pipelines and len(pipelines) > 1:
            each = "\n".join(f"  mlgate init --config {p}/{NAME}" for p in pipelines[:20])
            raise MlgateError(
                f"this repository has {len(pipelines)} pipelines that write metrics, and one {NAME} is for one model.",
                fix=f"Write one for each model:\n{each}",
            )
        for path in found:
            if not path.endswith((".yaml", ".yml")):
                raise MlgateError(f"{path} is not a YAML file's name.", fix=f"Call it {NAME}.")
        return list(dict.fromkeys(found))

    def plan(self, configs: Sequence[str], forge: str, *, patterns: Sequence[str], force: bool) -> Plan:
        """Every file and what belongs into it."""
        plan = Plan()
        for path in configs:
            plan.files[path] = self._config(path, plan)
        self._caller(plan, forge, configs, patterns, force=force)
        return plan

    # -- mlgate.yaml ---------------------------------------------------------------------------------------------------

    def _config(self, path: str, plan: Plan) -> str:
        folder = posixpath.dirname(path)
        found = discover.look(self.files, folder)
        rules, others = self._rules(found)
        _, python = compose.setup_command(list(self.files.files), folder)
        plan.said.append(_what(path, found, len(rules)))
        url = self.git.remote_url().rstrip("/").removesuffix(".git")
        return compose.config(
            Draft(
                model=compose.model_name(posixpath.basename(folder), url.rsplit("/", 1)[-1], self.git.root.name),
                folder=folder,
                found=found,
                rules=rules,
                others=others,
                columns=self._columns(found.data),
                python=python if found.dvc else "",
            )
        )

    def _rules(self, found: Found) -> tuple[list[suggest.Suggestion], list[str]]:
        rules, others = [], []
        for file in found.metrics:
            past = self._history(file.path)
            for key, now in file.numbers.items():
                if not suggest.is_quality(key):
                    others.append(key)
                    continue
                values = [numbers[key] for numbers in past if key in numbers]
                if not values or values[-1] != now:
                    rules.append(suggest.rule(key, [*values, now], commits=len(values)))
                else:
                    rules.append(suggest.rule(key, values, commits=len(values)))
        rules.sort(key=lambda r: suggest.estimator(r.key) is None)
        return rules, others

    def _history(self, path: str) -> list[dict[str, float]]:
        """The numbers of the last commits that changed the file, oldest first. Commits that lack it are left out."""
        done = self.git.try_run("log", f"--max-count={COMMITS}", "--first-parent", "--format=%H", "--", path)
        found = []
        for commit in reversed(done.stdout.decode().split()):
            blob = self.git.try_run("cat-file", "blob", f"{commit}:{path}")
            if blob.returncode != 0:
                continue
            try:
                found.append(numeric(metrics_files.parse(blob.stdout, path)))
            except MlgateError:
                continue
        return found

    def _columns(self, path: str) -> list[str]:
        """Column names of the evaluation data, if it is here and easy to ask."""
        file = self.git.root / path
        if not path or not file.is_file():
            return []
        if path.endswith((".csv", ".tsv")):
            return _header(file, "\t" if path.endswith(".tsv") else ",")
        if path.endswith(".parquet"):
            return self._schema(file)
        return []

    def _schema(self, file: Path) -> list[str]:
        try:
            done = subprocess.run(
                [self.python, "-c", _SCHEMA_OF, str(file)],
                cwd="/",
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=60,
                check=False,
            )
            names: Any = json.loads(done.stdout) if done.returncode == 0 else []
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return []
        return [str(name) for name in names]

    # -- the caller ----------------------------------------------------------------------------------------------------

    def _caller(self, plan: Plan, forge: str, configs: Sequence[str], patterns: Sequence[str], *, force: bool) -> None:
        files = list(self.files.files)
        kind = forge if forge != "auto" else forge_of(files, self.git.remote_url())
        folder = posixpath.dirname(configs[0]) if len(configs) == 1 else ""
        setup, _ = compose.setup_command(files, folder)
        caller = Caller(
            branch=self.git.default_branch() or self.git.branch() or "main",
            setup=setup,
            config="" if list(configs) == [NAME] else "\n".join(patterns),
        )
        if kind == "github":
            self._github(plan, files, caller)
        elif kind == "gitlab":
            self._gitlab(plan, caller, force=force)
        else:
            plan.said.append(
                "No forge was found: add the caller with `mlgate init --forge github` or `--forge gitlab`."
            )

    def _github(self, plan: Plan, files: Sequence[str], caller: Caller) -> None:
        for path in files:
            if path.startswith(github_workflows.FOLDER) and path != github_workflows.STARTER:
                workflow = github_workflows.read(path, self.files.read(path) or b"")
                if workflow and workflow.gates:
                    plan.said.append(f"{path} calls mlgate already.")
                    return
        starter = resources.files("mlgate.setup").joinpath("templates/model-gate.yml").read_text(encoding="utf-8")
        plan.files[github_workflows.STARTER] = compose.github(starter, caller)

    def _gitlab(self, plan: Plan, caller: Caller, *, force: bool) -> None:
        file = gitlab_pipeline.FILE
        data = self.files.read(file) if file in self.files.files else None
        if data is None:
            plan.files[file] = compose.gitlab(__version__, caller)
            return
        if gitlab_pipeline.read(file, data).gate:
            plan.said.append(f"{file} includes mlgate already.")
            return
        whole = compose.into_gitlab(data.decode(errors="replace"), __version__, caller) if force else None
        if whole is not None:
            plan.files[file] = whole
            return
        plan.print_for[file] = compose.gitlab(__version__, caller)


def _what(path: str, found: Found, rules: int) -> str:
    if not found.metrics:
        return f"{path}: no metrics file was found. Commit one, and name it under `metrics:`."
    files = ", ".join(_shown(m.path) for m in found.metrics)
    missing = [_shown(m.path) for m in found.metrics if not m.numbers]
    said = f"{path}: {rules} rule{'s' if rules != 1 else ''} suggested from {files}"
    return f"{said}; {', '.join(missing)} has no numbers yet." if missing else f"{said}."


def _shown(path: str) -> str:
    """On one line: a name may hold anything."""
    return " ".join(path.split()) or "?"


def _header(file: Path, delimiter: str) -> list[str]:
    with file.open("rb") as handle:
        line = handle.readline(MAX_HEADER)
    try:
        cells = next(csv.reader([line.decode("utf-8-sig").rstrip("\r\n")], delimiter=delimiter))
    except (UnicodeDecodeError, StopIteration, csv.Error):
        return []
    names = [cell.strip() for cell in cells]
    # A first row with numbers in it is data, not a header.
    return [] if any(re.fullmatch(r"[-+\d.eE]*", name) for name in names) else names
