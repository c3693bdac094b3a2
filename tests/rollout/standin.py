"""A small model server for tests of rollouts: standard library only, so that any image with a Python can hold it.

    python standin.py --host 127.0.0.1 --port 0 [--settings serving.json] [--model folder]

Which one it is, the variable MLGATE_STANDIN says, else the file `standin.json` in the model's folder:

    {"name": "good-1", "fault": "", "errors": 0.0, "score": null, "seconds": 0.0}

`fault`: "crash" (says so and ends at once), "never" (is never ready), "fades" (ready, and no more once it was asked).
`errors`: the share of requests that it answers with 500. `score`: of every prediction, a random one without it.
A request may ask for more: {"seconds": 0.5} waits, {"status": 500} is answered so, {"die": true} ends the server.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

WORDS = "the model file is not the one that was asked for"


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, value in {"host": "127.0.0.1", "port": "8080", "settings": "", "model": "", "environment": ""}.items():
        parser.add_argument(f"--{name}", default=os.environ.get(f"MLGATE_{name.upper()}") or value)
    asked, _ = parser.parse_known_args()
    told = json.loads(os.environ.get("MLGATE_STANDIN") or Path(asked.model, "standin.json").read_text("utf-8"))
    if told.get("fault") == "crash":
        sys.stderr.write(f"error: {WORDS}\n")
        return 3
    log = None
    if asked.settings:
        path = json.loads(Path(asked.settings).read_text("utf-8"))["log"]
        log = path["path"] if path["to"] == "file" else None
    server = Server((asked.host, int(asked.port)), told, asked.environment, log)
    host, port = server.server_address[:2]
    sys.stderr.write(f"mlgate: {told['name']} at http://{host!s}:{port}\n")
    sys.stderr.flush()

    def leave(*_: Any) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, leave)
    server.serve_forever(0.02)
    server.server_close()  # which waits for the requests under way
    return 0


class Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 512

    def __init__(self, at: tuple[str, int], told: dict[str, Any], environment: str, log: str | None) -> None:
        self.told, self.environment, self.asked, self.log = told, environment, 0, log
        self.lock = threading.Lock()
        super().__init__(at, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a connection that was closed."""

    def write(self, line: dict[str, Any]) -> None:
        """A line of the prediction log, where the real server would write it."""
        text = json.dumps(line) + "\n"
        with self.lock:
            if self.log is None:
                sys.stdout.write(text)
                sys.stdout.flush()
                return
            with open(self.log, "a", encoding="utf-8") as file:
                file.write(text)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer is one write
    timeout = 3.0  # of a connection that says nothing: stopping waits for it
    server: Server

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        told, path = self.server.told, self.path.split("?")[0]
        if path in {"/health", "/health/live", "/health/ready", "/ping"}:
            gone = told.get("fault") == "never" or (told.get("fault") == "fades" and self.server.asked > 0)
            self._say(503 if gone and path != "/health/live" else 200, {"status": "no" if gone else "ok"})
        elif path == "/version":
            self._say(200, {"model": told["name"], "digest": told.get("digest", ""),
                            "environment": self.server.environment})  # fmt: skip
        elif path == "/metrics":
            self._say(200, f'mlgate_requests_total{{model="{told["name"]}"}} {self.server.asked}\n')
        elif path == "/openapi.json":
            self._say(200, {"openapi": "3.1.0", "info": {"title": told["name"], "version": "1"}, "paths": {
                "/predict": {"post": {"responses": {"200": {"description": "a prediction"}}}}}})  # fmt: skip
        else:
            self._say(404, {"error": "not found"})

    def do_POST(self) -> None:
        began = time.time()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        wanted = json.loads(body or b"{}")
        told = self.server.told
        with self.server.lock:
            self.server.asked += 1
        if wanted.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(wanted.get("seconds", told.get("seconds", 0.0)))
        status = wanted.get("status") or (500 if random.random() < told.get("errors", 0.0) else 200)  # noqa: S311 -- a test
        if status >= 400:
            self._say(status, {"error": "as it was asked", "name": told["name"]})
            return
        fixed = told.get("score")
        score = random.random() if fixed is None else fixed  # noqa: S311 -- a test
        self._say(200, {"prediction": int(score > 0.5), "probability": score, "name": told["name"],
                        "headers": dict(self.headers)})  # fmt: skip
        stamp = datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        self.server.write({
            "time": stamp, "request_id": self.headers.get("X-Request-ID", ""), "model": told["name"],
            "digest": told.get("digest", ""), "row": 0, "features": {}, "prediction": int(score > 0.5), "score": score,
            "latency_ms": (time.time() - began) * 1000,
        })  # fmt: skip

    def _say(self, status: int, body: Any) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    sys.exit(main())
