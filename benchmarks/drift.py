# ruff: noqa: E501 -- scripts for other processes
"""Drift of 25 columns: ours against a stored profile, DuckDB's own read, Evidently, alibi-detect and a scipy loop.

    python benchmarks/drift.py                     # ours and DuckDB's read: 1M and 10M rows
    python benchmarks/drift.py 1000000 peers       # with the peers, each in an environment of its own
    python benchmarks/drift.py 100000000           # ten files of 10M rows

Whole processes, interleaved, with bytecode compiled; time and the most memory resident. 20 columns of numbers and 5 of
categories (2, 5, 10, 50 and 1,000 of them), six of them shifted. Data are made once and kept in a cache folder outside
the repository, as are the environments of the peers: none of them can be installed beside another.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("MLGATE_BENCH_CACHE", "") or Path.home() / ".cache" / "mlgate" / "bench")
PEERS = {
    "evidently": ["evidently==0.7.23", "pandas<3", "pyarrow"],
    "alibi-detect": ["alibi-detect==0.13.0", "pyarrow<20", "pandas<3"],
}
FILE_ROWS = 10_000_000

GENERATE = """
import sys, duckdb
rows, shift, path = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
con = duckdb.connect()
con.execute("SET enable_progress_bar = false")
s = 17 if shift else 5
u = lambda k, j: f"((hash(i, {k}, {j}, {s}) % 1000003 + 1) / 1000005.0)"
normal = lambda k: f"sqrt(-2 * ln({u(k, 1)})) * cos(6.283185307 * {u(k, 2)})"
columns = []
for k in range(20):
    moved = shift if k in (0, 5, 10, 15) else 0
    value = f"({normal(k)} + {moved})"
    value = (value, f"exp({value})", f"floor(abs({value}) * 3)", f"round({value} * 100)")[k % 4]
    if k % 5 == 0:
        value = f"CASE WHEN hash(i, {k}, 9, {s}) % 100 = 0 THEN NULL ELSE {value} END"
    columns.append(f"{value}::DOUBLE AS n{k}")
for k, many in enumerate((2, 5, 10, 50, 1000)):
    power = 2 if shift and k in (1, 3) else 1
    columns.append(f"'c' || floor(pow({u(k, 5)}, {power}) * {many})::INT AS s{k}")
con.execute(f"COPY (SELECT {', '.join(columns)} FROM range({rows}) AS t(i)) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
"""

PROFILE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from mlgate.config.settings import Read
from mlgate.data import profiles, reading
con = reading.connect()
table = reading.open_table(con, [Path(sys.argv[2])], "reference", Read())
Path(sys.argv[3]).write_text(profiles.text(profiles.build(con, table, model="m")))
"""

OURS = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from mlgate.config.watching import Drift
from mlgate.data import drift, profiles, reading
from mlgate.watch import drifted
profile = profiles.read(Path(sys.argv[2]).read_text(), "profile.json")
con = reading.connect()
found = drift.against(con, f"read_parquet('{sys.argv[3]}')", {name: f'"{name}"' for name in profile.columns}, profile)
rows = next(iter(found.values())).rows
section = drifted.section(found, Drift(psi=0.1, ks=0.1), profile, rows=rows, min_rows=500)
print(sum(one.state == "breached" for one in section.columns))
"""

READ = """
import sys, duckdb
con = duckdb.connect()
con.execute("SET enable_progress_bar = false")
names = [row[0] for row in con.execute(f"DESCRIBE FROM read_parquet('{sys.argv[1]}')").fetchall()]
# Every value of every column is decoded; a bare max() would be answered from the footer.
con.execute(f"SELECT {', '.join(f'max({n}) FILTER (WHERE {n} IS NOT NULL)' for n in names)} FROM read_parquet('{sys.argv[1]}')").fetchall()
print(0)
"""

SCIPY = """
import sys, numpy as np, pandas as pd
from scipy import stats
from scipy.spatial.distance import jensenshannon
before, now = (pd.read_parquet(path) for path in sys.argv[1:3])
drifted = 0
for name in before.columns:
    a, b = before[name].dropna(), now[name].dropna()
    if a.dtype == float:
        edges = np.r_[-np.inf, np.unique(np.quantile(a, np.arange(0.1, 1, 0.1))), np.inf]
        p, q = (np.histogram(x, edges)[0] / len(x) + 1e-6 for x in (a, b))
        psi = float(((q - p) * np.log(q / p)).sum())
        drifted += stats.ks_2samp(a, b).statistic > 0.1 or psi > 0.1
    else:
        table = pd.concat([a.value_counts(), b.value_counts()], axis=1).fillna(0).to_numpy()
        stats.chi2_contingency(table + 1e-9)
        drifted += jensenshannon(table[:, 0], table[:, 1], base=2) > 0.1
print(drifted)
"""

EVIDENTLY = """
import sys, pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
before, now = (pd.read_parquet(path) for path in sys.argv[1:3])
done = Report([DataDriftPreset()]).run(now, before)
print(int(done.dict()["metrics"][0]["value"]["count"]))
"""

ALIBI = """
import sys, numpy as np, pandas as pd
from alibi_detect.cd import TabularDrift
before, now = (pd.read_parquet(path) for path in sys.argv[1:3])
categories = {}
for i, name in enumerate(before.columns):
    if before[name].dtype == object:
        categories[i] = None
        levels = {v: k for k, v in enumerate(sorted(set(before[name]) | set(now[name])))}
        before[name], now[name] = before[name].map(levels), now[name].map(levels)
    else:
        before[name], now[name] = before[name].fillna(0), now[name].fillna(0)
found = TabularDrift(before.to_numpy(), p_val=0.05, categories_per_feature=categories).predict(now.to_numpy(), drift_type="feature")
print(int(np.sum(found["data"]["is_drift"])))
"""


def made(name: str, *arguments: str) -> Path:
    path = CACHE / name
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        subprocess.run([sys.executable, "-c", GENERATE, *arguments, str(part)], check=True)
        part.rename(path)
    return path


def peer(name: str) -> str:
    """The Python of an environment of its own, made once; empty where it cannot be installed here."""
    folder = CACHE / f"drift-{name}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        uv = shutil.which("uv") or next(map(str, sorted(CACHE.parent.glob("dev-*/uv/bin/uv"))), "")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *PEERS[name]]
        if subprocess.run(command, check=False).returncode:
            return ""
        (folder / "ready").touch()
    return str(python)


def measured(command: list[str]) -> tuple[float, float, str]:
    """Seconds, the most memory resident in MB, and what it printed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None  # noqa: PT018
    said, wrong = process.stdout.read(), process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command[0]} ended with {status}:\n{wrong[-2000:]}")
    return seconds, used.ru_maxrss / 1024, said.strip().splitlines()[-1]


def compare(rows: int, *, peers: bool, rounds: int) -> bool:
    before = made(f"drift-1-{min(rows, FILE_ROWS)}-before.parquet", str(min(rows, FILE_ROWS)), "0")
    now = made(f"drift-1-{min(rows, FILE_ROWS)}-now.parquet", str(min(rows, FILE_ROWS)), "0.5")
    files = str(now)
    if rows > FILE_ROWS:
        folder = CACHE / f"drift-1-{rows}"
        folder.mkdir(exist_ok=True)
        for i in range(rows // FILE_ROWS):
            if not (folder / f"{i}.parquet").exists():
                os.link(now, folder / f"{i}.parquet")
        files = str(folder / "*.parquet")
    profile = CACHE / f"drift-1-{min(rows, FILE_ROWS)}.json"
    subprocess.run([sys.executable, "-c", PROFILE, str(ROOT / "scripts"), str(before), str(profile)], check=True)
    commands = {
        "mlgate": [sys.executable, "-c", OURS, str(ROOT / "scripts"), str(profile), files],
        "DuckDB's read": [sys.executable, "-c", READ, files],
    }
    if peers:
        commands["scipy loop"] = [sys.executable, "-c", SCIPY, str(before), str(now)]
        for name, script in (("alibi-detect", ALIBI), ("evidently", EVIDENTLY)):
            if python := peer(name):
                commands[name] = [python, "-c", script, str(before), str(now)]
    found: dict[str, list[tuple[float, float, str]]] = {name: [] for name in commands}
    for at in range(rounds):
        for name, command in commands.items():
            if name in {"mlgate", "DuckDB's read"} or at == 0:
                found[name].append(measured(command))
    ours = statistics.median(one[0] for one in found["mlgate"]), max(one[1] for one in found["mlgate"])
    for name, runs in found.items():
        seconds, memory = statistics.median(one[0] for one in runs), max(one[1] for one in runs)
        ratio = (
            "" if name == "mlgate" else f"   {seconds / ours[0]:7.2f}x our time, {memory / ours[1]:5.1f}x our memory"
        )
        drifted = "" if name == "DuckDB's read" else f"{runs[0][2]:>3} columns drifted"
        print(f"      {rows:>11,} rows  {name:<14} {seconds:8.2f} s {memory:7.0f} MB  {drifted:<19}{ratio}", flush=True)
    read = statistics.median(one[0] for one in found["DuckDB's read"])
    held = rows < FILE_ROWS or (ours[0] <= 1.3 * read and (rows > FILE_ROWS or ours[1] < 1000))
    if "evidently" in found:
        seconds, memory, _ = found["evidently"][0]
        held = held and seconds >= 80 * ours[0] and memory >= 15 * ours[1]
    print(f"{'ok  ' if held else 'MISS'}  {ours[0] / read:.2f}x DuckDB's read, {ours[1]:.0f} MB", flush=True)
    return held


def main() -> None:
    sizes = [int(one) for one in sys.argv[1:] if one.isdigit()] or [1_000_000, 10_000_000]
    held = [compare(rows, peers="peers" in sys.argv, rounds=3 if rows <= FILE_ROWS else 1) for rows in sizes]
    sys.exit(not all(held))


if __name__ == "__main__":
    main()
