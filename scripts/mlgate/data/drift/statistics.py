"""The statistics of drift. Pure: counts and sorted arrays in, numbers out. No scipy: it costs more than the whole job.

- PSI, the population stability index: sum of (q - p) ln(q / p) over bins, p of the reference, q of now, both smoothed
  as (c + 0.5) / (n + 0.5 B). Without drift it is about (1/n + 1/m) chi-square with B - 1 degrees of freedom (Yurdakul
  2018), and the 95 % quantile of that is its noise floor.
- KS, the Kolmogorov-Smirnov distance: the largest difference of the two distribution functions; its p value is that of
  the limiting distribution, which is too large rather than too small for few rows and for ties.
- Holm's step-down correction (Holm 1979) keeps the chance of any false alarm over all columns below alpha, whatever
  their dependence; Benjamini-Hochberg would only keep the share of false ones among the alarms, and a gate is stopped
  by a single one.
- Pearson's chi-square test of two rows of counts, and Cramer's V, its effect: sqrt(chi-square / rows).
- The Jensen-Shannon distance to base 2 (0 to 1); the Kullback-Leibler divergence of now from the reference, in nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NOISE = 0.95  # the quantile of PSI without drift that it must be above
BINS = 10  # deciles of the reference


def psi(reference: Sequence[int], now: Sequence[int]) -> float:
    """The index of the counts of the same bins."""
    n, m, bins = sum(reference), sum(now), len(reference)
    total = 0.0
    for before, after in zip(reference, now, strict=True):
        p, q = (before + 0.5) / (n + 0.5 * bins), (after + 0.5) / (m + 0.5 * bins)
        total += (q - p) * math.log(q / p)
    return total


def noise_floor(bins: int, n: int, m: int, quantile: float = NOISE) -> float:
    """The PSI that chance alone stays below, that often."""
    return (1 / n + 1 / m) * chi_square_quantile(quantile, bins - 1) if bins > 1 else 0.0


def chi_square_quantile(quantile: float, freedom: float) -> float:
    """The value that a chi-square variable stays below with this probability, to 12 digits."""
    low, high = 0.0, float(freedom)
    while _gamma(freedom / 2, high / 2) < quantile:
        low, high = high, high * 2
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _gamma(freedom / 2, middle / 2) < quantile else (low, middle)
    return (low + high) / 2


def chi_square_tail(value: float, freedom: int) -> float:
    """The probability that a chi-square variable is above this value; also far out, where 1 - P would be 0."""
    if value <= 0 or freedom < 1:
        return 1.0
    a, x = freedom / 2, value / 2
    if x < a + 1:
        return max(0.0, 1.0 - _gamma(a, x))
    # Lentz's continued fraction for Q(a, x) (Press et al., Numerical Recipes, 6.2).
    b = x + 1 - a
    c, d = 1e300, 1 / b
    product = d
    for i in range(1, 10_000):
        step = -i * (i - a)
        b += 2
        d = 1 / (step * d + b or 1e-300)
        c = b + step / c or 1e-300
        product *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return min(1.0, product * math.exp(a * math.log(x) - x - math.lgamma(a)))


def _gamma(a: float, x: float) -> float:
    """The regularized lower incomplete gamma function P(a, x), by its series: all terms are positive."""
    if x <= 0:
        return 0.0
    term = total = 1.0 / a
    place = a
    while term > total * 1e-17:
        place += 1
        term *= x / place
        total += term
    return min(1.0, total * math.exp(a * math.log(x) - x - math.lgamma(a)))


def pearson(reference: Sequence[int], now: Sequence[int]) -> tuple[float, int]:
    """Chi-square of two rows of counts, and its degrees of freedom. Bins that no row is in are left out."""
    n, m = sum(reference), sum(now)
    used = [(before, after) for before, after in zip(reference, now, strict=True) if before or after]
    if not n or not m or len(used) < 2:
        return 0.0, 0
    total = sum((before * m - after * n) ** 2 / (before + after) for before, after in used)
    return total / (n * m), len(used) - 1


def tested(reference: Sequence[int], now: Sequence[int], expected: float) -> tuple[float, int]:
    """Chi-square and its degrees of freedom over bins that are large enough.

    Where only one would be left, the last two are held against each other with Yates's correction: it makes p too
    large rather than too small, and a small reference can still tell a class that is gone.
    """
    first, second = pooled(reference, now, expected)
    if len(first) > 1 or sum(map(any, zip(reference, now, strict=True))) < 2:
        return pearson(first, second)
    (a, c), (b, d) = pooled(reference, now, expected, least=2)
    rows, margins = a + b + c + d, (a + b) * (c + d) * (a + c) * (b + d)
    apart = max(0.0, abs(a * d - b * c) - rows / 2)
    return (rows * apart**2 / margins if margins else 0.0), 1


def pooled(
    reference: Sequence[int], now: Sequence[int], expected: float, *, least: int = 1
) -> tuple[list[int], list[int]]:
    """The same with small bins put together, until each is expected to have so many rows on the smaller side.

    The chi-square approximation of a bin with few rows gives too many small p values. Which bins are small is said by
    both sides together, so that it says nothing of the difference between them.
    """
    n, m = sum(reference), sum(now)
    share = min(n, m) / (n + m) if n and m else 0.0
    pairs = sorted(pair for pair in zip(reference, now, strict=True) if any(pair))
    pairs.sort(key=sum)
    while len(pairs) > least and sum(pairs[0]) * share < expected:
        (first, second), pairs = pairs[:2], pairs[2:]
        pairs.append((first[0] + second[0], first[1] + second[1]))
        pairs.sort(key=sum)
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def cramers_v(reference: Sequence[int], now: Sequence[int]) -> float:
    """0: the same shares; 1: no category in common."""
    rows = sum(reference) + sum(now)
    return math.sqrt(pearson(reference, now)[0] / rows) if rows else 0.0


def js(reference: Sequence[int], now: Sequence[int]) -> float:
    """The Jensen-Shannon distance, base 2: the root of the divergence."""
    n, m = sum(reference), sum(now)
    total = 0.0
    for before, after in zip(reference, now, strict=True):
        p, q = before / n, after / m
        total += sum(share * math.log2(2 * share / (p + q)) for share in (p, q) if share)
    return math.sqrt(max(0.0, total / 2))


def kl(reference: Sequence[int], now: Sequence[int]) -> float:
    """The Kullback-Leibler divergence of now from the reference, in nats, both smoothed as for PSI."""
    n, m, bins = sum(reference), sum(now), len(reference)
    shares = [((b + 0.5) / (n + 0.5 * bins), (a + 0.5) / (m + 0.5 * bins)) for b, a in zip(reference, now, strict=True)]
    return max(0.0, sum(q * math.log(q / p) for p, q in shares))


def above(reference: tuple[int, int], now: tuple[int, int]) -> float:
    """How likely a share of (some, of all) is at least as large now without having grown: one-sided, exact.

    Given how many there are on both sides together, those of now are hypergeometric (Fisher's exact test).
    """
    (a, n), (b, m) = reference, now
    if not b or b * n <= a * m:
        return 1.0
    both, everything = a + b, n + m

    def log(k: int) -> float:
        return (
            _choose(m, k) + _choose(n, both - k) - _choose(everything, both)
            if max(0, both - n) <= k <= min(m, both)
            else -math.inf
        )

    total = largest = log(b)
    term, k = 1.0, b
    scaled = 1.0
    while k < min(m, both) and term > 1e-17 * scaled:  # each term is smaller than the one before: b is above the mean
        term *= (m - k) * (both - k) / ((k + 1) * (n - both + k + 1))
        k += 1
        scaled += term
    total = largest + math.log(scaled)
    return min(1.0, math.exp(total))


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def ks(reference: Floats, now: Floats) -> float:
    """The largest distance of the distribution functions of two sorted arrays, exactly; ties are one step."""
    import numpy as np  # noqa: PLC0415

    largest = 0.0
    # Both functions step only at values of one of the sides; they are compared after all of a value's steps.
    for own, other in ((reference, now), (now, reference)):
        last = np.append(np.flatnonzero(own[1:] != own[:-1]), len(own) - 1)
        steps = (last + 1) / len(own)
        steps -= np.searchsorted(other, own[last], side="right") / len(other)
        largest = max(largest, float(np.abs(steps, out=steps).max()))
    return largest


def ks_p(distance: float, n: int, m: int) -> float:
    """How likely a distance like this, or a greater one, is without drift: 2 sum (-1)^(k-1) exp(-2 k^2 x^2)."""
    x = math.sqrt(n * m / (n + m)) * distance
    if x < 0.2:
        return 1.0  # to 12 digits; the series converges slowly there
    terms = [math.exp(-2 * (k * x) ** 2) for k in range(1, 101)]
    return min(1.0, max(0.0, 2 * (sum(terms[::2]) - sum(terms[1::2]))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the order given."""
    adjusted = [1.0] * len(p_values)
    worst = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = worst
    return adjusted


def decile_edges(reference: Floats) -> Floats:
    """The least value that k tenths of the sorted reference are not above, without repetition.

    A value that is equal to an edge belongs to the bin below it. The first and the last bin are open.
    """
    import numpy as np  # noqa: PLC0415

    n = len(reference)
    found: Floats = np.unique(reference[[-(-n * k // BINS) - 1 for k in range(1, BINS)]])
    # Nothing of the reference is above its greatest value, and a bin of its own would say no more than the one below.
    below: Floats = found[found < reference[-1]]
    return below


def binned(values: Floats, edges: Floats) -> list[int]:
    """How many of the sorted values are in each bin."""
    import numpy as np  # noqa: PLC0415

    places = np.searchsorted(values, edges, side="right")
    return [int(count) for count in np.diff(places, prepend=0, append=len(values))]
