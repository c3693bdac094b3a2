"""Rollouts on the real engine, with the real HAProxy and real load: what callers feel of them.

    python benchmarks/rollout.py              # all of it, about ten minutes on two quiet cores
    python benchmarks/rollout.py split back   # some of it: load, split, bad, back

Needs a Docker engine, wrk, docker-registry, and the environment of the tests. Everything it makes is taken away again.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from docker.rollout_bench import World, free_port, world  # noqa: E402
from docker.rollout_process import Ledger, machine, roll  # noqa: E402
from docker.rollout_traffic import Callers, Wrk  # noqa: E402
from engine import base  # noqa: E402
from engine import machine as machines  # noqa: E402
from engine.proxy import proxy, standing_in  # noqa: E402
from engine.registry import start, stop  # noqa: E402
from mlgate.rollout import strategies  # noqa: E402
from mlgate.rollout.nouns import Release  # noqa: E402
from mlgate.rollout.targets.docker import DockerTarget  # noqa: E402

REQUESTS = 50_000
SPLIT = 10_000
CANARY: dict[str, Any] = {
    "strategy": "canary", "steps": [5, 25, 50], "rules": ["error_rate <= 1.5x stable"],
    "step": {"requests": 3000, "at_least": "2 s", "at_most": "10 minutes", "period": "1 s", "warm_up": "1 s"},
}  # fmt: skip


def row(name: str, said: str, claim: str, *, held: bool) -> bool:
    print(f"{'ok  ' if held else 'MISS'}  {name:<34} {said:<58} claim: {claim}", flush=True)
    return held


def up(target: DockerTarget, *releases: Release, replicas: int = 1) -> None:
    target.write("{}", after="")
    for release in releases:
        target.start(release, replicas=replicas)
    end = time.monotonic() + 120
    while not all(target.ready(release.slot).ready for release in releases):
        if time.monotonic() > end:
            raise SystemExit("the servers did not become ready")
        time.sleep(0.2)
    target.weigh({releases[0].slot: 100})


def bench_load(made: Callable[[], contextlib.AbstractContextManager[World]]) -> bool:
    """Nobody is turned away, whatever is done to the environment meanwhile."""

    def canary(target: DockerTarget, old: Release, new: Release) -> None:
        for share in (5, 25, 50, 100):
            target.weigh({old.slot: 100 - share, new.slot: share})
            time.sleep(5)

    def blue_green(target: DockerTarget, old: Release, new: Release) -> None:
        target.weigh({new.slot: 100})
        target.stop(old.slot)

    def rollback(target: DockerTarget, old: Release, new: Release) -> None:
        target.weigh({old.slot: 50, new.slot: 50})
        time.sleep(5)
        target.weigh({old.slot: 100})
        target.stop(new.slot)

    def killed(target: DockerTarget, old: Release, new: Release) -> None:
        target.weigh({old.slot: 95, new.slot: 5})
        target.engine.run("kill", target.names.server(old.slot, 1))

    def restarted(target: DockerTarget, old: Release, new: Release) -> None:
        target.weigh({old.slot: 75, new.slot: 25})
        target.router.reload(target.router.count())
        time.sleep(5)
        target.weigh({old.slot: 50, new.slot: 50})

    held = True
    for name, act in {
        "5 -> 25 -> 50 -> 100": canary, "blue-green": blue_green, "rollback": rollback,
        "a stable container is killed": killed, "HAProxy's process is replaced": restarted,
    }.items():  # fmt: skip
        with made() as one:
            target = one.target(free_port())
            old, new = one.release("good-1"), one.release("good-2")
            up(target, old, new, replicas=2)
            began = time.monotonic()
            with Wrk(target.url) as load:
                time.sleep(1)
                act(target, old, new)
                asked = 0
                while asked < REQUESTS:  # counters of a process that was replaced begin anew: time is enough then
                    time.sleep(1)
                    asked = max(asked, target.router.count().answers)
                seen = load.end()
            said = f"{seen.failed} of {seen.requests:,} failed, in {time.monotonic() - began:.0f} s"
            held &= row(name, said, f"0 of {REQUESTS:,}", held=seen.failed == 0 and seen.requests >= REQUESTS)
    return held


def bench_split(made: Callable[[], contextlib.AbstractContextManager[World]]) -> bool:
    held = True
    for share in (5, 25, 50):
        with made() as one:
            target = one.target(free_port())
            old, new = one.release("good-1"), one.release("good-2")
            up(target, old, new)
            target.weigh({old.slot: 100 - share, new.slot: share})
            with Callers(target.url, threads=4) as callers:
                while callers.total() < SPLIT:
                    time.sleep(0.1)
            found = 100 * callers.counts["good-2", 200] / callers.total()
            said = f"{found:.2f} % of {callers.total():,}, {callers.failed} failed"
            held &= row(f"{share} % of the requests", said, "within 1 point", held=abs(found - share) <= 1)
    return held


def bench_bad(made: Callable[[], contextlib.AbstractContextManager[World]]) -> bool:
    with made() as one:
        good, bad = one.release("stable-0.5", errors=0.005), one.release("bad-10", errors=0.1)
        target, ledger = one.target(free_port(), settings=CANARY, timeout=1.0), Ledger(one.folder / "ledger")
        roll(target, ledger, good, None)
        with Callers(target.url, threads=4, rate=300) as callers:
            state = roll(target, ledger, bad, good)
        seconds = state.seconds if state.seconds is not None else float("inf")
        held = state.outcome == "aborted" and 0 < callers.bad("bad-10") <= 60
        said = f"{callers.bad('bad-10')} bad answers, {state.outcome}"
        row("a canary with 10 % errors", said, "at most 60, turned back", held=held)
        return row("its decision to none of its traffic", f"{seconds:.2f} s", "under 5 s", held=seconds < 5) and held


def bench_back(made: Callable[[], contextlib.AbstractContextManager[World]]) -> bool:
    with made() as one:
        first, second = one.release("good-1"), one.release("good-2")
        target = one.target(free_port(), settings={"strategy": "blue-green", "keep": "10 minutes"}, timeout=1.0)
        ledger = Ledger(one.folder / "ledger")
        roll(target, ledger, first, None)
        roll(target, ledger, second, first)
        plan = strategies.straight(target.place.settings, timeout=1.0)
        with Callers(target.url, threads=2, rate=100) as callers:
            time.sleep(0.5)
            decided = time.monotonic()
            machine(target, ledger).put_back(first, second, plan=plan, reason="a person said so")
            time.sleep(0.5)
        seconds = callers.at["good-2"] - decided
        said = f"{seconds:.2f} s, {callers.failed} failed"
        return row("a rollback to none of its traffic", said, "under 5 s", held=seconds < 5 and not callers.failed)


ALL = {"load": bench_load, "split": bench_split, "bad": bench_bad, "back": bench_back}


@contextlib.contextmanager
def worlds(folder: Path) -> Iterator[Callable[[], contextlib.AbstractContextManager[World]]]:
    """Environments, each of a model of its own, with images of a registry that ends with this."""
    engine = machines.engine()
    store, digest = base.stored(engine)
    (folder / "registry").mkdir()
    base.copy(store, folder / "registry" / "store")
    registry, group = start(folder / "registry", os.getpid(), engine.command)
    try:
        image = f"{registry.name(base.REPOSITORY)}@{digest}"
        engine.run("pull", "--quiet", image, timeout=300)
        router, standins = proxy(engine, registry, image, folder), standing_in(engine, registry, image, folder)
        yield lambda: world(engine, router, standins, Path(tempfile.mkdtemp(dir=folder)))
    finally:
        stop(group)


def main() -> int:
    chosen = sys.argv[1:] or list(ALL)
    if unknown := set(chosen) - set(ALL):
        raise SystemExit(f"{sorted(unknown)}: choose of {', '.join(ALL)}")
    with tempfile.TemporaryDirectory() as folder, worlds(Path(folder)) as made:
        held = [ALL[name](made) for name in chosen]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
