"""The way to one slot past the router: `kubectl proxy` to the slot's own Service, at a port of this machine."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator

from mlgate.rollout.targets import TargetError
from mlgate.rollout.targets.kube.client import Kubectl

_STARTED = 20.0  # seconds
_AT = re.compile(rb"Starting to serve on (127\.0\.0\.1:\d+)")


@contextlib.contextmanager
def opened(kubectl: Kubectl, service: str) -> Iterator[str]:
    """An address (http://127.0.0.1:port) whose `/` is the Service's. Raises TargetError."""
    server = kubectl.run(
        "config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}"
    ).strip()  # fmt: skip
    if not server:
        raise TargetError(
            "kubectl has no kubeconfig, so the slot cannot be reached past the router.",
            fix="Give the job a kubeconfig (KUBECONFIG) whose cluster has a `server`.",
        )
    base = f"{server.rstrip('/')}/api/v1/namespaces/{kubectl.namespace}/services/http:{service}:http/proxy"
    command = kubectl.arguments(f"--server={base}", "proxy", "--port=0", "--append-server-path", "--accept-paths=^.*$",
                                "--reject-paths=^$")  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=kubectl.env)
    try:
        yield f"http://{_address(process)}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _address(process: subprocess.Popen[bytes]) -> str:
    """From the line that it prints when it listens."""
    out = process.stdout
    if out is None:
        raise TargetError("`kubectl proxy` has no output.")
    line: list[bytes] = []
    reader = threading.Thread(target=lambda: line.append(out.readline()), daemon=True)
    reader.start()
    reader.join(_STARTED)
    found = _AT.search(line[0]) if line else None
    if found is None:
        said = line[0].decode(errors="replace").strip()[:300] if line else f"nothing for {_STARTED:g} seconds"
        raise TargetError(f"`kubectl proxy` does not start: it said {said or 'nothing'}.")
    return found[1].decode()
