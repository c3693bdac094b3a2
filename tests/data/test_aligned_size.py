"""Time and memory of the join, in a process of its own: ids never become Python's objects."""

# ruff: noqa: S608 -- made of numbers and of pytest's own folder

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder import ROOT
from mlgate.data import reading

_READ = r'''
import json, re, sys, time
from pathlib import Path
from mlgate.data import reading
from mlgate.data.aligned import Asked, File, joining, read


def peak():
    """MiB; `ru_maxrss` would be that of the process that started this one."""
    return int(re.search(r"VmHWM:\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]) / 1024


folder, id_ = Path(sys.argv[1]), sys.argv[2]
files = {name: File(folder / f"{name}.parquet", f"{name}.parquet") for name in ("labels", "challenger", "champion")}
con = reading.connect()
before, start = peak(), time.perf_counter()
found = read(con, Asked(labels=files.pop("labels"), predictions=files, id=id_, label="y", score="p", cut_off=0.5))
took = time.perf_counter() - start
more = peak() - before
assert found.rows is not None and found.rows.champion is not None and found.findings == ()
right = all((side.score == found.rows.label / 2).all() for side in (found.rows.challenger, found.rows.champion))
print(json.dumps({"seconds": took, "mib": peak(), "more": more, "right": bool(right)}))
'''


def measured(folder: Path, rows: int, id_: str) -> dict[str, float]:
    """Labels in order, and two files of predictions in orders of their own, whose scores tell whose they are."""
    con = reading.connect("2GB", folder)
    ids = "i AS number, 'person-' || i AS word"
    con.execute(f"COPY (SELECT {ids}, i % 2 AS y FROM range({rows}) t(i)) TO '{folder}/labels.parquet'")
    for side in ("challenger", "champion"):
        some = f"SELECT {ids}, (i % 2) / 2 AS p FROM range({rows}) t(i) ORDER BY hash('{side}' || i)"
        con.execute(f"COPY ({some}) TO '{folder}/{side}.parquet'")
    con.close()
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(folder), id_],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("id_", ["number", "word"])
def test_a_million_rows(tmp_path: Path, id_: str) -> None:
    found = measured(tmp_path, 1_000_000, id_)
    assert found["right"]
    assert found["more"] < 250  # MiB; the ids as Python's text alone would be as much again for each file
    assert found["seconds"] < 5  # about 0.3 on a machine that does nothing else


@pytest.mark.long
@pytest.mark.parametrize("id_", ["number", "word"])
def test_ten_million_rows(tmp_path: Path, id_: str) -> None:
    found = measured(tmp_path, 10_000_000, id_)
    assert found["right"]
    assert found["mib"] < 1_500
    assert found["seconds"] < 60  # about 5 on a machine that does nothing else
