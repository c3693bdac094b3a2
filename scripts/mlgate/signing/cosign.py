"""cosign: the tool that signs images in their registry, and reaches keys that never leave a KMS.

Every call is an argument list. A key is named in it (`env://...`, `awskms://...`, a path), never written into it; its
password goes in by the environment. Nothing is sent to a public transparency log unless that is asked for: its entries
name the image, and are there for ever.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError

PRIVATE, PASSWORD = "COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD"  # names of variables
TIMEOUT = 180.0  # seconds: a registry far away
_INSTALL = "Install it (https://docs.sigstore.dev/cosign/system_config/installation/), or name it in MLGATE_COSIGN."


@dataclass(frozen=True)
class Cosign:
    """One cosign, and the environment it runs in: with the registry's login in DOCKER_CONFIG, as docker has it."""

    command: str
    environ: Mapping[str, str] = field(default_factory=dict)
    log: bool = False  # whether signatures go to, and are looked for in, the public transparency log
    plain: bool = False  # whether a registry without TLS is spoken to

    # -- bytes -------------------------------------------------------------------------------------------------------

    def public_key(self, key: str, env: Mapping[str, str]) -> bytes:
        """PEM, of a private key wherever it is. Raises MlgateError when it cannot be reached or opened."""
        return self._run("public-key", "--key", key, env=env)

    def sign_blob(self, key: str, data: bytes, env: Mapping[str, str]) -> bytes:
        """The signature over some bytes. Raises MlgateError like `public_key`."""
        said = self._run("sign-blob", "--yes", "--key", key, *self._unlogged("sign-blob"), "-", env=env, given=data)
        try:
            return base64.b64decode(said.strip(), validate=True)
        except binascii.Error:
            raise MlgateError("`cosign sign-blob` did not answer with a signature.") from None

    # -- images ------------------------------------------------------------------------------------------------------

    def sign(self, reference: str, key: str, env: Mapping[str, str]) -> None:
        """Sign an image, named by digest, and put the signature beside it in its registry. Raises MlgateError."""
        self._run("sign", "--yes", "--key", key, *self._unlogged("sign"), *self._registry(), reference, env=env)

    def attest(self, reference: str, predicate: Path, kind: str, key: str, env: Mapping[str, str]) -> None:
        """Put a signed statement beside an image in its registry: instead of one of that kind that is there."""
        told = ("--type", kind, "--predicate", str(predicate), "--replace")
        flags = (*self._unlogged("attest"), *self._registry())
        self._run("attest", "--yes", "--key", key, *told, *flags, reference, env=env)

    def unsigned(self, reference: str, public: Path) -> str:
        """Why an image is not signed with a key, as a sentence; empty where it is."""
        flags = (*self._unchecked("verify"), *self._registry())
        done = self._start("verify", "--key", str(public), *flags, reference, env={})
        return "" if done.returncode == 0 else f"cosign finds no signature with this key: {_last(done)}."

    def attested(self, reference: str, public: Path, kind: str) -> tuple[list[dict[str, Any]], str]:
        """The statements of one kind that are signed with a key and are about an image; and why there are none."""
        flags = (*self._unchecked("verify-attestation"), *self._registry())
        done = self._start("verify-attestation", "--key", str(public), "--type", kind, *flags, reference, env={})
        if done.returncode != 0:
            return [], f"cosign finds no statement with this key: {_last(done)}."
        found = list(_statements(done.stdout))
        return found, "" if found else "cosign's answer holds no statement."

    # -- running it --------------------------------------------------------------------------------------------------

    def _registry(self) -> tuple[str, ...]:
        return ("--allow-http-registry", "--allow-insecure-registry") if self.plain else ()

    def _unlogged(self, verb: str) -> tuple[str, ...]:
        """What keeps a signature from the public log. cosign 3 has more ways to one, which are closed too."""
        if self.log:
            return ()
        there = _flags(self.command, verb)
        told = [f"--{flag}=false" for flag in ("use-signing-config", "new-bundle-format") if flag in there]
        return (*told, "--tlog-upload=false")

    def _unchecked(self, verb: str) -> tuple[str, ...]:
        if self.log:
            return ()
        name = "private-infrastructure" if "private-infrastructure" in _flags(self.command, verb) else ""
        return (f"--{name}",) if name else ("--insecure-ignore-tlog",)

    def _run(self, *args: str, env: Mapping[str, str], given: bytes = b"") -> bytes:
        done = self._start(*args, env=env, given=given)
        if done.returncode != 0:
            raise MlgateError(f"`cosign {args[0]}` failed: {_last(done)}.", fix=_fix(done.stderr))
        return done.stdout

    def _start(self, *args: str, env: Mapping[str, str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        base = dict(self.environ or os.environ)
        base.setdefault(PASSWORD, "")  # without it cosign waits for somebody to type one
        try:
            return subprocess.run(
                [self.command, *args], env={**base, **env}, input=given, capture_output=True, timeout=TIMEOUT,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise MlgateError(f"`cosign {args[0]}` did not end within {TIMEOUT:.0f} seconds.") from None
        except OSError as error:
            raise MlgateError(f"cosign cannot be started ({error.strerror}).", fix=_INSTALL) from None


def find(environ: Mapping[str, str] | None = None, *, log: bool = False, plain: bool = False) -> Cosign:
    """cosign as MLGATE_COSIGN names it, else the one on PATH. Raises MlgateError when there is none."""
    env = dict(environ or os.environ)
    command = env.get("MLGATE_COSIGN") or shutil.which("cosign", path=env.get("PATH")) or ""
    if not command:
        raise MlgateError("there is no `cosign` on PATH.", fix=_INSTALL)
    return Cosign(command, env, log, plain)


@functools.lru_cache(maxsize=16)
def _flags(command: str, verb: str) -> frozenset[str]:
    """The options that this version's verb has."""
    try:
        done = subprocess.run([command, verb, "--help"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(re.findall(r"--([a-z0-9-]+)", done.stdout.decode(errors="replace")))


def _statements(answer: bytes) -> Iterator[dict[str, Any]]:
    """Of the envelopes that cosign prints, one on each line, once it has verified them."""
    for line in answer.splitlines():
        try:
            value = json.loads(base64.b64decode(json.loads(line)["payload"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _last(done: subprocess.CompletedProcess[bytes]) -> str:
    """The line that says what went wrong, without what cosign says of itself in every case."""
    lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("WARNING", "main.go:", "error during command"))]
    said = (told or lines or [f"exit code {done.returncode}"])[0]
    return re.sub(r"\s+", " ", said.removeprefix("Error: "))[:300].rstrip(".")


def _fix(stderr: bytes) -> str:
    said = stderr.decode(errors="replace").lower()
    if "decrypt" in said or "password" in said:
        return f"Give the key's password in {PASSWORD}."
    if "unauthorized" in said or "denied" in said or "forbidden" in said:
        return "Log in to the registry first (`docker login --password-stdin`), with the right to push."
    return ""
