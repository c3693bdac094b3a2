"""The fairness metrics mlgate knows by name: which rates of the groups they compare, and how.

Names and meaning are those of fairlearn, between the groups: a difference is the largest rate less the smallest, a
ratio the smallest over the largest. All of them lie between 0 and 1. `disparate_impact_ratio` is the same number as
`demographic_parity_ratio` under the name that 29 CFR 1607.4(D) made known; fairlearn has no predictive parity, which
is its `MetricFrame` of the precision.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Rate = Literal["selection_rate", "true_positive_rate", "false_positive_rate", "precision"]

MEANS: dict[str, str] = {
    "selection_rate": "the share of rows that are decided to be positive",
    "true_positive_rate": "the share of the positive rows that are decided to be positive",
    "false_positive_rate": "the share of the negative rows that are decided to be positive",
    "precision": "the share of the rows decided to be positive that are positive",
}


class Parity(NamedTuple):
    """`rates`: what is compared between the groups; of several, the worst counts."""

    rates: tuple[Rate, ...]
    kind: Literal["difference", "ratio"]

    @property
    def greater_is_better(self) -> bool:
        return self.kind == "ratio"

    @property
    def best(self) -> float:
        """The value of a model that treats all groups alike; the other end of 0 to 1 is the worst."""
        return 1.0 if self.kind == "ratio" else 0.0


_RATES: dict[str, tuple[Rate, ...]] = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
    "predictive_parity": ("precision",),
}

KNOWN: dict[str, Parity] = {
    **{f"{name}_difference": Parity(rates, "difference") for name, rates in _RATES.items()},
    **{f"{name}_ratio": Parity(rates, "ratio") for name, rates in _RATES.items()},
    "disparate_impact_ratio": Parity(("selection_rate",), "ratio"),
}

ALIASES: dict[str, str] = {
    "disparate_impact": "disparate_impact_ratio",
    "statistical_parity_difference": "demographic_parity_difference",
    "equalised_odds_difference": "equalized_odds_difference",
    "equalised_odds_ratio": "equalized_odds_ratio",
    "dpd": "demographic_parity_difference",
    "dpr": "demographic_parity_ratio",
}

# The limits that mean something here. Relative ones do not: each of these numbers can be 0.
LIMITS = ("threshold", "warn_threshold", "max_absolute_regression", "warn_absolute_regression")


def canonical(name: str) -> str | None:
    """The name in `KNOWN` behind a rule's key or `is:`, in any case, with spaces or hyphens; None if not known."""
    lower = re.sub(r"[ -]+", "_", name.strip().lower())
    found = ALIASES.get(lower, lower)
    return found if found in KNOWN else None


def find(name: str) -> Parity | None:
    """The metric of that name or alias; None when it is not known."""
    found = canonical(name)
    return KNOWN[found] if found else None
