"""One column of a window beside the profile: every statistic, from counts alone. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from mlgate.data.drift import frozen, statistics
from mlgate.data.profiles.nouns import FLOOR, Column

if TYPE_CHECKING:
    from mlgate.data.drift.counted import Names, Numbers

Role = Literal["prediction", "score", "feature"]
LEAST = 50  # values on each side for anything but missing ones to be said
RARE = 0.005  # the share from which a category is kept by the profile
_EXPECTED = 10  # rows that a bin is expected to have in a test, on the smaller side
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Compared:
    """What one column came to. Statistics are None where they cannot be had; `trouble` says why all of them are.

    `before` and `now` are rows in the same bins, the last of them missing values. Shares are of the values that are
    there, but for `missing`, whose share is of all rows. `unseen_before` and `outside_before` are how many rows of the
    reference are the same, by rarity or as they were left out of its range.
    """

    name: str
    role: Role
    kind: Literal["number", "category"]
    rows: int = 0
    missing: int = 0
    rows_before: int = 0
    missing_before: int = 0
    labels: tuple[str, ...] = ()
    before: tuple[int, ...] = ()
    now: tuple[int, ...] = ()
    private: bool = False
    of: str = "number"  # what the profile says the values are
    ordered: bool = False  # whether the profile has a distribution function of it
    ranged: bool = False  # whether the profile has a range of it
    trouble: str = ""
    unfit: int = 0  # values of another type than the reference's
    psi: float | None = None
    js: float | None = None
    kl: float | None = None
    cramers_v: float | None = None
    chi_square: tuple[float, int] = (0.0, 0)  # of the bins that are large enough, and degrees of freedom
    small: tuple[int, int] = (0, 0)  # rows in what is not large enough or unseen: before, and now
    ks: float | None = None
    wasserstein: float | None = None
    unseen: int | None = None
    unseen_before: int = 0
    examples: tuple[tuple[str, int], ...] = ()  # values that the reference does not know, and their rows
    outside: int | None = None
    outside_before: int = 0
    mean: tuple[float | None, float | None] = (None, None)  # before, now
    spread: tuple[float | None, float | None] = (None, None)
    quantiles: tuple[tuple[float, float, float], ...] = ()  # of which, before, now

    @property
    def present(self) -> int:
        return self.rows - self.missing

    @property
    def present_before(self) -> int:
        return self.rows_before - self.missing_before

    @property
    def nulls(self) -> tuple[float, float] | None:
        """The share of missing values, before and now."""
        if not self.rows or not self.rows_before:
            return None
        return self.missing_before / self.rows_before, self.missing / self.rows

    @property
    def unseen_share(self) -> float | None:
        """Of the values, beyond what is as rare in the reference."""
        return self._beyond(self.unseen, self.unseen_before)

    @property
    def outside_share(self) -> float | None:
        return self._beyond(self.outside, self.outside_before)

    def _beyond(self, now: int | None, before: int) -> float | None:
        if now is None or not self.present:
            return None
        return max(0.0, now / self.present - (before / self.present_before if self.present_before else 0.0))


def lacking(name: str, role: Role, column: Column, why: str, *, private: bool = False) -> Compared:
    """A column of which nothing can be said, and why."""
    return Compared(
        name,
        role,
        "number" if column.kind == "number" else "category",
        rows_before=column.rows,
        missing_before=column.missing,
        private=private,
        trouble=why,
        **_facts(column),  # type: ignore[arg-type]
    )


def _facts(column: Column) -> dict[str, object]:
    return {"of": column.of, "ordered": bool(column.knots), "ranged": column.least is not None}


def compared(name: str, role: Role, counts: Numbers | Names, *, private: bool = False) -> Compared:
    """A column's counts beside its profile."""
    column = counts.column
    frame = frozen.bins(column)
    now = _now(counts, frame)
    trouble = _trouble(counts)
    plain: dict[str, object] = {
        "rows": counts.rows,
        "missing": counts.missing,
        "rows_before": column.rows,
        "missing_before": column.missing,
        "private": private,
        "unfit": counts.unfit,
        **_facts(column),
    }
    kind: Literal["number", "category"] = "number" if column.kind == "number" else "category"
    if column.kind == "hidden" or trouble:
        return Compared(name, role, kind, trouble=trouble, **plain)  # type: ignore[arg-type]
    before = frame.before
    # What is in no row on either side is no bin.
    used = [i for i in range(len(now)) if before[i] or now[i]]
    first, second = [before[i] for i in used], [now[i] for i in used]
    some = min(sum(first), sum(second)) > 0
    small, test = _tested(column, frame, counts, first, second)
    numbers = _numbers(counts, column) if hasattr(counts, "knots") and counts.present else {}
    unseen, was_unseen = _unseen(counts, column, frame)
    return Compared(
        name,
        role,
        kind,
        labels=frame.labels,
        before=before,
        now=now,
        psi=statistics.psi(first, second) if some else None,
        js=statistics.js(first, second) if some else None,
        kl=statistics.kl(first, second) if some else None,
        cramers_v=statistics.cramers_v(first, second) if some and frame.categories else None,
        chi_square=test,
        small=small,
        unseen=unseen,
        unseen_before=was_unseen,
        **plain,  # type: ignore[arg-type]
        **numbers,  # type: ignore[arg-type]
    )


def _trouble(counts: Numbers | Names) -> str:
    """Why nothing can be said of the column's values."""
    column = counts.column
    if not counts.rows:
        return "There are no rows."
    if column.kind == "hidden":
        return ""
    if counts.unfit > (counts.rows - counts.missing) / 2:
        what = {"number": "numbers", "moment": "times", "boolean": "true and false"}.get(column.of, "text")
        return (
            f"{counts.unfit:,} of {counts.rows - counts.missing:,} values are no {what}, as those of the profile are."
        )
    return ""


def _now(counts: Numbers | Names, frame: frozen.Bins) -> tuple[int, ...]:
    column = counts.column
    if frame.categories:
        of = dict(zip(column.values, counts.equal.tolist(), strict=True))
        kept = [of[one] for one in frame.kept]
        return (*kept, counts.rows - counts.missing - sum(kept), counts.missing)
    if not hasattr(counts, "below"):
        return (counts.present, counts.missing)
    below = dict(zip(column.knots, counts.below.tolist(), strict=True))
    reached = [0, *(below[edge] for edge in frame.edges), counts.present]
    steps = [after - earlier for earlier, after in pairwise(reached)]
    steps[-1] += counts.unfit  # it is no number that the reference knows, so it counts as one far out
    return (*steps, counts.missing)


def _tested(
    column: Column, frame: frozen.Bins, counts: Numbers | Names, first: list[int], second: list[int]
) -> tuple[tuple[int, int], tuple[float, int]]:
    """Rows in small bins on both sides, and chi-square over bins that are large enough.

    Which categories a profile keeps is chance at the border: those that are kept were rather too frequent, and so are
    rather rarer now. So for the test a bin has to be twice as large, by both sides together: chance does not get there.
    """
    if not frame.categories:
        return (0, 0), statistics.tested(first, second, _EXPECTED)
    of = dict(zip(column.values, counts.equal.tolist(), strict=True))
    n, m = column.rows, counts.rows
    border = max(2 * RARE, 2 * FLOOR / n) * (n + m)
    named = [(column.values[one], of[one]) for one in frame.kept if column.values[one] + of[one] >= border]
    rest = (
        n - column.missing - sum(one for one, _ in named),
        m - counts.missing - sum(one for _, one in named),
    )
    pairs = [*named, rest, (column.missing, counts.missing)]
    test = statistics.tested([a for a, _ in pairs], [b for _, b in pairs], _EXPECTED)
    close = [(a, of[v]) for v, a in column.values.items() if (a + of[v]) < 4 * FLOOR * (n + m) / n]
    unseen, before = _unseen(counts, column, frame)
    small = (before + sum(a for a, _ in close), (unseen or 0) + sum(b for _, b in close))
    return small, test


def _unseen(counts: Numbers | Names, column: Column, frame: frozen.Bins) -> tuple[int | None, int]:
    """Rows of values that the profile does not name: now, and in the reference, where they were too rare for it."""
    if not frame.categories:
        return None, 0
    now = counts.rows - counts.missing - int(counts.equal.sum())
    return now, column.rows - column.missing - sum(column.values.values())


def _numbers(counts: Numbers | Names, column: Column) -> dict[str, object]:
    """What only numbers have."""
    from mlgate.data.drift.counted import Numbers  # noqa: PLC0415

    if not isinstance(counts, Numbers):
        return {}
    found: dict[str, object] = {"mean": (column.mean, counts.mean), "spread": (column.spread, counts.spread)}
    if column.least is not None and column.most is not None:
        found |= {"outside": counts.under + counts.over, "outside_before": column.outside}
    n, m = column.rows - column.missing, counts.present
    if not column.knots or not n or not m:
        return found
    import numpy as np  # noqa: PLC0415

    before, now = np.asarray(column.below) / n, counts.below / m
    # The ends of the range are places to compare at, too: of what is beyond them, the reference has `outside` at most.
    beyond = max(counts.under, counts.over) / m - column.outside / n if "outside" in found else 0.0
    found["ks"] = max(0.0, float(np.abs(before - now).max()) - column.error, beyond)
    found["quantiles"] = tuple(
        (of, quantile(counts.knots, before, of), quantile(counts.knots, now, of))
        for of in QUANTILES
        if now[0] <= of <= now[-1]  # beyond the outer knots nothing says where it is
    )
    unit = quantile(counts.knots, before, 0.75) - quantile(counts.knots, before, 0.25)
    if not unit > 0:
        unit = column.spread or 0.0
    if unit > 0 and math.isfinite(unit):
        found["wasserstein"] = _moved(counts, column) / unit
    return found


def _moved(counts: Numbers, column: Column) -> float:
    """How far rows have to be moved on average: the area between the distribution functions.

    Exact where the profile names every value. Else both are straight between knots; of the outer bins, as many rows
    count as are there now and were not, and all the way that they are beyond the range of the reference.
    """
    import numpy as np  # noqa: PLC0415

    n, m = column.rows - column.missing, counts.present
    if len(counts.values) and not column.other[1]:
        order = np.argsort(counts.values)
        before = np.cumsum(np.array(list(column.values.values()))[order]) / n
        now = np.cumsum(counts.equal[order]) / max(1, int(counts.equal.sum()))
        return float((np.abs(before - now)[:-1] * np.diff(counts.values[order])).sum())
    before, now = np.asarray(column.below) / n, counts.below / m
    total = _area(counts.knots, before - now)
    for way, far, was, share in (
        (counts.low, counts.far_low, float(before[0]), float(now[0])),
        (counts.high, counts.far_high, 1 - float(before[-1]), 1 - float(now[-1])),
    ):
        if share > 0:
            total += (far + (way - far) * max(0.0, 1 - was / share)) / m
    return total


def quantile(knots: object, shares: object, of: float) -> float:
    """Of a distribution function at knots; between two of them it is straight, and it ends at the outer ones."""
    import numpy as np  # noqa: PLC0415

    return float(np.interp(of, np.asarray(shares), np.asarray(knots)))


def _area(knots: object, gap: object) -> float:
    """The area between two distribution functions, straight between knots."""
    import numpy as np  # noqa: PLC0415

    x, d = np.asarray(knots), np.asarray(gap)
    width, a, b = np.diff(x), d[:-1], d[1:]
    same = np.abs(a + b) / 2
    crossing = (a**2 + b**2) / np.maximum(2 * (np.abs(a) + np.abs(b)), 1e-300)
    return float((width * np.where(a * b >= 0, same, crossing)).sum())
