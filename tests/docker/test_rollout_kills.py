"""A process that rolls out is killed for real, anywhere: the next one ends with one healthy model, and nothing else."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from docker.rollout_bench import World, free_port, world
from docker.rollout_process import CALLS, Ledger, roll
from docker.rollout_traffic import Callers
from engine.proxy import Standins
from mlgate.image.engine import Engine
from mlgate.rollout.nouns import Release

pytestmark = pytest.mark.docker
ROOT = Path(__file__).parents[2]
CANARY: dict[str, Any] = {
    "strategy": "canary", "steps": [20, 50], "rules": ["error_rate <= 10%"],
    "step": {"requests": 60, "at_least": "1 s", "at_most": "2 minutes", "period": "500 ms", "warm_up": "0 s"},
}  # fmt: skip
BLUE_GREEN: dict[str, Any] = {"strategy": "blue-green", "step": {"period": "500 ms"}}


@pytest.fixture
def made(engine: Engine, proxy_image: str, standins: Standins, tmp_path: Path) -> Iterator[World]:
    with world(engine, proxy_image, standins, tmp_path) as one:
        yield one


class Killed:
    """One environment with a stable model, and processes that bring another one in."""

    def __init__(self, made: World, settings: dict[str, Any]) -> None:
        self.world, self.port, self.settings = made, free_port(), settings
        self.stable, self.candidate = made.release("good-1"), made.release("good-2")
        self.ledger = Ledger(made.folder / "ledger.jsonl")
        assert roll(self.target(), self.ledger, self.stable, None).outcome == "complete"
        self.before = len(self.ledger.entries())

    def target(self) -> Any:
        return self.world.target(self.port, settings=self.settings, timeout=1.0, drain=2.0)

    def process(self, die: tuple[str, int, str] | None) -> subprocess.Popen[str]:
        def told(release: Release) -> dict[str, Any]:
            return {**asdict(release), "subject": dict(release.subject)}

        target = self.target().place.settings.model_dump(mode="json")["target"]
        file = self.world.folder / "told.json"
        file.write_text(json.dumps({
            "model": self.world.model, "environment": "production", "folder": str(self.world.folder), "timeout": 1.0,
            "settings": {**self.settings, "target": {k: v for k, v in target.items() if v is not None}}, "die": die,
            "candidate": told(self.candidate), "stable": told(self.stable),
        }), "utf-8")  # fmt: skip
        path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests")])
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("rollout_process.py")), str(file)],
            env={**os.environ, "PYTHONPATH": path, "MLGATE_DOCKER": self.world.engine.command}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def then(self) -> None:
        """The next process, and what has to be true after it."""
        process = self.process(None)
        said, _ = process.communicate(timeout=180)
        assert process.returncode == 0, said
        target = self.target()
        (slot,) = target.slots()
        assert (slot.name, slot.replicas, slot.ready, slot.weight) == (self.candidate.slot, 1, 1, 100)
        assert slot.image == self.candidate.image
        names = target.names
        left = {names.router, names.keeper, names.server(self.candidate.slot, 1)}
        assert set(self.world.containers()) == left
        entries = self.ledger.entries()
        assert len({one["id"] for one in entries}) == len(entries)
        assert self.ledger.current() == self.candidate.slot
        ends = Counter(one["name"] for one in entries[self.before :])
        assert ends["complete"] == 1
        assert ends["started"] == 1 + ends["aborted"] + ends["failed"]

    def swap(self) -> None:
        """The other way round next."""
        self.stable, self.candidate = self.candidate, self.stable
        self.before = len(self.ledger.entries())


FIVE = [
    ("write", 2, "after"),
    ("start", 1, "within"),
    ("weigh", 1, "before"),
    ("record", 3, "after"),
    ("stop", 1, "within"),
]


@pytest.mark.timeout(900)
def test_killed_five_times(made: World) -> None:
    killed = Killed(made, BLUE_GREEN)
    with Callers(killed.target().url, threads=2, rate=50) as callers:
        for die in FIVE:
            process = killed.process(die)
            said, _ = process.communicate(timeout=120)
            assert process.returncode == -signal.SIGKILL, said
            killed.then()
            killed.swap()
    assert callers.failed == 0
    assert callers.total() > 100


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_killed_at_every_transition_fifty_times(made: World) -> None:
    """Each call of a canary that changes something: before, within or after it. Then at random, with its children."""
    killed = Killed(made, CANARY)
    with Callers(killed.target().url, threads=2, rate=120) as callers:
        process = killed.process(None)
        said, _ = process.communicate(timeout=180)
        assert process.returncode == 0, said
        calls = json.loads(said.splitlines()[-1])
        draw = random.Random(7)  # noqa: S311 -- the same places each time
        places = [(name, number) for name in CALLS for number in range(1, calls.get(name, 0) + 1)]
        draw.shuffle(places)
        places.sort(key=lambda place: place[0] == "write")  # looks write much, and change nothing
        for number in range(50):
            killed.swap()
            die = (*places[number % len(places)], draw.choice(["before", "within", "after"])) if number < 40 else None
            process = killed.process(die)
            if die is None:
                time.sleep(draw.uniform(0.5, 15))
                os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate(timeout=180)
            assert process.returncode in {-signal.SIGKILL, 0}, said
            killed.then()
            assert callers.failed == 0, (number, die)
