"""One model into one environment: what lets it in, the machine that takes it there, and what is said of it."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mlgate.commands import (
    _approved,
    _authority,
    _checking,
    _following,
    _measuring,
    _model,
    _planning,
    _release,
    _rolling,
)  # fmt: skip
from mlgate.commands._binding import unique
from mlgate.commands._build_inputs import scratch
from mlgate.commands._local import prepare_local
from mlgate.commands._registries import Asked as Registries
from mlgate.commands._release import Chosen
from mlgate.commands._run import STATE, Run, Unloadable, failed, file_name, off, relative, say, unloadable, write_text
from mlgate.config import Config
from mlgate.config.deploying import Environment
from mlgate.errors import MlgateError
from mlgate.forges.deploying import Deployment, Planned
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Deployment as Entry
from mlgate.model import Check, Evidence, Named, Verdict, worst
from mlgate.rollout import checks as trying
from mlgate.rollout import stopping, strategies, targets
from mlgate.rollout.analysis import outcome
from mlgate.rollout.machine import Machine
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State
from mlgate.rollout.targets import Target

VERB = "deploy"
OUTPUTS = ("environment", "state", "weight", "image", "version", "url", "rollout", "finished")
Way = Literal["deploy", "plan", "once", "recover", "abort", "drill", "render"]


@dataclass(frozen=True)
class Asked:
    """The options of the verb."""

    environment: str = ""
    image: str = ""
    version: str = ""
    way: Way = "deploy"
    once: bool = False
    user: str = ""
    tracking_uri: str = ""
    push_tags: bool = True
    inputs: Path = Path()
    python: str = ""
    pull: bool = True


@dataclass
class Deployed:
    """What came of one model."""

    evidence: Evidence
    outputs: Mapping[str, str] = field(default_factory=dict)


def every(run: Run, asked: Asked) -> int:
    """All models of the run; the exit code."""
    run.forget(VERB)
    try:
        found = _all(run, asked)
    except MlgateError as error:
        found = [Deployed(failed(VERB, file_name(run.patterns[0] if run.patterns else ""), error))]
    one = found[0].outputs if len(found) == 1 else {}
    return run.finish(VERB, [each.evidence for each in found], {name: one.get(name, "") for name in OUTPUTS})


def _all(run: Run, asked: Asked) -> list[Deployed]:
    files = run.config_files()
    if not files:
        raise run.no_config()
    if len(files) > 1 and (asked.image or asked.version):
        raise MlgateError(
            f"--image and --version are one model's, and there are {len(files)}.",
            fix="Name one mlgate.yaml with --config.",
        )
    loaded = [run.load(file) for file in files]
    unique([own.model for own in loaded])
    found = []
    for own in loaded:
        if isinstance(own, Unloadable):
            found.append(Deployed(unloadable(VERB, own)))
        elif own.mode == "off":
            found.append(Deployed(off(VERB, own)))
        else:
            found.append(Deploying(run, own, asked).result())
    return found


def pick(config: Config, asked: str) -> str:
    """The environment that is meant. Raises MlgateError where none is, or none of that name is there."""
    there = list(config.deploy.environments)
    if not asked and len(there) == 1:
        return there[0]
    if not asked and there:
        raise MlgateError(
            f"has {len(there)} environments: {', '.join(there)}.", file=config.file, line=config.line("deploy"),
            key="deploy.environments", fix=f"Name one: --environment {there[0]}.",
        )  # fmt: skip
    _authority.environment(config, asked)
    return asked


class Deploying:
    """One model. Whatever was found out is in its evidence, also where it ends early."""

    def __init__(self, run: Run, config: Config, asked: Asked) -> None:
        self.run = run
        self.config = config
        self.asked = asked
        self.name = asked.environment
        self.checks: list[Check] = []
        self.not_run: list[str] = []
        self.facts: dict[str, str | float] = {}
        self.artifacts: list[str] = []
        self.chosen: Chosen | None = None
        self.state: State | None = None
        self.title = ""
        self.url = ""

    def result(self) -> Deployed:
        try:
            self._deploy()
        except MlgateError as error:
            where = self.config.location(error.key or "deploy") if error.file == self.config.file else None
            self.checks.append(Check(
                id="deploy.step", group="deploy", title=f"deploy to {self.name}" if self.name else VERB,
                verdict=Verdict.ERROR, reason=str(error), location=where,
            ))  # fmt: skip
            self.title = str(error)
        return Deployed(self._evidence(), self._outputs())

    # -- the ways ----------------------------------------------------------------------------------------------------

    def _deploy(self) -> None:
        self.config = _authority.binding(self.run, self.config)
        self.name = pick(self.config, self.asked.environment)
        way = self.asked.way
        place = _rolling.place(self.run, self.config, self.name, user=self.asked.user)
        with targets.find(place) as target:
            if way == "render":
                self._render(place)
                return
            kept = Machine(target, judge=_never, checks=_nothing, record=_unsaid).look()
            if way == "plan":
                self._plan(target, kept)
            elif way == "abort":
                self._abort(target, kept)
            elif way == "recover":
                self._recover(target, kept)
            elif way == "once" and (kept is None or kept.phase in ("complete", "judged", "aborted", "failed")):
                self.state = kept
                self._said(
                    "idle", Verdict.PASS, f"No rollout is under way in {self.name}: there is nothing to go on with."
                )
            else:
                self._roll(target, kept)

    def _roll(self, target: Target, kept: State | None) -> None:
        """A new rollout, or the one that is under way: `--once` always goes on with that."""
        under_way = kept is not None and not kept.over
        going_on = kept is not None and under_way and (self.asked.way == "once" or self._same(kept))
        chosen = self._kept(kept) if going_on and kept is not None else self._find()
        self.chosen = chosen
        self.checks += _authority.checks(
            self.run, self.config, self.name, chosen, going_on=going_on, user=self.asked.user, inputs=self.asked.inputs
        )
        if self._stopped():
            return
        approved_by = self._approval(chosen, kept if going_on else None)
        if self._stopped():
            return
        with scratch() as folder, stopping.told() as told:
            asked = _checking.asked(
                self.run, self.config, self.name, chosen.release, scratch=folder, inputs=self.asked.inputs,
                python=self.asked.python, pull=self.asked.pull,
            )  # fmt: skip
            if self._local:
                prepare_local(
                    self.run, self.config, target, chosen, folder=folder, inputs=self.asked.inputs,
                    python=self.asked.python, pull=self.asked.pull,
                )  # fmt: skip
            tried: list[trying.Tried] = []
            machine = self._machine(
                target, chosen, approved_by, checks=self._checker(asked, tried), stopping=told,
                metrics=_measuring.Metrics(self.run, self.config, self.name, asked.environ),
            )  # fmt: skip
            try:
                self._run(machine, chosen, kept, going_on=going_on)
            finally:
                for one in tried:
                    self.checks += one.checks
                    self.not_run += one.not_run
                    self.facts |= one.facts
                    self.artifacts += [relative(path) for path in one.artifacts]
        self._ended(machine, target, chosen)

    def _run(self, machine: Machine, chosen: Chosen, kept: State | None, *, going_on: bool) -> None:
        drill = self.asked.way == "drill"
        stable = self._stable(chosen)
        requests = self._requests(kept) if stable is not None and not drill else None
        timeout = float(self.config.serve.timeout_seconds)
        plan = strategies.plan(
            self.settings, stable=stable is not None, requests=requests, timeout=timeout, drill=drill
        )
        shown = self.run.forge.deployment(Planned(
            environment=self.name, commit=chosen.release.commit, tier=self.settings.tier,
            rollout=kept.rollout if going_on and kept else "", url=self.settings.url or "",
            description=f"{self.config.model} {chosen.version}".strip(),
        ))  # fmt: skip
        if going_on and self.asked.way == "once":
            state = machine.resume()
            if state is None:
                raise MlgateError(f"the rollout in {self.name} has ended meanwhile.", fix="Look at it with --plan.")
        else:
            state = machine.begin(
                chosen.release, stable, plan, strategy=self.settings.strategy, purpose="drill" if drill else "deploy"
            )
        self.state = state
        self._show(shown, "running")
        try:
            self.state = machine.once(state) if self.asked.once or self.asked.way == "once" else machine.loop(state)
        except MlgateError:
            self.state = _kept(machine) or self.state
            self._show(shown, "failure")
            raise
        if self.state.over:
            self._show(shown, "success" if self.state.outcome in ("complete", "judged") else "failure")

    def _ended(self, machine: Machine, target: Target, chosen: Chosen) -> None:
        """What the last look said, how it ended, and who follows."""
        state = self.state
        assert state is not None  # noqa: S101 -- it ran
        judged = machine.judged
        if judged is not None:
            self.checks += [check for check in judged.checks if state.outcome != "complete" or _good(check)]
        self.url = target.url or self.settings.url or ""
        self._outcome(state)
        if state.outcome == "complete" and state.candidate.digest == chosen.release.digest and state.plan.serves:
            self.checks += _following.follow(
                self.run,
                self.config,
                chosen.release,
                self.name,
                asked=Registries(self.asked.tracking_uri, push_tags=self.asked.push_tags),
            )

    def _outcome(self, state: State) -> None:
        """The one check that says how it ended, or how far it is."""
        what = f"{self.config.model} {state.candidate.version}".strip()
        words = {
            "complete": f"{what} is in {self.name}.",
            "judged": f"{what} was tried in {self.name}, which keeps the model that it had.",
            "aborted": f"{what} was turned back: {state.reason}",
            "failed": f"{what} did not come into {self.name}: {state.reason}",
        }
        if state.over:
            verdict = state.verdict or (Verdict.PASS if state.outcome in ("complete", "judged") else Verdict.ERROR)
            said = words[state.outcome or "failed"]
        elif state.held:
            verdict, said = Verdict.INCONCLUSIVE, f"{what} stays at {state.weight:g} % of {self.name}: {state.held}"
        else:
            verdict, said = Verdict.PASS, f"{what} is at {state.weight:g} % of {self.name}, and goes on with `--once`."
        self._said("outcome", verdict, said, observed=state.outcome or state.phase)
        self.facts |= {"rollout": state.rollout, "weight": state.weight, "strategy": state.strategy}
        if state.seconds is not None:
            self.facts["seconds_to_zero"] = round(state.seconds, 3)

    def _recover(self, target: Target, kept: State | None) -> None:
        records = _model.records(self.run, self.config)
        now = _release.there(self.config, records, self.name)
        current = self._entry(records, now) if now is not None else None
        chosen = self._kept(kept) if kept is not None and not kept.over else current
        if chosen is None:
            raise MlgateError(
                f"neither the ledger nor {self.name} has a {self.config.model} to go back to.",
                fix=f"Deploy one: `mlgate deploy --environment {self.name}`.",
            )
        self.chosen = chosen
        self.checks += _authority.checks(
            self.run, self.config, self.name, chosen, going_on=True, user=self.asked.user, inputs=self.asked.inputs
        )
        if self._stopped():
            return
        with stopping.told() as told:
            machine = self._machine(target, chosen, self._approvers(kept), checks=_nothing, stopping=told)
            plan = strategies.straight(self.settings, timeout=float(self.config.serve.timeout_seconds))
            self.state = machine.recover(current.release if current else None, plan)
        there = ", ".join(f"{slot.name} {slot.weight:g} %" for slot in target.slots() if slot.weight) or "nothing"
        self._said("recovered", Verdict.PASS, f"{self.name} and the ledger agree: {there}.")
        self.url = target.url

    def _abort(self, target: Target, kept: State | None) -> None:
        if kept is None or kept.over:
            raise MlgateError(
                f"no rollout is under way in {self.name}.", fix="To put an earlier model back: `mlgate rollback`."
            )
        self.chosen = chosen = self._kept(kept)
        with stopping.told() as told:
            machine = self._machine(target, chosen, self._approvers(kept), checks=_nothing, stopping=told)
            person = _rolling.actor(self.run)
            self.state = machine.abort(f"{person} ended it.", Verdict.WARN)
        if self.state is not None:
            self._outcome(self.state)
        self.url = target.url

    def _plan(self, target: Target, kept: State | None) -> None:
        self.chosen = chosen = self._find()
        stable = self._stable(chosen)
        shown = _planning.shown(self.config, chosen.release, stable, kept, target)
        say(self.run.forge, shown.text)
        self.facts |= shown.facts
        self.checks += shown.checks
        self.title = shown.title

    def _render(self, place: targets.Place) -> None:
        if self.settings.target.kind != "kubernetes":
            raise MlgateError(
                f"{self.name} is of kind {self.settings.target.kind}, and only kubernetes has manifests.",
                file=self.config.file, key=f"deploy.environments.{self.name}.target.kind",
                line=self.config.line(f"deploy.environments.{self.name}.target.kind"),
            )  # fmt: skip
        from mlgate.rollout.targets.kubernetes import manifests, written  # noqa: PLC0415 -- of this way alone

        self.chosen = chosen = self._find()
        file = self.run.cwd / STATE / "deploy" / self.name / f"{self.config.model}.yaml"
        made = manifests(place, chosen.release)
        write_text(file, written(made))
        self.artifacts.append(relative(file))
        self._said("rendered", Verdict.PASS, f"{len(made)} objects are in {relative(file)}.")

    # -- what is asked before ----------------------------------------------------------------------------------------

    @property
    def settings(self) -> Environment:
        return self.config.deploy.environments[self.name]

    @property
    def _local(self) -> bool:
        return self.settings.target.kind == "local"

    def _find(self) -> Chosen:
        return _release.find(
            self.run, self.config, image=self.asked.image, version=self.asked.version, local=self._local
        )

    def _kept(self, kept: State) -> Chosen:
        """What the state of a rollout names, asked of the ledger again."""
        return _release.find(self.run, self.config, image=kept.candidate.image, local=self._local)

    def _entry(self, records: tuple[Record, ...], found: Record) -> Chosen:
        return _release.of_entry(self.run, self.config, records, found, local=self._local)

    def _same(self, kept: State) -> bool:
        """Whether what is under way is just what is asked for."""
        wanted = "drill" if self.asked.way == "drill" else "deploy"
        if kept.purpose != wanted:
            return False
        chosen = self._find()
        return chosen.release.digest == kept.candidate.digest

    def _stable(self, chosen: Chosen) -> Release | None:
        """What the ledger says is there, unless it is the same."""
        now = _release.there(self.config, chosen.records, self.name)
        if now is None or self.settings.strategy == "batch":
            return None
        return self._entry(chosen.records, now).release

    def _requests(self, kept: State | None) -> Sequence[int] | None:
        """What each step needs, where mlgate.yaml does not say it. Raises MlgateError for a plan that cannot decide."""
        if not (self.settings.rules and self.settings.strategy in ("canary", "rolling")):
            return None
        made = _planning.planned(self.config, self.name, kept)
        return [step.canary for step in made.steps] if made else None

    def _approval(self, chosen: Chosen, kept: State | None) -> tuple[str, ...]:
        """Who has approved; of a rollout that has begun, whom its first entry names."""
        if kept is not None:
            return self._approvers(kept)
        found = _approved.approved(self.run, self.config, self.name, chosen.release)
        self.checks += found.checks
        return found.by

    def _approvers(self, kept: State | None) -> tuple[str, ...]:
        if kept is None:
            return ()
        for record in _model.records(self.run, self.config):
            entry = record.entry
            if isinstance(entry, Entry) and entry.rollout == kept.rollout and entry.approved_by:
                return entry.approved_by
        return ()

    # -- the machine -------------------------------------------------------------------------------------------------

    def _machine(
        self, target: Target, chosen: Chosen, approved_by: tuple[str, ...], *, checks: Any,
        stopping: Callable[[], bool], metrics: _measuring.Metrics | None = None,
    ) -> Machine:  # fmt: skip
        return Machine(
            target,
            judge=partial(self._judge, metrics),
            checks=checks,
            record=_rolling.Recorder(self.run, self.config, approved_by=approved_by),
            holder=self.run.forge.event.run_url or f"{getpass.getuser()} at a terminal",
            lease=float(self.config.deploy.lease),
            say=self._tell,
            stopping=stopping,
            on_stop="stay" if self.asked.once or self.asked.way == "once" else "turn back",
        )

    def _judge(self, metrics: _measuring.Metrics | None, state: State, *, complete: bool, why: str) -> outcome.Judged:
        settings = self.settings
        return outcome.judge(
            settings.rules,
            [outcome.Stratum(float(seen.weight), seen.stable, seen.canary) for seen in state.seen],
            confidence=settings.confidence,
            planned=state.plan.steps[state.step].requests,
            last=state.step == len(state.plan.steps) - 1,
            steps=len(state.plan.steps),
            metrics=metrics.of(state) if metrics is not None else {},
            streaks=state.streaks,
            sticky=state.plan.sticky,
            complete=complete,
            why=why,
        )

    def _checker(self, asked: trying.Asked, found: list[trying.Tried]) -> Any:
        """What is tried before traffic, and for a shadow or a batch what is done instead of it."""

        def check(
            target: Target, candidate: Release, stable: Release | None, alive: Callable[[], None]
        ) -> trying.Tried:
            tried = trying.before_traffic(target, candidate, stable, asked, alive=alive, say=self._tell)
            found.append(tried)
            if worst(one.verdict for one in tried.checks).rank > Verdict.WARN.rank or self.asked.way == "drill":
                return tried
            more = None
            if self.settings.strategy == "shadow":
                more = trying.shadow(target, candidate, stable, asked, alive=alive, say=self._tell)
            elif self.settings.strategy == "batch":
                more = trying.batch(target, candidate, asked, alive=alive, say=self._tell)
            if more is None:
                return tried
            found.append(more)
            return replace(tried, checks=[*tried.checks, *more.checks])

        return check

    # -- what is said ------------------------------------------------------------------------------------------------

    def _tell(self, text: str) -> None:
        sys.stderr.write(f"{text.rstrip()}\n")
        sys.stderr.flush()

    def _show(self, shown: Deployment, progress: Literal["running", "success", "failure"]) -> None:
        """On the forge's page of deployments; where that is not possible, once why not."""
        said = shown.status(progress, url=self.settings.url or "").said or shown.said
        if said and said not in self.not_run:
            self.not_run.append(said)

    def _said(self, name: str, verdict: Verdict, reason: str, *, observed: str | None = None) -> None:
        self.checks.append(Check(
            id=f"deploy.{name}", group="deploy", title=f"{self.name}: {name}", verdict=verdict, reason=reason,
            observed=observed,
        ))  # fmt: skip
        self.title = reason

    def _stopped(self) -> bool:
        """Worse than a warning is not gone on with, whatever `fail_on` says."""
        bad = [check for check in self.checks if check.verdict.rank > Verdict.WARN.rank]
        if bad:
            self.title = max(bad, key=lambda check: check.verdict.rank).reason
        return bool(bad)

    def _evidence(self) -> Evidence:
        release = self.chosen.release if self.chosen else None
        self.facts |= {"environment": self.name} if self.name else {}
        if release is not None:
            self.facts |= {"image": release.image, **({"version": release.version} if release.version else {})}
        return Evidence(
            kind=VERB, model=self.config.model, title=self.title,
            verdict=worst(check.verdict for check in self.checks),
            mode="enforce", fail_on=self.config.fail_on, confidence=float(self.settings.confidence) if self.name in
            self.config.deploy.environments else None,
            subject=Named(name=release.image, digest=dict(release.subject), role="model") if release else None,
            checks=self.checks, not_run=self.not_run, facts=self.facts, artifacts=self.artifacts,
            timeline=list(self.state.looks) if self.state else [],
        )  # fmt: skip

    def _outputs(self) -> dict[str, str]:
        release, state = (self.chosen.release if self.chosen else None), self.state
        return {
            "environment": self.name,
            "state": (state.outcome or state.phase) if state else "",
            "weight": f"{state.weight:g}" if state else "",
            "image": release.image if release else "",
            "version": release.version if release else "",
            "url": self.url,
            "rollout": state.rollout if state else "",
            "finished": str(state.over).lower() if state else "",
        }


def _good(check: Check) -> bool:
    return check.verdict.rank <= Verdict.WARN.rank


def _kept(machine: Machine) -> State | None:
    try:
        return machine.look()
    except MlgateError:
        return None


def _never(state: State, *, complete: bool, why: str) -> outcome.Judged:
    """Of a machine that only looks."""
    del state, complete, why
    raise AssertionError


def _nothing(target: Target, candidate: Release, stable: Release | None, alive: Callable[[], None], /) -> trying.Tried:
    """Nothing is tried again of what is put back or turned back."""
    del target, candidate, stable, alive
    return trying.Tried()


def _unsaid(transition: object) -> None:
    del transition
