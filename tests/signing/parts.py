"""The real parts that signing is tested on: cosign, a registry with an image in it, keys, and a repository."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import tools
from builder import environment

KINDS: dict[str, Callable[[], Any]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}
PASSWORD = "correct horse"


def missing(what: str) -> None:
    """Skip, or fail where nothing may be skipped."""
    if os.environ.get("MLGATE_STRICT") == "1":
        pytest.fail(what)
    pytest.skip(what)


@functools.cache
def cosign() -> str:
    """cosign as it is named, on PATH, or in the tools cache."""
    found = os.environ.get("MLGATE_COSIGN") or shutil.which("cosign")
    cached = tools.cache() / "bin" / "cosign"
    if not found and os.access(cached, os.X_OK):
        found = str(cached)
    if not found:
        missing("there is no cosign: `apt-get install cosign` (Debian 13), or put it on PATH")
    return str(found)


def pem(kind: str = "p256", password: str = "") -> tuple[str, bytes]:
    """A private key in PEM form, and its public part."""
    key = KINDS[kind]()
    lock: Any = serialization.NoEncryption()
    if password:
        lock = serialization.BestAvailableEncryption(password.encode())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()
    public: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


def cosign_pair(folder: Path, password: str = PASSWORD) -> tuple[str, bytes]:
    """A key pair as `cosign generate-key-pair` makes it: the private key is locked."""
    subprocess.run(
        [cosign(), "generate-key-pair", "--output-key-prefix", str(folder / "pair")],
        env=environment(COSIGN_PASSWORD=password), check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return (folder / "pair.key").read_text(), (folder / "pair.pub").read_bytes()


def push(address: str, repository: str, labels: dict[str, str] | None = None) -> str:
    """Put an image without layers into a registry, and say its digest."""
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {"Labels": labels or {}}, "rootfs": {"type": "layers"}}
    ).encode()
    base = f"http://{address}/v2/{repository}"
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    where = requests.post(f"{base}/blobs/uploads/", timeout=10).headers["Location"]
    requests.put(where, params={"digest": digest}, data=config, timeout=10).raise_for_status()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)
            },
            "layers": [],
        }
    ).encode()  # fmt: skip
    sent = requests.put(
        f"{base}/manifests/latest", data=manifest, timeout=10,
        headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
    )  # fmt: skip
    sent.raise_for_status()
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"
