"""A local target with stand-ins for servers, alone on this machine: a port and a folder of its own."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from mlgate.config.deploying import Environment
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import Place, Target, find, local
from mlgate.rollout.targets import local_process as process
from mlgate.rollout.targets.local_release import digest, home
from mlgate.rollout.targets.local_servers import Servers
from mlgate.serving.settings import Identity, Settings
from rollout import standin
from rollout.conformance import Bench

STANDIN = (sys.executable, str(Path(standin.__file__)))


def free_port() -> int:
    """One below those that the system gives away by itself, so that nobody gets it between here and its use."""
    while True:
        port = random.randint(12_000, 30_000)  # noqa: S311 -- a test
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def place(folder: Path, name: str = "staging", *, timeout: float = 10.0, drain: float = 5.0, **keys: Any) -> Place:
    target = {"kind": "local", "port": free_port(), **keys.pop("target", {})}
    return Place(
        model="visits", environment=name, settings=Environment.model_validate({"target": target, **keys}),
        folder=folder, state=folder / "state", environ=dict(os.environ), timeout=timeout, drain=drain,
    )  # fmt: skip


def stand_in(place: Place, number: int, **told: Any) -> Release:
    """A release whose server is a stand-in that behaves as `told`, ready to be started at this place."""
    image = f"registry.example/visits@sha256:{number:064x}"
    slot = Release("visits", image, {}).slot
    model = place.folder / f"model-{number}"
    model.mkdir(exist_ok=True)
    (model / "standin.json").write_text(json.dumps({"name": slot, **told}), "utf-8")
    release = Release("visits", image, {"sha256": digest(model)}, version=f"v1.{number}.0")
    local.prepare(place, release, model, settings(release), command=STANDIN)
    return release


def settings(release: Release, **keys: Any) -> str:
    return Settings(Identity("visits", release.version, release.subject["sha256"]), **keys).to_json()


class LocalBench(Bench):
    words = standin.WORDS
    patience = 30.0

    def __init__(self, folder: Path) -> None:
        self.place, self.other = place(folder), place(folder, "production")
        self.good = [stand_in(self.place, number) for number in (1, 2)]
        stand_in(self.other, 1)
        self.crashing = stand_in(self.place, 3, fault="crash")
        self.never = stand_in(self.place, 4, fault="never")

    def make(self) -> Target:
        return find(self.place)

    def elsewhere(self) -> Target:
        return find(self.other)

    def kill(self, slot: str) -> None:
        servers = Servers(home(self.place) / "slots" / slot)
        os.killpg(process.pid_of(servers.all()[0].folder), signal.SIGKILL)

    def close(self) -> None:
        local.take_down(self.place)
        local.take_down(self.other)
