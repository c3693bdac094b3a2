"""The state machine of a rollout: one transition at a time, each kept at the target before the next begins.

    machine = Machine(target, judge=judge, checks=checks, record=record, ...)
    state = machine.begin(candidate, stable, plan, strategy="canary")
    state = machine.loop(state)             # or machine.once(state), by a schedule
    state = machine.put_back(release, stable, plan=plan, reason="...")

Every transition is: do it, tell the ledger, keep that it is done. Each of the three may be repeated, so that a process
that dies anywhere is followed by one that does the same again. What decides the outcome is kept before it is acted on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Literal

from mlgate.errors import MlgateError
from mlgate.model import Check, Verdict
from mlgate.rollout import beginning, phases
from mlgate.rollout.given import Checker, Judge, Judged, LedgerError, Stopped
from mlgate.rollout.hands import Hands, shortened
from mlgate.rollout.lease import Lease
from mlgate.rollout.nouns import Release
from mlgate.rollout.recover import Action, decide
from mlgate.rollout.state import ENDS, Plan, Purpose, State, Transition
from mlgate.rollout.targets import FencedError, NotYetError, Target

__all__ = ["Machine", "Transition"]

TRIES = 3  # of a target or a ledger that does not answer
ROUNDS = 8  # of `recover`: more than any state needs
_FORWARD = ("promoting", "settling", "keeping", "turning", "leaving")  # what is ended even when told to end


class Machine:
    """Takes one environment from one state to the next.

    `record` writes the ledger: idempotent by `Transition.id`, raises MlgateError where the ledger is not reached.
    `clock` and `sleep` are this machine's; everything that is kept is by the target's clock. `stopping` says whether
    the job was told to end; `on_stop`, what then becomes of a canary that nobody would watch any more: its traffic
    goes back to stable, or it stays at its weight for the next job.

    Raises FencedError where another process has taken over, TargetError and LedgerError where one of the two does not
    answer after three tries: then nothing is known to have changed, and the next process goes on from what is kept.
    """

    def __init__(
        self,
        target: Target,
        *,
        judge: Judge,
        checks: Checker,
        record: Callable[[Transition], None],
        holder: str = "",
        lease: float = 60.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
        on_stop: Literal["turn back", "stay"] = "turn back",
    ) -> None:
        mine = Lease(target, holder=f"{holder or 'mlgate'} ({uuid.uuid4().hex[:8]})", length=lease, sleep=sleep)
        self.hands = Hands(target, mine, judge, checks, record, clock, sleep, say, stopping)
        self.on_stop = on_stop

    @property
    def tried(self) -> Sequence[Check]:
        """What the checks of this process said; empty where it made none."""
        return self.hands.tried

    @property
    def judged(self) -> Judged | None:
        """What the last look of this process said."""
        return self.hands.judged

    # -- beginning ----------------------------------------------------------------------------------------------------

    def look(self) -> State | None:
        """What is kept; nothing is taken."""
        return self.hands.lease.look()

    def begin(
        self,
        candidate: Release,
        stable: Release | None,
        plan: Plan,
        *,
        strategy: str,
        purpose: Purpose = "deploy",
        reason: str = "",
        urgent: bool = False,
    ) -> State:
        """The state to go on from, taken.

        An unfinished rollout of the same candidate is gone on with; one of another is turned back first. A candidate
        that has everything already is left as it is. Raises BusyError while another process is at it (unless `urgent`),
        MlgateError where the clocks disagree, or where the target serves what neither `stable` nor the state explains.
        """
        beginning.clocks(self.hands)
        kept = self.hands.lease.take(urgent=urgent)
        if kept is not None and not kept.over:
            if beginning.same(kept, candidate, purpose):
                self.hands.say(f"Goes on with the rollout of {candidate.slot}, which is {kept.phase}.")
                return self.hands.lease.write(kept)
            kept = self._end(kept, f"{candidate.slot} took its place.")
            stable = beginning.stable_after(kept, candidate, stable, purpose)
        there = beginning.already(self.hands, kept, candidate, stable, purpose)
        if there is not None:
            return self.hands.lease.write(there)
        beginning.agreed(self.hands, candidate, stable, plan, purpose)
        now = self.hands.now()
        return self.hands.lease.write(
            State(
                rollout=uuid.uuid4().hex,
                purpose=purpose,
                environment=self.hands.target.place.environment,
                strategy=strategy,
                candidate=candidate,
                stable=stable,
                plan=plan,
                began=now,
                changed=now,
                reason=shortened(reason),
            )
        )

    def resume(self) -> State | None:
        """An unfinished rollout, or one that is not tidied up yet, taken; None where there is none."""
        kept = self.hands.lease.take()
        return None if kept is None or kept.phase in ENDS else self.hands.lease.write(kept)

    # -- going on -----------------------------------------------------------------------------------------------------

    def advance(self, state: State) -> State:
        """One transition or one look. What it gives back is kept already, or did not change."""
        return phases.advance(self.hands, state)

    def loop(self, state: State) -> State:
        """On until the outcome stands and what can be tidied up is. Then, or when it raises, the lease is given up."""
        with self._held():
            return self.hands.lease.give_up(self._run(state))

    def once(self, state: State) -> State:
        """On until there is nothing to do but wait for traffic, for a job that a schedule starts again."""
        with self._held():
            return self.hands.lease.give_up(self._run(state, once=True))

    def _run(self, state: State, *, once: bool = False) -> State:
        failed, looked = 0, False
        while not self._rests(state):
            if self.hands.stopping() and state.phase not in _FORWARD:
                if once or self.on_stop == "stay":
                    return state
                state = self._turned(state, "the job was told to end, and nobody would have watched the canary.")
            if once and looked and state.phase == "watching":
                return state
            try:
                looked = looked or state.phase == "watching"
                state = self.advance(state)
                failed = 0
                if not (once and looked):
                    self._wait(state)
            except (FencedError, Stopped) as error:
                if isinstance(error, FencedError):
                    raise
            except NotYetError as error:
                state = self._patient(error, state)
            except MlgateError as error:
                failed += 1
                self.hands.say(str(error))
                state = self._after(error, state, failed)
        return state

    def _rests(self, state: State) -> bool:
        return state.phase in ENDS or (state.phase == "keeping" and self.hands.now() < state.kept_until)

    def _wait(self, state: State) -> None:
        """Until the next look is due, by the target's clock; a signal ends it."""
        while not self._rests(state) and not self.hands.stopping():
            rest = state.due - self.hands.now()
            if rest <= 0:
                return
            self.hands.sleep(min(rest, 0.5))

    def _patient(self, error: NotYetError, state: State) -> State:
        """Asks again, for as long as a model may take to be ready; then it is an error like any other."""
        if self.hands.now() - state.changed > state.plan.ready_within:
            return self._after(error, state, TRIES)
        self.hands.say(str(error))
        self.hands.sleep(1.0)
        return self._kept(state)

    def _after(self, error: MlgateError, state: State, failed: int) -> State:
        """What was kept by then; after some tries, on the way back where there is one. Raises the error where not."""
        if failed < TRIES:
            self.hands.sleep(min(5.0, state.plan.period))
            with suppress(MlgateError):
                return self._kept(state)
            return state
        if isinstance(error, LedgerError) or state.phase in _FORWARD or state.phase == "begun":
            raise error
        outcome: Literal["aborted", "failed"] = "aborted" if state.seen or state.phase == "watching" else "failed"
        try:
            return self.hands.turn(self._kept(state), outcome, Verdict.ERROR, str(error))
        except MlgateError:
            raise error from None

    def _kept(self, state: State) -> State:
        """What is really kept: a write may have been done although its answer was lost."""
        kept = self.hands.lease.look()
        if kept is None or kept.rollout != state.rollout or kept.holder != self.hands.lease.holder:
            raise FencedError(f"{state.environment} has been taken over by {kept.holder if kept else 'nobody'}.")
        return kept

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Lets the next process go on at once where this one cannot."""
        try:
            yield
        except FencedError:
            raise
        except MlgateError:
            with suppress(MlgateError):
                kept = self.hands.lease.look()
                if kept is not None and kept.holder == self.hands.lease.holder:
                    self.hands.lease.give_up(kept)
            raise

    # -- back ---------------------------------------------------------------------------------------------------------

    def abort(self, reason: str, verdict: Verdict = Verdict.INCONCLUSIVE) -> State | None:
        """Turns back what is under way and is not decided, to the end, whoever is at it; None where nothing is."""
        kept = self.hands.lease.take(urgent=True)
        if kept is None or kept.over:
            return None
        with self._held():
            return self.loop(self._turned(self.hands.lease.write(kept), reason, verdict))

    def put_back(self, release: Release, current: Release | None, *, plan: Plan, reason: str) -> State:
        """An earlier release gets everything, whoever is at it; `current` is what the ledger says is there.

        Where it still runs this is a change of weights, else it is started first. Its transition `complete` has the
        seconds from this call until nothing else had traffic.
        """
        state = self.begin(release, current, plan, strategy="replace", purpose="rollback", reason=reason, urgent=True)
        return self.loop(state)

    def _end(self, kept: State, reason: str) -> State:
        """To the end with another's rollout: back, unless it is decided."""
        with self._held():
            return self._run(self._turned(self.hands.lease.write(kept), reason))

    def _turned(self, state: State, reason: str, verdict: Verdict = Verdict.INCONCLUSIVE) -> State:
        """On its way back, except where the ledger may know already how it ended."""
        if state.phase in ("settling", "keeping", "turning", "leaving", *ENDS):
            return state
        if state.phase == "begun":
            state = self.advance(state)  # the ledger hears of its beginning before it hears of its end
        return self.hands.turn(state, "aborted", verdict, reason)

    # -- making target and ledger agree -------------------------------------------------------------------------------

    def recover(self, current: Release | None, plan: Plan) -> State | None:
        """Until the target has what the ledger says. `current`: by the ledger; `plan`: `strategies.straight`.

        The state that is kept then; None where nothing was ever deployed. Raises MlgateError where a person must look.
        """
        beginning.clocks(self.hands)
        with self._held():
            return self._recover(self.hands.lease.take(), current, plan)

    def _recover(self, state: State | None, current: Release | None, plan: Plan) -> State | None:
        for _ in range(ROUNDS):
            decision = decide(state, current, tuple(self.hands.running().values()), self.hands.now())
            if decision.action == "nothing":
                return state if state is None else self.hands.lease.give_up(state)
            self.hands.say(f"{decision.action}: {decision.why}.")
            if decision.action == "refuse":
                raise MlgateError(
                    f"{decision.why}.", fix="Deploy a release that passed, or take away what runs there by hand."
                )
            state, current = self._recovered(decision.action, state, current, plan)
        raise MlgateError(f"{self.hands.target.place.environment} does not come to rest; something else changes it.")

    def _recovered(
        self, action: Action, state: State | None, current: Release | None, plan: Plan
    ) -> tuple[State | None, Release | None]:
        if action in ("go on", "turn back") and state is not None:
            taken = self.hands.lease.write(state)
            if action == "turn back":
                taken = self._turned(taken, "nobody went on with it.")
            state = self._run(taken)
            return state, state.candidate if state.outcome == "complete" and state.plan.serves else current
        if action == "tell" and state is not None:
            self.hands.tell("complete", state)
            return state, state.candidate
        if action == "tidy":
            state = self.hands.lease.write(state or beginning.nothing(self.hands, current, plan))
            return self.hands.tidy(state, {current.slot} if current and state.plan.serves else set()), current
        if current is None:
            raise MlgateError("there is nothing to restore.")
        begun = self.hands.lease.write(beginning.restoring(self.hands, current, plan))
        restored = self.loop(begun)
        if restored.outcome != "complete":
            raise MlgateError(
                f"{current.slot}, which the ledger names, could not be brought back: {restored.reason}",
                fix="What serves now was left as it is. See why it does not start, or deploy another release.",
            )
        return restored, current
