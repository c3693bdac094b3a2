"""A place in memory with a clock, a router, traffic and a ledger of its own, at which a process can die at any point.

    world = World()
    target = FakeTarget(world)      # one per process; the world outlives them
    world.die_at = 17               # the seventeenth point: raises Died, as SIGKILL would

Every call has two points, before and after its effect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.config.deploying import Environment
from mlgate.errors import MlgateError
from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Histogram, Kept, Observed, Readiness, Release, Slot, Tally
from mlgate.rollout.state import State, Transition
from mlgate.rollout.targets import FencedError, Place, Target, TargetError

START = 1_790_000_000.0


class Died(BaseException):
    pass


def release(digit: str, **more: Any) -> Release:
    return Release("visits", f"registry.example/visits@sha256:{digit * 64}", {"sha256": digit * 64}, **more)


@dataclass
class Served:
    """A slot as it really is."""

    release: Release
    replicas: int
    since: float
    before: int = 0  # servers that were ready before it grew
    grown: float = 0.0


@dataclass
class World:
    """What is outside of all processes. Times are seconds, rates are per second."""

    time: float = START
    skew: float = 0.0  # of the target's clock
    boot: float = 3.0  # from start to ready
    rps: float = 200.0
    error_rates: dict[str, float] = field(default_factory=dict)  # slot -> share
    crashes: set[str] = field(default_factory=set)  # slots that end at once
    unready_from: dict[str, float] = field(default_factory=dict)  # slot -> when it stops answering
    refused: dict[str, MlgateError] = field(default_factory=dict)  # name of a call -> what it raises
    incomplete: str = ""  # why nothing that is observed is complete
    slots: dict[str, Served] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    history: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    kept: Kept | None = None
    entries: list[Transition] = field(default_factory=list)  # the ledger, each id once
    told: int = 0  # how often the ledger was told
    die_at: int | None = None
    points: int = 0
    calls: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)  # promises of the interface that were broken
    turn: Callable[[], None] = field(default=lambda: None)  # where several processes take turns
    asked: int = 0  # writes so far: what marks are made of

    def point(self) -> None:
        self.turn()
        self.points += 1
        self.time += 0.01
        if self.die_at is not None and self.points >= self.die_at:
            self.die_at = None
            raise Died

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        self.point()
        if name in self.refused:
            raise self.refused[name]
        self.calls.append(name)
        yield
        self.point()

    def sleep(self, seconds: float) -> None:
        self.turn()
        self.time += seconds

    def clock(self) -> float:
        return self.time

    # -- the ledger ----------------------------------------------------------------------------------------------------

    def record(self, transition: Transition) -> None:
        with self.call("record"):
            self.told += 1
            if all(entry.id != transition.id for entry in self.entries):
                self.entries.append(transition)

    @property
    def current(self) -> Release | None:
        """By the ledger."""
        done = [entry.candidate for entry in self.entries if entry.name == "complete"]
        return done[-1] if done else None

    def names(self, rollout: str = "") -> list[str]:
        return [entry.name for entry in self.entries if rollout in ("", entry.rollout)]

    # -- what is there -------------------------------------------------------------------------------------------------

    def ready(self, name: str) -> bool:
        served = self.slots.get(name)
        up = served is not None and self.time >= served.since + self.boot and name not in self.crashes
        return up and self.time < self.unready_from.get(name, float("inf"))

    def answering(self, name: str) -> int:
        """How many of its servers do."""
        served = self.slots[name]
        return (served.replicas if self.time >= served.grown + self.boot else served.before) if self.ready(name) else 0

    def serve(self, one: Release) -> None:
        """Puts a model there as if it had always been."""
        self.slots[one.slot] = Served(one, 1, self.time - 1000)
        self.weigh({one.slot: 100.0})

    def weigh(self, weights: Mapping[str, float]) -> None:
        self.weights = dict(weights)
        self.history.append((self.time, dict(weights)))

    def asked_of(self, slot: str, until: float) -> float:
        """How many requests the slot has got until then."""
        total = 0.0
        for at, (since, weights) in enumerate(self.history):
            end = min(until, self.history[at + 1][0] if at + 1 < len(self.history) else until)
            whole = sum(weights.values())
            if end > since and whole > 0:
                total += (end - since) * self.rps * weights.get(slot, 0.0) / whole
        return total

    @property
    def state(self) -> State | None:
        return State.from_json(self.kept.text) if self.kept else None


def place(**settings: Any) -> Place:
    environment = Environment.model_validate({"target": "local", **settings})
    return Place("visits", "production", environment, Path(), Path(), timeout=2.0, drain=1.0)


class FakeTarget(Target):
    """One process's view of the world."""

    def __init__(self, world: World, at: Place | None = None) -> None:
        super().__init__(at or place())
        self.world = world
        self.mark = ""

    def read(self) -> Kept | None:
        with self.world.call("read"):
            kept = self.world.kept
            self.mark = kept.mark if kept else ""
        return kept

    def write(self, text: str, *, after: str) -> str:
        with self.world.call("write"):
            if (self.world.kept.mark if self.world.kept else "") != after:
                raise FencedError("somebody else has written.")
            self.world.asked += 1
            self.world.kept = Kept(text, str(self.world.asked))
            self.mark = self.world.kept.mark
            return self.mark

    def _fence(self) -> None:
        if (self.world.kept.mark if self.world.kept else "") != self.mark:
            raise FencedError("somebody else has written.")

    def slots(self) -> Sequence[Slot]:
        with self.world.call("slots"):
            return [
                Slot(
                    name,
                    one.release.image,
                    one.replicas,
                    self.world.answering(name),
                    self.world.weights.get(name, 0.0),
                )
                for name, one in sorted(self.world.slots.items())
            ]

    def start(self, release: Release, *, replicas: int) -> None:
        with self.world.call("start"):
            self._fence()
            there = self.world.slots.get(release.slot)
            if there is None or not self.world.ready(release.slot):
                self.world.slots[release.slot] = Served(release, replicas, self.world.time)
            elif there.replicas != replicas:
                there.before, there.grown = min(there.replicas, replicas), self.world.time
                there.replicas = replicas

    def ready(self, slot: str) -> Readiness:
        with self.world.call("ready"):
            if slot in self.world.crashes:
                return Readiness(False, ended=True, said="exit code 1: no module named sklearn.")
            up = self.world.ready(slot)
        return Readiness(up, said="" if up else "connection refused.")

    def weigh(self, weights: Mapping[str, float]) -> None:
        with self.world.call("weigh"):
            self._fence()
            if any(slot not in self.world.slots for slot in weights):
                self.world.bad.append(f"weight for a slot that is not there: {weights}")
            if weights and not any(self.world.ready(slot) for slot, weight in weights.items() if weight > 0):
                self.world.bad.append(f"nobody answers any more: {weights}")
            self.world.weigh(weights)

    def stop(self, slot: str) -> None:
        with self.world.call("stop"):
            self._fence()
            if self.world.weights.get(slot, 0.0) > 0:
                self.world.bad.append(f"{slot} was stopped although it had traffic")
            self.world.slots.pop(slot, None)

    @contextmanager
    def open(self, slot: str) -> Iterator[str]:
        yield f"http://{slot}.example"

    @property
    def url(self) -> str:
        return "http://visits.example"

    def now(self) -> float:
        if "now" in self.world.refused:
            raise self.world.refused["now"]
        return self.world.time + self.world.skew

    def observe(self, slots: Sequence[str], since: float, until: float) -> Observed:
        with self.world.call("observe"):
            tallies = {slot: self._tally(slot, since, until) for slot in slots}
        return Observed(since, until, tallies, not self.world.incomplete, self.world.incomplete)

    def _tally(self, slot: str, since: float, until: float) -> Tally:
        shift, rate = self.world.skew, self.world.error_rates.get(slot, 0.0)
        first, last = (self.world.asked_of(slot, at - shift) for at in (since, until))
        count = int(last) - int(first)
        return Tally(
            count,
            int(last * rate) - int(first * rate),
            Histogram({bins.latency(0.02): count}) if count else Histogram(),
        )


def unreachable() -> TargetError:
    return TargetError("the engine at ssh://models-1 cannot be reached.")


class Turns:
    """Lets several processes run one call at a time, in an order that is given: `picks` names who goes next.

    When the picks are used up, each goes on in turn.
    """

    def __init__(self, world: World, picks: Sequence[int]) -> None:
        self.world, self.picks = world, list(picks)
        self.whose = -1
        self.changed = threading.Condition()
        self.me = threading.local()
        world.turn = self.wait

    def wait(self) -> None:
        me = getattr(self.me, "number", None)
        if me is None:
            return
        with self.changed:
            self.whose = -1
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: self.whose == me, timeout=60)

    def run(self, *works: Callable[[], None]) -> list[BaseException | None]:
        """Runs all to their ends; what each of them raised."""
        ended: list[BaseException | None] = [None] * len(works)
        alive = set(range(len(works)))

        def process(number: int, work: Callable[[], None]) -> None:
            self.me.number = number
            try:
                self.wait()
                work()
            except BaseException as error:
                ended[number] = error
            with self.changed:
                alive.discard(number)
                self.whose = -1
                self.changed.notify_all()

        threads = [threading.Thread(target=process, args=each, daemon=True) for each in enumerate(works)]
        for number, thread in enumerate(threads):
            with self.changed:
                self.whose = number
            thread.start()
            with self.changed:
                assert self.changed.wait_for(lambda: self.whose == -1, timeout=60)
        step = 0
        while alive:
            pick = self.picks[step] % len(works) if step < len(self.picks) else step % len(works)
            step += 1
            with self.changed:
                if pick not in alive:
                    continue
                self.whose = pick
                self.changed.notify_all()
                assert self.changed.wait_for(lambda: self.whose == -1, timeout=60)
        for thread in threads:
            thread.join(60)
        return ended
