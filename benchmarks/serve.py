"""Our server beside `mlflow models serve`, with the same model on the same machine in one run; prints ratios.

    python benchmarks/serve.py            # both models
    python benchmarks/serve.py numbers    # one of them

Needs wrk, and an environment that has mlflow, scikit-learn and the packages of requirements/serve.txt.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "scripts")]

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import orjson  # noqa: E402
import pandas as pd  # noqa: E402
import requests  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from sklearn.compose import make_column_transformer  # noqa: E402
from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: E402

from mlgate.serving import app, routes  # noqa: E402
from mlgate.serving.settings import Decide, Identity, Log, Settings  # noqa: E402

ROUNDS = 3
SECONDS = 4  # of one run of wrk
LUA = """
wrk.method = "POST"; wrk.headers["content-type"] = "application/json"; wrk.body = [==[{body}]==]
done = function(summary, latency, requests)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
  io.write(string.format('RESULT {{"rps": %f, "p50": %f, "p99": %f, "errors": %d}}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors + summary.errors.timeout))
end
"""


@dataclass
class Peer:
    """One server: how it is started, where it is asked, and with what."""

    name: str
    command: Callable[[int], list[str]]
    path: str
    body: str


def models(folder: Path) -> dict[str, tuple[Path, Any]]:
    """Two models as MLflow saves them: numbers only, and columns of several types that are picked by name."""

    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(5000, 10)), columns=[f"x{i}" for i in range(10)])
    label = (table["x0"] + table["x1"] > 0).astype(int)
    mixed = table.assign(site=rng.choice(["a", "b", "c"], 5000), plan=rng.random(5000) < 0.5)
    encoded = make_column_transformer((OneHotEncoder(sparse_output=False), ["site"]), remainder="passthrough")
    made = {
        "numbers": (make_pipeline(StandardScaler(), LogisticRegression()).fit(table, label), table),
        "mixed": (make_pipeline(encoded, HistGradientBoostingClassifier(max_iter=50)).fit(mixed, label), mixed),
    }
    found = {}
    for name, (model, rows) in made.items():
        path = folder / name
        mlflow.sklearn.save_model(
            model, str(path), signature=infer_signature(rows, label.to_numpy()), serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )  # fmt: skip
        found[name] = (path, rows)
    return found


def peers(folder: Path, model: Path, rows: Any) -> tuple[Peer, Peer]:

    one = json.loads(rows.head(1).to_json(orient="records"))
    settings = folder / "serving.json"
    # As mlgate.yaml makes it: a cut-off decides, and every prediction is logged with two features.
    log = Log(to="file", path=str(folder / "predictions.jsonl"), features=("x0", "x1"))
    settings.write_text(Settings(Identity("bench"), decide=Decide(0.5, 1), log=log).to_json())
    bin_folder = Path(sys.executable).parent
    ours = Peer(
        "mlgate",
        lambda port: [sys.executable, "-m", "mlgate.serving", "--host", "127.0.0.1", "--port", str(port),
                      "--settings", str(settings), "--model", str(model)],
        "/predict", json.dumps(one[0]),
    )  # fmt: skip
    theirs = Peer(
        "mlflow",
        lambda port: [str(bin_folder / "mlflow"), "models", "serve", "-m", str(model), "-p", str(port),
                      "--env-manager", "local"],
        "/invocations", json.dumps({"dataframe_records": one}),
    )  # fmt: skip
    return ours, theirs


def free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running(peer: Peer) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    """Where it is, its first process, and how long it took to answer /health."""
    port = free()
    environ = {
        **os.environ, "PYTHONPATH": str(ROOT / "scripts"), "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    begun = time.perf_counter()
    process = subprocess.Popen(
        peer.command(port), env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    base = f"http://127.0.0.1:{port}"
    try:
        while True:
            if process.poll() is not None or time.perf_counter() - begun > 120:
                raise SystemExit(f"{peer.name} did not start")
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(base + "/health", timeout=5).ok:
                    break
            time.sleep(0.02)
        yield base, process, time.perf_counter() - begun
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wrk(base: str, peer: Peer, connections: int, folder: Path) -> dict[str, float]:
    script = folder / f"{peer.name}.lua"
    script.write_text(LUA.format(body=peer.body))
    command = [
        "wrk",
        "-t1",
        "--timeout",
        "30s",
        f"-c{connections}",
        f"-d{SECONDS}",
        "-s",
        str(script),
        base + peer.path,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(re.search(r"RESULT (.*)", done.stdout)[1])  # type: ignore[index]
    if found["errors"]:
        raise SystemExit(f"{peer.name}: {found['errors']} errors\n{done.stdout}")
    return found


def memory(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """(the process that answers, all processes of the server), MB of PSS: what is shared is counted once."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[3]) == process.pid:  # its session
                text = (status.parent / "smaps_rollup").read_text()
                found.append(int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1]) / 1024)  # type: ignore[index]
    return max(found), sum(found)


def overhead(model: Path, rows: Any) -> float:
    """Microseconds a row of a batch costs beyond decoding the JSON and calling the model: CPU time, no log."""
    made = app.create(Settings(Identity("bench"), decide=Decide(0.5, 1), log=Log(to="none")), model, environment="")
    body = rows.head(1000).to_json(orient="records").encode()
    columns = made.reader.read(orjson.loads(body))
    handler = made._hot["/predict"][1]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def measured() -> float:
        made.runner.start()
        found = []
        for _ in range(60):
            call = routes.Call({b"content-type": b"application/json"}, receive, "r", time.perf_counter(), time.time())
            begun = time.process_time()
            await handler(call)
            whole = time.process_time() - begun
            begun = time.process_time()
            orjson.loads(body)
            decoding = time.process_time() - begun
            again = made.reader.read(orjson.loads(body))
            begun = time.process_time()
            made.model.predict(again)
            found.append(whole - decoding - (time.process_time() - begun))
        made.runner.close()
        return statistics.median(found)

    return asyncio.run(measured()) / columns.rows * 1e6


def row(name: str, ours: float, theirs: float | None, unit: str, claim: str, *, held: bool) -> bool:
    beside = f"{theirs:10.2f} {unit:<6} {ours / theirs:8.3f}x" if theirs is not None else " " * 27
    print(f"{'ok  ' if held else 'MISS'}  {name:<40} {ours:10.2f} {unit:<6} {beside}   claim: {claim}", flush=True)
    return held


def bench(folder: Path, name: str, model: Path, rows: Any) -> bool:
    ours, theirs = peers(folder, model, rows)
    print(f"-- {name}: ours, mlflow models serve, ratio", flush=True)
    starts: dict[str, list[float]] = {ours.name: [], theirs.name: []}
    for _ in range(ROUNDS):
        for peer in (ours, theirs):
            with running(peer) as (_, _, seconds):
                starts[peer.name].append(seconds)
    figures: dict[tuple[str, int], list[dict[str, float]]] = {}
    with running(ours) as (our_base, our_process, _), running(theirs) as (their_base, their_process, _):
        for connections in (1, 8, 64):
            for _ in range(ROUNDS):
                for peer, base in ((ours, our_base), (theirs, their_base)):
                    figures.setdefault((peer.name, connections), []).append(wrk(base, peer, connections, folder))
        our_memory, their_memory = memory(our_process), memory(their_process)

    def median(peer: Peer, connections: int, what: str) -> float:
        return statistics.median(one[what] for one in figures[peer.name, connections])

    held = []
    for connections in (1, 8, 64):
        for what, unit, claim in (("rps", "/s", "at least 3x"), ("p99", "ms", "at most 0.5x")):
            a, b = median(ours, connections, what), median(theirs, connections, what)
            good = a >= 3 * b if what == "rps" else a <= 0.5 * b
            said = {"rps": "requests", "p99": "p99"}[what]
            held.append(row(f"{said}, {connections} connections", a, b, unit, claim, held=good))
    a, b = statistics.median(starts[ours.name]), statistics.median(starts[theirs.name])
    held.append(row("start to ready", a, b, "s", "at most 0.5x", held=a <= 0.5 * b))
    held.append(row(
        "memory, the whole server (one worker)", our_memory[1], their_memory[1], "MB", "at most 0.5x",
        held=our_memory[1] <= 0.5 * their_memory[1],
    ))  # fmt: skip
    held.append(row(
        "memory, the process that answers", our_memory[0], their_memory[0], "MB", "at most 0.5x",
        held=our_memory[0] <= 0.5 * their_memory[0],
    ))  # fmt: skip
    beyond = overhead(model, rows)
    held.append(row("batch of 1,000, beyond JSON and model", beyond, None, "us/row", "at most 3", held=beyond <= 3))
    return all(held)


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed")
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as folder:
        made = models(Path(folder))
        wanted = sys.argv[1:] or list(made)
        results = [bench(Path(folder), name, *made[name]) for name in wanted]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
