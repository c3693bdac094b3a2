"""Whether something has been so for long enough: `3 of 5` windows, and since when. Pure.

    stand("breached", ["breached", "unknown", "breached"], Persistence(3, 5)).state == "firing"

The present window is one of the n. One of which nothing is known takes a place among them and is no breach, so that
five windows stay five windows; silence neither raises an alarm nor ends one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from mlgate.config.alarms import Persistence
from mlgate.watch.nouns import State

Standing = Literal["quiet", "pending", "firing", "recovered", "unknown"]
_Firing = Callable[[int], bool]


@dataclass(frozen=True)
class Stood:
    """Where it stands. `since`: how many windows ago it began, 0 for the present one; None where there is nothing.

    `firing`: k of the last n. `pending`: it is so now, and not yet k times. `recovered`: it is not so now, and was
    firing when something was last known. `quiet`: it is not so, and was not. `unknown`: nothing is known now, and it is
    not firing by what was before.
    """

    state: Standing
    breached: int  # of the last n
    unknown: int  # of the last n, as far back as there are readings
    since: int | None


def stand(now: State, before: Sequence[State], persistence: Persistence) -> Stood:
    """`before`: newest first, without gaps, as far back as anything is known."""
    states = (now, *before)
    sums = [0, *accumulate(state == "breached" for state in states)]

    def firing(at: int) -> bool:
        return sums[min(at + persistence.n, len(states))] - sums[at] >= persistence.k

    def first(at: int) -> int:
        """The earliest breach of the n windows that end there."""
        return max(i for i in range(at, min(at + persistence.n, len(states))) if states[i] == "breached")

    last = states[: persistence.n]
    breached, unknown = last.count("breached"), last.count("unknown")
    if firing(0):
        return Stood("firing", breached, unknown, first(_earliest(states, firing, 0)))
    if now == "breached":
        return Stood("pending", breached, unknown, first(0))
    if now == "unknown":
        known = next((i for i, state in enumerate(states) if state != "unknown"), len(states))
        return Stood("unknown", breached, unknown, known - 1)
    for at in range(1, len(states)):
        if firing(at):
            return Stood("recovered", breached, unknown, first(_earliest(states, firing, at)))
        if states[at] == "ok":
            break
    return Stood("quiet", breached, unknown, None)


def _earliest(states: Sequence[State], firing: _Firing, at: int) -> int:
    """The first window of the stretch in which it fires; windows of which nothing is known do not break it."""
    found = at
    for i in range(at + 1, len(states)):
        if firing(i):
            found = i
        elif states[i] != "unknown":
            break
    return found
