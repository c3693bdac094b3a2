"""One model proven as far as is asked for: the lock, and then project code where the level wants it run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlgate.commands._pull import NoCredentialsError
from mlgate.commands._run import STATE, Run
from mlgate.commands._stored import Stored
from mlgate.errors import MlgateError
from mlgate.judge import integrity
from mlgate.model import Check, Evidence, Verdict
from mlgate.repo.dvc import Pipeline
from mlgate.repo.project_dvc import Changed
from mlgate.setup.worktree import WorkTree
from mlgate.train import lock, reproduce, score, smoke
from mlgate.train.project import Project
from mlgate.train.proofs import TEXT, Shown
from mlgate.train.scratch import worktree
from mlgate.train.stages import StageError

VERB = "train"
LEVELS = ("lock", "score", "reproduce")


@dataclass(frozen=True)
class Asked:
    """The options of the verb."""

    verify: str = ""
    rerun: bool = False
    smoke: int = 0  # rows; 0: no smoke run
    push: bool = False
    remote: bool = True
    pull: bool = True
    python: str = ""
    tracking: str = ""
    proposal: Path | None = None
    retraining: bool = False  # `retrain.prepare` and `retrain.launcher` count


@dataclass(eq=False)
class Prover:
    """`changed`: files that training changed. `stopped`: models whose data keep project code from being run."""

    run: Run
    asked: Asked
    stored: Stored
    changed: dict[str, None] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)

    @property
    def now(self) -> Pipeline:
        return self.stored.now

    def work(self, project: Project, level: str, why: str, shown: Shown) -> str:
        """Do what the level asks for; the level that was reached."""
        if level != "lock" and (stopped := held_back(self.run, project.own.model)):
            self.stopped.add(project.own.model)
            what = "training on a sample" if level == "smoke" else level
            reason = f"No project code was run, because {stopped}: look at the evidence of validate-data."
            shown.check("held-back", what, Verdict.WARN, reason)
            shown.not_run.append(f"verify: {level}, because {stopped}.")
            level = "lock"
        if level == "smoke":
            for claim in ("model", "metrics"):
                shown.claim(claim, "not run", "trained on a sample")
            self._needs_dvc(project, why)
            self._smoke(project, shown)
            return "smoke"
        new = level == "reproduce" and self.asked.proposal is not None
        shown.checks += self._integrity(project, new=new)
        asked = lock.prove(project, Shown() if new else shown, why_no_dvc=why)
        if new:
            reproduce.expect(project, shown)
        else:
            self.stored.remote(project, shown, why)
        if level == "score":
            return "score" if self._score(project, shown) else "lock"
        if level == "reproduce":
            self._needs_dvc(project, why)
            return "reproduce" if self._reproduce(project, asked, shown) else "lock"
        return "lock"

    def _integrity(self, project: Project, *, new: bool) -> list[Check]:
        """What the commit itself shows. What is about to be made anew may be stale in it."""
        found = integrity.checks(
            project.own, project.binding, self.now, dirty=tuple(self.run.dirty), strict_tree=self.run.in_ci
        )
        stale = ("integrity.stage.", "integrity.lock.", "integrity.known.", "integrity.tracked.")
        return [check for check in found if not (new and check.id.startswith(stale))]

    @staticmethod
    def _needs_dvc(project: Project, why: str) -> None:
        if project.dvc is None:
            raise MlgateError(f"this needs the project's own DVC. {why}", fix="Install it, or name train.python.")

    # -- project code ------------------------------------------------------------------------------------------------

    def _score(self, project: Project, shown: Shown) -> bool:
        """Whether every evaluation set was scored again."""
        able = [(one, score.possible(project, one)) for one in project.sets]
        for one, why in able:
            if why:
                reason = f"{one.name} cannot be scored again: {why}"
                shown.check(f"score.{one.name}", one.name, Verdict.ERROR, reason, file=project.own.file)
        done = 0
        shown.renew("metrics", "predictions")
        for one, why in able:
            if why:
                shown.claim("metrics", "not run", why.rstrip("."))
                continue
            try:
                with worktree(self.run.git, self.run.head, project.homes, self.stored.environ) as scratch:
                    score.again(project, one, scratch, shown)
                done += 1
            except StageError as error:
                shown.stages += error.stages
                self._broke(shown, f"score.{one.name}", error)
            except MlgateError as error:
                self._lacking(project, shown, f"score.{one.name}", error)
            if shown.state("metrics") is None:
                shown.claim("metrics", "not run", "it could not be scored again")
            if one.predictions and shown.state("predictions") is None:
                shown.claim("predictions", "not run", "it could not be scored again")
        return done == len(project.sets)

    def _smoke(self, project: Project, shown: Shown) -> None:
        try:
            with worktree(self.run.git, self.run.head, project.homes, self.stored.environ) as scratch:
                sampled = smoke.run(project, self.asked.smoke, scratch, shown)
            smoke.show(sampled, project, shown)
        except StageError as error:
            shown.stages += error.stages
            self._broke(shown, "smoke", error)

    def _reproduce(self, project: Project, asked: Changed, shown: Shown) -> bool:
        root, new = self.run.git.root, self.asked.proposal is not None
        wanted = reproduce.targets(project)
        beside = Path(tempfile.mkdtemp(prefix="mlgate-"))
        try:
            project.pull(root, self.run.head, reproduce.needed(project, asked, rerun=self.asked.rerun))
            before = reproduce.remember(project, beside)
            launcher = project.binding.retrain.launcher if self.asked.retraining else None
            ran = reproduce.run(project, wanted, shown, rerun=self.asked.rerun, launcher=launcher)
            made = Pipeline(WorkTree(self.run.git), lenient=True)
            after = project.at(made)
            if new:
                shown.renew(*TEXT)
                lock.prove(after, shown)
                shown.claim("remote", "not run", "what was made is not pushed")
            reproduce.check(after if new else project, made, ran, before, shown)
            touched = _touched(self.run)
            if touched and self._profile(after, made, shown):
                touched = _touched(self.run)
            self.changed |= dict.fromkeys(touched)
            if touched:
                shown.facts["files changed"] = ", ".join(touched[:10]) + (" ..." if touched[10:] else "")
            if self.asked.push:
                self._push(after, made, before, shown)
        except StageError as error:
            shown.stages += error.stages
            self._broke(shown, "reproduce", error)
            reproduce.fell(project, shown, "not run", str(error).partition(" It said last:")[0])
            return True
        except MlgateError as error:
            self._lacking(project, shown, "reproduce", error)
            return False
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return True

    def _profile(self, project: Project, made: Pipeline, shown: Shown) -> bool:
        """The reference profile of a model that was made anew: whether the file is another one now.

        Where data, model and predictions are those of the commit, its profile stays as it is, whatever it is: a run
        that changed nothing must not leave anything to be committed.
        """
        own = project.own
        fell = any(check.verdict in (Verdict.FAIL, Verdict.ERROR) for check in shown.checks)
        if own.monitor.logs is None or not own.train.data or fell:
            return False
        from mlgate.commands import _profiling  # noqa: PLC0415 -- only for models that are watched
        from mlgate.setup import profiled  # noqa: PLC0415

        def fetch(paths: Sequence[str]) -> None:
            project.pull(self.run.git.root, self.run.head, paths)

        try:
            read = WorkTree(self.run.git).read
            want = profiled.wanted(own, made, read)
            if want.made_of == profiled.wanted(own, self.now, read).made_of:
                return False
            text = _profiling.Maker(self.run, own, made, project.connect(), fetch).make(want)
            wrote = _profiling.write(self.run, want.file, text)
        except MlgateError as error:
            reason = f"The reference profile cannot be made: {error}"
            shown.check("profile", "reference profile", Verdict.ERROR, reason, fix=error.fix, file=error.file)
            return False
        shown.facts["profile"] = want.file
        return wrote

    def _push(self, project: Project, made: Pipeline, before: reproduce.Before, shown: Shown) -> None:
        """Before anything may be committed: a pointer must not name what nobody can get."""
        if any(check.verdict in (Verdict.FAIL, Verdict.ERROR) for check in shown.checks):
            shown.not_run.append("`dvc push`: what was made did not pass, so it was not pushed.")
            return
        said = reproduce.push(project, made, before)
        if said:
            shown.check("pushed", "dvc push", Verdict.ERROR, f"`dvc push` failed: {said}. Nothing may be committed.")
            shown.reclaim("remote", "refuted", said)
        else:
            shown.check("pushed", "dvc push", Verdict.PASS, "What was made is in the remote.")
            shown.reclaim("remote", "proven", "pushed by this run")

    @staticmethod
    def _broke(shown: Shown, what: str, error: StageError) -> None:
        shown.check(what, what.partition(".")[0], Verdict.ERROR, str(error), file=error.file)

    def _lacking(self, project: Project, shown: Shown, what: str, error: MlgateError) -> None:
        """Something could not be had. Missing credentials are the policy's, the rest is an error."""
        lacking = isinstance(error, NoCredentialsError)
        verdict = Verdict(project.binding.compare.policy.no_credentials) if lacking else Verdict.ERROR
        shown.check(what, what.partition(".")[0], verdict, str(error), file=error.file)
        shown.not_run.append(f"{what}: {error}")


def held_back(run: Run, model: str) -> str:
    """Why no project code is run: `validate-data` has stopped this commit. Empty where it has not.

    Raises MlgateError where it left something that says neither: a commit can carry that.
    """
    file = run.cwd / STATE / "evidence" / model / "validate-data.json"
    if file.is_symlink() or not file.is_file():
        return ""
    try:
        found = Evidence.from_json(file.read_bytes())
    except (ValueError, OSError) as error:
        shown = f"{STATE}/evidence/{model}/{file.name}"
        raise MlgateError("cannot be read as evidence.", file=shown, fix="Remove it, and run it again.") from error
    if found.source.commit != run.head or found.exit_code == 0:
        return ""
    return "the data break their contract"


def _touched(run: Run) -> list[str]:
    """Tracked files that differ from the commit now, and new ones that git would take."""
    new = run.git.run("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
    return sorted({*run.git.dirty(), *(os.fsdecode(path) for path in new if path)})
