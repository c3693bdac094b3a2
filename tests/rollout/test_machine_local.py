"""The machine at a real place: processes of this machine behind the preview router, with callers all the while."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlgate.config.conditions import parse
from mlgate.model import Verdict
from mlgate.rollout import strategies
from mlgate.rollout.analysis import outcome
from mlgate.rollout.machine import Machine
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State, Transition
from mlgate.rollout.targets import Place, find, local
from rollout.local_bench import place, stand_in
from rollout.processes import Tried, check

KEYS: dict[str, Any] = {
    "strategy": "canary",
    "steps": [25, 50],
    "step": {"requests": 60, "at_least": "1 s", "at_most": "40 s", "period": "0.5 s", "warm_up": "0.2 s"},
    "rules": ["error_rate <= 20%"],
}


class Callers:
    """Ask as fast as they get answers; what each of them got is kept."""

    def __init__(self, url: str, count: int = 2) -> None:
        self.url, self.done = url, threading.Event()
        self.statuses: list[int] = []
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]

    def __enter__(self) -> Callers:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        for thread in self.threads:
            thread.join(20)

    def _ask(self) -> None:
        while not self.done.is_set():
            asked = urllib.request.Request(f"{self.url}/predict", json.dumps({"rows": []}).encode())  # noqa: S310
            try:
                with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
                    answer.read()
                    self.statuses.append(answer.status)
            except urllib.error.HTTPError as error:
                self.statuses.append(error.code)
            except OSError:
                self.statuses.append(0)
            time.sleep(0.005)


class There:
    """One environment of this machine, and its ledger."""

    def __init__(self, folder: Path) -> None:
        self.place: Place = place(folder, "production", timeout=0.5, drain=2.0, **KEYS)
        self.entries: list[Transition] = []
        self.said: list[str] = []

    @property
    def current(self) -> Release | None:
        done = [entry.candidate for entry in self.entries if entry.name == "complete"]
        return done[-1] if done else None

    def machine(self, target: Any, **more: Any) -> Machine:
        given: dict[str, Any] = {"record": self._record, "say": self.said.append, "judge": self._judge, "lease": 10.0}
        return Machine(target, **{**given, "checks": lambda *_: Tried((check(),)), **more})

    def _record(self, transition: Transition) -> None:
        if all(entry.id != transition.id for entry in self.entries):
            self.entries.append(transition)

    def _judge(self, state: State, *, complete: bool, why: str) -> outcome.Judged:
        return outcome.judge(
            [parse("error_rate <= 20%")],
            [outcome.Stratum(float(seen.weight), seen.stable, seen.canary) for seen in state.seen],
            confidence=0.95,
            planned=state.plan.steps[state.step].requests,
            last=state.step == len(state.plan.steps) - 1,
            steps=len(state.plan.steps),
            streaks=state.streaks,
            complete=complete,
            why=why,
        )

    def deploy(self, release: Release, *, drill: bool = False) -> State:
        with find(self.place) as target:
            machine, stable = self.machine(target), self.current
            plan = strategies.plan(self.place.settings, stable=stable is not None, timeout=0.5, drill=drill)
            purpose: Any = "drill" if drill else "deploy"
            return machine.loop(machine.begin(release, stable, plan, strategy="canary", purpose=purpose))

    def put_back(self, release: Release) -> State:
        with find(self.place) as target:
            plan = strategies.straight(self.place.settings, timeout=0.5)
            return self.machine(target).put_back(release, self.current, plan=plan, reason="it was slow.")

    def whole(self) -> None:
        assert self.current is not None
        with find(self.place) as target:
            slots = list(target.slots())
            assert [(slot.name, slot.weight, slot.ready) for slot in slots] == [(self.current.slot, 100.0, 1)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.place.settings.target.port}"


@pytest.fixture
def there(tmp_path: Path) -> Iterator[There]:
    made = There(tmp_path)
    yield made
    local.take_down(made.place)


def test_a_good_model_is_promoted_and_put_back_and_no_caller_notices(there: There) -> None:
    old, new = stand_in(there.place, 1), stand_in(there.place, 2)
    assert there.deploy(old).outcome == "complete"
    with Callers(there.url) as callers:
        state = there.deploy(new)
        assert (state.outcome, state.reason) == ("complete", "")
        there.whole()
        back = there.put_back(old)
        assert back.outcome == "complete"
        assert back.seconds is not None
        there.whole()
    assert set(callers.statuses) == {200}
    assert [round(one.weight) for one in state.seen] == [25, 50]
    assert all(one.canary.requests >= 60 for one in state.seen)
    assert there.entries[-1].purpose == "rollback"


def test_a_bad_model_is_turned_back_within_few_bad_answers(there: There) -> None:
    old, bad = stand_in(there.place, 1), stand_in(there.place, 2, errors=0.9)
    there.deploy(old)
    with Callers(there.url):
        state = there.deploy(bad)
    assert (state.outcome, state.verdict) == ("aborted", Verdict.FAIL)
    assert "error_rate" in state.reason
    assert state.seconds is not None
    assert state.seconds < 5
    assert there.current == old
    there.whole()


def test_a_model_that_crashes_is_no_deployment(there: There) -> None:
    old, bad = stand_in(there.place, 1), stand_in(there.place, 2, fault="crash")
    there.deploy(old)
    state = there.deploy(bad)
    assert (state.outcome, state.verdict) == ("failed", Verdict.ERROR)
    there.whole()


def test_a_drill_leaves_everything_as_it_was(there: There) -> None:
    old, new = stand_in(there.place, 1), stand_in(there.place, 2)
    there.deploy(old)
    with Callers(there.url) as callers:
        state = there.deploy(new, drill=True)
    assert (state.outcome, there.current) == ("judged", old)
    assert set(callers.statuses) == {200}
    there.whole()
