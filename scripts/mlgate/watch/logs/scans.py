"""Files as a relation of DuckDB in which nothing has been left out yet: one column for each field, and the features."""

# ruff: noqa: S608 -- every name, path and constant is quoted by `sql`

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlgate.config.watching import Fields
from mlgate.data.reading import sql
from mlgate.errors import MlgateError
from mlgate.watch.logs import sample
from mlgate.watch.logs.delimited import Delimited
from mlgate.watch.logs.gathered import Gathered
from mlgate.watch.logs.nouns import File

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIELDS = tuple(name for name in Fields.model_fields if name != "features")
_LINE = 2**24  # bytes of the longest line


@dataclass(frozen=True)
class Value:
    """One value of a row: SQL, its type there, and the type it is to be read as."""

    sql: str
    raw: str
    type: str
    late: bool = False  # a text that no sample had: it may turn out to be a number

    @property
    def cast(self) -> str:
        return self.sql if self.raw == self.type else f"TRY_CAST({self.sql} AS {self.type})"


@dataclass(frozen=True)
class Scan:
    """`relation` is SQL for FROM. `fields` holds those that the log has; `at` are columns that name a row of a file."""

    relation: str
    fields: Mapping[str, Value]
    features: Mapping[str, Value]
    blank: str = "false"  # SQL: nothing of the line could be read
    at: tuple[str, ...] = ()  # columns that name a row; none where the rows have to be copied first
    corrupt: int = 0  # lines that are not in the relation
    unfinished: int = 0
    rejected: tuple[tuple[str, int, str], ...] = ()  # such lines: file, number, text
    # The same with some columns (a field, `f:feature`) as texts, and with the features of `only`: numbers that the
    # reader makes itself are missing where a value is none, and only its text tells one from the other.
    again: Callable[[Collection[str], Collection[str] | None], Scan] | None = None


def json_lines(con: DuckDBPyConnection, gathered: Gathered, fields: Fields, wanted: Collection[str]) -> Scan:
    """Raises MlgateError where no line has a field that has to be there."""
    seen = sample.look(con, gathered.files, fields.features)
    flat = fields.features == "."
    there = _there(fields, set(seen.top), gathered, told=seen.objects > 0)
    kinds = seen.features
    if flat:
        kinds = {name: kind for name, kind in seen.top.items() if name not in there.values()}
    kinds = {**dict.fromkeys(wanted, ""), **kinds}
    _distinct(kinds, gathered.shown)
    _distinct([*there.values(), *(kinds if flat else [fields.features])], gathered.shown)
    return _lines(gathered, fields, there, _Kinds(seen.top, kinds, seen.encoded))


@dataclass(frozen=True)
class _Kinds:
    """Key -> kind of its values, as sampled."""

    top: Mapping[str, str]
    features: Mapping[str, str]
    encoded: bool


def _lines(
    gathered: Gathered,
    fields: Fields,
    there: Mapping[str, str],
    kinds: _Kinds,
    *,
    texts: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Scan:
    """Numbers are read as numbers, at half the cost of their texts; those in `texts` are not."""
    flat = fields.features == "."
    struct = not flat and not kinds.encoded
    features = {name: kind for name, kind in kinds.features.items() if only is None or f"f:{name}" in only}
    raw = {
        name: "DOUBLE" if kind == "number" and not kinds.encoded and f"f:{name}" not in texts else "VARCHAR"
        for name, kind in features.items()
    }
    columns, read = {}, {}
    for name, column in there.items():
        type_ = _read_as(name, kinds.top[column])
        number = type_ == "DOUBLE" and kinds.top[column] == "number" and name not in texts
        columns[column] = "DOUBLE" if number else "VARCHAR"
        read[name] = Value(sql.name(column), columns[column], type_)
    if flat:
        columns |= raw
    else:
        columns[fields.features] = _struct(raw) if struct else "VARCHAR"
    relation = json_relation(gathered.files, columns)
    inside = "" if flat else f"{sql.name(fields.features)}."
    if kinds.encoded and not flat:
        relation, inside = _decoded(relation, sql.name(fields.features), features), "mlgate_features."
    values = {
        name: Value(inside + sql.name(name), raw[name], sample.type_of(kind), late=not kind)
        for name, kind in features.items()
    }
    blank = " AND ".join(f"{sql.name(column)} IS NULL" for column in columns)

    def again(texts: Collection[str], only: Collection[str] | None = None) -> Scan:
        return _lines(gathered, fields, there, kinds, texts=texts, only=only)

    return Scan(relation, read, values, blank=f"({blank})", unfinished=tiny(gathered.files), again=again)


def tiny(files: Sequence[File]) -> int:
    """How many files are one byte of a line: DuckDB takes them for empty."""
    return sum(one.size == 1 and one.path.read_bytes().strip() != b"" for one in files)


def json_relation(files: Sequence[File], columns: Mapping[str, str]) -> str:
    """SQL for FROM: a row for each line; of one that is no object, with nothing in it."""
    types = ", ".join(f"{sql.name(name)}: {sql.text(type_)}" for name, type_ in columns.items())
    groups: dict[str, list[File]] = {}
    for file in files:
        groups.setdefault(file.packed, []).append(file)
    return _union(
        [
            f"SELECT * FROM read_json({sql.paths(one.path for one in several)}, format = 'newline_delimited', "
            f"records = true, auto_detect = false, ignore_errors = true, columns = {{{types}}}, "
            f"compression = {sql.text(packed)}, maximum_object_size = {_LINE}, hive_partitioning = false)"
            for packed, several in groups.items()
        ]
    )


def parquet(con: DuckDBPyConnection, gathered: Gathered, fields: Fields) -> Scan:
    """Nothing is copied: the relation stays a scan. Raises MlgateError for files that are no Parquet."""
    relation = parquet_relation(gathered, "file_row_number = true, filename = 'mlgate_file'")
    types = parquet_types(con, gathered, parquet_relation(gathered))
    return of_columns(con, relation, types, fields, gathered, at=("mlgate_file", "file_row_number"))


def parquet_relation(gathered: Gathered, more: str = "") -> str:
    """SQL for FROM. Columns go by their names; one that a file lacks is missing in its rows.

    A footer's least and greatest values leave out NaN: without `can_have_nan` DuckDB would take them for all there is.
    """
    options = ", ".join(filter(None, ("union_by_name = true, hive_partitioning = false, can_have_nan = true", more)))
    return f"read_parquet({sql.paths(one.path for one in gathered.files)}, {options})"


def parquet_types(con: DuckDBPyConnection, gathered: Gathered, relation: str) -> dict[str, str]:
    """Column -> type, of all files together."""
    import duckdb  # noqa: PLC0415

    for file in gathered.files:
        if not file.size:
            raise MlgateError("is empty.", file=file.shown, fix="Write it anew, or remove it.")
    try:
        described = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    except duckdb.Error as error:
        raise MlgateError(
            f"cannot be read as Parquet ({_first(error)}).",
            file=_culprit(error, gathered),
            fix="It was truncated, or is still being written: remove it or write it anew.",
        ) from error
    return {name: str(type_) for name, type_, *_ in described if name not in ("mlgate_file", "file_row_number")}


def of_text(con: DuckDBPyConnection, table: str, text: Delimited, fields: Fields, gathered: Gathered) -> Scan:
    """CSV lines that were read as text."""
    types = dict.fromkeys(text.types, "VARCHAR")
    scan = of_columns(con, table, types, fields, gathered, texts=text.types)
    corrupt = len(text.rejected) - text.unfinished
    return replace(scan, corrupt=corrupt, unfinished=text.unfinished, rejected=text.rejected)


def of_columns(
    con: DuckDBPyConnection,
    relation: str,
    types: Mapping[str, str],
    fields: Fields,
    gathered: Gathered,
    *,
    at: tuple[str, ...] = (),
    texts: Mapping[str, str] | None = None,
) -> Scan:
    """A relation of columns that have types. `texts`: what the text columns of a CSV file are to be read as."""
    there = _there(fields, set(types), gathered)
    if fields.features == ".":
        features = {
            name: Value(sql.name(name), type_, (texts or {}).get(name, type_))
            for name, type_ in types.items()
            if name not in there.values()
        }
    else:
        relation, features = _nested(con, relation, fields.features, types[fields.features], gathered)
    read = {}
    for name, column in there.items():
        as_ = "VARCHAR" if name == "time" and texts else (texts or types).get(column, types[column])
        read[name] = Value(sql.name(column), types[column], _FIXED.get(name, as_))
    return Scan(relation, read, features, at=at)


def _nested(
    con: DuckDBPyConnection, relation: str, name: str, type_: str, gathered: Gathered
) -> tuple[str, dict[str, Value]]:
    """Features in one column: a struct, a map, or a text that holds JSON."""
    column = sql.name(name)
    if type_.startswith("STRUCT"):
        inner = con.execute(f"DESCRIBE SELECT {column}.* FROM {relation}").fetchall()
        return relation, {one: Value(f"{column}.{sql.name(one)}", str(kind), str(kind)) for one, kind, *_ in inner}
    if type_.startswith("MAP"):
        names = con.execute(f"SELECT DISTINCT unnest(map_keys({column})) AS k FROM {relation} ORDER BY k").fetchall()
        value = str(con.execute(f"DESCRIBE SELECT map_values({column})[1] FROM {relation}").fetchall()[0][1])
        return relation, {one: Value(f"{column}[{sql.text(one)}]", value, value) for (one,) in names}
    if type_ in {"VARCHAR", "JSON"}:
        seen = sample.Sampled()
        rows = con.execute(f"SELECT {column} FROM {relation} WHERE {column} IS NOT NULL LIMIT 5000").fetchall()
        for (line,) in rows:
            seen.add(line, "")
        _distinct(seen.top, gathered.shown)
        if seen.objects:
            inside = {
                one: Value(f"mlgate_features.{sql.name(one)}", "VARCHAR", sample.type_of(kind))
                for one, kind in seen.top.items()
            }
            return _decoded(relation, column, seen.top), inside
        if not rows:
            return relation, {}
    raise MlgateError(
        f"has the column {name!r} of type {type_}, which holds no features.",
        file=gathered.shown,
        key=f"{gathered.key}.fields.features",
        fix="Name the column with the object of features, or `.` where features are columns of their own.",
    )


def _struct(types: Mapping[str, str]) -> str:
    # DuckDB knows no object without keys.
    return f"STRUCT({', '.join(f'{sql.name(name)} {type_}' for name, type_ in types.items())})" if types else "JSON"


def _decoded(relation: str, column: str, kinds: Collection[str]) -> str:
    shape = "{" + ", ".join(f'{_quoted(name)}: "VARCHAR"' for name in kinds) + "}"
    return (
        f"(SELECT *, CASE WHEN json_valid({column}) THEN from_json({column}, {sql.text(shape)}) END AS mlgate_features "
        f"FROM {relation})"
    )


def _quoted(name: str) -> str:
    import json  # noqa: PLC0415

    return json.dumps(name, ensure_ascii=False)


# Those whose type the relation promises; a prediction stays what it is.
_FIXED = {
    **dict.fromkeys(("request_id", "model", "version", "digest", "environment"), "VARCHAR"),
    "row": "BIGINT",
    "latency_ms": "DOUBLE",
    "status": "INTEGER",
}


def _read_as(name: str, kind: str) -> str:
    if name == "time":
        return "VARCHAR"
    if name == "score":
        return "DOUBLE[]" if kind == "json" else "DOUBLE"
    return _FIXED.get(name, sample.type_of(kind))


_REQUIRED = ("time", "prediction", "features")


def _there(fields: Fields, keys: Collection[str], gathered: Gathered, *, told: bool = True) -> dict[str, str]:
    """Field -> column, of those that the log has. Raises MlgateError for one that is missing and has to be there.

    Those are time, prediction and features, and whatever the configuration itself names.
    """
    found: dict[str, str] = {}
    for name in (*FIELDS, "features"):
        column = getattr(fields, name)
        if column is None or (name == "features" and column == "."):
            continue
        if column in keys:
            if name != "features":
                found[name] = column
        elif told and (name in _REQUIRED or name in fields.model_fields_set):
            seen = ", ".join(sorted(keys)[:15]) + (", ..." if len(keys) > 15 else "")
            raise MlgateError(
                f"has no field {column!r}; it has {seen}.",
                file=gathered.shown,
                key=f"{gathered.key}.fields.{name}",
                fix=f"Say in `{gathered.key}.fields.{name}` what it is called there"
                + (", or `.` where features are fields of their own." if name == "features" else "."),
            )
    return found


def _distinct(names: Collection[str], shown: str) -> None:
    lower: dict[str, str] = {}
    for name in names:
        if (other := lower.setdefault(name.lower(), name)) != name:
            raise MlgateError(
                f"has fields {other!r} and {name!r}, equal but for upper and lower case.",
                file=shown,
                fix="Rename one of them.",
            )


def _union(parts: Sequence[str]) -> str:
    return f"({' UNION ALL '.join(parts)})"


def _first(error: Exception) -> str:
    from mlgate.data.reading import troubles  # noqa: PLC0415

    return troubles.first(error)


def _culprit(error: Exception, gathered: Gathered) -> str:
    said = str(error)
    return next((one.shown for one in gathered.files if str(one.path) in said), gathered.shown)
