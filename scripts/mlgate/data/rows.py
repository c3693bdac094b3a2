"""The rows of one evaluation set, joined by id: what the judge's arithmetic works on. Plain arrays, no I/O.

`n` rows everywhere, in one order (that of the labels). No array holds NaN: a value that is missing was refused when it
was read. Codes are indices into the names beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int32]

Task = Literal["binary", "multiclass", "regression", "ranking"]


@dataclass(frozen=True)
class Predicted:
    """What one model says of the rows."""

    score: Floats | None = (
        None  # (n,): of the positive class, the predicted value, the rank's score; (n, k): multiclass
    )
    decided: Codes | None = None  # (n,): index into `Rows.classes`
    values: Mapping[str, Floats] = field(default_factory=dict)  # metric or column -> (n,): values per row


@dataclass(frozen=True)
class Groups:
    """The groups that one column, or a combination of columns, makes."""

    by: str  # "health", "health x sex"
    codes: Codes  # (n,): index into `names`
    names: tuple[str, ...]  # "health = poor"


@dataclass(frozen=True)
class Rows:
    """`label`: binary 0.0 or 1.0; multiclass the index into `classes`; regression the value; ranking the relevance."""

    task: Task
    label: Floats  # (n,)
    challenger: Predicted
    champion: Predicted | None = None
    anchor: Predicted | None = None
    classes: tuple[str, ...] = ()  # binary: (negative, positive)
    weight: Floats | None = None  # (n,), never negative, not all 0
    cluster: Codes | None = None  # (n,), 0 up to the number of clusters
    query: Codes | None = None  # (n,): ranking
    groups: Mapping[str, Groups] = field(default_factory=dict)  # by `Groups.by`
    id_of: Callable[[int], str] = field(default=str, compare=False)  # the id of a row, for people

    @property
    def count(self) -> int:
        return len(self.label)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Rows:
        """Only the chosen rows, in their order: an index, or a mask of (n,). Clusters and queries are counted anew."""

        def part(codes: Codes | None) -> Codes | None:
            return None if codes is None else _dense(codes[chosen])

        return replace(
            self,
            label=self.label[chosen],
            challenger=_taken(self.challenger, chosen),
            champion=_taken(self.champion, chosen) if self.champion else None,
            anchor=_taken(self.anchor, chosen) if self.anchor else None,
            weight=None if self.weight is None else self.weight[chosen],
            cluster=part(self.cluster),
            query=part(self.query),
            groups={by: replace(group, codes=group.codes[chosen]) for by, group in self.groups.items()},
            id_of=_Ids(self.id_of, chosen),
        )


def _taken(side: Predicted, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Predicted:
    return Predicted(
        score=None if side.score is None else side.score[chosen],
        decided=None if side.decided is None else side.decided[chosen],
        values={name: values[chosen] for name, values in side.values.items()},
    )


def _dense(codes: Codes) -> Codes:
    import numpy as np  # noqa: PLC0415 -- the nouns themselves need none

    return np.unique(codes, return_inverse=True)[1].astype(np.int32)


@dataclass(frozen=True)
class _Ids:
    """The id of a row of a part."""

    whole: Callable[[int], str]
    chosen: NDArray[np.intp] | NDArray[np.bool_]

    def __call__(self, row: int) -> str:
        index = self.chosen.nonzero()[0] if self.chosen.dtype == bool else self.chosen
        return self.whole(int(index[row]))
