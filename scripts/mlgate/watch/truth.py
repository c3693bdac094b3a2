"""Truth joined to the predictions of one window, by request (and row): of which it is known, and what is wrong with it.

Nothing is dropped without a number: every prediction of the window is in exactly one of the counts `KNOWN`, `PENDING`,
`MISSING`, `TOO_LATE`, `CONTRADICTED`, `AMBIGUOUS` and `NAMELESS`.

- Truth that is said twice, and the same, counts once. Where it is said differently, the last by `truth.time` counts;
  without a time, or at the same one, nobody knows which is true: that prediction is as one without truth.
- Truth that became known later than `truth.within` after the prediction is missing for good. So a window that is read
  again gives the same numbers, whatever came in the meantime.
- A label that is null or NaN is no truth.
- A request that failed (an HTTP status of 500 or more, without a prediction) predicted nothing, and is not among these.
"""

# ruff: noqa: S608 -- every name is quoted by `sql`

from __future__ import annotations

import math
import uuid
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from mlgate.config.watching import Truth
from mlgate.data.reading import sql
from mlgate.errors import MlgateError
from mlgate.watch.nouns import Window

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KNOWN = "predictions with truth"
PENDING = "predictions whose truth may still come"
MISSING = "predictions without truth for good"
TOO_LATE = "predictions whose truth came too late"
CONTRADICTED = "predictions whose truth contradicts itself"
AMBIGUOUS = "predictions of requests with several rows, of which truth does not say which"
NAMELESS = "predictions without a request id"
PREDICTIONS = (KNOWN, PENDING, MISSING, TOO_LATE, CONTRADICTED, AMBIGUOUS, NAMELESS)
# Of the rows of the truth, and of what was done about them.
STRANGE = "truth of no prediction in this window"
AGAIN = "truth that is said again"
SETTLED = "truth that is said differently, of which the last counts"
EMPTY = "truth without a label"
UNNAMED = "truth without a request id"
TIMELESS = "truth without a time that can be read"
EARLY = "truth that is older than its prediction"

UNKNOWN = "unknown"  # the version of rows of which the log does not say it
_TIMES = ("TIMESTAMP", "DATE")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "UINTEGER", "UBIGINT")
_MILLISECONDS = 100_000_000_000  # a greater number of seconds would be after the year 5000


class Predictions(Protocol):
    """What a log of predictions gives: `relation` is a table of DuckDB with the columns `time`, `request_id`, `row`,
    `version` and `status`, as far as the log has the last three; the others are SQL expressions over it."""

    @property
    def relation(self) -> str: ...
    @property
    def features(self) -> Mapping[str, str]: ...
    @property
    def prediction(self) -> str: ...
    @property
    def score(self) -> str | None: ...


@dataclass(frozen=True)
class Tenth:
    """The predictions whose score is in one tenth of all scores, and how many of them have truth."""

    most: float  # the highest score in it
    rows: int
    known: int


@dataclass(frozen=True)
class Joined:
    """One window's predictions with their truth. `relation` is a table of those that have it: columns `place`,
    `prediction`, `score` (null where the log has none), `label`, `version`, and one for each of `features`."""

    relation: str
    window: Window
    counts: Mapping[str, int]
    versions: Mapping[str, int] = field(default_factory=dict)  # predictions with truth, by version
    features: Mapping[str, str] = field(default_factory=dict)  # feature -> SQL expression in `relation`
    tenths: tuple[Tenth, ...] = ()
    examples: tuple[str, ...] = ()  # a request id of the log and one of the truth, where none of them match

    @property
    def predictions(self) -> int:
        return sum(self.counts[name] for name in PREDICTIONS)

    @property
    def known(self) -> int:
        return self.counts[KNOWN]

    @property
    def share(self) -> float | None:
        """Of the predictions, those with truth; None without any prediction."""
        return self.known / self.predictions if self.predictions else None


def due(window: Window, settings: Truth) -> Window:
    """The newest window of this length whose predictions are all older than `truth.within` when `window` ends.

    Performance is judged over it. The windows after it are still waiting for their truth.
    """
    length = (window.until - window.since).total_seconds()
    return window.earlier(math.ceil(float(settings.within) / length))


def waiting(window: Window, settings: Truth) -> Window:
    """Everything after the window that is due, up to the end of this one: what is known of it is provisional."""
    return Window(due(window, settings).until, window.until)


def join(
    con: DuckDBPyConnection,
    predictions: Predictions,
    truth: str,
    settings: Truth,
    *,
    window: Window,
    now: datetime,
    features: Sequence[str] = (),
) -> Joined:
    """`truth`: what stands after FROM, with the columns that `settings` names. `features` are taken along.

    Raises MlgateError where the truth lacks a column, or its times cannot be read.
    """
    return _Join(con, predictions, truth, settings).made(window, now, features)


def served(relation: str, columns: Container[str] = frozenset({"status"})) -> str:
    """What stands after FROM: all rows but those of requests that failed. A row that lacks a prediction and did not
    fail stays, so that it is counted where predictions are looked at."""
    if "status" not in columns:
        return relation
    return f"(SELECT * FROM {relation} WHERE prediction IS NOT NULL OR coalesce(TRY_CAST(status AS INTEGER), 0) < 500)"


class _Join:
    def __init__(self, con: DuckDBPyConnection, predictions: Predictions, truth: str, settings: Truth) -> None:
        self.con, self.log, self.truth, self.settings = con, predictions, truth, settings
        mark = uuid.uuid4().hex
        self.asked, self.told, self.found = (f'"mlgate_{name}_{mark}"' for name in ("asked", "told", "found"))

    def made(self, window: Window, now: datetime, features: Sequence[str]) -> Joined:
        taken = [name for name in dict.fromkeys(features) if name in self.log.features]
        columns = {name: f"feature {at}" for at, name in enumerate(taken)}
        counts = self._tell()
        self._ask(columns)
        try:
            counts |= self._match(now)
            relation = f'"mlgate_known_{uuid.uuid4().hex}"'
            self.con.execute(
                f"CREATE TEMP TABLE {relation} AS SELECT a.* EXCLUDE (request, part, moment), f.label "
                f"FROM {self.asked} a JOIN {self.found} f USING (place) WHERE f.fate = {sql.text(KNOWN)} ORDER BY place"
            )
            versions = self._rows(f"SELECT version, count(*) FROM {relation} GROUP BY ALL ORDER BY 2 DESC, 1")
            return Joined(
                relation=relation,
                window=window,
                counts=counts,
                versions={str(name or UNKNOWN): int(rows) for name, rows in versions},
                features={name: sql.name(column) for name, column in columns.items()},
                tenths=self._tenths(),
                examples=() if counts[KNOWN] else self._examples(),
            )
        finally:
            for table in (self.asked, self.told, self.found):
                self.con.execute(f"DROP TABLE IF EXISTS {table}")

    def _ask(self, columns: Mapping[str, str]) -> None:
        """The predictions, each with its place."""
        types = self._types(self.log.relation)
        score = plain_number(self.con, self.log.relation, self.log.score)
        version = "CAST(version AS VARCHAR)" if "version" in types else "NULL::VARCHAR"
        row = 'coalesce(TRY_CAST("row" AS BIGINT), 0)' if "row" in types else "0::BIGINT"
        more = "".join(f", {self.log.features[name]} AS {sql.name(column)}" for name, column in columns.items())
        self.con.execute(
            f"CREATE TEMP TABLE {self.asked} AS SELECT row_number() OVER () AS place, "
            f"CAST(request_id AS VARCHAR) AS request, {row} AS part, epoch_us(time) AS moment, "
            f"{self.log.prediction} AS prediction, {score} AS score, {version} AS version{more} "
            f"FROM {served(self.log.relation, types)}"
        )

    def _tell(self) -> dict[str, int]:
        """The truth as it is used, and what of it cannot be."""
        named, types = self.settings, self._types(self.truth)
        for key in ("request_id", "row", "label", "time"):
            name = getattr(named, key)
            if name is not None and name not in types:
                there = ", ".join(f"`{one}`" for one in list(types)[:12])
                raise MlgateError(
                    f"the truth has no column `{name}` (monitor.truth.{key}).",
                    key=f"monitor.truth.{key}",
                    fix=f"Its columns are {there}.",
                )
        label = sql.name(named.label)
        if types[named.label] in ("FLOAT", "DOUBLE"):
            label = f"CASE WHEN isnan({label}) THEN NULL ELSE {label} END"
        part = f"coalesce(TRY_CAST({sql.name(named.row)} AS BIGINT), 0)" if named.row else "0::BIGINT"
        at = moment(sql.name(named.time), types[named.time], "monitor.truth.time") if named.time else "NULL::BIGINT"
        whole = f"(SELECT CAST({sql.name(named.request_id)} AS VARCHAR) AS request, {part} AS part, {label} AS label, "
        whole += f"{at} AS moment FROM {self.truth})"
        self.con.execute(f"CREATE TEMP TABLE {self.told} AS SELECT * FROM {whole}")
        unnamed, empty, timeless = self._rows(
            "SELECT count(*) FILTER (WHERE request IS NULL), count(*) FILTER (WHERE label IS NULL), "
            f"count(*) FILTER (WHERE moment IS NULL) FROM {self.told}"
        )[0]
        total = self._rows(f"SELECT count(*) FROM {self.told}")[0][0]
        if named.time and total and timeless == total:
            raise MlgateError(
                f"no value of `{named.time}` (monitor.truth.time) is a time.",
                key="monitor.truth.time",
                fix="Write it like 2026-11-20T10:00:00Z, or as seconds since 1970.",
            )
        self.con.execute(f"DELETE FROM {self.told} WHERE request IS NULL OR label IS NULL")
        return {UNNAMED: int(unnamed), EMPTY: int(empty), TIMELESS: int(timeless) if named.time else 0}

    def _match(self, now: datetime) -> dict[str, int]:
        """What became of every prediction, into `found`; and the counts."""
        within, seconds = round(float(self.settings.within) * 1e6), now.timestamp()
        part = "AND a.part = t.part" if self.settings.row else ""
        # Without a column for the row, a request of several rows has one truth, and nobody knows of which row.
        several = f"SELECT request FROM {self.asked} GROUP BY request HAVING count(*) > 1"
        several = "SELECT NULL::VARCHAR AS request WHERE false" if self.settings.row else several
        # Few predictions have truth that contradicts itself: only these are sorted by time.
        self.con.execute(
            f"""CREATE TEMP TABLE {self.found} AS
            WITH pairs AS MATERIALIZED (
                SELECT a.place, t.label, coalesce(t.moment, -9e18::BIGINT) AS told,
                       coalesce(t.moment > a.moment + {within}, false) AS late, t.moment < a.moment AS early
                FROM {self.asked} a JOIN {self.told} t ON a.request = t.request {part}),
            said AS MATERIALIZED (
                SELECT place, count(*) FILTER (WHERE NOT late) AS times, min(label) FILTER (WHERE NOT late) AS least,
                       max(label) FILTER (WHERE NOT late) AS most, count(*) FILTER (WHERE early AND NOT late) AS early
                FROM pairs GROUP BY place),
            timely AS (
                SELECT *, max(told) OVER (PARTITION BY place) AS latest FROM pairs
                WHERE NOT late AND place IN (SELECT place FROM said WHERE least <> most)),
            settled AS (
                SELECT place, min(label) AS least, max(label) AS most FROM timely WHERE told = latest GROUP BY place),
            several AS ({several})
            SELECT a.place, coalesce(l.most, s.most) AS label, coalesce(s.times, 0) AS times,
                   l.place IS NOT NULL AS differently, coalesce(s.early, 0) AS early,
                   CASE WHEN a.request IS NULL THEN {sql.text(NAMELESS)}
                        WHEN s.times > 0 AND v.request IS NOT NULL THEN {sql.text(AMBIGUOUS)}
                        WHEN l.least <> l.most THEN {sql.text(CONTRADICTED)}
                        WHEN s.times > 0 THEN {sql.text(KNOWN)}
                        WHEN s.place IS NOT NULL THEN {sql.text(TOO_LATE)}
                        WHEN a.moment + {within} > {round(seconds * 1e6)} THEN {sql.text(PENDING)}
                        ELSE {sql.text(MISSING)} END AS fate
            FROM {self.asked} a LEFT JOIN said s USING (place) LEFT JOIN settled l USING (place)
            LEFT JOIN several v ON a.request = v.request"""
        )
        fates = dict(self._rows(f"SELECT fate, count(*) FROM {self.found} GROUP BY fate"))
        again, settled, early = self._rows(
            "SELECT coalesce(sum(times - 1) FILTER (WHERE NOT differently), 0), "
            f"count(*) FILTER (WHERE differently AND fate = {sql.text(KNOWN)}), "
            f"count(*) FILTER (WHERE early > 0) FROM {self.found} WHERE times > 0"
        )[0]
        [(strange,)] = self._rows(
            f"SELECT count(*) FROM {self.told} t WHERE NOT EXISTS "
            f"(SELECT 1 FROM {self.asked} a WHERE a.request = t.request {part})"
        )
        counts = {name: int(fates.get(name, 0)) for name in PREDICTIONS}
        return counts | {STRANGE: int(strange), AGAIN: int(again), SETTLED: int(settled), EARLY: int(early)}

    def _tenths(self) -> tuple[Tenth, ...]:
        """Of the scores; none where there are no scores."""
        [(edges,)] = self._rows(
            f"SELECT quantile_disc(score, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]) FROM {self.asked} "
            "WHERE isfinite(score)"
        )
        if not edges:
            return ()
        kept = sorted(set(edges))
        # A score that is equal to an edge belongs to the tenth below it.
        place = "CASE " + " ".join(f"WHEN a.score <= {edge!r} THEN {at}" for at, edge in enumerate(kept)) + " END"
        found = self._rows(
            f"SELECT {place} AS tenth, count(*), count(*) FILTER (WHERE f.fate = {sql.text(KNOWN)}) "
            f"FROM {self.asked} a JOIN {self.found} f USING (place) WHERE isfinite(a.score) GROUP BY 1 ORDER BY 1"
        )
        return tuple(Tenth(kept[at], int(rows), int(known)) for at, rows, known in found)

    def _examples(self) -> tuple[str, ...]:
        """A request id of each side: that they are written differently is the usual reason for no match."""
        found = [
            self._rows(f"SELECT request FROM {table} WHERE request IS NOT NULL LIMIT 1")
            for table in (self.asked, self.told)
        ]
        return tuple(str(rows[0][0]) for rows in found) if all(found) else ()

    def _types(self, relation: str) -> dict[str, str]:
        return {str(row[0]): str(row[1]) for row in self._rows(f"DESCRIBE SELECT * FROM {relation}")}

    def _rows(self, query: str) -> list[Any]:
        found: list[Any] = self.con.execute(query).fetchall()
        return found


def type_of(con: DuckDBPyConnection, relation: str, expression: str) -> str:
    """The type of an SQL expression over a relation, as DuckDB writes it."""
    return str(con.execute(f"DESCRIBE SELECT {expression} AS one FROM {relation}").fetchall()[0][1])


def plain_number(con: DuckDBPyConnection, relation: str, expression: str | None) -> str:
    """SQL: it as DOUBLE, null where it is no number. Of a list (a score for each class) nothing is left."""
    if expression is None:
        return "NULL::DOUBLE"
    type_ = type_of(con, relation, expression)
    if type_ == "JSON":
        return f"TRY_CAST(({expression}) ->> '$' AS DOUBLE)"
    nested = type_.endswith("]") or type_.startswith(("STRUCT", "MAP", "UNION"))
    return "NULL::DOUBLE" if nested else f"TRY_CAST({expression} AS DOUBLE)"


def moment(expression: str, type_: str, key: str) -> str:
    """SQL: a time as microseconds since 1970, null where it is none. A time without a zone is UTC; a number counts
    seconds, or milliseconds where seconds would lie after the year 5000. Raises MlgateError for another type."""
    plain = type_.split("(", maxsplit=1)[0].strip()
    if plain.startswith(_TIMES):
        return f"epoch_us(CAST({expression} AS TIMESTAMPTZ))"
    if plain in _NUMBERS:
        seconds = f"CAST({expression} AS DOUBLE)"
        return (
            f"CAST(CASE WHEN abs({seconds}) > {_MILLISECONDS} THEN {seconds} * 1e3 ELSE {seconds} * 1e6 END AS BIGINT)"
        )
    if plain in {"VARCHAR", "JSON"}:
        text = f"({expression}) ->> '$'" if plain == "JSON" else expression
        return f"epoch_us(TRY_CAST({text} AS TIMESTAMPTZ))"
    raise MlgateError(f"`{key}` names a column that holds no times ({type_}).", key=key, fix="Name another column.")
