"""How many requests each step of a canary has to see, so that its rules can decide; and plans that cannot.

A plan has to do two things, each with a chance of `POWER`: prove every rule of a canary that is as good as stable, and
prove the error rate of a bad one too high before it gets everything. Steps last equally long: each has its share of the
same number of requests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mlgate.config.conditions import KNOWN, Condition, Group, Tree, leaves
from mlgate.errors import MlgateError
from mlgate.rollout.analysis import power
from mlgate.rollout.analysis.power import Numbers
from mlgate.rollout.analysis.slow import QUANTILES

POWER = 0.97
FEWEST = 100  # requests of the canary in a step, whatever the rules need
_MOST = 1e10  # requests of a step; beyond it a plan cannot decide
_TWICE = 1.5  # limits up to which a canary that fails twice as often is to be found out; of others, limit squared

Chance = Callable[[Sequence[Numbers]], float]


@dataclass(frozen=True)
class Planned:
    """One step: requests of the canary, of both, and how long that takes, in seconds, where it is known."""

    weight: float
    canary: int
    all: int
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """`why`: for each rule one sentence: what it needs, and what was assumed for it."""

    steps: tuple[Planned, ...]
    why: tuple[str, ...]

    @property
    def requests(self) -> tuple[int, ...]:
        """Of the canary, step by step."""
        return tuple(step.canary for step in self.steps)


@dataclass(frozen=True)
class Pacing:
    """What is known of the traffic, and what is allowed. `wait`: seconds of a step that do not count."""

    error_rate: float | None = None
    per_second: float | None = None
    requests: int | None = None  # of the canary in each step, as mlgate.yaml says
    at_least: float = 0.0
    at_most: float = math.inf
    wait: float = 0.0
    sticky: bool = False


def plan(rules: Sequence[Tree], weights: Sequence[float], pacing: Pacing, *, confidence: Decimal | float) -> Plan:
    """Steps at `weights` (percent, ascending, below 100).

    Raises MlgateError, with what would help, for a rule that the numbers or the time cannot decide.
    """
    if not rules or not weights:
        raise MlgateError("there are no rules, or no steps, by which a canary could be judged.", fix="Add both.")
    needs = [_Need(rule, rules, weights, pacing, 1 - float(confidence)) for rule in rules]
    if pacing.requests is None:
        size = max(FEWEST / (min(weights) / 100), *(need.size() for need in needs))
        counts = [math.ceil(size * weight / 100) for weight in weights]
    else:
        counts = [pacing.requests] * len(weights)
        for need in needs:
            need.enough(pacing.requests)
    steps = tuple(_planned(weight, n, pacing) for weight, n in zip(weights, counts, strict=True))
    for step in steps:
        if step.seconds is not None and step.seconds > pacing.at_most:
            raise MlgateError(
                f"the step at {step.weight:g} % needs {step.all:,} requests, which take {_span(step.seconds)} at "
                f"{pacing.per_second:g} a second, and a step may take {_span(pacing.at_most)}.",
                fix="Let a step take longer (`step.at_most`), begin with a larger one, or leave the rules a wider "
                f"margin. Most is needed by {max(needs, key=_Need.weight_of).said()}.",
            )
    return Plan(steps, tuple(need.said() for need in needs))


def _planned(weight: float, canary: int, pacing: Pacing) -> Planned:
    every = math.ceil(canary / (weight / 100))
    seconds = None if not pacing.per_second else max(pacing.at_least, pacing.wait + every / pacing.per_second)
    return Planned(weight, canary, every, seconds)


def split(size: float, weights: Sequence[float]) -> list[Numbers]:
    """Steps of `size` requests each."""
    return [Numbers(size * weight / 100, size * (1 - weight / 100)) for weight in weights]


class _Need:
    """What one rule needs. Of `any`, the alternative that needs least; of `all`, the one that needs most."""

    def __init__(
        self, tree: Tree, rules: Sequence[Tree], weights: Sequence[float], pacing: Pacing, alpha: float
    ) -> None:
        self.tree, self.weights, self.pacing = tree, weights, pacing
        inner = list(leaves(tree))
        counted = sum(leaf.metric in KNOWN for rule in rules for leaf in leaves(rule))
        among = len(inner) if isinstance(tree, Group) and _has_any(tree) else 1
        self.low, self.high = alpha / max(1, counted), alpha / among
        self.chances = {leaf.text: self._chances(leaf) for leaf in inner}
        self.found: float | None = None
        self.unit = "of both models"

    def size(self) -> float:
        """Requests of each step, of both models together."""
        if self.found is None:
            self.found = self._size(self.tree)
        if math.isinf(self.found):
            raise MlgateError(
                f"{self._name()} cannot be decided by any number of requests with these steps.",
                fix="Leave it a wider margin, or end with a larger step.",
            )
        return self.found

    def weight_of(self) -> float:
        return self.found or 0.0

    def enough(self, requests: int) -> None:
        """Raises MlgateError where so many requests of the canary in each step do not decide it."""
        fewest = self._fewest(self.tree)
        if fewest > requests:
            fix = f"Write `requests: {_rounded(fewest)}`, or leave `requests` out, or leave the rule a wider margin."
            if math.isinf(fewest):
                fix = "Leave it a wider margin."
            raise MlgateError(
                f"`step.requests` is {requests:,}, with which {self._name()} would stay undecided more often than "
                f"{1 - POWER:.0%}.",
                fix=fix,
            )
        self.found, self.unit = fewest, "of the canary"

    def said(self) -> str:
        if not self.found:
            return f"{self._name()} is decided by its numbers as they are."
        assumed = "; ".join(dict.fromkeys(_assumed(leaf, self.pacing) for leaf in leaves(self.tree)))
        return f"{self._name()} needs {math.ceil(self.found):,} requests {self.unit} in each step ({assumed})."

    def _name(self) -> str:
        return " or ".join(f"`{leaf.text}`" for leaf in leaves(self.tree))

    def _size(self, tree: Tree) -> float:
        if isinstance(tree, Group):
            return (min if tree.how == "any" else max)(self._size(one) for one in tree.of)
        return _least(lambda n: split(n, self.weights), self.chances[tree.text])

    def _fewest(self, tree: Tree) -> float:
        if isinstance(tree, Group):
            return (min if tree.how == "any" else max)(self._fewest(one) for one in tree.of)
        parts = [weight / 100 for weight in self.weights]
        return _least(lambda n: [Numbers(n, n * (1 - part) / part) for part in parts], self.chances[tree.text])

    def _chances(self, leaf: Condition) -> list[Chance]:
        """Of each thing that has to be proven; none for numbers of the user's own."""
        if leaf.metric not in KNOWN:
            return []
        limit, steps = float(leaf.number), len(self.weights)
        # Callers are the same in each step, and are judged by one step alone; so are times and scores beside stable's.
        sticky, low, high = self.pacing.sticky, self.low, self.high
        if leaf.metric == "prediction_shift":
            # Another model gives other scores: half of the limit may be used up by that.
            return [lambda n: power.shifted(n[-1], limit / 2, limit, high / steps)]
        if leaf.metric in QUANTILES:
            slow = 1 - QUANTILES[leaf.metric]
            if leaf.against_stable:
                return [lambda n: power.quantiles(n[-1], 1 - slow, high / (2 * steps))]
            part = steps if sticky else 1
            return [lambda n: power.share(_canary(n, sticky=sticky), slow / 2, slow, "below", high / part)]
        if sticky:
            low, high = low / steps, high / steps
        return self._of_errors(leaf, low, high, sticky=sticky)

    def _of_errors(self, leaf: Condition, low: float, high: float, *, sticky: bool) -> list[Chance]:
        limit, rate = float(leaf.number), self.pacing.error_rate
        if rate is None:
            raise MlgateError(
                f"nobody knows how often stable fails, from which it follows how many requests `{leaf.text}` needs.",
                fix="Add `expected: {error_rate: 0.5%}`.",
            )
        if leaf.kind == "absolute":
            if not 0 < rate < limit:
                raise MlgateError(
                    f"stable fails at {rate:.3%} of the requests, and `{leaf.text}` has to be proven of a canary that "
                    "is as good.",
                    fix="Allow more, or compare with stable: `error_rate <= 1.5x stable`.",
                )
            bad = min(limit * limit / rate, (1 + limit) / 2)
            return [
                lambda n: power.share(_canary(n, sticky=sticky), rate, limit, "below", high),
                lambda n: power.share(_canary(n, sticky=sticky), bad, limit, "above", low),
            ]
        if leaf.kind == "times":
            if limit <= 1:
                raise MlgateError(
                    f"`{leaf.text}` cannot be proven of a canary that is as good as stable.",
                    fix="Leave a margin: `error_rate <= 1.5x stable`.",
                )
            times = min(2.0 if limit <= _TWICE else limit * limit, 0.9 / rate)
            return [
                lambda n: power.ratio(_last(n, sticky=sticky), (rate, rate), limit, "below", high),
                lambda n: power.ratio(_last(n, sticky=sticky), (rate * times, rate), limit, "above", low),
            ]
        if limit <= 0:
            raise MlgateError(
                f"`{leaf.text}` cannot be proven of a canary that is as good as stable.",
                fix="Leave a margin: `error_rate <= stable + 0.2%`.",
            )
        worse = min(rate + 2 * limit, 0.95)
        return [
            lambda n: power.difference(_last(n, sticky=sticky), (rate, rate), limit, "below", high),
            lambda n: power.difference(_last(n, sticky=sticky), (worse, rate), limit, "above", low),
        ]


def _has_any(tree: Tree) -> bool:
    return isinstance(tree, Group) and (tree.how == "any" or any(_has_any(one) for one in tree.of))


def _last(steps: Sequence[Numbers], *, sticky: bool) -> Sequence[Numbers]:
    return steps[-1:] if sticky else steps


def _canary(steps: Sequence[Numbers], *, sticky: bool) -> float:
    return sum(step.canary for step in _last(steps, sticky=sticky))


def _least(steps: Callable[[float], Sequence[Numbers]], chances: Sequence[Chance]) -> float:
    """The smallest number at which every chance is large enough."""

    def enough(n: float) -> bool:
        return all(chance(steps(n)) >= POWER for chance in chances)

    if not chances:
        return 0.0
    high = 64.0
    while not enough(high):
        high *= 2
        if high > _MOST:
            return math.inf
    low = high / 2
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _assumed(leaf: Condition, pacing: Pacing) -> str:
    if leaf.metric == "error_rate":
        return f"stable fails at {(pacing.error_rate or 0) * 100:.4g} %"
    if leaf.metric == "prediction_shift":
        return f"the scores lie at most {float(leaf.number) / 2:.3g} apart, and each answer has one"
    if leaf.metric in QUANTILES:
        return (
            "both are as fast, and half of their slow answers last longer than the margin more"
            if leaf.against_stable
            else "half as many answers as allowed are slower"
        )
    return "the number is what it is"


def _rounded(number: float) -> int:
    """Up, to two digits: what a person would write."""
    step = math.pow(10, max(0, math.floor(math.log10(max(1.0, number))) - 1))
    return int(math.ceil(number / step) * step)


def _span(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} seconds"
