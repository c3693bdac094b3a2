"""Servers of a model as containers: each by its image's digest, hardened, at one address for life."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.image import hardened
from mlgate.image.hardened import Limits, Run
from mlgate.image.service import State, last_lines, read_state
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import Place, TargetError
from mlgate.rollout.targets.docker_parts import names as named
from mlgate.rollout.targets.docker_parts.names import Names
from mlgate.rollout.targets.docker_parts.reached import Reached

# Lines of the prediction log: the scores of a canary are read from them.
LOG = {"max-size": "32m", "max-file": "4"}
WRITABLE = ("/tmp", "/var/log/mlgate")  # noqa: S108 -- inside the container


@dataclass(frozen=True)
class Server:
    """One container, as the engine sees it now."""

    container: str
    slot: str
    replica: int
    address: str
    port: int
    image: str  # repository@sha256:..., where the engine still says that it is that
    state: State
    restarts: int
    asked: str
    kept: bool = False  # the engine starts it again when it ends

    @property
    def name(self) -> str:
        """What the router calls it."""
        return f"{self.slot}-{self.replica}"

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"


@dataclass(frozen=True)
class Asked:
    """With what servers of a release are started. Values of `environ` never are arguments."""

    release: Release
    port: int
    memory: int  # octets
    cpu: str
    drain: float
    network: str = ""  # one more, that leads somewhere
    environ: Mapping[str, str] = field(default_factory=dict)
    given: frozenset[str] = frozenset()  # the names of those that were configured

    @property
    def digest(self) -> str:
        told = [
            self.release.image, self.port, self.memory, self.cpu, self.network,
            sorted((name, hashlib.sha256(self.environ[name].encode()).hexdigest()[:12]) for name in self.given),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def asked(place: Place, release: Release) -> Asked:
    """Raises MlgateError that names the key."""
    target, at = place.settings.target, f"deploy.environments.{place.environment}.target"
    given = dict(target.environment)
    for name, variable in target.secrets.items():
        if variable not in place.environ:
            raise TargetError(
                f"the variable {variable}, which {at}.secrets.{name} names, is not set in this job.",
                fix="Hand the secret to the job.",
            )
        given[name] = place.environ[variable]
    environ = {"MLGATE_ENVIRONMENT": place.environment, **given}
    return Asked(
        release, release.port or place.port, named.octets(target.memory, f"{at}.memory"),
        named.processors(target.cpu, f"{at}.cpu"), place.drain, target.network or "", environ, frozenset(given),
    )  # fmt: skip


def arguments(asked: Asked, names: Names, replica: int, address: str) -> list[str]:
    """Of `docker create`."""
    slot = asked.release.slot
    run = Run(
        asked.release.image, names.server(slot, replica), asked.port, network=names.network,
        environ=asked.environ, limits=Limits(memory=f"{asked.memory}b", writable=WRITABLE),
    )  # fmt: skip
    labels = names.labels(
        "server", slot=slot, replica=str(replica), address=address, image=asked.release.image, port=str(asked.port),
        asked=asked.digest,
    )  # fmt: skip
    *first, image = hardened.arguments(run)
    return [
        *first, "--ip", address, "--cpus", asked.cpu, "--hostname", f"{slot}-{replica}"[:63],
        "--stop-timeout", str(max(1, round(asked.drain))), "--log-driver", "json-file",
        *(part for name, value in LOG.items() for part in ("--log-opt", f"{name}={value}")),
        *named.options(labels), image,
    ]  # fmt: skip


def listed(engine: Reached, names: Names, known: dict[str, str]) -> list[Server]:
    """All of an environment, also those that do not run. Raises TargetError.

    `known`: reference by digest -> the id of the image that the engine has under it, kept for the next time.
    """
    ids = engine.run(
        "container", "ls", "--all", "--quiet", "--no-trunc", "--filter", f"label={named.DEPLOY}={names.key}",
        "--filter", f"label={named.PART}=server",
    ).split()  # fmt: skip
    if not ids:
        return []
    said = engine.ask("container", "inspect", *ids)
    told: list[dict[str, Any]] = json.loads(said.out or "[]")  # one may have gone meanwhile
    images = {str(one["Config"]["Labels"].get(named.IMAGE, "")) for one in told}
    if new := images - known.keys():
        inspected = engine.ask("image", "inspect", *sorted(new))  # gives those that are there, also where one is not
        for one in json.loads(inspected.out or "[]"):
            known.update({image: str(one["Id"]) for image in new if _holds(one, image)})
    return sorted((_read(one, known) for one in told), key=lambda one: (one.slot, one.replica))


def _holds(inspected: Mapping[str, Any], image: str) -> bool:
    digest = image.rpartition("@")[2]
    return any(str(one).rpartition("@")[2] == digest for one in inspected.get("RepoDigests") or [])


def _read(told: Mapping[str, Any], identities: Mapping[str, str]) -> Server:
    labels = told["Config"]["Labels"]
    image = str(labels.get(named.IMAGE, ""))
    return Server(
        container=str(told["Name"]).lstrip("/"), slot=labels[named.SLOT], replica=int(labels[named.REPLICA]),
        address=labels[named.ADDRESS], port=int(labels[named.PORT]),
        image=image if identities.get(image) == told["Image"] else "", state=read_state(told["State"]),
        restarts=int(told.get("RestartCount") or 0), asked=str(labels.get(named.ASKED, "")),
        kept=(told["HostConfig"].get("RestartPolicy") or {}).get("Name") == "unless-stopped",
    )  # fmt: skip


def pull(engine: Reached, place: Place, image: str) -> None:
    """Exactly this digest, unless the engine has it. Raises TargetError that says why not."""
    inspected = engine.inspect(image)
    if inspected is None or not _holds(inspected, image):
        registry = image.partition("/")[0]
        if place.pull is None:
            said = engine.ask("pull", "--quiet", image, timeout=1800)
        else:
            with place.pull(registry) as environ:
                said = engine.ask("pull", "--quiet", image, timeout=1800, env=environ)
        if said.code != 0:
            missing = any(word in said.err.lower() for word in ("manifest unknown", "not found", "name unknown"))
            raise TargetError(
                f"the registry {registry} has no image {image}: {said.last}."
                if missing
                else f"{image} cannot be pulled: {said.last}.",
                fix="Was it deleted? Images of releases that may come back have to stay."
                if missing
                else "Can the engine reach the registry, and may it read this repository?",
            )
        inspected = engine.inspect(image)
    if inspected is None or not _holds(inspected, image):
        raise TargetError(f"what the engine pulled as {image} has another digest.")


def create(engine: Reached, names: Names, asked: Asked, replica: int, address: str) -> None:
    """One container, not started. What is there under its name stays. Raises TargetError."""
    environ = asked.environ
    said = engine.ask(*arguments(asked, names, replica, address), env=environ)
    if said.code != 0 and "is already in use by container" not in said.err:
        raise TargetError(f"no container could be made of {asked.release.image}: {said.last}.")
    name = names.server(asked.release.slot, replica)
    if asked.network:
        said = engine.ask("network", "connect", asked.network, name)
        if said.code != 0 and "already exists" not in said.err and "already attached" not in said.err:
            engine.ask("rm", "--force", name)
            raise TargetError(f"{name} cannot join the network {asked.network}: {said.last}.")


def launch(engine: Reached, container: str) -> None:
    """Starts it. That it ends at once is for `ready` to say."""
    said = engine.ask("start", container)
    if said.code == 0 or "OCI runtime" in said.err:  # what it was to run cannot be run: its state says so
        return
    raise TargetError(f"{container} cannot be started: {said.last}.")


def keep_up(engine: Reached, containers: Sequence[str]) -> None:
    """From now on the engine starts them again when they end. Not before: one that ends at once should say so."""
    if containers:
        engine.run("update", "--restart", "unless-stopped", *containers)


def words(engine: Reached, container: str) -> str:
    """The last that it said."""
    said = engine.ask("logs", "--tail", "20", container)
    return last_lines(f"{said.out}\n{said.err}")


def remove(engine: Reached, server: Server, seconds: float) -> None:
    """Asks it to end, and takes it away. Raises TargetError."""
    engine.ask("stop", "--time", str(max(1, round(seconds))), server.container, timeout=seconds + 60)
    said = engine.ask("rm", "--force", "--volumes", server.container)
    if said.code != 0 and "no such container" not in said.err.lower() and "already in progress" not in said.err:
        raise TargetError(f"{server.container} cannot be removed: {said.last}.")
