"""A profile of rows that DuckDB can read. One column at a time is held in memory: by sorting it, counts are exact."""

# ruff: noqa: S608 -- every name and constant is quoted by `sql` or is a number of ours

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlgate.data import reading
from mlgate.data.profiles import categories
from mlgate.data.profiles.frozen import frozen
from mlgate.data.profiles.nouns import FLOOR, Column, Day, Of, Profile
from mlgate.data.reading import Table, sql
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAYS = 92  # of the newest days: a quarter of a year
LEAST = 100  # rows of a day; fewer say nothing of how days differ
AT_ONCE = 2  # columns at the same time
_FETCHED = 2_000  # categories looked at one by one


@dataclass(frozen=True)
class Value:
    """One column of a relation: what it is called, SQL for it, and its type as DuckDB writes it."""

    name: str
    sql: str
    type: str


@dataclass(frozen=True)
class Answers:
    """What the model says of data that it was not made of: SQL for FROM, and SQL and type of its two columns."""

    relation: str
    prediction: Value | None = None
    score: Value | None = None


def build(
    con: DuckDBPyConnection,
    table: Table,
    *,
    model: str,
    features: Sequence[str] | None = None,
    answers: Answers | None = None,
    time: str | None = None,
    private: frozenset[str] = frozenset(),
    data: Mapping[str, str] | None = None,
    digest: str = "",
    like: Profile | None = None,
) -> Profile:
    """The profile of a table, and of what a model says.

    `features`: its columns; None for all but `time`. `time`: the column by which there are days. `private`: columns of
    which no value is written. `like`: another profile whose knots, bins and categories are taken, so that the two can
    be added up exactly. Costs: a text file is read once; of Parquet, each column is.
    Raises MlgateError for a table that cannot be read, that has no rows, or that lacks one of the columns.
    """
    import duckdb  # noqa: PLC0415

    asked = _Asked(model, features, answers, time, private, data or {}, digest, like)
    # Every recovery changes at least one column, so they come to an end.
    for _ in range(len(table.columns) + 3):
        try:
            found = _Rows.of(con, table)
            try:
                return _profile(found, table, asked)
            finally:
                found.close()
        except duckdb.Error as error:
            table = reading.recover(con, table, error)
    raise MlgateError("reads differently each time it is read.", file=table.shown)


@dataclass(frozen=True)
class _Asked:
    """What `build` was asked for."""

    model: str
    features: Sequence[str] | None
    answers: Answers | None
    time: str | None
    private: frozenset[str]
    data: Mapping[str, str]
    digest: str
    like: Profile | None


@dataclass(frozen=True)
class _Rows:
    """Rows to be read column by column; a text file is parsed once, into a table of its own."""

    con: DuckDBPyConnection
    relation: str
    staged: str = ""

    @classmethod
    def of(cls, con: DuckDBPyConnection, table: Table) -> _Rows:
        if table.format == "parquet":
            return cls(con, table.relation)
        # No temporary one: each column is read over a connection of its own.
        con.execute(f"CREATE OR REPLACE TABLE mlgate_profile AS SELECT * FROM {table.relation}")
        return cls(con, "mlgate_profile", "mlgate_profile")

    def close(self) -> None:
        if self.staged:
            self.con.execute(f"DROP TABLE IF EXISTS {self.staged}")

    def one(self, query: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self.con.execute(f"SELECT {query} FROM {self.relation}").fetchall()[0]
        return found


def _profile(rows: _Rows, table: Table, asked: _Asked) -> Profile:
    features, time, like = asked.features, asked.time, asked.like
    there = {column.name: column for column in table.columns}
    wanted = [name for name in there if name != time] if features is None else list(dict.fromkeys(features))
    for name in [*wanted, *([time] if time else [])]:
        if name not in there:
            raise MlgateError(
                f"has no column {name!r}, which the profile is to describe.", file=table.shown, key=name,
                fix="Correct `serve.log.features` in mlgate.yaml, or the data.",
            )  # fmt: skip
    count = int(rows.one("count(*)")[0])
    if not count:
        raise MlgateError("has no rows, so there is nothing to describe.", file=table.shown, fix="Take data with rows.")
    hide = {name.casefold() for name in asked.private}
    values = [Value(name, sql.name(name), there[name].type) for name in wanted]
    of: dict[str, Of] = {v.name: "private" if v.name.casefold() in hide else _of(v.type) for v in values}
    known: Mapping[str, Column] = like.columns if like else {}

    def column(value: Value) -> Column:
        with rows.con.cursor() as con:
            return _column(replace(rows, con=con), value, of[value.name], count, known.get(value.name))

    columns = dict(zip(wanted, _each(column, values), strict=True))
    prediction, score = _answers(rows.con, asked.answers, like)
    days: tuple[Day, ...] = ()
    if time is not None and _of(there[time].type) == "moment":
        days = _days(rows, sql.name(time), [(v, columns[v.name]) for v in values if columns[v.name].kind != "hidden"])
    return Profile(asked.model, count, columns, prediction, score, days, dict(asked.data), asked.digest)


def _each(work: Callable[[Value], Column], values: Iterable[Value]) -> list[Column]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, values))


def _of(type_: str) -> Of:
    kind = reading.Column("", type_).kind
    if kind in {"integer", "number"}:
        return "number"
    if kind in {"date", "timestamp"}:
        return "moment"
    return "boolean" if kind == "boolean" else "text" if kind == "text" else "other"


def _answers(con: DuckDBPyConnection, answers: Answers | None, like: Profile | None) -> list[Column | None]:
    """Prediction and score."""
    if answers is None:
        return [None, None]
    rows = _Rows(con, answers.relation)
    count = int(rows.one("count(*)")[0])
    pairs = [(answers.prediction, like.prediction if like else None), (answers.score, like.score if like else None)]
    return [_column(rows, value, _of(value.type), count, known) if value and count else None for value, known in pairs]


# -- one column --------------------------------------------------------------------------------------------------------


def _column(rows: _Rows, value: Value, of: Of, count: int, like: Column | None) -> Column:
    if of in {"private", "other"}:
        missing = count - int(rows.one(f"count({_there(value, 'text')})")[0])
        return Column("hidden", count, missing, of=of)
    if like is not None and like.kind == "hidden":
        return _column(rows, value, "private", count, None)
    if of in {"number", "moment"}:
        return _number(rows, value, of, count, like if like is not None and like.kind == "number" else None)
    return _category(rows, value, of, count, like if like is not None and like.kind == "category" else None)


def _there(value: Value, of: str) -> str:
    """SQL for a value that can be counted: NaN is missing, moments are seconds."""
    if of == "moment":
        return f"CASE WHEN isfinite({value.sql}) THEN epoch({value.sql}) END"
    if value.type.upper() in {"FLOAT", "DOUBLE"}:
        return f"CASE WHEN NOT isnan({value.sql}) THEN {value.sql} END"
    return value.sql


def _number(rows: _Rows, value: Value, of: Of, count: int, like: Column | None) -> Column:
    import numpy as np  # noqa: PLC0415

    from mlgate.data.profiles import numbers  # noqa: PLC0415 -- numpy

    number = f"CAST({_there(value, of) if of == 'moment' else value.sql} AS DOUBLE)"
    found: Any = rows.con.execute(
        f"SELECT v FROM (SELECT {number} AS v FROM {rows.relation}) WHERE v IS NOT NULL"
    ).fetchnumpy()["v"]
    values = np.array(getattr(found, "data", found), dtype=np.float64)  # none is masked: missing ones are out
    return numbers.described(values, count, of, like)


def _category(rows: _Rows, value: Value, of: Of, count: int, like: Column | None) -> Column:
    text = f"CAST({value.sql} AS VARCHAR)"
    groups = f"(SELECT {text} AS v, count(*) AS n FROM {rows.relation} WHERE {value.sql} IS NOT NULL GROUP BY 1)"
    only = None
    able = f"n >= {FLOOR}"
    if like is not None:
        only = like.values
        able = f"v IN ({', '.join(map(sql.text, only)) or 'NULL'})"
    # The most frequent ones come by name, all together as numbers: of a column of a million names, few come here.
    query = (
        f"WITH g AS MATERIALIZED {groups} "
        f"(SELECT v, n, 1, 0 FROM g WHERE {able} ORDER BY n DESC, v LIMIT {_FETCHED}) UNION ALL "
        "SELECT NULL, coalesce(sum(n), 0)::BIGINT, count(*), coalesce(sum((n = 1)::INTEGER), 0)::BIGINT FROM g"
    )
    found: list[tuple[str | None, int, int, int]] = rows.con.execute(query).fetchall()
    pairs = [(name, n) for name, n, _, _ in found if name is not None]
    values, distinct, once = next((n, many, ones) for name, n, many, ones in found if name is None)
    rest = (distinct - len(pairs), values - sum(n for _, n in pairs))
    seen = categories.counted(pairs, rest, count, only=only)
    return Column(
        "category", count, count - values, distinct, of, values=seen.values,
        kept=seen.kept if like is None else like.kept, other=seen.other, once=once,
    )  # fmt: skip


# -- days --------------------------------------------------------------------------------------------------------------


def _days(rows: _Rows, time: str, columns: Sequence[tuple[Value, Column]]) -> tuple[Day, ...]:
    """The newest days of enough rows, counted over the frozen bins of each column."""
    from datetime import date, timedelta  # noqa: PLC0415

    day = f"CAST(floor(epoch({time}) / 86400) AS BIGINT)"
    con, relation = rows.con, f"(SELECT * FROM {rows.relation} WHERE {time} IS NOT NULL AND isfinite({time}))"
    totals = con.execute(
        f"SELECT {day} AS d, count(*)::BIGINT AS n FROM {relation} GROUP BY 1 HAVING n >= {LEAST} "
        f"ORDER BY 1 DESC LIMIT {DAYS}"
    ).fetchall()
    if not totals:
        return ()
    since = min(d for d, _ in totals)
    counts: dict[int, dict[str, tuple[int, ...]]] = {d: {} for d, _ in totals}

    def one(pair: tuple[Value, Column]) -> list[tuple[int, int, int]]:
        with con.cursor() as own:
            found: list[tuple[int, int, int]] = own.execute(
                f"SELECT {day} AS d, {_bin(*pair)} AS b, count(*)::BIGINT FROM {relation} "
                f"WHERE {day} >= {since} GROUP BY 1, 2"
            ).fetchall()
            return found

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for (value, column), found in zip(columns, pool.map(one, columns), strict=True):
            many = len(frozen(column).counts)
            bins = {d: [0] * many for d in counts}
            for d, place, n in found:
                if d in bins:
                    bins[d][place] = n
            for d, here in bins.items():
                counts[d][value.name] = tuple(here)
    first = date(1970, 1, 1)
    return tuple(Day(str(first + timedelta(days=d)), n, counts[d]) for d, n in sorted(totals))


def _bin(value: Value, column: Column) -> str:
    """SQL for the place of a value among its column's frozen bins."""
    bins = frozen(column)
    many = len(bins.counts)
    there = _there(value, column.of)
    if column.kind == "category":
        text = f"CAST({value.sql} AS VARCHAR)"
        own = " ".join(f"WHEN {sql.text(name)} THEN {place}" for place, name in enumerate(bins.kept))
        inner = f"CASE {text} {own} ELSE {many - 2} END" if own else str(many - 2)
    else:
        number = f"CAST({there} AS DOUBLE)"
        if column.values:
            own = " ".join(f"WHEN {float(name)!r}::DOUBLE THEN {place}" for place, name in enumerate(bins.kept))
            inner = f"CASE {number} {own} ELSE {many - 2} END" if own else str(many - 2)
        else:
            own = " ".join(f"WHEN {number} <= {edge!r}::DOUBLE THEN {place}" for place, edge in enumerate(bins.edges))
            inner = f"CASE {own} ELSE {many - 2} END" if own else str(many - 2)
    return f"CASE WHEN {there} IS NULL THEN {many - 1} ELSE {inner} END"
