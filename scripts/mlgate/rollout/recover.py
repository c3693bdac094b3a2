"""What to do when nobody knows how the last rollout ended: from what is kept, what runs and what the ledger says.

The ledger's word is what should be there. Only where it says nothing is a rollout that had ended believed, and what
serves without anybody knowing it is never taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlgate.rollout.nouns import Release, Slot
from mlgate.rollout.state import State

Action = Literal[
    "nothing",  # target and ledger agree
    "go on",  # what is under way is ended as it was decided
    "turn back",  # what is under way was not decided: stable gets everything
    "tell",  # the ledger is told of what has ended here
    "tidy",  # slots without traffic, that nobody knows, are taken away
    "restore",  # the ledger's model gets everything
    "refuse",  # a person has to look
]


@dataclass(frozen=True)
class Decision:
    action: Action
    why: str


def decide(kept: State | None, current: Release | None, slots: Sequence[Slot], now: float) -> Decision:
    """One thing to do; then it is asked again, until it is `nothing` or `refuse`.

    `current`: what the ledger says is there; `now`: by the target's clock.
    """
    if kept is not None and not kept.over:
        decided = kept.purpose in ("rollback", "recover") or kept.phase in (
            "promoting",
            "settling",
            "turning",
            "leaving",
        )
        if decided:
            return Decision("go on", f"the {kept.purpose} of {kept.candidate.slot} was {kept.phase}")
        return Decision("turn back", f"nobody went on with the {kept.purpose} of {kept.candidate.slot} ({kept.phase})")
    serving = [slot for slot in slots if slot.weight > 0]
    mine = kept is not None and kept.outcome == "complete" and kept.plan.serves
    if current is None:
        return _unknown(kept if mine else None, serving, slots)
    if kept is not None and not kept.plan.serves:
        idle = [slot.name for slot in slots]
        return Decision("tidy", f"{', '.join(idle)} is left of a batch") if idle else Decision("nothing", "batches")
    there = next((slot for slot in slots if slot.name == current.slot), None)
    if [slot.name for slot in serving] != [current.slot] or there is None or not there.ready:
        seen = ", ".join(slot.name for slot in serving) or "nothing"
        return Decision("restore", f"the ledger names {current.slot}, and {seen} serves")
    if kept is not None and kept.phase == "keeping" and kept.kept_until <= now:
        return Decision("go on", f"what {kept.candidate.slot} replaced was kept long enough")
    left = [slot.name for slot in slots if slot.name != current.slot]
    if left and not (kept is not None and kept.phase == "keeping"):
        return Decision("tidy", f"{', '.join(left)} is left over")
    return Decision("nothing", f"{current.slot} serves, as the ledger says")


def _unknown(kept: State | None, serving: Sequence[Slot], slots: Sequence[Slot]) -> Decision:
    names = ", ".join(slot.name for slot in serving)
    if kept is not None and [slot.name for slot in serving] == [kept.candidate.slot]:
        return Decision("tell", f"{kept.candidate.slot} serves, and the ledger knows of no model here")
    if serving:
        return Decision("refuse", f"{names} serves, and neither the ledger nor the target knows how it came there")
    if slots:
        return Decision(
            "tidy", f"{', '.join(slot.name for slot in slots)} has no traffic, and the ledger knows of none"
        )
    return Decision("nothing", "nothing is deployed here")
