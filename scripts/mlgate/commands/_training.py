"""Models proven one after the other: what is asked, in which order, and what comes of it."""

from __future__ import annotations

import os
import posixpath
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate import extras
from mlgate.commands import _pull, _rows, _tracked
from mlgate.commands._binding import Binding, Bound
from mlgate.commands._run import STATE, Run, Unloadable, failed, off, relative, say, unloadable
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import integrity
from mlgate.model import Champion, Change, Check, Evidence, Named, Verdict, worst
from mlgate.repo import changes, credentials, project_dvc
from mlgate.repo.champion import Chosen
from mlgate.repo.dvc import Pipeline
from mlgate.repo.project_dvc import Changed, Dvc, Trouble
from mlgate.setup import storage
from mlgate.setup.doctor import environ
from mlgate.setup.worktree import WorkTree
from mlgate.train import environment, lock, plan, reproduce, score, smoke
from mlgate.train.project import Project
from mlgate.train.proofs import TEXT, Shown
from mlgate.train.scratch import worktree
from mlgate.train.stages import StageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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


@dataclass(eq=False)
class Trainer:
    """One run over all configurations."""

    run: Run
    asked: Asked
    changed: dict[str, None] = field(default_factory=dict)  # files that training changed
    logged: list[tuple[str, str]] = field(default_factory=list)  # MLflow run id and address
    _stopped: set[str] = field(default_factory=set)  # models whose data keep project code from being run
    _dvcs: dict[str, Dvc | str] = field(default_factory=dict)
    _remotes: dict[tuple[Dvc, str], storage.Pushed] = field(default_factory=dict)

    @cached_property
    def binding(self) -> Binding:
        return Binding(self.run)

    @cached_property
    def now(self) -> Pipeline:
        return Pipeline(self.run.git.at(self.run.head), lenient=True)

    @cached_property
    def environ(self) -> dict[str, str]:
        """For the project's DVC: with the remote's credentials, without what is mlgate's own."""
        return environ()

    @cached_property
    def connection(self) -> DuckDBPyConnection:
        extras.use("data")
        from mlgate.data import reading  # noqa: PLC0415

        return reading.connect()

    def close(self) -> None:
        if "connection" in self.__dict__:
            with suppress(Exception):
                self.connection.close()

    def all(self) -> list[Evidence]:
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
        project, why = self._project(own, bound.binding)
        level = self._level(bound.binding)
        done = self._work(project, level, why, shown)
        seconds = time.monotonic() - start
        shown.facts["verify"] = done
        champion, found = self._changes(project, shown)
        self._facts(project, shown, seconds)
        links = {}
        if level == "reproduce" and any(one.state in ("ran", "cached") for one in shown.stages):
            links = self._track(project, shown)
        verdict = worst(check.verdict for check in shown.checks)
        return Evidence(
            kind=VERB,
            model=own.model,
            title=_title(shown, level, done),
            verdict=verdict,
            subject=integrity.named(self.now, project.artifact, "model") if project.artifact else None,
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
        for option, given in (("--proposal", self.asked.proposal), ("--push", self.asked.push)):
            if given and level != "reproduce":
                what = "this is a smoke run" if level == "smoke" else f"`verify` is {level}"
                raise MlgateError(f"{option} is for what was made again, and {what}.", fix="Use --verify reproduce.")
        return level

    def _project(self, own: Config, binding: Config) -> tuple[Project, str]:
        """The model, and one sentence why there is no DVC."""
        python = self.asked.python or own.interpreter
        dvc = self._dvc(python)
        allowed = binding.train.environment
        code = credentials.without(self.environ, named=os.environ.get("MLGATE_ENV_NAMES", "").split(), allowed=allowed)
        if "/" in python:
            code["PATH"] = os.pathsep.join([str((self.run.git.root / python).parent), code.get("PATH", os.defpath)])
        project = Project(
            git=self.run.git,
            commit=self.run.head,
            own=own,
            binding=binding,
            pipeline=self.now,
            dvc=None if isinstance(dvc, str) else dvc,
            environ=self.environ,
            code=code,
            say=self._say,
            pull=partial(self._fetch, python),
            connect=lambda: self.connection,
        )
        return project, dvc if isinstance(dvc, str) else ""

    def _dvc(self, python: str) -> Dvc | str:
        if python not in self._dvcs:
            tracks = bool(self.now.outs) or (self.run.git.root / ".dvc").is_dir()
            self._dvcs[python] = (
                project_dvc.find(python, self.run.git.root, self.environ) if tracks else "Nothing here is kept by DVC."
            )
        return self._dvcs[python]

    def _held_back(self, model: str) -> str:
        """Why no project code is run: `validate-data` has stopped this commit. Empty where it has not."""
        file = self.run.cwd / STATE / "evidence" / model / "validate-data.json"
        if file.is_symlink() or not file.is_file():
            return ""
        try:
            found = Evidence.from_json(file.read_bytes())
        except (ValueError, OSError):
            return "what validate-data left cannot be read"
        if found.source.commit != self.run.head or found.exit_code == 0:
            return ""
        return "the data break their contract"

    def _work(self, project: Project, level: str, why: str, shown: Shown) -> str:
        """Do what the level asks for; the level that was reached."""
        if level != "lock" and (stopped := self._held_back(project.own.model)):
            self._stopped.add(project.own.model)
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
            self._remote(project, shown, why)
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

    # -- the remote --------------------------------------------------------------------------------------------------

    def _remote(self, project: Project, shown: Shown, why: str) -> None:
        kept = [path for path in self._kept(project) if plan.tracked(project.pipeline, path)]
        if not kept:
            shown.claim("remote", "not run", "DVC keeps nothing of this model")
            return
        if not self.asked.remote:
            shown.not_run.append("What the DVC remote holds: it was not asked (`remote` is false).")
            shown.claim("remote", "not run", "the remote was not asked")
            return
        if project.dvc is None:
            shown.not_run.append("What the DVC remote holds: there is no DVC to ask it with.")
            shown.claim("remote", "not run", why.rstrip("."))
            return
        settings = project_dvc.settings(project.dvc, self.run.git.root / project.home, self.environ)
        there = settings.folder is None or settings.folder.is_dir()
        usable = storage.remote(settings, folder_exists=there)
        if usable.verdict is not Verdict.PASS:
            lock.remote(shown, usable, f"What the DVC remote holds: {usable.reason}")
            return
        key = (project.dvc, project.home)
        if key not in self._remotes:
            folder = self.run.git.root / project.home
            status = project_dvc.status(project.dvc, folder, project.home, self.environ, ask_remote=True)
            if status.not_in_remote and not project_dvc.reachable(settings.url, self.environ):
                said = "nobody answers at that address"
                status = replace(status, not_in_remote=(), trouble=Trouble.DOWN, said=said)
            self._remotes[key] = storage.Pushed(
                status=status,
                remote=settings,
                needed=(),
                pointers=len([o for o in self.now.outs.values() if plan.cached(self.now, o)]),
                forge=self.run.forge.name if self.run.forge.name in ("github", "gitlab") else "none",
                python=project.dvc.python,
                from_fork=self.run.forge.event.from_fork,
            )
        policy = Verdict(project.binding.compare.policy.no_credentials)
        lock.remote(shown, *storage.pushed(replace(self._remotes[key], needed=kept, no_credentials=policy)))

    def _kept(self, project: Project) -> list[str]:
        """What must be in the remote: the model, its results, and all data behind them."""
        data = [project.own.path(entry.path) for entry in project.own.data]
        data += [one.data for one in project.sets if one.data]
        wanted = [project.artifact, *project.results, *data, *plan.inputs(self.now, project.chain)]
        return [path for path in dict.fromkeys(wanted) if path]

    # -- project code ------------------------------------------------------------------------------------------------

    def _fetch(self, python: str, tree: Path, commit: str, paths: Sequence[str]) -> None:
        """From the cache where it has them, else from the remote. Raises MlgateError."""
        dvc = self._dvc(python)
        missing = [path for path in paths if not (tree / path).exists()]
        if missing and isinstance(dvc, Dvc):
            for path in missing:
                home = project_dvc.folder_of(tree, posixpath.dirname(path)) or ""
                project_dvc.do(dvc, tree / home, ["checkout", path[len(home) + 1 :] if home else path], self.environ)
            missing = [path for path in missing if not (tree / path).exists()]
        if missing and not self.asked.pull:
            raise MlgateError(f"{missing[0]} is not here, and `pull` is off.", fix="Run `dvc pull` first.")
        if missing:
            _pull.pull(self.run, missing, python, root=tree, commit=commit)

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
                with worktree(self.run.git, self.run.head, project.homes, self.environ) as scratch:
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
            with worktree(self.run.git, self.run.head, project.homes, self.environ) as scratch:
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
            ran = reproduce.run(project, wanted, shown, rerun=self.asked.rerun)
            made = Pipeline(WorkTree(self.run.git), lenient=True)
            after = project.at(made)
            if new:
                shown.renew(*TEXT)
                lock.prove(after, shown)
                shown.claim("remote", "not run", "what was made is not pushed")
            reproduce.check(after if new else project, made, ran, before, shown)
            touched = _touched(self.run)
            self.changed |= dict.fromkeys(touched)
            if touched:
                shown.facts["files changed"] = ", ".join(touched[:10]) + (" ..." if touched[10:] else "")
            if self.asked.push:
                self._push(after, made, before, shown)
        except StageError as error:
            shown.stages += error.stages
            self._broke(shown, "reproduce", error)
            reproduce.fell(project, shown, "not run", str(error).partition("\n")[0])
            return True
        except MlgateError as error:
            self._lacking(project, shown, "reproduce", error)
            return False
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return True

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
        trouble = project_dvc.classify(0, str(error))
        lacking = trouble is Trouble.NO_CREDENTIALS
        lacking = lacking or (trouble is Trouble.REFUSED and self.run.forge.event.from_fork)
        verdict = Verdict(project.binding.compare.policy.no_credentials) if lacking else Verdict.ERROR
        shown.check(what, what.partition(".")[0], verdict, str(error), file=error.file)
        shown.not_run.append(f"{what}: {error}")

    # -- beside the proofs -------------------------------------------------------------------------------------------

    def _changes(self, project: Project, shown: Shown) -> tuple[Champion | None, list[Change]]:
        try:
            chosen = self.binding.sides(project.binding.compare.champion).champion
        except MlgateError as error:
            shown.not_run.append(f"What changed since the champion: {error}")
            return None, []
        if not chosen.commit:
            return None, []
        then = Pipeline(self.run.git.at(chosen.commit), lenient=True)
        data = [project.own.path(entry.path) for entry in project.own.data]
        found = changes.between(then, self.now, produced=integrity.sources(project.own), data=data)
        return self._champion(chosen), _rows.counted(self.run, project, then, found, shown)

    def _champion(self, chosen: Chosen) -> Champion:
        git = self.run.git
        return Champion(
            commit=chosen.commit, ref=chosen.ref, how=chosen.how, committed_at=git.committed_at(chosen.commit)
        )

    def _facts(self, project: Project, shown: Shown, seconds: float) -> None:
        python = self.asked.python or project.own.interpreter
        there = str(self.run.git.root / python) if "/" in python else python
        shown.facts |= environment.facts(there, project.code)
        if seeds := plan.seeds(project.chain):
            shown.facts["seeds"] = ", ".join(f"{key} = {value}" for key, value in seeds.items())
        ran = [one.seconds for one in shown.stages if one.seconds is not None]
        if ran:
            shown.facts["seconds in stages"] = round(sum(ran), 3)
        shown.facts["seconds"] = round(seconds, 3)
        if (price := project.own.train.cost_per_hour) is not None:
            shown.facts["cost"] = round(seconds / 3600 * float(price), 6)

    def _track(self, project: Project, shown: Shown) -> dict[str, str]:
        logged = _tracked.log(self.run, project, shown, self.asked.tracking)
        if logged is None:
            return {}
        if logged.problem:  # shown, and no check: MLflow decides nothing, not even whether a warning fails the build
            shown.not_run.append(f"MLflow: the run was not logged, or not whole: {logged.problem}")
        shown.not_run += [f"MLflow: {said}" for said in logged.left_out]
        if logged.run_id:
            shown.facts["MLflow run"] = logged.run_id
            self.logged.append((logged.run_id, logged.url))
        if logged.how_to_open:
            shown.facts["MLflow opens with"] = logged.how_to_open.replace(f"{self.run.git.root}/", "")
        return {"MLflow run": logged.url} if logged.url else {}

    def _propose(self, evidences: list[Evidence]) -> None:
        """One proposal for all models of the run, and none where one of them did not come out well."""
        from mlgate.repo import proposal  # noqa: PLC0415

        assert self.asked.proposal is not None  # noqa: S101 -- the caller looked
        fine = (Verdict.PASS, Verdict.WARN)
        bad = [e.model for e in evidences if e.verdict not in fine or e.model in self._stopped]
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


def _touched(run: Run) -> list[str]:
    """Tracked files that differ from the commit now, and new ones that git would take."""
    new = run.git.run("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
    return sorted({*run.git.dirty(), *(os.fsdecode(path) for path in new if path)})


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
