"""From a scan of logs to the rows of one window: each line gets the reason for which it is none, or becomes one."""

# ruff: noqa: S608 -- every name and constant is quoted by `sql`

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from mlgate.data.reading import sql
from mlgate.watch.logs import once, times
from mlgate.watch.logs.nouns import REASONS
from mlgate.watch.logs.scans import Scan, Value
from mlgate.watch.nouns import Window

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CODE = {reason: code for code, reason in enumerate(REASONS, 1)}
_OWN = "mlgate-"  # what the request ids of mlgate's own requests begin with
_META = ("request_id", "row", "version", "digest", "prediction", "score", "latency_ms", "status")
_TYPE = {"row": "BIGINT", "score": "DOUBLE", "latency_ms": "DOUBLE", "status": "INTEGER"}


@dataclass(frozen=True)
class Asked:
    """Whose rows are wanted."""

    window: Window
    model: str
    environment: str
    digest: str | None
    latest: datetime  # what is later than this was logged by a clock that is wrong


@dataclass(frozen=True)
class Rows:
    """`relation` is SQL for FROM, with what `nouns.Logged` promises; `blank` lines are still to be told apart."""

    relation: str
    features: Mapping[str, str]  # feature -> SQL
    types: Mapping[str, str]
    prediction: str
    score: str | None
    counts: dict[str, int] = field(default_factory=dict)
    facts: dict[str, int] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    misfits: dict[str, int] = field(default_factory=dict)


def rows(con: DuckDBPyConnection, scan: Scan, asked: Asked, name: str, max_misfit: float) -> Rows:
    """`name` begins the names of temporary tables. May raise duckdb.Error."""
    scan = _named(scan)
    if scan.at:
        return _scanned(con, scan, asked, name)
    return _copied(con, scan, asked, name, max_misfit)


def _scanned(con: DuckDBPyConnection, scan: Scan, asked: Asked, name: str) -> Rows:
    """The relation stays a scan, so that a reader of two columns reads two."""
    inner = _classified(scan, asked)
    meta = ", ".join(f"{_meta(scan, one)} AS {one}" for one in _META)
    features = {feature: (f"f:{feature}", value) for feature, value in scan.features.items()}
    more = "".join(f", {value.cast} AS {sql.name(column)}" for column, value in features.values())
    counted = f"(SELECT reason, zone, {_version(scan)} AS told, {meta} FROM {inner})"
    counts, facts, versions = _counted(con, counted)
    place = ", ".join(scan.at)
    # What a file's own statistics can answer: whole parts of it are not read.
    kept = f"FROM {inner} WHERE reason = 0{_pushed(scan, asked)}"
    duplicates, differ = once.repeated(con, f"(SELECT {place}, time, {meta} {kept})", scan.at, name)
    counts["duplicates"], facts["contradicting"] = duplicates, differ
    counts["rows"] -= duplicates
    if duplicates:
        kept += f" AND ({place}) NOT IN (SELECT ({place}) FROM {name})"
    return Rows(
        relation=f"(SELECT time, {meta}{more} {kept})",
        features={feature: sql.name(column) for feature, (column, _) in features.items()},
        types={feature: value.type for feature, (_, value) in features.items()} | _predicted(scan),
        prediction="prediction",
        score="score" if "score" in scan.fields else None,
        counts=counts,
        facts=facts,
        versions=versions,
    )


def _copied(con: DuckDBPyConnection, scan: Scan, asked: Asked, name: str, max_misfit: float) -> Rows:
    """Text is read and converted once. What does not fit into memory goes to DuckDB's own folder on disk."""
    columns = {f"f:{feature}": value for feature, value in scan.features.items()}
    typed = _typed(scan).values()
    misfit = " + ".join(f"CAST({value.sql} IS NOT NULL AND {value.cast} IS NULL AS INTEGER)" for value in typed) or "0"
    more = "".join(
        f", CASE WHEN reason = 0 THEN {value.cast} END AS {sql.name(column)}" for column, value in columns.items()
    )
    told = f"CASE WHEN reason IN (0, {_CODE['other_version']}) THEN"
    meta = ", ".join(f"{told} {_meta(scan, one)} END AS {one}" for one in _META)
    con.execute(
        f"CREATE TEMP TABLE {name}_rows AS SELECT CAST(reason AS UTINYINT) AS reason, CAST(zone AS UTINYINT) AS zone, "
        f"CASE WHEN reason = 0 THEN {misfit} ELSE 0 END AS misfit, CASE WHEN reason = 0 THEN time END AS time, "
        f"{told} {_version(scan)} END AS told, {meta}{more} "
        f"FROM {_classified(scan, asked)}"
    )
    misfits: dict[str, int] = {}
    if con.execute(f"SELECT coalesce(sum(misfit), 0) FROM {name}_rows").fetchall()[0][0]:
        misfits = _misfits(con, scan, asked)
    if scan.again is not None and (holes := _holes(con, scan, f"{name}_rows")):
        misfits |= _misfits(con, _named(scan.again(holes, holes)), asked)
    if misfits:
        many = con.execute(f"SELECT count(*) FROM {name}_rows WHERE reason = 0").fetchall()[0][0]
        changed = {one for one, count in misfits.items() if count > max_misfit * many} & {*columns, "prediction"}
        if changed:  # no slips: the column is something else now, and is to be seen as what it is
            con.execute(f"DROP TABLE {name}_rows")
            texts = {*changed, *(one for one, value in _all(scan).items() if value.raw == value.type == "VARCHAR")}
            other = scan if scan.again is None else _named(scan.again(texts, None))
            found = _copied(con, _as_text(other, texts), asked, name, max_misfit)
            slips = {one.removeprefix("f:"): count for one, count in misfits.items()}
            return replace(found, misfits={**slips, **found.misfits})
    counts, facts, versions = _counted(con, f"{name}_rows")
    kept = f"(SELECT * FROM {name}_rows WHERE reason = 0)"
    at = f"(SELECT *, rowid AS mlgate_at FROM {name}_rows WHERE reason = 0)"
    duplicates, differ = once.repeated(con, at, ("mlgate_at",), f"{name}_again")
    counts["duplicates"], facts["contradicting"] = duplicates, differ
    counts["rows"] -= duplicates
    if duplicates:
        con.execute(
            f"UPDATE {name}_rows SET reason = {_CODE['duplicates']} WHERE rowid IN (SELECT mlgate_at FROM {name}_again)"
        )
        con.execute(f"DROP TABLE {name}_again")
    settled = _settled(con, kept, {**columns, "prediction": _value(scan, "prediction")})
    prediction, type_ = settled.pop("prediction")
    shown = ", ".join(("time", *_META, *(sql.name(column) for column in columns)))
    return Rows(
        relation=f"(SELECT {shown} FROM {name}_rows WHERE reason = 0)",
        features={column[2:]: expression for column, (expression, _) in settled.items()},
        types={**{column[2:]: found for column, (_, found) in settled.items()}, "prediction": type_},
        prediction=prediction,
        score="score" if "score" in scan.fields else None,
        counts=counts,
        facts=facts,
        versions=versions,
        misfits={one.removeprefix("f:"): many for one, many in misfits.items()},
    )


def _all(scan: Scan) -> dict[str, Value]:
    """Columns of the rows whose values could get lost by being converted."""
    told = {name: scan.fields[name] for name in ("prediction", "score", "latency_ms") if name in scan.fields}
    return told | {f"f:{name}": value for name, value in scan.features.items()}


def _typed(scan: Scan) -> dict[str, Value]:
    """Columns of texts that are converted: what does not fit must not get lost unseen."""
    return {column: value for column, value in _all(scan).items() if value.type != value.raw}


def _holes(con: DuckDBPyConnection, scan: Scan, table: str) -> set[str]:
    """Columns that the reader made numbers of, and that have missing values: nulls, or something else."""
    made = [column for column, value in _all(scan).items() if value.raw == "DOUBLE"]
    if not made:
        return set()
    asks = ", ".join(f"count(*) > count({sql.name(column)})" for column in made)
    found = con.execute(f"SELECT {asks} FROM {table} WHERE reason = 0").fetchall()[0]
    return {column for column, hole in zip(made, found, strict=True) if hole}


def _as_text(scan: Scan, columns: Collection[str]) -> Scan:
    features = {
        name: replace(value, type=value.raw) if f"f:{name}" in columns else value
        for name, value in scan.features.items()
    }
    fields = {name: replace(value, type=value.raw) if name in columns else value for name, value in scan.fields.items()}
    return replace(scan, features=features, fields=fields)


def _classified(scan: Scan, asked: Asked) -> str:
    """SQL for FROM: the scan of `_named`, with `reason`, `zone` and `time`, an instant."""
    value = scan.fields.get("time")
    said = scan.fields.get("request_id")
    moment, zone = (value and times.typed(value.sql, value.raw)) or ("CAST(NULL AS TIMESTAMPTZ)", "0")
    window = (asked.window.since, asked.window.until, asked.latest)
    since, until, latest = (f"TIMESTAMPTZ {sql.text(one.isoformat())}" for one in window)

    def other(name: str, wanted: str | None) -> str:
        found = scan.fields.get(name)
        if found is None or not wanted:
            return "false"
        text = f"nullif(CAST({found.sql} AS VARCHAR), '')"
        if name == "digest":
            text, wanted = f"replace({text}, 'sha256:', '')", wanted.removeprefix("sha256:")
        return f"{text} <> {sql.text(wanted)}"

    cases = {
        "corrupt": scan.blank,
        "no_time": "time IS NULL",
        "future": f"time > {latest}",
        "before": f"time < {since}",
        "after": f"time >= {until}",
        "other_model": other("model", asked.model),
        "other_environment": other("environment", asked.environment),
        "own": f"starts_with(CAST({said.sql} AS VARCHAR), {sql.text(_OWN)})" if said else "false",
        "other_version": other("digest", asked.digest),
    }
    reason = " ".join(f"WHEN {test} THEN {_CODE[name]}" for name, test in cases.items() if test != "false")
    timed = f"(SELECT *, {moment} AS time, {zone} AS zone FROM {scan.relation})"
    return f"(SELECT *, CASE {reason} ELSE 0 END AS reason FROM {timed})"


def _named(scan: Scan) -> Scan:
    """The same under names that cannot meet: a feature, or a column of the log, may be called anything."""
    parts = [f"{scan.blank} AS mlgate_blank", *scan.at]
    moved: dict[str, dict[str, Value]] = {"m": {}, "f": {}}
    for prefix, values in (("m", scan.fields), ("f", scan.features)):
        for name, value in values.items():
            column = sql.name(f"{prefix}:{name}")
            parts.append(f"{value.sql} AS {column}")
            moved[prefix][name] = replace(value, sql=column)
    relation = f"(SELECT {', '.join(parts)} FROM {scan.relation})"
    return replace(scan, relation=relation, fields=moved["m"], features=moved["f"], blank="mlgate_blank")


def _pushed(scan: Scan, asked: Asked) -> str:
    value = scan.fields["time"]
    if not value.raw.startswith("TIMESTAMP"):
        return ""
    zone, mark = ("TIMESTAMPTZ", "+00") if "WITH TIME ZONE" in value.raw else ("TIMESTAMP", "")
    since, until = (
        f"{zone} {sql.text(one.strftime('%Y-%m-%d %H:%M:%S') + mark)}"
        for one in (asked.window.since, asked.window.until)
    )
    return f" AND {value.sql} >= {since} AND {value.sql} < {until}"


def _value(scan: Scan, name: str) -> Value:
    return scan.fields.get(name, Value("NULL", "VARCHAR", "VARCHAR"))


def _meta(scan: Scan, name: str) -> str:
    value = scan.fields.get(name)
    if value is None:
        return f"CAST(NULL AS {_TYPE.get(name, 'VARCHAR')})"
    if name == "prediction":
        return value.cast
    if name == "score" and value.type.endswith("[]"):  # one for each class: how sure it was of the one it chose
        return f"list_max(TRY_CAST({value.sql} AS DOUBLE[]))"
    wanted = _TYPE.get(name, "VARCHAR")
    return value.sql if value.raw == wanted else f"TRY_CAST({value.sql} AS {wanted})"


def _version(scan: Scan) -> str:
    version, digest = _meta(scan, "version"), _meta(scan, "digest")
    return f"coalesce(nullif({version}, ''), left(replace({digest}, 'sha256:', ''), 12))"


def _predicted(scan: Scan) -> dict[str, str]:
    return {"prediction": _value(scan, "prediction").type}


def _counted(con: DuckDBPyConnection, relation: str) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Lines by reason, facts about the rows, and rows by version."""
    by = dict(con.execute(f"SELECT reason, count(*) FROM {relation} GROUP BY reason").fetchall())
    counts = {reason: by.get(code, 0) for reason, code in _CODE.items()}
    counts = {"lines": sum(by.values()), "rows": by.get(0, 0), **counts}
    names = ("naive", "zoned", "epoch", "no_request_id", "no_row", "no_prediction", "no_score", "no_version")
    found = con.execute(
        "SELECT count(*) FILTER (zone = 2), count(*) FILTER (zone = 1), count(*) FILTER (zone = 3), "
        "count(*) - count(request_id), count(*) - count(row), count(*) - count(prediction), count(*) - count(score), "
        f"count(*) - count(told) FROM {relation} WHERE reason = 0"
    ).fetchall()[0]
    versions = con.execute(
        f"SELECT told, count(*) FROM {relation} WHERE reason IN (0, {_CODE['other_version']}) AND told IS NOT NULL "
        "GROUP BY told ORDER BY count(*) DESC, told LIMIT 100"
    ).fetchall()
    return counts, dict(zip(names, found, strict=True)), dict(versions)


def _misfits(con: DuckDBPyConnection, scan: Scan, asked: Asked) -> dict[str, int]:
    typed = _typed(scan)
    sums = ", ".join(f"count(*) FILTER ({one.sql} IS NOT NULL AND {one.cast} IS NULL)" for one in typed.values())
    found = con.execute(f"SELECT {sums} FROM {_classified(scan, asked)} WHERE reason = 0").fetchall()[0]
    return {column: count for column, count in zip(typed, found, strict=True) if count}


def _settled(con: DuckDBPyConnection, kept: str, columns: Mapping[str, Value]) -> dict[str, tuple[str, str]]:
    """Column -> SQL and type, now that all values are known: whole numbers, and numbers that came late in a text."""
    asks = []
    for column, value in columns.items():
        name = sql.name(column)
        if value.type == "DOUBLE":
            asks.append(f"bool_and(isfinite({name}) AND {name} = trunc({name}) AND abs({name}) < 9007199254740992)")
        elif value.late:
            asks.append(f"count({name}) > 0 AND count({name}) = count(TRY_CAST({name} AS DOUBLE))")
        else:
            asks.append("false")
    found = con.execute(f"SELECT count(*), {', '.join(asks)} FROM {kept}").fetchall()[0][1:]
    settled = {}
    for (column, value), yes in zip(columns.items(), found, strict=True):
        name, type_ = sql.name(column), "DOUBLE" if value.late else "BIGINT"
        settled[column] = (f"TRY_CAST({name} AS {type_})", type_) if yes else (name, value.type)
    return settled
