"""What is logged of a training, and what came of it. Plain data, no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlgate import __version__


@dataclass(frozen=True)
class Column:
    """`kind` is a contract's word: integer, number, text, boolean, date, timestamp; empty where it is not known."""

    name: str
    kind: str = ""


@dataclass(frozen=True)
class Example:
    """The columns a model is given, and up to five rows of them. No target, no id."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...] = ()  # as wide as `columns`
    private: frozenset[str] = frozenset()  # columns whose values are never logged


@dataclass(frozen=True)
class Dataset:
    """Data that went into a training. `digest` is "sha256:...", "md5:..." or bare hex."""

    name: str
    path: str
    digest: str
    context: Literal["training", "evaluation"] = "training"
    rows: int | None = None
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Training:
    """One training of one model: all that its MLflow run will say."""

    model: str
    folder: Path  # the repository; relative paths below start here, and a sqlite store lies in it
    experiment: str = ""  # default: the model's name
    run_name: str = ""  # default: <model>-<short commit>
    commit: str = ""
    branch: str = ""
    run_url: str = ""  # of the CI run
    ci_job: str = ""  # GitLab's job id, which links its candidate to the job
    model_digest: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)  # may be nested
    metrics: Mapping[str, Any] = field(default_factory=dict)  # may be nested; what is no number is named, not logged
    tags: Mapping[str, str] = field(default_factory=dict)
    dvc: Mapping[str, str] = field(default_factory=dict)  # path -> digest as the lock has it
    environment: Mapping[str, str | float] = field(default_factory=dict)
    datasets: tuple[Dataset, ...] = ()
    artifact: Path | None = None  # the model: a file, or a folder (an MLflow model has a file MLmodel)
    example: Example | None = None
    artifacts: tuple[Path, ...] = ()  # metrics files, plots, reports: files and folders
    once: str = ""  # what it is one of, such as a window that was read. Default: this CI run

    @property
    def key(self) -> str:
        """The same for the same model, commit and CI run: what keeps a second call from making a second run."""
        what = "\0".join((self.model, self.model_digest, self.commit, self.once or self.run_url))
        return hashlib.sha256(what.encode()).hexdigest()[:32]

    @property
    def title(self) -> str:
        """The run's name."""
        return self.run_name or (f"{self.model}-{self.commit[:7]}" if self.commit else self.model)

    def described(self) -> dict[str, str]:
        """The tags of the run, as they are meant: not yet cut to what a store takes."""
        facts = {
            "mlflow.source.name": self.model,
            "mlflow.source.type": "JOB",
            "mlflow.source.git.commit": self.commit,
            "mlflow.source.git.branch": self.branch,
            "mlgate.branch": self.branch,
            "mlgate.commit": self.commit,
            "mlgate.model": self.model,
            "mlgate.model_digest": self.model_digest,
            "mlgate.run_url": self.run_url,
            "mlgate.version": __version__,
            "gitlab.CI_JOB_ID": self.ci_job,
        }
        found = {name: value for name, value in facts.items() if value}
        found |= {f"mlgate.environment.{name}": str(value) for name, value in self.environment.items()}
        # A dataset input holds 36 characters of a digest: here it is whole.
        found |= {f"mlgate.dataset.{data.name}": data.digest for data in self.datasets if data.digest}
        found |= {f"mlgate.dvc.{path}": digest for path, digest in self.dvc.items()}
        return found | {name: str(value) for name, value in self.tags.items()}


@dataclass(frozen=True)
class Logged:
    """What came of it. `problem` is one sentence, empty when the run is whole and holds the very numbers sent."""

    run_id: str = ""
    url: str = ""  # of the run in the store's own pages; empty for sqlite
    problem: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)  # as the store gave them back, under the names sent
    left_out: tuple[str, ...] = ()  # what the store does not take, or not in this form: one sentence each
    experiment: str = ""
    model_uri: str = ""  # models:/m-..., where the store knows logged models
    how_to_open: str = ""  # a command, where there is no address
    again: bool = False  # the run was there already
