"""What every transition works with: the target, the lease, the ledger, and the little that all of them do alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from mlgate.errors import MlgateError
from mlgate.model import ArmSeen, Check, Look, Verdict
from mlgate.rollout.given import Checker, Judge, Judged, LedgerError
from mlgate.rollout.lease import Lease
from mlgate.rollout.nouns import Slot
from mlgate.rollout.state import Name, Outcome, Phase, State, Transition
from mlgate.rollout.targets import FencedError, Target

ACTION = 30.0  # seconds that one call of a target may take: it begins only while the lease is longer
LOOKS_AT_WEIGHTS = 10  # until a router that was told has to have done it
WORDS = 480  # of a reason, as the ledger holds it


@dataclass
class Hands:
    """The edges of one process. `tried`, `judged` and `started` are what this process has seen and done itself."""

    target: Target
    lease: Lease
    judge: Judge
    checks: Checker
    record: Callable[[Transition], None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    say: Callable[[str], None]
    stopping: Callable[[], bool]
    tried: Sequence[Check] = ()
    judged: Judged | None = None
    started: set[str] = field(default_factory=set)

    def now(self) -> float:
        return self.target.now()

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def tell(self, name: Name, state: State, reason: str = "") -> None:
        """Writes a transition to the ledger. Raises LedgerError where it is not known to be there."""
        if state.purpose == "recover":
            return  # it makes true what the ledger says already
        try:
            self.record(Transition(name, state, reason or state.reason))
        except FencedError:
            raise
        except MlgateError as error:
            raise LedgerError(
                f"the ledger could not be told that the rollout is {name}: {_sentence(error)}",
                fix="The rollout stays where it is; the next `mlgate deploy` or `--recover` goes on from there.",
            ) from error

    def mention(self, name: Name, state: State, reason: str = "") -> None:
        """The same for what nothing depends on: where it fails, that is said, and no more."""
        try:
            self.tell(name, state, reason)
        except LedgerError as error:
            self.say(str(error))

    # -- the state ----------------------------------------------------------------------------------------------------

    def move(self, state: State, phase: Phase, event: str = "", **changes: object) -> State:
        """Keeps the state in another phase, with what happened in its timeline."""
        now = self.now()
        moved = state.to(phase, now, **changes)
        return self.lease.write(noted(moved, now, event) if event else moved)

    def turn(self, state: State, outcome: Outcome, verdict: Verdict, reason: str) -> State:
        """Keeps the decision that all traffic goes back. It is acted on in the next transition."""
        words = shortened(reason)
        self.say(f"Turned back: {words}")
        moved = state.to("turning", self.now(), outcome=outcome, verdict=verdict, reason=words)
        return self.lease.write(noted(moved, moved.changed, f"turned back: {words}"))

    # -- the traffic --------------------------------------------------------------------------------------------------

    def running(self) -> dict[str, Slot]:
        return {slot.name: slot for slot in self.target.slots()}

    def only(self, state: State, slot: str) -> None:
        """Gives all traffic to one slot ("": to none). Raises MlgateError where the router does not do it."""
        for attempt in self._looks():
            if attempt % 4 == 0:  # a process that was fenced off may have had one last call under way
                self.target.weigh({slot: 100.0} if slot else {})
            slots = self.running()
            others = [name for name, one in slots.items() if name != slot and one.weight > 0]
            if not others and (not slot or (slot in slots and slots[slot].weight > 0)):
                return
        said = f"{', '.join(others)} still gets traffic" if others else f"{slot} gets no traffic"
        raise MlgateError(
            f"{said} at {state.environment}, although its router was told otherwise.",
            fix="Look at the router; then run `mlgate deploy --recover`.",
        )

    def _looks(self) -> Iterator[int]:
        for attempt in count():
            if attempt == LOOKS_AT_WEIGHTS:
                return
            if attempt:
                self.sleep(0.25)
            yield attempt

    def tidy(self, state: State, stay: set[str]) -> State:
        """Takes away every slot that has no traffic and is not to stay."""
        for name, slot in self.running().items():
            if name not in stay and slot.weight == 0:
                state = self.lease.renew(state, self.target.place.drain + ACTION)
                self.target.stop(name)
        return state


def noted(state: State, now: float, event: str, stable: ArmSeen | None = None, canary: ArmSeen | None = None) -> State:
    """With one more line in its timeline."""
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    step = f"{state.weight:g} %" if state.phase in ("moving", "watching") else state.phase
    return state.noted(
        Look(at=at, weight=state.weight, step=step, event=shortened(event), stable=stable, canary=canary)
    )


def shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= WORDS else plain[: WORDS - 1] + "…"


def _sentence(error: MlgateError) -> str:
    return shortened(str(error)).rstrip(".") + "."
