"""What slices and fairness share: how a group's check is named, what a small group is, and the rows of each group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.rows import Groups, Predicted, Rows
from mlgate.judge import numbers
from mlgate.judge.numbers import exact
from mlgate.model import Check, Location, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 30  # rows of a class, or clusters, below which nothing is said of a rate
_MOST_NAMED = 8


def _nowhere(_: str) -> Location | None:
    return None


@dataclass(frozen=True)
class Setting:
    """What a check of groups has to know besides the rows. `locate` takes a rule's key to its line.

    `absent`: the verdict and the reason of rules that compare, where the rows have no champion.
    """

    confidence: float
    set: str = ""  # the evaluation set's name, where there are several
    prefix: str = ""  # of ids: "proposed." for the pull request's own rules
    suffix: str = ""  # of titles: ", as proposed"
    locate: Callable[[str], Location | None] = _nowhere
    absent: tuple[Verdict, str] = (Verdict.ERROR, "there is no champion")

    @property
    def alpha(self) -> float:
        return 1 - self.confidence

    def id(self, *parts: str) -> str:
        at = f"@{self.set}" if self.set else ""
        return f"{self.prefix}{parts[0]}.{parts[1]}{at}.{'.'.join(parts[2:])}"

    def title(self, text: str) -> str:
        return f"{text}{f' ({self.set})' if self.set else ''}{self.suffix}"


@dataclass(frozen=True)
class Small:
    """A group of which nothing is said, and why."""

    name: str
    rows: int
    why: str  # "98 rows, 300 needed"


def name_of(by: str | Sequence[str]) -> str:
    """The key of `Rows.groups` for an entry of `by`."""
    return by if isinstance(by, str) else " x ".join(by)


def missing(section: str, key: str, by: str, setting: Setting) -> Check:
    """The configured groups are not there: an error, never silence."""
    return Check(
        id=setting.id(section, key, by, "groups"),
        group=section,
        title=setting.title(f"{key} by {by}"),
        verdict=Verdict.ERROR,
        reason=f"The evaluation data have no groups by {by}: a column is missing, or empty in some rows. "
        f"Look at compare.{section}.by.",
        observed="missing",
        location=setting.locate(key),
    )


def not_judged(section: str, key: str, by: str, small: Sequence[Small], setting: Setting, *, all_: bool) -> Check:
    """The groups of which a rule can say nothing, largest first. `all_`: there is no other group."""
    ordered = sorted(small, key=lambda s: (-s.rows, s.name))
    named = "; ".join(f"{s.name}: {s.why}" for s in ordered[:_MOST_NAMED])
    more = f"; and {len(ordered) - _MOST_NAMED:,} more groups" if len(ordered) > _MOST_NAMED else ""
    groups = "group" if len(small) == 1 else "groups"
    whole = "judged in no group" if all_ else f"not judged in {len(small):,} {groups}"
    what = ordered[0].name if len(ordered) == 1 else f"{by}, {len(ordered):,} groups"
    return Check(
        id=setting.id(section, key, by, "not_judged"),
        group=section,
        title=setting.title(f"{key}, {what}"),
        verdict=Verdict.INCONCLUSIVE if all_ else Verdict.WARN,
        reason=f"{key} was {whole} by {by}: {named}{more}.",
        observed="not judged",
        expected=ordered[0].why if len(ordered) == 1 else "enough rows",
        rows=sum(s.rows for s in ordered),
        location=setting.locate(key),
    )


def crosses(harm: float, limit: Decimal) -> bool:
    """Whether a measured harm is larger than is allowed. Twelve digits count: 0.8 - 0.7 is 0.1 here."""
    return exact(round(harm, 12)) > limit


def shown(value: float, *beside: float | Decimal) -> str:
    """A number for a sentence: three digits, or as many as tell it from those it is held against."""
    for digits in range(3, 13):
        text = f"{value:.{digits}g}"
        if "e" not in text and all(text != f"{float(b):.{digits}g}" for b in beside if float(b) != value):
            break
    return numbers.plain(Decimal(text))


def split(rows: Rows, groups: Groups) -> Iterator[tuple[str, Rows]]:
    """The rows of each group that has any, by name, in the order of `groups.names`.

    Everything is sorted once; what is given out are views of it.
    """
    order = np.argsort(groups.codes, kind="stable")
    ends = np.cumsum(np.bincount(groups.codes, minlength=len(groups.names)))
    ordered = _taken(rows, order)
    start = 0
    for name, end in zip(groups.names, ends.tolist(), strict=True):
        if end > start:
            part = _taken(ordered, slice(start, end))
            yield name, replace(part, cluster=_dense(part.cluster), query=_dense(part.query))
        start = end


def _taken(rows: Rows, which: NDArray[np.intp] | slice) -> Rows:
    return replace(
        rows,
        label=rows.label[which],
        challenger=_side(rows.challenger, which),
        champion=_side(rows.champion, which) if rows.champion else None,
        anchor=None,
        weight=None if rows.weight is None else rows.weight[which],
        cluster=None if rows.cluster is None else rows.cluster[which],
        query=None if rows.query is None else rows.query[which],
        groups={},
    )


def _side(side: Predicted, which: NDArray[np.intp] | slice) -> Predicted:
    return Predicted(
        score=None if side.score is None else side.score[which],
        decided=None if side.decided is None else side.decided[which],
        values={name: values[which] for name, values in side.values.items()},
    )


def _dense(codes: NDArray[np.int32] | None) -> NDArray[np.int32] | None:
    """Codes from 0 upwards without gaps, as `Rows` has them."""
    return None if codes is None else np.unique(codes, return_inverse=True)[1].astype(np.int32)
