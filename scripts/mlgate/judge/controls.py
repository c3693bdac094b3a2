"""Challengers that a rule must stop, and one that it must let through: a gate that cannot fail says nothing.

The controls of point values are in `rules`. These are made from the labels themselves, on a part of the rows that is
large enough to decide, and go through the same code as the challenger does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mlgate import estimators
from mlgate.config import Policy, Rule
from mlgate.config.limits import LIMITS
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate, rules, statistics
from mlgate.judge.measures import Spec, UndefinedError
from mlgate.judge.numbers import NO_SIDE
from mlgate.judge.rules import Values, Where
from mlgate.judge.statistics import Compared
from mlgate.model import Verdict, worst

ROWS = 20_000  # a control needs no more than this to be decided
_FAILING = tuple(word for word in LIMITS if not word.startswith("warn_"))
FEW = 500  # with fewer it need not be decided, as long as it does not pass


def run(rule: Rule, policy: Policy, where: Where, spec: Spec, compared: Compared) -> Iterator[bool]:
    """Whether each control was judged rightly.

    Predictions of all the wrong labels must not pass, and have to `fail` where rows suffice; those of all the right
    ones must not fail; and no rows at all must not pass.
    """
    yield _empty(rule, policy, where, spec, compared)
    rows = _part(compared.rows)
    few = _smallest(rows) < FEW
    for good in (False, True):
        own = good if rule.direction(where.key) else not good  # values per row: only the rule knows which way is better
        row = estimators.needs(spec.name) == "row"
        made = values(spec, rows, high=own) if row else predicted(spec, rows, right=good)
        try:
            verdict, doubtful = _verdict(
                rule, policy, where, spec, replace(compared, rows=replace(rows, challenger=made))
            )
        except UndefinedError:  # of anybody's predictions: that is said of the challenger's own
            yield True
            continue
        if verdict is None:  # it only compares, and there is nothing to compare with: that is said elsewhere
            return
        if good:
            yield verdict not in {Verdict.FAIL, Verdict.ERROR}
        else:
            warns = verdict is Verdict.WARN and not any(word in rule.limits() for word in _FAILING)
            yield verdict is Verdict.FAIL or warns or ((few or doubtful) and verdict is Verdict.INCONCLUSIVE)


def _empty(rule: Rule, policy: Policy, where: Where, spec: Spec, compared: Compared) -> bool:
    nothing = replace(compared, rows=compared.rows.take(np.arange(0)))
    try:
        return _verdict(rule, policy, where, spec, nothing)[0] is not Verdict.PASS
    except UndefinedError:
        return True


def _verdict(rule: Rule, policy: Policy, where: Where, spec: Spec, compared: Compared) -> tuple[Verdict | None, bool]:
    """What is made of these predictions, and whether the rows say too little of the metric, whatever is predicted."""
    compared = replace(compared, same=frozenset(), alone=None, known={})
    rows = compared.rows
    values = Values(
        challenger=estimate.value(spec, rows, rows.challenger),
        champion=NO_SIDE if rows.champion is None else estimate.value(spec, rows, rows.champion),
        anchor=NO_SIDE if rows.anchor is None else estimate.value(spec, rows, rows.anchor),
        absent=(Verdict.WARN, "there is no champion"),
    )
    points = rules.check(rule, values, policy, where)
    judged = [c for c in statistics.settle(points, where, rule, spec, compared) if not c.id.endswith(".comparison")]
    doubtful = any(bounds.too_little for bounds in compared.known.values())
    return (worst(check.verdict for check in judged) if judged else None), doubtful


def _part(rows: Rows) -> Rows:
    """Evenly spaced rows; of clustered ones, evenly spaced clusters."""
    if rows.count <= ROWS:
        return rows
    step = -(-rows.count // ROWS)
    codes = rows.cluster if rows.cluster is not None else rows.query
    return rows.take(np.arange(0, rows.count, step) if codes is None else codes % step == 0)


def _smallest(rows: Rows) -> float:
    """How many there are of the rarest class, or of all rows where there are none; of clusters and queries if fewer."""
    classes = len(rows.classes)
    counted = [float(rows.count)]
    if classes:
        of = rows.label.astype(np.intp)
        counted += list(np.bincount(of, minlength=classes).astype(float))
        if rows.weight is not None:  # as many rows as they are worth (Kish)
            sums = np.bincount(of, rows.weight, classes)
            counted += list(sums**2 / np.maximum(np.bincount(of, rows.weight**2, classes), 1e-300))
    elif rows.weight is not None:
        counted.append(float(rows.weight.sum() ** 2 / (rows.weight**2).sum()))
    counted += [float(codes.max(initial=-1)) + 1 for codes in (rows.cluster, rows.query) if codes is not None]
    return min(counted)


def predicted(spec: Spec, rows: Rows, *, right: bool) -> Predicted:
    """What a model would say that is always right, or always wrong."""
    need = estimators.needs(spec.name)
    if need == "value":
        return Predicted(score=rows.label if right else _far(rows))
    if rows.task == "ranking":
        return Predicted(score=rows.label if right else -rows.label)
    truth = rows.label.astype(np.int32)
    decided = _decided(spec, rows, truth, right=right)
    score = np.eye(len(rows.classes))[decided] if rows.task == "multiclass" else decided.astype(np.float64)
    return Predicted(score=score, decided=decided)


def _decided(spec: Spec, rows: Rows, truth: np.ndarray, *, right: bool) -> np.ndarray:
    """The truth, or the next class; where decisions cost, the cheapest and the dearest."""
    count = max(len(rows.classes), 2)
    if not spec.costs:
        return truth if right else ((truth + 1) % count).astype(np.int32)
    prices = np.array([[spec.costs.get(t, {}).get(d, 0.0) for d in rows.classes] for t in rows.classes])
    choice = prices.argmin(axis=1) if right else prices.argmax(axis=1)
    found: np.ndarray = choice.astype(np.int32)[truth]
    return found


def _far(rows: Rows) -> np.ndarray:
    """Turned over and moved away, so that neither a correlation nor a distance is left."""
    label = rows.label
    spread = 1.0 + float(label.max() - label.min())
    errors = [np.abs(s.score - label).max() for s in (rows.challenger, rows.champion) if s and s.score is not None]
    away: np.ndarray = 10 * (spread + max(map(float, errors), default=0.0)) + label.mean() - 10 * (label - label.mean())
    return away


def values(spec: Spec, rows: Rows, *, high: bool) -> Predicted:
    """Values per row that are far above or below any measured."""
    sides = [
        side.values[spec.column] for side in (rows.champion, rows.challenger) if side and spec.column in side.values
    ]
    most, least = max(float(v.max()) for v in sides), min(float(v.min()) for v in sides)
    spread = most - least + 1.0
    noise = np.linspace(0.0, 1.0, rows.count) * spread
    return Predicted(values={spec.column: most + 10 * spread + noise if high else least - 10 * spread - noise})
