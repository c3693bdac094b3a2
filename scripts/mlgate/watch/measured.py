"""What of a column is measured, and which of its limits mean it. Pure."""

from __future__ import annotations

from mlgate.config.watching import Drift, Limits
from mlgate.data.drift.compared import Compared

BINNED = ("psi", "js", "kl", "cramers_v")  # what compares bins
ONLY = {"ks": "number", "wasserstein": "number", "out_of_range": "number"}


def limits_of(one: Compared, settings: Drift) -> dict[str, float]:
    """The limits that hold for a column, by measure; those that only numbers have are left out for categories."""
    if one.role != "feature":
        said: Limits = settings.prediction
    else:
        said = settings.columns.get(one.name, settings)
    found = {name: getattr(said, name) for name in Limits.model_fields}
    own = one.role == "feature" and one.name in settings.columns
    return {name: float(limit) for name, limit in found.items() if limit is not None and (own or fits(one, name))}


def fits(one: Compared, measure: str) -> bool:
    """Whether a limit for all columns means this one."""
    if measure != "nulls" and hidden(one):
        return False
    if measure in {"cramers_v", "unseen"}:
        return one.kind == "category" or bool(one.trouble) or one.unseen is not None
    if measure in {"ks", "wasserstein"}:
        return one.ordered
    return measure != "out_of_range" or one.ranged


def hidden(one: Compared) -> bool:
    return not one.trouble and one.rows > 0 and not one.labels


def vague(one: Compared) -> bool:
    """Whether all values share one bin: text of which each value is rare, say. Such bins tell missing values only."""
    return 0 < len(one.labels) <= 2 and one.present > 0 and one.present_before > 0


def value_of(one: Compared, measure: str) -> float | None:
    """What a measure came to; shares are fractions."""
    if measure == "nulls":
        return None if one.nulls is None else max(0.0, one.nulls[1] - one.nulls[0])
    if measure == "unseen":
        return one.unseen_share
    if measure == "out_of_range":
        return one.outside_share
    found: float | None = getattr(one, measure)
    return found
