"""Tallies as targets give them, for tests of the judge."""

from __future__ import annotations

from collections.abc import Iterable

from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Histogram, Tally


def histogram(found: Iterable[int]) -> Histogram:
    counts: dict[int, int] = {}
    for bin_ in found:
        counts[bin_] = counts.get(bin_, 0) + 1
    return Histogram(counts)


def times(seconds: Iterable[float]) -> Histogram:
    return histogram(bins.latency(float(one)) for one in seconds)


def scores(values: Iterable[float]) -> Histogram:
    return histogram(bin_ for one in values if (bin_ := bins.score(float(one))) is not None)


def tally(
    requests: int, errors: int = 0, *, ms: float = 20, at: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8), **more: int
) -> Tally:
    """All answers took equally long; the scores are spread evenly over `at`."""
    each = requests // len(at)
    spread = {bins.score(one): each for one in at}
    spread[bins.score(at[0])] = each + requests - each * len(at)
    return Tally(
        requests,
        errors,
        Histogram({bins.latency(ms / 1000): requests}) if requests else Histogram(),
        Histogram({bin_: count for bin_, count in spread.items() if bin_ is not None and count}),
        **more,
    )
