"""Rows of two classes in the order of their scores, in time and memory that grow as the rows do.

An argsort of ten million doubles takes twenty times that of one million, for it leaves the processor's cache. So whole
numbers are sorted instead, each of which holds the leading bits of a score, and below them which row it is of. What
the leading bits do not tell apart is put in order afterwards: the order is exact, and so is what is called a tie.
All else is done in blocks that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

Tags = NDArray[np.int64]
Mask = NDArray[np.bool_]

_BLOCK = 1 << 17  # rows


class Ordered(NamedTuple):
    """All rows, (n,), by ascending score. `first`: the row's score is not that of the row before; None: no two tie."""

    tag: Tags  # of each row
    first: Mask | None


def blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, _BLOCK):
        yield slice(start, min(count, start + _BLOCK))


def tags(positive: Mask) -> Tags:
    """(n,): twice each row's place among the rows of its class, and one more for a positive row."""
    found = np.empty(len(positive), dtype=np.int64)
    before = 0
    for block in blocks(len(positive)):
        mine = positive[block]
        so_far = np.cumsum(mine, dtype=np.int64)
        so_far += before
        before = int(so_far[-1])
        place = np.arange(block.start, block.stop)
        place -= so_far
        so_far -= 1
        np.copyto(place, so_far, where=mine)
        place <<= 1
        place |= mine
        found[block] = place
    return found


def ascending(positive: Mask, score: Floats, tag: Tags) -> Ordered:
    """`tag` is `tags(positive)`, which all scores of these rows share. Both classes occur, and no score is NaN."""
    width = max(len(score) - 1, 1).bit_length() + 1
    keys, spare = _bits(score)
    span = int(_whole(score.max(keepdims=True))[0]) - int(_whole(score.min(keepdims=True))[0])
    dropped = max(spare, span.bit_length() + width - 64, 0)
    for block in blocks(len(score)):
        part = keys[block]
        part >>= np.uint64(dropped)
        part <<= np.uint64(width)
        part |= tag[block].view(np.uint64)
    keys.sort()
    first = _changes(keys, np.uint64(width))
    keys &= np.uint64((1 << width) - 1)
    found = keys.view(np.int64)
    if dropped > spare and first is not None:
        first = _refined(found, first, positive, score)
    return Ordered(found, first)


def _whole(score: Floats) -> NDArray[np.int64]:
    """Whole numbers that are ordered as the scores are, and equal where these are."""
    bits = (score + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    bits ^= (bits >> 63) & np.int64(2**63 - 1)  # of negative numbers the larger bits are the smaller value
    return bits


def _bits(score: Floats) -> tuple[NDArray[np.uint64], int]:
    """Those numbers from 0 on, and how many of the last bits none of them uses: 29 in single precision."""
    keys = np.empty(len(score), dtype=np.uint64)
    lowest = np.uint64(int(_whole(score.min(keepdims=True))[0]) % 2**64)
    used = 0
    for block in blocks(len(score)):
        part = _whole(score[block]).view(np.uint64)
        np.subtract(part, lowest, out=part)
        used |= int(np.bitwise_or.reduce(part))
        keys[block] = part
    return keys, (used & -used).bit_length() - 1 if used else 0


def _changes(keys: NDArray[np.uint64], width: np.uint64) -> Mask | None:
    """Which keys differ from the one before in their leading bits; None where all do."""
    first = np.empty(len(keys), dtype=np.bool_)
    first[:1] = True
    every = True
    for block in blocks(len(keys) - 1):
        leading = keys[block.start : block.stop + 1] >> width
        found = leading[1:] != leading[:-1]
        every = every and bool(found.all())
        first[block.start + 1 : block.stop + 1] = found
    return None if every else first


def _refined(tag: Tags, first: Mask, positive: Mask, score: Floats) -> Mask | None:
    """Puts rows into order, in place, whose leading bits are equal; gives `Ordered.first`."""
    if np.count_nonzero(first) > _MOSTLY * len(first):
        alike = ~first
        alike[:-1] |= ~first[1:]
        where = np.flatnonzero(alike)
        own = _sort_runs(tag, where, np.cumsum(first[where]), positive, score)
        first[where[1:]] |= own[1:] != own[:-1]
        return None if first.all() else first
    ordered = np.sort(score)
    exact = np.append(True, ordered[1:] != ordered[:-1])
    unlike = exact & ~first  # the same leading bits, and not the same score
    if unlike.any():
        run = np.cumsum(first) - 1
        mixed = np.zeros(int(run[-1]) + 1, dtype=np.bool_)
        mixed[run[unlike]] = True
        where = np.flatnonzero(mixed[run])
        _sort_runs(tag, where, run[where], positive, score)
    return exact


_MOSTLY = 0.9  # of the rows that have leading bits of their own: the others are few enough to be looked up


def _sort_runs(tag: Tags, where: NDArray[np.intp], run: NDArray[np.intp], positive: Mask, score: Floats) -> Floats:
    """Sorts the rows at these places within their runs, in place; their scores."""
    rows = tag[where]
    is_positive, place = (rows & 1).astype(np.bool_), rows >> 1
    own = np.empty(len(rows))
    own[is_positive] = score[positive][place[is_positive]]
    own[~is_positive] = score[~positive][place[~is_positive]]
    order = np.lexsort((own, run))
    tag[where] = rows[order]
    return own[order]
