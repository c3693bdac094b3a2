"""One transition for each phase: do it, tell the ledger, keep that it is done. Each may be done twice."""

from __future__ import annotations

from collections.abc import Callable

from mlgate.errors import MlgateError
from mlgate.model import Verdict, worst
from mlgate.rollout import watching
from mlgate.rollout.given import LedgerError, Stopped
from mlgate.rollout.hands import ACTION, Hands, shortened
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import ENDS, State
from mlgate.rollout.targets import FencedError, TargetError

POLL = 1.0  # seconds between two questions whether a model is ready


def advance(hands: Hands, state: State) -> State:
    """The next transition, or one look. A state that has ended is given back as it is."""
    return state if state.phase in ENDS else _BY_PHASE[state.phase](hands, state)


def begun(hands: Hands, state: State) -> State:
    state = hands.lease.renew(state, ACTION)
    hands.tell("started", state)
    return hands.move(state, "starting", f"{state.purpose} started")


# -- before the traffic ------------------------------------------------------------------------------------------------


def starting(hands: Hands, state: State) -> State:
    """Brings the candidate up beside what is there, and takes away what nobody knows."""
    state = hands.lease.renew(state, ACTION)
    running = hands.running()
    for release in _wanted(state):
        mine = release.slot == state.candidate.slot
        if release.slot not in hands.started and (mine or release.slot not in running):
            hands.target.start(release, replicas=state.servers[0] if mine else state.plan.replicas)
            hands.started.add(release.slot)
    if state.purpose in ("deploy", "drill"):
        state = hands.tidy(state, {release.slot for release in _wanted(state)})
    found, now = hands.target.ready(state.candidate.slot), hands.now()
    if found.ready:
        if state.purpose in ("deploy", "drill"):
            return hands.move(state, "checking")
        return hands.move(state, "promoting")
    said = f" {found.said}" if found.said else ""
    if found.ended:
        return hands.turn(state, "failed", Verdict.ERROR, f"the model ended before it was ready.{said}")
    if now - state.changed > state.plan.ready_within:
        within = f"{state.plan.ready_within:g} s"
        return hands.turn(state, "failed", Verdict.ERROR, f"the model was not ready within {within}.{said}")
    return state.with_(due=now + POLL)


def _wanted(state: State) -> list[Release]:
    """What has to run: for a way back, and as what the candidate is compared with, the stable model too."""
    both = state.plan.serves and state.purpose in ("deploy", "drill") and state.stable is not None
    return [state.stable, state.candidate] if both and state.stable else [state.candidate]


def checking(hands: Hands, state: State) -> State:
    """Tries the candidate at its own address. What could not be checked is not let through."""
    held = hands.lease.renew(state)

    def alive() -> None:
        nonlocal held
        if hands.stopping():
            raise Stopped
        held = hands.lease.renew(held)

    try:
        tried = hands.checks(hands.target, state.candidate, state.stable, alive)
    except (TargetError, FencedError):
        raise
    except MlgateError as error:
        return hands.turn(held, "failed", Verdict.ERROR, f"it could not be checked: {error}")
    state, hands.tried = held, tuple(tried.checks)
    verdict = worst(check.verdict for check in hands.tried)
    if verdict.rank > Verdict.WARN.rank:
        why = next(
            (f"{one.title}: {one.reason}" for one in hands.tried if one.verdict is verdict), "nothing was checked."
        )
        return hands.turn(state, "aborted" if verdict is Verdict.INCONCLUSIVE else "failed", verdict, why)
    after = _after_checks(hands, state)
    hands.mention("checked", after)
    return after


def _after_checks(hands: Hands, state: State) -> State:
    if not state.plan.serves:
        return hands.move(state, "settling", "checked")
    if state.plan.steps:
        return hands.move(state, "moving", "checked", step=0)
    if not state.plan.promotes:
        ends = {"outcome": "judged", "verdict": Verdict.PASS, "reason": "it went well beside the stable model."}
        return hands.move(state, "leaving", "judged", **ends)
    return hands.move(state, "promoting", "checked")


# -- the traffic comes -------------------------------------------------------------------------------------------------


def moving(hands: Hands, state: State) -> State:
    """Sets the weights of a step. The ledger is told first: where it is not reached, no more traffic comes."""
    state = hands.lease.renew(state, ACTION)
    if not _grown(hands, state):
        return _growing(hands, state)
    try:
        hands.tell("advanced", state)
    except LedgerError as error:
        return _stay(hands, state, error)
    state = hands.lease.renew(state, ACTION)
    hands.target.weigh(state.weights)
    _shrink(hands, state)
    slot, now = hands.running().get(state.candidate.slot), hands.now()
    seen = watching.with_step(state, slot.weight if slot and slot.weight else state.weight)
    watched = state.to("watching", now, step_began=now, looked=0.0, unready=0, held="", seen=seen)
    hands.say(f"{state.weight:g} % of the requests go to {state.candidate.slot}.")
    return hands.lease.write(watching.scheduled(watched, now))


def promoting(hands: Hands, state: State) -> State:
    """All traffic to the candidate, verified."""
    found = hands.target.ready(state.candidate.slot)
    if not found.ready:
        why = f"the model was not ready any more when it was to get all traffic. {found.said}"
        return hands.turn(state, "aborted", Verdict.FAIL, why)
    state = hands.lease.renew(state, ACTION)
    if not _grown(hands, state):
        return _growing(hands, state)
    try:
        hands.tell("promoting", state)
    except LedgerError as error:
        return _stay(hands, state, error)
    state = hands.lease.renew(state, ACTION)
    hands.only(state, state.candidate.slot)
    seconds = hands.now() - state.began if state.purpose == "rollback" else None
    return hands.move(state, "settling", "all traffic", seconds=seconds)


def _grown(hands: Hands, state: State) -> bool:
    """Whether the candidate has as many servers as its new share needs; `rolling` starts them just before."""
    slot = hands.running().get(state.candidate.slot)
    if not state.plan.rolling or slot is None or slot.ready >= state.servers[0]:
        return True
    if slot.replicas < state.servers[0]:
        hands.target.start(state.candidate, replicas=state.servers[0])
    return False


def _growing(hands: Hands, state: State) -> State:
    now = hands.now()
    if now - state.changed > state.plan.ready_within:
        why = f"its {state.servers[0]} servers were not ready within {state.plan.ready_within:g} s."
        return hands.turn(state, "aborted", Verdict.ERROR, why)
    return state.with_(due=now + POLL)


def _shrink(hands: Hands, state: State) -> None:
    """Takes away the servers of stable whose share has gone; the last of them stays as long as it has traffic."""
    slot = hands.running().get(state.stable.slot) if state.stable else None
    if state.plan.rolling and state.stable and slot is not None and slot.replicas > max(1, state.servers[1]):
        hands.target.start(state.stable, replicas=max(1, state.servers[1]))


def _stay(hands: Hands, state: State, error: LedgerError) -> State:
    """Goes on looking at the step before, where there is one whose weights still stand; else raises the error."""
    before = state.step if state.phase == "promoting" else state.step - 1
    if state.purpose == "rollback" or before < 0 or not state.plan.steps:
        raise error
    slot = hands.running().get(state.candidate.slot)
    was = state.plan.steps[before].weight
    if slot is None or abs(slot.weight - was) > abs(slot.weight - state.weight):
        raise error
    hands.say(str(error))
    back = state.to("watching", hands.now(), step=before, held=shortened(str(error)))
    if back.changed - state.step_began > state.plan.steps[before].at_most:
        return hands.turn(back, "aborted", Verdict.INCONCLUSIVE, str(error))
    return hands.lease.write(watching.scheduled(back, back.changed))


def settling(hands: Hands, state: State) -> State:
    """It is the environment's model, and the ledger says so before anything else is taken away."""
    done = hands.lease.renew(state, ACTION).with_(outcome="complete", verdict=Verdict.PASS)
    hands.tell("complete", done)
    kept_until = hands.now() + state.plan.keep
    return hands.move(done, "keeping", "complete", kept_until=kept_until)


def keeping(hands: Hands, state: State) -> State:
    """Takes away everything else, once it has been kept long enough."""
    if hands.now() < state.kept_until:
        return state.with_(due=state.kept_until)
    state = hands.lease.renew(state, ACTION)
    if state.plan.serves and any(s.weight > 0 for name, s in hands.running().items() if name != state.candidate.slot):
        hands.only(state, state.candidate.slot)
    state = hands.tidy(state, {state.candidate.slot} if state.plan.serves else set())
    return hands.move(state, "complete")


# -- the way back ------------------------------------------------------------------------------------------------------


def turning(hands: Hands, state: State) -> State:
    """All traffic back to stable, verified. Nothing comes before it: neither the ledger nor taking anything away."""
    mine, stable = state.candidate.slot, state.stable
    running = hands.running()
    had = mine in running and running[mine].weight > 0
    if not state.plan.serves or state.purpose == "recover" or (stable is not None and stable.slot == mine):
        return hands.move(state, "leaving")  # there is nothing to go back to, or nothing that was changed
    if stable is None and had:
        state = hands.lease.renew(state, ACTION)
        hands.only(state, "")
    elif stable is not None and (had or stable.slot not in running or running[stable.slot].weight == 0):
        state = hands.lease.renew(state, ACTION)
        if not (stable.slot in running and hands.target.ready(stable.slot).ready):
            return _revived(hands, state, stable)
        if running[stable.slot].replicas < state.plan.replicas:
            hands.target.start(stable, replicas=state.plan.replicas)  # its servers that had changed hands
        hands.only(state, stable.slot)
    now = hands.now()
    turned = hands.move(state, "leaving", "no traffic left", seconds=now - state.changed if had else state.seconds)
    hands.mention("rolling back", turned)
    return turned


def _revived(hands: Hands, state: State, stable: Release) -> State:
    """Stable is down just when it is needed: it is brought up again, and until then nothing changes."""
    now = hands.now()
    if stable.slot not in hands.started or now - state.changed > state.plan.ready_within:
        if now - state.changed > state.plan.ready_within:
            raise MlgateError(
                f"{stable.slot}, which should get the traffic back, is not ready at {state.environment}: "
                f"{hands.target.ready(stable.slot).said or 'it does not answer'}",
                fix="See why it does not start; then run `mlgate deploy --recover`.",
            )
        hands.target.start(stable, replicas=state.plan.replicas)
        hands.started.add(stable.slot)
    return state.with_(due=now + POLL)


def leaving(hands: Hands, state: State) -> State:
    """The ledger is told how it ended, and the candidate is taken away."""
    state = hands.lease.renew(state, ACTION)
    if state.outcome in ("judged", "aborted", "failed"):
        hands.tell(state.outcome, state)
    stay = {state.stable.slot} if state.stable and state.plan.serves else set()
    state = hands.tidy(state, stay)
    return hands.move(state, state.outcome or "aborted")


_BY_PHASE: dict[str, Callable[[Hands, State], State]] = {
    "begun": begun,
    "starting": starting,
    "checking": checking,
    "moving": moving,
    "watching": watching.look,
    "promoting": promoting,
    "settling": settling,
    "keeping": keeping,
    "turning": turning,
    "leaving": leaving,
}
