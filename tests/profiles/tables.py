"""Files with given columns, opened as profiles are built from them, and what those say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from mlgate.config.settings import Read
from mlgate.data import profiles, reading
from mlgate.data.profiles import Column, Profile


def save(path: Path, **columns: Any) -> Path:
    """As Parquet or CSV, by the name."""
    table = pa.table({name: one if isinstance(one, pa.Array) else pa.array(one) for name, one in columns.items()})
    (pa.csv.write_csv if path.suffix == ".csv" else pa.parquet.write_table)(table, path)
    return path


@contextmanager
def opened(*files: Path) -> Iterator[tuple[Any, reading.Table]]:
    con = reading.connect()
    try:
        yield con, reading.open_table(con, list(files), files[0].name, Read())
    finally:
        con.close()


def build(*files: Path, **options: Any) -> Profile:
    with opened(*files) as (con, table):
        return profiles.build(con, table, **{"model": "visits", **options})


def column(folder: Path, values: Any, form: str = "parquet", **options: Any) -> Column:
    """Of one column x."""
    return build(save(folder / f"x.{form}", x=values), **options).columns["x"]


def share_below(values: Any, knot: float) -> float:
    there = np.asarray(values, dtype=np.float64)
    return float(np.mean(there[~np.isnan(there)] <= knot))
