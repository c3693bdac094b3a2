"""Challengers that rules about groups must stop, and ones that they must let through, through the code that judges.

As `controls` does for whole evaluation sets: of the two largest groups, which are all that a rule needs to react.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlgate import estimators, parity
from mlgate.config import Rule
from mlgate.config.limits import Fairness, Slices
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import controls, discovery, estimate, fairness, grouped, slices
from mlgate.judge.controls import FEW
from mlgate.judge.discovery import Claim
from mlgate.judge.grouped import Setting
from mlgate.model import Verdict, worst

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 20_000  # of a group; a control needs no more to be decided


def of_slices(rows: Rows, asked: Slices, setting: Setting) -> Iterator[bool]:
    """Whether each control of each rule was judged rightly: predictions of all the wrong labels must not pass, and fail
    where a group has rows enough; those of all the right ones must not fail."""
    for by, part in _parts(rows, asked.by):
        for key, rule in asked.rules.items():
            spec = estimate.spec_of(key, rule)
            if spec is None:
                continue  # told as an error by the check itself
            only = asked.model_copy(update={"by": [by], "rules": {key: rule}})
            for good in (False, True):
                high = good if rule.direction(key) else not good
                row = estimators.needs(spec.name) == "row"
                made = controls.values(spec, part, high=high) if row else controls.predicted(spec, part, right=good)
                claims = slices.check(replace(part, challenger=made), only, setting)
                yield _rightly(claims, rule, setting, good=good, few=_few(part, by, asked.min_rows))


def of_fairness(rows: Rows, asked: Fairness, setting: Setting) -> Iterator[bool]:
    """Whether each control of each rule was judged rightly: one group given everything and the other nothing must not
    pass, and fail where rows suffice; both treated alike must not fail."""
    if fairness.unfit(rows):
        return
    for by, part in _parts(rows, asked.by):
        for key, rule in asked.rules.items():
            name = parity.canonical(rule.is_ or key)
            if name is None:
                continue
            only = asked.model_copy(update={"by": [by], "rules": {key: rule}})
            alike, apart = (Predicted(decided=made) for made in _decisions(part, by, name))
            for good in (False, True):
                one, other = (alike, apart) if good else (apart, alike)
                claims, _ = fairness.check(replace(part, challenger=one, champion=other), only, setting)
                yield _rightly(claims, rule, setting, good=good, few=_few(part, by, asked.min_rows))


def _parts(rows: Rows, entries: list[str | list[str]]) -> Iterator[tuple[str, Rows]]:
    """For each entry of `by` that there is, the rows of its two largest groups."""
    for entry in entries:
        by = grouped.name_of(entry)
        if by not in rows.groups:
            continue
        groups = rows.groups[by]
        sizes = np.bincount(groups.codes, minlength=len(groups.names))
        largest = np.sort(np.argsort(-sizes, kind="stable")[:2])
        chosen = [_some(np.flatnonzero(groups.codes == code), rows) for code in largest.tolist()]
        yield by, replace(rows, groups={by: groups}).take(np.sort(np.concatenate(chosen)))


def _some(at: NDArray[np.intp], rows: Rows) -> NDArray[np.intp]:
    """Evenly spaced rows of many; clusters and queries are left whole."""
    step = -(-len(at) // ROWS)
    if step <= 1:
        return at
    codes = rows.cluster if rows.cluster is not None else rows.query
    return at[::step] if codes is None else at[codes[at] % step == 0]


def _few(part: Rows, by: str, min_rows: int) -> bool:
    """Whether the groups are too small to be sure of anything: the smallest class of either, or all of its rows."""
    groups = part.groups[by]
    counts = []
    for code in np.unique(groups.codes).tolist():
        label = part.label[groups.codes == code]
        kinds = np.unique(label, return_counts=True)[1] if part.classes else np.array([len(label)])
        counts.append(0 if part.classes and len(kinds) < 2 else int(kinds.min()))
        counts.append(FEW if len(label) >= min_rows else 0)
    clustered = part.cluster is not None or part.weight is not None
    return clustered or len(counts) < 4 or min(counts) < FEW


def _decisions(part: Rows, by: str, name: str) -> Iterator[NDArray[np.int32]]:
    """Decisions that treat both groups alike, and decisions that cannot be further apart, by what is compared."""
    first = part.groups[by].codes == part.groups[by].codes.min(initial=0)
    truth = part.label == 1
    if "precision" in parity.KNOWN[name].rates:
        yield truth.astype(np.int32)
        yield np.where(first, truth, ~truth).astype(np.int32)
    else:
        yield np.ones(part.count, dtype=np.int32)
        yield first.astype(np.int32)


def _rightly(claims: list[Claim], rule: Rule, setting: Setting, *, good: bool, few: bool) -> bool:
    checks = discovery.settle(claims, setting.alpha)
    judged = [check.verdict for check in checks if not check.id.endswith((".comparison", ".not_judged"))]
    if not judged:
        return True  # nothing is judged without a champion, or of small groups: both are told, and neither passes
    if good:
        return worst(judged) not in {Verdict.FAIL, Verdict.ERROR}
    fails = any(not word.startswith("warn_") for word in rule.limits())
    return worst(judged) is Verdict.FAIL or ((few or not fails) and worst(judged) is not Verdict.PASS)
