"""The order of reading: the labels, then each side, then what all of them leave out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.aligned import labels as labelled
from mlgate.data.aligned import sides
from mlgate.data.aligned.labels import Labels
from mlgate.data.aligned.nouns import EXCLUDED, SIDES, Aligned, Asked, Finding, Side
from mlgate.data.aligned.source import Links, RefusedError, Source
from mlgate.data.rows import Predicted, Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection


def read(con: DuckDBPyConnection, asked: Asked) -> Aligned:
    """See `mlgate.data.aligned.read`."""
    links = Links()
    try:
        source = Source.opened(con, asked.labels, None, asked.id, links)
        labels = labelled.read(source, asked)
    except RefusedError as error:
        return Aligned(None, error.findings)
    findings = list(labels.findings)
    predicted: dict[Side, Predicted] = {}
    for side in SIDES:
        if side in asked.predictions:
            found, said = _side(con, asked, labels, side, links)
            findings += said
            if found is not None:
                predicted[side] = found
    if "challenger" not in predicted:
        return Aligned(None, tuple(findings))
    rows = _rows(labels, predicted)
    if asked.exclude is None:
        return Aligned(rows, tuple(findings), whole=rows)
    try:
        out = sides.excluded(Source.opened(con, asked.exclude, None, EXCLUDED, links), labels)
    except RefusedError as error:
        return Aligned(None, (*findings, *error.findings), whole=rows)
    count = int(out.sum())
    left = rows.take(np.flatnonzero(~out)) if count else rows
    findings += _left(left, labels, count)
    return Aligned(left if left.count else None, tuple(findings), excluded=count, whole=rows)


def _side(
    con: DuckDBPyConnection, asked: Asked, labels: Labels, side: Side, links: Links
) -> tuple[Predicted | None, list[Finding]]:
    findings: list[Finding] = []
    try:
        source = Source.opened(con, asked.predictions[side], side, asked.id, links)
        found, findings = sides.read(source, _called(asked, source, side), labels)
    except RefusedError as error:
        return None, list(error.findings)
    values = dict(found.values)
    for made in asked.made.get(side, ()):
        try:
            values |= sides.values(Source.opened(con, made.file, side, asked.id, links), made, labels)
        except RefusedError as error:
            findings += error.findings
    return replace(found, values=values), findings


def _called(asked: Asked, source: Source, side: Side) -> Asked:
    """With the names of a side's own version, where it has those columns and not the ones that were asked for."""
    score, decided = asked.called.get(side, (None, None))
    own, wanted = _columns(score, decided), _columns(asked.score, asked.decided)
    if own and own <= source.columns.keys() and not wanted <= source.columns.keys():
        return replace(asked, score=score, decided=decided)
    return asked


def _columns(score: str | Mapping[str, str] | None, decided: str | None) -> set[str]:
    scores = {score} if isinstance(score, str) else set((score or {}).values())
    return scores | ({decided} if decided else set())


def _rows(labels: Labels, predicted: dict[Side, Predicted]) -> Rows:
    return Rows(
        task=labels.task,
        label=labels.label,
        challenger=predicted["challenger"],
        champion=predicted.get("champion"),
        anchor=predicted.get("anchor"),
        classes=tuple(labels.classes.names),
        weight=labels.weight,
        cluster=labels.cluster,
        query=labels.query,
        groups=labels.groups,
        id_of=labels.source.id_at,
    )


def _left(rows: Rows, labels: Labels, count: int) -> list[Finding]:
    """What leaving rows out did to the labels."""
    source = labels.source
    if not rows.count:
        said = f"all {count:,} rows were left out, since a model was trained with them."
        return [source.finding(said, count=count, level="inconclusive")]
    if rows.weight is not None and not rows.weight.any():
        said = "the weight is 0 in all rows that are left."
        return [source.finding(said, count=rows.count, level="inconclusive")]
    if rows.task in {"binary", "multiclass"} and len(np.unique(rows.label)) < len(np.unique(labels.label)) == 2:
        said = f"one class only is left in {rows.count:,} rows, since {count:,} were left out."
        return [source.finding(said, count=rows.count, level="inconclusive")]
    return []
