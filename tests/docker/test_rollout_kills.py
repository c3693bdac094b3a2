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
        ends = Counter(one["name"] for one in entries if one["slot"] == self.candidate.slot)
        assert ends["complete"] == 1
        assert ends["started"] == 1 + ends["aborted"] + ends["failed"]


@pytest.mark.parametrize(
    "die",
    [
        ("write", 2, "after"),
        ("start", 1, "within"),
        ("weigh", 1, "before"),
        ("record", 3, "after"),
        ("stop", 1, "within"),
    ],
    ids=lambda die: "-".join(map(str, die)),
)
def test_killed_once(made: World, die: tuple[str, int, str]) -> None:
    killed = Killed(made, BLUE_GREEN)
    with Callers(killed.target().url, threads=2, rate=50) as callers:
        process = killed.process(die)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, said
        killed.then()
    assert callers.failed == 0
    assert callers.total() > 50


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_every_transition_fifty_times(
    engine: Engine, proxy_image: str, standins: Standins, tmp_path: Path
) -> None:
    """Every call of a canary that changes something: before, within or after it; then at random, with all its children."""
    (tmp_path / "whole").mkdir()
    with world(engine, proxy_image, standins, tmp_path / "whole") as made:
        killed = Killed(made, CANARY)
        with Callers(killed.target().url, threads=2, rate=120):
            process = killed.process(None)
            said, _ = process.communicate(timeout=180)
            assert process.returncode == 0, said
        calls = json.loads(said.splitlines()[-1])
    draw = random.Random(7)  # noqa: S311 -- the same places each time
    places = [(name, number, draw.choice(["before", "within", "after"]))
              for name in CALLS for number in range(1, calls.get(name, 0) + 1)]  # fmt: skip
    draw.shuffle(places)
    transitions = [place for place in places if place[0] != "write"]  # looks write much, and change nothing
    chosen = (transitions + [place for place in places if place[0] == "write"])[:40]
    for number in range(50):
        folder = tmp_path / str(number)
        folder.mkdir()
        with world(engine, proxy_image, standins, folder) as made:
            killed = Killed(made, CANARY)
            with Callers(killed.target().url, threads=2, rate=120) as callers:
                process = killed.process(chosen[number] if number < len(chosen) else None)
                if number >= len(chosen):
                    time.sleep(draw.uniform(0.5, 15))
                    os.killpg(process.pid, signal.SIGKILL)
                said, _ = process.communicate(timeout=180)
                assert process.returncode in {-signal.SIGKILL, 0}, said
                killed.then()
            assert callers.failed == 0, (number, chosen[number] if number < len(chosen) else "at random")
