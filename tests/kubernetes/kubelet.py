"""What runs pods on the tests' cluster: the nodes are simulated, and each pod is a small model server of this process.

A pod gets an address of its own on the loopback device, so that the API server reaches it as it reaches any pod. How
it behaves is said by the digest of its image (`Behaviour`). Logs are served where a kubelet serves them.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.api import Api
from mlgate.serving.metrics import Metrics
from mlgate.serving.settings import Identity

Object = dict[str, Any]


@dataclass
class Behaviour:
    """Of every pod of one image."""

    fault: str = ""  # crash: ends at once; never: is never ready; image: cannot be pulled
    errors: float = 0.0  # the share of requests that are answered by 500
    score: float | None = None  # of every prediction; None: random
    words: str = "the model file is not the one that was asked for"


@dataclass
class Pod:
    """One that runs here."""

    name: str
    slot: str
    behaviour: Behaviour
    address: str
    metrics: Metrics
    server: ThreadingHTTPServer | None = None
    log: list[tuple[float, str]] = field(default_factory=list)
    restarts: int = 0
    ended: bool = False


class Kubelet:
    """Of all nodes. `network`: the first three numbers of the addresses that pods get."""

    def __init__(self, api: Api, network: str, certificate: Path) -> None:
        self.api, self.network = api, network
        self.behaviours: dict[str, Behaviour] = {}  # digest -> how it behaves
        self.pods: dict[str, Pod] = {}  # uid -> pod
        self._over = threading.Event()
        self._given: set[str] = set()
        self._logs = ThreadingHTTPServer((f"{network}.1", 0), _logs(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._logs.socket = context.wrap_socket(self._logs.socket, server_side=True)
        self._threads = [
            threading.Thread(target=self._logs.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._run, daemon=True),
        ]

    def start(self, nodes: int = 2) -> None:
        for number in range(nodes):
            capacity = {"cpu": "64", "memory": "128Gi", "pods": "100"}
            self.api.post("/api/v1/nodes", {"metadata": {"name": f"node-{number}"}})
            self.api.patch(f"/api/v1/nodes/node-{number}", {"spec": {"taints": None}})  # which every new node has
            self.api.patch(f"/api/v1/nodes/node-{number}/status", {"status": {
                "capacity": capacity, "allocatable": capacity,
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
                "addresses": [{"type": "InternalIP", "address": f"{self.network}.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self._logs.server_address[1]}},
            }})  # fmt: skip
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        self._threads[1].join(10)
        self._logs.shutdown()
        self._logs.server_close()
        for pod in self.pods.values():
            _close(pod)

    # -- pods ---------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError):  # the API server ends before this does
                for pod in self.api.get("/api/v1/pods?fieldSelector=spec.nodeName!=").get("items", []):
                    self._sync(pod)
            self._over.wait(0.1)

    def _sync(self, told: Object) -> None:
        uid, metadata = told["metadata"]["uid"], told["metadata"]
        if metadata.get("deletionTimestamp"):
            pod = self.pods.get(uid)
            if pod is None or not pod.ended:
                if pod is not None:
                    pod.ended = True
                threading.Thread(target=self._end, args=(told, pod), daemon=True).start()
            return
        if uid not in self.pods:
            self.pods[uid] = self._begin(told)
        self._report(told, self.pods[uid])

    def _begin(self, told: Object) -> Pod:
        container = told["spec"]["containers"][0]
        behaviour = self.behaviours.get(container["image"].rpartition("@")[2], Behaviour(fault="image"))
        labels = told["metadata"]["labels"]
        address = next(
            one for number in range(2, 250) if (one := f"{self.network}.{number}") not in self._given
        )  # fmt: skip
        self._given.add(address)
        identity = Identity(model=labels["mlgate.io/model"], digest="d")
        slot = labels["mlgate.io/slot"]
        metrics = Metrics(identity, labels["mlgate.io/environment"], routes=("/predict",))
        pod = Pod(told["metadata"]["name"], slot, behaviour, address, metrics)
        if behaviour.fault == "crash":
            pod.log.append((time.time(), f"error: {behaviour.words}"))
            pod.restarts = 2
        elif behaviour.fault != "image":
            pod.server = _Server((address, container["ports"][0]["containerPort"]), _handler(pod))
            threading.Thread(target=pod.server.serve_forever, args=(0.02,), daemon=True).start()
        return pod

    def _report(self, told: Object, pod: Pod) -> None:
        fault = pod.behaviour.fault
        ready = not fault
        state: Object = {"running": {"startedAt": _stamp(time.time())}}
        last: Object = {}
        if fault == "crash":
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}
            last = {"terminated": {"exitCode": 3, "reason": "Error", "startedAt": None, "finishedAt": None}}
        if fault == "image":
            state = {"waiting": {"reason": "ImagePullBackOff", "message": "manifest unknown"}}
        seen = (told["status"].get("containerStatuses") or [{}])[0]
        if seen.get("ready") == ready and seen.get("restartCount") == pod.restarts and told["status"].get("podIP"):
            return
        word = "True" if ready else "False"
        container = told["spec"]["containers"][0]
        self.api.patch(f"/api/v1/namespaces/{told['metadata']['namespace']}/pods/{pod.name}/status", {"status": {
            "phase": "Running" if not fault or fault == "never" else "Pending",
            "podIP": pod.address, "podIPs": [{"ip": pod.address}], "hostIP": f"{self.network}.1",
            "conditions": [{"type": kind, "status": word, "lastTransitionTime": _stamp(time.time())}
                           for kind in ("Ready", "ContainersReady")],
            "containerStatuses": [{
                "name": container["name"], "image": container["image"], "imageID": container["image"], "ready": ready,
                "restartCount": pod.restarts, "state": state, "lastState": last, "containerID": f"x://{pod.restarts}",
            }],
        }})  # fmt: skip

    def _end(self, told: Object, pod: Pod | None) -> None:
        """As a kubelet does: first the preStop hook, then what is under way, then it is gone."""
        if pod is not None and pod.server is not None:
            time.sleep(1.0)  # for the five seconds of the manifest: long enough for the router of the tests
            _close(pod)
        path = f"/api/v1/namespaces/{told['metadata']['namespace']}/pods/{told['metadata']['name']}"
        with contextlib.suppress(OSError):
            self.api.delete(path, {"gracePeriodSeconds": 0, "preconditions": {"uid": told["metadata"]["uid"]}})
        if pod is not None:
            self._given.discard(pod.address)
            self.pods.pop(told["metadata"]["uid"], None)

    def restart(self, slot: str) -> None:
        """One container of a slot ends, and is started again: what it had counted is lost."""
        pod = next(one for one in self.pods.values() if one.slot == slot)
        identity = Identity(model="m", digest="d")
        pod.metrics = Metrics(identity, "", routes=("/predict",))
        pod.restarts += 1

    def named(self, name: str) -> Pod | None:
        return next((pod for pod in self.pods.values() if pod.name == name), None)


def _close(pod: Pod) -> None:
    server, pod.server = pod.server, None
    if server is not None:
        server.shutdown()
        server.server_close()


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a connection that was closed."""


def _handler(pod: Pod) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 2.0

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._say(200, pod.metrics.render())
            elif path == "/health":
                self._say(200 if not pod.behaviour.fault else 503, b"{}")
            else:
                self._say(404, b"{}")

        def do_POST(self) -> None:
            began = time.time()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            wanted = json.loads(body or b"{}")
            failed = random.random() < pod.behaviour.errors  # noqa: S311 -- a test
            status = wanted.get("status") or (500 if failed else 200)
            score = random.random() if pod.behaviour.score is None else pod.behaviour.score  # noqa: S311
            pod.metrics.began()
            pod.metrics.observe("/predict", status, time.time() - began, 1)
            if status == 200:
                stamp = datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds")
                line = {"time": stamp.replace("+00:00", "Z"), "row": 0, "prediction": int(score > 0.5), "score": score}
                pod.log.append((began, json.dumps(line)))
            self._say(status, json.dumps({"name": pod.slot}).encode())

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _logs(kubelet: Kubelet) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)  # /containerLogs/namespace/pod/container
            asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
            pod = kubelet.named(parts.path.split("/")[3])
            since = datetime.fromisoformat(asked["sinceTime"]).timestamp() if "sinceTime" in asked else 0.0
            lines = [line for at, line in (pod.log if pod else []) if at >= since]
            body = "".join(f"{line}\n" for line in lines[-int(asked.get("tailLines", 10**9)) :]).encode()
            body = body[: int(asked.get("limitBytes", 10**12))]
            self.send_response(200 if pod else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


@contextlib.contextmanager
def network() -> Iterator[str]:
    """Addresses on the loopback device that are not loopback addresses, which the API server's proxy refuses."""
    as_root = [] if shutil.which("id") and subprocess.check_output(["id", "-u"]).strip() == b"0" else ["sudo", "-n"]
    prefix = f"10.{random.randrange(200, 250)}.{random.randrange(1, 250)}"  # noqa: S311 -- two runs at once differ
    where = ["dev", "lo"]
    ends = ["valid_lft", "7200", "preferred_lft", "7200"]  # seconds: by itself, where a test run is killed
    subprocess.run([*as_root, "ip", "addr", "add", f"{prefix}.1/24", *where, *ends], check=True, capture_output=True)
    try:
        yield prefix
    finally:
        subprocess.run([*as_root, "ip", "addr", "del", f"{prefix}.1/24", *where], check=False, capture_output=True)
