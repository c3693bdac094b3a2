"""What each row adds to a median."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgate.data.rows import Floats

_Z = 1.645


def influence(values: Floats, share: Floats | None) -> Floats:
    """(n,): a row above the median moves it by half of the density's inverse, one below by as much the other way.

    The density is measured between two quantiles, at two distances (Hall and Sheather 1988, and the order statistics
    that bound the median by themselves); the lower one counts, so that the bounds are rather too wide than too narrow.
    """
    effective = float(len(values)) if share is None else 1 / float(share @ share)
    near = min(0.45, 0.5 * _Z / math.sqrt(effective))
    wide = min(0.45, (1.5 * _Z**2 / (2 * math.pi) / effective) ** (1 / 3))
    points = [0.5 - wide, 0.5 - near, 0.5, 0.5 + near, 0.5 + wide]
    low, lower, middle, higher, high = _quantiles(values, share, points)
    inverse = max((high - low) / (2 * wide), (higher - lower) / (2 * near))
    found: Floats = np.sign(values - middle) * (0.5 * inverse)
    return found


def _quantiles(values: Floats, share: Floats | None, points: Sequence[float]) -> list[float]:
    if share is None:
        return [float(q) for q in np.quantile(values, points)]
    order = values.argsort()
    so_far = np.cumsum(share[order])
    places = np.minimum(so_far.searchsorted(np.multiply(points, so_far[-1])), len(values) - 1)
    return [float(q) for q in values[order[places]]]
