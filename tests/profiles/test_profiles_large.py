"""A million rows of 25 columns: in the time of reading and sorting them, in the memory of a few columns, and small."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgate.data import profiles

from .tables import opened, save

ROWS = 1_000_000


@pytest.mark.long
def test_a_million_rows_take_as_long_as_reading_and_sorting_them(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    columns: dict[str, Any] = {f"n{n}": random.normal(size=ROWS) for n in range(18)}
    columns |= {f"i{n}": random.integers(0, 100, ROWS) for n in range(4)}
    columns |= {"pay": random.lognormal(8, 2, ROWS).round(2), "few": random.integers(0, 5, ROWS)}
    columns["id"] = random.permutation(ROWS)
    file = save(tmp_path / "t.parquet", **columns)
    with opened(file) as (con, table):
        plain, ours = [], []
        for _ in range(3):
            start = time.perf_counter()
            for name in columns:
                query = f'SELECT CAST("{name}" AS DOUBLE) AS v FROM {table.relation}'  # noqa: S608 -- names of ours
                found = con.execute(query).fetchnumpy()["v"]
                np.sort(np.asarray(found))
            plain.append(time.perf_counter() - start)
            start = time.perf_counter()
            profile = profiles.build(con, table, model="visits")
            ours.append(time.perf_counter() - start)
    assert min(ours) < 3 * min(plain)
    assert len(profiles.text(profile)) < 13_000 * len(columns)
