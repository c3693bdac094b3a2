# ruff: noqa: S608 -- every name and constant is escaped by `sql`
"""A window of production against a profile: every row is read once, some rows at a time.

Numbers are counted at the profile's knots, chunk by chunk, sorted: the work is that of reading the file, and memory is
that of a chunk, however many rows there are. Categories come from DuckDB as their place in the profile. What the
reference does not know is counted as that, and so is what has another type; a column of which most values have another
type is in `trouble`, never quietly unequal.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlgate.data.drift import frozen
from mlgate.data.drift.compared import Compared, Role, compared, lacking
from mlgate.data.engine.values import nearest
from mlgate.data.profiles.nouns import FLOOR, Column, Profile
from mlgate.data.reading import sql
from mlgate.data.reading.table import Column as Typed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.drift.counted import Names, Numbers

_EXAMPLES = 5  # unseen values that are shown of one column
_COLUMNS = 5  # columns of which they are looked up: each is a pass of its own
_TOGETHER = 4  # columns that are read at once, where each is stored by itself: memory is theirs
_WORDS = {"number": "numbers", "moment": "times", "boolean": "true and false", "text": "text"}


@dataclass(frozen=True)
class _Asked:
    """A column on its way: SQL for a DOUBLE that stands for it, and SQL for it as text."""

    name: str
    role: Role
    column: Column
    code: str
    text: str = ""
    strange: str = ""  # what is said where most values are unseen, because the type is another one
    sentinel: bool = False  # NaN is missing, and NULL a value of another type


def against(
    con: DuckDBPyConnection,
    relation: str,
    columns: Mapping[str, str],
    profile: Profile,
    *,
    private: Container[str] = frozenset(),
) -> dict[str, Compared]:
    """Every column of the profile, by its name, in the profile's order; prediction and score come first.

    `relation` is what stands after FROM; `columns` maps a column of the profile, and `prediction` and `score`, to SQL
    for its value there. A column that is not in it, or has another type than in the profile, is in `trouble`. Of
    `private` columns no value is given. Raises duckdb.Error when the rows cannot be read.
    """
    types = _types(con, relation, columns)
    found: dict[str, Compared] = {}
    asked: list[_Asked] = []
    for name, role, column in of_profile(profile):
        hidden = name in private or column.of == "private"
        if name not in columns:
            near = nearest([Typed(one, "") for one in columns], name)
            why = f"It is not logged.{f' Did you mean {near!r}?' if near else ''}"
            found[name] = lacking(name, role, column, why, private=hidden)
            continue
        one = _asked(name, role, column, columns[name], types[name])
        if isinstance(one, str):
            found[name] = lacking(name, role, column, one, private=hidden)
        else:
            found[name] = lacking(name, role, column, "", private=hidden)  # holds its place
            asked.append(one)
    for one, counts in zip(asked, _counted(con, relation, asked), strict=True):
        private_ = found[one.name].private
        here = compared(one.name, one.role, counts, private=private_)
        if one.strange and (here.unseen or 0) > here.present / 2:
            here = lacking(one.name, one.role, one.column, one.strange, private=private_)
        found[one.name] = here
    return _with_examples(con, relation, asked, found)


def of_profile(profile: Profile) -> list[tuple[str, Role, Column]]:
    """Prediction, score and features of a profile."""
    first: list[tuple[str, Role, Column]] = []
    if profile.prediction is not None:
        first.append(("prediction", "prediction", profile.prediction))
    if profile.score is not None:
        first.append(("score", "score", profile.score))
    return first + [(name, "feature", column) for name, column in profile.columns.items()]


def placed(con: DuckDBPyConnection, relation: str, expression: str, name: str, column: Column) -> str | None:
    """SQL for the place of a value among its column's frozen bins; None for what cannot be compared."""
    asked = _asked(name, "feature", column, expression, _types(con, relation, {name: expression})[name])
    if isinstance(asked, str) or column.kind == "hidden":
        return None
    frame = frozen.bins(column)
    last, code = len(frame.before) - 1, asked.code
    if frame.categories and column.kind == "number":
        known = [f"WHEN {float(one)!r}::DOUBLE THEN {at}" for at, one in enumerate(frame.kept)]
        inner = f"CASE {code} {' '.join(known)} ELSE {last - 1} END"
    elif frame.categories:
        order = list(column.values)
        known = [f"WHEN {order.index(one)} THEN {at}" for at, one in enumerate(frame.kept)]
        inner = f"CASE CAST({code} AS BIGINT) {' '.join(known)} ELSE {last - 1} END" if known else str(last - 1)
    else:
        known = [f"WHEN {code} <= {edge!r}::DOUBLE THEN {at}" for at, edge in enumerate(frame.edges)]
        inner = f"CASE {' '.join(known)} ELSE {last - 1} END" if known else str(last - 1)
    if asked.sentinel:  # NaN is missing there, and NULL what is no number: one far out
        return f"CASE WHEN {code} IS NULL THEN {last - 1} WHEN isnan({code}) THEN {last} ELSE {inner} END"
    return f"CASE WHEN {code} IS NULL OR isnan({code}) THEN {last} ELSE {inner} END"


def _types(con: DuckDBPyConnection, relation: str, columns: Mapping[str, str]) -> dict[str, Typed]:
    if not columns:
        return {}
    listed = ", ".join(f"{expression} AS c{i}" for i, expression in enumerate(columns.values()))
    rows = con.execute(f"DESCRIBE SELECT {listed} FROM {relation}").fetchall()
    return {name: Typed(name, str(row[1])) for name, row in zip(columns, rows, strict=True)}


def _asked(name: str, role: Role, column: Column, expression: str, typed: Typed) -> _Asked | str:
    """How the column is read, or why it cannot be."""
    x = f"({expression})"
    type_, kind = typed.type.upper(), typed.kind
    if type_ == "JSON":
        x, kind = f"({x} ->> '$')", "text"
    if column.kind == "hidden":
        floats = type_ in {"FLOAT", "DOUBLE"}
        there = f"{x} IS NOT NULL AND NOT isnan({x})" if floats else f"{x} IS NOT NULL"
        return _Asked(name, role, column, f"CASE WHEN {there} THEN -1.0::DOUBLE END")
    if type_ in {'"NULL"', "NULL"}:
        return _Asked(name, role, column, "CAST(NULL AS DOUBLE)")
    if kind == "other":
        return f"It holds {typed.type}, and {_WORDS.get(column.of, column.of)} in the profile."
    if column.kind == "number":
        code = _number(x, kind, column.of)
        if code is None:
            return f"It holds {_said(kind)}, and {_WORDS[column.of]} in the profile."
        return _Asked(name, role, column, code, sentinel=kind == "text")
    text = _text(x, kind, column.of)
    if text is None:
        return f"It holds {_said(kind)}, and {_WORDS.get(column.of, column.of)} in the profile."
    own = {"boolean": {"boolean"}, "text": {"text"}}.get(column.of, {"integer", "number", "boolean"})
    strange = "" if kind in own else f"It holds {_said(kind)}, and {_WORDS.get(column.of, column.of)} in the profile."
    return _Asked(name, role, column, _code(text, column), text, strange)


def _said(kind: str) -> str:
    return {"integer": "numbers", "number": "numbers", "boolean": "true and false", "text": "text"}.get(kind, "times")


def _number(x: str, kind: str, of: str) -> str | None:
    """SQL for a DOUBLE. Text is taken as what it says; then NaN stands for missing, and NULL for what is no number."""
    if of == "moment":
        if kind in {"date", "timestamp"}:
            return f"CASE WHEN isfinite({x}) THEN epoch({x}) END::DOUBLE"
        written = f"epoch(TRY_CAST({x} AS TIMESTAMPTZ))::DOUBLE"
        return _or_unfit(x, written) if kind == "text" else None
    if kind in {"integer", "number"}:
        return f"CAST({x} AS DOUBLE)"
    if kind == "boolean":
        return f"CAST(CAST({x} AS TINYINT) AS DOUBLE)"
    return _or_unfit(x, f"TRY_CAST({x} AS DOUBLE)") if kind == "text" else None


def _or_unfit(x: str, written: str) -> str:
    return f"CASE WHEN {x} IS NULL THEN CAST('nan' AS DOUBLE) ELSE {written} END"


def _text(x: str, kind: str, of: str) -> str | None:
    """SQL for a category's name as the profile writes it. Other types than its own are compared as they are written."""
    if of == "boolean":
        if kind in {"integer", "number"}:
            return f"CASE WHEN {x} = 0 THEN 'false' WHEN {x} = 1 THEN 'true' ELSE CAST({x} AS VARCHAR) END"
        return f"lower(CAST({x} AS VARCHAR))" if kind in {"boolean", "text"} else None
    return f"CAST({x} AS VARCHAR)"


def _code(text: str, column: Column) -> str:
    """SQL for the place of a category among the profile's values; -1 where it is not among them."""
    if not column.values:
        return f"CASE WHEN {text} IS NOT NULL THEN -1.0::DOUBLE END"
    members = ", ".join(sql.text(one) for one in column.values)
    # An ENUM finds a text by its hash, and once for each different text of a Parquet page.
    place = f"enum_code(TRY_CAST({text} AS ENUM({members})))"
    return f"CASE WHEN {text} IS NULL THEN NULL ELSE coalesce(CAST({place} AS DOUBLE), -1.0) END"


def _counted(con: DuckDBPyConnection, relation: str, asked: list[_Asked]) -> list[Numbers | Names]:
    from mlgate.data.drift.counted import Names, Numbers  # noqa: PLC0415
    from mlgate.data.drift.streamed import doubles  # noqa: PLC0415

    counts: list[Numbers | Names] = [
        Numbers(one.column) if one.column.kind == "number" else Names(one.column) for one in asked
    ]
    if not asked:
        return counts
    pairs = list(zip(asked, counts, strict=True))
    size = _TOGETHER if _columnar(con, relation) else len(pairs)
    for at in range(0, len(pairs), size):
        some = pairs[at : at + size]
        query = f"SELECT {', '.join(f'{one.code} AS c{i}' for i, (one, _) in enumerate(some))} FROM {relation}"
        for chunk in doubles(con, query):
            for (one, found), (values, lacking_) in zip(some, chunk, strict=True):
                if one.sentinel:
                    found.add(values, 0, lacking_)
                else:
                    found.add(values, lacking_)
    return counts


def _columnar(con: DuckDBPyConnection, relation: str) -> bool:
    """Whether columns can be read some at a time for the cost of all at once: Parquet or a table, only filtered."""
    plan = json.loads(con.execute(f"EXPLAIN (FORMAT json) SELECT * FROM {relation}").fetchall()[0][1])
    operators: set[str] = set()
    left = list(plan)
    while left:
        one = left.pop()
        operators.add(str(one["name"]).strip().upper())
        left += one.get("children", [])
    return operators <= {"PROJECTION", "FILTER", "READ_PARQUET", "PARQUET_SCAN", "SEQ_SCAN", "UNION"}


def _with_examples(
    con: DuckDBPyConnection, relation: str, asked: list[_Asked], found: dict[str, Compared]
) -> dict[str, Compared]:
    """With the most frequent of the values that the profile does not know, where there are more than there were.

    A value is shown where as many rows share it as in a profile: it is nobody's own.
    """
    new = [
        (share, one)
        for one in asked
        if one.text and not found[one.name].private and (share := found[one.name].unseen_share)
    ]
    for _, one in sorted(new, key=lambda pair: -pair[0])[:_COLUMNS]:
        known = ", ".join(sql.text(value) for value in one.column.values)
        unknown = f"v NOT IN ({known})" if known else "TRUE"
        rows = con.execute(
            f"SELECT v, count(*) AS n FROM (SELECT {one.text} AS v FROM {relation}) WHERE v IS NOT NULL AND {unknown} "
            f"GROUP BY v HAVING n >= {FLOOR} ORDER BY n DESC, v LIMIT {_EXAMPLES}"
        ).fetchall()
        found[one.name] = replace(found[one.name], examples=tuple((str(v), int(n)) for v, n in rows))
    return found
