"""One look at a step: is the candidate up, what did both arms do, what do the rules say, is it time."""

from __future__ import annotations

from dataclasses import dataclass

from mlgate.errors import MlgateError
from mlgate.model import ArmSeen, Verdict
from mlgate.rollout.analysis import bins
from mlgate.rollout.analysis.outcome import merged
from mlgate.rollout.given import Judged
from mlgate.rollout.hands import Hands, noted
from mlgate.rollout.lease import apart
from mlgate.rollout.nouns import Tally
from mlgate.rollout.state import Seen, State, Step
from mlgate.rollout.targets import FencedError, TargetError

LATE = 3.0  # seconds beyond the timeout until a router has given up and written its line
EARLY = 3  # periods of a step after which the judge should have seen what it needs
UNREADY = 2  # looks in a row at which the candidate may not answer before it is turned back

NOTHING = Tally()


@dataclass(frozen=True)
class _Window:
    """What was counted since the look before; `why` says what cannot be relied on in it."""

    stable: Tally = NOTHING
    canary: Tally = NOTHING
    why: str = ""
    until: float = 0.0  # up to when was counted; 0: it was too early to count anything

    @property
    def counted(self) -> bool:
        return self.until > 0


def look(hands: Hands, state: State) -> State:
    """Judges the running step. What cannot be seen holds; it neither promotes nor, by itself, rolls back."""
    now, skew = apart(hands.target, hands.clock)
    found = hands.target.ready(state.candidate.slot)
    unready = 0 if found.ready else state.unready + 1
    if found.ended or unready >= UNREADY:
        said = f"the model does not answer any more. {found.said}"
        return hands.turn(state, "aborted", Verdict.FAIL, said)
    state = state.with_(unready=unready)
    window = _Window()
    if state.plan.steps[state.step].judged:
        window = _observed(hands, state, now, skew or _of_router(hands, state) or _of_stable(hands, state))
        state = _counted(state, window)
    judged = _judged(hands, state, window)
    if judged is not None and not isinstance(judged, str):
        hands.judged = judged
        state = state.with_(streaks=dict(judged.streaks))
        if judged.outcome == "roll back":
            state = noted(state, now, "a rule is broken", _arm(window.stable), _arm(window.canary))
            return hands.turn(state, "aborted", Verdict.FAIL, judged.reason)
    return _decided(hands, state, window, judged, now)


def _decided(hands: Hands, state: State, window: _Window, judged: Judged | str | None, now: float) -> State:
    step = state.plan.steps[state.step]
    held = "" if _is_early(state, window, judged, now) else _held(state, window, judged)
    rests = now - state.step_began < step.at_least or state.unready > 0
    ahead = _is_enough(state, step, judged) and not held and not rests
    event = "" if not held or held == state.held else f"held: {held}"
    if event:
        hands.say(f"Held: {held}")
    first = bool(event) and not state.held
    state = noted(state.with_(held=held), now, event, _arm(window.stable), _arm(window.canary))
    if ahead:
        return _onward(hands, state)
    if now - state.step_began > step.at_most:
        last = held or (judged.reason if judged is not None and not isinstance(judged, str) else "")
        why = f"{step.weight:g} % was not decided within {step.at_most:g} s. {last}".strip()
        return hands.turn(state, "aborted", Verdict.INCONCLUSIVE, why)
    state = hands.lease.write(scheduled(state, now))
    if first:
        hands.mention("held", state, held)
    return state


def _onward(hands: Hands, state: State) -> State:
    if state.step + 1 < len(state.plan.steps):
        return hands.move(state, "moving", step=state.step + 1)
    if not state.plan.promotes:
        return hands.turn(state, "judged", Verdict.PASS, "a drill: the way back is taken on purpose.")
    return hands.move(state, "promoting")


def scheduled(state: State, now: float) -> State:
    """With the time of the next look."""
    return state.with_(due=now + state.plan.period)


def with_step(state: State, weight: float) -> tuple[Seen, ...]:
    """What was seen, and nothing yet at a new weight: percent, as the router really has it."""
    return (*state.seen, Seen(weight=weight)) if state.plan.steps[state.step].judged else state.seen


# -- what is counted ---------------------------------------------------------------------------------------------------


def _of_router(hands: Hands, state: State) -> str:
    """Where it gives another share than it was told: what is seen then is of a step that nobody has planned."""
    asked, real = state.plan.steps[state.step].weight, state.seen[-1].weight if state.seen else 0.0
    if not hands.target.exact or abs(real - asked) <= 1:
        return ""
    return f"the router gives it {real:g} % of the traffic, and should {asked:g} %"


def _of_stable(hands: Hands, state: State) -> str:
    if state.stable is None or hands.target.ready(state.stable.slot).ready:
        return ""
    return f"{state.stable.slot}, with which it is compared, is not ready"


def _observed(hands: Hands, state: State, now: float, doubt: str) -> _Window:
    """Requests that began after the warm-up and are old enough to have an answer: late errors are counted, too."""
    plan = state.plan
    first = state.step_began + plan.warm_up
    # Callers cannot be added up over two windows: with `sticky` all of the step is read anew each time.
    since = first if plan.sticky else max(first, state.looked)
    until = now - plan.timeout - LATE
    if now < max(state.step_began, state.looked):
        return _Window(why="the target's clock went back")
    if until <= since:
        return _Window(why=doubt)
    mine, other = state.candidate.slot, state.stable.slot if state.stable else ""
    seen = hands.target.observe([slot for slot in (other, mine) if slot], since, until)
    tallies = seen.tallies
    why = doubt or ("" if seen.complete else (seen.why or "not everything that happened could be read"))
    return _Window(tallies.get(other, NOTHING), tallies.get(mine, NOTHING), why, min(seen.until, until))


def _counted(state: State, window: _Window) -> State:
    if not window.counted:
        return state
    *before, running = state.seen
    if state.plan.sticky:
        running = running.model_copy(update={"stable": window.stable, "canary": window.canary})
    else:
        both = {"stable": merged(running.stable, window.stable), "canary": merged(running.canary, window.canary)}
        running = running.model_copy(update=both)
    return state.with_(seen=(*before, running), looked=max(state.looked, window.until))


def _judged(hands: Hands, state: State, window: _Window) -> Judged | str | None:
    """What the judge says; words where it cannot; None where there is nothing to judge yet, or nothing to be judged."""
    if not state.plan.steps[state.step].judged or (not window.counted and not state.looked):
        return None
    try:
        return hands.judge(state, complete=not window.why, why=window.why)
    except (TargetError, FencedError):
        raise
    except MlgateError as error:
        return str(error)


def _held(state: State, window: _Window, judged: Judged | str | None) -> str:
    if state.unready:
        return f"{state.candidate.slot} did not answer when it was asked whether it is ready"
    if window.why:
        return window.why
    if isinstance(judged, str):
        return judged
    return judged.reason if judged is not None and judged.outcome == "hold" else ""


def _is_early(state: State, window: _Window, judged: Judged | str | None, now: float) -> bool:
    """Whether the step has just begun to be counted: that the judge lacks something then is no news, and promotes
    nothing either."""
    if window.why or state.unready or judged is None or isinstance(judged, str):
        return False
    plan = state.plan
    counted = now - state.step_began - plan.warm_up - plan.timeout - LATE
    return judged.outcome == "hold" and counted < EARLY * plan.period


def _is_enough(state: State, step: Step, judged: Judged | str | None) -> bool:
    if not step.judged:
        return True
    if judged is None or isinstance(judged, str) or judged.outcome != "promote":
        return False
    canary = state.seen[-1].canary
    return ((canary.units or 0) if state.plan.sticky else canary.requests) >= max(1, step.requests)


def _arm(tally: Tally) -> ArmSeen:
    p50, p95, p99 = (_quantile(tally, share) for share in (0.5, 0.95, 0.99))
    return ArmSeen(
        requests=tally.requests, errors=tally.errors, latency_p50_ms=p50, latency_p95_ms=p95, latency_p99_ms=p99
    )


def _quantile(tally: Tally, share: float) -> float | None:
    """In milliseconds, to the width of a bin."""
    left = share * tally.times.total
    for bin_ in sorted(tally.times.counts):
        left -= tally.times.counts[bin_]
        if left <= 0:
            return round(bins.longest(bin_) * 1000, 3)
    return None
