"""Score intervals for anything that rows can be weighed for, by tilting the rows.

The rows (or cells of equal rows) get weights exp(tilt * influence): the one-parameter family in which the metric moves
with the least change to what was observed (Efron 1981, Canadian Journal of Statistics 9, "least favourable family").
A value of the metric is within the bounds when the estimate is less than z standard errors away from it, and the
standard error is that of the rows tilted to this value and not that of the observed ones: what Wilson's and Tango's
intervals do for shares, for any metric. Everything here is for many samples at once: arrays are (samples,).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
At = Callable[[Floats], tuple[Floats, Floats]]  # tilt -> the metric and its standard error there

_GROWTH = 1.7
_STEPS = 40  # of the search outwards: the tilt grows 1.7**40 fold
_ROUNDS = 60
_EXACT = 1e-12


def quantity(at: At, estimate: Floats, z: Floats, unit: Floats) -> Floats:
    """The value of the metric that lies `z` standard errors below the estimate (above it for z < 0).

    `unit` is a tilt of about one standard error. NaN where no value does.
    """

    def off(tilt: Floats) -> Floats:
        value, se = at(tilt)
        return np.asarray((estimate - value) / se - z)

    with np.errstate(divide="ignore", invalid="ignore"):
        # Rows that were added may have moved the untilted sample already.
        tilt = _root(off, np.where(off(np.zeros_like(unit)) > 0, unit, -unit))
        return np.asarray(np.where(np.isfinite(tilt), at(np.nan_to_num(tilt))[0], np.nan))


def statistic(at: At, estimate: Floats, value: Floats, unit: Floats) -> Floats:
    """How many standard errors the estimate lies above `value`; infinite where no tilt reaches it."""

    def off(tilt: Floats) -> Floats:
        return np.asarray(value - at(tilt)[0])

    with np.errstate(invalid="ignore"):
        start = np.where(at(np.zeros_like(estimate))[0] > value, -unit, unit)
        tilt = _root(off, start)
        se = at(np.nan_to_num(tilt))[1]
        z = (estimate - value) / se
    reached = np.isfinite(tilt) & np.isfinite(z)
    return np.asarray(np.where(reached, z, np.copysign(np.inf, estimate - value)))


def _root(off: Callable[[Floats], Floats], step: Floats) -> Floats:
    """Where `off` is 0 on the side of `step`, starting from no tilt (Illinois' false position). NaN: nowhere."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        near = np.zeros_like(step)
        at_near = off(near)
        far, at_far = near.copy(), at_near.copy()
        open_ = at_near != 0
        reach = step
        for _ in range(_STEPS):
            value = off(np.where(open_, reach, far))
            stuck = open_ & ~np.isfinite(value)
            value = np.where(stuck, np.nan, value)
            crossed = np.sign(value) != np.sign(at_near)
            near = np.where(open_ & ~crossed, reach, near)
            at_near = np.where(open_ & ~crossed, value, at_near)
            far, at_far = np.where(open_, reach, far), np.where(open_, value, at_far)
            open_ = open_ & ~crossed & ~stuck
            if not open_.any():
                break
            reach = reach * _GROWTH
        lost = open_ | np.isnan(at_far)
        for _ in range(_ROUNDS):
            done = lost | (at_far == 0) | (np.abs(far - near) <= _EXACT * np.abs(far))
            if done.all():
                break
            middle = far - at_far * (far - near) / (at_far - at_near)
            middle = np.where(np.isfinite(middle), middle, (far + near) / 2)
            value = off(np.where(done, far, middle))
            other = np.sign(value) != np.sign(at_far)
            near = np.where(done, near, np.where(other, far, near))
            at_near = np.where(done, at_near, np.where(other, at_far, at_near / 2))
            far = np.where(done, far, middle)
            at_far = np.where(done, at_far, value)
        return np.asarray(np.where(lost, np.nan, far))
