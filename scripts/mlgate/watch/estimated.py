"""What the metrics are expected to be without any truth, from the scores alone. Shown beside what is measured; no rule
may name it, and it never blocks.

It rests on what nobody can see in the scores: that the score is the probability it says (calibrated), and that what the
probability depends on has not changed (no concept drift). A row with score p is then positive with probability p:

    expected true positives = sum of p over the rows decided to be positive, and so on for the other three
    expected AUC            = that of rows which count as positive with weight p, and as negative with weight 1 - p
    expected log loss       = mean of -(p ln p + (1 - p) ln(1 - p)), and the Brier score = mean of p (1 - p)

The first five are NannyML's CBPE (confidence-based performance estimation).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

from mlgate import estimators
from mlgate.model import Check, Verdict
from mlgate.watch.nouns import Measure, Section

if TYPE_CHECKING:
    from mlgate.data.rows import Codes, Floats
    from mlgate.watch.answered import Answered

ASSUMED = "Expected, not measured: if the scores are true probabilities, and what they depend on has not changed."
METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier_score")


def section(answered: Answered, asked: Collection[str] = METRICS) -> Section:
    """Of the rows of a window, with or without truth; measures `estimated_<metric>`, never breached.

    `asked`: which metrics, by the names of estimators or their aliases; of those that cannot be estimated nothing is
    said.
    What cannot be estimated is said in `not_run` and is no measure, so that it makes nothing inconclusive.
    """
    rows = answered.rows
    why = answered.wrong
    if rows is not None:
        score = rows.challenger.score
        if rows.task != "binary":
            why = f"it is made of the scores of two classes, and this is {rows.task}"
        elif score is None:
            why = "the log has no score"
        elif score.min() < 0 or score.max() > 1:
            why = f"the scores are no probabilities ({float(score.min()):.4g} to {float(score.max()):.4g})"
    if rows is None or why or score is None:
        return Section("estimated", "ok", not_run=(f"Performance was not estimated without truth: {why}.",))
    names = {estimators.canonical(name) for name in asked}
    values = {name: value for name, value in estimate(score, rows.challenger.decided).items() if name in names}
    measures = tuple(
        Measure("estimated", f"estimated_{name}", "ok", value, rows=rows.count) for name, value in values.items()
    )
    checks = tuple(
        Check(
            id=f"watch.estimated.{name}",
            group="watch",
            title=f"{name}, expected without truth",
            verdict=Verdict.PASS,
            reason=ASSUMED,
            observed=value,
            expected="no rule: it is shown only",
            rows=rows.count,
        )
        for name, value in values.items()
    )
    return Section("estimated", "ok", measures, checks, facts={"estimated performance": ASSUMED})


def estimate(score: Floats, decided: Codes | None) -> dict[str, float]:
    """The expected value of each metric that is defined: `score` (n,) of probabilities, `decided` (n,) 0 or 1.

    Without decisions only those of the score. NaN never comes out: what is divided by nothing is left out.
    """
    import numpy as np  # noqa: PLC0415

    n = len(score)
    found: dict[str, float] = {}
    if not n:
        return found
    if decided is not None:
        yes = decided == 1
        positive = float(score.sum())
        hits = float(score[yes].sum())  # expected true positives
        called = int(yes.sum())
        right = hits + float((1 - score[~yes]).sum())
        found["accuracy"] = right / n
        if called:
            found["precision"] = hits / called
        if positive > 0:
            found["recall"] = hits / positive
        if called + positive > 0:
            found["f1"] = 2 * hits / (called + positive)
    area = _auc(score)
    if area is not None:
        found["roc_auc"] = area
    inner = score[(score > 0) & (score < 1)]
    found["log_loss"] = float(-(inner * np.log(inner) + (1 - inner) * np.log1p(-inner)).sum()) / n
    found["brier_score"] = float((score * (1 - score)).mean())
    return {name: found[name] for name in METRICS if name in found and math.isfinite(found[name])}


def _auc(score: Floats) -> float | None:
    """Over pairs of different rows: how often the positive one has the higher score, ties counting half.

    A row is never a pair with itself, which the weights alone would not know: it is positive or negative.
    """
    import numpy as np  # noqa: PLC0415

    values, at = np.unique(score, return_inverse=True)
    up = np.bincount(at, score, len(values))  # expected positives with this score
    down = np.bincount(at, 1 - score, len(values))
    own = np.bincount(at, score * (1 - score), len(values))  # pairs of a row with itself
    below = np.cumsum(down) - down
    pairs = float(up.sum() * down.sum() - own.sum())
    if pairs <= 0:
        return None
    won = float((up * below).sum() + (up * down - own).sum() / 2)
    return min(1.0, max(0.0, won / pairs))
