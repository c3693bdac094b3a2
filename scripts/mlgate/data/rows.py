"""The rows of one evaluation set, joined by id: what the judge's arithmetic works on. Plain arrays, no I/O.

`n` rows everywhere, in one order (that of the labels). No array holds NaN: a value that is missing was refused when it
was read. Codes are indices into the names beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
