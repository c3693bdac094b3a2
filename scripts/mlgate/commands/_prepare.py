"""`mlgate compare --prepare`: what the judge needs and cannot make, gathered by the job that may run project code."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlgate.commands import _overlapping, _proving
from mlgate.commands._binding import Binding, Bound, unique
from mlgate.commands._gather import Gathered, gather
from mlgate.commands._making import Maker
from mlgate.commands._preparing import VERB, Work
from mlgate.commands._run import STATE, Run, Unloadable, failed, file_name, off, relative, unloadable
from mlgate.commands._training import Trainer
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import integrity, made
from mlgate.judge.case import Side, pinned
from mlgate.model import Evidence, Verdict
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import Snapshot
from mlgate.train.process import ended_cleanly
from mlgate.train.proofs import Shown

_OURS = re.compile(r"[a-z0-9-]+-[0-9a-f]{32,64}")


@dataclass(frozen=True)
class Asked:
    """The options of the verb. `folder` is where everything is handed over."""

    champion: str
    folder: Path
    python: str = ""
    pull: bool = True


def every(run: Run, asked: Asked) -> int:
    """All models of the run; the exit code."""
    run.forget(VERB)
    preparer = Preparer(run, asked)
    try:
        with ended_cleanly():
            evidences = preparer.all()
    except MlgateError as error:
        evidences = [failed(VERB, file_name(run.patterns[0] if run.patterns else ""), error)]
    finally:
        preparer.close()
    return run.finish(VERB, evidences)


class Preparer:
    """Every configuration of a run; what is fetched and installed is shared between models."""

    def __init__(self, run: Run, asked: Asked) -> None:
        self.run = run
        self.asked = asked
        self.trainer = Trainer(run, _proving.Asked(pull=asked.pull, python=asked.python, remote=False))
        self.bound = Binding(run, asked.champion)
        self._pipelines: dict[str, Pipeline] = {}

    @cached_property
    def now(self) -> Pipeline:
        return self.trainer.now

    def close(self) -> None:
        self.trainer.close()

    def all(self) -> list[Evidence]:
        _empty(self.asked.folder)
        evidences = [self._one(file, own) for file, own in self.bound.own()]
        if not evidences:
            raise self.run.no_config()
        unique([evidence.model for evidence in evidences])
        return evidences

    def _one(self, file: str, own: Config | Unloadable) -> Evidence:
        if isinstance(own, Unloadable):
            return unloadable(VERB, own)
        mode: dict[str, object] = {}
        try:
            bound = self.bound.rules(file, own)
            mode = {"mode": bound.binding.mode, "fail_on": bound.binding.fail_on}
            if bound.binding.mode == "off":
                return off(VERB, bound.binding)
            evidence = self._prepare(file, own, bound)
        except MlgateError as error:
            evidence = failed(VERB, own.model, error)
        return evidence.model_copy(update=mode)

    def _prepare(self, file: str, own: Config, bound: Bound) -> Evidence:
        git, binding = self.run.git, bound.binding
        self.now.require(integrity.needed(own))
        chosen = self.bound.sides(self.asked.champion or binding.compare.champion, binding).champion
        sides: dict[made.Side, Side] = {"challenger": Side(self.now, own)}
        if chosen.commit:
            champion = self._side(git.at(chosen.commit), file, own)
            sides["champion"] = pinned(champion, binding, chosen.folder) if chosen.folder else champion
        anchored, _ = self.bound.remembered.anchor(binding, own)  # what the ledger says of it, the judge says
        if anchored:
            sides["anchor"] = self._side(git.at(anchored), file, own)
        shown = Shown()
        project, _ = self.trainer.project(own, bound, shown)
        work = Work(self.run, bound, chosen, sides, project, self.asked.folder)
        for check in shown.checks:  # what project code may see
            work.checks.append(check)
        if work.unchanged():
            reason = "Model, metrics and evaluation data are the champion's: the judge needs nothing more."
            work.check("unchanged", "unchanged", Verdict.PASS, reason, group="integrity")
            return work.evidence()
        with Gathered(work.projects) as files:
            gather(work, files)
            files.close()
            _overlapping.check(work, files)
            self._make(Maker(work, files, self._interpreter(own)))
        return work.evidence()

    def _make(self, maker: Maker) -> None:
        why = _proving.held_back(self.run, maker.work.model) if maker.work.runs_code else ""
        if why:
            maker.stopped(why)
            maker.measure(timed=False)
        else:
            maker.all()

    def _interpreter(self, own: Config) -> str:
        python = self.asked.python or own.interpreter
        return str(self.run.git.root / python) if "/" in python else python

    def _side(self, snapshot: Snapshot, file: str, own: Config) -> Side:
        config = self.bound.config(snapshot, self.bound.earlier(snapshot, file, own))
        pipeline = self._pipelines.setdefault(snapshot.commit, Pipeline(snapshot, lenient=True))
        return Side(pipeline, config if isinstance(config, Config) else None, trusted=True)


def _empty(folder: Path) -> None:
    """What an earlier run left there could pass for what this one makes. Raises MlgateError where it is a link."""
    for part in (folder, folder / made.FOLDER, *folder.parents):
        if part.is_symlink() and (part in (folder, folder / made.FOLDER) or STATE in part.parts):
            raise MlgateError(
                "is a symbolic link; mlgate writes only where it works.", file=relative(part), fix="Remove it."
            )
        if part.name == STATE:
            break
    if not folder.exists():
        return
    if not folder.is_dir():
        raise MlgateError("is no folder.", file=relative(folder), fix="Remove it, or name another with --inputs.")
    shutil.rmtree(folder / made.FOLDER, ignore_errors=True)
    for file in folder.iterdir():
        if _OURS.fullmatch(file.name) and (file.is_file() or file.is_symlink()):
            file.unlink()
