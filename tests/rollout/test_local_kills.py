"""Jobs that are killed for real (SIGKILL) while they deploy at a local target, with callers all the while.

The next job ends with one healthy model at 100 %, a whole ledger and nothing left over; no caller is turned away.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import local
from mlgate.rollout.targets import local_process as process
from mlgate.rollout.targets.local_release import home
from rollout.local_bench import LocalBench, place, stand_in
from rollout.local_deployer import current, entries

ROOT = Path(__file__).parents[2]
ENDS = {"complete", "aborted", "failed", "judged"}
SETTINGS = {
    "strategy": "canary", "steps": [50],
    "step": {"requests": 30, "at_least": "0.3 s", "at_most": "60 s", "period": "0.3 s", "warm_up": "0.1 s"},
    "rules": ["error_rate <= 30%"],
}  # fmt: skip
# One for each phase of a good and of a bad canary, and one for each way to die around it: before and after an action,
# before and after the ledger knows.
GOOD = (
    ("after write begun", "after record started", "after write starting", "after start", "after write checking"),
    ("before weigh 50", "after weigh 50", "before record advanced", "after write watching", "after write promoting"),
    ("after weigh 100", "after write settling", "before record complete", "after record complete"),
    ("after write keeping", "before stop", "after write complete"),
)
BAD = ("after write turning", "before weigh 100", "after write leaving", "before record aborted", "after write aborted")


class Job(LocalBench):
    """An environment with a stable model, a good canary and a bad one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = replace(place(folder, "production", **SETTINGS), timeout=0.3, drain=1.0)
        told = self.place.settings.model_dump(mode="json", exclude_defaults=True)
        told["target"]["port"] = self.place.settings.target.port
        (folder / "job.json").write_text(
            json.dumps({"settings": {**SETTINGS, "target": told["target"]}, "timeout": 0.3, "drain": 1.0}), "utf-8"
        )
        self.stable, self.canary = stand_in(self.place, 1), stand_in(self.place, 2)
        self.bad = stand_in(self.place, 3, errors=0.9)
        assert self.deploy(self.stable) == "complete"

    def deploy(self, release: Release, die: str = "") -> str:
        """What the job says of its end; empty when it was killed."""
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "scripts"), str(ROOT / "tests")))}
        (self.folder / "points").unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "rollout.local_deployer", str(self.folder), release.image],
            env={**environ, "MLGATE_DIE": die}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if die and done.returncode == -signal.SIGKILL:
            return ""
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def points(self) -> list[str]:
        return (self.folder / "points").read_text("utf-8").splitlines()

    def whole(self) -> None:
        """One healthy model, the ledger's, has everything; each rollout has one beginning and one end; nothing else."""
        with self.make() as target:
            slots = list(target.slots())
        assert [(slot.image, slot.weight, slot.ready, slot.replicas) for slot in slots] == [
            (current(self.folder), 100.0, 1, 1)
        ]
        processes = [one for one in home(self.place).rglob("alive") if process.alive(one.parent)]
        assert len(processes) == 2  # the server and the router
        told = entries(self.folder)
        assert len({entry["id"] for entry in told}) == len(told)
        for rollout in {entry["rollout"] for entry in told}:
            names = [entry["name"] for entry in told if entry["rollout"] == rollout]
            assert names[0] == "started"
            assert [names.count(name) for name in ("started", "advanced")] in ([1, 0], [1, 1])
            assert sum(name in ENDS for name in names) == 1

    def close(self) -> None:
        local.take_down(self.place)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    made = Job(tmp_path)
    yield made
    made.close()


class Callers:
    """Two who ask all the while."""

    def __init__(self, job: Job) -> None:
        self._job, self._over = job, threading.Event()
        self.statuses: Counter[int] = Counter()
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with self._job.make() as target:
            while not self._over.is_set():
                self.statuses[self._job.ask(target.url).status] += 1
                time.sleep(0.01)


@pytest.mark.parametrize("points", GOOD)
def test_jobs_that_are_killed_one_after_the_other_are_followed_by_one_that_sets_it_right(
    job: Job, points: tuple[str, ...]
) -> None:
    with Callers(job) as callers:
        for point in points:
            assert job.deploy(job.canary, point) == ""
            assert job.points[-1] == point
        assert job.deploy(job.canary) == "complete"
    assert set(callers.statuses) == {200}
    assert current(job.folder) == job.canary.image
    job.whole()


@pytest.mark.long
def test_jobs_that_are_killed_while_they_turn_back_are_followed_by_one_that_does(job: Job) -> None:
    with Callers(job) as callers:
        for point in BAD:
            assert job.deploy(job.bad, point) == ""
            assert job.points[-1] == point
        job.deploy(job.stable)
    assert set(callers.statuses) <= {200, 500}
    assert current(job.folder) == job.stable.image
    job.whole()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_killed_at_each_point_of_the_way(job: Job) -> None:
    """Every point, before and after, one after the other; each time another model takes over."""
    models = [job.canary, job.stable]
    with Callers(job) as callers:
        assert job.deploy(job.canary) == "complete"
        points = list(dict.fromkeys(job.points))
        assert len(points) > 20
        for number, point in enumerate(points):
            release = models[(number + 1) % 2]
            killed = job.deploy(release, point) == ""
            assert job.deploy(release) == "complete", point
            assert killed, point
            assert current(job.folder) == release.image, point
            job.whole()
    assert set(callers.statuses) == {200}
