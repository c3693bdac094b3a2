"""Metrics that were made again against the committed ones. NaN never agrees with anything; tolerances are absolute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.model import Example


@dataclass(frozen=True)
class Agreement:
    """`wrong`: one sentence each, nothing when both are the same within the tolerance."""

    compared: int  # numbers, or rows
    wrong: tuple[str, ...] = ()
    largest: float = 0.0  # the largest difference between two numbers
    examples: tuple[Example, ...] = ()
    minor: tuple[str, ...] = ()  # differences in what nothing is decided by


def metrics(
    committed: Mapping[str, Any], again: Mapping[str, Any], tolerance: float, *, decisive: Sequence[str] = ()
) -> Agreement:
    """Each value of two metrics files. A number that no rule is about (a duration, say) may differ: that is `minor`.

    Without any `decisive` key each of them counts.
    """
    wrong: list[str] = []
    minor: list[str] = []
    largest, compared = 0.0, 0
    for key in sorted({*committed, *again}):
        said = ""
        if key not in again:
            said = f"{key} is gone"
        elif key not in committed:
            said = f"{key} is new"
        else:
            compared += 1
            before, now = committed[key], again[key]
            if _number(before) and _number(now):
                apart = 0.0 if before == now else abs(float(now) - float(before))
                if not (apart <= tolerance):
                    said = f"{key} is {now} and {before} is committed"
                elif math.isfinite(apart):
                    largest = max(largest, apart)
            elif before != now or type(before) is not type(now):
                said = f"{key} is {now!r} and {before!r} is committed"
        if said:
            (wrong if not decisive or key in decisive else minor).append(said)
    return Agreement(compared, tuple(wrong), largest, minor=tuple(minor))


def not_finite(values: Mapping[str, Any], file: str) -> list[str]:
    """What in a metrics file is NaN or infinite."""
    return [f"{file}: {key} is {value}" for key, value in values.items() if _number(value) and not math.isfinite(value)]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
