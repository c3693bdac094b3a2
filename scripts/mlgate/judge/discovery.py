"""Many questions asked at once: what is claimed of one group, and which of the claims the rows prove.

A hundred groups judged at 95 % each would show five false alarms. The claims of all slices and fairness metrics of a
run are therefore settled together: by Benjamini and Hochberg (1995), of those that are called proven at most a share
`alpha` is wrong on average. Groups overlap and metrics go together, which is the kind of dependence under which the
procedure holds (Benjamini and Yekutieli 2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlgate.model import Check, Verdict


@dataclass(frozen=True)
class Claim:
    """One limit in one group. `check` stands as it is unless the harm is proven.

    `p`: the probability of rows at least as bad, were the truth exactly at the limit; None where no harm is looked
    for. `harm`: the sentence of a proven harm. `size`: how far beyond the limit the point is, in units of its
    uncertainty where there is one: the order of reading. The others say what it is about.
    """

    check: Check
    p: float | None = None
    harm: str = ""
    size: float = 0.0
    set: str = ""  # the evaluation set
    metric: str = ""  # the rule's key
    group: str = ""  # "health = poor"; "" where it is about several
    limit: str = ""  # "absolute_regression"


def settle(claims: Sequence[Claim], alpha: float) -> list[Check]:
    """The check of every claim, in their order; those that are proven harmful fail."""
    asked = [claim.p for claim in claims if claim.p is not None]
    proven = iter(benjamini_hochberg(asked, alpha))
    found = []
    for claim in claims:
        if claim.p is not None and next(proven):
            failed = {"verdict": Verdict.FAIL, "outcome": "worse", "reason": claim.harm or claim.check.reason}
            found.append(claim.check.model_copy(update=failed))
        else:
            found.append(claim.check)
    return found


def benjamini_hochberg(p: Sequence[float], alpha: float) -> list[bool]:
    """Which of these hypotheses are rejected when the false discovery rate is to be at most `alpha`."""
    return [value <= alpha for value in adjusted(p)]


def adjusted(p: Sequence[float]) -> list[float]:
    """The p-values of Benjamini and Hochberg: each at most `alpha` exactly where its hypothesis is rejected.

    Raises ValueError for what is no probability, NaN included.
    """
    order = _order(p)
    found = [1.0] * len(p)
    least = 1.0
    for rank in range(len(p), 0, -1):
        at = order[rank - 1]
        least = min(least, p[at] * (len(p) / rank))
        found[at] = least
    return found


def holm(p: Sequence[float]) -> list[float]:
    """The p-values of Holm (1979), for the chance of even one false alarm. Raises ValueError as `adjusted` does."""
    found = [1.0] * len(p)
    most = 0.0
    for rank, at in enumerate(_order(p)):
        most = max(most, min(1.0, p[at] * (len(p) - rank)))
        found[at] = most
    return found


def _order(p: Sequence[float]) -> list[int]:
    for value in p:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{value} is not a probability")
    return sorted(range(len(p)), key=lambda at: p[at])
