"""A cluster for tests: a real API server, controller manager and scheduler on a real etcd; the nodes are simulated."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from builder import ROOT
from kubernetes.api import Api
from kubernetes.kubelet import Kubelet, network
from kubernetes.servers import folder, kubectl

# What deployments need. Those that would watch over nodes are left out: nothing renews the leases of simulated ones.
_CONTROLLERS = (
    "deployment-controller", "replicaset-controller", "endpoints-controller", "endpointslice-controller",
    "garbage-collector-controller", "namespace-controller", "disruption-controller",
    "horizontal-pod-autoscaler-controller",
)  # fmt: skip


class Cluster:
    """`kubeconfigs`: of who may do everything, and of the job, which may do what docs/kubernetes.md says."""

    def __init__(self, home: Path, api: Api, kubelet: Kubelet, kubeconfigs: tuple[Path, Path]) -> None:
        self.home, self.api, self.kubelet = home, api, kubelet
        self.mine, self.of_job = kubeconfigs

    def environ(self, kubeconfig: Path) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": str(kubeconfig)}

    def namespace(self) -> str:
        """A new one, in which the job has its role."""
        name = f"t-{secrets.token_hex(6)}"
        self.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{name}"
        said = self.api.post(f"{path}/roles", role())
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": said["metadata"]["name"]}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "job"}
        self.api.post(
            f"{path}/rolebindings", {"metadata": {"name": "job"}, "roleRef": reference, "subjects": [subject]}
        )
        return name

    def kubectl(self, *args: str, given: str = "") -> str:
        done = subprocess.run(
            [str(kubectl()), *args],
            env=self.environ(self.mine),
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def role() -> dict[str, Any]:
    """The one that the documentation gives to the job."""
    text = (ROOT / "docs/kubernetes.md").read_text("utf-8")
    (found,) = (
        block for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if "kind: Role" in block
    )
    made: dict[str, Any] = yaml.safe_load(found)
    return made


@contextlib.contextmanager
def started(home: Path) -> Iterator[Cluster]:
    """Up in some seconds; nothing of it is left afterwards."""
    programs = folder()
    with contextlib.ExitStack() as stack:
        prefix = stack.enter_context(network())
        certificate = _certificate(home / "server.pem", [f"{prefix}.1", "127.0.0.1"])
        token = secrets.token_hex(16)
        jobs = secrets.token_hex(16)
        (home / "tokens.csv").write_text(f'{token},tests,tests,"system:masters"\n{jobs},job,job\n')
        etcd, peer, port = _ports(3)

        def run(name: str, *args: str) -> subprocess.Popen[bytes]:
            return stack.enter_context(_process(home / f"{name}.log", [str(programs / name), *args]))

        run(
            "server", f"--data-dir={home / 'etcd'}", f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync", "--log-level=error",
        )  # fmt: skip
        server = run(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", f"--secure-port={port}",
            "--bind-address=127.0.0.1", f"--tls-cert-file={certificate}", f"--tls-private-key-file={certificate}",
            f"--token-auth-file={home / 'tokens.csv'}", "--authorization-mode=RBAC",
            "--service-account-issuer=https://tests", f"--service-account-key-file={certificate}",
            f"--service-account-signing-key-file={certificate}", "--disable-admission-plugins=ServiceAccount",
            "--service-cluster-ip-range=10.96.0.0/16", "--enable-priority-and-fairness=false",
            f"--cert-dir={home / 'certs'}", "--kubelet-preferred-address-types=InternalIP",
        )  # fmt: skip
        api = Api(f"https://127.0.0.1:{port}", token, str(certificate))
        _wait(lambda: _answers(api), server, home / "kube-apiserver.log", 60)
        kubeconfig = _kubeconfig(home / "kubeconfig", api.url, token, certificate)
        of_job = _kubeconfig(home / "kubeconfig-of-the-job", api.url, jobs, certificate)
        run(
            "kube-controller-manager", f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0",
            f"--controllers={','.join(_CONTROLLERS)}", "--use-service-account-credentials=false",
            "--horizontal-pod-autoscaler-sync-period=2s",
        )  # fmt: skip
        run("kube-scheduler", f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0")
        kubelet = Kubelet(api, prefix, certificate)
        kubelet.start()
        stack.callback(kubelet.stop)
        cluster = Cluster(home, api, kubelet, (kubeconfig, of_job))
        cluster.kubectl("apply", "--server-side", "--filename", str(programs / "gateway"))
        yield cluster


@contextlib.contextmanager
def _process(log: Path, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    # With a test run that is killed, its cluster ends, too.
    bound = ["setpriv", "--pdeathsig=TERM", "--"] if shutil.which("setpriv") else []
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*bound, *command], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(api: Api) -> bool:
    try:
        return api.healthy() and bool(api.get("/api/v1/namespaces/default").get("metadata"))
    except (OSError, ValueError):
        return False


def _wait(holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"it did not come up: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


def _ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return found


def _certificate(path: Path, addresses: Sequence[str]) -> Path:
    """Key and certificate in one file, its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(one)) for one in addresses])
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.TraditionalOpenSSL
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path.write_bytes(secret + built.public_bytes(serialization.Encoding.PEM))
    return path


def _kubeconfig(path: Path, url: str, token: str, ca: Path) -> Path:
    told = {
        "apiVersion": "v1", "kind": "Config", "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": "tests", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(told))
    path.chmod(0o600)
    return path
