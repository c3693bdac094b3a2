"""In which bin a time or a score is counted: fixed for ever, so that counts of different days and places add up.

Both grow by a constant ratio, so that a quantile is known to that ratio whatever its size.
"""

from __future__ import annotations

import math
import zlib

LATENCY_RATIO = 1.02  # a quantile of times is known to 2 %
_SHORTEST = 1e-5  # seconds
SCORE_RATIO = 1.01
_SMALLEST = 1e-6  # scores nearer to 0 are one bin
_WORDS = 1 << 20  # bins of predictions that are no numbers lie beyond those of numbers


def latency(seconds: float) -> int:
    """The bin of a time. Negative ones, which only a clock that was set back can make, count as none at all."""
    return 0 if seconds <= _SHORTEST else 1 + int(math.log(seconds / _SHORTEST) / math.log(LATENCY_RATIO))


def longest(bin_: int) -> float:
    """The upper end of a bin of `latency`, in seconds."""
    return _SHORTEST * LATENCY_RATIO**bin_


def score(value: float | int | str | bool) -> int | None:
    """The bin of a prediction; None for NaN and infinities, which are no predictions."""
    if isinstance(value, str):
        return _WORDS + zlib.crc32(value.encode()) % _WORDS
    number = float(value)
    if not math.isfinite(number):
        return None
    if abs(number) <= _SMALLEST:
        return 0
    found = 1 + int(math.log(abs(number) / _SMALLEST) / math.log(SCORE_RATIO))
    return found if number > 0 else -found
