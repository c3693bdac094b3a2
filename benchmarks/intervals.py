# ruff: noqa: E501 -- scripts for other processes
"""AUC, F1 and accuracy of two models with intervals of their differences: ours, and what people write instead.

The peers are a loop of resamples around scikit-learn's metrics (a few are timed and 2,000 extrapolated, which is said),
and MLstatkit's Delong_test for the AUC alone, whose z must be ours. Whole processes, interleaved, with bytecode
compiled; `compute` is timed inside, `process` outside, with the reading of three Parquet files and the imports. Data
are made once, from a seed, and kept in a cache folder outside the repository.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("MLGATE_BENCH_CACHE", "") or Path.home() / ".cache" / "mlgate" / "bench")
RESAMPLES, TIMED = 2000, 3

# A fifth is positive; the models see the same signal and have noise of their own.
GENERATE = """
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
rows, folder = int(sys.argv[1]), sys.argv[2]
draw = np.random.default_rng(rows)
label = draw.random(rows) < 0.2
signal = draw.normal(size=rows) + label
ids = np.arange(rows) * 7 + 1_000_000
pq.write_table(pa.table({"id": ids, "label": label.astype(np.int8)}), f"{folder}/data.parquet")
for name, noise in (("challenger", 0.50), ("champion", 0.52)):
    score = 1 / (1 + np.exp(-(signal + noise * draw.normal(size=rows))))
    pq.write_table(pa.table({"id": ids, "score": score, "decided": (score >= 0.6).astype(np.int8)}),
                   f"{folder}/{name}.parquet")
"""

OURS = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from mlgate.data import aligned, reading
from mlgate.data.aligned import Asked, File
from mlgate.judge import estimate, paired
from mlgate.judge.measures import Spec
folder = Path(sys.argv[2])
file = lambda name: File(folder / f"{name}.parquet", f"{name}.parquet")
start = time.perf_counter()
con = reading.connect()
asked = Asked(labels=file("data"), predictions={side: file(side) for side in ("challenger", "champion")},
              id="id", label="label", task="binary", score="score", decided="decided")
rows = aligned.read(con, asked).rows
read, cpu = time.perf_counter(), time.process_time()
found = {name: paired.bounds(Spec(name), rows, rows.challenger, rows.champion, confidence=0.95)
         for name in ("roc_auc", "f1", "accuracy")}
done, cpu = time.perf_counter(), time.process_time() - cpu
import json
print(json.dumps({"read": read - start, "compute": done - read, "cpu": cpu, "z": found["roc_auc"].difference / found["roc_auc"].se,
                  "metrics": {k: [b.a, b.lower, b.upper, b.method] for k, b in found.items()}}))
"""

READ = """
import json, sys, time
import numpy as np, pyarrow.parquet as pq
folder = sys.argv[1]
column = lambda file, name: pq.read_table(f"{folder}/{file}.parquet", columns=[name])[name].to_numpy()
label = column("data", "label").astype(int)
a, b = column("challenger", "score"), column("champion", "score")
"""

LOOP = (
    READ
    + """
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
decided = [column("challenger", "decided"), column("champion", "decided")]
draw, many = np.random.default_rng(1), int(sys.argv[2])
metrics = [m(label, d) for m in (f1_score, accuracy_score) for d in decided[:1]]
start = time.perf_counter()
for _ in range(many):
    of = draw.integers(0, len(label), len(label))
    y = label[of]
    roc_auc_score(y, a[of]) - roc_auc_score(y, b[of])
    one, other = decided[0][of], decided[1][of]
    f1_score(y, one) - f1_score(y, other)
    accuracy_score(y, one) - accuracy_score(y, other)
print(json.dumps({"each": (time.perf_counter() - start) / many, "f1": metrics[0], "accuracy": metrics[1],
                  "roc_auc": roc_auc_score(label, a)}))
"""
)

DELONG = (
    READ
    + """
from MLstatkit.delong import Delong_test
start = time.perf_counter()
z = Delong_test(label, a, b)[0]
print(json.dumps({"compute": time.perf_counter() - start, "z": float(z)}))
"""
)


def data(rows: int) -> Path:
    """The folder with the evaluation data and the predictions of both models."""
    folder = CACHE / f"intervals-1-{rows}"
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-c", GENERATE, str(rows), str(folder)], check=True)
        (folder / "ready").touch()
    return folder


def measured(script: str, *arguments: str) -> dict[str, Any]:
    """What the script prints, with the seconds and the MB resident of its process."""
    start = time.perf_counter()
    # -I: the same start for all of them.
    process = subprocess.Popen(
        [sys.executable, "-I", "-W", "ignore", "-c", script, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"this failed: {script[:200]}")
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return {**found, "process": seconds, "memory": usage.ru_maxrss / 1024}


def ours(rows: int) -> dict[str, Any]:
    return measured(OURS, str(ROOT / "scripts"), str(data(rows)))


def middle(runs: list[dict[str, Any]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def line(what: str, claim: str, *, held: bool) -> bool:
    print(f"{'ok  ' if held else 'MISS'}  {what:<96} claim: {claim}", flush=True)
    return held


def run(_: Path) -> bool:
    """1M rows against the peers, interleaved; then how time and memory grow up to 10M."""
    folder = str(data(1_000_000))
    mine, loop, delong = [], [], []
    for turn in range(6):
        one, two, three = ours(1_000_000), measured(DELONG, folder), measured(LOOP, folder, str(TIMED))
        if turn:  # the first warms the file cache, and makes bytecode
            mine.append(one)
            delong.append(two)
            loop.append(three)
    for name in ("roc_auc", "f1", "accuracy"):
        value, lower, upper, method = mine[0]["metrics"][name]
        if name in loop[0] and abs(value - loop[0][name]) > 1e-12:
            raise SystemExit(f"{name} is {value}, and scikit-learn says {loop[0][name]}")
        print(
            f"      {name:<9} {value:.6f}, challenger - champion in [{lower:+.6f}, {upper:+.6f}]  ({method})",
            flush=True,
        )
    compute, process, read = (middle(mine, key) for key in ("compute", "process", "read"))
    naive, peer = middle(loop, "each") * RESAMPLES, middle(delong, "compute")
    # It takes the champion's area first or the challenger's: the sign says no more than that.
    same = all(
        abs(abs(one["z"]) - abs(other["z"])) <= 1e-8 * abs(other["z"]) for one, other in zip(mine, delong, strict=True)
    )
    # The AUC's part alone against a peer that does the AUC alone would be more; all three metrics are counted here.
    held = [
        line(f"1M rows, AUC + F1 + accuracy with intervals: {compute:.3f} s of compute", "under 0.5 s", held=compute < 0.5),
        line(f"as a process, reading three Parquet files ({read:.2f} s) included: {process:.2f} s", "under 1 s", held=process < 1),
        line(
            f"{RESAMPLES} resamples around scikit-learn: {naive:.0f} s, {naive / compute:,.0f} times as long (extrapolated from {TIMED})",
            "at least 5,000", held=naive >= 5000 * compute,
        ),
        line(
            f"MLstatkit, AUC alone: {peer:.2f} s, {peer / compute:.1f} times all of ours; z {delong[0]['z']:.9f} and {mine[0]['z']:.9f}",
            "at least 10, same z", held=peer >= 10 * compute and same,
        ),
    ]  # fmt: skip
    sizes = {rows: [ours(rows) for _ in range(3)] for rows in (100_000, 1_000_000, 10_000_000)}
    for rows, runs in sizes.items():
        parts = ", ".join(f"{key} {middle(runs, key):.3f} s" for key in ("read", "compute", "cpu", "process"))
        print(f"      {rows:>10,} rows: {parts}, {max(r['memory'] for r in runs):,.0f} MB", flush=True)
    large, small = sizes[10_000_000], sizes[1_000_000]
    grown = min(run["cpu"] for run in large) / min(run["cpu"] for run in small)
    more = middle(large, "process") / middle(small, "process")
    memory = max(run["memory"] for run in large)
    held += [
        line(
            f"10M rows as a process: {middle(large, 'process'):.1f} s, {memory:,.0f} MB",
            "under 10 s and 2 GB", held=middle(large, "process") < 10 and memory < 2048,
        ),
        # n log n makes 11.7 of ten times the rows, and sorting leaves the processor's cache on the way.
        line(
            f"10M rows take {more:.1f} times as long as 1M, and {grown:.1f} times the CPU of compute",
            "linear: at most 11 and 20", held=more <= 11 and grown <= 20,
        ),
    ]  # fmt: skip
    return all(held)


if __name__ == "__main__":
    sys.exit(0 if run(CACHE) else 1)
