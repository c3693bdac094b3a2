"""Which committed files a comparison by rows needs, by digest: for the job that gathers and the one that judges.

Pure: what the two commits and mlgate.yaml say. Nothing is looked for here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from mlgate.config import Config, EvaluationSet
from mlgate.judge import integrity
from mlgate.judge.case import Side
from mlgate.model import Named

Role = Literal["labels", "challenger", "champion", "anchor"]


@dataclass(frozen=True)
class Wanted:
    """One file: `named.name` is its path at `commit`; no digest where nothing committed says what it is."""

    role: Role
    named: Named
    commit: str
    legacy: bool = False  # DVC 2 gave the digest, for which CRLF is LF


def by_rows(config: Config, name: str) -> bool:
    """Whether mlgate.yaml says enough of an evaluation set to recompute its metrics from rows."""
    one = config.evaluate[name]
    rules = [*config.compare.rules.values(), *one.rules.values()]
    said = one.predictions and (one.predictions.score or one.predictions.class_)
    values = any(rule.column or rule.entry_point for rule in rules)
    return bool(
        (said or values) and one.predictions and (one.data or one.labels) and one.columns.id and one.columns.label
    )


def files(config: Config, name: str, sides: Mapping[Role, Side | None]) -> list[Wanted]:
    """The labels as the challenger has them, and the predictions of every side that there is."""
    found = []
    challenger = sides["challenger"]
    assert challenger is not None  # noqa: S101 -- there is always one that is judged
    for role, side in {"labels": challenger, **sides}.items():
        if side is None:
            continue
        path = place(side, config, name, _labels if role == "labels" else _predictions)
        if path:
            named = integrity.named(side.pipeline, path, role)
            out = side.pipeline.outs.get(path)
            found.append(Wanted(role, named, side.pipeline.snapshot.commit, legacy=out is not None and out.legacy))
    return found


def place(side: Side, config: Config, name: str, pick: Callable[[EvaluationSet], str | None]) -> str:
    """Where a side has a file of an evaluation set; empty where it has none.

    A champion says so itself. A challenger is asked where the version that judges it says, and only for what is not
    there where it says itself.
    """
    own = side.config.evaluate.get(name) if side.config else None
    asked = pick(config.evaluate[name])
    path = config.path(asked) if asked else ""
    moved = side.trusted or not (path and integrity.named(side.pipeline, path, "").digest)
    said = pick(own) if own is not None else None
    return side.config.path(said) if moved and said and side.config else path


def _labels(one: EvaluationSet) -> str | None:
    return one.labels or one.data


def _predictions(one: EvaluationSet) -> str | None:
    return one.predictions.path if one.predictions else None
