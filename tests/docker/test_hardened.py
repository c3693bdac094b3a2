"""A container started as production should, waited for, called healthy, and stopped: each way in which it can fail."""

from __future__ import annotations

import json
import time

import pytest

import faulty
from engine.building import Image
from engine.registry import Registry
from mlgate.errors import MlgateError
from mlgate.image import costs, hardened, ready
from mlgate.image.engine import Engine
from mlgate.image.hardened import Limits
from mlgate.model import Check, Verdict

pytestmark = pytest.mark.docker

PROBE = """
import json, os, socket
def may(what):
    try:
        what()
        return True
    except OSError:
        return False
print(json.dumps({
    "uid": os.getuid(),
    "root": may(lambda: open("/opt/x", "w")),
    "tmp": may(lambda: open("/tmp/x", "w")),
    "out": may(lambda: socket.create_connection(("192.0.2.1", 80), 2)),
    "caps": [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd"))],
    "privileges": [line.split()[1] for line in open("/proc/self/status") if line.startswith("NoNewPrivs")],
}))
"""


def test_the_real_server_runs_hardened(engine: Engine, sklearn_image: Image) -> None:
    with hardened.start(engine, sklearn_image.tag, health=1) as service:
        found = ready.wait(service)
        assert found.check.verdict is Verdict.PASS, found.check.reason
        assert found.seconds is not None
        assert 0 < found.seconds < 60
        assert service.isolated
        assert [c.verdict for c in hardened.checks(service)] == [Verdict.PASS]
        told = json_of(engine.run("exec", service.container, "python3", "-c", PROBE))
        assert told == {
            "uid": 10001, "root": False, "tmp": True, "out": False,
            "caps": ["0" * 16, "0" * 16], "privileges": ["1"],
        }  # fmt: skip
        assert [c.verdict for c in ready.healthy(service, seconds=30)] == [Verdict.PASS]
        used = costs.memory(service)
        assert used is not None
        assert 20 < used < 1000
        assert [c.verdict for c in hardened.stopped(service, 30)] == [Verdict.PASS]
    assert faulty.gone(engine, service.container)


def json_of(text: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(text.splitlines()[-1])
    return found


def test_published_where_the_network_cannot_be_taken_away(
    engine: Engine, registry: Registry, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardened, "is_ours", lambda address: False)
    with hardened.start(engine, faulty.stub(engine, registry, base_image)) as service:
        assert ready.wait(service).ok
        assert service.url.startswith("http://127.0.0.1:")
        assert [c.verdict for c in hardened.checks(service)] == [Verdict.WARN]
        name = service.container
    assert faulty.gone(engine, name)


def start(engine: Engine, tag: str, *, seconds: float = 30, limits: Limits | None = None) -> Check:
    with hardened.start(engine, tag, limits=limits) as service:
        return ready.wait(service, seconds=seconds).check


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("dies", "exit code 1. Its last words: MLmodel is not there"),
        ("writes", "Read-only file system"),
        ("fetches", "create_connection"),
    ],
)
def test_a_server_that_ends_is_found_at_once(
    engine: Engine, registry: Registry, base_image: str, fault: str, said: str
) -> None:
    began = time.monotonic()
    check = start(engine, faulty.stub(engine, registry, base_image, fault), seconds=120)
    assert check.verdict is Verdict.FAIL
    assert said in check.reason
    assert "hunter2" not in check.reason
    assert time.monotonic() - began < 30


def test_a_server_that_is_never_ready_is_given_up(engine: Engine, registry: Registry, base_image: str) -> None:
    for fault, said in (("silent", "gave no answer"), ("unready", "/health/ready answered 503")):
        check = start(engine, faulty.stub(engine, registry, base_image, fault), seconds=3)
        assert check.verdict is Verdict.FAIL
        assert said in check.reason


def test_a_server_that_eats_its_memory_is_said_to(engine: Engine, registry: Registry, base_image: str) -> None:
    check = start(engine, faulty.stub(engine, registry, base_image, "eats"), limits=Limits(memory="64m"))
    assert check.verdict is Verdict.FAIL
    assert "out of memory" in check.reason or "exit code 137" in check.reason


def test_a_command_that_is_not_there_is_a_fail_and_not_a_crash(
    engine: Engine, registry: Registry, base_image: str
) -> None:
    check = start(engine, faulty.build(engine, registry, base_image, 'USER 10001\nCMD ["no-such-server"]'))
    assert check.verdict is Verdict.FAIL
    assert "no-such-server" in check.reason


def test_health_checks_that_do_not_work(engine: Engine, registry: Registry, base_image: str) -> None:
    for lines, said in (
        ('HEALTHCHECK --retries=1 CMD ["curl", "-f", "http://127.0.0.1:8080/health"]', "curl"),
        ("", "no HEALTHCHECK"),
    ):
        with hardened.start(engine, faulty.stub(engine, registry, base_image, lines=lines), health=1) as service:
            assert ready.wait(service).ok
            (check,) = ready.healthy(service, seconds=4)
        assert check.verdict is Verdict.FAIL
        assert said in check.reason


def test_a_server_that_does_not_hear_that_it_should_stop(engine: Engine, registry: Registry, base_image: str) -> None:
    with hardened.start(engine, faulty.stub(engine, registry, base_image, "deaf")) as service:
        assert ready.wait(service).ok
        (check,) = hardened.stopped(service, 2)
    assert check.verdict is Verdict.FAIL
    assert "SIGTERM" in check.reason


def test_values_of_variables_are_on_no_command_line(
    engine: Engine, registry: Registry, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    asked = Engine.ask

    def ask(self: Engine, *args: str, **more: object) -> object:
        said.extend(args)
        return asked(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "ask", ask)
    with hardened.start(engine, faulty.stub(engine, registry, base_image), environ={"TOKEN": "hunter2"}) as service:
        told = engine.run("exec", service.container, "python3", "-c", "import os; print(os.environ['TOKEN'])")
    assert told == "hunter2"
    assert not any("hunter2" in one for one in said)


def test_an_image_that_is_not_there(engine: Engine) -> None:
    with pytest.raises(MlgateError, match="no image"), hardened.start(engine, "localhost:1/none:none"):
        pass
