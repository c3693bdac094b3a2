"""Opening logs, and other sources of rows: what is there is read, what cannot be read is counted, and said."""

# ruff: noqa: S608 -- relations made by mlgate itself

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.config.watching import Fields, Logs, Source
from mlgate.data.reading import sql, troubles
from mlgate.errors import MlgateError
from mlgate.watch.logs import delimited, quarantine, sample, scans
from mlgate.watch.logs.gathered import Gathered, gather
from mlgate.watch.logs.nouns import REASONS, Logged, Opened
from mlgate.watch.logs.rows import Asked, Rows, rows
from mlgate.watch.nouns import Window

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_EMPTY = (
    "(SELECT CAST(NULL AS TIMESTAMPTZ) AS time, CAST(NULL AS VARCHAR) AS request_id, CAST(NULL AS BIGINT) AS row, "
    "CAST(NULL AS VARCHAR) AS version, CAST(NULL AS VARCHAR) AS digest, CAST(NULL AS VARCHAR) AS prediction, "
    "CAST(NULL AS DOUBLE) AS score, CAST(NULL AS DOUBLE) AS latency_ms, CAST(NULL AS INTEGER) AS status WHERE false)"
)


def open_logs(
    con: DuckDBPyConnection,
    settings: Logs,
    window: Window,
    *,
    root: Path,
    environ: Mapping[str, str],
    model: str,
    environment: str,
    digest: str | None = None,
    say: Callable[[str], object] = lambda _: None,
    wanted: Collection[str] = (),
    now: datetime | None = None,
    key: str = "monitor.logs",
) -> Logged:
    """The window's rows of this model, in this environment, of the model file `digest` (None: of any).

    `con` is a connection of `data.reading.connect`; the relation lives as long as it does. `wanted` are features that
    are looked for even where no sampled line has them: those of the profile. `now` is the present, for rows that claim
    to come from the future. A window without rows is `empty`, which is no error. Raises MlgateError for places that are
    not there or cannot be reached, for a log of another schema, and when more lines than `max_corrupt` are unreadable.
    """
    gathered = gather(settings, window, root=root, environ=environ, key=key, say=say)
    if not sum(one.size for one in gathered.files):
        return _nothing(gathered)
    latest = (now or datetime.now(UTC)) + timedelta(seconds=float(settings.max_skew))
    asked = Asked(window, model, environment, digest, latest)
    name = f"mlgate_{secrets.token_hex(6)}"
    import duckdb  # noqa: PLC0415 -- the connection has it

    try:
        scan = _scan(con, gathered, settings.fields, wanted, name)
        made = rows(con, scan, asked, name, float(settings.max_corrupt))
        bad = quarantine.bad_lines(con, gathered.files) if gathered.format == "jsonl" and made.counts["corrupt"] else []
    except duckdb.Error as error:
        raise _unreadable(error, gathered) from error
    counts = _told_apart(made.counts, bad, scan.corrupt, scan.unfinished)
    kept = None
    if bad or scan.rejected:
        kept = quarantine.write(root, f"{model}-{window.since:%Y%m%dT%H%M%SZ}", bad, scan.rejected)
    _check(counts, float(settings.max_corrupt), gathered, None if kept is None else kept.relative_to(root))
    return Logged(
        relation=made.relation,
        features=made.features,
        prediction=made.prediction,
        score=made.score,
        counts=counts,
        facts=made.facts,
        versions=made.versions,
        misfits=made.misfits,
        where=gathered.where,
        quarantine=kept,
        notes=(*gathered.notes, *_notes(counts, made, digest)),
        types=made.types,
    )


def open_source(
    con: DuckDBPyConnection,
    source: Source,
    window: Window,
    *,
    root: Path,
    environ: Mapping[str, str],
    wanted: Collection[str],
    key: str,
    say: Callable[[str], object] = lambda _: None,
    max_corrupt: float = 0.01,
    name: str = "rows",
) -> Opened:
    """All rows of a source, with the columns `wanted` under their own names; `{date}` stands for those of the window.

    `key` is where mlgate.yaml has the source (`monitor.truth`), `name` what a quarantine of it is called. Nothing is
    left out by time, model or environment. Raises MlgateError for places that cannot be reached, for a wanted column
    that is not there, and when more than `max_corrupt` of the lines are unreadable.
    """
    gathered = gather(source, window, root=root, environ=environ, key=key, say=say)
    if not sum(one.size for one in gathered.files):
        nothing = ", ".join(f"CAST(NULL AS VARCHAR) AS {sql.name(column)}" for column in wanted)
        counts = dict.fromkeys(("lines", "rows", "corrupt", "unfinished"), 0)
        types = dict.fromkeys(wanted, "VARCHAR")
        return Opened(f"(SELECT {nothing} WHERE false)", types, counts, gathered.where, notes=gathered.notes)
    table = f"mlgate_{secrets.token_hex(6)}"
    import duckdb  # noqa: PLC0415

    bad: list[quarantine.Bad] = []
    rejected: tuple[tuple[str, int, str], ...] = ()
    blank = unfinished = half = 0
    try:
        if gathered.format == "parquet":
            relation = f"(SELECT * FROM {scans.parquet_relation(gathered)})"
            types = scans.parquet_types(con, gathered, relation)
            _all_there(wanted, types, gathered)
        elif gathered.format == "csv":
            text = delimited.read(con, gathered, f"{table}_lines")
            _all_there(wanted, text.types, gathered)
            types = {column: text.types[column] for column in wanted}
            rejected, unfinished = text.rejected, text.unfinished
            relation = _settled_lines(con, types, f"{table}_lines")
        else:
            seen = sample.look(con, gathered.files, "")
            if seen.objects:
                _all_there(wanted, seen.top, gathered)
            types = {column: sample.type_of(seen.top.get(column, "")) for column in wanted}
            lines = scans.json_relation(gathered.files, dict.fromkeys(wanted, "VARCHAR"))
            half = scans.tiny(gathered.files)
            nothing = " AND ".join(f"{sql.name(column)} IS NULL" for column in wanted)
            con.execute(f"CREATE TEMP TABLE {table}_lines AS SELECT * FROM {lines}")
            blank = int(con.execute(f"SELECT count(*) FROM {table}_lines WHERE {nothing}").fetchall()[0][0])
            if blank:  # no object, or one that says nothing of what is wanted
                con.execute(f"DELETE FROM {table}_lines WHERE {nothing}")
                bad = quarantine.bad_lines(con, gathered.files)
                unfinished = sum(one.unfinished for one in bad)
            relation = _settled_lines(con, types, f"{table}_lines")
        many = int(con.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0])
    except duckdb.Error as error:
        raise _unreadable(error, gathered) from error
    unfinished += half
    left = blank + half + len(rejected)
    counts = {"lines": many + left, "rows": many, "corrupt": left - unfinished, "unfinished": unfinished}
    kept = quarantine.write(root, f"{name}-{window.since:%Y%m%dT%H%M%SZ}", bad, rejected) if bad or rejected else None
    _check(counts, max_corrupt, gathered, None if kept is None else kept.relative_to(root))
    return Opened(relation, types, counts, gathered.where, kept, gathered.notes)


def _settled_lines(con: DuckDBPyConnection, types: dict[str, str], table: str) -> str:
    """SQL for FROM: a table of texts in their types; a column with a value that does not fit the sampled type is text.

    `types` are put right.
    """
    asks = ", ".join(
        f"count({sql.name(column)}) = count(TRY_CAST({sql.name(column)} AS {type_}))" for column, type_ in types.items()
    )
    fits = con.execute(f"SELECT {asks} FROM {table}").fetchall()[0]
    types |= {column: "VARCHAR" for column, fit in zip(types, fits, strict=True) if not fit}
    whole = {
        column
        for column, type_ in types.items()
        if type_ == "DOUBLE"
        and con.execute(
            f"SELECT bool_and(v = trunc(v) AND abs(v) < 9007199254740992 AND isfinite(v)) FROM "
            f"(SELECT TRY_CAST({sql.name(column)} AS DOUBLE) AS v FROM {table})"
        ).fetchall()[0][0]
    }
    types |= dict.fromkeys(whole, "BIGINT")
    typed = ", ".join(
        f"TRY_CAST({'TRY_CAST(' * (column in whole)}{sql.name(column)}{' AS DOUBLE)' * (column in whole)} AS {type_}) "
        f"AS {sql.name(column)}"
        for column, type_ in types.items()
    )
    return f"(SELECT {typed} FROM {table})"


def _scan(
    con: DuckDBPyConnection, gathered: Gathered, fields: Fields, wanted: Collection[str], name: str
) -> scans.Scan:
    if gathered.format == "parquet":
        return scans.parquet(con, gathered, fields)
    if gathered.format == "csv":
        text = delimited.read(con, gathered, f"{name}_text")
        return scans.of_text(con, f"{name}_text", text, fields, gathered)
    return scans.json_lines(con, gathered, fields, wanted)


def _told_apart(counts: Mapping[str, int], bad: list[quarantine.Bad], rejected: int, half: int) -> dict[str, int]:
    """What was blank: lines that are no objects, a last line that is not finished, and objects of something else."""
    told = dict(counts)
    unfinished = sum(one.unfinished for one in bad)
    corrupt = min(sum(len(one.lines) for one in bad) - unfinished, told["corrupt"])
    told["no_time"] += told["corrupt"] - corrupt - unfinished
    told["corrupt"], told["unfinished"] = corrupt + rejected, unfinished + half
    told["lines"] += rejected + half
    return told


def _check(counts: Mapping[str, int], limit: float, gathered: Gathered, kept: Path | None) -> None:
    """Raises MlgateError for more lines that cannot be read than may be."""
    corrupt, no_time, lines = counts["corrupt"], counts.get("no_time", 0), counts["lines"]
    unreadable = corrupt + no_time
    if unreadable <= limit * lines:
        return
    what = [f"{corrupt:,} cannot be read"] if corrupt else []
    what += [f"{no_time:,} have no time that can be read"] if no_time else []
    seen = f" They are in {kept}." if kept else ""
    raise MlgateError(
        f"of {lines:,} lines {' and '.join(what)}: {unreadable / lines:.2%}, and `max_corrupt` is {limit:.2%}.{seen}",
        file=gathered.shown,
        key=gathered.key,
        fix=f"Mend what writes the log, or raise `{gathered.key}.max_corrupt`."
        if "no_time" in counts
        else "Mend what writes it.",
    )


def _notes(counts: Mapping[str, int], made: Rows, digest: str | None) -> list[str]:
    """What a reader of the report should know."""
    notes = []
    if counts["corrupt"]:
        notes.append(f"{counts['corrupt']:,} of {counts['lines']:,} lines could not be read.")
    if counts["future"]:
        notes.append(f"{counts['future']:,} lines are from the future: a clock is wrong.")
    if counts["duplicates"]:
        differ = made.facts["contradicting"]
        more = f", {differ:,} of which contradict the row that was kept" if differ else ""
        notes.append(f"{counts['duplicates']:,} rows were logged again{more}.")
    if digest is not None and counts["other_version"]:
        notes.append(f"{counts['other_version']:,} rows are of another version of the model.")
    if len(made.versions) > 1:
        shown = ", ".join(f"{version} ({many:,})" for version, many in list(made.versions.items())[:5])
        notes.append(f"Several versions answered: {shown}.")
    if made.facts["naive"]:
        notes.append(f"{made.facts['naive']:,} rows have a time without a zone, read as UTC.")
    if made.facts["zoned"] and made.facts["zoned"] < counts["rows"]:
        notes.append(f"{made.facts['zoned']:,} rows have times of another zone than UTC.")
    for name, many in sorted(made.misfits.items()):
        what = "is read as text" if made.types.get(name) == "VARCHAR" else "and are missing here"
        notes.append(
            f"{name}: {many:,} values are of another type than the others, so that it {what}."
            if what.startswith("is")
            else f"{name}: {many:,} values are of another type than the others {what}."
        )
    return notes


def _nothing(gathered: Gathered) -> Logged:
    counts = dict.fromkeys(("lines", "rows", *REASONS), 0)
    return Logged(_EMPTY, {}, "prediction", None, counts, {}, {}, {}, gathered.where, notes=gathered.notes)


def _all_there(wanted: Collection[str], columns: Collection[str], gathered: Gathered) -> None:
    for column in wanted:
        if column not in columns:
            seen = ", ".join(sorted(columns)[:15]) + (", ..." if len(columns) > 15 else "")
            raise MlgateError(
                f"has no column {column!r}; it has {seen}.",
                file=gathered.shown,
                key=gathered.key,
                fix=f"Say under `{gathered.key}` what it is called there.",
            )


def _unreadable(error: Exception, gathered: Gathered) -> MlgateError:
    said = str(error)
    name = next((one.shown for one in gathered.files if str(one.path) in said), gathered.shown)
    if "maximum_object_size" in said:
        return MlgateError("has a line of more than 16 MB.", file=name, fix="Log such values elsewhere.")
    return troubles.unreadable(error, name)
