"""Where a rollout stands: everything that the next process needs to go on, and nothing that it must not know.

    state = State.from_json(kept.text)
    state.over, state.verdict, state.weights

It is kept at the target, so it names releases, digests and counts, and never a secret. Times are the target's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlgate.errors import MlgateError
from mlgate.model import ArmSeen, Look, Number, Verdict
from mlgate.rollout.nouns import Release, Tally

SCHEMA = 1
LOOKS = 120  # how many are kept; beyond that, those at which nothing happened are thinned out

Purpose = Literal["deploy", "rollback", "drill", "recover"]
Phase = Literal[
    "begun",  # nothing is done yet
    "starting",  # the candidate comes up, without traffic
    "checking",  # it is tried at its own address
    "moving",  # the weights of `step` are being set
    "watching",  # they are set, and what happens is judged
    "promoting",  # all traffic goes to the candidate
    "settling",  # it has all traffic: the ledger is told
    "keeping",  # the ledger knows; the model before stays until `kept_until`
    "complete",
    "turning",  # all traffic goes back to stable
    "leaving",  # stable has all traffic: the ledger is told, the candidate is taken away
    "judged",
    "aborted",
    "failed",
]
ENDS = ("complete", "judged", "aborted", "failed")
Outcome = Literal["", "complete", "judged", "aborted", "failed"]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, defer_build=True)


class Step(_Plain):
    """One share of the traffic, and what it takes to leave it."""

    weight: Annotated[Number, Field(gt=0, le=100)]  # percent for the candidate
    requests: int = 0  # of the candidate, before it can be promoted
    at_least: Number = 0.0  # seconds
    at_most: Number = 6 * 3600.0  # seconds; then it is turned back as undecided
    judged: bool = True  # False: readiness and time are enough


class Plan(_Plain):
    """The whole way, fixed when it begins: settings that change under way change nothing."""

    steps: tuple[Step, ...] = ()  # none: all traffic at once, after the checks
    serves: bool = True  # False for a batch: there is nothing to weigh
    promotes: bool = True  # False for a shadow or a drill: stable stays the environment's model
    replicas: int = 1
    rolling: bool = False  # servers change hands with the weights, so that there are never many more than `replicas`
    period: Number = 10.0  # seconds between two looks
    warm_up: Number = 10.0  # seconds after a change of weights that do not count
    timeout: Number = 10.0  # seconds that an answer may take: younger requests are not counted yet
    ready_within: Number = 300.0  # seconds
    keep: Number = 0.0  # seconds
    sticky: bool = False  # callers are counted: each once in a step
    rules: tuple[Any, ...] = ()  # as mlgate.yaml says them
    confidence: Number = 0.95
    target: str = ""  # sha256 of what the target was told of its servers


class Seen(_Plain):
    """What both arms did at one weight, in all looks together."""

    weight: Number
    stable: Tally = Tally()
    canary: Tally = Tally()


class State(_Plain):
    """One rollout of one environment, at rest between two transitions."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    rollout: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    purpose: Purpose = "deploy"
    environment: str
    strategy: str
    candidate: Release
    stable: Release | None = None  # what has the traffic before, and gets it back
    plan: Plan = Plan()
    phase: Phase = "begun"
    step: int = 0
    began: Number  # when the rollout did
    changed: Number  # when the phase did
    step_began: Number = 0.0  # when the step's weights were set
    looked: Number = 0.0  # up to where requests are counted, in this step
    due: Number = 0.0  # when the next look is worth its while
    seen: tuple[Seen, ...] = ()  # one for each step that was watched
    streaks: dict[str, int] = Field(default_factory=dict)  # rule -> looks in a row at which it was broken
    unready: int = 0  # looks in a row at which the candidate was not ready
    held: str = ""  # why the last look could not decide
    looks: tuple[Look, ...] = ()
    holder: str = ""  # who goes on with it
    until: Number = 0.0  # when that may be somebody else; 0: at once
    outcome: Outcome = ""  # how it ends, as soon as that is sure
    verdict: Verdict | None = None  # with the outcome
    reason: str = ""  # why it is done, then why it ended so
    seconds: Number | None = None  # from the decision until the other had no traffic, verified
    kept_until: Number = 0.0

    @property
    def model(self) -> str:
        return self.candidate.model

    @property
    def over(self) -> bool:
        """Whether the outcome stands and nothing but tidying up is left."""
        return self.phase in (*ENDS, "keeping")

    @property
    def weight(self) -> float:
        """Percent of the traffic that the candidate has, or is getting."""
        if self.phase in ("moving", "watching"):
            return self.plan.steps[self.step].weight
        return 100.0 if self.phase in ("promoting", "settling", "keeping", "complete") and self.plan.serves else 0.0

    @property
    def weights(self) -> dict[str, float]:
        """Percent by slot, as it has to be in this phase; slots that get nothing are not in it."""
        mine, other = self.candidate.slot, self.stable.slot if self.stable else ""
        if other == mine:
            return {mine: 100.0}
        both = {mine: self.weight, other: 100.0 - self.weight if other else 0.0}
        return {slot: weight for slot, weight in both.items() if weight > 0}

    @property
    def servers(self) -> tuple[int, int]:
        """How many servers the candidate and stable need at the weights of this phase."""
        count = self.plan.replicas
        if not self.plan.rolling or not self.plan.steps:
            return count, count
        share = self.weight or (self.plan.steps[0].weight if self.phase == "starting" else 0.0)
        mine = max(1, round(count * share / 100))
        return mine, max(0, count - mine) if self.phase in ("moving", "watching") else count

    def to_json(self) -> str:
        """One line, the same for the same state."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True)

    @classmethod
    def from_json(cls, text: str) -> State:
        """Raises MlgateError for what is no state of this schema."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise MlgateError(
                f"the state of a rollout that is kept at the target cannot be read ({where}: {first['msg']}).",
                fix="Use the release of mlgate that wrote it, or a newer one.",
            ) from error

    def with_(self, **changes: Any) -> State:
        return self.model_copy(update=changes)

    def to(self, phase: Phase, now: float, **changes: Any) -> State:
        """In another phase, to be gone on with at once."""
        return self.with_(phase=phase, changed=now, due=0.0, **changes)

    def noted(self, look: Look) -> State:
        """With one more look; never more than LOOKS: a quiet one that goes leaves its counts to the next one."""
        looks = [*self.looks, look]
        if len(looks) > LOOKS:
            quiet = [at for at, (one, after) in enumerate(pairwise(looks)) if not one.event and one.step == after.step]
            for at in reversed(quiet[::2] or [0]):
                gone = looks.pop(at)
                if gone.step == looks[at].step and not self.plan.sticky:  # callers are counted from the step's begin
                    looks[at] = _joined(gone, looks[at])
        return self.with_(looks=tuple(looks))


def _joined(one: Look, later: Look) -> Look:
    """Two looks as one, at the time of the later one, with the quantiles of the one that has seen more."""
    return later.model_copy(
        update={"stable": _both(one.stable, later.stable), "canary": _both(one.canary, later.canary)}
    )


def _both(one: ArmSeen | None, later: ArmSeen | None) -> ArmSeen | None:
    if one is None or later is None:
        return one or later
    more = one if one.requests > later.requests else later
    return more.model_copy(update={"requests": one.requests + later.requests, "errors": one.errors + later.errors})


Name = Literal[
    "started", "checked", "advanced", "held", "promoting", "complete", "judged", "rolling back", "aborted", "failed"
]


@dataclass(frozen=True)
class Transition:
    """What the ledger is told. Made of the kept state alone, so that telling it twice says the same twice.

    `candidate` is the release that it is about: not always the one that this run was asked to deploy, because a run
    may first have to end what another has left.
    """

    name: Name
    state: State
    reason: str = ""

    @property
    def id(self) -> str:
        """32 hexadecimal digits: of the same transition of the same rollout always the same."""
        return self.entry_id("")

    def entry_id(self, what: str) -> str:
        """The same, for one of several entries that come of it."""
        step = self.state.step if self.name in ("advanced", "held") else 0
        text = f"{self.state.rollout}/{self.name}/{step}/{what}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def rollout(self) -> str:
        return self.state.rollout

    @property
    def model(self) -> str:
        return self.state.model

    @property
    def environment(self) -> str:
        return self.state.environment

    @property
    def strategy(self) -> str:
        return self.state.strategy

    @property
    def verdict(self) -> Verdict | None:
        return self.state.verdict

    @property
    def purpose(self) -> Purpose:
        return self.state.purpose

    @property
    def candidate(self) -> Release:
        return self.state.candidate

    @property
    def stable(self) -> Release | None:
        return self.state.stable

    @property
    def weight(self) -> float:
        return self.state.weight

    @property
    def at(self) -> float:
        """Seconds since 1970, when it was decided."""
        return self.state.changed

    @property
    def seconds(self) -> float | None:
        return self.state.seconds
