"""Where each row's score lies among the scores of the other class: what DeLong's method is made of.

One sort for each model and no float32 anywhere: ranks are exact below 2**52 rows (Sun & Xu, IEEE Signal Processing
Letters 21, 2014, doi 10.1109/LSP.2014.2337313, with counts in place of midranks).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlgate.judge.estimate import ordering

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


def by_class(positive: NDArray[np.bool_], scores: list[Floats]) -> tuple[Floats, Floats]:
    """Of the positive rows and of the negative ones: each (sides, rows of the class). Both classes occur.

    A placement is the share of the other class that a row is on the right side of, ties counting half. The mean of
    either class's is the area under the ROC curve.
    """
    positives = int(np.count_nonzero(positive))
    sizes = positives, len(positive) - positives
    found = np.empty((len(scores), sizes[0])), np.empty((len(scores), sizes[1]))
    tag = ordering.tags(positive)
    for side, score in enumerate(scores):
        ordered = ordering.ascending(positive, score, tag)
        place = _place_ties if ordered.first is not None else _place
        place(ordered, (found[0][side], found[1][side]))
    return found


def _place(ordered: ordering.Ordered, found: tuple[Floats, Floats]) -> None:
    """No two scores are equal."""
    positives, negatives = len(found[0]), len(found[1])
    seen = 0  # positive rows
    for block in ordering.blocks(len(ordered.tag)):
        tag = ordered.tag[block]
        place, mark = tag >> 1, (tag & 1).astype(np.bool_)
        mine = np.flatnonzero(mark)
        found[0][place[mine]] = (mine + (block.start - seen) - np.arange(len(mine))) / negatives
        other = np.flatnonzero(~mark)
        found[1][place[other]] = 1 - (other + seen - np.arange(len(other))) / positives
        seen += len(mine)


def _place_ties(ordered: ordering.Ordered, found: tuple[Floats, Floats]) -> None:
    positives, negatives = len(found[0]), len(found[1])
    assert ordered.first is not None  # noqa: S101 -- else it is `_place`
    starts = np.flatnonzero(ordered.first)
    mark = (ordered.tag & 1).astype(np.bool_)
    place = ordered.tag >> 1
    own = np.add.reduceat(mark, starts, dtype=np.int64)  # positive rows of each score
    other = np.diff(starts, append=len(mark)) - own
    found[0][place[mark]] = np.repeat(2 * np.cumsum(other) - other, own) / (2 * negatives)
    found[1][place[~mark]] = 1 - np.repeat(2 * np.cumsum(own) - own, other) / (2 * positives)
