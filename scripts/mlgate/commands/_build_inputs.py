"""What a build needs of a commit: the model, and rows to hold its image against. By digest, from wherever they are."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mlgate.commands import _model
from mlgate.commands._pull import pull as fetch
from mlgate.commands._run import STATE, Run, Unloadable, failed, file_name, off, unloadable
from mlgate.config import Config
from mlgate.config.settings import EvaluationSet
from mlgate.errors import MlgateError
from mlgate.judge import integrity
from mlgate.model import Check, Evidence, Named, Verdict, worst
from mlgate.repo import artifact
from mlgate.repo.dvc import Pipeline

PREPARE = "prepare-image"


@dataclass(frozen=True)
class Rows:
    """One evaluation set, whose rows have committed predictions."""

    name: str
    settings: EvaluationSet
    data: Named
    predictions: Named


@dataclass
class Source:
    """One model at one commit, and where its bytes may be. `scratch` is private to this run."""

    run: Run
    config: Config
    pipeline: Pipeline
    scratch: Path
    folder: Path  # of what another job handed over
    python: str = ""
    pull: bool = True
    _asked: set[str] = field(default_factory=set)

    def model(self) -> tuple[Named, Path]:
        """The model by every digest, and its bytes. Raises MlgateError."""
        wanted = _model.named(self.config, self.pipeline)
        path = self._named(wanted, self.have(wanted))
        return _model.with_sha256(wanted, path), path

    def _named(self, wanted: Named, path: Path) -> Path:
        """A cache calls a file by its digest; how a model is read, the end of its name says."""
        name = Path(wanted.name).name
        if path.is_dir() or path.name == name:
            return path
        folder = self.scratch / "named"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(path, folder / name)
        return folder / name

    def rows(self) -> list[Rows]:
        """The evaluation sets whose rows can go through an image."""
        found = []
        for name, one in self.config.evaluate.items():
            if one.data and one.predictions and one.columns.id:
                data = integrity.named(self.pipeline, self.config.path(one.data), f"evaluation data of {name}")
                path = self.config.path(one.predictions.path)
                found.append(Rows(name, one, data, integrity.named(self.pipeline, path, f"predictions of {name}")))
        return found

    def have(self, wanted: Named) -> Path:
        """Its bytes, hashed. Raises MlgateError where they cannot be had, NoCredentialsError where not by this job."""
        if not wanted.digest:
            raise MlgateError(
                f"is in neither dvc.lock, a .dvc file nor git at {self.pipeline.snapshot.commit[:7]}.",
                file=wanted.name, fix="Let a stage of dvc.yaml make it, or `dvc add` it; then commit.",
            )  # fmt: skip
        found = self.find(wanted)
        if found is None and self.pull and wanted.name not in self._asked:
            self._asked.add(wanted.name)
            fetch(self.run, [wanted.name], self.python)
            found = self.find(wanted)
        if found is None:
            raise MlgateError(
                f"is not here as commit {self.pipeline.snapshot.commit[:7]} has it, and was not handed over.",
                file=wanted.name, fix="Run `dvc pull`, or `mlgate build-image --prepare` in the job before.",
            )  # fmt: skip
        return found

    def find(self, wanted: Named) -> Path | None:
        """Its bytes, if they are here. Raises MlgateError like `artifact.find`."""
        return _model.find(self.run, wanted, self.pipeline, self.scratch, folder=self.folder)


@contextmanager
def scratch() -> Iterator[Path]:
    """A private folder, removed at the end."""
    made = Path(tempfile.mkdtemp(prefix="mlgate-build-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


# -- handing over ----------------------------------------------------------------------------------------------------


def every(run: Run, folder: Path, *, python: str, pull: bool) -> int:
    """`--prepare`: everything a build on another runner needs, into `folder`. The exit code."""
    run.forget(PREPARE)
    try:
        files = run.config_files()
        if not files:
            raise run.no_config()
        _refuse_links(run, folder)
        pipeline = Pipeline(run.git.at(run.head), lenient=True)
        with scratch() as made:
            evidences = [_one(run, file, pipeline, made, folder, python=python, pull=pull) for file in files]
    except MlgateError as error:
        evidences = [failed(PREPARE, file_name(run.patterns[0] if run.patterns else ""), error)]
    return run.finish(PREPARE, evidences)


def _refuse_links(run: Run, folder: Path) -> None:
    """A commit may carry `.mlgate` as a link: nothing is handed over through one."""
    inside = folder.parents if folder.is_relative_to(run.cwd / STATE) else ()
    for place in (folder, *(one for one in inside if one.is_relative_to(run.cwd / STATE))):
        if place.is_symlink():
            raise MlgateError(
                "is a symbolic link; mlgate writes only where it works.", file=place.name, fix="Remove it."
            )


def _one(run: Run, file: str, pipeline: Pipeline, made: Path, folder: Path, *, python: str, pull: bool) -> Evidence:
    own = run.load(file)
    if isinstance(own, Unloadable):
        return unloadable(PREPARE, own)
    if own.mode == "off":
        return off(PREPARE, own)
    mode = {"mode": own.mode, "fail_on": own.fail_on}
    source = Source(run, own, pipeline, made, folder, python, pull)
    checks: list[Check] = []
    given: list[Named] = []
    try:
        model, _ = source.model()
        wanted = [model, *(one for rows in source.rows() for one in (rows.data, rows.predictions))]
    except MlgateError as error:
        return failed(PREPARE, own.model, error).model_copy(update=mode)
    for one in wanted:
        try:
            out = pipeline.outs.get(one.name)
            artifact.give(
                folder, source.have(one), one, snapshot=pipeline.snapshot, legacy=out is not None and out.legacy
            )
        except MlgateError as error:
            checks.append(Check(
                id=f"inputs.{one.name}", title=one.role, group="integrity", verdict=Verdict.ERROR, reason=str(error),
            ))  # fmt: skip
        else:
            given.append(one)
    if given:
        reason = f"{len(given)} of {len(wanted)} committed files and folders are handed over by digest."
        checks.append(Check(id="inputs", title="inputs", group="integrity", verdict=Verdict.PASS, reason=reason))
    return Evidence(
        kind=PREPARE, model=own.model, subject=given[0] if given and given[0].role == "model" else None,
        verdict=worst(check.verdict for check in checks), title=checks[-1].reason, inputs=given, checks=checks, **mode,
    )  # fmt: skip
