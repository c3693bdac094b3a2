"""What the model answered, as arrays for the judge's arithmetic: rows of a relation, read by the judge's own reader.

The task, the positive class and the cut-off are those of the evaluation set, so that a number of production means what
the committed number of the same name means. With a cut-off the class is decided from the score, as it is there; else
the logged prediction is the class.
"""

# ruff: noqa: S608 -- every name is quoted by `sql`

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlgate.config import EvaluationSet, Rule
from mlgate.config.recomputed import narrowed
from mlgate.config.settings import Scalar
from mlgate.config.watching import Truth
from mlgate.data import aligned
from mlgate.data.profiles.nouns import FLOOR
from mlgate.data.reading import sql
from mlgate.watch.truth import plain_number, type_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.rows import Rows, Task

MOST_LOST = 0.01  # the share of rows with truth whose answer may be none
ABSENT = "(missing)"  # the group of rows that lack a value
RARE = "(rare)"  # the group of all values that fewer than FLOOR rows have
_ID = "row of the window"
_LABEL, _PREDICTION, _SCORE = "true label", "logged prediction", "logged score"
# The judge's reader speaks of an evaluation set's keys; here the same things are named elsewhere.
_CALLED = {
    "`predictions.class`": "`monitor.logs.fields.prediction`",
    "`predictions.score`": "`monitor.logs.fields.score`",
    "`columns.label`": "`monitor.truth.label`",
    "`columns.positive`": "`monitor.truth.positive`",
    "`columns: {positive": "`monitor: {truth: {positive",
}


@dataclass(frozen=True)
class How:
    """How answers are read. `task` is None where nothing says what is predicted: then the labels tell, of `tasks`."""

    task: Task | None = None
    tasks: frozenset[Task] = frozenset({"binary", "multiclass", "regression"})
    positive: Scalar | None = None
    cut_off: float | None = None
    probabilities: bool = False  # a rule needs them
    ranked: bool = False  # which is not measured here


@dataclass(frozen=True)
class Answered:
    """`rows` is None where nothing can be measured, and `wrong` says why: the end of "cannot be measured: ..."."""

    rows: Rows | None
    wrong: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)  # why -> rows of the relation that are not in `rows`
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return self.rows.count if self.rows is not None else 0


def how(evaluation: EvaluationSet, truth: Truth | None, rules: Mapping[str, Rule]) -> How:
    """What the evaluation set and the rules say of the task."""
    left = narrowed(evaluation)
    needs = set()
    for key, rule in rules.items():
        known = rule.estimator(key)
        if known is not None:
            left = (known.tasks & left) or left
            needs.add(known.needs)
    only = next(iter(left)) if len(left) == 1 else None
    cut = evaluation.predictions.cut_off if evaluation.predictions else None
    positive = truth.positive if truth is not None and truth.positive is not None else evaluation.columns.positive
    return How(
        task="binary" if only is None and (positive is not None or cut is not None) else only,
        tasks=left,
        positive=positive,
        cut_off=None if cut is None else float(cut),
        probabilities="probability" in needs,
        ranked=only == "ranking",
    )


def read(
    con: DuckDBPyConnection,
    relation: str,
    way: How,
    *,
    prediction: str = "prediction",
    score: str | None = "score",
    label: str | None = "label",
    by: Sequence[Sequence[str]] = (),
    edges: Mapping[str, Sequence[float]] | None = None,
    features: Mapping[str, str] | None = None,
) -> Answered:
    """All but `relation` (what stands after FROM) are SQL expressions over it.

    Without a `label` the decided class stands in for it: only what needs no truth may be measured then. `by` names
    features that make groups, with `edges` for those of numbers. A group of a feature that is not logged, or that
    cannot make groups, is missing in `Rows.groups`; a row without a value belongs to the group `(missing)`, and where
    there are edges it is left out.
    """
    if way.ranked:
        return Answered(None, "rankings are not measured in production")
    said = _Said(prediction, score, label)
    return _Reading(con, relation, way, said).read(by, edges or {}, features or {})


class _Said(NamedTuple):
    """SQL expressions."""

    prediction: str
    score: str | None
    label: str | None


class _Reading:
    def __init__(self, con: DuckDBPyConnection, relation: str, way: How, said: _Said) -> None:
        prediction, score, label = said
        self.con, self.relation, self.way, self.truthful = con, relation, way, label is not None
        self.prediction = _scalar(con, relation, prediction)
        self.label = self.prediction if label is None else _scalar(con, relation, label)
        number = plain_number(con, relation, prediction)
        scores = plain_number(con, relation, score)
        self.total, has_score, numbers, kinds = self._one(
            f"count(*), count({scores}), count({number}), count(DISTINCT {number})"
        )
        self.score: str | None = scores if has_score else None
        self.task = way.task or self._task()
        self.decided: str | None = self.prediction
        continuous = numbers == self.total and kinds > 2
        if self.task == "regression":
            self.score, self.decided = number, None
            self.label = plain_number(con, relation, self.label) if self.truthful else number
        elif self.task == "multiclass":
            self.score = None
        elif way.cut_off is not None and (self.score is not None or continuous):
            # A model that answers with the probability itself logs no other score.
            self.score, self.decided = self.score or number, None
            if not self.truthful:
                self.label = f"CAST(({self.score}) >= {way.cut_off!r} AS INTEGER)"

    def _one(self, expressions: str) -> tuple[Any, ...]:
        # All rows of it: DuckDB keeps a result open that was not read to its end.
        return tuple(self.con.execute(f"SELECT {expressions} FROM {self.relation}").fetchall()[0])

    def _task(self) -> Task | None:
        """Numbers of more than two kinds are no classes, where nothing says that they are."""
        if not self.truthful or "regression" not in self.way.tasks:
            return None
        number = plain_number(self.con, self.relation, self.label)
        numbers, kinds, labels = self._one(f"count({number}), count(DISTINCT {number}), count({self.label})")
        return "regression" if labels and numbers == labels and kinds > 2 else None

    def read(
        self, by: Sequence[Sequence[str]], edges: Mapping[str, Sequence[float]], features: Mapping[str, str]
    ) -> Answered:
        if not self.total:
            return Answered(None, "there are no rows")
        groups = tuple(tuple(one) for one in by if all(name in features for name in one))
        used = list(dict.fromkeys(name for one in groups for name in one))
        bad = {f"without a label that is {_what(self.task)}": _bad(self.label)} if self.truthful else {}
        if self.decided is not None:
            bad["without a prediction"] = _bad(self.decided)
        if self.score is not None:
            bad["without a score" if self.decided is not None else "without an answer"] = _bad(self.score, number=True)
        for name in used:
            if name in edges:
                number = plain_number(self.con, self.relation, features[name])
                bad[f"without a number for {name}"] = _bad(number, number=True)
        counted = self._one(", ".join(f"count(*) FILTER (WHERE {one})" for one in bad.values())) if bad else ()
        left_out = {why: int(rows) for why, rows in zip(bad, counted, strict=True) if rows}
        answers = {why: rows for why, rows in left_out.items() if why.endswith(("prediction", "score", "an answer"))}
        if sum(answers.values()) > MOST_LOST * self.total:
            told = ", ".join(f"{rows:,} {why}" for why, rows in answers.items())
            return Answered(None, f"of {self.total:,} rows {told}: those that are left are no fair sample", left_out)
        columns = {_ID: "row_number() OVER ()", _LABEL: self.label}
        columns |= {_PREDICTION: self.decided} if self.decided is not None else {}
        columns |= {_SCORE: self.score} if self.score is not None else {}
        for name in used:
            columns[f"{name}"] = self._group(features[name], cut=name in edges)
        with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
            path = Path(folder) / "answered.parquet"
            listed = ", ".join(f"{made} AS {sql.name(name)}" for name, made in columns.items())
            kept = " AND ".join(f"NOT ({one})" for one in bad.values()) or "true"
            self.con.execute(
                f"COPY (SELECT {listed} FROM {self.relation} WHERE {kept}) TO {sql.text(str(path))} (FORMAT parquet)"
            )
            found = aligned.read(self.con, self._asked(path, groups, edges))
        notes = tuple(_named(finding.sentence) for finding in found.findings if finding.level != "error")
        if found.rows is None:
            why = " ".join(_named(str(finding)) for finding in found.errors) or "there are no rows."
            return Answered(None, why.removesuffix("."), left_out, notes)
        return Answered(found.rows, "", left_out, notes)

    def _group(self, expression: str, *, cut: bool) -> str:
        if cut:
            return plain_number(self.con, self.relation, expression)
        text = f"CAST({_scalar(self.con, self.relation, expression)} AS VARCHAR)"
        group = f"coalesce(regexp_replace({text}, '\\.0$', ''), {sql.text(ABSENT)})"
        # A value that few rows share is somebody's own, and groups are listed by their names.
        return f"CASE WHEN count(*) OVER (PARTITION BY {group}) < {FLOOR} THEN {sql.text(RARE)} ELSE {group} END"

    def _asked(
        self, path: Path, groups: tuple[tuple[str, ...], ...], edges: Mapping[str, Sequence[float]]
    ) -> aligned.Asked:
        file = aligned.File(path, "answered.parquet")
        cut = self.way.cut_off if self.decided is None and self.task != "regression" else None
        positive = self.way.positive
        if not self.truthful and cut is not None:
            positive = 1  # the label that stands in is that of the cut-off
        return aligned.Asked(
            labels=file,
            predictions={"challenger": file},
            id=_ID,
            label=_LABEL,
            task=self.task,
            positive=positive if self.task in {"binary", None} else None,
            score=_SCORE if self.score is not None else None,
            decided=_PREDICTION if self.decided is not None else None,
            cut_off=cut,
            groups=groups,
            edges={name: tuple(float(edge) for edge in cuts) for name, cuts in edges.items()},
            probabilities=self.way.probabilities and self.score is not None and self.task != "regression",
        )


def _scalar(con: DuckDBPyConnection, relation: str, expression: str) -> str:
    """One plain value: of JSON what is in it."""
    return f"(({expression}) ->> '$')" if type_of(con, relation, expression) == "JSON" else f"({expression})"


def _bad(expression: str, *, number: bool = False) -> str:
    return f"{expression} IS NULL OR NOT isfinite({expression})" if number else f"{expression} IS NULL"


def _what(task: Task | None) -> str:
    return "a number" if task == "regression" else "there"


def _named(sentence: str) -> str:
    for theirs, ours in _CALLED.items():
        sentence = sentence.replace(theirs, ours)
    return sentence.removeprefix("answered.parquet: ")
