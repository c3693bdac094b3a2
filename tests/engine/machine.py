"""What this machine has: its engines, and how its pip and its containers reach a package index."""

from __future__ import annotations

import configparser
import fcntl
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlgate.errors import MlgateError
from mlgate.image.engine import Engine, find
from tools import cache


def missing(reason: str) -> Any:
    """Skips the test, or fails it where nothing may be skipped."""
    if os.environ.get("MLGATE_STRICT") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@functools.cache
def engine() -> Engine:
    """The engine, by the client on PATH that can build with BuildKit; else by any."""
    found = []
    for folder in os.get_exec_path():
        command = shutil.which("docker", path=folder)
        if command is None:
            continue
        try:
            one = find({**os.environ, "MLGATE_DOCKER": command})
        except MlgateError as problem:
            return missing(str(problem))  # type: ignore[no-any-return]
        if one.buildkit:
            return one
        found.append(one)
    return found[0] if found else missing("there is no `docker` on PATH")


def plain(of: Engine) -> Engine:
    """The same engine by a client that has nothing but the plain builder."""
    one = Engine(of.command, dict(of.environ))
    vars(one)["buildkit"] = None
    return one


@functools.cache
def authorities() -> bytes:
    """The certificates that this machine's pip is told to trust; empty where it is told nothing."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(["/etc/pip.conf", Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"])
    told = os.environ.get("PIP_CERT") or settings.get("global", "cert", fallback="") or os.environ.get("SSL_CERT_FILE")
    return Path(told).read_bytes() if told else b""


@functools.cache
def pip_settings() -> bytes:
    """A pip.conf with this machine's package index; empty where it is the usual one."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(["/etc/pip.conf", Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"])
    lines = [
        f"{key} = {value}"
        for key in ("index-url", "extra-index-url", "trusted-host")
        if (value := os.environ.get("PIP_" + key.upper().replace("-", "_")) or settings.get("global", key, fallback=""))
    ]
    return "\n".join(["[global]", *lines, ""]).encode() if lines else b""


def build_secrets() -> dict[str, bytes]:
    """What `image.secrets` has to hold here so that pip works inside a build; nothing on an ordinary runner."""
    found = {"ca.crt": authorities(), "pip.conf": pip_settings()}
    return {name: value for name, value in found.items() if value}


def needs(command: str, package: str = "") -> str:
    """The path of a command that tests run."""
    return shutil.which(command) or missing(f"there is no `{command}`: `apt-get install {package or command}`")


def run(*command: str, given: bytes = b"") -> str:
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or done.stdout.decode(errors="replace").strip()
        raise RuntimeError(f"`{' '.join(command[:4])}` failed: {said[-1500:]}")
    return done.stdout.decode().strip()


@contextmanager
def once(name: str, folder: Path | None = None) -> Iterator[None]:
    """One process at a time: workers of a test run, and several test runs where no folder is given."""
    with ((folder or cache()) / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
