"""Load: every answer is looked at, quantiles are times that were measured, and limits are kept as they are written."""

from __future__ import annotations

import random
import socket
import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering import Stub
from mlgate.config.shipping import IMAGE_COSTS, Limit
from mlgate.image import costs, load
from mlgate.image.costs import Costs
from mlgate.image.load import Measured
from mlgate.image.protocol import PREDICT
from mlgate.image.service import Service
from mlgate.model import Check, Verdict, worst

RECORDS = [{"age": 20 + n, "income": 60.0 * n} for n in range(20)]


def run(*faults: str, requests: int = 300, connections: int = 8, **more: Any) -> Measured:
    with Stub(faults) as stub:
        return load.measure(Service(stub.url), PREDICT, RECORDS, requests=requests, connections=connections, **more)


def test_every_request_is_made_and_answered() -> None:
    with Stub() as stub:
        found = load.measure(Service(stub.url), PREDICT, RECORDS, requests=300, connections=8)
        assert stub.asked == 20 + 30 + 300, "each row once, the warm-up, and no request more"
    assert (len(found.times), found.errors) == (300, {})
    assert found.throughput == pytest.approx(300 / found.seconds)
    assert [check.verdict for check in load.checks(found)] == [Verdict.PASS]
    assert list(found.times) == sorted(found.times)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("flaky", "503"), ("drop", "closed without an answer"), ("under-load", "another answer")],
)
def test_a_single_wrong_answer_fails(fault: str, said: str) -> None:
    found = run(fault)
    (check,) = load.checks(found)
    assert check.verdict is Verdict.FAIL
    assert said in check.reason
    assert check.unexpected == sum(found.errors.values()) > 0


@pytest.mark.parametrize("fault", ["nan", "short", "mlflow"])
def test_a_server_that_does_not_answer_alone_is_not_loaded(fault: str) -> None:
    assert [check.verdict for check in load.checks(run(fault))] == [Verdict.FAIL]


def test_without_a_row_nothing_passes() -> None:
    with Stub() as stub:
        found = load.measure(Service(stub.url), PREDICT, [], requests=10)
    assert [check.verdict for check in load.checks(found)] == [Verdict.FAIL]
    assert [check.verdict for check in load.checks(Measured(8, 100))] == [Verdict.ERROR]


def test_time_bounds_it() -> None:
    began = time.monotonic()
    found = run("slow", requests=100_000, seconds=1.0)
    assert time.monotonic() - began < 10
    (check,) = load.checks(found)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert 0 < len(found.times) < 100_000


def test_a_server_that_is_gone_ends_it_at_once() -> None:
    with Stub() as stub:
        service = Service(stub.url)
    began = time.monotonic()
    assert [check.verdict for check in load.checks(load.measure(service, PREDICT, RECORDS))] == [Verdict.FAIL]
    assert time.monotonic() - began < 5


def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "PATIENCE", 0.5)
    with Stub() as stub, socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(16)
        loop = load._Loop(f"http://127.0.0.1:{mute.getsockname()[1]}", [b"x"], [([1], None)], 3, time.monotonic() + 60)
        loop.run(2)
        assert stub.asked == 0
    assert loop.errors == {"no answer within 0.5 seconds": 3}


def test_answers_in_pieces_and_one_octet_at_a_time() -> None:
    body = b'{"prediction": [1]}'
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        5, body[:5], len(body) - 5, body[5:],
    )  # fmt: skip
    plain = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                for answer in (chunked, plain):
                    connection.recv(1000)
                    for place in range(len(answer)):
                        connection.send(answer[place : place + 1])
                        time.sleep(0.0005)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        loop = load._Loop(url, [b"x"], [([1], None)], 2, time.monotonic() + 20)
        loop.run(1)
        thread.join()
    assert (len(loop.times), loop.errors) == (2, {})


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_a_time_that_was_measured(times: list[float], share: float) -> None:
    ordered = tuple(sorted(times))
    found = Measured(1, len(times), ordered, 1.0).quantile(share)
    assert found in ordered
    assert sum(one <= found for one in ordered) >= share * len(ordered)
    assert sum(one < found for one in ordered) < share * len(ordered)


def test_the_interval_of_a_quantile_holds_it_as_often_as_it_says() -> None:
    draw = random.Random(20260101)  # noqa: S311 -- no secret
    below = above = 0
    for _ in range(1000):
        times = sorted(draw.expovariate(1.0) for _ in range(500))
        low, high = costs.interval(times, 0.95, 0.95)
        below += low > 2.995732
        above += high < 2.995732
    assert below <= 75
    assert above <= 75


# -- limits ------------------------------------------------------------------------------------------------------------


def measured(count: int = 2000, slow: float = 10.0) -> Costs:
    times = tuple(sorted(1 + slow * n / count for n in range(count)))
    return Costs(460.0, 2.5, 120.0, Measured(8, count, times, count / 500))


def judge(name: str, found: Costs, *, fail: str | None = None, warn: str | None = None) -> Check:
    limit = Limit(threshold=Decimal(fail) if fail else None, warn_threshold=Decimal(warn) if warn else None)
    (check,) = costs.checks(found, {name: limit})
    assert check.group == "image"
    return check


@pytest.mark.parametrize(
    ("name", "fail", "warn", "verdict"),
    [
        ("image_mb", "460", None, Verdict.PASS),  # a boundary value passes
        ("image_mb", "459.99", None, Verdict.FAIL),
        ("image_mb", "500", "459", Verdict.WARN),
        ("start_seconds", "2.5", None, Verdict.PASS),
        ("start_seconds", "2.4", None, Verdict.FAIL),
        ("memory_mb", "119", None, Verdict.FAIL),
        ("throughput_rps", "500", None, Verdict.PASS),
        ("throughput_rps", "500.1", None, Verdict.FAIL),
        ("throughput_rps", "100", "600", Verdict.WARN),
        ("latency_p50_ms", "7", None, Verdict.PASS),
        ("latency_p50_ms", "5", None, Verdict.FAIL),
        ("latency_p95_ms", "10.49", None, Verdict.WARN),  # crossed, and not proven
        ("latency_p99_ms", "9", None, Verdict.FAIL),
    ],
)
def test_limits(name: str, fail: str | None, warn: str | None, verdict: Verdict) -> None:
    check = judge(name, measured(), fail=fail, warn=warn)
    assert check.verdict is verdict, check.reason
    assert bool(check.reason) is (verdict is not Verdict.PASS)


@pytest.mark.parametrize("name", IMAGE_COSTS)
def test_what_was_not_measured_is_an_error(name: str) -> None:
    check = judge(name, Costs(missing={"memory_mb": "the engine did not say"}), fail="1000")
    assert check.verdict is Verdict.ERROR
    if name == "memory_mb":
        assert "the engine did not say" in check.reason


@pytest.mark.parametrize("name", IMAGE_COSTS)
def test_a_number_that_is_none_is_an_error(name: str) -> None:
    nan = float("nan")
    found = Costs(nan, nan, nan, Measured(8, 400, (nan,) * 400, nan))
    assert judge(name, found, fail="1").verdict is Verdict.ERROR


def test_few_requests_decide_nothing() -> None:
    assert judge("latency_p99_ms", measured(100), fail="1000").verdict is Verdict.INCONCLUSIVE
    assert judge("latency_p99_ms", measured(100), fail="1").verdict is Verdict.INCONCLUSIVE
    assert judge("latency_p50_ms", measured(100), fail="1000").verdict is Verdict.PASS


def test_no_rule_is_no_check_and_an_empty_one_is_an_error() -> None:
    assert costs.checks(measured(), {}) == []
    assert worst(c.verdict for c in costs.checks(measured(), {"image_mb": Limit()})) is Verdict.ERROR


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("113.2MiB", 118.698803), ("1.5GiB", 1610.612736), ("900kB", 0.9), ("12MB", 12.0), ("0B", None), ("--", None),
        ("", None), ("1..2MB", None), ("12 parsecs", None),
    ],
)  # fmt: skip
def test_megabytes(text: str, expected: float | None) -> None:
    assert costs.megabytes(text) == expected


@pytest.mark.parametrize(("inspected", "expected"), [({"Size": 461_000_000}, 461.0), ({}, None), ({"Size": 0}, None)])
def test_size(inspected: dict[str, Any], expected: float | None) -> None:
    assert costs.size(inspected) == expected
