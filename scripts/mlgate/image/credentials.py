"""The credentials that the engine's command line keeps: its config.json, and the helpers named there."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError
from mlgate.image.engine import Engine
from mlgate.image.reference import HUB

HUB_KEY = "https://index.docker.io/v1/"
_HELPER_SECONDS = 60


@dataclass(frozen=True)
class Login:
    user: str
    password: str = field(repr=False)
    identity: str = field(default="", repr=False)  # an identity token, which some registries hand out

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def home(engine: Engine) -> Path:
    """Where the command line keeps its configuration."""
    environ = engine.environ or os.environ
    return Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".docker")


def config(folder: Path) -> dict[str, Any]:
    """What config.json says; nothing where there is none. Raises MlgateError where it is broken."""
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise MlgateError("cannot be read as the configuration of Docker.", file=str(path)) from error
    return found if isinstance(found, dict) else {}


def key(registry: str) -> str:
    """What config.json calls a registry."""
    return HUB_KEY if registry == HUB else registry


def find(engine: Engine, registry: str) -> Login | None:
    """None where there are none. Raises MlgateError for a helper that fails."""
    told = config(home(engine))
    name = key(registry)
    helper = (told.get("credHelpers") or {}).get(name) or told.get("credsStore")
    if helper and (found := _helped(engine, str(helper), name)):
        return found
    auths = told.get("auths") or {}
    entry = auths.get(name) or auths.get(f"https://{registry}") or auths.get(f"https://{registry}/v1/") or {}
    if entry.get("identitytoken"):
        return Login("", "", str(entry["identitytoken"]))
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except ValueError as error:
            raise MlgateError(f"the login for {registry} in Docker's configuration is broken.") from error
        return Login(user, password.rstrip("\0"))
    return None


def _helped(engine: Engine, helper: str, name: str) -> Login | None:
    command = shutil.which(f"docker-credential-{helper}", path=engine.environ.get("PATH"))
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "get"], input=name, capture_output=True, text=True, timeout=_HELPER_SECONDS, check=False,
            env=dict(engine.environ) or None,
        )  # fmt: skip
        found = json.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise MlgateError(f"docker-credential-{helper} gave no credentials for {name}.") from error
    if not found or not found.get("Secret"):
        return None
    if found.get("Username") == "<token>":
        return Login("", "", found["Secret"])
    return Login(found.get("Username", ""), found["Secret"])
