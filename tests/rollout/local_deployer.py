"""One job that deploys at a local target, in a process of its own that can be killed at any point for real.

    python -m rollout.local_deployer FOLDER IMAGE        # what it needs beside is in FOLDER/job.json

MLGATE_DIE names the point at which it ends by SIGKILL, such as `after write watching` or `before record complete`.
Each point that it comes by is a line of FOLDER/points. The ledger is FOLDER/ledger.jsonl.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlgate.config.conditions import parse
from mlgate.config.deploying import Environment
from mlgate.rollout import hands, phases, strategies
from mlgate.rollout.analysis import outcome
from mlgate.rollout.machine import Machine
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State, Transition
from mlgate.rollout.targets import Place
from mlgate.rollout.targets.local import Local
from mlgate.rollout.targets.local_release import find
from rollout.processes import Tried, check


class Points:
    def __init__(self, folder: Path) -> None:
        self._file = folder / "points"
        self._die = os.environ.get("MLGATE_DIE", "")

    def __call__(self, name: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
        if name == self._die:
            os.kill(os.getpid(), signal.SIGKILL)


class Dying(Local):
    """The local target, with a point before and after whatever changes something."""

    def __init__(self, place: Place, point: Points) -> None:
        super().__init__(place)
        self._point = point

    def write(self, text: str, *, after: str) -> str:
        phase = State.from_json(text).phase
        self._point(f"before write {phase}")
        mark = super().write(text, after=after)
        self._point(f"after write {phase}")
        return mark

    def start(self, release: Release, *, replicas: int) -> None:
        self._point("before start")
        super().start(release, replicas=replicas)
        self._point("after start")

    def weigh(self, weights: Mapping[str, float]) -> None:
        most = f"{max(weights.values(), default=0):g}"
        self._point(f"before weigh {most}")
        super().weigh(weights)
        self._point(f"after weigh {most}")

    def stop(self, slot: str) -> None:
        self._point("before stop")
        super().stop(slot)
        self._point("after stop")


def place_of(folder: Path) -> Place:
    told = json.loads((folder / "job.json").read_text("utf-8"))
    return Place(
        model="visits", environment="production", settings=Environment.model_validate(told["settings"]), folder=folder,
        state=folder / "state", environ=dict(os.environ), timeout=told["timeout"], drain=told["drain"],
    )  # fmt: skip


def entries(folder: Path) -> list[dict[str, Any]]:
    file = folder / "ledger.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def current(folder: Path) -> str:
    """The image that the ledger says is there."""
    done = [entry["image"] for entry in entries(folder) if entry["name"] == "complete"]
    return str(done[-1]) if done else ""


def release(place: Place, image: str) -> Release:
    bare = Release("visits", image, {})
    return Release("visits", image, {"sha256": find(place, bare.slot).sha256})


def main(where: str, image: str) -> int:
    hands.ACTION = phases.ACTION = 0.5  # nothing here takes longer, and the next job waits for as long
    folder = Path(where)
    place, point = place_of(folder), Points(folder)

    def record(transition: Transition) -> None:
        point(f"before record {transition.name}")
        if all(entry["id"] != transition.id for entry in entries(folder)):
            line = {"id": transition.id, "name": transition.name, "image": transition.candidate.image,
                    "rollout": transition.rollout}  # fmt: skip
            with (folder / "ledger.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        point(f"after record {transition.name}")

    def judge(state: State, *, complete: bool, why: str) -> outcome.Judged:
        return outcome.judge(
            [parse("error_rate <= 30%")],
            [outcome.Stratum(float(seen.weight), seen.stable, seen.canary) for seen in state.seen],
            confidence=0.95, planned=state.plan.steps[state.step].requests, steps=len(state.plan.steps),
            last=state.step == len(state.plan.steps) - 1, streaks=state.streaks, complete=complete, why=why,
        )  # fmt: skip

    there = current(folder)
    stable = release(place, there) if there else None
    with Dying(place, point) as target:
        machine = Machine(
            target, judge=judge, checks=lambda *_: Tried((check(),)), record=record, lease=2.0,
            say=lambda text: sys.stderr.write(f"{text}\n"),
        )  # fmt: skip
        plan = strategies.plan(place.settings, stable=stable is not None, timeout=place.timeout)
        state = machine.loop(machine.begin(release(place, image), stable, plan, strategy="canary"))
    sys.stdout.write(state.outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
