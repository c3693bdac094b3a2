"""An image started as production should: nothing to write to but /tmp, no capabilities, and no way out to a network.

    with hardened.start(engine, image, port=8080) as service:
        ready.wait(service)

Where the engine runs on this machine, the container stands in a network of its own that leads nowhere, and is reached
by its address there. Elsewhere (an engine behind TCP, a job that is itself a container) its port is published.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mlgate.errors import MlgateError
from mlgate.image.engine import Engine
from mlgate.image.service import Service, last_lines
from mlgate.model import Check, Verdict

LOG_KEY = "MLGATE_LOG_KEY"  # the server asks for it where it logs hashes; one of these runs is as good as another
SERVER = 10001  # the user of the images that are built here
_STOPPED_BY = {0, 130, 143}  # ended by itself, or by the signal that asked it to


@dataclass(frozen=True)
class Limits:
    """What a container may use."""

    memory: str = "4g"
    pids: int = 512
    writable: Sequence[str] = ("/tmp",)  # noqa: S108 -- inside the container
    size: str = "256m"  # of each writable folder


@dataclass(frozen=True)
class Run:
    """How one container is started."""

    image: str
    name: str
    port: int
    network: str = ""  # one without a way out; without it the port is published
    host: str = "127.0.0.1"  # where it is published
    health: float | None = 0.0  # seconds between two health checks; 0: the image's own; None: none are made
    environ: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()


def arguments(run: Run) -> list[str]:
    """Of `docker create`. Values of variables are not among them: each is taken from the command's own environment."""
    limits = run.limits
    found = ["create", "--name", run.name, "--read-only", "--cap-drop", "ALL"]
    found += ["--security-opt", "no-new-privileges", "--memory", limits.memory, "--pids-limit", str(limits.pids)]
    for folder in limits.writable:
        # runc before 1.2 keeps the mode of a folder that the image has, and gives it to root: who is to write there
        # has to own it. /tmp is everybody's in every image.
        owner = "" if folder == "/tmp" else f",uid={SERVER},gid={SERVER}"  # noqa: S108 -- inside the container
        found += ["--tmpfs", f"{folder}:rw,nosuid,nodev,size={limits.size},mode=1777{owner}"]
    if run.network:
        found += ["--network", run.network]
    else:
        found += ["--publish", f"{run.host}::{run.port}" if run.host else str(run.port)]
    if run.health is None:
        found.append("--no-healthcheck")
    elif run.health:
        found += ["--health-interval", f"{run.health:g}s"]
    for name in sorted(run.environ):
        found += ["--env", name]
    return [*found, run.image]


@contextlib.contextmanager
def start(
    engine: Engine,
    image: str,
    *,
    port: int = 8080,
    environ: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    health: float | None = 0.0,
) -> Iterator[Service]:
    """A started container, removed at the end. It need not be ready, nor even run: `ready.wait` says so.

    Raises MlgateError when the engine makes no container of this image.
    """
    name = f"mlgate-{secrets.token_hex(8)}"
    inspected = engine.inspect(image)
    if inspected is None:
        raise MlgateError(f"the engine has no image {image}.")
    checked = bool(((inspected.get("Config") or {}).get("Healthcheck") or {}).get("Test"))
    environ = {LOG_KEY: secrets.token_hex(32), **(environ or {})}
    own = _network(engine, name)
    try:
        run = Run(
            image, name, port, network=own, host=_publish_at(engine), environ=environ, limits=limits or Limits(),
            health=health if checked or health is None else 0.0,
        )  # fmt: skip
        said = engine.ask(*arguments(run), env=environ)
        if said.code != 0:
            raise MlgateError(f"no container could be made of {image}: {said.last}.")
        yield _started(engine, run)
    finally:
        engine.ask("rm", "--force", "--volumes", name)
        if own:
            engine.ask("network", "rm", own)


def _started(engine: Engine, run: Run) -> Service:
    service = Service("", engine, run.name, isolated=bool(run.network))
    said = engine.ask("start", run.name)
    if said.code != 0:
        service.failed = last_lines(said.err) or said.last  # the first of its lines says why
        return service
    told: dict[str, Any] = json.loads(engine.run("container", "inspect", run.name))[0]["NetworkSettings"]
    service.url, *others = addresses(told, run.port, endpoint(engine)) or [f"http://127.0.0.1:{run.port}"]
    service.others = tuple(others)
    return service


def addresses(told: Mapping[str, Any], port: int, engine: str) -> list[str]:
    """Where a container may answer: at its published port, and at its own address. Best first.

    `told` is `NetworkSettings` of the container, and `engine` the address of the engine.
    """
    host = _host(engine)
    published = [str(one.get("HostPort")) for one in (told.get("Ports") or {}).get(f"{port}/tcp") or []]
    found = [f"http://{host or '127.0.0.1'}:{one}" for one in published if one.isdigit() and one != "0"]
    networks = (told.get("Networks") or {}).values()
    own = [str(one.get("IPAddress") or "") for one in networks]
    return list(dict.fromkeys([*found, *(f"http://{address}:{port}" for address in own if address and not host)]))


def endpoint(engine: Engine) -> str:
    """The address of the engine, such as `unix:///var/run/docker.sock` or `tcp://docker:2375`."""
    said = engine.ask("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    return said.out.strip() if said.code == 0 else str(engine.environ.get("DOCKER_HOST") or "")


def _host(engine: str) -> str:
    """The machine of an engine that is elsewhere; empty for one on this machine."""
    parts = urlsplit(engine)
    return parts.hostname or "" if parts.scheme in {"tcp", "ssh", "http", "https"} else ""


def _publish_at(engine: Engine) -> str:
    """On which address a port is published: never on all of them when the engine is on this machine."""
    return "" if _host(endpoint(engine)) else "127.0.0.1"


def _network(engine: Engine, name: str) -> str:
    """A network that leads nowhere, where this machine is its other end; else none."""
    if engine.ask("network", "create", "--internal", name).code != 0:
        return ""
    said = engine.ask("network", "inspect", name)
    gateways = gateways_of(json.loads(said.out)[0]) if said.code == 0 else []
    if any(is_ours(address) for address in gateways):
        return name
    engine.ask("network", "rm", name)
    return ""


def gateways_of(network: Mapping[str, Any]) -> list[str]:
    """The addresses that the machine of the engine has in a network."""
    configs = (network.get("IPAM") or {}).get("Config") or []
    found = [str(one.get("Gateway") or one.get("Subnet") or "") for one in configs]
    return [re.sub(r"\.0/\d+$", ".1", one).split("/")[0] for one in found if one]


def is_ours(address: str) -> bool:
    """Whether this machine has an address: only then does a container's own one lead to the container."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as one:
        try:
            one.bind((address, 0))
        except OSError:
            return False
        return True


# -- what a run has shown ----------------------------------------------------------------------------------------------


def checks(service: Service) -> list[Check]:
    """That a server which answers does so without a writable disk, capabilities, or a network."""
    title = "runs with a read-only disk, no capabilities and no network"
    if service.isolated:
        return [Check(id="image.hardened", title=title, group="image", verdict=Verdict.PASS)]
    reason = (
        "It ran with a read-only disk and without capabilities, but the engine is not on this machine, so its network "
        "could not be taken away: that it fetches nothing when it starts is not shown."
    )
    return [Check(id="image.hardened", title=title, group="image", verdict=Verdict.WARN, reason=reason)]


def stopped(service: Service, seconds: float = 30.0) -> list[Check]:
    """Stops it as every platform does, by SIGTERM, and says whether it listened. `seconds`: how long it may take."""
    if service.engine is None or not service.container:
        return []
    before = service.state()
    said = service.engine.ask("stop", "--time", str(max(1, round(seconds))), service.container, timeout=seconds + 60)
    after = service.state()
    return [ended(ran=before.running, code=after.code, said="" if said.code == 0 else said.last, seconds=seconds)]


def ended(*, ran: bool, code: int, said: str, seconds: float) -> Check:
    """How a server that was asked to stop has ended."""
    verdict, reason = Verdict.PASS, ""
    if not ran:
        verdict, reason = Verdict.FAIL, f"It had ended before it was asked to (exit code {code})."
    elif said:
        verdict, reason = Verdict.ERROR, f"It could not be stopped: {said}."
    elif code == 137:
        verdict = Verdict.FAIL
        reason = (
            f"It did not end within {seconds:g} seconds of SIGTERM and was killed: requests under way are lost at each "
            "deployment. Start the server itself (`CMD [...]`, or `exec` in a script), not a shell that runs it."
        )
    elif code not in _STOPPED_BY:
        verdict, reason = Verdict.WARN, f"It ended with exit code {code} when it was asked to stop."
    return Check(id="image.stops", title="ends when it is asked to", group="image", verdict=verdict, reason=reason)
