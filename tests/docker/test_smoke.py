"""The smoke test on real containers: mlgate's own server passes it, and a server that is wrong does not."""

from __future__ import annotations

import pytest

import faulty
from answering import DIGEST
from engine.building import COLUMNS, Builder, settings
from engine.registry import Registry
from mlgate.image import hardened, ready, smoke
from mlgate.image.engine import Engine
from mlgate.image.plan import Plan
from mlgate.image.protocol import Example
from mlgate.model import Verdict, worst
from mlgate.serving.settings import Input

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def plan(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return faulty.named_plan(builder, tmp_path_factory.mktemp("named"))


@pytest.fixture(scope="module")
def image(builder: Builder, plan: Plan) -> str:
    """The template's image of a model with named columns; its server is mlgate's."""
    return builder.image(plan).tag


EXAMPLE = Example([dict.fromkeys(COLUMNS, 0.5), dict.fromkeys(COLUMNS, -1.5)])
TOLD = settings()
ASKED = smoke.Asked(TOLD.identity.digest, TOLD.inputs, commit=TOLD.identity.commit)


def run(engine: Engine, tag: str, example: Example | None, asked: smoke.Asked) -> smoke.Seen:
    with hardened.start(engine, tag) as service:
        found = ready.wait(service)
        assert found.ok, found.check.reason
        return smoke.checks(service, example, asked)


def bad(seen: smoke.Seen) -> dict[str, str]:
    return {
        c.id.removeprefix("image.smoke."): f"{c.verdict} {c.reason}" for c in seen.checks if c.verdict != Verdict.PASS
    }


def test_mlgates_own_server_passes(engine: Engine, image: str) -> None:
    seen = run(engine, image, EXAMPLE, ASKED)
    assert bad(seen) == {}
    assert len(seen.checks) >= 20


def test_an_image_of_another_model_is_found(engine: Engine, image: str) -> None:
    seen = run(engine, image, EXAMPLE, smoke.Asked("sha256:" + "cd" * 32, TOLD.inputs))
    assert bad(seen).keys() == {"version"}


STUBS = smoke.Asked(DIGEST, (Input("age", "integer"), Input("income", "number")))
ROWS = Example([{"age": 30, "income": 1200.0}, {"age": 70, "income": 300.5}])


@pytest.mark.parametrize(
    ("faults", "found"),
    [
        ((), set()),
        (("werkzeug",), {"debug"}),
        (("console",), {"debug"}),
        (("leak-404",), {"lost"}),
        (("other-model",), {"version"}),
        (("nameless",), {"malformed.missing", "malformed.type", "malformed.nested"}),
    ],
)
def test_each_fault_of_a_server_is_found(
    engine: Engine, registry: Registry, base_image: str, faults: tuple[str, ...], found: set[str]
) -> None:
    seen = run(engine, faulty.stub(engine, registry, base_image, *faults), ROWS, STUBS)
    assert bad(seen).keys() == found


def test_a_traceback_in_an_answer_is_found(engine: Engine, registry: Registry, base_image: str) -> None:
    seen = run(engine, faulty.stub(engine, registry, base_image, "leak"), ROWS, STUBS)
    assert {f"malformed.{word}" for word in ("empty", "text", "missing", "type")} <= bad(seen).keys()
    assert worst(check.verdict for check in seen.checks) is Verdict.FAIL


def test_a_container_that_goes_in_between_is_found(engine: Engine, registry: Registry, base_image: str) -> None:
    with hardened.start(engine, faulty.stub(engine, registry, base_image)) as service:
        assert ready.wait(service).ok
        engine.run("kill", service.container)
        seen = smoke.checks(service, ROWS, STUBS)
    assert bad(seen).keys() == {"alive"}
