"""What is asked of the files of one evaluation set, and what was found. Plain data: neither DuckDB nor numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlgate.config.settings import Read, Scalar

if TYPE_CHECKING:
    from mlgate.data.rows import Rows, Task

Side = Literal["challenger", "champion", "anchor"]
SIDES: tuple[Side, ...] = ("challenger", "champion", "anchor")
Level = Literal["error", "inconclusive", "note"]
EXCLUDED = "id"  # the column of `Asked.exclude`


@dataclass(frozen=True)
class File:
    """A file or folder of data. Its format is what `shown` ends in, since a cache names its files by digest."""

    path: Path
    shown: str  # what sentences call it: "eval/predictions.parquet"
    read: Read = field(default_factory=Read)


@dataclass(frozen=True)
class Made:
    """Values per row that were made beside the predictions: by an entry point."""

    file: File  # has the column `Asked.id`
    columns: Mapping[str, str]  # key of `Predicted.values` -> column


@dataclass(frozen=True)
class Asked:
    """Which columns of which files are wanted, named as mlgate.yaml names them.

    `task` is inferred where it is None: `query` makes it ranking, scores by class make it multiclass, `positive` or
    `cut_off` make it binary; else labels that are text or true and false are classes, and numbers are classes where
    there are two of them or where `decided` is set. Two classes are binary.
    """

    labels: File
    predictions: Mapping[Side, File]  # always the challenger's
    id: str
    label: str
    task: Task | None = None
    positive: Scalar | None = None  # without it: 1 beside 0 or -1, or true beside false
    score: str | Mapping[str, str] | None = None  # column, or class -> column
    decided: str | None = None  # the column with the decided class
    # What a side's own version calls the score and the decided class, for a file that lacks the columns above.
    called: Mapping[Side, tuple[str | Mapping[str, str] | None, str | None]] = field(default_factory=dict)
    cut_off: float | None = None  # binary without `decided`: a row is positive from this score on
    weight: str | None = None
    cluster: str | None = None
    query: str | None = None
    groups: tuple[tuple[str, ...], ...] = ()  # columns of the labels' file, or combinations of them
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # column of `groups` -> where a group ends
    values: tuple[str, ...] = ()  # columns of the predictions files with one number per row
    made: Mapping[Side, tuple[Made, ...]] = field(default_factory=dict)
    exclude: File | None = None  # with the ids, in a column called `id`, of rows that are left out of all sides
    probabilities: bool = False  # the scores have to be probabilities


@dataclass(frozen=True)
class Finding:
    """Something wrong, counted. `sentence` says no id of a row; `str()` adds the first ones.

    `error`: what it is about was left out of the rows. `inconclusive`: it was not, and says too little to decide on.
    `note`: worth saying, and no reason for another verdict.
    """

    side: Side | None  # None: the labels' file, so all sides
    sentence: str
    file: str
    column: str = ""
    count: int = 0  # of rows, ids or values that it is about
    examples: tuple[str, ...] = ()  # the first ids
    level: Level = "error"
    fix: str = ""

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.examples) else ""
        ids = f" First ids: {', '.join(self.examples)}{more}." if self.examples else ""
        return f"{self.sentence}{ids}{f' {self.fix}' if self.fix else ''}"


@dataclass(frozen=True)
class Aligned:
    """`rows` is None when the labels or the challenger cannot be used; another side that cannot is None in it.

    Of a group or a column of values that cannot be used, the rows come without it. Every such absence has a finding.
    """

    rows: Rows | None
    findings: tuple[Finding, ...] = ()
    excluded: int = 0  # rows that `Asked.exclude` left out
    whole: Rows | None = None  # with those rows; the same as `rows` where none was left out

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == "error")

    def of(self, side: Side) -> tuple[Finding, ...]:
        """What is wrong with one side, the labels included."""
        return tuple(finding for finding in self.findings if finding.side in {None, side})
