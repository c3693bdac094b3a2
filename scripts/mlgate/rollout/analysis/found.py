"""What is judged, how surely, and what was found: the words that all rules of a rollout share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlgate.config.conditions import Condition
from mlgate.rollout.nouns import Arm, Tally

State = Literal["broken", "inside", "undecided", "missing"]


@dataclass(frozen=True)
class Stratum:
    """One step of the weights. `weight`: percent of new requests that the router gave the canary."""

    weight: float
    stable: Tally
    canary: Tally


@dataclass(frozen=True)
class Levels:
    """How sure to be. `low`: alpha of saying that a rule is broken; `high`: of saying that it holds.

    `steps`: how many strata the rollout has. `sticky`: callers are counted, not requests.
    """

    low: float
    high: float
    steps: int = 1
    sticky: bool = False

    def each(self, parts: int) -> Levels:
        """For one of several tests of which any may decide."""
        return Levels(self.low / parts, self.high / parts, self.steps, self.sticky)

    def state(self, above: float, below: float) -> State:
        """From the logs of the evidence for both claims."""
        if above >= math.log(1 / self.low):
            return "broken"
        return "inside" if below >= math.log(1 / self.high) else "undecided"


@dataclass(frozen=True)
class Found:
    """Of one rule. Rates are fractions, times seconds. `interval` is of `change` where there is one."""

    state: State
    reason: str
    observed: float | None = None
    stable: float | None = None
    change: float | None = None
    relative: bool = False
    interval: tuple[float, float] | None = None
    rows: int | None = None
    method: str = ""


class MissingError(Exception):
    """What a rule needs was not measured; the message continues "..., so it cannot be judged"."""


def some(count: float, arm: Arm) -> None:
    """Raises MissingError where an arm was not seen at all."""
    if count <= 0:
        raise MissingError(f"no request of {'the canary' if arm == 'canary' else 'stable'} was counted")


def state(broken: bool, inside: bool) -> State:
    return "broken" if broken else "inside" if inside else "undecided"


def within(ends: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """What all of several intervals leave."""
    return max(low for low, _ in ends), min(high for _, high in ends)


def said(condition: Condition, seen: str, stable: str, what: str, ends: tuple[str, str]) -> str:
    """One sentence with the numbers."""
    beside = f", and stable's {stable}" if stable else ""
    return f"The canary's {condition.metric} is {seen}{beside}; {what} lies between {ends[0]} and {ends[1]}."


def percent(value: float) -> str:
    return f"{value * 100:.4g} %"


def times(value: float) -> str:
    return "any number of times" if math.isinf(value) else f"{value:.3g}x"


def seconds(value: float) -> str:
    if math.isinf(value):
        return "no answer"
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def finite(value: float | None) -> float | None:
    """For the evidence, which holds no infinities."""
    return value if value is not None and math.isfinite(value) else None
