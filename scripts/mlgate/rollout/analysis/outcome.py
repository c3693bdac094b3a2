"""What one look at a rollout concludes: promote, go on, hold or roll back, with the numbers that decided.

A rule that is proven to be broken rolls back, at any look. Nothing is promoted before the planned exposure, nor before
every rule is proven to hold: silence never promotes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from mlgate.config.conditions import KNOWN, Condition, Group, Tree, leaves
from mlgate.model import Check, Verdict
from mlgate.rollout.analysis import measured, mismatch
from mlgate.rollout.analysis.counts import Pair
from mlgate.rollout.analysis.differences import difference_evidence
from mlgate.rollout.analysis.failing import pair
from mlgate.rollout.analysis.found import Found, Levels, MissingError, State, Stratum
from mlgate.rollout.nouns import Histogram, Tally

__all__ = ["Judged", "Stratum", "judge", "merged"]

REFUSED_MOST = 0.75  # of its requests, beyond which nothing is known of a canary
REFUSED_MORE = 0.05  # of the requests, by which a canary may refuse more than stable
Outcome = Literal["promote", "continue", "hold", "roll back"]


@dataclass(frozen=True)
class Judged:
    """`promote`: on to the next weight, or to everything after the last. `hold`: what was seen cannot be used."""

    outcome: Outcome
    reason: str  # one sentence, with the numbers that decided
    checks: tuple[Check, ...] = ()
    streaks: Mapping[str, int] = field(default_factory=dict)  # rule -> looks in a row at which it was broken


@dataclass(frozen=True)
class _Leaf:
    condition: Condition
    found: Found
    streak: int

    @property
    def state(self) -> State:
        """Broken only after so many looks in a row."""
        if self.found.state == "broken" and self.streak < self.condition.periods:
            return "undecided"
        return self.found.state


def judge(
    rules: Sequence[Tree],
    strata: Sequence[Stratum],
    *,
    confidence: Decimal | float,
    planned: int,
    last: bool = True,
    steps: int | None = None,
    metrics: measured.Metrics | None = None,
    streaks: Mapping[str, int] | None = None,
    sticky: bool = False,
    complete: bool = True,
    why: str = "",
) -> Judged:
    """One look.

    `strata`: all steps begun, the running one last. `planned`: requests (with `sticky`: callers) of the canary in the
    running step; `last`: whether everything follows it. `steps`: how many the rollout has. `metrics`: numbers of the
    user's own, or why there are none. `streaks`: what the look before gave. `complete`, `why`: of what was observed.
    """
    found: dict[str, _Leaf] = {}
    alpha = 1 - float(confidence)
    counted = sum(leaf.metric in KNOWN for tree in rules for leaf in leaves(tree))
    for tree in rules:
        inner = list(leaves(tree))
        for condition in inner:
            # Any one leaf may roll back. To promote, each rule has to be proven; of alternatives any one would do.
            high = alpha / (len(inner) if _has_any(tree) else 1)
            levels = Levels(alpha / max(1, counted), high, max(steps or 1, len(strata)), sticky)
            one = measured.find(condition, strata, levels, metrics or {})
            before = (streaks or {}).get(condition.text, 0)
            streak = {"broken": before + 1, "missing": before}.get(one.state, 0)
            found[condition.text] = _Leaf(condition, one, streak)
    states = [_state(tree, found) for tree in rules]
    running = (*_refused(strata, alpha), *_running(strata, planned, sticky=sticky, complete=complete, why=why))
    checks = (*(_check(leaf, tree, found) for tree in rules for leaf in leaves(tree)), *running)
    outcome, reason = _outcome(rules, states, found, running, last=last)
    return Judged(outcome, reason, _unique(checks), {text: leaf.streak for text, leaf in found.items()})


def merged(one: Tally, other: Tally) -> Tally:
    """Two windows of one slot as one. Callers cannot be added, as the same may be in both: they are not known then."""
    if not one.requests or not other.requests:
        return one if one.requests else other
    scores = None if one.scores is None or other.scores is None else _sum(one.scores, other.scores)
    return Tally(
        one.requests + other.requests, one.errors + other.errors, _sum(one.times, other.times), scores,
        refused=one.refused + other.refused,
    )  # fmt: skip


def _sum(one: Histogram, other: Histogram) -> Histogram:
    return Histogram({b: one.counts.get(b, 0) + other.counts.get(b, 0) for b in {*one.counts, *other.counts}})


# --- rules together


def _has_any(tree: Tree) -> bool:
    return isinstance(tree, Group) and (tree.how == "any" or any(_has_any(one) for one in tree.of))


def _state(tree: Tree, found: Mapping[str, _Leaf]) -> State:
    if isinstance(tree, Condition):
        return found[tree.text].state
    inner = [_state(one, found) for one in tree.of]
    decides: tuple[State, State] = ("inside", "broken") if tree.how == "any" else ("broken", "inside")
    if decides[0] in inner:
        return decides[0]
    if "missing" in inner:
        return "missing"
    return decides[1] if all(one == decides[1] for one in inner) else "undecided"


def _outcome(
    rules: Sequence[Tree], states: Sequence[State], found: Mapping[str, _Leaf], running: Sequence[Check], *, last: bool
) -> tuple[Outcome, str]:
    refused = next((check for check in running if check.verdict is Verdict.FAIL), None)
    if refused is not None:
        return "roll back", refused.reason
    broken = [tree for tree, state in zip(rules, states, strict=True) if state == "broken"]
    if broken:
        leaf = next(leaf for leaf in leaves(broken[0]) if found[leaf.text].state == "broken")
        return "roll back", f"`{leaf.text}` is broken. {found[leaf.text].found.reason}"
    if not rules:
        return "hold", "There is no rule by which the canary could be judged."
    missing = [tree for tree, state in zip(rules, states, strict=True) if state == "missing"]
    if missing:
        leaf = next(leaf for leaf in leaves(missing[0]) if found[leaf.text].state == "missing")
        return "hold", found[leaf.text].found.reason
    holding = [check for check in running if check.verdict is not Verdict.PASS]
    for check in sorted(holding, key=lambda c: c.id == "rollout.requests"):
        return ("continue" if check.id == "rollout.requests" else "hold"), check.reason
    waiting = [
        leaf.condition.text
        for tree, state in zip(rules, states, strict=True)
        if state == "undecided"
        for leaf in (found[one.text] for one in leaves(tree))
        if leaf.state == "undecided" and (last or leaf.found.state == "broken")
    ]
    if waiting:
        leaf_ = found[waiting[0]]
        return "continue", f"`{waiting[0]}` is not decided yet. {leaf_.found.reason}"
    return "promote", "Every rule holds." if last else "The step has had its requests, and no rule is broken."


# --- checks


def _refused(strata: Sequence[Stratum], alpha: float) -> tuple[Check, ...]:
    """Whether the canary refuses what stable takes: no error of a server, and no answer for those who call.

    Always looked at, with or without rules, with an alpha of its own; what callers send wrong, both models refuse.
    """
    pairs = [Pair(s.canary.requests, s.canary.refused, s.stable.requests, s.stable.refused) for s in strata]
    canary, stable = sum(p.canary for p in pairs), sum(p.stable for p in pairs)
    if not canary or not stable or not any(p.canary_bad or p.stable_bad for p in pairs):
        return ()
    mine, other = sum(p.canary_bad for p in pairs) / canary, sum(p.stable_bad for p in pairs) / stable
    broken = difference_evidence(pairs, REFUSED_MORE, "above") >= math.log(1 / alpha)
    reason = f"The canary refuses {mine:.1%} of its requests (400 to 499), and stable {other:.1%}."
    verdict = Verdict.FAIL if broken else Verdict.PASS
    if not broken and mine > REFUSED_MOST:
        verdict, reason = Verdict.INCONCLUSIVE, f"{reason} So few of them were predictions that nothing was judged."
    return (
        Check(
            id="rollout.refused", title="requests that are refused", group="rollout",
            verdict=verdict, reason=reason, observed=mine, champion=other,
            expected=f"<= stable + {REFUSED_MORE:.0%}", change=mine - other, greater_is_better=False, rows=canary,
        ),
    )  # fmt: skip


def _running(strata: Sequence[Stratum], planned: int, *, sticky: bool, complete: bool, why: str) -> tuple[Check, ...]:
    """Whether what was seen of the running step is all, is enough, and was split as it should be."""
    checks = []
    if not complete:
        reason = f"What happened is not known in full: {(why or 'the target did not say why').rstrip('.')}."
        checks.append(_plain("rollout.observed", "all requests are known", Verdict.INCONCLUSIVE, reason))
    if not strata:
        return tuple(checks)
    step = strata[-1]
    try:
        counts = pair(step, sticky=sticky)
    except MissingError as missing:
        reason = f"The step cannot be judged: {missing}."
        return (*checks, _plain("rollout.requests", "requests of the canary", Verdict.INCONCLUSIVE, reason))
    seen, total = counts.canary, counts.canary + counts.stable
    what = "callers" if sticky else "requests"
    if total and mismatch.differs(seen, counts.stable, step.weight):
        reason = (
            f"The canary got {seen:,} of {total:,} {what}, {seen / total:.1%}, and should have got {step.weight:g} %: "
            "the models do not see the same traffic."
        )
        checks.append(
            _plain("rollout.split", "split of the traffic", Verdict.INCONCLUSIVE, reason, observed=seen / total)
        )
    elif total:
        checks.append(_plain("rollout.split", "split of the traffic", Verdict.PASS, "", observed=seen / total))
    enough = seen >= max(1, planned)
    reason = "" if enough else f"The canary has answered {seen:,} of the {planned:,} {what} of this step."
    verdict = Verdict.PASS if enough else Verdict.INCONCLUSIVE
    checks.append(_plain("rollout.requests", f"{what} of the canary", verdict, reason, observed=seen, needed=planned))
    return tuple(checks)


def _plain(
    id_: str, title: str, verdict: Verdict, reason: str, *, observed: float | None = None, needed: int | None = None
) -> Check:
    expected = f"at least {needed:,}" if needed is not None else ""
    return Check(
        id=id_, title=title, verdict=verdict, group="rollout", reason=reason, observed=observed, expected=expected
    )


def _check(leaf: Condition, tree: Tree, found: Mapping[str, _Leaf]) -> Check:
    one = found[leaf.text]
    seen = one.found
    verdict = {"broken": Verdict.FAIL, "inside": Verdict.PASS}.get(one.state, Verdict.INCONCLUSIVE)
    reason = seen.reason
    if seen.state == "broken" and leaf.periods > 1:
        reason += f" It was broken at {one.streak} of {leaf.periods} looks in a row."
    if verdict is not Verdict.PASS and _state(tree, found) == "inside":
        verdict, reason = Verdict.WARN, f"{reason} Another rule of `any` holds."
    elif verdict is Verdict.FAIL and _state(tree, found) != "broken":
        verdict, reason = Verdict.INCONCLUSIVE, f"{reason} Another rule of `any` may still hold."
    return Check(
        id=f"rollout.{leaf.metric}",
        title=leaf.text,
        verdict=verdict,
        group="rollout",
        reason=reason,
        observed=seen.observed,
        champion=seen.stable,
        expected=leaf.text.removeprefix(leaf.metric).strip(),
        limit=float(leaf.number) if leaf.kind == "absolute" else None,
        change=seen.change,
        relative=seen.relative,
        greater_is_better=leaf.operator in (">=", ">"),
        interval=seen.interval,
        method=seen.method,
        rows=seen.rows,
    )


def _unique(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Two rules about one metric, told apart by what they allow."""
    made, seen = [], set()
    for check in checks:
        id_ = check.id
        if id_ in seen:
            id_ = f"{id_}.{re.sub(r'[^a-z0-9.]+', '-', check.expected.lower()).strip('-.')}"
        while id_ in seen:
            id_ += "-again"
        seen.add(id_)
        made.append(check if id_ == check.id else check.model_copy(update={"id": id_}))
    return tuple(made)
