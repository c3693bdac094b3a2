"""What of the docker target is no I/O: weights, the router's words, its log, and whether all of that is there."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from docker.rollout_traffic import read_wrk
from engine.machine import needs
from mlgate.config.deploying import Environment
from mlgate.errors import MlgateError
from mlgate.image.service import State
from mlgate.rollout.analysis import bins
from mlgate.rollout.nouns import Histogram, Release, slot
from mlgate.rollout.targets import Place, TargetError
from mlgate.rollout.targets.docker import DockerTarget
from mlgate.rollout.targets.docker_parts import compose, haproxy, names, network, seen, servers
from mlgate.rollout.targets.docker_parts.haproxy import Fixed, Line, Plan
from mlgate.rollout.targets.docker_parts.names import Names
from mlgate.rollout.targets.docker_parts.seen import Snapshot
from mlgate.rollout.targets.docker_parts.servers import Server

FIXED = Fixed(timeout=10.0, drain=20.0)
STABLE, CANARY = slot("visits", "sha256:" + "a" * 64), slot("visits", "sha256:" + "b" * 64)


# -- names -------------------------------------------------------------------------------------------------------------


def test_two_environments_never_share_a_name() -> None:
    pairs = [("a-b", "c"), ("a", "b-c"), ("A-b", "c"), ("a.b", "c"), ("x" * 90, "c"), ("x" * 91, "c")]
    made = [Names(*pair) for pair in pairs]
    assert len({one.base for one in made}) == len({one.key for one in made}) == len(pairs)
    assert all(len(one.server(slot("x" * 90, "sha256:1"), 1)) <= 63 for one in made)


@pytest.mark.parametrize(
    ("text", "size"), [("1Gi", 2**30), ("512Mi", 512 * 2**20), ("2G", 2 * 10**9), ("64m", 64 * 10**6)]
)
def test_memory(text: str, size: int) -> None:
    assert names.octets(text, "key") == size


@pytest.mark.parametrize("text", ["", "lots", "-1Gi", "1 Gi b", "1Kb", "NaN"])
def test_no_memory(text: str) -> None:
    with pytest.raises(MlgateError, match="no amount of memory"):
        names.octets(text, "key")


def test_processors() -> None:
    assert [names.processors(text, "key") for text in ("1", "500m", "0.5", "2")] == ["1", "0.5", "0.5", "2"]
    for text in ("", "0", "many", "-1"):
        with pytest.raises(MlgateError, match="no number of processors"):
            names.processors(text, "key")


def test_addresses_are_given_once() -> None:
    inside = IPv4Network("172.30.0.0/16")
    first = network.free(inside, [])
    assert first == "172.30.0.10"
    assert network.free(inside, [first, "172.30.0.12"]) == "172.30.0.11"
    with pytest.raises(TargetError, match="has room for"):
        network.free(inside, [str(inside[number]) for number in range(10, 128)])


# -- weights -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_weights_are_near_to_the_shares(shares: list[float]) -> None:
    asked = {str(number): share for number, share in enumerate(shares)}
    found = haproxy.integers(asked)
    assert all(0 <= weight <= haproxy.HEAVIEST for weight in found.values())
    assert all((weight > 0) == (asked[name] > 0) for name, weight in found.items())
    if (whole := sum(shares)) > 0:
        for name, weight in found.items():
            assert weight / sum(found.values()) == pytest.approx(asked[name] / whole, abs=0.005 * len(shares))


@pytest.mark.parametrize("share", [1, 5, 10, 20, 25, 50, 75, 99])
@pytest.mark.parametrize("replicas", [(1, 1), (2, 1), (3, 2)])
def test_usual_shares_are_kept_to_a_fifth_of_a_point(share: float, replicas: tuple[int, int]) -> None:
    members = [(STABLE, f"{STABLE}-{n}", "172.30.0.10", 8080) for n in range(replicas[0])]
    members += [(CANARY, f"{CANARY}-{n}", "172.30.0.20", 8080) for n in range(replicas[1])]
    plan = haproxy.shared({STABLE: 100 - share, CANARY: share}, members)
    whole = sum(one.weight for one in plan.servers)
    mine = sum(one.weight for one in plan.servers if one.name.startswith(CANARY))
    assert 100 * mine / whole == pytest.approx(share, abs=0.2)


def test_nobody_has_traffic_where_nobody_should() -> None:
    assert haproxy.integers({"a": 0.0, "b": 0.0}) == {"a": 0, "b": 0}
    assert haproxy.integers({}) == {}


# -- the router's words ------------------------------------------------------------------------------------------------

LINES = (Line(f"{STABLE}-1", "172.30.0.10", 8080, 19), Line(f"{CANARY}-1", "172.30.0.11", 8080, 1))


@pytest.mark.parametrize("sticky", ["", "X-User-Id"])
def test_the_configuration_is_one_that_haproxy_takes(sticky: str, tmp_path: Path) -> None:
    plan = Plan({STABLE: 95, CANARY: 5}, LINES)
    file = tmp_path / "haproxy.cfg"
    file.write_text(haproxy.config(Fixed(10.0, 20.0, sticky), plan), "utf-8")
    done = subprocess.run([needs("haproxy"), "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert Plan.of(file.read_text("utf-8")) == plan


@pytest.mark.parametrize("header", ["X User", "X-User\n  use_backend evil", "", "-X", "x" * 200])
def test_what_is_no_header_is_refused(header: str) -> None:
    if header:
        with pytest.raises(MlgateError, match="no name of a header"):
            haproxy.config(Fixed(10.0, 20.0, header), Plan())
    else:
        assert "balance roundrobin" in haproxy.config(FIXED, Plan())


def test_the_admin_socket_is_for_nobody_outside_of_the_container() -> None:
    (line,) = [line for line in haproxy.config(FIXED, Plan()).splitlines() if "stats socket" in line]
    assert line.split()[2].startswith("ipv4@127.0.0.1:")


def test_only_another_timeout_or_header_needs_another_process() -> None:
    plan = Plan({STABLE: 100}, LINES[:1])
    assert haproxy.described(FIXED) in haproxy.config(FIXED, plan)
    assert len({haproxy.described(one) for one in (FIXED, Fixed(5.0, 20.0), Fixed(10.0, 20.0, "X-User"))}) == 3


def test_who_gets_more_is_told_first() -> None:
    now = {one.name: one for one in LINES}
    wanted = [Line(f"{STABLE}-1", "172.30.0.10", 8080, 0), Line(f"{CANARY}-1", "172.30.0.11", 8080, 1)]
    assert haproxy.commands(now, LINES) == []
    assert haproxy.commands(now, wanted) == [f"set weight slots/{STABLE}-1 0"]
    swapped = [Line(f"{STABLE}-1", "172.30.0.10", 8080, 0), Line(f"{CANARY}-1", "172.30.0.11", 8080, 20)]
    assert [command.split()[2] for command in haproxy.commands(now, swapped)] == [
        f"slots/{CANARY}-1", f"slots/{STABLE}-1",
    ]  # fmt: skip
    added = haproxy.commands({LINES[0].name: LINES[0]}, LINES)
    assert [command.split()[:2] for command in added] == [["add", "server"], ["enable", "health"], ["enable", "server"]]
    taken = haproxy.commands(now, LINES[:1])
    assert taken == [f"set server slots/{CANARY}-1 state maint", f"del server slots/{CANARY}-1"]
    back = haproxy.commands({LINES[0].name: Line(*LINES[0].__dict__.values())} | {
        LINES[1].name: Line(LINES[1].name, LINES[1].address, 8080, 1, out=True)}, LINES)  # fmt: skip
    assert back == [f"set server slots/{CANARY}-1 state ready"]


# -- what was seen -----------------------------------------------------------------------------------------------------


def line(begin: float, *, at: Any = f"{STABLE}-1", seconds: Any = 0.01, **more: Any) -> str:
    told = {"b": str(int(begin * 1e6)), "a": str(int((begin + seconds) * 1e6)), "e": str(int((begin + seconds) * 1e6)),
            "s": at, "c": "200", "t": "--", "r": "0", "u": ""}  # fmt: skip
    return json.dumps({**told, **more}, separators=(",", ":"))


def entries(*lines: str) -> list[seen.Entry]:
    found = [seen.entry(one) for one in lines]
    return [one for one in found if one is not None]


def tally(*lines: str, sticky: Any = False, **sent_on: int) -> Any:
    found = seen.tallies(
        entries(*lines), [STABLE, CANARY], timeout=5.0, sent_on=sent_on, scores={}, sticky=sticky
    )  # fmt: skip
    return found[STABLE]


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({}, False),
        ({"c": "404"}, False),
        ({"c": "500"}, True),
        ({"c": "503", "t": "SC"}, True),
        ({"c": "504", "t": "sH", "a": "-"}, True),
        ({"c": "200", "t": "SD"}, True),  # the answer was cut off
        ({"c": "200", "t": "CD"}, False),  # the caller left while it came
        ({"c": "-1", "t": "CH", "a": "-"}, False),  # the caller left before it came, soon
    ],
)
def test_what_is_an_error(told: dict[str, str], error: bool) -> None:
    found = tally(line(1000.0, **told))
    assert (found.requests, found.errors, found.times.total) == (1, int(error), 1)


def test_a_caller_who_waited_as_long_as_an_answer_may_take_and_left_has_met_an_error() -> None:
    assert tally(line(1000.0, seconds=6.0, c="-1", t="CH", a="")).errors == 1


def test_times_are_those_until_the_answer_began() -> None:
    found = tally(line(1000.0, seconds=0.25), line(1001.0, seconds=0.25))
    assert found.times.counts == {bins.latency(0.25): 2}


@pytest.mark.parametrize("text", ["", "Server slots/x is UP.", '{"b":"-","a":"-"}', '{"b":"1', '{"b":"x","e":"y"}'])
def test_what_is_no_request_is_none(text: str) -> None:
    assert seen.entry(text) is None


def test_who_only_looks_is_not_counted() -> None:
    assert tally(line(1000.0, w="1", c="503"), line(1001.0, w="-"), line(1002.0)).requests == 2


def test_callers_are_counted_once() -> None:
    lines = [line(1000.0 + n, u=str(n % 3), c="500" if n == 4 else "200") for n in range(9)]
    found = tally(*lines, line(1010.0), line(1011.0), sticky=True)
    assert (found.requests, found.units, found.bad_units) == (11, 5, 1)
    assert (tally(*lines).units, tally(*lines).bad_units) == (None, None)


def test_scores() -> None:
    def said(**more: Any) -> str:
        return json.dumps({"time": "2026-01-02T03:04:05.678Z", "prediction": 1, "score": 0.5, **more})

    at = 1767323045.678
    lines = [said(), said(score=None, prediction="yes"), said(score=None, prediction=2.5), said(score=[0.1, 0.9]),
             said(score=None, prediction=None), '{"other": 1}', "no json"]  # fmt: skip
    found = [one for one in map(seen.scored, lines) if one is not None]
    assert len(found) == 5
    expected = {bins.score(0.5): 1, bins.score("yes"): 1, bins.score(2.5): 1, bins.score(1): 1}
    histogram = seen.scores(found, at - 1, at + 1)
    assert histogram is not None
    assert histogram.counts == expected
    assert seen.scores(found, at + 1, at + 2) == Histogram()
    assert seen.scores([], at - 1, at + 1) is None


# -- whether all of it is there ----------------------------------------------------------------------------------------


def snapshots(*told: tuple[float, int, int, dict[str, int]], dropped: Sequence[int] = ()) -> list[seen.Whole]:
    """(when, process, answers, sent on by server)"""
    return seen.summed(
        Snapshot(at, at + 0.1, (900, process), answers, dropped[n] if dropped else 0, sent)
        for n, (at, process, answers, sent) in enumerate(told)
    )


def ten(begin: float, number: int = 10, **more: Any) -> list[seen.Entry]:
    return entries(*(line(begin + n / 10, **more) for n in range(number)))


def test_all_lines_are_there() -> None:
    wholes = snapshots((1000.0, 1, 5, {}), (1010.0, 1, 15, {}))
    assert seen.checked(wholes, ten(1002.0), 1001.0, 1009.0) == seen.Checked({})
    lost = seen.checked(wholes, ten(1002.0, 8), 1001.0, 1009.0)
    assert lost.why == "2 of 10 requests that the router counted are not in its log."


def test_lines_that_the_router_could_not_write_are_missed() -> None:
    wholes = snapshots((1000.0, 1, 5, {}), (1010.0, 1, 15, {}), dropped=[0, 3])
    assert "could not write 3 lines" in seen.checked(wholes, ten(1002.0), 1001.0, 1009.0).why


def test_counters_of_a_router_that_started_again_go_on() -> None:
    wholes = snapshots((1000.0, 1, 5, {}), (1005.0, 1, 12, {}), (1010.0, 2, 3, {}))
    assert [one.answers for one in wholes] == [0, 5, 12, 15]
    assert seen.checked(wholes, ten(1002.0), 1001.0, 1009.0).why == ""


def test_who_was_asked_first_is_charged() -> None:
    wholes = snapshots((1000.0, 1, 0, {f"{CANARY}-1": 4}), (1010.0, 1, 10, {f"{CANARY}-1": 6, f"{STABLE}-1": 0}))
    lines = [*ten(1002.0, 8), *ten(1004.0, 2, r="+1")]
    found = seen.checked(wholes, lines, 1001.0, 1009.0)
    assert found == seen.Checked({CANARY: 2})
    assert tally(line(1004.0, r="+1"), **{STABLE: 2}).errors == 2


def test_a_request_that_was_sent_on_and_that_nobody_counted_is_said() -> None:
    wholes = snapshots((1000.0, 1, 0, {}), (1010.0, 2, 1, {}))
    assert "before it said whose" in seen.checked(wholes, ten(1004.0, 1, r="+1"), 1001.0, 1009.0).why


def test_what_was_sent_on_outside_of_the_window_is_not_charged() -> None:
    wholes = snapshots((1000.0, 1, 0, {}), (1010.0, 1, 10, {f"{CANARY}-1": 10}))
    assert seen.checked(wholes, ten(1002.0, r="+1"), 1005.0, 1009.0).sent_on == {}


def test_requests_that_found_nobody_are_said() -> None:
    wholes = snapshots((1000.0, 1, 0, {}), (1010.0, 1, 1, {}))
    assert "no server" in seen.checked(wholes, ten(1004.0, 1, s="<NOSRV>", c="503"), 1001.0, 1009.0).why


def test_a_router_that_never_spoke_is_no_proof() -> None:
    assert seen.checked([], [], 1.0, 2.0).why


def test_what_is_kept_is_read_again_without_torn_lines() -> None:
    one = Snapshot(1000.0, 1000.1, (900, 8), 10, 0, {f"{CANARY}-1": 4})
    assert list(Snapshot.read(one.to_json() + "\n[1000.0, 1\n" + one.to_json())) == [one, one]


# -- containers --------------------------------------------------------------------------------------------------------


def place(tmp_path: Path, **target: Any) -> Place:
    settings = Environment.model_validate(
        {"target": {"kind": "docker", "proxy": f"haproxy@sha256:{'0' * 64}", **target}}
    )
    return Place("visits", "production", settings, tmp_path, tmp_path, environ={"PASSWORD": "Correct-Horse-1"})


def test_secrets_are_no_arguments(tmp_path: Path) -> None:
    release = Release("visits", f"ghcr.io/acme/visits@sha256:{'a' * 64}", {})
    asked = servers.asked(place(tmp_path, secrets={"TOKEN": "PASSWORD"}, environment={"A": "b c"}), release)
    told = servers.arguments(asked, Names("visits", "production"), 1, "172.30.0.10")
    assert "Correct-Horse-1" not in " ".join(told)
    assert asked.environ["TOKEN"] == "Correct-Horse-1"
    assert {"--read-only", "--cap-drop", "no-new-privileges", "TOKEN", "A"} <= set(told)
    assert told[-1] == release.image
    with pytest.raises(TargetError, match="is not set in this job"):
        servers.asked(place(tmp_path, secrets={"TOKEN": "MISSING"}), release)


@pytest.mark.parametrize("proxy", [None, "haproxy:3.2", "haproxy"])
def test_a_router_that_may_be_another_tomorrow_is_refused(tmp_path: Path, proxy: str | None) -> None:
    with pytest.raises(MlgateError, match="Pin the image of HAProxy by digest"):
        _ = DockerTarget(place(tmp_path, proxy=proxy)).router


def test_the_file_for_people_says_what_runs(tmp_path: Path) -> None:
    at = place(tmp_path, secrets={"TOKEN": "PASSWORD"}, cpu="500m")
    image = f"ghcr.io/acme/visits@sha256:{'a' * 64}"
    members = [
        Server("c", one, 1, f"172.30.0.{n}", 8080, image, State(True), 0, "") for n, one in enumerate((STABLE, CANARY))
    ]
    told = compose.described(
        Names("visits", "production"), at.settings, members, {STABLE: 95.0, CANARY: 5.0}, IPv4Network("172.30.0.0/16")
    )
    file = compose.write(tmp_path, "production", told, haproxy.config(FIXED, Plan({STABLE: 100}, LINES)))
    text = file.read_text("utf-8")
    assert "Correct-Horse-1" not in text
    read = yaml.safe_load(text)
    assert set(read["services"]) == {"router", f"{STABLE}-1", f"{CANARY}-1"}
    assert read["services"][f"{CANARY}-1"]["image"] == image
    assert read["services"][f"{CANARY}-1"]["labels"]["io.mlgate.deploy.weight"] == "5"
    assert (file.parent / "haproxy.cfg").exists()


def test_wrk_is_read() -> None:
    said = "  1000 requests in 2.00s\n  Socket errors: connect 0, read 2, write 0, timeout 1\n"
    said += "  Non-2xx or 3xx responses: 4\n"
    assert (read_wrk(said).requests, read_wrk(said).failed) == (1000, 7)


def test_shares_at_random_are_kept_too() -> None:
    draw = random.Random(1)  # noqa: S311 -- the same ones each time
    for _ in range(200):
        share = draw.uniform(0.5, 99.5)
        found = haproxy.integers({"a": share, "b": 100 - share})
        assert 100 * found["a"] / sum(found.values()) == pytest.approx(share, abs=0.21)
