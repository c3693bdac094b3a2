"""Whether answers of a canary are slower than they may be: bounds of quantiles that hold at all looks together.

That the 99th percentile is at most two seconds says that at most 1 % of the requests take longer, which is a share
like any other (`counts`). The bounds of a quantile are those times at which that test turns (Howard & Ramdas 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlgate.rollout.analysis import bins
from mlgate.rollout.analysis.counts import Side, share_evidence
from mlgate.rollout.nouns import Histogram


@dataclass(frozen=True)
class Times:
    """What one model's answers took. `lost` requests had no answer: they took longer than any that had one.

    `together`: how many requests belong to one caller, who is fast or slow as a whole. Evidence is raised to its
    inverse, which is never more than there is (Hölder), however alike a caller's requests are.
    """

    histogram: Histogram
    lost: int = 0
    together: float = 1.0

    @property
    def total(self) -> int:
        return self.histogram.total + self.lost

    def longer(self, seconds: float, *, surely: bool) -> int:
        """How many requests took longer: surely, or possibly, as the bin in which the limit lies may be either."""
        counts = self.histogram.counts.items()
        if surely:
            return self.lost + sum(count for bin_, count in counts if bin_ > 0 and bins.longest(bin_ - 1) >= seconds)
        return self.lost + sum(count for bin_, count in counts if bins.longest(bin_) > seconds)

    def evidence(self, limit: float, quantile: float, side: Side) -> float:
        """Log of the evidence that the quantile is above (below) a time in seconds."""
        slow = self.longer(limit, surely=side == "above")
        return share_evidence(self.total, slow, 1 - quantile, side) / self.together

    def at(self, quantile: float) -> float:
        """The quantile itself, in seconds, known to 2 %; infinite where too many requests had no answer."""
        left = quantile * self.total
        for bin_, count in sorted(self.histogram.counts.items()):
            left -= count
            if left <= 0:
                return bins.longest(bin_)
        return math.inf

    def bounds(self, quantile: float, alpha_low: float, alpha_high: float) -> tuple[float, float]:
        """Between which times the quantile lies, each end with its own alpha; (0, inf) where nothing is known yet."""
        return self._low(quantile, alpha_low), self._high(quantile, alpha_high)

    def _low(self, quantile: float, alpha: float) -> float:
        fewest = _turn(self, quantile, alpha, "above")
        longer = self.lost
        if fewest is None:
            return 0.0
        if longer >= fewest:
            return math.inf
        for bin_, count in sorted(self.histogram.counts.items(), reverse=True):
            longer += count
            if longer >= fewest:
                return bins.longest(bin_ - 1) if bin_ > 0 else 0.0
        return 0.0

    def _high(self, quantile: float, alpha: float) -> float:
        most = _turn(self, quantile, alpha, "below")
        longer = self.lost
        if most is None or longer > most:
            return math.inf
        for bin_, count in sorted(self.histogram.counts.items(), reverse=True):
            longer += count
            if longer > most:
                return bins.longest(bin_)
        return 0.0


def _turn(times: Times, quantile: float, alpha: float, side: Side) -> int | None:
    """The fewest (most) slow requests that prove the quantile above (below); None where no number of them would."""
    need = math.log(1 / alpha) * times.together
    limit = 1 - quantile

    def proves(slow: int) -> bool:
        return share_evidence(times.total, slow, limit, side) >= need

    low, high = 0, times.total
    extreme = high if side == "above" else low
    if times.total == 0 or not proves(extreme):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if proves(middle) == (side == "above"):
            high = middle
        else:
            low = middle
    return high if side == "above" else low
