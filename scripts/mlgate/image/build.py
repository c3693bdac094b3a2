"""A context becomes an image of the engine: by BuildKit where there is one, else by the plain builder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlgate.errors import MlgateError
from mlgate.image import context, progress
from mlgate.image.engine import Engine
from mlgate.image.engine import folder as temporary
from mlgate.image.plan import TEMPLATE_SECRETS, Plan

SECONDS = 3600.0
TAIL = 40  # lines of the log that are kept
Builder = Literal["buildx", "buildkit", "plain"]


@dataclass(frozen=True)
class Built:
    image_id: str  # sha256 of the image's configuration
    seconds: float
    cached: bool  # whether nothing at all had to be run
    builder: Builder
    log_tail: tuple[str, ...]


def build(
    engine: Engine, plan: Plan, folder: Path, *, tag: str, log: Callable[[str], None],
    cache_from: Sequence[str] = (), seconds: float = SECONDS,
) -> Built:  # fmt: skip
    """Builds what `context.write` has put into the folder, and names it `tag`.

    Each line of the build goes to `log`, without the secrets' values. `cache_from`: images whose layers may be used
    again, where BuildKit can. Raises MlgateError when the build fails: its message has the line that says why.
    """
    kit = engine.buildkit
    builder: Literal["buildx", "buildkit", "plain"] = (
        "plain" if not kit else "buildx" if "buildx" in kit else "buildkit"
    )
    if plan.secrets and builder == "plain":
        _refuse_secrets(plan)
    own = Path(tempfile.mkdtemp(prefix="mlgate-secrets-", dir=_memory()))
    try:
        command = _command(engine, plan, folder, builder, cache_from)
        command += ["--tag", tag]
        for number, (name, value) in enumerate(sorted(plan.secrets.items()) if builder != "plain" else ()):
            path = own / str(number)
            path.write_bytes(value.encode() if isinstance(value, str) else value)
            path.chmod(0o600)
            command += ["--secret", f"id={name},src={path}"]
        environ = {
            **(engine.environ or os.environ), "DOCKER_BUILDKIT": "0" if builder == "plain" else "1",
            "SOURCE_DATE_EPOCH": str(plan.created), "BUILDKIT_PROGRESS": "plain",
        }  # fmt: skip
        begun = time.monotonic()
        lines, worked = _run([*command, str(folder)], environ, _quiet(log, plan.secrets), seconds)
        took = time.monotonic() - begun
    finally:
        shutil.rmtree(own, ignore_errors=True)
    image = engine.inspect(tag)
    if image is None:
        raise MlgateError(f"the build ended, and the engine has no image {tag}.")
    return Built(image["Id"], took, not worked, builder, tuple(lines))


def _command(engine: Engine, plan: Plan, folder: Path, builder: Builder, cache: Sequence[str]) -> list[str]:
    command = [engine.command, *(engine.buildkit or ("build",))]
    command += ["--file", str(folder / (context.PLAIN if builder == "plain" else context.BUILDKIT))]
    if plan.platform:
        command += ["--platform", plan.platform]
    for name, value in sorted(plan.labels.items()):
        command += ["--label", f"{name}={value}"]
    if builder == "buildx":
        command += ["--provenance=false", "--sbom=false"]  # one manifest, whose digest is the image's
    if builder != "plain":
        command += ["--build-arg", f"SOURCE_DATE_EPOCH={plan.created}"]
        if cache:  # what a later build can take up again is written into the image, which then has another digest
            command += ["--build-arg", "BUILDKIT_INLINE_CACHE=1"]
        for reference in cache:
            command += ["--cache-from", f"type=registry,ref={reference}" if builder == "buildx" else reference]
    return command


def _refuse_secrets(plan: Plan) -> None:
    raise MlgateError(
        "this engine has the plain builder only, which would leave the secrets of `image.secrets` "
        f"({', '.join(sorted(plan.secrets))}) in a layer.",
        key="image.secrets",
        fix="Install docker-buildx (`docker buildx version` shows it).",
    )


def unused_secrets(plan: Plan) -> tuple[str, ...]:
    """Secrets that the template never looks for: a misspelt id installs nothing and says nothing."""
    return () if plan.builder == "dockerfile" else tuple(sorted(plan.secrets.keys() - TEMPLATE_SECRETS))


def _memory() -> Path:
    """Where a secret's file never reaches a disk, where there is such a place."""
    shm = Path("/dev/shm")  # noqa: S108 -- mkdtemp makes a folder of our own in it
    return shm if os.access(shm, os.W_OK) else temporary()


def _quiet(log: Callable[[str], None], secrets: Mapping[str, str | bytes]) -> Callable[[str], str]:
    """Lines without the values of secrets, line by line of those that have several."""
    values: set[str] = set()
    for value in secrets.values():
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        values |= {line.strip() for line in text.splitlines() if len(line.strip()) >= 6}
        values |= {word for line in text.splitlines() for word in line.split() if len(word) >= 12}
        values |= set(re.findall(r"://([^/@\s]+)@", text))
    hidden = sorted(values, key=len, reverse=True)

    def clean(line: str) -> str:
        for value in hidden:
            if value in line:
                line = line.replace(value, "***")
        log(line)
        return line

    return clean


def _run(
    command: list[str], environ: Mapping[str, str], clean: Callable[[str], str], seconds: float
) -> tuple[list[str], bool]:
    """The last lines, and whether anything was run. Raises MlgateError when the build fails or takes too long."""
    tail: deque[str] = deque(maxlen=TAIL)
    steps: dict[str, str] = {}
    late = False
    try:
        process = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise MlgateError(f"{command[0]} cannot be run: {error.strerror}.") from error

    def stop() -> None:
        nonlocal late
        late = True
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, stop)
    timer.start()
    with process:
        try:
            for raw in process.stdout or ():
                line = clean(raw.decode(errors="replace").rstrip())
                if line.strip():
                    tail.append(line)
                    progress.note(line, steps)
            code = process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if late:
        raise MlgateError(f"the build of the image did not end within {seconds:.0f} seconds.")
    if code:
        raise MlgateError(
            f"the image cannot be built: {progress.reason(list(tail))}.", fix=progress.advice("\n".join(tail))
        )
    return list(tail), any(how == "ran" for how in steps.values())
