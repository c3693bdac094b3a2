"""One rollback: what is put back, whether it may be, the machine that does it, and what is said of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlgate.commands import _approved, _authority, _earlier, _following, _model, _release, _rolling
from mlgate.commands._build_inputs import scratch
from mlgate.commands._local import prepare_local
from mlgate.commands._registries import Asked as Registries
from mlgate.commands._release import GROUP, Chosen
from mlgate.commands._run import Run, Unloadable, failed, file_name, off, unloadable
from mlgate.config import Config
from mlgate.config.deploying import Environment
from mlgate.errors import MlgateError
from mlgate.ledger.chain import Record
from mlgate.model import Check, Evidence, Named, Verdict, worst
from mlgate.rollout import stopping, strategies, targets
from mlgate.rollout.given import Judged, Tried
from mlgate.rollout.machine import Machine
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State
from mlgate.rollout.targets import Target

VERB = "rollback"


@dataclass(frozen=True)
class Asked:
    """The options of the verb."""

    environment: str = ""
    to: str = ""
    reason: str = ""
    plan: bool = False
    user: str = ""
    tracking_uri: str = ""
    push_tags: bool = True
    inputs: Path = Path()
    python: str = ""
    pull: bool = True


@dataclass
class Result:
    """The evidence of one model, and what the outputs say of it."""

    evidence: Evidence
    outputs: Mapping[str, str] = field(default_factory=dict)


def every(run: Run, asked: Asked) -> int:
    """The one model that --config names; the exit code."""
    run.forget(VERB)
    try:
        found = _one(run, asked)
    except MlgateError as error:
        found = Result(failed(VERB, file_name(run.patterns[0] if run.patterns else ""), error))
    names = ("environment", "state", "image", "version", "instead-of", "seconds", "ledger-head")
    return run.finish(VERB, [found.evidence], {name: found.outputs.get(name, "") for name in names})


def _one(run: Run, asked: Asked) -> Result:
    files = run.config_files()
    if not files:
        raise run.no_config()
    if len(files) > 1:
        raise MlgateError(
            f"a rollback is one model's, and {len(files)} are configured here.", fix=f"Name one: --config {files[0]}"
        )
    own = run.load(files[0])
    if isinstance(own, Unloadable):
        return Result(unloadable(VERB, own))
    if own.mode == "off":
        return Result(off(VERB, own))
    return PuttingBack(run, own, asked).result()


class PuttingBack:
    """Whatever was found out is in the evidence, also where it ends early."""

    def __init__(self, run: Run, config: Config, asked: Asked) -> None:
        self.run = run
        self.config = config
        self.asked = asked
        self.name = asked.environment
        self.checks: list[Check] = []
        self.title = ""
        self.state: State | None = None
        self.release: Release | None = None
        self.taken: Release | None = None
        self.head = ""
        self.url = ""

    def result(self) -> Result:
        try:
            self._roll()
        except MlgateError as error:
            self._add("step", f"roll back {self.name}", Verdict.ERROR, str(error))
        return Result(self._evidence(), self._outputs())

    @property
    def settings(self) -> Environment:
        return _authority.environment(self.config, self.name)

    def _roll(self) -> None:
        self.config = _authority.binding(self.run, self.config)
        self.name = self._environment()
        if not self.asked.plan and not self.asked.reason:
            raise MlgateError("a rollback says why, for those who ask later.", fix="Give --reason.")
        with targets.find(_rolling.place(self.run, self.config, self.name, user=self.asked.user)) as target:
            kept = _machine(target, record=_unsaid).look()
            self.url = target.url or self.settings.url or ""
            if kept is not None and not kept.over and kept.purpose != "rollback" and not self.asked.to:
                self._turn_back(target, kept)
            else:
                self._put_back(target, _model.records(self.run, self.config))

    def _environment(self) -> str:
        names = list(self.config.deploy.environments)
        if self.asked.environment:
            _authority.environment(self.config, self.asked.environment)
            return self.asked.environment
        if len(names) == 1:
            return names[0]
        raise MlgateError(
            f"{self.config.file} has {len(names)} environments.",
            fix=f"Name one: --environment {names[-1]}." if names else "Add one under `deploy.environments`.",
        )

    # -- a rollout that is under way ---------------------------------------------------------------------------------

    def _turn_back(self, target: Target, kept: State) -> None:
        """The way back from a canary is to what has the rest of the traffic: nothing has to be looked up."""
        self.release, self.taken = kept.stable, kept.candidate
        at = f"{_called(kept.candidate)} is at {kept.weight:g} % of {self.name}"
        if self.asked.plan:
            self._add("plan", "What would be done", Verdict.PASS, f"{at}, and would be turned back; no more.")
            return
        record = _rolling.Recorder(self.run, self.config)
        with stopping.told() as told:
            machine = _machine(target, record=record, run=self.run, config=self.config, stopped=told)
            self.state = machine.abort(f"rolled back by hand: {self.asked.reason}", Verdict.WARN)
        self.head = record.head.token if record.head else ""
        if self.state is None:
            raise MlgateError(f"the rollout in {self.name} ended meanwhile, and nothing was done.", fix="Run it again.")
        if self.state.outcome not in ("aborted", "failed"):
            reason = f"{at} was too late: it had ended as {self.state.outcome or self.state.phase}. Run it again."
            self._add("outcome", "Turned back", Verdict.ERROR, reason)
            return
        self._add("outcome", "Turned back", Verdict.PASS, f"{at[: at.index(' is at ')]} was turned back.")
        self._verified(target, self.release)

    # -- an earlier model --------------------------------------------------------------------------------------------

    def _put_back(self, target: Target, records: tuple[Record, ...]) -> None:
        config, local = self.config, self.settings.target.kind == "local"
        called = config.register_.name or config.model
        wanted = _earlier.find(records, model=config.model, name=called, environment=self.name, to=self.asked.to)
        chosen = _release.of_entry(self.run, config, records, wanted, local=local)
        there = _release.there(config, records, self.name)
        self.release = chosen.release
        self.taken = _release.of_entry(self.run, config, records, there, local=local).release if there else None
        running = _runs(target, chosen.release)
        self.checks += _authority.checks(
            self.run, config, self.name, chosen, rollback=True, running=running, user=self.asked.user
        )
        if self.asked.plan:
            how = "still runs: only weights change" if running else "is started, and has to be ready first"
            reason = f"{_called(chosen.release)}, in {self.name} since {wanted.entry.at[:10]}, {how}."
            self._add("plan", "What would be done", Verdict.PASS, reason)
            return
        approved = _approved.approved(self.run, config, self.name, chosen.release)
        self.checks += approved.checks
        if self._stopped():
            return
        if local and not running:
            self._prepare(target, chosen)
        record = _rolling.Recorder(self.run, config, approved_by=approved.by)
        with stopping.told() as told:
            machine = _machine(target, record=record, run=self.run, config=config, stopped=told)
            plan = strategies.straight(self.settings, timeout=float(config.serve.timeout_seconds))
            self.state = machine.put_back(chosen.release, self.taken, plan=plan, reason=self.asked.reason)
        self.head = record.head.token if record.head else ""
        self._put(target, chosen)

    def _prepare(self, target: Target, chosen: Chosen) -> None:
        with scratch() as folder:
            prepare_local(
                self.run, self.config, target, chosen, folder=folder, inputs=self.asked.inputs,
                python=self.asked.python, pull=self.asked.pull,
            )  # fmt: skip

    def _put(self, target: Target, chosen: Chosen) -> None:
        """How it ended; what follows only where it ended well."""
        state = self.state
        assert state is not None  # noqa: S101 -- the machine gives one, or raises
        if state.outcome != "complete" or state.candidate.digest != chosen.release.digest:
            reason = f"{_called(chosen.release)} was not put back: {state.reason or 'it is under way still.'}"
            verdict = max(state.verdict or Verdict.ERROR, Verdict.INCONCLUSIVE, key=lambda one: one.rank)
            self._add("outcome", "Put back", verdict, reason)
            return
        took = f" within {state.seconds:.1f} s" if state.seconds is not None else ""
        self._add("outcome", "Put back", Verdict.PASS, f"{_called(chosen.release)} is in {self.name} again{took}.")
        self._verified(target, chosen.release)
        self.checks += _following.follow(
            self.run, self.config, chosen.release, self.name,
            asked=Registries(self.asked.tracking_uri, "", self.asked.push_tags),
        )  # fmt: skip

    # -- what is said ------------------------------------------------------------------------------------------------

    def _verified(self, target: Target, kept: Release | None) -> None:
        """What the router really has, asked once more: nothing that was taken away gets a request."""
        found = target.slots()
        others = [slot for slot in found if slot.weight and (kept is None or slot.name != kept.slot)]
        mine = next((slot.weight for slot in found if kept is not None and slot.name == kept.slot), 0.0)
        if others:
            reason = f"{others[0].name} still gets {others[0].weight:g} % of the requests."
            self._add("traffic", "No traffic on what was taken away", Verdict.ERROR, reason)
        elif kept is not None and mine < 100:
            reason = f"{kept.slot} gets {mine:g} % of the requests, and nothing else gets any."
            self._add("traffic", "No traffic on what was taken away", Verdict.ERROR, reason)
        else:
            reason = f"The router gives all requests to {kept.slot}." if kept else "The router gives nobody a request."
            self._add("traffic", "No traffic on what was taken away", Verdict.PASS, reason, observed=0.0)

    def _add(self, what: str, title: str, verdict: Verdict, reason: str, *, observed: float | None = None) -> None:
        self.checks.append(Check(
            id=f"rollback.{what}", group=GROUP, title=title, verdict=verdict, reason=reason, observed=observed
        ))  # fmt: skip
        if what != "traffic" or verdict is not Verdict.PASS:
            self.title = reason

    def _stopped(self) -> bool:
        """Worse than a warning is not gone on with, whatever `fail_on` says."""
        bad = [check for check in self.checks if check.verdict.rank > Verdict.WARN.rank]
        if bad:
            self.title = max(bad, key=lambda check: check.verdict.rank).reason
        return bool(bad)

    def _evidence(self) -> Evidence:
        release, state = self.release, self.state
        facts: dict[str, str | float] = {"environment": self.name} if self.name else {}
        facts |= {"image": release.image, "version": release.version} if release else {}
        facts |= {"instead_of": self.taken.version or self.taken.digest} if self.taken else {}
        facts |= {"seconds_to_zero": round(state.seconds, 3)} if state and state.seconds is not None else {}
        return Evidence(
            kind=VERB,
            model=self.config.model,
            title=self.title,
            verdict=worst(check.verdict for check in self.checks),
            mode="enforce",
            fail_on="inconclusive",  # what did not do its work never ends well
            subject=Named(name=release.image, digest=dict(release.subject), role="model") if release else None,
            checks=self.checks,
            facts={key: value for key, value in facts.items() if value != ""},
            timeline=list(state.looks) if state else [],
        )

    def _outputs(self) -> dict[str, str]:
        release, state = self.release, self.state
        return {
            "environment": self.name,
            "state": (state.outcome or state.phase) if state else "",
            "image": release.image if release else "",
            "version": release.version if release else "",
            "instead-of": self.taken.image if self.taken else "",
            "seconds": f"{state.seconds:.3f}" if state and state.seconds is not None else "",
            "ledger-head": self.head,
        }


def _called(release: Release) -> str:
    return f"{release.model} {release.version or release.digest[:19]}"


def _runs(target: Target, release: Release) -> bool:
    """Whether just this image runs there now, as far as the platform can tell its digest."""
    return any(
        slot.name == release.slot and slot.ready > 0 and slot.image.endswith(release.digest) for slot in target.slots()
    )


def _machine(
    target: Target, *, record: Callable[..., None], run: Run | None = None, config: Config | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Machine:  # fmt: skip
    return Machine(
        target,
        judge=_never,
        checks=_untried,
        record=record,
        holder=(run.forge.event.run_url or _rolling.actor(run)) if run else "",
        lease=float(config.deploy.lease) if config else 60.0,
        say=_tell,
        stopping=stopped,
        on_stop="stay",
    )


def _tell(text: str) -> None:
    sys.stderr.write(f"{text.rstrip()}\n")
    sys.stderr.flush()


def _unsaid(_: object) -> None:
    """Of a machine that only looks."""


def _never(state: State, *, complete: bool, why: str) -> Judged:
    """On the way back nothing is judged."""
    raise MlgateError(f"a rollback came to judge {state.candidate.slot} ({complete}, {why}).")


def _untried(target: Target, candidate: Release, stable: Release | None, alive: Callable[[], None], /) -> Tried:
    """What is put back was tried when it came."""
    raise MlgateError(f"a rollback came to try {candidate.slot} again.")
