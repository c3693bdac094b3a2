"""Models proven one after the other: what is asked, in which order, and what comes of it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate import extras
from mlgate.commands import _beside
from mlgate.commands._binding import Binding, Bound
from mlgate.commands._proving import LEVELS, VERB, Asked, Prover
from mlgate.commands._run import Run, Unloadable, failed, off, relative, say, unloadable
from mlgate.commands._stored import Stored
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import integrity
from mlgate.model import Evidence, Named, Verdict, worst
from mlgate.repo import credentials
from mlgate.repo.dvc import Pipeline
from mlgate.setup.doctor import environ
from mlgate.train.project import Project
from mlgate.train.proofs import Shown

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(eq=False)
class Trainer:
    """One run over all configurations."""

    run: Run
    asked: Asked
    logged: list[tuple[str, str]] = field(default_factory=list)  # MLflow run id and address
    _temporary: Path | None = None
    _brought: set[tuple[str, str]] = field(default_factory=set)

    @cached_property
    def binding(self) -> Binding:
        return Binding(self.run)

    @cached_property
    def now(self) -> Pipeline:
        return Pipeline(self.run.git.at(self.run.head), lenient=True)

    @cached_property
    def stored(self) -> Stored:
        return Stored(self.run, self.now, self.environ, pull=self.asked.pull, ask=self.asked.remote)

    @cached_property
    def prover(self) -> Prover:
        return Prover(self.run, self.asked, self.stored)

    @cached_property
    def environ(self) -> dict[str, str]:
        """For the project's DVC: with the remote's credentials, without what is mlgate's own."""
        return environ()

    @cached_property
    def connection(self) -> DuckDBPyConnection:
        extras.use("data")
        from mlgate.data import reading  # noqa: PLC0415

        # The process ends without taking the interpreter apart, so nobody else would remove it.
        self._temporary = Path(tempfile.mkdtemp(prefix="mlgate-"))
        return reading.connect(folder=self._temporary)

    def close(self) -> None:
        if "connection" in self.__dict__:
            with suppress(Exception):
                self.connection.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def all(self) -> list[Evidence]:
        if self.asked.proposal is not None:
            _forget(self.asked.proposal)
        evidences = [self._one(file, own) for file, own in self.binding.own()]
        if not evidences:
            raise self.run.no_config()
        if self.asked.proposal is not None:
            self._propose(evidences)
        return evidences

    def _one(self, file: str, own: Config | Unloadable) -> Evidence:
        if isinstance(own, Unloadable):
            return unloadable(VERB, own)
        mode: dict[str, object] = {}
        try:
            bound = self.binding.rules(file, own)
            mode = {"mode": bound.binding.mode, "fail_on": bound.binding.fail_on}
            if bound.binding.mode == "off":
                return off(VERB, bound.binding)
            evidence = self._prove(own, bound)
        except MlgateError as error:
            evidence = failed(VERB, own.model, error)
            evidence = evidence.model_copy(update={"promotable": not self.asked.smoke})
        return evidence.model_copy(update=mode)

    # -- one model ---------------------------------------------------------------------------------------------------

    def _prove(self, own: Config, bound: Bound) -> Evidence:
        self.now.require(integrity.needed(own))
        start = time.monotonic()
        shown = Shown(checks=list(bound.notes))
        project, why = self.project(own, bound, shown)
        level = self._level(bound.binding)
        if self.asked.retraining and level == "reproduce":
            self._bring(project)
        done = self.prover.work(project, level, why, shown)
        seconds = time.monotonic() - start
        shown.facts["verify"] = done
        champion, found = _beside.changed(self.binding, project, shown)
        _beside.facts(project, self.asked.python or own.interpreter, shown, seconds)
        links = {}
        if level == "reproduce" and any(one.state in ("ran", "cached") for one in shown.stages):
            run_id, url = _beside.track(self.run, project, shown, self.asked.tracking)
            self.logged += [(run_id, url)] if run_id else []
            links = {"MLflow run": url} if url else {}
        verdict = worst(check.verdict for check in shown.checks)
        return Evidence(
            kind=VERB,
            model=own.model,
            title=_title(shown, level, done),
            verdict=verdict,
            subject=self._subject(project) if level != "smoke" else None,
            champion=champion,
            inputs=self._inputs(project),
            checks=list({check.id: check for check in shown.checks}.values()),
            changes=found,
            not_run=list(dict.fromkeys(shown.not_run)),
            proofs=list(shown.proofs()),
            stages=shown.stages,
            facts=shown.facts,
            links=links,
            promotable=level != "smoke",
        )

    def _bring(self, project: Project) -> None:
        """New data, once for each command: models of a group may name the same."""
        from mlgate.train import launching  # noqa: PLC0415 -- retrainings only

        command = project.binding.retrain.prepare
        if command and (project.own.folder, command) not in self._brought:
            self._brought.add((project.own.folder, command))
            _ = self.run.dirty  # what differed before
            launching.bring(project, command)
            self.stored.brought = True

    def _subject(self, project: Project) -> Named | None:
        return integrity.named(self.now, project.artifact, "model") if project.artifact else None

    def _inputs(self, project: Project) -> list[Named]:
        roles = dict.fromkeys(project.metrics, "metrics")
        roles |= {one.predictions: "predictions" for one in project.sets if one.predictions}
        roles |= {one.data: "evaluation data" for one in project.sets if one.data}
        if project.own.train.data:
            roles.setdefault(project.own.path(project.own.train.data), "training data")
        return [integrity.named(self.now, path, role) for path, role in roles.items()]

    def _level(self, binding: Config) -> str:
        """The base's, or what an option asks for beyond it."""
        level = max(binding.train.verify, self.asked.verify or "lock", key=LEVELS.index)
        if self.asked.smoke:
            level = "smoke"
        asked = {"--proposal": self.asked.proposal, "--push": self.asked.push, "--rerun": self.asked.rerun}
        for option in (option for option, given in asked.items() if given and level != "reproduce"):
            what = "this is a smoke run" if level == "smoke" else f"`verify` is {level}"
            raise MlgateError(f"{option} is for `dvc repro`, and {what}.", fix="Use --verify reproduce.")
        if self.asked.smoke and self.asked.verify:
            raise MlgateError(
                f"--smoke trains on a sample, and --verify {self.asked.verify} asks for the whole.",
                fix="Leave one of them out.",
            )
        return level

    def _allowed(self, bound: Bound, shown: Shown) -> list[str]:
        """The credentials that project code may see. What nobody has merged yet cannot allow itself any."""
        named = bound.binding.train.environment
        if named and bound.notes and self.run.in_ci:
            reason = f"{', '.join(named)}: project code saw none of it, until train.environment is merged."
            shown.check("environment", "train.environment", Verdict.WARN, reason, file=bound.binding.file)
            return []
        return list(named)

    def project(self, own: Config, bound: Bound, shown: Shown) -> tuple[Project, str]:
        """The model, and one sentence why there is no DVC."""
        python = self.asked.python or own.interpreter
        dvc = self.stored.dvc(python)
        allowed = self._allowed(bound, shown)
        code = credentials.without(self.environ, named=os.environ.get("MLGATE_ENV_NAMES", "").split(), allowed=allowed)
        if "/" in python:
            code["PATH"] = os.pathsep.join([str((self.run.git.root / python).parent), code.get("PATH", os.defpath)])
        project = Project(
            git=self.run.git,
            commit=self.run.head,
            own=own,
            binding=bound.binding,
            pipeline=self.now,
            dvc=None if isinstance(dvc, str) else dvc,
            environ=self.environ,
            code=code,
            say=self._say,
            pull=partial(self.stored.fetch, python),
            connect=lambda: self.connection,
            base=bound.base,
        )
        return project, dvc if isinstance(dvc, str) else ""

    def _propose(self, evidences: list[Evidence]) -> None:
        """One proposal for all models of the run, and none where one of them did not come out well."""
        from mlgate.repo import proposal  # noqa: PLC0415

        assert self.asked.proposal is not None  # noqa: S101 -- the caller looked
        fine = (Verdict.PASS, Verdict.WARN)
        bad = [e.model for e in evidences if e.verdict not in fine or e.model in self.prover.stopped]
        if bad:
            self._say(f"No proposal was left: {', '.join(bad)} did not come out well.")
            return
        configs = sorted(self.binding.files)
        files = proposal.collect(self.run.git, base=self.run.head, configs=configs)
        models = [evidence.model for evidence in evidences]
        proposal.write(
            self.asked.proposal, self.run.git, base=self.run.head, files=files, model=models, configs=configs
        )
        self._say(f"{len(files)} files to be committed are in {relative(self.asked.proposal)}.")

    def _say(self, line: str) -> None:
        say(self.run.forge, f"{line}\n")
        sys.stdout.flush()


def _forget(folder: Path) -> None:
    """Remove the proposal of an earlier run: it is none of this one, and this one may leave none."""
    from mlgate.repo import proposal  # noqa: PLC0415

    if not folder.is_symlink() and (folder / proposal.MANIFEST).exists():
        shutil.rmtree(folder)


def _title(shown: Shown, level: str, done: str) -> str:
    wrong = sorted((c for c in shown.checks if c.verdict is not Verdict.PASS), key=lambda c: -c.verdict.rank)
    if wrong and wrong[0].verdict is not Verdict.WARN:
        return wrong[0].reason.partition("\n")[0]
    if level == "smoke":
        return f"{shown.checks[-1].reason} A model made from a sample is never deployed."
    proofs = list(shown.proofs())
    proven = [proof for proof in proofs if proof.state == "proven"]
    said = f"{len(proven)} of {len(proofs)} claims are proven (verify: {done})."
    return f"{said} {wrong[0].reason}" if wrong else said
