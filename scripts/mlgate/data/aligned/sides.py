"""What one model predicted, brought into the order of the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.data.aligned import arrays, ids
from mlgate.data.aligned.arrays import Factor
from mlgate.data.aligned.classes import meant, some
from mlgate.data.aligned.ids import Match
from mlgate.data.aligned.labels import MOST, Labels
from mlgate.data.aligned.nouns import Asked, Finding, Made
from mlgate.data.aligned.source import RefusedError, Source
from mlgate.data.reading import sql
from mlgate.data.rows import Predicted

if TYPE_CHECKING:
    from mlgate.data.aligned.ids import Form, Places
    from mlgate.data.rows import Codes, Floats

_OFF = 1e-6  # how far the scores of a row may be from one together, for each class
_FIX = "Score each row of the evaluation data once, and write its id."


def read(source: Source, asked: Asked, labels: Labels) -> tuple[Predicted, list[Finding]]:
    """What a predictions file says, and what is wrong with single columns of it. Raises RefusedError."""
    return source.stable(lambda: _Side(source, asked, labels).read())


def values(source: Source, made: Made, labels: Labels) -> dict[str, Floats]:
    """The columns of a file with values per row. Raises RefusedError when its ids, or one of them, cannot be used."""

    def work() -> dict[str, Floats]:
        form, wanted = _keyed(source, labels)
        for key, name in made.columns.items():
            column = source.require(name, key)
            wanted[f"value {key}"] = arrays.number(source, column, what=f"values of {key}", booleans=True)
        found = source.scan(wanted)
        order = _order(source, labels, found.pop("id"), form)
        return {
            key: _placed(arrays.finite(source, name, found.pop(f"value {key}"), what=f"values of {key}"), order)
            for key, name in made.columns.items()
        }

    return source.stable(work)


def excluded(source: Source, labels: Labels) -> Any:
    """Which rows of the labels a list of ids names. Raises RefusedError for ids that the labels do not have."""

    def work() -> Any:
        form, wanted = _keyed(source, labels)
        found, absent = arrays.split(source.scan(wanted)["id"])
        found = found if absent is None else found[~absent]
        out, unknown = labels.keyed(form).places(found)
        if unknown.any():
            count = int(unknown.sum())
            said = f"lists {count:,} rows to leave out that {labels.source.where} does not have."
            raise RefusedError(source.finding(said, column=source.id, count=count, fix="Make it anew from these data."))
        return out

    return source.stable(work)


def _keyed(source: Source, labels: Labels) -> tuple[Form, dict[str, str]]:
    """What to compare the ids as, and the SQL for that."""
    id_ = ids.column(source)
    form = labels.keys.form if labels.keys.form == "text" else ids.form(source, id_)
    return form, {"id": ids.key(id_, form)}


def _order(source: Source, labels: Labels, found: Any, form: Form) -> Places | None:
    """Where the rows of the labels are; None when they are in the same places. Raises RefusedError."""
    values, absent = arrays.split(found)
    if not len(values):
        raise RefusedError(source.finding("has no rows.", fix=_FIX))
    rows = None if absent is None else np.flatnonzero(~absent)
    match = labels.keyed(form).match(values if rows is None else values[rows])
    if match.whole and rows is None:
        return match.order
    raise RefusedError(*_mismatch(source, labels, match, rows, len(values)))


def _mismatch(source: Source, labels: Labels, match: Match, rows: Places | None, count: int) -> list[Finding]:
    def places(some: Places) -> list[int]:
        return list((some if rows is None else rows[some])[:5])

    there, id_ = labels.source.where, source.id
    types = labels.source.columns[id_].type, source.columns[id_].type
    fix = _FIX
    if types[0] != types[1] and match.lost is not None and len(match.lost):
        fix = f"{id_} is {types[1]} here and {types[0]} there, and 007 is not 7: write it in the same way in both."
    findings = []
    if rows is not None:
        empty = count - len(rows)
        said = f"{empty:,} of {count:,} rows have no id ({id_})."
        findings.append(source.finding(said, column=id_, count=empty, fix=_FIX))
    if match.again is not None and len(match.again):
        said = f"{len(match.again):,} of {count:,} rows have an id ({id_}) that another row has already."
        rows_ = places(match.again)
        findings.append(source.finding(said, column=id_, count=len(match.again), rows=rows_, fix=_FIX))
    if match.lost is not None and len(match.lost):
        said = f"{len(match.lost):,} of the {labels.count:,} ids ({id_}) of {there} are missing."
        examples = labels.source.ids(list(match.lost[:5]))
        findings.append(source.finding(said, column=id_, count=len(match.lost), examples=examples, fix=fix))
    if match.extra is not None and len(match.extra):
        said = f"{len(match.extra):,} of {count:,} ids ({id_}) are not in {there}."
        rows_ = places(match.extra)
        findings.append(source.finding(said, column=id_, count=len(match.extra), rows=rows_, fix=fix))
    return findings


def _placed(values: Any, order: Places | None) -> Any:
    return values if order is None else values[order]


class _Side:
    def __init__(self, source: Source, asked: Asked, labels: Labels) -> None:
        self.source, self.asked, self.labels = source, asked, labels
        self.findings: list[Finding] = []
        self.scores = self._scores()  # column of each score, in the order of the classes

    def _scores(self) -> list[str]:
        score, labels = self.asked.score, self.labels
        if score is None or isinstance(score, str):
            return [score] if score else []
        by_class = {meant(key, labels.classes.kind, labels.classes.names): name for key, name in score.items()}
        if labels.task == "multiclass":
            return [by_class[name] for name in labels.classes.names]
        positive = labels.classes.names[1] if labels.task == "binary" else ""
        if positive not in by_class:
            said = f"`predictions.score` names a column for each class, and none is for {positive or 'a number'}."
            raise RefusedError(self.source.finding(said, fix="Name one column: `score: p_yes`."))
        return [by_class[positive]]

    def read(self) -> tuple[Predicted, list[Finding]]:
        source = self.source
        form, wanted = _keyed(source, self.labels)
        for place, name in enumerate(self.scores):
            wanted[f"score {place}"] = self._score_sql(name)
        decided, names = self._decided_sql(wanted)
        given = self._values_sql(wanted)
        found = source.scan(wanted)
        order = _order(source, self.labels, found.pop("id"), form)
        score = self._score(found, order)
        codes: Codes | None = None
        if decided is not None:
            codes = _placed(self._decided(arrays.factor(decided, found.pop("decided"), names)), order)
        elif score is not None:
            codes = self._from_score(score)
        predicted = Predicted(score=score, decided=codes, values=self._values(given, found, order))
        return predicted, self.findings

    # -- scores ------------------------------------------------------------------------------------------------------

    def _score_sql(self, name: str) -> str:
        column = self.source.require(name, "predictions.score")
        classes = self.labels.task in {"binary", "multiclass"}
        if classes and column.kind in {"boolean", "text"}:
            self.source.touch(column)
            if column.kind == "boolean":
                raise self._classes(name, "true and false")
            v = sql.name(name)
            if self.source.one(f"count({v}) > 0 AND count(TRY_CAST({v} AS DOUBLE)) = 0"):
                raise self._classes(name, "text")
        return arrays.number(self.source, column, what="predictions.score")

    def _classes(self, name: str, what: str) -> RefusedError:
        said = f"{name} (`predictions.score`) holds decided classes ({what}), where scores are expected."
        fix = "Name the column with the scores; decided classes belong to `predictions.class`."
        return RefusedError(self.source.finding(said, column=name, fix=fix))

    def _score(self, found: dict[str, Any], order: Places | None) -> Floats | None:
        if not self.scores:
            return None
        several = self.labels.task == "multiclass"
        whole = np.empty((self.labels.count, len(self.scores))) if several else None
        one: Floats | None = None
        for place, name in enumerate(self.scores):
            one = arrays.finite(self.source, name, found.pop(f"score {place}"), what="predictions.score")
            if self.labels.task in {"binary", "multiclass"}:
                self._plausible(name, one)
            one = _placed(one, order)
            if whole is not None:
                whole[:, place] = one
        if whole is None:
            return one
        if self.asked.probabilities:
            self._sums(whole, order)
        return whole

    def _plausible(self, name: str, score: Floats) -> None:
        """Scores are not 0 and 1 alone, and probabilities not outside of them."""
        outside = (score < 0) | (score > 1)
        if not outside.any():
            if np.array_equal(score, score.astype(bool)) and len(score) > 1:
                if self.source.columns[name].kind == "integer":
                    raise self._classes(name, "whole numbers, 0 and 1")
                said = f"{name} (`predictions.score`) is 0 or 1 in every row."
                self.findings.append(self.source.finding(said, column=name, count=len(score), level="note"))
            return
        if self.asked.probabilities:
            count = int(outside.sum())
            span = f"{score.min():.6g} to {score.max():.6g}"
            said = f"{name} is outside 0 to 1 in {count:,} of {len(score):,} rows ({span})."
            rows = list(np.flatnonzero(outside)[:5])
            fix = "The rules need probabilities: write those, or drop the metrics that need them."
            raise RefusedError(self.source.finding(said, column=name, count=count, rows=rows, fix=fix))

    def _sums(self, scores: Floats, order: Places | None) -> None:
        off = np.abs(scores.sum(axis=1) - 1)
        wrong = np.flatnonzero(off > _OFF * scores.shape[1])
        if not len(wrong):
            return
        said = f"the scores of {len(wrong):,} of {len(off):,} rows are not one together (off by up to {off.max():.3g})."
        rows = np.sort(_placed_back(wrong, order))[:5]
        names = ", ".join(self.scores[:5])
        fix = "The rules need probabilities: write them without rounding, with a column for each class."
        raise RefusedError(self.source.finding(said, column=names, count=len(wrong), rows=list(rows), fix=fix))

    def _from_score(self, score: Floats) -> Codes | None:
        if self.labels.task == "multiclass":
            return np.asarray(np.argmax(score, axis=1), dtype=np.int32)
        if self.labels.task == "binary" and self.asked.cut_off is not None:
            return np.asarray(score >= self.asked.cut_off, dtype=np.int32)
        return None

    # -- decided classes ---------------------------------------------------------------------------------------------

    def _decided_sql(self, wanted: dict[str, str]) -> tuple[Any, tuple[str, ...]]:
        name = self.asked.decided
        if name is None or self.labels.task not in {"binary", "multiclass"}:
            return None, ()
        column = self.source.require(name, "predictions.class")
        made = arrays.factor_sql(self.source, column, MOST)
        if made is None:
            said = f"{name} (`predictions.class`) has more than {MOST:,} values: they are no classes."
            raise RefusedError(self.source.finding(said, column=name))
        wanted["decided"], names = made
        return column, names

    def _decided(self, factor: Factor) -> Codes:
        name, source = factor.column.name, self.source
        if factor.absent:
            count = factor.absent
            said = f"{name} (`predictions.class`) is missing in {count:,} of {len(factor.codes):,} rows."
            rows = list(np.flatnonzero(factor.codes < 0)[:5])
            raise RefusedError(source.finding(said, column=name, count=count, rows=rows))
        counts, classes = factor.counts, self.labels.classes
        used = [(place, value) for place, value in enumerate(factor.names) if counts[place]]
        known = [value for _, value in used if meant(value, classes.kind, classes.names) in classes.names]
        strange = [value for _, value in used if value not in known]
        fractions = factor.column.kind == "number" and [value for value in strange if not _whole(value)]
        if fractions:
            said = f"{name} (`predictions.class`) holds scores, such as {fractions[0]}, where classes are expected."
            raise RefusedError(
                source.finding(said, column=name, count=len(strange), fix="Name it as `predictions.score`.")
            )
        if strange and (not known or not classes.grows):
            raise self._strange(factor, strange)
        if strange:
            said = f"{name} (`predictions.class`) has classes that no label is: {some(strange)}."
            self.findings.append(source.finding(said, column=name, count=len(strange), level="note"))
        lookup = np.full(len(factor.names), -1, dtype=np.int32)
        for place, value in used:
            at = classes.place(value)
            lookup[place] = -1 if at is None else at
        return np.asarray(lookup[factor.codes], dtype=np.int32)

    def _strange(self, factor: Factor, strange: list[str]) -> RefusedError:
        """Classes that the labels cannot have."""
        name, classes = factor.column.name, self.labels.classes
        kinds = self.labels.source.columns[self.asked.label].kind, factor.column.kind
        rows = np.flatnonzero(np.isin(factor.codes, [factor.names.index(value) for value in strange]))
        said = (
            f"{name} (`predictions.class`) is {some(strange)} in {len(rows):,} of {len(factor.codes):,} rows, "
            f"where the classes are {some(classes.names)}."
        )
        fix = "Write the classes as the labels are written."
        if kinds[0] != kinds[1]:
            fix = f"It is {_called(kinds[1])}, and {self.asked.label} is {_called(kinds[0])}: {fix[0].lower()}{fix[1:]}"
        return RefusedError(self.source.finding(said, column=name, count=len(rows), rows=list(rows[:5]), fix=fix))

    # -- values per row ----------------------------------------------------------------------------------------------

    def _values_sql(self, wanted: dict[str, str]) -> list[str]:
        given = []
        for name in dict.fromkeys(self.asked.values):
            try:
                column = self.source.require(name, "column")
                wanted[f"value {name}"] = arrays.number(self.source, column, what="values per row", booleans=True)
            except RefusedError as error:
                self.findings += error.findings
            else:
                given.append(name)
        return given

    def _values(self, given: list[str], found: dict[str, Any], order: Places | None) -> Mapping[str, Floats]:
        values: dict[str, Floats] = {}
        for name in given:
            try:
                one = arrays.finite(self.source, name, found.pop(f"value {name}"), what="values per row")
            except RefusedError as error:
                self.findings += error.findings
            else:
                values[name] = _placed(one, order)
        return values


def _placed_back(rows: Any, order: Places | None) -> Any:
    """Places in the labels' file as places in the side's own."""
    return rows if order is None else order[rows]


def _whole(value: str) -> bool:
    try:
        return float(value).is_integer()
    except ValueError:
        return True


def _called(kind: str) -> str:
    return {"integer": "a number", "number": "a number", "boolean": "true or false"}.get(kind, kind)
