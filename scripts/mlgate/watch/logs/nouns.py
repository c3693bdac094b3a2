"""What reading logs gives. Plain data, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Format = Literal["jsonl", "parquet", "csv"]

# Why a line is no row of the window, in the order in which it is asked. The sum of these and `rows` is `lines`.
REASONS = (
    "corrupt",  # no JSON object, or a CSV line of too few or too many values
    "unfinished",  # the last line of a file, not yet written to its end
    "no_time",  # no time, or none that can be read
    "future",  # later than now, by more than the clocks may differ
    "before",  # before the window
    "after",  # after the window
    "other_model",
    "other_environment",
    "own",  # requests that mlgate itself made: load tests, shadows
    "other_version",  # another model file (digest) than the one that is watched
    "duplicates",  # the same request and row again
)


@dataclass(frozen=True)
class File:
    """A file to read. `shown` is what the user calls it; `packed` is none, gzip or zstd."""

    path: Path
    shown: str
    packed: str
    size: int


@dataclass(frozen=True)
class Where:
    """What was read: the format, files by the name that users know, and bytes."""

    format: Format
    files: tuple[str, ...]
    size: int  # bytes, packed ones as they are


@dataclass(frozen=True)
class Opened:
    """Rows of a source, with its own column names; `types` as DuckDB writes them."""

    relation: str  # SQL for FROM
    types: Mapping[str, str]
    counts: Mapping[str, int]  # lines, rows, corrupt, unfinished
    where: Where
    quarantine: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.counts["rows"]


@dataclass(frozen=True)
class Logged:
    """The rows of one model, one environment and one window.

    `relation` is SQL for FROM with the columns time TIMESTAMPTZ (UTC), request_id VARCHAR, row BIGINT, version VARCHAR,
    digest VARCHAR, prediction (as logged), score DOUBLE, latency_ms DOUBLE, status INTEGER; what the log does not have
    is NULL. Features are reached by the SQL of `features` only: their names may be any.

    `counts`: lines, rows, and REASONS; rows and reasons add up to lines. `facts` are about the rows: naive (times
    without a zone, read as UTC), zoned (times of another zone), epoch (times as numbers), no_request_id, no_row,
    no_prediction, no_score, no_version; and contradicting: duplicates that say something else than the row that is
    kept. `misfits`: values of a column that are not of its type, and are missing here.
    """

    relation: str
    features: Mapping[str, str]
    prediction: str
    score: str | None
    counts: Mapping[str, int]
    facts: Mapping[str, int]
    versions: Mapping[str, int]  # version -> rows, before other versions are left out
    misfits: Mapping[str, int]
    where: Where
    quarantine: Path | None = None
    notes: tuple[str, ...] = ()  # sentences that the report shows
    types: Mapping[str, str] = field(default_factory=dict)  # feature, `prediction` -> DuckDB type

    @property
    def empty(self) -> bool:
        return not self.counts["rows"]

    @property
    def answered(self) -> str:
        """SQL for FROM: only the rows that have a prediction; failed requests may have none."""
        return f"(SELECT * FROM {self.relation} WHERE prediction IS NOT NULL)"  # noqa: S608 -- made by mlgate
