"""What has to be so before a rollout begins, and what an unfinished one means for it."""

from __future__ import annotations

import uuid

from mlgate.errors import MlgateError
from mlgate.rollout.hands import Hands
from mlgate.rollout.lease import apart
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import Plan, Purpose, State


def clocks(hands: Hands) -> None:
    """Raises MlgateError where the two clocks are too far apart: windows and ledger would tell different stories."""
    _, skew = apart(hands.target, hands.clock)
    if skew:
        raise MlgateError(f"{skew}, so that what is seen there cannot be put in order.", fix="Set the clocks (NTP).")


def same(kept: State, candidate: Release, purpose: Purpose) -> bool:
    """Whether an unfinished rollout is the one that is asked for."""
    return kept.candidate.digest == candidate.digest and kept.purpose == purpose


def stable_after(kept: State, candidate: Release, stable: Release | None, purpose: Purpose) -> Release | None:
    """What is stable, now that an unfinished rollout was ended. Raises MlgateError where that changes the question."""
    if kept.outcome != "complete" or kept.purpose == "recover" or kept.candidate.digest == candidate.digest:
        return stable
    if purpose == "rollback":
        return kept.candidate
    raise MlgateError(
        f"{kept.candidate.slot} has just become the model of {kept.environment}: its rollout was decided already.",
        fix="Run `mlgate deploy` again, so that this release is compared with it.",
    )


def already(
    hands: Hands, kept: State | None, candidate: Release, stable: Release | None, purpose: Purpose
) -> State | None:
    """What is kept, where it says that the candidate has everything, the ledger says so, and it is true."""
    if kept is None or kept.outcome != "complete" or kept.candidate.digest != candidate.digest or purpose == "drill":
        return None
    if stable is None or stable.digest != candidate.digest or not kept.plan.serves:
        return None
    there = hands.running().get(candidate.slot)
    others = [slot for slot in hands.target.slots() if slot.name != candidate.slot and slot.weight > 0]
    whole = there is not None and there.weight > 0 and not others and hands.target.ready(candidate.slot).ready
    return kept if whole else None


def agreed(hands: Hands, candidate: Release, stable: Release | None, plan: Plan, purpose: Purpose) -> None:
    """Raises MlgateError where the traffic goes elsewhere than the ledger says, and for a drill that would be none."""
    if purpose == "drill" and (stable is None or stable.digest == candidate.digest):
        raise MlgateError(
            "a drill takes traffic to another model and back, and there is no other here.",
            fix="Drill before the release is deployed, in an environment that has a model.",
        )
    if purpose in ("rollback", "recover") or not plan.serves:
        return
    known = {stable.slot} if stable else {candidate.slot}
    strange = [name for name, slot in hands.running().items() if slot.weight > 0 and name not in known]
    if strange:
        named = stable.slot if stable else "no model"
        raise MlgateError(
            f"{', '.join(strange)} gets traffic at {hands.target.place.environment}, and the ledger names {named}.",
            fix="Run `mlgate deploy --recover` first.",
        )


def restoring(hands: Hands, release: Release, plan: Plan) -> State:
    """The state that brings back what the ledger names, without a word to it."""
    now = hands.now()
    return State(
        rollout=uuid.uuid4().hex,
        purpose="recover",
        environment=hands.target.place.environment,
        strategy="replace",
        candidate=release,
        plan=plan,
        phase="starting",
        began=now,
        changed=now,
        reason="the target and the ledger did not agree.",
    )


def nothing(hands: Hands, release: Release | None, plan: Plan) -> State:
    """A state to hold the target by, where none is kept: what is there, if anything, is there for good."""
    kept = restoring(hands, release or Release("none", "none", {}), plan)
    return kept.with_(phase="complete", outcome="complete")
