"""Whether the traffic was split as it was meant to be: where not, the two models saw different callers.

Such a difference says nothing about the model, so it holds a rollout and never turns one back.
"""

from __future__ import annotations

import math

from mlgate.rollout.analysis.counts import share_evidence

TOLERANCE = 0.01  # a split within one point of the weight is as good as routers are
ALPHA = 0.001  # each side; a false alarm holds a healthy rollout for good


def differs(canary: int, stable: int, weight: float) -> bool:
    """Whether the canary's share is proven to lie more than a point from `weight`, in percent."""
    n = canary + stable
    meant = weight / 100
    need = math.log(1 / ALPHA)
    more = meant + TOLERANCE < 1 and share_evidence(n, canary, meant + TOLERANCE, "above") >= need
    fewer = meant - TOLERANCE > 0 and share_evidence(n, canary, meant - TOLERANCE, "below") >= need
    # Without any room for fewer, a canary that gets nothing at all is told by its silence.
    silent = canary == 0 and share_evidence(n, 0, meant, "below") >= need
    return more or fewer or silent
