"""How a container is started, reached, waited for and stopped: every decision of it, without an engine."""

from __future__ import annotations

import time

import pytest

from answering import Stub
from mlgate.image import hardened, ready, service
from mlgate.image.hardened import Limits, Run
from mlgate.image.ready import Seen
from mlgate.image.service import Service, State, UnreachableError
from mlgate.model import Verdict


def test_a_container_gets_nothing_that_it_does_not_need() -> None:
    found = hardened.arguments(Run("visits:1", "name", 8080, network="own", environ={"B": "secret-b", "A": "secret-a"}))
    assert found[0] == "create"
    assert found[-1] == "visits:1"
    said = " ".join(found)
    for part in (
        "--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--memory 4g", "--pids-limit 512",
        "--tmpfs /tmp:rw,nosuid,nodev,size=256m,mode=1777", "--network own", "--env A --env B",
    ):  # fmt: skip
        assert part in said
    assert "secret" not in said, "values are no arguments"
    assert "--publish" not in said
    assert "--privileged" not in said


def test_a_folder_of_the_image_is_the_servers_own() -> None:
    """Older runtimes keep its mode and make it root's: then nothing could be logged there."""
    limits = Limits(writable=("/tmp", "/var/log/mlgate"))
    said = " ".join(hardened.arguments(Run("i", "n", 8080, limits=limits)))
    assert "--tmpfs /var/log/mlgate:rw,nosuid,nodev,size=256m,mode=1777,uid=10001,gid=10001" in said


@pytest.mark.parametrize(
    ("run", "there", "absent"),
    [
        (Run("i", "n", 8080), "--publish 127.0.0.1::8080", "--network"),
        (Run("i", "n", 8080, host=""), "--publish 8080", "127.0.0.1"),
        (Run("i", "n", 8080, health=None), "--no-healthcheck", "--health-interval"),
        (Run("i", "n", 8080, health=1), "--health-interval 1s", "--no-healthcheck"),
        (Run("i", "n", 8080), "--name n", "health"),
    ],
)
def test_ports_and_health_checks(run: Run, there: str, absent: str) -> None:
    said = " ".join(hardened.arguments(run))
    assert there in said
    assert absent not in said


PUBLISHED = {"Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}]}}
OWN = {"Networks": {"n": {"IPAddress": "172.18.0.2"}}}


@pytest.mark.parametrize(
    ("told", "engine", "expected"),
    [
        (OWN, "unix:///var/run/docker.sock", ["http://172.18.0.2:8080"]),
        (PUBLISHED, "unix:///var/run/docker.sock", ["http://127.0.0.1:32768"]),
        (PUBLISHED | OWN, "", ["http://127.0.0.1:32768", "http://172.18.0.2:8080"]),
        (PUBLISHED | OWN, "tcp://docker:2375", ["http://docker:32768"]),
        (PUBLISHED, "ssh://me@there", ["http://there:32768"]),
        ({"Ports": {"8080/tcp": None}, "Networks": {"n": {"IPAddress": ""}}}, "", []),
        ({}, "tcp://docker:2375", []),
    ],
)
def test_where_a_container_answers(told: dict[str, object], engine: str, expected: list[str]) -> None:
    assert hardened.addresses(told, 8080, engine) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ([{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}], ["172.18.0.1"]),
        ([{"Subnet": "172.18.0.0/16"}], ["172.18.0.1"]),
        ([], []),
        (None, []),
    ],
)
def test_gateways(config: object, expected: list[str]) -> None:
    assert hardened.gateways_of({"IPAM": {"Config": config}}) == expected


def test_only_this_machines_own_addresses_are_its_own() -> None:
    assert hardened.is_ours("127.0.0.1")
    assert not hardened.is_ours("192.0.2.1")


@pytest.mark.parametrize(
    ("ran", "code", "said", "verdict"),
    [
        (True, 0, "", Verdict.PASS),
        (True, 143, "", Verdict.PASS),
        (True, 137, "", Verdict.FAIL),
        (True, 1, "", Verdict.WARN),
        (True, 0, "no such container", Verdict.ERROR),
        (False, 0, "", Verdict.FAIL),
    ],
)
def test_how_it_ends(ran: bool, code: int, said: str, verdict: Verdict) -> None:
    assert hardened.ended(ran=ran, code=code, said=said, seconds=5).verdict is verdict


def test_a_network_that_could_not_be_taken_away_is_told() -> None:
    assert [c.verdict for c in hardened.checks(Service("", isolated=True))] == [Verdict.PASS]
    assert [c.verdict for c in hardened.checks(Service(""))] == [Verdict.WARN]


# -- ready -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "verdict", "said"),
    [
        (Seen(1.5, State(True), "/health"), Verdict.PASS, ""),
        (Seen(1.5, State(False, 1), logs="KeyError"), Verdict.FAIL, "exit code 1. Its last words: KeyError"),
        (Seen(1.5, State(False, 137, killed=True)), Verdict.FAIL, "out of memory"),
        (Seen(60, State(True), last="/health/ready answered 503"), Verdict.FAIL, "60 seconds (/health/ready answered"),
        (Seen(60, State(True)), Verdict.FAIL, "It said nothing"),
    ],
)
def test_why_it_is_not_ready(seen: Seen, verdict: Verdict, said: str) -> None:
    check = ready.decide(seen)
    assert check.verdict is verdict
    assert said in check.reason


@pytest.mark.parametrize(
    ("state", "verdict", "said"),
    [
        (State(True, health="healthy"), Verdict.PASS, ""),
        (State(True, health="unhealthy", told="no curl"), Verdict.FAIL, "no curl"),
        (State(True, health="starting"), Verdict.FAIL, "starting"),
        (State(True), Verdict.FAIL, "no HEALTHCHECK"),
        (State(False, 3, health="healthy"), Verdict.FAIL, "exit code 3"),
    ],
)
def test_what_a_health_check_says(state: State, verdict: Verdict, said: str) -> None:
    (check,) = ready.called(state, 5)
    assert check.verdict is verdict
    assert said in check.reason


def test_waiting_ends_when_it_answers() -> None:
    with Stub() as stub:
        found = ready.wait(Service("http://127.0.0.1:9", others=(stub.url,)), seconds=10)
        assert found.ok
        assert found.path == "/health/ready"


def test_waiting_is_bounded() -> None:
    began = time.monotonic()
    with Stub({"unready"}) as stub:
        found = ready.wait(Service(stub.url), seconds=1)
    assert not found.ok
    assert "/health/ready answered 503" in found.check.reason
    assert time.monotonic() - began < 8


def test_what_was_not_started_is_not_waited_for() -> None:
    found = ready.wait(Service("", failed="exec: python9: not found"), seconds=60)
    assert found.check.verdict is Verdict.FAIL
    assert "python9" in found.check.reason


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"Running": True, "ExitCode": 0}, State(True)),
        ({"Running": False, "ExitCode": 137, "OOMKilled": True}, State(False, 137, killed=True)),
        (
            {"Running": True, "Health": {"Status": "unhealthy", "Log": [{"Output": "a\nb"}]}},
            State(True, health="unhealthy", told="a | b"),
        ),
        ({"Running": True, "Health": {"Status": "none"}}, State(True)),
    ],
)
def test_what_the_engine_says_of_a_container(told: dict[str, object], state: State) -> None:
    assert service.read_state(told) == state


def test_last_words_have_no_secrets() -> None:
    said = service.last_lines("one\ntwo\n\nthree\nfour\nfive\nsix https://me:hunter2@host/x password=hunter2\n")
    assert said.startswith("two | three")
    assert "hunter2" not in said


def test_a_request_that_is_not_answered_says_so() -> None:
    with pytest.raises(UnreachableError, match="GET /health"):
        Service("http://127.0.0.1:9").get("/health")
