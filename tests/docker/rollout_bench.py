"""Environments on the real engine: a bench for the suite of targets, and what measurements and kills need besides."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from engine.proxy import Standins
from mlgate.config.deploying import Environment
from mlgate.image.engine import Engine
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import Place
from mlgate.rollout.targets.docker import DockerTarget, make
from mlgate.rollout.targets.docker_parts.names import DEPLOY, Names
from rollout.conformance import Bench, Reply
from rollout.standin import WORDS


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass
class World:
    """Environments of one model whose name no other test has."""

    engine: Engine
    proxy: str
    standins: Standins
    folder: Path
    model: str = field(default_factory=lambda: f"visits-{uuid4().hex[:8]}")
    made: set[str] = field(default_factory=set)

    def release(self, name: str, **told: Any) -> Release:
        return Release(self.model, self.standins(name, **told), {"sha256": "ab" * 32}, version=name)

    def place(self, environment: str = "production", **more: Any) -> Place:
        self.made.add(environment)
        target = {
            "kind": "docker", "proxy": self.proxy, "memory": "256Mi", "cpu": "2", **more.pop("target", {}),
        }  # fmt: skip
        settings = Environment.model_validate({"target": target, **more.pop("settings", {})})
        environ = {**os.environ, "MLGATE_DOCKER": self.engine.command, **more.pop("environ", {})}
        kept: dict[str, Any] = {"timeout": 5.0, "drain": 5.0, **more}
        return Place(self.model, environment, settings, self.folder, self.folder / "state", environ=environ, **kept)

    def target(self, port: int, environment: str = "production", **more: Any) -> DockerTarget:
        more["target"] = {"port": port, **more.get("target", {})}
        return make(self.place(environment, **more))

    def containers(self, environment: str = "production") -> list[str]:
        key = Names(self.model, environment).key
        return self.engine.run(
            "container", "ls", "--all", "--filter", f"label={DEPLOY}={key}", "--format", "{{.Names}}"
        ).split()

    def close(self) -> None:
        for environment in self.made:
            clean(self.engine, Names(self.model, environment))


def clean(engine: Engine, names: Names) -> None:
    """Takes away all of an environment."""
    for what, listing, remove in (
        ("container", ("container", "ls", "--all", "--quiet"), ("rm", "--force", "--volumes")),
        ("network", ("network", "ls", "--quiet"), ("network", "rm")),
        ("volume", ("volume", "ls", "--quiet"), ("volume", "rm", "--force")),
    ):
        found = engine.ask(*listing, "--filter", f"label={DEPLOY}={names.key}").out.split()
        if found:
            said = engine.ask(*remove, *found)
            assert said.code == 0, f"{what}: {said.err}"


class DockerBench(Bench):
    """Servers are stand-ins; an answer's name is turned into the slot's."""

    words = WORDS

    def __init__(self, world: World) -> None:
        self.world, self.port, self.other = world, free_port(), free_port()
        self.good = [world.release("good-1"), world.release("good-2")]
        self.crashing = world.release("crash", fault="crash")
        self.never = world.release("never", fault="never")
        self.slots: Mapping[str, str] = {release.version: release.slot for release in self.good}

    def make(self) -> DockerTarget:
        return self.world.target(self.port)

    def elsewhere(self) -> DockerTarget:
        return self.world.target(self.other, "staging")

    def kill(self, slot: str) -> None:
        names = Names(self.world.model, "production")
        self.world.engine.run("kill", names.server(slot, 1))

    def ask(self, url: str, *, timeout: float = 30.0, headers: dict[str, str] | None = None, **wanted: Any) -> Reply:
        status, name = super().ask(url, timeout=timeout, headers=headers, **wanted)
        return Reply(status, self.slots.get(name, name))


@contextlib.contextmanager
def world(engine: Engine, proxy: str, standins: Standins, folder: Path) -> Iterator[World]:
    made = World(engine, proxy, standins, folder)
    try:
        yield made
    finally:
        made.close()
