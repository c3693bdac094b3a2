"""Logins that leave nothing behind: in a configuration of their own, which is removed at the end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.image import credentials
from mlgate.image.engine import Engine, folder
from mlgate.image.reference import HUB, Reference

_ECR = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_PUBLIC_ECR = "public.ecr.aws"
_KEPT = ("cli-plugins", "contexts", "buildx")  # of the user's own folder: what the command line needs to be the same


@contextmanager
def session(engine: Engine, logins: Iterable[tuple[str, str, str]] = ()) -> Iterator[Engine]:
    """The same engine with a configuration of its own, logged in to each (registry, user, password).

    The logins there are already go along; passwords that come new are never put in a keychain. Raises MlgateError for
    a registry that refuses.
    """
    own = Path(tempfile.mkdtemp(prefix="mlgate-docker-", dir=folder()))  # for this user only
    try:
        original = credentials.home(engine)
        told = credentials.config(original)
        told.pop("credsStore", None)
        if told:
            _write(own / "config.json", told)
        for name in _KEPT:
            if (original / name).exists():
                (own / name).symlink_to((original / name).absolute())
        inside = replace(engine, environ={**(engine.environ or os.environ), "DOCKER_CONFIG": str(own)})
        for registry, user, password in logins:
            login(inside, registry, user, password)
        yield inside
    finally:
        shutil.rmtree(own, ignore_errors=True)


def login(engine: Engine, registry: str, user: str, password: str) -> None:
    """By stdin, so that no process list shows it. `registry` is a host, or any image's name there.

    Without a password, Amazon's registries are asked for one by the `aws` command. Raises MlgateError.
    """
    host = _host(registry)
    if not password:
        user, password = "AWS", _of_amazon(host, engine.environ or os.environ)
    if not user:
        raise MlgateError(f"there is a password for {host}, and no user.", fix="Name the user, too.")
    _without_helper(engine, host)
    server = [] if host == HUB else [host]
    said = engine.ask("login", "--username", user, "--password-stdin", *server, given=password.encode())
    if said.code != 0:
        told = next(
            (line for line in reversed(said.err.splitlines()) if line.strip() and "WARN" not in line), said.last
        )
        told = told.replace(password, "***").strip().rstrip(".")[:300]
        raise MlgateError(
            f"{host} refuses the login of {user!r}: {told}.", fix="Is the token still valid, and may it write packages?"
        )


def _host(registry: str) -> str:
    text = registry.removeprefix("https://").removeprefix("http://").rstrip("/")
    if text in ("", "index.docker.io", "index.docker.io/v1"):
        return HUB
    if "/" in text:
        return Reference.parse(text).registry
    return text.lower()


def _without_helper(engine: Engine, host: str) -> None:
    """In a configuration of our own, no helper is to store what is to be forgotten."""
    home = credentials.home(engine)
    if not home.name.startswith("mlgate-docker-"):
        return
    told = credentials.config(home)
    if (told.get("credHelpers") or {}).pop(credentials.key(host), None):
        _write(home / "config.json", told)


def _write(path: Path, data: Mapping[str, object]) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(data, file)


def _of_amazon(host: str, environ: Mapping[str, str]) -> str:
    found = _ECR.fullmatch(host)
    if not found and host != _PUBLIC_ECR:
        raise MlgateError(f"there is no password for {host}.", fix="Give it by the environment, as a secret.")
    command = shutil.which("aws", path=environ.get("PATH"))
    by_hand = "Give the output of `aws ecr get-login-password` as the password, with the user AWS."
    if command is None:
        raise MlgateError(f"there is no password for {host}, and no `aws` to ask for one.", fix=by_hand)
    which = ["ecr", "get-login-password", "--region", found[1]] if found else [
        "ecr-public", "get-login-password", "--region", "us-east-1",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            [command, *which], capture_output=True, text=True, timeout=60, check=False, env=dict(environ)
        )
    except subprocess.TimeoutExpired as error:
        raise MlgateError(f"`aws {which[0]}` gave no password for {host} in time.", fix=by_hand) from error
    if done.returncode or not done.stdout.strip():
        lines = done.stderr.strip().splitlines() or ["no answer"]
        raise MlgateError(f"`aws {which[0]}` gave no password for {host}: {lines[-1][:200].rstrip('.')}.", fix=by_hand)
    return done.stdout.strip()
