# ruff: noqa: E501 -- scripts for other processes, and SQL of constants
"""32 checks of all kinds over 25 columns: ours, Great Expectations, pandera, pointblank, and DuckDB's own read.

Whole processes, interleaved, with bytecode compiled; time and the most memory resident. Every tool is given the same
file and the same checks, and must find that all of them hold. Data are made once, from a seed, and kept in a cache
folder outside the repository, as is the environment that pandera and pointblank are installed into by uv.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("MLGATE_BENCH_CACHE", "") or Path.home() / ".cache" / "mlgate" / "bench")
PEERS = ["pandera[polars]==0.35.0", "pointblank==1.1.1", "polars==2.1.0", "pyarrow==25.0.0"]
LIMIT = "250MB"  # of DuckDB; the process has its own 60 MB besides
C = "expect_column_"

GENERATE = """
import sys, json, duckdb, numpy
rows, path, options = int(sys.argv[1]), sys.argv[2], sys.argv[3]
con = duckdb.connect()
con.execute("SET enable_progress_bar = false")
normal = ["CASE WHEN hash(i, {k}) % 1000 = 0 THEN NULL ELSE sqrt(-2 * ln((hash(i, {k}, 1) % 1000000 + 1) / 1000001.0)) "
          "* cos(6.283185307 * (hash(i, {k}, 2) % 1000000) / 1000000.0) END AS f{k}".format(k=k) for k in range(13)]
whole = [f"(hash(i, {k}, 3) % {10 ** (k % 4 + 1)})::BIGINT AS i{k}" for k in range(6)]
words = [f"'c' || (hash(i, {k}, 4) % {5 * (k + 1)}) AS s{k}" for k in range(4)]
code = "'A' || lpad((hash(i, 9) % 1000000)::VARCHAR, 6, '0') AS code"
con.execute(f"COPY (SELECT i AS id, {code}, {', '.join(normal + whole + words)} FROM range({rows}) AS t(i)) "
            f"TO '{path}' ({options})")
f9 = con.execute(f"SELECT f9 FROM '{path}' WHERE f9 IS NOT NULL").fetchnumpy()["f9"]
quantiles = [float(q) for q in numpy.quantile(numpy.asarray(f9, dtype=float), [0.25, 0.5, 0.75], method="nearest")]
distinct = con.execute(f"SELECT count(*) FROM (SELECT DISTINCT code FROM '{path}')").fetchone()[0]
json.dump({"quantiles": quantiles, "distinct": distinct}, open(path + ".json", "w"))
"""

OURS = """
import sys
sys.path.insert(0, sys.argv[1])
from datetime import UTC, datetime
from pathlib import Path
from mlgate.config.settings import Read
from mlgate.data import contract, engine, reading
said = contract.load(Path(sys.argv[3]).read_bytes(), "suite.json")
con = reading.connect(sys.argv[4])
table = reading.open_table(con, [Path(sys.argv[2])], sys.argv[2], Read())
found = engine.run(con, table, said.expectations, now=datetime.now(UTC), other=None)
assert {one.engine[:6] for one in found} == {"duckdb"}, found
print(sum(one.holds is True for one in found))
"""

READ = """
import sys, duckdb
con = duckdb.connect()
con.execute("SET enable_progress_bar = false")
names = [row[0] for row in con.execute(f"DESCRIBE FROM '{sys.argv[1]}'").fetchall()]
# Every value of every column is decoded; a bare max() would be answered from the footer.
con.execute(f"SELECT {', '.join(f'max({n}) FILTER (WHERE {n} IS NOT NULL)' for n in names)} FROM '{sys.argv[1]}'").fetchall()
print(32)
"""

GX = """
import sys, json, logging
logging.disable(logging.CRITICAL)
import pandas, great_expectations as gx
path, suite = sys.argv[1], json.load(open(sys.argv[2]))
frame = pandas.read_csv(path) if path.endswith(".csv") else pandas.read_parquet(path)
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
done = batch.validate(gx.ExpectationSuite(name="s", expectations=suite["expectations"]))
print(sum(bool(one.success) for one in done.results))
"""

PANDERA = """
import sys, json, polars as pl, pandera.polars as pa
path, suite = sys.argv[1], json.load(open(sys.argv[2]))
frame = pl.read_csv(path) if path.endswith(".csv") else pl.read_parquet(path)
columns, whole = {}, []
def share(column, expression, mostly):
    # A tolerance of rows is no idea of pandera's: a check of the whole frame.
    return pa.Check(lambda data: data.lazyframe.select(expression(pl.col(column)).mean() >= mostly))
for one in suite["expectations"]:
    kind, k = one["type"].removeprefix("expect_"), one["kwargs"]
    c, mostly = k.get("column"), k.get("mostly", 1.0)
    if kind == "column_values_to_not_be_null":
        whole.append(share(c, lambda x: x.is_not_null(), mostly))
    elif kind == "column_values_to_be_between":
        whole.append(share(c, lambda x, k=k: x.drop_nulls().is_between(k["min_value"], k["max_value"]), mostly))
    elif kind == "column_values_to_be_in_set":
        whole.append(share(c, lambda x, k=k: x.is_in(k["value_set"]), 1.0))
    elif kind == "column_values_to_match_regex":
        whole.append(share(c, lambda x, k=k: x.str.contains(k["regex"]), 1.0))
    elif kind == "column_values_to_be_unique":
        columns[c] = pa.Column(unique=True)
    elif kind == "column_mean_to_be_between":
        whole.append(pa.Check(lambda d, c=c, k=k: d.lazyframe.select(pl.col(c).mean().is_between(k["min_value"], k["max_value"]))))
    elif kind == "column_unique_value_count_to_be_between":
        whole.append(pa.Check(lambda d, c=c, k=k: d.lazyframe.select(pl.col(c).n_unique().is_between(k["min_value"], k["max_value"]))))
    elif kind == "column_quantile_values_to_be_between":
        r = k["quantile_ranges"]
        whole.append(pa.Check(lambda d, c=c, r=r: d.lazyframe.select(pl.all_horizontal(
            [pl.col(c).quantile(q, "nearest").is_between(*v) for q, v in zip(r["quantiles"], r["value_ranges"])]))))
    else:
        whole.append(pa.Check(lambda d, k=k: d.lazyframe.select(pl.len() >= k["min_value"])))
pa.DataFrameSchema(columns, checks=whole).validate(frame, lazy=True)
print(len(columns) + len(whole))
"""

POINTBLANK = """
import sys, json, polars as pl, pointblank as pb
path, suite = sys.argv[1], json.load(open(sys.argv[2]))
frame = pl.read_csv(path) if path.endswith(".csv") else pl.read_parquet(path)
v, whole = pb.Validate(frame), []
for one in suite["expectations"]:
    kind, k = one["type"].removeprefix("expect_"), one["kwargs"]
    c = k.get("column")
    level = {"thresholds": pb.Thresholds(error=1 - k["mostly"])} if "mostly" in k else {}
    if kind == "column_values_to_not_be_null":
        v = v.col_vals_not_null(c, **level)
    elif kind == "column_values_to_be_between":
        v = v.col_vals_between(c, k["min_value"], k["max_value"], na_pass=True, **level)
    elif kind == "column_values_to_be_in_set":
        v = v.col_vals_in_set(c, k["value_set"])
    elif kind == "column_values_to_match_regex":
        v = v.col_vals_regex(c, k["regex"])
    elif kind == "column_values_to_be_unique":
        v = v.rows_distinct(columns_subset=[c])
    elif kind == "column_mean_to_be_between":
        whole.append(frame[c].mean() >= k["min_value"] and frame[c].mean() <= k["max_value"])
    elif kind == "column_unique_value_count_to_be_between":
        whole.append(k["min_value"] <= frame[c].n_unique() <= k["max_value"])
    elif kind == "column_quantile_values_to_be_between":
        r = k["quantile_ranges"]
        whole.append(all(a <= frame[c].quantile(q, "nearest") <= b for q, (a, b) in zip(r["quantiles"], r["value_ranges"])))
    else:
        whole.append(len(frame) >= k["min_value"])
v = v.interrogate()
# Its all_passed() knows no tolerance: a step has failed when it is above its threshold.
steps = [s.all_passed or (s.error is False) for s in v.validation_info]
print(sum(steps) + sum(whole))
"""


def suite(known: dict[str, Any]) -> dict[str, Any]:
    """The checks, as Great Expectations writes them; distinct values and quantiles must be met to the last digit."""
    exact = [[q, q] for q in known["quantiles"]]
    wanted: list[tuple[str, dict[str, Any]]] = [
        *[("values_to_not_be_null", {"column": f"f{k}", "mostly": 0.99}) for k in range(9)],
        ("values_to_not_be_null", {"column": "id"}),
        *[("values_to_be_between", {"column": f"f{k}", "min_value": -4, "max_value": 4, "mostly": 0.999}) for k in range(6)],
        *[("values_to_be_between", {"column": f"i{k}", "min_value": 0, "max_value": 10 ** (k + 1)}) for k in range(4)],
        *[("values_to_be_in_set", {"column": f"s{k}", "value_set": [f"c{j}" for j in range(5 * k + 5)]}) for k in range(4)],
        ("values_to_match_regex", {"column": "code", "regex": r"^A\d{6}$"}),
        *[("mean_to_be_between", {"column": f"f{k}", "min_value": -0.1, "max_value": 0.1}) for k in (6, 7, 8)],
        ("unique_value_count_to_be_between",
         {"column": "code", "min_value": known["distinct"], "max_value": known["distinct"]}),
        ("quantile_values_to_be_between",
         {"column": "f9", "quantile_ranges": {"quantiles": [0.25, 0.5, 0.75], "value_ranges": exact}}),
        ("values_to_be_unique", {"column": "id"}),
    ]  # fmt: skip
    made = [{"type": C + type_, "kwargs": kwargs} for type_, kwargs in wanted]
    made.append({"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1000}})
    assert len(made) == 32
    return {"name": "bench", "expectations": made}


def data(rows: int, ending: str) -> tuple[Path, Path]:
    """A data file of so many rows, and its suite."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"validate-1-{rows}.{ending}"
    facts = path.with_name(path.name + ".json")
    if not facts.exists():
        options = "FORMAT csv, HEADER true" if ending == "csv" else "FORMAT parquet, COMPRESSION zstd"
        subprocess.run([sys.executable, "-c", GENERATE, str(rows), str(path), options], check=True)
    contract = path.with_name(path.name + ".suite.json")
    contract.write_text(json.dumps(suite(json.loads(facts.read_text()))))
    return path, contract


def measured(python: str, script: str, *arguments: str) -> tuple[float, float]:
    """Seconds, and MB resident at the most. Stops when not all checks held."""
    start = time.perf_counter()
    # -I: the same start for all of them.
    process = subprocess.Popen(
        [python, "-I", "-W", "ignore", "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or out.strip().splitlines()[-1:] != ["32"]:
        raise SystemExit(f"not all checks held: {script[:200]}\n{out[-2000:]}{err[-2000:]}")
    return seconds, usage.ru_maxrss / 1024


def peers() -> str:
    """An interpreter that has pandera and pointblank; empty where they cannot be installed."""
    uv = shutil.which("uv") or next((str(p) for p in (Path.home() / ".cache/mlgate").glob("*/uv/bin/uv")), "")
    folder = CACHE / "peers"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        if not uv:
            return ""
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        done = subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *PEERS], check=False)
        if done.returncode:
            return ""
        (folder / "ready").touch()
    return str(python)


def bench(rows: int, ending: str, rounds: int, others: str) -> dict[str, tuple[float, float]]:
    """Median time and memory of each, interleaved after one round to warm up."""
    path, contract = map(str, data(rows, ending))
    scripts = str(ROOT / "scripts")
    tools: dict[str, list[str]] = {
        "ours": [sys.executable, OURS, scripts, path, contract, ""],
        "duckdb read": [sys.executable, READ, path],
        "great_expectations": [sys.executable, GX, path, contract],
    }
    if others:
        tools |= {"pandera": [others, PANDERA, path, contract], "pointblank": [others, POINTBLANK, path, contract]}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in tools}
    for turn in range(rounds + 1):
        for name, (python, script, *arguments) in tools.items():
            one = measured(python, script, *arguments)
            if turn:
                found[name].append(one)
    return {name: (statistics.median(s for s, _ in runs), max(m for _, m in runs)) for name, runs in found.items()}


def line(what: str, claim: str, *, held: bool) -> bool:
    print(f"{'ok  ' if held else 'MISS'}  {what:<84} claim: {claim}", flush=True)
    return held


def run(_: Path) -> bool:
    """Validation: 1M rows against the peers, then 10M rows in little memory."""
    others = peers()
    if not others:
        print("      pandera and pointblank could not be installed here", flush=True)
    held = []
    for ending in ("parquet", "csv"):
        found = bench(1_000_000, ending, 5, others)
        ours = found["ours"][0]
        for name, (seconds, memory) in found.items():
            print(f"      1M rows, {ending:<8} {name:<20} {seconds:8.2f} s {memory:8.0f} MB   {seconds / ours:6.2f}x")
        peer, read = found["great_expectations"][0], found["duckdb read"][0]
        held += [
            line(
                f"1M {ending}: Great Expectations takes {peer / ours:.1f} times as long",
                "at least 15",
                held=peer >= 15 * ours,
            ),
            line(f"1M {ending}: {ours / read:.2f} times DuckDB's own read", "at most 1.5", held=ours <= 1.5 * read),
        ]
    for ending in ("parquet", "csv"):
        small, large = (thrifty(rows, ending) for rows in (1_000_000, 10_000_000))
        times = large[0] / small[0]
        held += [
            line(
                f"10M {ending}, memory limit {LIMIT}: {large[0]:.1f} s, {large[1]:.0f} MB",
                "under 400 MB, exact", held=large[1] < 400,
            ),
            line(f"10M {ending} takes {times:.1f} times as long as 1M ({small[0]:.2f} s)", "linear: at most 11", held=times <= 11),
        ]  # fmt: skip
    return all(held)


def thrifty(rows: int, ending: str) -> tuple[float, float]:
    path, contract = map(str, data(rows, ending))
    runs = [measured(sys.executable, OURS, str(ROOT / "scripts"), path, contract, LIMIT) for _ in range(3)]
    return statistics.median(s for s, _ in runs), max(m for _, m in runs)


if __name__ == "__main__":
    sys.exit(0 if run(CACHE) else 1)
