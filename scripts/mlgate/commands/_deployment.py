"""One model into one environment: what lets it in, the machine that takes it there, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mlgate.commands import (
    _approved,
    _authority,
    _checking,
    _deploy_rig,
    _following,
    _model,
    _planning,
    _release,
    _rolling,
)
from mlgate.commands._build_inputs import scratch
from mlgate.commands._deploy_rig import Rig
from mlgate.commands._deploy_said import Said
from mlgate.commands._local import prepare_local
from mlgate.commands._registries import Asked as Registries
from mlgate.commands._release import Chosen
from mlgate.commands._run import STATE, Run, relative, say, write_text
from mlgate.config import Config
from mlgate.config.deploying import Environment
from mlgate.errors import MlgateError
from mlgate.forges.deploying import Deployment as Shown
from mlgate.forges.deploying import Planned, Progress
from mlgate.ledger import query
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Deployment as Entry
from mlgate.ledger.kinds import Rollback
from mlgate.model import Evidence, Verdict
from mlgate.rollout import stopping, strategies, targets
from mlgate.rollout.lease import BusyError
from mlgate.rollout.machine import Machine
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import ENDS, State
from mlgate.rollout.targets import Target

OUTPUTS = ("environment", "state", "weight", "image", "version", "url", "rollout", "finished")
Way = Literal["deploy", "plan", "once", "recover", "abort", "drill", "render", "take-down"]


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


class Deployment:
    """One model."""

    def __init__(self, run: Run, config: Config, asked: Asked) -> None:
        self.run = run
        self.config = config
        self.asked = asked
        self.said = Said(config, asked.environment)
        self.chosen: Chosen | None = None
        self.state: State | None = None
        self.url = ""

    def result(self) -> Deployed:
        try:
            self._deploy()
        except BusyError as error:
            if not (self._goes_on and self._by_itself):
                self.said.error(error)
            else:  # a schedule has nothing to do where somebody is at it
                self.said.say("busy", Verdict.PASS, str(error))
        except MlgateError as error:
            self.said.error(error)
        release = self.chosen.release if self.chosen else None
        return Deployed(self.said.evidence(release, self.state), self._outputs(release))

    @property
    def name(self) -> str:
        return self.said.name

    @property
    def settings(self) -> Environment:
        return self.config.deploy.environments[self.name]

    # -- the ways ----------------------------------------------------------------------------------------------------

    def _deploy(self) -> None:
        self.config = self.said.config = _authority.binding(self.run, self.config)
        self.said.name = pick(self.config, self.asked.environment)
        place = _rolling.place(self.run, self.config, self.name, user=self.asked.user)
        with targets.find(place) as target:
            if self.asked.way == "render":
                self._render(place)
                return
            if self.asked.way == "take-down":
                self._take_down(place)
                return
            kept = _deploy_rig.kept(target)
            if self.asked.way == "plan":
                self._plan(target, kept)
            elif self.asked.way == "abort":
                self._abort(target, kept)
            elif self.asked.way == "recover":
                self._recover(target, kept)
            elif self._idle(kept):
                self.state = kept
                self.said.say("idle", Verdict.PASS, f"No rollout is under way in {self.name}: nothing goes on.")
            else:
                self._roll(target, kept)
            self.url = target.url or self.settings.url or ""

    def _idle(self, kept: State | None) -> bool:
        """A schedule only goes on: it would begin again and again with what was turned back."""
        return self._goes_on and self._by_itself and (kept is None or kept.phase in ENDS)

    @property
    def _by_itself(self) -> bool:
        return self.run.forge.event.kind == "schedule"

    @property
    def _goes_on(self) -> bool:
        return self.asked.way == "once"

    def _roll(self, target: Target, kept: State | None) -> None:
        """A new rollout, or the one that is under way: `--once` always goes on with that. Where nothing but tidying up
        is left of it, a schedule does that, and everybody else has come with something new."""
        under_way = kept is not None and (kept.phase not in ENDS if self._by_itself else not kept.over)
        before = kept if kept is not None and ((self._goes_on and under_way) or self._same(kept)) else None
        self.chosen = chosen = self._kept(before) if before is not None else self._find()
        if before is None and (why := self._turned_back(chosen, kept)):
            self.said.say("again", Verdict.INCONCLUSIVE, why)
            return
        if self.asked.way == "drill" and before is None and self._alone(chosen):
            self.said.once(f"the way back in {self.name}: it has no other model, so there is nothing to come back to")
            self.said.say("idle", Verdict.PASS, f"There is no other model in {self.name}, and so no way back to prove.")
            return
        try:
            self._ask(target, chosen, going_on=before is not None, settled=before is not None and before.over)
        except MlgateError as error:
            if before is None or not before.weight:
                raise
            self.said.error(error)  # rather back than left there at its weight, with nobody to watch it
            self._end(target, f"it may not go on: {error}", Verdict.FAIL)
            return
        if self.said.stopped():
            return
        approved_by = self._approval(chosen, before)
        if self.said.stopped():
            return
        with scratch() as folder, stopping.told() as told:
            handed = {"inputs": self.asked.inputs, "python": self.asked.python, "pull": self.asked.pull}
            asked = _checking.asked(self.run, self.config, self.name, chosen.release, scratch=folder, **handed)  # type: ignore[arg-type]
            if self._local and not (before is not None and _runs(target, chosen.release)):
                prepare_local(self.run, self.config, target, chosen, folder=folder, **handed)  # type: ignore[arg-type]
            rig = self._rig("stay" if self.asked.once else "turn back")
            machine = rig.machine(target, approved_by, stopping=told, asked=asked)
            try:
                self._run(machine, chosen, before, kept)
            finally:
                for one in rig.tried:
                    self.said.checks += one.checks
                    self.said.not_run += one.not_run
                    self.said.facts |= one.facts
                    self.said.artifacts += [relative(path) for path in one.artifacts]
        self._ended(machine, chosen)

    def _run(self, machine: Machine, chosen: Chosen, before: State | None, kept: State | None) -> None:
        self.state = state = self._begun(machine, chosen, before, kept)
        shown = self.run.forge.deployment(Planned(
            environment=self.name, commit=chosen.release.commit, tier=self.settings.tier, rollout=state.rollout,
            url=self.settings.url or "", description=f"{self.config.model} {chosen.version}".strip(),
        ))  # fmt: skip
        self._show(shown, "running")
        try:
            self.state = machine.once(state) if self.asked.once else machine.loop(state)
        except MlgateError:
            self._show(shown, "failure")
            with suppress(MlgateError):  # the first error is the one to be told
                self.state = machine.look() or self.state
            raise
        if self.state.over:
            self._show(shown, "success" if self.state.outcome in ("complete", "judged") else "failure")

    def _begun(self, machine: Machine, chosen: Chosen, before: State | None, kept: State | None) -> State:
        if self._goes_on and before is not None:
            state = machine.resume()
            if state is None:
                raise MlgateError(f"the rollout in {self.name} has ended meanwhile.", fix="Look at it with --plan.")
            return state
        drill = self.asked.way == "drill"
        stable = self._stable(chosen)
        # What is there already cannot be compared with itself: it only has to be up, and have everything.
        other = stable is not None and (drill or stable.digest != chosen.release.digest)
        plan = strategies.plan(
            self.settings, stable=other, timeout=float(self.config.serve.timeout_seconds), drill=drill,
            requests=self._requests(kept) if other and not drill else None,
        )  # fmt: skip
        purpose: Literal["drill", "deploy"] = "drill" if drill else "deploy"
        state = machine.begin(chosen.release, stable, plan, strategy=self.settings.strategy, purpose=purpose)
        same = kept is not None and kept.over and kept.rollout == state.rollout
        if same and state.plan.target not in ("", plan.target):
            why = (
                "It is there already, and was started with other settings of its target: these come with the next one."
            )
            self.said.say("settings", Verdict.WARN, why)
        return state

    def _ended(self, machine: Machine, chosen: Chosen) -> None:
        """What the last look said, how it ended, and who follows."""
        state = self.state
        assert state is not None  # noqa: S101 -- it ran
        if machine.judged is not None:
            self.said.judged(machine.judged.checks, state)
        self.said.outcome(state)
        if state.outcome == "complete" and state.candidate.digest == chosen.release.digest and state.plan.serves:
            asked = Registries(self.asked.tracking_uri, push_tags=self.asked.push_tags)
            self.said.checks += _following.follow(self.run, self.config, chosen.release, self.name, asked=asked)

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
        self._ask(target, chosen, settled=True)
        if self.said.stopped():
            return
        with stopping.told() as told:
            machine = self._rig().machine(target, self._approvers(kept), stopping=told)
            plan = strategies.straight(self.settings, timeout=float(self.config.serve.timeout_seconds))
            self.state = machine.recover(current.release if current else None, plan)
        there = ", ".join(f"{slot.name} {slot.weight:g} %" for slot in target.slots() if slot.weight) or "nothing"
        self.said.say("recovered", Verdict.PASS, f"{self.name} and the ledger agree: {there}.")

    def _abort(self, target: Target, kept: State | None) -> None:
        if kept is None or kept.over:
            raise MlgateError(
                f"no rollout is under way in {self.name}.", fix="To put an earlier model back: `mlgate rollback`."
            )
        with suppress(MlgateError):  # it only says what it was: the way back waits for no ledger
            self.chosen = self._kept(kept)
        self._end(target, f"{_rolling.actor(self.run)} ended it.", Verdict.WARN)

    def _end(self, target: Target, why: str, verdict: Verdict) -> None:
        with stopping.told() as told:
            machine = self._rig().machine(target, (), stopping=told)  # approvers are those of its first entry
            self.state = machine.abort(why, verdict)
        if self.state is not None:
            self.said.outcome(self.state)

    def _plan(self, target: Target, kept: State | None) -> None:
        self.chosen = chosen = self._find()
        shown = _planning.shown(self.config, chosen.release, self._stable(chosen), kept, target)
        say(self.run.forge, shown.text)
        self.said.facts |= shown.facts
        self.said.checks += shown.checks
        self.said.title = shown.title

    def _render(self, place: targets.Place) -> None:
        key = f"deploy.environments.{self.name}.target.kind"
        if self.settings.target.kind != "kubernetes":
            raise MlgateError(
                f"is {self.settings.target.kind}, and only kubernetes has manifests.", file=self.config.file, key=key,
                line=self.config.line(key),
            )  # fmt: skip
        from mlgate.rollout.targets.kubernetes import manifests, written  # noqa: PLC0415 -- of this way alone

        self.chosen = chosen = self._find()
        file = self.run.cwd / STATE / "deploy" / self.name / f"{self.config.model}.yaml"
        made = manifests(place, chosen.release)
        write_text(file, written(made))
        self.said.artifacts.append(relative(file))
        self.said.say("rendered", Verdict.PASS, f"{len(made)} objects are in {relative(file)}.")

    def _take_down(self, place: targets.Place) -> None:
        if not self._local:
            raise MlgateError(
                f"{self.name} is of kind {self.settings.target.kind}, and only local environments are taken down.",
                fix="Use the platform's own tools.",
            )
        from mlgate.rollout.targets import local  # noqa: PLC0415 -- of this way alone

        local.take_down(place)
        self.said.say("taken-down", Verdict.PASS, f"Nothing of {self.config.model} runs in {self.name} any more.")

    # -- what is asked before ----------------------------------------------------------------------------------------

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

    def _ask(self, target: Target, chosen: Chosen, *, going_on: bool = False, settled: bool = False) -> None:
        """A rollout that has begun is looked at without its registry, where the image runs: it was let in. What the
        environment has already (`settled`) stays there, or comes back, whatever was judged since."""
        self.said.checks += _authority.checks(
            self.run, self.config, self.name, chosen, user=self.asked.user, inputs=self.asked.inputs,
            going_on=going_on, rollback=settled, running=(going_on or settled) and _runs(target, chosen.release),
        )  # fmt: skip

    def _same(self, kept: State) -> bool:
        """Whether what is under way is just what is asked for."""
        if kept.over or kept.purpose != ("drill" if self.asked.way == "drill" else "deploy"):
            return False
        return self._find().release.digest == kept.candidate.digest

    def _turned_back(self, chosen: Chosen, kept: State | None) -> str:
        """Why it is not tried again by itself: a merge of something else would bring a bad model back."""
        if self.asked.image or self.asked.version or self.asked.way == "drill":
            return ""  # somebody has named it
        what = f"This {self.config.model}{f' ({chosen.version})' if chosen.version else ''}"
        named = f"--version {chosen.version}" if chosen.version else f"--image {chosen.release.image}"
        again = f"It is not tried again by itself: name it ({named}), or deploy another model."
        turned = kept is not None and kept.outcome in ("aborted", "failed")
        by_somebody = (Verdict.FAIL, Verdict.WARN)  # a rule or a check, or a person
        if kept and turned and kept.verdict in by_somebody and kept.candidate.digest == chosen.release.digest:
            return f"{what} was turned back in {self.name}: {kept.reason.rstrip('.')}. {again}"
        for found in reversed(query.history(chosen.records, model=self.config.model, environment=self.name)):
            entry = found.entry
            if isinstance(entry, Rollback) and query.same_model(entry.instead_of, dict(chosen.subject)):
                return f"{what} was rolled back in {self.name} on {entry.at[:10]}: {entry.reason.rstrip('.')}. {again}"
            if isinstance(entry, Entry | Rollback) and query.same_model(entry.subject, dict(chosen.subject)):
                return ""
        return ""

    def _stable(self, chosen: Chosen) -> Release | None:
        """What the ledger says is there."""
        now = _release.there(self.config, chosen.records, self.name)
        if now is None or self.settings.strategy == "batch":
            return None
        return self._entry(chosen.records, now).release

    def _alone(self, chosen: Chosen) -> bool:
        """Whether there is no other model that a drill could come back to."""
        stable = self._stable(chosen)
        return stable is None or stable.digest == chosen.release.digest

    def _requests(self, kept: State | None) -> Sequence[int] | None:
        """What each step needs, where mlgate.yaml does not say it. Raises MlgateError for a plan that cannot decide."""
        if not (self.settings.rules and self.settings.strategy in ("canary", "rolling")):
            return None
        made = _planning.planned(self.config, self.name, kept)
        return [step.canary for step in made.steps] if made else None

    def _approval(self, chosen: Chosen, before: State | None) -> tuple[str, ...]:
        """Who has approved; of a rollout whose beginning the ledger knows, whom that entry names."""
        if before is not None and (before.phase != "begun" or self._approvers(before)):
            return self._approvers(before)
        found = _approved.approved(self.run, self.config, self.name, chosen.release)
        self.said.checks += found.checks
        return found.by

    def _approvers(self, kept: State | None) -> tuple[str, ...]:
        if kept is None:
            return ()
        for record in _model.records(self.run, self.config):
            entry = record.entry
            if isinstance(entry, Entry) and entry.rollout == kept.rollout and entry.approved_by:
                return entry.approved_by
        return ()

    def _rig(self, on_stop: Literal["turn back", "stay"] = "turn back") -> Rig:
        return Rig(self.run, self.config, self.name, on_stop, drill=self.asked.way == "drill")

    # -- what is said ------------------------------------------------------------------------------------------------

    def _show(self, shown: Shown, progress: Progress) -> None:
        """On the forge's page of deployments; where that is not possible, once why not."""
        self.said.once(shown.status(progress, url=self.settings.url or "").said or shown.said)

    def _outputs(self, release: Release | None) -> dict[str, str]:
        state = self.state
        values = (
            self.name,
            (state.outcome or state.phase) if state else "",
            f"{state.weight:g}" if state else "",
            release.image if release else "",
            release.version if release else "",
            self.url,
            state.rollout if state else "",
            str(state.over).lower() if state else "",
        )
        return dict(zip(OUTPUTS, values, strict=True))


def _runs(target: Target, release: Release) -> bool:
    """Whether just this image is there, ready or not. A slot's name is made of the digest, which few platforms lack."""
    there = [slot for slot in target.slots() if slot.name == release.slot]
    return any(not slot.image or slot.image.endswith(release.digest) for slot in there)
