"""Logs and truth for the tests of outcomes, as the readers of logs give them: tables of DuckDB."""

# ruff: noqa: S608 -- names are made here

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection

from mlgate.config import EvaluationSet
from mlgate.config.watching import Truth
from mlgate.watch.nouns import Window

DAY = timedelta(days=1)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WINDOW = Window(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
LATER = datetime(2026, 12, 20, tzinfo=UTC)  # when all truth is there


@dataclass(frozen=True)
class Log:
    """What `open_logs` gives, as far as outcomes read it."""

    relation: str
    features: Mapping[str, str] = field(default_factory=dict)
    prediction: str = "prediction"
    score: str | None = "score"


def table(con: DuckDBPyConnection, columns: Mapping[str, Any]) -> str:
    """A table with these columns; what stands after FROM."""
    name = f"t_{uuid.uuid4().hex}"
    con.register(f"arrow_{name}", pa.table(dict(columns)))
    con.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM arrow_{name}")
    con.unregister(f"arrow_{name}")
    return name


def times(moments: Sequence[datetime | None]) -> pa.Array:
    return pa.array(moments, pa.timestamp("us", tz="UTC"))


def log_of(con: DuckDBPyConnection, rows: int, columns: Mapping[str, Any], features: Sequence[str] = ()) -> Log:
    """`rows` requests `r0`, `r1`, ... at noon, of one row each, with more columns."""
    given = {
        "time": times([NOON] * rows),
        "request_id": [f"r{at}" for at in range(rows)],
        "row": [0] * rows,
        "version": ["v1.0.0"] * rows,
        **columns,
    }
    score = "score" if "score" in given else None
    return Log(table(con, given), {name: f'"{name}"' for name in features}, score=score)


def truth_of(con: DuckDBPyConnection, labels: Sequence[Any], **columns: Any) -> str:
    """Of the requests `r0`, `r1`, ...; None where it is not known yet, which is then not in it."""
    known = [at for at, label in enumerate(labels) if label is not None]
    given = {"request_id": [f"r{at}" for at in known], "label": [labels[at] for at in known]}
    return table(con, given | {name: [values[at] for at in known] for name, values in columns.items()})


def truth(**keys: Any) -> Truth:
    return Truth.model_validate({"path": ["truth.parquet"], "label": "label", **keys})


def evaluation(**keys: Any) -> EvaluationSet:
    return EvaluationSet.model_validate({"metrics": ["metrics/eval.json"], **keys})


BINARY = evaluation(
    data="data/test.parquet",
    columns={"id": "id", "label": "label", "positive": 1},
    predictions={"path": "eval/p.parquet", "score": "p", "cut_off": 0.5},
)


def binary(seed: int, rows: int, slope: float = 2.0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Calibrated scores and labels: (n,) probabilities, (n,) 0 or 1."""
    random = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-slope * random.normal(size=rows)))
    return score, (random.random(rows) < score).astype(int)
