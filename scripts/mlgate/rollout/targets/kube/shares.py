"""How traffic is split where nothing but the number of pods splits it, and what share that really is.

The Service that callers use has one of three selectors:

    nobody                 before the first release has traffic
    one slot               it has everything, however many pods another slot has: that is tried, and kept, beside it
    all slots              each pod gets as much as any other, so the share of a slot is its share of the ready pods

The slot with the larger weight always keeps all its `replicas`: nothing is taken from it to make room for a canary, and
the way back is one change of the selector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mlgate.rollout.targets import TargetError
from mlgate.rollout.targets.kube import names

MOST = 10_000  # parts of a route's weights: a hundredth of a percent
_NOBODY = "none"

Mode = Literal["nobody", "one", "all"]


@dataclass(frozen=True)
class Split:
    """How many pods each slot has to have, and whom the Service selects."""

    mode: Mode
    pods: Mapping[str, int]  # of the slots that get traffic
    only: str = ""  # with `one`

    @property
    def real(self) -> dict[str, float]:
        """Percent by slot, when every pod is ready."""
        if self.mode == "one":
            return {self.only: 100.0}
        total = sum(self.pods.values())
        return {slot: 100.0 * count / total for slot, count in self.pods.items()}


def split(weights: Mapping[str, float], replicas: int, now: Mapping[str, int], *, counted: bool = False) -> Split:
    """`weights`: percent by slot; `now`: pods that each has, which a slot alone keeps where they are more.

    `counted`: two slots keep the pods that they have.

    Raises TargetError for more than two slots with traffic, which no strategy asks for.
    """
    given = {slot: weight for slot, weight in weights.items() if weight > 0}
    if not given:
        return Split("nobody", {})
    if len(given) == 1:
        (slot,) = given
        return Split("one", {slot: max(replicas, now.get(slot, 0))}, slot)
    if len(given) > 2:
        raise TargetError(f"traffic is split between two slots at most, not {len(given)}: {', '.join(sorted(given))}.")
    if counted:
        return Split("all", {slot: max(1, now.get(slot, 1)) for slot in given})
    (large, most), (small, least) = sorted(given.items(), key=lambda one: (-one[1], one[0]))
    big = max(replicas, now.get(large, 0))
    share = least / (most + least)
    count = min(range(1, big + 1), key=lambda pods: (abs(pods / (pods + big) - share), pods))
    return Split("all", {large: big, small: count})


def of_steps(steps: Sequence[float], replicas: int) -> list[float]:
    """The percent that each step of a canary really is, where nothing but the number of pods makes it."""
    return [split({"stable": 100 - step, "canary": step}, replicas, {}).real["canary"] for step in steps]


def selector(plan: Split, model: str, environment: str) -> dict[str, str]:
    """Of the Service that callers use."""
    if plan.mode == "all":
        return names.labels(model, environment)
    return names.labels(model, environment, plan.only or _NOBODY)


def mode(selected: Mapping[str, str]) -> tuple[Mode, str]:
    """What a selector that is there means, and the one slot it names."""
    chosen = selected.get(names.SLOT)
    if chosen is None:
        return ("all", "") if selected.get(names.ENVIRONMENT) else ("nobody", "")
    return ("nobody", "") if chosen == _NOBODY else ("one", chosen)


def percent(selected: Mapping[str, str] | None, ready: Mapping[str, int]) -> dict[str, float]:
    """What each slot really gets, from the selector that is there and the pods that are ready."""
    how, only = mode(selected or {})
    if how == "one":
        return {slot: 100.0 if slot == only else 0.0 for slot in ready}
    total = sum(ready.values())
    if how == "nobody" or not total:
        return dict.fromkeys(ready, 0.0)
    return {slot: 100.0 * count / total for slot, count in ready.items()}


def parts(weights: Mapping[str, float]) -> dict[str, int]:
    """Of a route: whole numbers, in hundredths of a percent. Slots without weight are left out."""
    found = {slot: round(weight * MOST / 100) for slot, weight in weights.items() if weight > 0}
    return {slot: max(1, count) for slot, count in found.items()}
