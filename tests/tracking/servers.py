"""Servers to log to: the real MLflow, GitLab's MLflow endpoint as documented, and doors that do not open.

`python servers.py <pid> <command...>` leaves a command running, in a session of its own, until the process with that id
is gone; then it ends with all that it started. It prints the process group. A server that several test processes share
ends with the last of them this way.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def start_mlflow(folder: Path, watched: int, *more: str, environ: Mapping[str, str] | None = None) -> tuple[str, int]:
    """A real server with its data in `folder`: its address, and its process group."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")),
        *more,
    ]
    with (folder / "log").open("wb") as log:
        started = subprocess.run(
            [sys.executable, __file__, str(watched), *command],
            cwd=folder,
            env={
                **os.environ,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                **(environ or {}),
            },
            stdout=subprocess.PIPE,
            stderr=log,
            check=True,
        )
    group, address = int(started.stdout), f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and _runs(group):
        with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5) as answer:  # noqa: S310
            if answer.status == 200:
                return address, group
        time.sleep(0.2)
    stop(group)
    raise RuntimeError(f"no MLflow server: {(folder / 'log').read_text('utf-8')[-2000:]}")


def stop(group: int) -> None:
    """Ends a server and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _leave(watched: int, command: list[str]) -> None:
    if child := os.fork():
        print(child, flush=True)
        return
    os.setsid()
    os.dup2(2, 1)
    server = subprocess.Popen(command)
    while server.poll() is None and _runs(watched):
        time.sleep(0.5)
    os.killpg(0, signal.SIGKILL)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    door: Any

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.door.seen.append((self.command, self.path, dict(self.headers), body))
        answer = self.door.answer(self.command, self.path, self.headers, body)
        if answer is None:  # broken off
            self.close_connection = True
            return
        status, headers, content = answer
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(content)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._any
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name for it
        """Silent."""


Answer = tuple[int, dict[str, str], bytes] | None


class Door:
    """A loopback server. `reply(method, path, headers, body)` answers; what was asked is in `seen`."""

    def __init__(self, reply: Callable[[str, str, Mapping[str, str], bytes], Answer]) -> None:
        self.answer = reply
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        handler = type("Handler", (_Handler,), {"door": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Door:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def always(status: int, content: bytes = b"{}", **headers: str) -> Callable[..., Answer]:
    return lambda *_: (status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


@contextmanager
def in_front_of(address: str, reply: Callable[[str, str, Mapping[str, str], bytes], Answer | str]) -> Iterator[Door]:
    """A proxy: where `reply` says "pass", the real server answers."""

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        own = reply(method, path, headers, body)
        if own != "pass":
            return own  # type: ignore[return-value]
        request = urllib.request.Request(address + path, body or None, method=method)  # noqa: S310 -- loopback
        if kind := headers.get("Content-Type"):
            request.add_header("Content-Type", kind)
        try:
            with urllib.request.urlopen(request, timeout=60) as real:  # noqa: S310
                return real.status, {"Content-Type": real.headers.get("Content-Type", "")}, real.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {"Content-Type": error.headers.get("Content-Type", "")}, error.read()

    with Door(answer) as door:
        yield door


class GitLab:
    """GitLab's MLflow endpoint as its documentation and source describe it: what it has not, it refuses.

    `problems` collects requests that GitLab would not know.
    """

    TOKEN = "glpat-Secret_of-the_project"

    def __init__(self, *, folders: bool = True, scope: str = "api") -> None:
        self.folders, self.scope = folders, scope
        self.limits = {"params": 250, "tags": 5000}
        self.keeps_tags = True  # of a model version: older ones drop them
        self.models: dict[str, dict[str, Any]] = {}
        self.versions: list[dict[str, Any]] = []
        self._one = threading.Lock()
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.problems: list[str] = []
        self.address = ""

    @property
    def uri(self) -> str:
        return f"{self.address}/api/v4/projects/42/ml/mlflow"

    @contextmanager
    def running(self) -> Iterator[GitLab]:
        with Door(self._answer) as door:
            self.address = door.address
            self.door = door
            yield self

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        parts = urllib.parse.urlsplit(path)
        if headers.get("Authorization") != f"Bearer {self.TOKEN}":
            return _json(401, {"message": "401 Unauthorized"})
        if method != "GET" and self.scope == "read_api":
            return _json(403, {"error": "insufficient_scope", "scope": "api"})
        if self.scope == "none":
            return _json(404, {"message": "404 Project Not Found"})
        if parts.path == "/api/v4/projects/42":
            return _json(200, {"id": 42, "web_url": f"{self.address}/team/churn"})
        if found := re.fullmatch(r"/api/v4/projects/42/packages/ml_models/candidate:(\d+)/files/(.+)", parts.path):
            return self._file(method, *found.groups(), body=body)
        if found := re.fullmatch(r"/api/v4/projects/42/packages/ml_models/(\d+)/files/(.+)", parts.path):
            return self._file(method, *found.groups(), body=body)
        found = re.fullmatch(r"/api/v4/projects/42/ml/mlflow/api/2\.0/mlflow/([\w-]+)/([\w-]+)", parts.path)
        name = f"_{found[1]}_{found[2]}".replace("-", "_") if found else ""
        patched = name in ("_registered_models_update", "_model_versions_update")
        if not found or not hasattr(self, name) or (method == "PATCH") != patched:
            self.problems.append(f"{method} {path}")
            return _json(404, {"error": "404 Not Found"})
        given = json.loads(body) if body else dict(urllib.parse.parse_qsl(parts.query))
        try:
            return _json(200, getattr(self, name)(given))
        except LookupError:
            return _json(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
        except FileExistsError:
            return _json(400, {"error_code": "RESOURCE_ALREADY_EXISTS"})
        except ValueError as error:
            return _json(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": str(error)})

    def _file(self, method: str, run: str, name: str, *, body: bytes) -> Answer:
        if method != "PUT" or ("/" in name and not self.folders):
            return _json(404, {"error": "404 Not Found"})
        self.files[urllib.parse.unquote(name)] = body
        return _json(201, {"message": "201 Created"})

    def _experiments_get(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"experiment": self.experiments[given["experiment_id"]]}

    def _experiments_get_by_name(self, given: dict[str, Any]) -> dict[str, Any]:
        found = [e for e in self.experiments.values() if e["name"] == given["experiment_name"]]
        return {"experiment": found[0]}

    def _experiments_create(self, given: dict[str, Any]) -> dict[str, Any]:
        number = str(len(self.experiments) + 1)
        self.experiments[number] = {
            "experiment_id": number,
            "name": given["name"],
            "lifecycle_stage": "active",
            "artifact_location": "not_implemented",
            "tags": [],
        }
        return {"experiment_id": number}

    def _runs_create(self, given: dict[str, Any]) -> dict[str, Any]:
        self.experiments[str(int(given["experiment_id"]))]
        number = len(self.runs) + 1
        run = {
            "info": {
                "run_id": str(uuid.uuid4()),
                "experiment_id": str(given["experiment_id"]),
                "start_time": given.get("start_time", 0),
                "run_name": given.get("run_name", "nickname"),
                "status": "RUNNING",
                "artifact_uri": f"{self.address}/api/v4/projects/42/packages/ml_models/candidate:{number}/files/",
                "lifecycle_stage": "active",
                "user_id": "7",
            },
            "data": {"metrics": [], "params": [], "tags": []},
        }
        run["info"]["run_uuid"] = run["info"]["run_id"]
        self.runs[run["info"]["run_id"]] = run
        self._keep(run, "tags", given.get("tags", []))
        return {"run": run}

    def _runs_get(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"run": self.runs[given["run_id"]]}

    def _runs_search(self, given: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(given.get("order_by", ""), str):
            raise ValueError("order_by is invalid")
        experiment = str(given["experiment_ids"][0])
        self.experiments[experiment]
        found = [run for run in self.runs.values() if run["info"]["experiment_id"] == experiment]
        size, start = min(given.get("max_results", 200), 1000), int(given.get("page_token") or 0)
        page = list(reversed(found))[start : start + size]
        more = str(start + size) if start + size < len(found) else ""
        return {"runs": page, "next_page_token": more}  # `filter` is no parameter of it

    def _runs_update(self, given: dict[str, Any]) -> dict[str, Any]:
        info = self.runs[given["run_id"]]["info"]
        if given.get("status", "RUNNING") not in ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"):
            raise ValueError("status does not have a valid value")
        info["status"] = given.get("status", info["status"])
        info["end_time"] = given.get("end_time")
        return {"run_info": info}

    def _runs_set_tag(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[given["run_id"]]
        if any(tag["key"] == given["key"] for tag in run["data"]["tags"]):
            raise ValueError("Validation failed: Name is already taken")
        self._keep(run, "tags", [given])
        return {}

    def _runs_log_batch(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[given["run_id"]]
        for metric in given.get("metrics", []):
            run["data"]["metrics"].append({k: metric[k] for k in ("key", "value", "timestamp")} | {"step": 0})
        self._keep(run, "params", given.get("params", []))
        self._keep(run, "tags", given.get("tags", []))
        return {}

    def _registered_models_get(self, given: dict[str, Any]) -> dict[str, Any]:
        mine = [v for v in self.versions if v["name"] == given["name"]]
        return {"registered_model": {**self.models[given["name"]], "latest_versions": mine[-1:]}}

    def _registered_models_create(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given["name"]
        if name in self.models or any(e["name"] == name for e in self.experiments.values()):
            raise FileExistsError
        self._experiments_create({"name": f"[model]{name}"})
        self.models[name] = {"name": name, "description": "", "tags": []}
        return {"registered_model": self.models[name]}

    def _registered_models_get_latest_versions(self, given: dict[str, Any]) -> dict[str, Any]:
        self.models[given["name"]]
        mine = [v for v in self.versions if v["name"] == given["name"]]
        highest = sorted(mine, key=lambda v: [int(part) for part in v["aliases"][0].split(".")])[-1:]
        return {"model_versions": highest}

    def _model_versions_get(self, given: dict[str, Any]) -> dict[str, Any]:
        """By its semantic version; what it calls `version` itself is a number of its own."""
        found = [v for v in self.versions if v["name"] == given["name"] and v["aliases"] == [given["version"]]]
        return {"model_version": found[0]}

    def _model_versions_create(self, given: dict[str, Any]) -> dict[str, Any]:
        self.models[given["name"]]
        tags = given.get("tags", [])
        number = next((tag["value"] for tag in tags if tag["key"] == "gitlab.version"), "")
        if not re.fullmatch(r"\d+\.\d+\.\d+", number):
            raise ValueError("Version must be semantic version")
        if len({tag["key"] for tag in tags}) < len(tags) or not all(tag["value"] for tag in tags):
            raise ValueError("Validation failed: Name is already taken")
        if any(len(tag["key"]) > 255 or len(tag["value"]) > 5000 for tag in tags):
            raise ValueError("Validation failed: Value is too long")
        with self._one:
            if any(v["name"] == given["name"] and v["aliases"] == [number] for v in self.versions):
                raise ValueError("Version has already been taken")
            experiment = next(e for e in self.experiments.values() if e["name"] == f"[model]{given['name']}")
            run = self._runs_create({"experiment_id": experiment["experiment_id"]})["run"]
            own = len(self.versions) + 17
            run["info"]["artifact_uri"] = f"{self.address}/api/v4/projects/42/packages/ml_models/{own}/files/"
            made = {
                "name": given["name"],
                "version": str(own),
                "current_stage": "development",
                "description": given.get("description", ""),
                "source": f"{self.address}/team/churn/-/ml/models/1/versions/{own}",
                "run_id": run["info"]["run_id"],
                "status": "READY",
                "tags": [{"key": t["key"], "value": t["value"]} for t in tags] if self.keeps_tags else [],
                "aliases": [number],
            }
            self.versions.append(made)
        return {"model_version": made}

    def _model_versions_update(self, given: dict[str, Any]) -> dict[str, Any]:
        found = self._model_versions_get(given)["model_version"]
        found["description"] = given["description"]
        return {"model_version": found}

    def _keep(self, run: dict[str, Any], what: str, given: list[dict[str, str]]) -> None:
        for entry in given:
            if len(entry["key"]) > 250 or len(entry["value"]) > self.limits[what]:
                raise ValueError(f"PG::CheckViolation: {what} of {len(entry['value'])} characters")
        there = {entry["key"] for entry in run["data"][what]}
        run["data"][what] += [{"key": e["key"], "value": e["value"]} for e in given if e["key"] not in there]


def _json(status: int, value: Any) -> Answer:
    return status, {}, json.dumps(value).encode()


if __name__ == "__main__":
    _leave(int(sys.argv[1]), sys.argv[2:])
