"""The labels' file: which rows there are, what is true of them, and which groups they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.data.aligned import arrays, grouping, ids
from mlgate.data.aligned.arrays import Factor
from mlgate.data.aligned.classes import Classes, default_positive, meant, some
from mlgate.data.aligned.nouns import Asked, Finding
from mlgate.data.aligned.source import RefusedError, Source
from mlgate.data.reading import sql
from mlgate.data.reading.table import Column

if TYPE_CHECKING:
    from mlgate.data.aligned.ids import Form, Keys
    from mlgate.data.rows import Codes, Floats, Groups, Task

MOST = 10_000  # classes; more are no classes
_LARGEST = 2**53


@dataclass
class Labels:
    """What the labels' file says. `findings` are those that leave something of it to be judged."""

    source: Source
    keys: Keys
    task: Task
    label: Floats
    classes: Classes
    weight: Floats | None = None
    cluster: Codes | None = None
    query: Codes | None = None
    groups: dict[str, Groups] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.label)

    def keyed(self, form: Form) -> Keys:
        """The ids, as a file whose ids can be compared as `form` only needs them."""
        if form == self.keys.form:
            return self.keys
        found = self.source.scan({"id": ids.key(ids.column(self.source), form)})["id"]
        return ids.Keys(found, form)


def read(source: Source, asked: Asked) -> Labels:
    """Raises RefusedError when these labels cannot be used."""
    return source.stable(lambda: _read(source, asked))


def _read(source: Source, asked: Asked) -> Labels:
    id_ = ids.column(source)
    label = source.require(asked.label, "columns.label")
    form = ids.form(source, id_)
    wanted = {"id": ids.key(id_, form)}
    truth = _Truth(source, asked, label)
    wanted["label"] = truth.sql()
    if asked.weight:
        weight = source.require(asked.weight, "columns.weight")
        wanted["weight"] = arrays.number(source, weight, what="columns.weight")
    for key in ("cluster", "query"):
        if name := getattr(asked, key):
            wanted[key] = _same(source, source.require(name, f"columns.{key}"))
    plan = grouping.Plan(source, asked)
    found = source.scan(wanted | plan.sql)
    if not len(found["id"]):
        raise RefusedError(source.finding("has no rows.", fix="Nothing can be measured without any."))
    keys = _ids(source, found.pop("id"), form)
    task, values, classes, findings = truth.of(found.pop("label"))
    labels = Labels(source, keys, task, values, classes, findings=findings)
    labels.weight = _weight(source, asked.weight, found.pop("weight")) if asked.weight else None
    labels.cluster = _codes(source, asked.cluster, found.pop("cluster"), "cluster") if asked.cluster else None
    labels.query = _codes(source, asked.query, found.pop("query"), "query") if asked.query else None
    labels.groups, troubles = plan.groups(found)
    labels.findings += troubles
    return labels


def _ids(source: Source, found: Any, form: Form) -> Keys:
    values, absent = arrays.split(found)
    findings = []
    if absent is not None:
        count = int(absent.sum())
        said = f"{count:,} of {len(values):,} rows have no id ({source.id})."
        findings.append(source.finding(said, column=source.id, count=count, fix="Give each row an id of its own."))
        keys = ids.Keys(values[~absent], form)
        rows = np.flatnonzero(~absent)
    else:
        keys, rows = ids.Keys(values, form), None
    again = keys.again()
    if len(again):
        places = again if rows is None else rows[again]
        count = len(np.unique(keys.values[again]))
        said = f"{count:,} ids ({source.id}) stand for several rows: {len(again):,} rows are too many."
        fix = "Give each row an id of its own, or name the column that has one in `columns.id`."
        findings.append(source.finding(said, column=source.id, count=count, rows=list(places[:5]), fix=fix))
    if findings:
        raise RefusedError(*findings)
    return keys


def _same(source: Source, column: Column) -> str:
    """SQL whose values are the same where the column's are."""
    name = sql.name(column.name)
    if column.type in {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}:
        return f"CAST({name} AS BIGINT)"
    if column.kind == "other" and column.type != arrays.NOTHING:
        said = f"{column.name} is nested or binary ({column.type}), where each row has one plain value."
        raise RefusedError(source.finding(said, column=column.name, fix="Name another column."))
    source.touch(column)
    return f"CASE WHEN {ids.missing(column)} THEN NULL ELSE hash({ids.text(column)}) END"


def _codes(source: Source, name: str, found: Any, key: str) -> Codes:
    values, absent = arrays.split(found)
    if absent is not None:
        count = int(absent.sum())
        said = f"{name} (`columns.{key}`) is missing in {count:,} of {len(values):,} rows."
        rows = list(np.flatnonzero(absent)[:5])
        raise RefusedError(source.finding(said, column=name, count=count, rows=rows))
    return arrays.indexed(values)[1]


def _weight(source: Source, name: str, found: Any) -> Floats:
    weight = arrays.finite(source, name, found, what="columns.weight")
    below = weight < 0
    if below.any():
        count = int(below.sum())
        said = f"{name} (`columns.weight`) is negative in {count:,} of {len(weight):,} rows."
        rows = list(np.flatnonzero(below)[:5])
        raise RefusedError(source.finding(said, column=name, count=count, rows=rows))
    if not weight.any():
        said = f"{name} (`columns.weight`) is 0 in all {len(weight):,} rows."
        raise RefusedError(source.finding(said, column=name, count=len(weight)))
    return weight


class _Truth:
    """The column with the label, whatever the task turns out to be."""

    def __init__(self, source: Source, asked: Asked, column: Column) -> None:
        self.source, self.asked, self.column = source, asked, column
        self.names: tuple[str, ...] = ()
        self.numeric = column.kind in {"integer", "number"}

    def sql(self) -> str:
        task = self.asked.task or ("ranking" if self.asked.query else None)
        if task in {"regression", "ranking"}:
            what = f"{self.asked.label} is what a {task} predicts"
            return arrays.number(self.source, self.column, what=what, booleans=task == "ranking")
        made = arrays.factor_sql(self.source, self.column, MOST)
        if made is None:
            raise self._refused(f"{self.column.name} has more than {MOST:,} values: they are no classes.")
        self.names = made[1]
        return made[0]

    def of(self, found: Any) -> tuple[Task, Floats, Classes, list[Finding]]:
        """The task, the labels as `Rows` has them, the classes, and what they leave to be said."""
        given = self.asked.task or ("ranking" if self.asked.query else None)
        if given == "ranking" and not self.asked.query:
            raise self._refused("a ranking needs to know which rows are ranked against each other.", "columns.query")
        if given in {"regression", "ranking"} or (given is None and self.numeric and self._is_regression(found)):
            what = "the label"
            return (
                given or "regression",
                arrays.finite(self.source, self.column.name, found, what=what),
                self._none(),
                [],
            )
        factor = self._factor(found)
        task = given or self._task(factor)
        if isinstance(self.asked.score, str) and task == "multiclass":
            said = f"{self.column.name} has {len(factor.names):,} classes, so that one column of scores does not do."
            raise self._refused(said, fix="Name one column for each class: `score: {cat: p_cat, dog: p_dog}`.")
        label, classes, findings = self._binary(factor) if task == "binary" else self._several(factor)
        return task, label, classes, findings

    def _none(self) -> Classes:
        return Classes(self.column.kind, [])

    def _is_regression(self, found: Any) -> bool:
        """Whether numbers are no classes; where neither the task nor another column says what they are."""
        asked = self.asked
        if (
            asked.positive is not None
            or asked.cut_off is not None
            or asked.decided
            or not isinstance(asked.score, str | None)
        ):
            return False
        values, absent = arrays.split(found)
        values = values if absent is None else values[~absent]
        values = values[~np.isnan(values)]
        if not len(values):
            return True
        least, most = values.min(), values.max()
        if least == most:
            return least not in {0.0, 1.0}
        return not bool(np.all((values == least) | (values == most)))

    def _task(self, factor: Factor) -> Task:
        if self.asked.score is not None and not isinstance(self.asked.score, str):
            return "multiclass"
        if self.asked.positive is not None or self.asked.cut_off is not None:
            return "binary"
        return "binary" if len(factor.names) <= 2 else "multiclass"

    def _factor(self, found: Any) -> Factor:
        column = self.column
        if self.numeric:
            arrays.finite(self.source, column.name, found, what="the label")
            values, _ = arrays.split(found)
            if column.kind == "integer" and len(values) and float(np.abs(values).max()) >= _LARGEST:
                raise self._refused(f"{column.name} holds whole numbers beyond 2 ** 53: they are no classes.")
        factor = arrays.factor(column, found, self.names)
        if factor.absent:
            count = factor.absent
            said = f"{column.name} is missing in {count:,} of {len(factor.codes):,} rows."
            rows = list(np.flatnonzero(factor.codes < 0)[:5])
            raise RefusedError(self.source.finding(said, column=column.name, count=count, rows=rows))
        if len(factor.names) > MOST:
            raise self._refused(f"{column.name} has {len(factor.names):,} values: they are no classes.")
        return self._used(factor)

    @staticmethod
    def _used(factor: Factor) -> Factor:
        """Without names that no row has."""
        counts = factor.counts
        if all(counts):
            return factor
        kept = [place for place, count in enumerate(counts) if count]
        codes = np.searchsorted(kept, factor.codes).astype(np.int32)
        return replace(factor, codes=codes, names=tuple(factor.names[place] for place in kept))

    def _binary(self, factor: Factor) -> tuple[Floats, Classes, list[Finding]]:
        column, names, rows = self.column, factor.names, len(factor.codes)
        if len(names) > 2:
            said = f"{column.name} has {len(names):,} values ({some(names)}), where two are expected."
            raise self._refused(said, fix="Correct `columns.label`, or say `task: multiclass`.")
        negative, positive = self._pair(names)
        findings = []
        if len(names) == 1:
            said = f"{column.name} has one class only: all {rows:,} rows are {some(names)}."
            findings.append(self.source.finding(said, column=column.name, count=rows, level="inconclusive"))
        at = names.index(positive) if positive in names else -1
        label = (factor.codes == at).astype(np.float64)
        return label, Classes(column.kind, [negative, positive]), findings

    def _pair(self, names: tuple[str, ...]) -> tuple[str, str]:
        """(negative, positive)."""
        column, wanted = self.column, self.asked.positive
        if wanted is None:
            found = default_positive(column.kind, names)
            if found is None:
                said = f"{column.name} has the values {some(names)}, and none of them says that it is the positive one."
                fix = f"Say which: `columns: {{positive: {names[-1]}}}`."
                if self.numeric:
                    fix += " Or, where it is a number to predict: `task: regression`."
                raise self._refused(said, fix=fix)
            return found
        positive = meant(wanted, column.kind, names)
        if positive not in names and len(names) == 2:
            said = f"{column.name} is never {positive} (`columns.positive`): it is {' or '.join(names)}."
            raise self._refused(said, "columns.positive", "Correct `columns.positive`.")
        others = [name for name in names if name != positive]
        known = default_positive(column.kind, [positive])
        return (others[0] if others else known[0] if known and known[1] == positive else f"not {positive}"), positive

    def _several(self, factor: Factor) -> tuple[Floats, Classes, list[Finding]]:
        column, counts = self.column, factor.counts
        scores = self.asked.score
        if not scores or isinstance(scores, str):
            classes = Classes(column.kind, list(factor.names), grows=True)
            places = np.arange(len(factor.names))
        else:
            keys = [meant(key, column.kind, factor.names) for key in scores]
            if twice := sorted({key for key in keys if keys.count(key) > 1}):
                raise self._refused(f"`predictions.score` names {some(twice)} more than once.")
            lacking = [(name, count) for name, count in zip(factor.names, counts, strict=True) if name not in keys]
            if lacking:
                raise self._unscored(factor, lacking)
            classes = Classes(column.kind, keys)
            places = np.array([keys.index(name) for name in factor.names])
        findings = []
        unused = [name for name in classes.names if name not in factor.names]
        if unused:
            said = f"{column.name} never is {some(unused)}, which `predictions.score` has a column for."
            findings.append(self.source.finding(said, column=column.name, count=len(unused), level="note"))
        if len(factor.names) == 1:
            said = f"{column.name} has one class only: all {len(factor.codes):,} rows are {factor.names[0]}."
            count = len(factor.codes)
            findings.append(self.source.finding(said, column=column.name, count=count, level="inconclusive"))
        return places[factor.codes].astype(np.float64), classes, findings

    def _unscored(self, factor: Factor, lacking: list[tuple[str, int]]) -> RefusedError:
        listed = some([f"{name} ({count:,} rows)" for name, count in lacking])
        said = f"{self.column.name} has classes that no column of scores is for: {listed}."
        codes = [factor.names.index(name) for name, _ in lacking]
        rows = list(np.flatnonzero(np.isin(factor.codes, codes))[:5])
        fix = "Name a column for each class in `predictions.score`, or correct the labels."
        return RefusedError(self.source.finding(said, column=self.column.name, count=len(lacking), rows=rows, fix=fix))

    def _refused(self, said: str, key: str = "", fix: str = "") -> RefusedError:
        fix = fix or (f"Set `{key}`." if key else "Correct `columns.label`, or set `task`.")
        return RefusedError(self.source.finding(said, column=self.column.name, fix=fix))
