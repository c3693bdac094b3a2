"""The preview router as callers meet it: a process in front of stand-ins that are slow, wrong, dying or gone."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlgate.rollout.nouns import Release, Tally
from mlgate.rollout.targets import Place, Target, TargetError, find, local
from mlgate.rollout.targets import local_process as process
from mlgate.rollout.targets.local_kept import read_json
from mlgate.rollout.targets.local_release import home
from rollout.conformance import begin, bring_up, wait_until, weights
from rollout.local_bench import LocalBench, place, stand_in


class World(LocalBench):
    """A local target with a stable model and a canary, and ways to look behind it."""

    def __init__(self, folder: Path, **keys: Any) -> None:
        self.place: Place = place(folder, **keys)
        self.good = [stand_in(self.place, number) for number in (1, 2)]
        self.target = find(self.place)
        begin(self.target)

    def deploy(self, *weighed: float, replicas: int = 1) -> Target:
        """The good releases, with these weights."""
        used = self.good[: len(weighed)]
        bring_up(self, self.target, *used, replicas=replicas)
        self.target.weigh({release.slot: weight for release, weight in zip(used, weighed, strict=True)})
        return self.target

    @property
    def names(self) -> list[str]:
        return [release.slot for release in self.good]

    @property
    def router(self) -> Path:
        return home(self.place) / "router"

    def seen(self, since: float) -> list[Tally]:
        found = self.target.observe(self.names, since, time.time()).tallies
        return [found[name] for name in self.names]

    def close(self) -> None:
        local.take_down(self.place)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@contextmanager
def another(folder: Path, **keys: Any) -> Iterator[World]:
    made = World(folder, **keys)
    try:
        yield made
    finally:
        made.close()


def raw(world: World, data: bytes, *, timeout: float = 5.0) -> bytes:
    """What comes back for these octets, until the router closes or says nothing more."""
    with socket.create_connection(("127.0.0.1", world.place.settings.target.port), timeout) as link:
        link.sendall(data)
        got = b""
        try:
            while block := link.recv(65536):
                got += block
        except TimeoutError:
            pass
        return got


# -- messages ----------------------------------------------------------------------------------------------------------


def test_one_connection_carries_many_requests(world: World) -> None:
    world.deploy(100)
    link = http.client.HTTPConnection("127.0.0.1", world.place.settings.target.port, timeout=10)
    socks = set()
    for number in range(5):
        link.request("POST", "/predict?x=1", json.dumps({}), {"X-Request-ID": f"r-{number}", "Content-Type": "a/b"})
        answer = link.getresponse()
        told = json.loads(answer.read())
        socks.add(id(link.sock))
        assert answer.status == 200
        assert told["headers"]["X-Request-ID"] == f"r-{number}"
        assert told["headers"]["Content-Type"] == "a/b"
        assert told["headers"]["X-Forwarded-For"] == "127.0.0.1"
    assert len(socks) == 1
    link.request("HEAD", "/nowhere")
    answer = link.getresponse()
    assert (answer.status, answer.read()) == (501, b"")  # the stand-in's own word
    link.close()


def test_a_body_in_chunks_arrives_whole(world: World) -> None:
    world.deploy(100)
    got = raw(
        world,
        b"POST /predict HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b'8;x=y\r\n{"status\r\n8\r\n": 418 }\r\n0\r\nTrailer: t\r\n\r\n',
    )
    assert got.startswith(b"HTTP/1.1 418 ")
    assert got.endswith(json.dumps({"error": "as it was asked", "name": world.names[0]}).encode())


def test_who_waits_to_be_told_to_go_on_is_told(world: World) -> None:
    world.deploy(100)
    port = world.place.settings.target.port
    with socket.create_connection(("127.0.0.1", port), 5) as link:
        link.sendall(b"POST /predict HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert link.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.sendall(b"{}")
        assert link.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /predict HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: +2", 400),
        (b"POST /predict HTTP/1.1\r\nTransfer-Encoding: gzip", 501),
        (b"POST /predict HTTP/1.1\r\nTransfer-Encoding : chunked", 400),
        (b"POST /predict HTTP/1.1\r\nA: b\r\n c: d", 400),
        (b"POST /predict HTTP/1.1\r\nno colon", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 99999999999", 413),
        (b"POST /predict HTTP/1.1\r\nA: " + b"b" * 70_000, 431),
        (b"POST /predict", 400),
        (b"POST /predict HTTP/2.0", 505),
    ],
)
def test_what_is_not_clear_is_refused_and_passed_to_nobody(world: World, head: bytes, status: int) -> None:
    world.deploy(100)
    since = time.time()
    got = raw(world, head + b"\r\n\r\n{}GET /smuggled HTTP/1.1\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert len(re.findall(rb"HTTP/1.1 \d", got)) == 1
    assert world.seen(since)[0].requests == 0
    assert world.ask(world.target.url).status == 200


def test_without_a_model_the_answer_is_503(world: World) -> None:
    bring_up(world, world.target, world.good[0])
    assert world.ask(world.target.url).status == 503


def test_those_who_watch_are_answered_and_not_counted(world: World) -> None:
    world.deploy(100)
    since = time.time()
    link = http.client.HTTPConnection("127.0.0.1", world.place.settings.target.port, timeout=10)
    for path in ("/health/ready", "/metrics", "/version", "/openapi.json"):
        link.request("GET", path)
        answer = link.getresponse()
        answer.read()
        assert answer.status == 200
    link.close()
    world.ask(world.target.url)
    assert world.seen(since)[0].requests == 1


def test_the_port_for_weights_is_for_the_target_alone(world: World) -> None:
    world.deploy(100)
    link = http.client.HTTPConnection("127.0.0.1", read_json(world.router / "router.json")["admin"], timeout=5)
    for headers in ({}, {"Authorization": "Bearer guess"}):
        link.request("POST", "/reload", headers=headers)
        answer = link.getresponse()
        answer.read()
        assert answer.status == 403
    link.close()
    assert (world.router / "router.json").stat().st_mode & 0o077 == 0


# -- servers that fail -------------------------------------------------------------------------------------------------


def test_a_request_that_takes_its_server_along_is_an_error_and_answered_by_another(world: World) -> None:
    world.deploy(0, 100)
    world.target.weigh({world.names[0]: 1, world.names[1]: 99})
    since = time.time()
    # The stand-in of the canary dies of it, and so does that of stable: nobody can answer this one.
    assert world.ask(world.target.url, die=True).status == 502
    stable, canary = world.seen(since)
    assert (canary.requests, canary.errors, canary.times.total) == (1, 1, 0)
    assert (stable.requests, stable.errors, stable.times.total) == (1, 1, 0)


def test_another_server_of_the_same_model_goes_first(world: World) -> None:
    world.deploy(100, replicas=2)
    since = time.time()
    world.kill(world.names[0])
    assert {world.ask(world.target.url) for _ in range(10)} == {(200, world.names[0])}
    assert wait_until(lambda: not world.target.ready(world.names[0]).ready)
    (stable, _) = world.seen(since)
    assert (stable.requests, stable.times.total) == (10, 10)
    assert 1 <= stable.errors <= 2  # until the router knows


def test_what_died_is_started_again_and_gets_requests_again(world: World) -> None:
    target = world.deploy(100)
    world.kill(world.names[0])
    assert wait_until(lambda: target.ready(world.names[0]).ended)
    said = target.ready(world.names[0]).said
    assert "gone" in said
    assert world.ask(target.url).status == 502
    bring_up(world, target, world.good[0])
    assert wait_until(lambda: world.ask(target.url) == (200, world.names[0]))


def test_who_takes_too_long_is_given_up_and_that_is_an_error(tmp_path: Path) -> None:
    with another(tmp_path, timeout=0.5) as world:
        world.deploy(100)
        since = time.time()
        began = time.monotonic()
        assert world.ask(world.target.url, seconds=2.0).status == 504
        assert time.monotonic() - began < 1.5
        (stable, _) = world.seen(since)
        assert (stable.requests, stable.errors, stable.times.total) == (1, 1, 0)


def test_a_request_under_way_makes_its_window_incomplete(world: World) -> None:
    target = world.deploy(100)
    since = target.now()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(world.ask, target.url, seconds=1.0)
        time.sleep(0.4)
        seen = target.observe(world.names, since, target.now())
        assert not seen.complete
        assert "under way" in seen.why
        assert target.observe(world.names, since - 10, since).complete
        assert slow.result().status == 200
    until = target.now()
    assert wait_until(lambda: target.observe(world.names, since, until).complete)
    assert target.observe(world.names, since, until).tallies[world.names[0]].requests == 1


def test_a_caller_who_hangs_up_does_not_hide_what_the_model_did(world: World) -> None:
    target = world.deploy(100)
    since = target.now()
    with socket.create_connection(("127.0.0.1", world.place.settings.target.port), 5) as link:
        body = json.dumps({"seconds": 0.5, "status": 500}).encode()
        link.sendall(b"POST /predict HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(0.1)
    assert wait_until(lambda: world.seen(since)[0].requests == 1)
    assert world.seen(since)[0].errors == 1


# -- the router itself -------------------------------------------------------------------------------------------------


def test_a_router_that_was_killed_comes_back_with_its_weights_and_says_what_it_may_have_lost(world: World) -> None:
    target = world.deploy(75, 25)
    since = target.now()
    for _ in range(8):
        assert world.ask(target.url).status == 200
    os.killpg(process.pid_of(world.router), signal.SIGKILL)
    assert wait_until(lambda: world.ask(target.url).status == 0)
    down = target.observe(world.names, since, target.now())
    assert (down.complete, down.why) == (False, "the preview router does not run")
    assert sum(one.requests for one in down.tallies.values()) == 8  # what it had written is there
    assert weights(target) == {world.names[0]: 75, world.names[1]: 25}
    counts = Counter(world.ask(target.url) for _ in range(100))
    assert counts == {(200, world.names[0]): 75, (200, world.names[1]): 25}
    after = target.now()
    assert "started again" in target.observe(world.names, since, after).why
    world.ask(target.url)
    later = target.now()
    assert target.observe(world.names, after, later).complete


def test_weights_that_were_written_are_used_by_the_next_router(world: World) -> None:
    target = world.deploy(100, 0)
    os.killpg(process.pid_of(world.router), signal.SIGKILL)
    assert wait_until(lambda: not process.alive(world.router))
    target.weigh({world.names[1]: 100})
    assert {world.ask(target.url) for _ in range(5)} == {(200, world.names[1])}


def test_the_last_slot_takes_the_router_along_and_the_port_is_free(world: World) -> None:
    target = world.deploy(100)
    target.weigh({})
    target.stop(world.names[0])
    assert list(target.slots()) == []
    assert not process.alive(world.router)
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", world.place.settings.target.port))


def test_another_port_in_the_settings_moves_the_router(world: World, tmp_path: Path) -> None:
    world.deploy(100)
    elsewhere = place(tmp_path)
    moved = find(replace(world.place, settings=elsewhere.settings))
    moved.read()
    moved.weigh({world.names[0]: 100})
    assert world.ask(moved.url) == (200, world.names[0])
    assert world.ask(world.target.url).status == 0


def test_a_taken_port_is_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    with another(tmp_path) as world, socket.socket() as other:
        port = world.place.settings.target.port
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(TargetError, match=f"port {port} of 127.0.0.1 is taken by another program") as caught:
            world.target.start(world.good[0], replicas=1)
        assert caught.value.key == "deploy.environments.staging.target.port"
        assert list(world.target.slots()) == []


def test_callers_who_name_themselves_stay_with_their_model(tmp_path: Path) -> None:
    with another(tmp_path, sticky="X-User") as world:
        target = world.deploy(75, 25)
        since = target.now()
        users = [f"user-{number}" for number in range(40)]
        first = {user: world.ask(target.url, headers={"X-User": user}) for user in users}
        for _ in range(2):
            assert {user: world.ask(target.url, headers={"x-user": user}) for user in users} == first
        taken = {user for user, (_, name) in first.items() if name == world.names[1]}
        assert 0 < len(taken) < 20
        stable, canary = world.seen(since)
        assert (stable.units, canary.units) == (40 - len(taken), len(taken))
        assert (canary.requests, canary.bad_units) == (3 * len(taken), 0)
        target.weigh({world.names[0]: 50, world.names[1]: 50})
        assert all(world.ask(target.url, headers={"X-User": user}) == first[user] for user in taken)


def test_many_at_once_are_answered_while_servers_come_and_go(world: World) -> None:
    target = world.deploy(50, 50, replicas=2)
    since = target.now()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(world.ask, target.url) for _ in range(600)]
        time.sleep(0.1)
        world.kill(world.names[1])
        target.weigh({world.names[0]: 95, world.names[1]: 5})
        target.start(Release("visits", world.good[0].image, world.good[0].subject), replicas=1)
        target.weigh({world.names[0]: 100})
        target.stop(world.names[1])
        counts = Counter(one.result().status for one in asked)
    assert counts == {200: 600}
    assert sum(one.times.total for one in world.seen(since)) == 600
