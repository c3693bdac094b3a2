"""Rollouts under traffic, on the real engine: what callers feel of them."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from docker.rollout_bench import World, free_port, world
from docker.rollout_process import Ledger, machine, roll
from docker.rollout_traffic import Callers, Pressed, Wrk
from engine.proxy import Standins
from mlgate.image.engine import Engine
from mlgate.model import Verdict
from mlgate.rollout import strategies
from mlgate.rollout.nouns import Release, slot
from mlgate.rollout.targets import TargetError
from mlgate.rollout.targets.docker import DockerTarget
from mlgate.rollout.targets.docker_parts.haproxy import ADMIN
from rollout.conformance import settled, wait_until, whole

pytestmark = pytest.mark.docker
CANARY: dict[str, Any] = {
    "strategy": "canary", "steps": [5, 25, 50], "rules": ["error_rate <= 1.5x stable"],
    "step": {"requests": 3000, "at_least": "2 s", "at_most": "10 minutes", "period": "1 s", "warm_up": "1 s"},
}  # fmt: skip


@pytest.fixture
def made(engine: Engine, proxy_image: str, standins: Standins, tmp_path: Path) -> Iterator[World]:
    with world(engine, proxy_image, standins, tmp_path) as one:
        yield one


def up(target: DockerTarget, *releases: Release, replicas: int = 1) -> None:
    """Running and ready, the first of them with all traffic."""
    kept = target.read()
    target.write("{}", after=kept.mark if kept else "")
    for release in releases:
        target.start(release, replicas=replicas)
    for release in releases:
        assert settled(target, release.slot, 60).ready
    target.weigh({releases[0].slot: 100})


def test_a_bad_canary_is_turned_back_after_at_most_sixty_bad_answers(made: World) -> None:
    stable, bad = made.release("stable-0.5", errors=0.005), made.release("bad-10", errors=0.1)
    target, ledger = made.target(free_port(), settings=CANARY, timeout=1.0), Ledger(made.folder / "ledger")
    assert roll(target, ledger, stable, None).outcome == "complete"
    with Callers(target.url, threads=4, rate=300) as callers:
        state = roll(target, ledger, bad, stable)
        after = time.monotonic()
        time.sleep(0.5)
    assert (state.outcome, state.verdict) == ("aborted", Verdict.FAIL), state.reason
    assert "error_rate" in state.reason
    assert 0 < callers.bad("bad-10") <= 60
    assert callers.at["bad-10"] <= after
    assert [(one.name, one.weight) for one in target.slots()] == [(stable.slot, 100)]
    assert callers.bad("") == 0


@pytest.mark.long
def test_put_back_within_five_seconds(made: World) -> None:
    first, second = made.release("good-1"), made.release("good-2")
    target = made.target(free_port(), settings={"strategy": "blue-green", "keep": "10 minutes"}, timeout=1.0)
    ledger = Ledger(made.folder / "ledger")
    for release, before in ((first, None), (second, first)):
        assert roll(target, ledger, release, before).outcome == "complete"
    with Callers(target.url, threads=2, rate=100) as callers:
        time.sleep(0.5)
        decided = time.monotonic()
        plan = strategies.straight(target.place.settings, timeout=1.0)
        state = machine(target, ledger).put_back(first, second, plan=plan, reason="a person said so")
        time.sleep(0.5)
    assert state.outcome == "complete"
    assert callers.at["good-2"] - decided < 5
    assert state.seconds is not None
    assert state.seconds < 5
    assert callers.failed == 0


def press(target: DockerTarget, least: int, act: Callable[[], None]) -> Pressed:
    """Does something while `wrk` asks as fast as it is answered, until so many requests were answered."""
    before = target.router.count().answers
    with Wrk(target.url) as load:
        time.sleep(1)
        act()
        time.sleep(1)
        assert wait_until(lambda: target.router.count().answers - before > least, 400)
        return load.end()


def ramp(target: DockerTarget, stable: Release, canary: Release, pause: float) -> None:
    for share in (5, 25, 50, 100):
        target.weigh({stable.slot: 100 - share, canary.slot: share})
        time.sleep(pause)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("least", [2_000, pytest.param(50_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("what", ["canary", "blue-green", "rollback", "a stable container is killed"])
def test_nobody_is_turned_away(made: World, what: str, least: int) -> None:
    stable, canary = made.release("good-1"), made.release("good-2")
    target = made.target(free_port())
    up(target, stable, canary, replicas=2)
    pause = least / 10_000

    def act() -> None:
        if what == "canary":
            ramp(target, stable, canary, pause)
        elif what == "blue-green":
            target.weigh({canary.slot: 100})
            target.stop(stable.slot)
        elif what == "rollback":
            target.weigh({stable.slot: 50, canary.slot: 50})
            time.sleep(pause)
            target.weigh({stable.slot: 100})
            target.stop(canary.slot)
        else:
            target.weigh({stable.slot: 95, canary.slot: 5})
            made.engine.run("kill", target.names.server(stable.slot, 1))

    seen = press(target, least, act)
    assert seen.failed == 0, seen.said
    assert seen.requests >= least


def test_a_router_that_starts_again_goes_on_as_it_was(made: World) -> None:
    stable, canary = made.release("good-1"), made.release("good-2")
    target = made.target(free_port())
    up(target, stable, canary)
    target.weigh({stable.slot: 75, canary.slot: 25})
    made.engine.run("kill", "--signal", "KILL", target.names.router)  # by whom the engine leaves it down
    assert {one.name: one.weight for one in target.slots()} == pytest.approx(
        {stable.slot: 75, canary.slot: 25}, abs=0.5
    )  # which has started it
    with Callers(target.url, threads=2) as callers:
        assert wait_until(lambda: callers.total() >= 400, 60)
    assert callers.failed == 0
    assert 100 * callers.counts["good-2", 200] / callers.total() == pytest.approx(25, abs=1)
    ramp(target, stable, canary, 0.1)
    with Callers(target.url, threads=2) as callers:
        assert wait_until(lambda: callers.total() >= 50, 60)
    assert set(callers.counts) == {("good-2", 200)}


@pytest.mark.long
@pytest.mark.parametrize("share", [5, 25, 50])
def test_the_split_is_within_a_point_of_the_weight(made: World, share: int) -> None:
    stable, canary = made.release("good-1"), made.release("good-2")
    target = made.target(free_port())
    up(target, stable, canary)
    target.weigh({stable.slot: 100 - share, canary.slot: share})
    since = target.now()
    with Callers(target.url, threads=4) as callers:
        assert wait_until(lambda: callers.total() >= 10_000, 120)
    until = target.now()
    assert callers.failed == 0
    assert 100 * callers.counts["good-2", 200] / callers.total() == pytest.approx(share, abs=1)
    seen = whole(target, [stable.slot, canary.slot], since, until, callers.total())
    assert seen.complete, seen.why
    assert seen.tallies[canary.slot].requests == callers.counts["good-2", 200]


def test_callers_stay_where_they_are(made: World) -> None:
    stable, canary = made.release("good-1"), made.release("good-2")
    target = made.target(free_port(), settings={"sticky": "X-User"})
    up(target, stable, canary)
    from rollout.conformance import Bench  # noqa: PLC0415

    def ask(user: int) -> str:
        return Bench.ask(None, target.url, headers={"X-User": f"user-{user}"}).name  # type: ignore[arg-type]

    target.weigh({stable.slot: 75, canary.slot: 25})
    since = target.now()
    first = {user: ask(user) for user in range(300)}
    assert {user: ask(user) for user in range(300)} == first
    share = 100 * Counter(first.values())["good-2"] / 300
    assert share == pytest.approx(25, abs=9)  # a ring of hashes: callers at random, and never two of them alike
    seen = whole(target, [stable.slot, canary.slot], since, target.now(), 600)
    assert seen.tallies[canary.slot].units == Counter(first.values())["good-2"]
    assert seen.tallies[canary.slot].requests == 2 * Counter(first.values())["good-2"]
    target.weigh({stable.slot: 50, canary.slot: 50})
    more = {user: ask(user) for user in range(300)}
    assert all(more[user] == "good-2" for user, name in first.items() if name == "good-2")  # nobody goes back
    target.engine.run("restart", target.names.router)
    assert wait_until(lambda: ask(0).startswith("good"), 20)
    assert {user: ask(user) for user in range(300)} == more


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_nobody_beside_the_router_reaches_its_admin_socket(made: World) -> None:
    stable = made.release("good-1")
    target = made.target(free_port())
    up(target, stable)
    address = made.engine.run(
        "container", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}",
        target.names.router,
    ).split()  # fmt: skip
    code = "import socket,sys\nfor a in sys.argv[1:]:\n  s=socket.socket(); s.settimeout(2)\n"
    code += f"  try: s.connect((a,{ADMIN})); print('open')\n  except OSError: print('closed')"
    said = made.engine.run("exec", target.names.server(stable.slot, 1), "python3", "-c", code, *address)
    assert set(said.split()) == {"closed"}


def test_a_port_that_is_taken_is_said(made: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        target = made.target(port)
        target.write("{}", after="")
        with pytest.raises(TargetError, match=f"port {port} of 127.0.0.1 is taken"):
            target.start(made.release("good-1"), replicas=1)
    target.start(made.release("good-1"), replicas=1)  # as soon as it is free


def test_an_image_that_the_registry_lacks_is_said(made: World) -> None:
    target = made.target(free_port())
    target.write("{}", after="")
    image = made.release("good-1").image.partition("@")[0] + "@sha256:" + "0" * 64
    with pytest.raises(TargetError, match="has no image"):
        target.start(Release(made.model, image, {}), replicas=1)
    assert list(target.slots()) == []


def test_an_engine_that_is_not_there_is_said(made: World) -> None:
    target = made.target(free_port(), target={"host": f"tcp://127.0.0.1:{free_port()}"})
    with pytest.raises(TargetError, match="cannot be reached"):
        target.read()


def test_an_image_that_is_no_haproxy_is_said(made: World) -> None:
    target = made.target(free_port(), target={"proxy": made.standins("good-1")})
    target.write("{}", after="")
    with pytest.raises(TargetError, match=r"of production (cannot be started|does not run)"):
        target.start(made.release("good-2"), replicas=1)


def test_a_state_outlives_what_holds_it(made: World) -> None:
    target = made.target(free_port())
    mark = target.write("kept", after="")
    made.engine.run("rm", "--force", target.names.keeper)
    kept = made.target(free_port()).read()
    assert kept is not None
    assert (kept.text, kept.mark) == ("kept", mark)
    made.engine.run("stop", "--time", "1", target.names.keeper)
    assert target.read() == kept


@contextmanager
def by_tcp() -> Iterator[str]:
    """The engine of this machine, as one that is reached by TCP."""

    def copy(source: socket.socket, to: socket.socket) -> None:
        try:
            while block := source.recv(1 << 16):
                to.sendall(block)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            to.close()

    def serve() -> None:
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect("/var/run/docker.sock")
            threading.Thread(target=copy, args=(link, engine), daemon=True).start()
            threading.Thread(target=copy, args=(engine, link), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_elsewhere(made: World) -> None:
    """Nothing is shared with it: neither files, nor a clock, nor a way to its containers."""
    from rollout.conformance import Bench  # noqa: PLC0415

    stable = made.release("good-1")
    with by_tcp() as address:
        target = made.target(free_port(), target={"host": address})
        up(target, stable)
        assert abs(target.now() - time.time()) < 1
        with target.open(stable.slot) as url:
            assert url.startswith("http://127.0.0.1:")
            for _ in range(3):
                assert Bench.ask(None, url) == (200, "good-1")  # type: ignore[arg-type]
        since = target.now()
        for _ in range(5):
            assert Bench.ask(None, target.url) == (200, "good-1")  # type: ignore[arg-type]
        seen = whole(target, [stable.slot], since - 0.5, target.now() + 0.5, 5)
        assert (seen.tallies[stable.slot].requests, seen.complete) == (5, True)
        target.weigh({})
        target.stop(stable.slot)
        assert list(target.slots()) == []


def test_what_was_never_there(made: World) -> None:
    target = made.target(free_port())
    name = slot(made.model, "sha256:" + "1" * 64)
    assert target.read() is None
    assert target.ready(name).ended
    assert not target.observe([name], 0.0, 1.0).complete
    assert made.containers() == []
