"""Numbers that can be judged, exactly: 0.72 - 0.71 is 0.01 here, so that a boundary value passes."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import Enum
from typing import Any


class Nothing(Enum):
    """What stands where a value would: not to be confused with a null that a file holds."""

    MISSING = "missing"  # the file has no such metric
    NO_SIDE = "no side"  # there is no champion, or no anchor, to have one


MISSING, NO_SIDE = Nothing.MISSING, Nothing.NO_SIDE


def problem(value: Any) -> str:
    """Why a value cannot be judged, as the end of the sentence "auc is ..."; empty when it can."""
    if value is MISSING:
        return "missing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return "" if abs(value) < 2**1023 else "too large to be a measurement"
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return "infinite" if math.isinf(value) else ""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return f"a {'list' if isinstance(value, list | tuple) else type(value).__name__}"


def exact(value: float) -> Decimal:
    """The decimal a person reads in the file. `repr` is the shortest that names this float."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def plain(value: Decimal, *, signed: bool = False) -> str:
    """0.010 stays 0.010; no exponent; a true minus sign."""
    text = f"{value:+f}" if signed else f"{value:f}"
    return text.replace("-", "−")


def percent(value: Decimal, *, signed: bool = False) -> str:
    return f"{plain((value * 100).normalize() + 0, signed=signed)} %"
