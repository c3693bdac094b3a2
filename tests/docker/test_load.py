"""Load on real containers, and what it costs: figures that agree with another tool's, and errors that are found."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import faulty
from engine import machine
from engine.building import COLUMNS, Builder
from engine.registry import Registry
from mlgate.image import costs, hardened, load, ready
from mlgate.image.costs import Costs
from mlgate.image.engine import Engine
from mlgate.image.plan import Plan
from mlgate.image.protocol import PREDICT
from mlgate.model import Verdict

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def plan(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return faulty.named_plan(builder, tmp_path_factory.mktemp("named"))


@pytest.fixture(scope="module")
def image(builder: Builder, plan: Plan) -> str:
    """The template's image of a model with named columns; its server is mlgate's."""
    return builder.image(plan).tag


RECORDS = [dict.fromkeys(COLUMNS, 0.1 * n - 2) for n in range(40)]


def test_the_real_server_is_measured(engine: Engine, image: str) -> None:
    with hardened.start(engine, image) as service:
        waited = ready.wait(service)
        assert waited.ok, waited.check.reason
        found = load.measure(service, PREDICT, RECORDS, connections=8, requests=2000)
        memory = costs.memory(service)
    assert [c.verdict for c in load.checks(found)] == [Verdict.PASS], found.errors
    whole = Costs(costs.size(engine.inspect(image) or {}), waited.seconds, memory, found).values()
    assert all(value is not None and value > 0 for value in whole.values()), whole
    assert (whole["latency_p50_ms"] or 0) <= (whole["latency_p95_ms"] or 0) <= (whole["latency_p99_ms"] or 0)
    assert 100 < (whole["image_mb"] or 0) < 1000


def test_it_sees_what_another_tool_sees(engine: Engine, image: str, tmp_path: Path) -> None:
    """At one connection, where neither tool waits for its own turn: the medians agree within a factor."""
    machine.needs("wrk")
    script = tmp_path / "post.lua"
    body = PREDICT.body([RECORDS[0]]).decode()
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = [[{body}]]\nwrk.headers['Content-Type'] = 'application/json'\n", "utf-8"
    )
    with hardened.start(engine, image) as service:
        assert ready.wait(service).ok
        load.measure(service, PREDICT, RECORDS[:1], connections=1, requests=500)
        ratios = []
        for _ in range(3):
            ours = load.measure(service, PREDICT, RECORDS[:1], connections=1, requests=1500).quantile(0.5)
            said = subprocess.run(
                ["wrk", "-t1", "-c1", "-d2s", "--latency", "-s", str(script), f"{service.url}/predict"],
                capture_output=True, text=True, check=True, timeout=60,
            ).stdout  # fmt: skip
            match = re.search(r"50%\s+([\d.]+)(us|ms|s)", said)
            assert match, said
            theirs = float(match[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[match[2]]
            assert ours is not None
            ratios.append(ours / theirs)
    assert min(ratios) < 2.0, ratios
    assert max(ratios) > 0.5, ratios


@pytest.mark.parametrize(("fault", "said"), [("flaky", "503"), ("under-load", "another answer")])
def test_errors_under_load_are_found(
    engine: Engine, registry: Registry, base_image: str, fault: str, said: str
) -> None:
    rows = [{"age": 20 + n, "income": 60.0 * n} for n in range(10)]
    with hardened.start(engine, faulty.stub(engine, registry, base_image, fault)) as service:
        assert ready.wait(service).ok
        (check,) = load.checks(load.measure(service, PREDICT, rows, requests=200, connections=4))
    assert check.verdict is Verdict.FAIL
    assert said in check.reason


def test_a_server_that_goes_under_load_is_found(engine: Engine, registry: Registry, base_image: str) -> None:
    rows = [{"age": 20 + n, "income": 60.0 * n} for n in range(10)]
    with hardened.start(engine, faulty.stub(engine, registry, base_image, "slow")) as service:
        assert ready.wait(service).ok
        killer = subprocess.Popen(["sh", "-c", f"sleep 3; exec {engine.command} kill {service.container}"])
        found = load.measure(service, PREDICT, rows, requests=100_000, connections=4, seconds=60)
        killer.wait()
    assert [c.verdict for c in load.checks(found)] == [Verdict.FAIL]
    assert sum(found.errors.values()) < 100  # nobody is there any more: it does not go on asking
