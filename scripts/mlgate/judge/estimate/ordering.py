"""Rows of two classes in the order of their scores, in time and memory that grow as the rows do.

An argsort of ten million doubles takes twenty times that of one million, for it leaves the processor's cache. So whole
numbers are sorted instead, each of which holds the leading bits of a score, and below them which row it is of. What
the leading bits do not tell apart is put in order afterwards: the order is exact, and so is what is called a tie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

Places = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Ordered(NamedTuple):
    """All rows, (n,), by ascending score."""

    place: Places  # where the row is among the rows of its class, in their own order
    positive: Mask
    first: Mask  # its score is not that of the row before


def tags(positive: Mask) -> Places:
    """(n,): twice each row's place among the rows of its class, and one more for a positive row."""
    so_far = np.cumsum(positive, dtype=np.int64)
    found = np.arange(len(positive))
    found -= so_far
    so_far -= 1
    np.copyto(found, so_far, where=positive)
    found <<= 1
    found |= positive
    return found


def ascending(positive: Mask, score: Floats, tag: Places) -> Ordered:
    """`tag` is `tags(positive)`, which all scores of these rows share. No score is NaN."""
    width = max(len(score) - 1, 1).bit_length() + 1
    keys = _bits(score)
    span, set_ = int(keys.max()), int(np.bitwise_or.reduce(keys))
    spare = (set_ & -set_).bit_length() - 1 if set_ else 0  # scores of single precision leave 29 bits unused
    dropped = max(spare, span.bit_length() + width - 64, 0)
    keys >>= np.uint64(dropped)
    keys <<= np.uint64(width)
    keys |= tag.view(np.uint64)
    keys.sort()
    first = _changes(keys >> np.uint64(width))
    keys &= np.uint64((1 << width) - 1)
    found = keys.view(np.int64)
    if dropped > spare and not first.all():
        first = _refined(found, first, positive, score)
    is_positive = (found & 1).astype(np.bool_)
    found >>= 1
    return Ordered(found, is_positive, first)


def _bits(score: Floats) -> NDArray[np.uint64]:
    """Whole numbers from 0 that are ordered as the scores are, and equal where these are."""
    bits = (score + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    if int(bits.min()) < 0:
        bits ^= (bits >> 63) & np.int64(2**63 - 1)  # of negative numbers the larger bits are the smaller value
    lowest = int(bits.min())
    keys = bits.view(np.uint64)
    keys -= np.uint64(lowest % 2**64)
    return keys


def _changes(values: NDArray[np.uint64] | Floats) -> Mask:
    first = np.empty(len(values), dtype=np.bool_)
    first[:1] = True
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return first


def _refined(tag: Places, first: Mask, positive: Mask, score: Floats) -> Mask:
    """Puts rows into order, in place, whose leading bits are equal; gives `Ordered.first`. Both classes occur."""
    exact = _changes(np.sort(score))
    unlike = exact & ~first  # the same leading bits, and not the same score
    if unlike.any():
        run = np.cumsum(first) - 1
        mixed = np.zeros(int(run[-1]) + 1, dtype=np.bool_)
        mixed[run[unlike]] = True
        where = np.flatnonzero(mixed[run])
        rows = tag[where]
        is_positive, place = (rows & 1).astype(np.bool_), rows >> 1
        own = np.empty(len(rows))
        own[is_positive] = score[positive][place[is_positive]]
        own[~is_positive] = score[~positive][place[~is_positive]]
        tag[where] = rows[np.lexsort((own, run[where]))]
    return exact
