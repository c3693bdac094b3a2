"""The whole server as a process of its own, with a model that does what its input says."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from logging_samples import WHO, series

from mlgate.serving.settings import Log, Settings

SCRIPTS = Path(__file__).parents[2] / "scripts"

# The first column says what becomes of the call: -1 raises, -2 never returns, -3 takes the process with it,
# -4 answers NaN, -5 tries to end the program, -6 takes half a second.
ODD = """
import os, sys, time
import numpy as np

class Odd:
    feature_names_in_ = np.array(["x", "y"], dtype=object)

    def predict(self, table):
        x = np.asarray(table, dtype=float)[:, 0]
        if (x == -1).any():
            raise RuntimeError("the patient's name is Ada")
        if (x == -2).any():
            time.sleep(3600)
        if (x == -3).any():
            os.abort()
        if (x == -4).any():
            return x * np.nan
        if (x == -5).any():
            sys.exit(7)
        if (x == -6).any():
            time.sleep(0.5)
        return x * 2
"""

DUMPS = {
    "odd": "import joblib, odd_model; joblib.dump(odd_model.Odd(), 'model/odd.joblib')",
    "linear": """
import joblib, numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
table = pd.DataFrame(np.random.default_rng(1).normal(size=(500, 2)), columns=["x", "y"])
joblib.dump(LogisticRegression().fit(table, (table["x"] > 0).astype(int)), "model/linear.joblib")
""",
    "wide": """
import joblib, numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
table = pd.DataFrame(np.random.default_rng(1).normal(size=(500, 10)), columns=[f"f{i}" for i in range(10)])
joblib.dump(LogisticRegression().fit(table, (table["f0"] > 0).astype(int)), "model/wide.joblib")
""",
}


class Server:
    """What runs, and a few ways to ask it. `log`: the prediction log; `errors`: what it said on stderr."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path, log: Path) -> None:
        self.process, self.port, self.log = process, port, log
        self._errors = folder / "stderr.txt"
        self.stdout = folder / "stdout.txt"

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8", errors="replace")

    def connection(self, timeout: float = 20.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def socket(self, timeout: float = 20.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def ask(
        self, body: Any, path: str = "/predict", headers: Mapping[str, str] | None = None, timeout: float = 20.0
    ) -> tuple[int, Any]:
        """Status and answer of one request on a connection of its own. Octets are sent as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        link = self.connection(timeout)
        try:
            link.request("POST", path, data, {"content-type": "application/json", **(headers or {})})
            answer = link.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            link.close()

    def predict(self, x: float, **more: Any) -> tuple[int, Any]:
        return self.ask({"x": x, "y": 0.0}, **more)

    def get(self, path: str) -> tuple[int, bytes]:
        link = self.connection()
        try:
            link.request("GET", path)
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def counts(self) -> dict[tuple[str, ...], float]:
        return series(self.get("/metrics")[1])

    def count(self, name: str, *labels: str) -> float:
        return self.counts().get((name, *labels), 0.0)

    def ready(self) -> bool:
        try:
            return self.get("/health/ready")[0] == 200
        except OSError:
            return False

    def stop(self, within: float = 30.0) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def serving(
    folder: Path,
    *,
    kind: str = "odd",
    log: Log | None = None,
    workers: int = 1,
    environ: Mapping[str, str] | None = None,
    **settings: Any,
) -> Iterator[Server]:
    """Starts it, waits until it is ready, and ends it. `kind`: the model, one of DUMPS."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (folder / "odd_model.py").write_text(ODD, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-c", DUMPS[kind]], cwd=folder, check=True, env={**os.environ, "PYTHONPATH": str(folder)}
    )  # fmt: skip
    path = folder / "logs" / "predictions.jsonl"
    made = Settings(WHO, workers=workers, log=log or Log(to="file", path=str(path), features=("x",)), **settings)
    (folder / "serving.json").write_text(made.to_json(), encoding="utf-8")
    with running(folder, model, port := free_port(), environ or {}) as process:
        server = Server(process, port, folder, Path(made.log.path))
        end = time.monotonic() + 60
        while not server.ready():
            assert process.poll() is None, f"it ended:\n{server.errors}"
            assert time.monotonic() < end, f"it is not ready:\n{server.errors}"
            time.sleep(0.05)
        yield server


@contextmanager
def running(folder: Path, model: Path, port: int, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "mlgate.serving", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--settings", str(folder / "serving.json"), "--model", str(model)]
    path = os.pathsep.join((str(SCRIPTS), str(folder)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLGATE_", "PYTEST"))}
    with (folder / "stdout.txt").open("wb") as out, (folder / "stderr.txt").open("wb") as err:
        process = subprocess.Popen(
            command, env={**kept, "PYTHONPATH": path, "MLGATE_ENVIRONMENT": "test", **environ}, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(10)
                    raise


def wrk(server: Server, *, connections: int, seconds: float, body: str = '{"x": 1.5, "y": 0}') -> tuple[int, str]:
    """Requests answered, and what wrk says of errors: empty where there was none."""
    tool = shutil.which("wrk")
    if tool is None:
        (pytest.fail if os.environ.get("MLGATE_STRICT") == "1" else pytest.skip)("wrk is not installed")
    script = server.stdout.with_name("post.lua")
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = '{body}'\nwrk.headers['content-type'] = 'application/json'\n",
        encoding="utf-8",
    )
    command = [str(tool), "-t2", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "20s", "-s", str(script)]
    said = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}/predict"], check=True, capture_output=True, text=True
    ).stdout
    found = re.search(r"(\d+) requests in", said)
    assert found, said
    trouble = re.findall(r"(?:Socket errors|Non-2xx).*", said)
    return int(found[1]), "; ".join(trouble)
