"""Who may go on with a rollout: the state that is kept at the target, taken and written by one process at a time.

Two things keep two processes apart. The lease is manners: it says who is at it and until when, by the target's clock.
The fence is the law: `write` succeeds only after the mark that was read last, and the target refuses `start`, `weigh`
and `stop` to a process whose mark is not the latest. A lease that was taken over wrongly costs a message, not a model.
"""

from __future__ import annotations

from collections.abc import Callable

from mlgate.errors import MlgateError
from mlgate.rollout.state import State
from mlgate.rollout.targets import FencedError, Target

SKEW = 30.0  # seconds that two clocks may be apart


class BusyError(MlgateError):
    """Somebody else is at it, and alive."""


class Lease:
    """What is kept at one target, and this process's right to change it."""

    def __init__(self, target: Target, *, holder: str, length: float, sleep: Callable[[float], None]) -> None:
        self.target = target
        self.holder = holder
        self.length = length
        self.sleep = sleep
        self._mark = ""

    def look(self) -> State | None:
        """What is kept, without taking it."""
        kept = self.target.read()
        self._mark = kept.mark if kept else ""
        return State.from_json(kept.text) if kept else None

    def take(self, *, urgent: bool = False) -> State | None:
        """What is kept, once nobody else is at it; None where there is nothing. It is not written yet.

        A holder that died is waited for: its lease ends. One that is alive writes meanwhile: BusyError.
        `urgent`: nobody is waited for; the other process is fenced off by the next write.
        """
        state = self.look()
        if state is None or urgent or not self._of_another(state):
            return state
        before, end = self._mark, state.until
        while (now := self.target.now()) < end:
            self.sleep(min(1.0, max(0.01, end - now)))
            state = self.look()
            if state is None or not self._of_another(state):
                return state
            if self._mark != before:
                raise BusyError(
                    f"{state.environment} is being changed by {state.holder}: {state.candidate.digest[:19]} is "
                    f"{state.phase} there.",
                    fix="Wait until it ends; `mlgate rollback` interrupts it.",
                )
        return state

    def _of_another(self, state: State) -> bool:
        return bool(state.holder) and state.holder != self.holder and self.target.now() < state.until

    def write(self, state: State) -> State:
        """Keeps it, as this process's, for one length from now. Raises FencedError where somebody else has written."""
        held = state.with_(holder=self.holder, until=self.target.now() + self.length)
        self._mark = self.target.write(held.to_json(), after=self._mark)
        return held

    def renew(self, state: State, seconds: float = 0.0) -> State:
        """The same state, with a lease that is longer than `seconds`: what an action that begins now may take."""
        needed = max(seconds, self.length / 2)
        if state.holder == self.holder and state.until - self.target.now() > needed:
            return state
        if state.holder not in ("", self.holder):
            raise FencedError(f"{state.environment} has been taken over by {state.holder}.")
        held = state.with_(holder=self.holder, until=self.target.now() + max(self.length, 2 * needed))
        self._mark = self.target.write(held.to_json(), after=self._mark)
        return held

    def give_up(self, state: State) -> State:
        """Lets the next process go on at once."""
        free = state.with_(holder="", until=0.0)
        self._mark = self.target.write(free.to_json(), after=self._mark)
        return free


def apart(target: Target, clock: Callable[[], float]) -> tuple[float, str]:
    """The target's time, and by how much our clock differs from it, as words; empty where it is little enough."""
    before = clock()
    theirs = target.now()
    after = clock()
    difference = max(before - theirs, theirs - after)
    if difference <= SKEW:
        return theirs, ""
    which = "behind" if theirs < before else "ahead of"
    return theirs, f"the target's clock is {difference:.0f} s {which} this machine's"
