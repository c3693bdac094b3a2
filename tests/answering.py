"""A small server of predictions for tests, in this process, whose every fault is a word: `Stub(faults={"wrong"})`."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DIGEST = "ab" * 32
COLUMNS = ("age", "income")
TRACE = "Traceback (most recent call last):\n  File \"/opt/mlgate/app/serve.py\", line 3, in predict\nKeyError: 'age'"


def predicted(row: dict[str, Any]) -> float:
    """The probability that a right server answers with."""
    return round(1 / (1 + 2.718281828459045 ** -(row["age"] / 50 - row["income"] / 1000)), 12)


class Stub:
    """Speaks as mlgate's server does, but for its `faults`."""

    def __init__(
        self, faults: Iterable[str] = (), *, digest: str = DIGEST, at: tuple[str, int] = ("127.0.0.1", 0)
    ) -> None:
        self.faults, self.digest = set(faults), digest
        self.asked = 0
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version, sys_version = "uvicorn", ""

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

            def do_GET(self) -> None:
                stub.get(self)

            def do_POST(self) -> None:
                stub.post(self)

            def version_string(self) -> str:
                return "Werkzeug/3.1.3 Python/3.12" if "werkzeug" in stub.faults else "uvicorn"

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Says nothing of a connection that was closed."""

        self.server = Server(at, Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Stub:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def get(self, to: Any) -> None:
        path = to.path.split("?")[0]
        if path in {"/health", "/health/live", "/health/ready"}:
            return answer(to, 503 if "unready" in self.faults else 200, {"status": "ok"})
        if path == "/metrics":
            count = 0 if "uncounted" in self.faults else self.asked
            return answer(to, 200, f'mlgate_requests_total{{model="m",status="200"}} {count}\n')
        if path == "/version":
            known = {"model": "visits", "digest": "cd" * 32 if "other-model" in self.faults else self.digest}
            return answer(to, 200, {} if "unversioned" in self.faults else known)
        if path == "/console" and "console" in self.faults:
            return answer(to, 200, "<title>Interactive Console</title>")
        if "catch-all" in self.faults:
            return answer(to, 200, {"status": "ok"})
        return answer(to, 404, TRACE if "leak-404" in self.faults else {"error": "not found"})

    def post(self, to: Any) -> None:
        self.asked += 1
        body = to.rfile.read(int(to.headers.get("content-length") or 0))
        if to.path == "/invocations" and "mlflow" in self.faults:
            return self.invocations(to, body)
        if to.path != "/predict" or "mlflow" in self.faults:
            return answer(to, 404, {"error": "not found"})
        if "drop" in self.faults and self.asked % 50 == 49:
            to.close_connection = True
            return None
        if "flaky" in self.faults and self.asked % 50 == 49:
            return answer(to, 503, {"error": "busy"})
        if "slow" in self.faults:
            time.sleep(0.05)
        try:
            records = self.records(body)
        except (ValueError, RecursionError) as error:
            if "lenient" in self.faults:
                return answer(to, 200, {"prediction": []})
            if "own-fault" in self.faults:
                return answer(to, 500, {"error": "internal error"})
            said = str(error) if "nameless" not in self.faults else "bad request"
            return answer(to, 400, {"error": said + (TRACE if "leak" in self.faults else "")})
        told = self.told(records, to.headers.get("x-request-id") or "made")
        headers = {} if "anonymous" in self.faults else {"X-Request-Id": to.headers.get("x-request-id") or "made"}
        return answer(to, 200, told, headers)

    def told(self, records: Any, request: str) -> dict[str, Any]:
        single = isinstance(records, dict)
        rows = [records] if single else records
        scores = [predicted(row) for row in rows]
        if "wrong-batch" in self.faults and len(rows) > 1:
            scores = scores[::-1]
        labels = [int(score >= 0.5) for score in scores]
        if "wrong" in self.faults:
            scores = [score + 0.01 for score in scores]
        if "drifting" in self.faults:
            scores = [score + self.asked / 1e4 for score in scores]
        if "under-load" in self.faults and self.asked > 30 and self.asked % 10 == 0:
            scores = [score + 0.01 for score in scores]
        if "wrong-class" in self.faults:
            labels = [1 - one for one in labels]
        if "short" in self.faults:
            labels, scores = labels[:-1], scores[:-1]
        if "nan" in self.faults:
            scores = [float("nan") for _ in scores]
        told = {"prediction": labels[0] if single else labels, "probability": scores[0] if single else scores}
        if "anonymous" not in self.faults:
            told |= {"model_version": "v1.2.0", "request_id": request}
        return told

    def invocations(self, to: Any, body: bytes) -> None:
        try:
            split = json.loads(body)["dataframe_split"]
            rows = [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
            self.valid(rows)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return answer(to, 400, {"error_code": "BAD_REQUEST", "message": str(error)})
        return answer(to, 200, {"predictions": [int(predicted(row) >= 0.5) for row in rows]})

    def records(self, body: bytes) -> Any:
        data = json.loads(body)
        rows = data.get("records", data) if isinstance(data, dict) else None
        if not isinstance(rows, list | dict) or not rows:
            raise ValueError("`records` is no list of rows")
        if "nameless-columns" in self.faults:
            if not all(isinstance(row, list) and len(row) == len(COLUMNS) for row in rows):
                raise ValueError("the input is no list of 2 numbers")
            rows = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        self.valid([rows] if isinstance(rows, dict) else rows)
        return rows

    def valid(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            raise ValueError("there is no row")
        for row in rows:
            for name in COLUMNS:
                if name not in row:
                    raise ValueError(f"row 1 lacks {name}")
                if not isinstance(row[name], int | float):
                    raise ValueError(f"row 1: {name} is no number")


def answer(to: Any, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    to.send_response(status)
    for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(data)


def main(*faults: str) -> None:
    """In a container of a test: with some more ways to be wrong, of a process and not of an answer."""
    if "dies" in faults:
        raise SystemExit("MLmodel is not there: password=hunter2")
    if "silent" in faults:
        time.sleep(3600)
    if "writes" in faults:
        Path("/opt/cache").write_text("x", "utf-8")
    if "fetches" in faults:
        socket.create_connection(("192.0.2.1", 443), timeout=5)
    if "eats" in faults:
        held = [bytearray(50_000_000) for _ in range(1000)]
        print(len(held))
    if "deaf" not in faults:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with Stub(faults, at=("0.0.0.0", 8080)):  # noqa: S104 -- inside a container
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
