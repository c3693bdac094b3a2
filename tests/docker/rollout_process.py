"""One process that rolls a release out on the real engine, as `mlgate deploy` does: it can be killed anywhere.

    python rollout_process.py told.json

`die` of told.json names where it kills itself: ["write", 3, "after"] is after the third call that keeps the state. Its
ledger is a file of lines; an entry that is there already is not written again.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate.config.deploying import Environment
from mlgate.model import Check, Verdict
from mlgate.rollout import strategies
from mlgate.rollout.analysis import outcome
from mlgate.rollout.machine import Machine
from mlgate.rollout.nouns import Release
from mlgate.rollout.state import State, Transition
from mlgate.rollout.targets import Place
from mlgate.rollout.targets.docker import DockerTarget

CALLS = ("write", "start", "weigh", "stop", "record")


class Ledger:
    """Entries by id, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, transition: Transition) -> None:
        with self.path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if transition.id not in {json.loads(line)["id"] for line in file}:
                told = {"id": transition.id, "name": transition.name, "weight": transition.weight,
                        "slot": transition.candidate.slot, "at": transition.at}  # fmt: skip
                file.write(json.dumps({**told, "reason": transition.reason, "seconds": transition.seconds}) + "\n")

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()] if self.path.exists() else []

    def current(self) -> str:
        """The slot that it names as the environment's model."""
        found = [one["slot"] for one in self.entries() if one["name"] == "complete"]
        return str(found[-1]) if found else ""


def judged(settings: Environment) -> Callable[..., outcome.Judged]:
    """The real judge, as the verb calls it."""

    def judge(state: State, *, complete: bool, why: str) -> outcome.Judged:
        return outcome.judge(
            settings.rules,
            [outcome.Stratum(one.weight, one.stable, one.canary) for one in state.seen],
            confidence=settings.confidence, planned=state.plan.steps[state.step].requests,
            last=state.step == len(state.plan.steps) - 1, steps=len(state.plan.steps), streaks=state.streaks,
            sticky=state.plan.sticky, complete=complete, why=why,
        )  # fmt: skip

    return judge


@dataclass(frozen=True)
class Tried:
    checks: tuple[Check, ...]


def passes(*_: Any) -> Tried:
    return Tried((Check(id="rollout.smoke", title="smoke", verdict=Verdict.PASS, group="rollout"),))


def machine(target: DockerTarget, ledger: Callable[[Transition], None], **more: Any) -> Machine:
    settings = target.place.settings
    given: dict[str, Any] = {"judge": judged(settings), "checks": passes, "record": ledger, "lease": 5.0, **more}
    return Machine(target, **given)


def roll(
    target: DockerTarget, ledger: Callable[[Transition], None], candidate: Release, stable: Release | None, **more: Any
) -> State:
    """The candidate's whole way."""
    made = machine(target, ledger, **more)
    settings = target.place.settings
    plan = strategies.plan(settings, stable=stable is not None, timeout=target.place.timeout, ready_within=60)
    return made.loop(made.begin(candidate, stable, plan, strategy=settings.strategy))


def dying(target: DockerTarget, ledger: Ledger, die: tuple[str, int, str] | None) -> Callable[[Transition], None]:
    """Counts the calls that change something, and kills this process before, in or after the one that is named."""
    count: Counter[str] = Counter()

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **kwargs: Any) -> Any:
            count[name] += 1
            here = die is not None and die[:2] == (name, count[name])
            if here and die is not None and die[2] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            if here and die is not None and die[2] == "within":
                signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
                signal.setitimer(signal.ITIMER_REAL, 0.25)
            found = call(*args, **kwargs)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            print(json.dumps(dict(count)), flush=True)
            return found

        return instead

    for name in CALLS[:-1]:
        setattr(target, name, watched(name, getattr(target, name)))
    recorded: Callable[[Transition], None] = watched("record", ledger)
    return recorded


def main() -> int:
    told = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    settings = Environment.model_validate(told["settings"])
    folder = Path(told["folder"])
    place = Place(
        told["model"], told["environment"], settings, folder, folder, environ=dict(os.environ), timeout=told["timeout"],
        drain=2.0,
    )  # fmt: skip
    target = DockerTarget(place)
    die = tuple(told["die"]) if told["die"] else None
    ledger = Ledger(folder / "ledger.jsonl")
    record = dying(target, ledger, die)
    candidate, stable = Release(**told["candidate"]), Release(**told["stable"])
    if ledger.current() == candidate.slot:
        # As `--recover`: the ledger names the candidate already, and the target has to agree.
        recovered = machine(target, record).recover(candidate, strategies.straight(settings, timeout=place.timeout))
        return 0 if recovered is not None else 1
    return 0 if roll(target, record, candidate, stable).outcome == "complete" else 1


if __name__ == "__main__":
    sys.exit(main())
