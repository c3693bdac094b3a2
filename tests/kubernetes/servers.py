"""The servers of a cluster, built from their own modules at exact versions, once, outside the repository.

`k8s.io/kubernetes` cannot be installed on its own: it requires its staging modules at v0.0.0. A small module of ours
(servers/go.mod) replaces each by the version that was published with it; servers/go.sum holds their digests.

    python -m tests.kubernetes.servers        # builds them: minutes of processor time, nothing after that
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tools import MissingToolError, _need, _on_path, _once, _place, _run, cache

HERE = Path(__file__).parent / "servers"
VERSION = "v1.33.13"
GATEWAY = ("sigs.k8s.io/gateway-api", "v1.3.0")
PACKAGES = (
    "go.etcd.io/etcd/server/v3",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "k8s.io/kubernetes/cmd/kube-scheduler",
)
_STAMP = "k8s.io/component-base/version"


def folder() -> Path:
    """With `server` (etcd), `kube-apiserver`, `kube-controller-manager`, `kube-scheduler`, and `gateway`: its CRDs."""
    return _need(_built)


def kubectl() -> Path:
    return _need(_on_path, "kubectl")


def _built() -> Path:
    sums = b"".join((HERE / name).read_bytes() for name in ("go.mod", "go.sum")) + repr((VERSION, GATEWAY)).encode()
    home = cache() / f"kubernetes-{hashlib.sha256(sums).hexdigest()[:16]}"
    if home.exists():
        return home
    go = str(_on_path("go"))
    with _once("kubernetes"):
        if not home.exists():
            tmp = Path(tempfile.mkdtemp(prefix=".kubernetes-", dir=cache()))
            _build(go, tmp)
            _place(tmp, home)
    return home


def _build(go: str, tmp: Path) -> None:
    major, minor, _ = VERSION.removeprefix("v").split(".")
    stamps = f"-s -w -X {_STAMP}.gitVersion={VERSION} -X {_STAMP}.gitMajor={major} -X {_STAMP}.gitMinor={minor}"
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -trimpath"}
    with tempfile.TemporaryDirectory() as work:
        for file in HERE.iterdir():
            shutil.copy(file, work)
        _run([go, "build", "-o", f"{tmp}/", "-ldflags", stamps, *PACKAGES], cwd=work, env=env)
        told = tmp / "gateway.json"
        with told.open("w") as out:
            import subprocess  # noqa: PLC0415 -- for its output, which `_run` keeps to itself

            done = subprocess.run(
                [go, "mod", "download", "-json", "@".join(GATEWAY)], stdout=out, cwd=work, check=False
            )
        if done.returncode:
            raise MissingToolError(f"{GATEWAY[0]} could not be had")
    crds = Path(json.loads(told.read_text())["Dir"]) / "config/crd/standard"
    shutil.copytree(crds, tmp / "gateway", copy_function=shutil.copyfile)
    (tmp / "gateway").chmod(0o755)


if __name__ == "__main__":
    print(_built())
    sys.exit(0)
