"""What stands behind a verdict: curves and errors of both models, and the rows they see differently. Pure; numpy.

Every figure holds few numbers (200 points of a line, 20 bins, 12 classes), each of them exact: a line is thinned to
points that lie on it, never smoothed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.rows import Predicted, Rows
from mlgate.model import Figure, Moved, Series

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

POINTS = 200
BINS = 20
CLASSES = 12
IDS = 20
_SORTED = 50_000  # more rows than this are not sorted for a line of 200 points
_CELLS = 1 << 16
_DIGITS = 6  # of a point: more than a chart can show


def figures(rows: Rows, name: str) -> list[Figure]:
    """Of the challenger and, where there is one, the champion; `name` is the evaluation set.

    Binary: ROC, precision and recall, calibration, decisions. Several classes: calibration of the most probable class,
    decisions. Regression: errors. What a model does not say (a score, a class) is left out.
    """
    makers = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
    make = makers.get(rows.task)
    return list(make(rows, name)) if make is not None and rows.count else []


def moved(rows: Rows, name: str, *, ids: bool = True) -> Moved | None:
    """The rows that champion and challenger see differently; None where that cannot be told.

    With classes: rows that one of them decides rightly. Regression: rows whose error differs. The ids are of the rows
    that changed most; without `ids` they are left out.
    """
    champion, challenger = rows.champion, rows.challenger
    if champion is None or not rows.count:
        return None
    if rows.task in {"binary", "multiclass"} and champion.decided is not None and challenger.decided is not None:
        label = rows.label.astype(np.int64)
        before, after = champion.decided == label, challenger.decided == label
        gain = after.astype(np.int8) - before.astype(np.int8)
        size = np.abs(_certainty(challenger) - _certainty(champion)) if _certain(rows) else np.ones(rows.count)
        by = "class"
    elif rows.task == "regression" and champion.score is not None and challenger.score is not None:
        less = np.abs(rows.label - champion.score) - np.abs(rows.label - challenger.score)
        gain, size, by = np.sign(less), np.abs(less), "loss"
    else:
        return None
    better, worse = np.flatnonzero(gain > 0), np.flatnonzero(gain < 0)
    return Moved(
        name=name,
        by="class" if by == "class" else "loss",
        rows=rows.count,
        better=len(better),
        worse=len(worse),
        best=_ids(rows, better, size) if ids else (),
        worst=_ids(rows, worse, size) if ids else (),
    )


def _certain(rows: Rows) -> bool:
    both = (rows.champion, rows.challenger)
    return all(side is not None and side.score is not None and side.score.ndim == 1 for side in both)


def _certainty(side: Predicted) -> Floats:
    assert side.score is not None  # noqa: S101 -- `_certain` was asked
    return side.score


def _ids(rows: Rows, found: np.ndarray, size: Floats) -> tuple[str, ...]:
    """Of the rows that changed most; equal ones in their own order."""
    order = np.argsort(-size[found], kind="stable")[:IDS]
    return tuple(rows.id_of(int(at)) for at in found[order])


# --- by task


def _sides(rows: Rows) -> list[tuple[str, Predicted]]:
    sides = [("champion", rows.champion), ("challenger", rows.challenger)]
    return [(name, side) for name, side in sides if side is not None]


def _binary(rows: Rows, name: str) -> Iterator[Figure]:
    scored = [(side, one.score) for side, one in _sides(rows) if one.score is not None and one.score.ndim == 1]
    positive = rows.label == 1
    if scored and 0 < positive.sum() < rows.count:
        ends = [(side, _curves(score, positive, rows.weight)) for side, score in scored]
        ends = [(side, both) for side, both in ends if both[0][-1] > 0 and both[1][-1] > 0]  # of some weight
        yield _figure("roc", _title(name, "ROC"), ("false positive rate", "true positive rate"), [
            _line(side, hits / hits[-1], alarms / alarms[-1]) for side, (hits, alarms) in ends
        ])  # fmt: skip
        yield _figure("precision-recall", _title(name, "precision and recall"), ("recall", "precision"), [
            _line(side, *_precision(hits, alarms)) for side, (hits, alarms) in ends
        ])  # fmt: skip
    yield from _decisions(rows, name)
    shares = [(side, score) for side, score in scored if score.min() >= 0 and score.max() <= 1]
    if shares:
        right = positive.astype(float)
        yield _calibration(name, "calibration", [(side, score, right) for side, score in shares], rows.weight)


def _multiclass(rows: Rows, name: str) -> Iterator[Figure]:
    yield from _decisions(rows, name)
    label = rows.label.astype(np.int64)
    tops = []
    for side, one in _sides(rows):
        if one.score is None or one.score.ndim != 2 or one.score.min() < 0 or one.score.max() > 1:
            continue
        top = one.score.argmax(axis=1)
        tops.append((side, one.score[np.arange(rows.count), top], (top == label).astype(float)))
    if tops:
        yield _calibration(name, "calibration of the most probable class", tops, rows.weight)


def _regression(rows: Rows, name: str) -> Iterator[Figure]:
    lines: list[Series] = []
    for side, one in _sides(rows):
        if one.score is not None:
            lines += _errors(side, one.score, rows.label - one.score)
    if lines:
        yield _figure("residuals", _title(name, "errors"), ("predicted", "true minus predicted"), lines)


# --- lines


def _curves(score: Floats, positive: np.ndarray, weight: Floats | None) -> tuple[Floats, Floats]:
    """Positives and negatives at or above falling cut-offs, from none to all: at each different score, or of many rows
    at so many cut-offs that nobody could see more."""
    place, size = _places(score, positive)
    if weight is None:
        total, hits = np.bincount(place, minlength=size), np.bincount(place[positive], minlength=size)
    else:
        total = np.bincount(place, weights=weight, minlength=size)
        hits = np.bincount(place[positive], weights=weight[positive], minlength=size)
    return _falling(hits), _falling(total - hits)


def _places(score: Floats, positive: np.ndarray) -> tuple[np.ndarray, int]:
    """Where each score stands among rising cut-offs, and how many of those there are. Sorting many rows for a line of
    200 points would take longer than their metrics: those are counted in cells, while no cell holds many of them."""
    if len(score) > _SORTED:
        low, high = float(score.min()), float(score.max())
        if 0 < high - low < np.inf:
            place = np.minimum((score - low) * (_CELLS / (high - low)), _CELLS - 1).astype(np.int32)
            if np.bincount(place).max() * POINTS <= len(score):
                return place, _CELLS
        sample = np.sort(score[:: len(score) // _SORTED])[:: _SORTED // (10 * POINTS)]
        corner = (low, high, score[positive].min(), score[~positive].max())
        cuts = np.unique(np.concatenate([sample, corner]))
    else:
        cuts = np.unique(score)
    return np.searchsorted(cuts, score, side="right") - 1, len(cuts)


def _falling(counts: np.ndarray) -> Floats:
    return np.concatenate([[0.0], np.cumsum(counts[::-1], dtype=float)])


def _precision(hits: Floats, alarms: Floats) -> tuple[Floats, Floats]:
    """Precision and recall where anything is decided to be positive."""
    some = hits + alarms > 0
    return hits[some] / (hits[some] + alarms[some]), hits[some] / hits[-1]


def _line(name: str, y: Floats, x: Floats) -> Series:
    """A line through at most POINTS of its points: every corner where they are few, else evenly along it; both ends."""
    corners = _corners(x, y)
    x, y = x[corners], y[corners]
    if len(x) > POINTS:
        along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
        at = np.searchsorted(along, np.linspace(0.0, along[-1], POINTS))
        at[-1] = len(x) - 1
        at = np.unique(at)
        x, y = x[at], y[at]
    return Series(name=name, x=_rounded(x), y=_rounded(y))


def _corners(x: Floats, y: Floats) -> np.ndarray:
    """Where a line turns, and its ends."""
    if len(x) < 3:
        return np.arange(len(x))
    dx, dy = np.diff(x), np.diff(y)
    turns = np.abs(dx[:-1] * dy[1:] - dx[1:] * dy[:-1]) > 1e-15
    return np.concatenate([[0], np.flatnonzero(turns) + 1, [len(x) - 1]])


def _calibration(name: str, title: str, sides: Sequence[tuple[str, Floats, Floats]], weight: Floats | None) -> Figure:
    """Of each model and each bin of one width: the mean probability, the share that was right; and how many rows."""
    lines = []
    for side, score, right in sides:
        bins = np.minimum((score * BINS).astype(np.int32), BINS - 1)
        rows = np.bincount(bins, minlength=BINS)
        mass = rows if weight is None else np.bincount(bins, weights=weight, minlength=BINS)
        used = mass > 0
        carried = (score, right) if weight is None else (score * weight, right * weight)
        said, was = (np.bincount(bins, weights=each, minlength=BINS)[used] / mass[used] for each in carried)
        lines.append(Series(name=side, x=_rounded(said), y=_rounded(was)))
        lines.append(Series(name=f"{side}, rows", x=_rounded(said), y=_rounded(rows[used])))
    return _figure("calibration", _title(name, title), ("predicted probability", "share that is so"), lines)


def _errors(side: str, predicted: Floats, error: Floats) -> Iterator[Series]:
    """Bins of as many rows each along the predicted value: the median error, and where 80 % of them lie."""
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, min(BINS, len(order))) if len(part)]
    x = _rounded([predicted[part].mean() for part in parts])
    low, middle, high = np.array([np.quantile(error[part], (0.1, 0.5, 0.9)) for part in parts]).T
    for suffix, y in (("", middle), (", 10 %", low), (", 90 %", high)):
        yield Series(name=f"{side}{suffix}", x=x, y=_rounded(y))


# --- decisions


def _decisions(rows: Rows, name: str) -> Iterator[Figure]:
    """One matrix of each model: rows by true class, columns by decided class. Rare classes are one."""
    label = rows.label.astype(np.int64)
    decided = [(side, one.decided) for side, one in _sides(rows) if one.decided is not None]
    if not decided or not rows.classes:
        return
    size = len(rows.classes)
    to, names = _merged(np.bincount(label, minlength=size), rows.classes)
    for side, classes in decided:
        counts = np.zeros((len(names), len(names)), dtype=np.int64)
        joint = np.bincount(label * size + classes, minlength=size * size).reshape(size, size)
        np.add.at(counts, (to[:, None], to[None, :]), joint)
        series = tuple(
            Series(name=true, x=tuple(float(at) for at in range(len(names))), y=_rounded(counts[row]))
            for row, true in enumerate(names)
        )
        yield Figure(
            kind="confusion", title=_title(name, f"decisions of the {side}"), x="decided", y="true",
            classes=names, series=series,
        )  # fmt: skip


def _merged(counts: np.ndarray, classes: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Where each class goes, and what the places are called."""
    if len(classes) <= CLASSES:
        return np.arange(len(classes)), tuple(classes)
    kept = np.sort(np.argsort(-counts, kind="stable")[: CLASSES - 1])
    to = np.full(len(classes), CLASSES - 1)
    to[kept] = np.arange(CLASSES - 1)
    others = f"{len(classes) - CLASSES + 1:,} others"
    return to, (*(classes[at] for at in kept), others)


# --- numbers


def _figure(kind: str, title: str, axes: tuple[str, str], lines: Sequence[Series]) -> Figure:
    x, y = axes
    return Figure.model_validate({"kind": kind, "title": title, "x": x, "y": y, "series": tuple(lines)})


def _title(name: str, what: str) -> str:
    return f"{name}: {what}" if name else what


def _rounded(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.{_DIGITS}g}") for value in np.asarray(values, dtype=float))
