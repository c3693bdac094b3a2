"""The Docker engine, by its own command line: a person's login, contexts, proxies and BuildKit are those they know.

Every call is an argument list. What is secret goes in by stdin or by the environment, never as an argument.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError

TIMEOUT = 120.0  # seconds for what only asks


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line that says something, for a sentence of ours."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1][:300].rstrip(".") if lines else f"exit code {self.code}"


@dataclass(frozen=True)
class Engine:
    """One engine, reached by one command (`docker`, or what stands in for it)."""

    command: str
    environ: Mapping[str, str] = field(default_factory=dict)  # instead of this process's own

    def ask(
        self, *args: str, given: bytes = b"", timeout: float = TIMEOUT, env: Mapping[str, str] | None = None
    ) -> Said:
        """Raises MlgateError when there is no answer in time."""
        try:
            done = subprocess.run(
                [self.command, *args], input=given, capture_output=True, timeout=timeout, check=False,
                env={**(self.environ or os.environ), **(env or {})},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise MlgateError(f"`docker {args[0]}` did not end within {timeout:.0f} seconds.") from None
        return Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def run(self, *args: str, given: bytes = b"", timeout: float = TIMEOUT) -> str:
        """What it printed. Raises MlgateError when it failed."""
        said = self.ask(*args, given=given, timeout=timeout)
        if said.code != 0:
            raise MlgateError(f"`docker {args[0]}` failed: {said.last}.")
        return said.out.strip()

    def inspect(self, image: str) -> dict[str, Any] | None:
        """What the engine knows of an image that it has; None where it has none."""
        said = self.ask("image", "inspect", image)
        if said.code != 0:
            return None
        found: dict[str, Any] = json.loads(said.out)[0]
        return found

    @cached_property
    def buildkit(self) -> Sequence[str] | None:
        """The command that builds with BuildKit: buildx where it is installed, else an older client's own switch.

        None where only the plain builder is there.
        """
        if self.ask("buildx", "version").code == 0:
            return ("buildx", "build", "--load")
        said = self.ask("build", "--help", env={"DOCKER_BUILDKIT": "1"})
        return ("build",) if said.code == 0 and "--secret" in said.out else None


def find(environ: Mapping[str, str] | None = None) -> Engine:
    """The engine of this machine. Raises MlgateError when there is none, or it cannot be asked."""
    env = dict(environ or os.environ)
    command = env.get("MLGATE_DOCKER") or shutil.which("docker", path=env.get("PATH")) or ""
    if not command:
        raise MlgateError("there is no `docker` on PATH.", fix="Install Docker, or run this on a runner that has it.")
    if shutil.which(command, path=env.get("PATH")) is None:
        raise MlgateError(f"MLGATE_DOCKER is {command}, and no program can be run there.", fix="Name it, or unset it.")
    engine = Engine(command, env)
    said = engine.ask("version", "--format", "{{.Server.Version}}", timeout=30)
    if said.code != 0:
        raise MlgateError(
            f"the Docker engine cannot be asked: {said.last.rstrip('.')}.", fix="Start it, or let DOCKER_HOST name one."
        )
    return engine


def folder() -> Path:
    """Where the engine finds files of this process: a daemon on this machine sees the same file system."""
    return Path(os.environ.get("RUNNER_TEMP") or "/tmp")  # noqa: S108 -- a place, in which mkdtemp makes one of its own
