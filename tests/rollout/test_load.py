"""Load: who comes on their own waits when a server stands still, and an answer that is wrong is no answer."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from answering import Stub
from builder import MLGATE, Repo
from mlgate.commands.load import command
from mlgate.config.deploying import LoadTest
from mlgate.errors import MlgateError
from mlgate.image import traffic
from mlgate.image.answers import BrokenError, Parser
from mlgate.image.protocol import AnswerError, Example
from mlgate.image.service import Service
from mlgate.image.traffic import Pressure, Request, Seen
from mlgate.model import Evidence, Verdict, worst
from mlgate.rollout.checks import load

ROWS = [{"age": 20 + n, "income": 60.0 * n} for n in range(20)]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers every request by what `answer(number)` gives: octets, after so many seconds; None: closes."""

    def __init__(
        self, answer: Callable[[int], tuple[bytes | None, float]], *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.answer, self.tls = answer, tls
        self.asked = 0
        self.connections = 0
        self.loop = asyncio.new_event_loop()
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                at = head.lower().find(b"content-length:")
                if at >= 0:
                    await reader.readexactly(int(head[at + 15 : head.find(b"\r\n", at)]))
                self.asked += 1
                octets, seconds = self.answer(self.asked)
                if seconds:
                    await asyncio.sleep(seconds)
                if octets is None:
                    break
                writer.write(octets)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def __enter__(self) -> Server:
        started = threading.Event()

        async def main() -> None:
            self.over = asyncio.Event()
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, backlog=512)
            port = server.sockets[0].getsockname()[1]
            self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{port}"
            started.set()
            await self.over.wait()
            server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.05)  # until what was closed is gone

        def run() -> None:
            self.loop.run_until_complete(main())
            self.loop.close()

        self.thread = threading.Thread(target=run)
        self.thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()


def press(answer: Callable[[int], tuple[bytes | None, float]], **pressure: Any) -> tuple[Seen, Server]:
    with Server(answer) as server:
        seen = traffic.press(server.url, [Request()], Pressure(**{"duration": 1.0, "timeout": 5.0, **pressure}))
    return seen, server


# -- asking ------------------------------------------------------------------------------------------------------------


def test_a_rate_is_kept_and_every_request_counted() -> None:
    seen, server = press(lambda _: (OK, 0.0), rate=200)
    assert (seen.good, seen.wrong, server.asked) == (200, 0, 200)
    assert len(seen.times) == 200
    assert seen.seconds >= 0.9


def test_callers_ask_again_when_they_have_their_answer() -> None:
    seen, server = press(lambda _: (OK, 0.05), connections=4)
    assert server.connections == seen.connections == 4
    assert 10 <= seen.good <= 84, "4 callers, 50 ms each, 1 second"
    assert server.asked == seen.good


def test_a_server_that_stands_still_makes_those_wait_who_come_meanwhile() -> None:
    """Without this a rate would be told the times of the few that were under way: coordinated omission."""
    still = threading.Event()
    began: list[float] = []

    def answer(_: int) -> tuple[bytes | None, float]:
        began.append(began[0] if began else time.monotonic())
        gone = time.monotonic() - began[0]
        if gone > 0.4 and not still.is_set():
            still.set()
            time.sleep(0.5)  # the whole server: nobody is answered
        return OK, 0.0

    by_rate, _ = press(answer, rate=200, duration=1.2)
    assert by_rate.wrong == 0
    assert (by_rate.quantile(0.75) or 0) > 0.1, "about 100 of 240 came while it stood still"
    still.clear()
    began.clear()
    by_callers, _ = press(answer, connections=2, duration=1.2)
    slow = sum(one > 0.25 for one in by_callers.times)
    assert 1 <= slow <= 0.05 * by_callers.good + 2, "and of callers who wait for each other hardly anybody sees it"


def test_wrong_answers_are_told_apart() -> None:
    answers = [
        (OK, 0.0), (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 0.0), (None, 0.0), (b"nonsense\r\n\r\n", 0.0),
    ]  # fmt: skip
    seen, _ = press(lambda n: answers[n % 4], rate=100)
    assert seen.asked == 100
    assert (seen.good, seen.wrong) == (25, 75)
    assert seen.errors == {
        "an answer of 503": 25, "the connection was closed without an answer": 25, "an answer that is not HTTP/1.1": 25,
    }  # fmt: skip


def test_a_request_that_is_given_up_is_an_error_and_in_the_percentiles() -> None:
    seen, _ = press(lambda n: (OK, 30.0 if n % 10 == 0 else 0.0), rate=100, timeout=0.5)
    assert seen.errors == {"no answer within 0.5 seconds": 10}
    assert (seen.quantile(0.95) or 0) >= 0.5
    assert (seen.quantile(0.5) or 1) < 0.3


def test_requests_that_find_no_connection_wait_and_count() -> None:
    seen, server = press(lambda _: (OK, 0.1), rate=100, most=5)
    assert server.connections <= 5
    assert seen.good == 100
    assert (seen.quantile(0.99) or 0) > 0.5, "50 a second are answered of 100 that are due"
    assert (seen.throughput or 100) < 70


def test_a_server_that_is_not_there_ends_it_early() -> None:
    with Server(lambda _: (OK, 0.0)) as server:
        url = server.url
    began = time.monotonic()
    seen = traffic.press(url, [Request()], Pressure(rate=5000, duration=60))
    assert seen.stopped
    assert seen.good == 0 < seen.wrong
    assert time.monotonic() - began < 20
    assert [one.verdict for one in load.judge(seen, LoadTest())] == [Verdict.FAIL]


def test_whoever_does_not_want_it_any_more_is_heard() -> None:
    began = time.monotonic()
    with Server(lambda _: (OK, 0.01)) as server:
        seen = traffic.press(
            server.url, [Request()], Pressure(connections=2, duration=60), stop=lambda: time.monotonic() - began > 0.5
        )
    assert time.monotonic() - began < 10
    assert seen.stopped
    assert next(load.judge(seen, LoadTest())).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("url", ["", "ftp://x", "127.0.0.1:80", "http://", "http://x:99999"])
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(MlgateError, match="is no address"):
        traffic.press(url, [Request()], Pressure(rate=1))


def test_a_header_is_one_line() -> None:
    with pytest.raises(MlgateError, match="is not one line"):
        traffic.press("http://127.0.0.1:1", [Request(headers={"X": "a\r\nY: b"})], Pressure(rate=1))


def test_tls_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with Server(lambda _: (OK, 0.0), tls=tls) as server:
        unknown = traffic.press(server.url, [Request()], Pressure(rate=20, duration=0.5))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        known = traffic.press(server.url, [Request()], Pressure(rate=20, duration=0.5))
    assert unknown.good == 0
    assert "certificate does not hold" in next(iter(unknown.errors))
    assert (known.good, known.wrong) == (10, 0)


# -- answers of HTTP/1.1 -----------------------------------------------------------------------------------------------

ANSWERS: list[tuple[bytes, tuple[int, bytes, bool]]] = [
    (OK, (200, b"{}", False)),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"{}", False)),
    (b"HTTP/1.1 204 No\r\n\r\n", (204, b"", False)),
    (b"HTTP/1.1 500 X\r\ncontent-length:0\r\nConnection: close\r\n\r\n", (500, b"", True)),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
        (200, b"abc0123456789", False),
    ),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (200, b"", False)),
]


@given(st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=6), st.data())
def test_answers_are_the_same_in_whatever_pieces(several: list[tuple[bytes, Any]], data: st.DataObject) -> None:
    octets = b"".join(one for one, _ in several)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(octets) - 1), max_size=12)))
    parser, found = Parser(), []
    for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        found += [(one.status, one.body, one.close) for one in parser.feed(octets[start:end])]
    assert found == [expected for _, expected in several]
    assert parser.end() is None


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    parser = Parser()
    assert list(parser.feed(b"HTTP/1.1 200 OK\r\n\r\nabc")) == []
    whole = parser.end()
    assert whole is not None
    assert (whole.body, whole.close) == (b"abc", True)


@pytest.mark.parametrize("octets", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", b"HTTP/1.1 200"])
def test_an_answer_that_is_cut_off_is_none(octets: bytes) -> None:
    parser = Parser()
    assert list(parser.feed(octets)) == []
    with pytest.raises(BrokenError, match="closed within an answer"):
        parser.end()


@pytest.mark.parametrize(
    "octets",
    [
        b"x" * 70_000,
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
    ],
)
def test_what_is_no_answer_is_none(octets: bytes) -> None:
    with pytest.raises(BrokenError):
        list(Parser().feed(octets))


# -- predictions under load --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [("", ""), ("under-load", "another answer"), ("flaky", "an answer of 503"), ("drop", "closed without an answer")],
)
def test_fast_and_wrong_is_wrong(fault: str, said: str) -> None:
    with Stub([fault]) as stub:
        requests = load.ask(Service(stub.url), Example(ROWS[:2]), ROWS)
        assert len(requests) == len(ROWS)
        seen = traffic.press(stub.url, requests, Pressure(connections=4, duration=3.0))
    check = next(load.judge(seen, LoadTest()))
    assert check.verdict is (Verdict.FAIL if fault else Verdict.PASS), check.reason
    assert said in check.reason


@pytest.mark.parametrize("fault", ["nan", "short"])
def test_what_is_not_answered_alone_is_not_loaded(fault: str) -> None:
    with Stub([fault]) as stub, pytest.raises(AnswerError):
        load.ask(Service(stub.url), Example(ROWS[:2]))


def seen(times: list[float], errors: int = 0, *, late: float = 0.0, rate: float | None = None) -> Seen:
    pressure = Pressure(rate=rate, connections=None if rate else 8, duration=10.0)
    wrong = Counter({"an answer of 500": errors} if errors else {})
    return Seen(pressure, len(times), array("d", sorted(times)), wrong, 10.0, 8, array("d", [late]))


@pytest.mark.parametrize(
    ("found", "limits", "verdict"),
    [
        (seen([0.01] * 1000), {"latency_p95": "10 ms"}, Verdict.PASS),
        (seen([0.01] * 1000), {"latency_p95": "9 ms"}, Verdict.FAIL),
        (seen([0.01] * 940 + [1.0] * 60), {"latency_p95": "100 ms"}, Verdict.WARN),
        (seen([0.01] * 20), {"latency_p99": "100 ms"}, Verdict.INCONCLUSIVE),
        (seen([0.3] * 1000, late=0.2, rate=100), {"latency_p95": "250 ms"}, Verdict.INCONCLUSIVE),
        (seen([0.01] * 1000), {"throughput_rps": 100}, Verdict.PASS),
        (seen([0.01] * 1000), {"throughput_rps": 101}, Verdict.FAIL),
        (seen([0.01] * 999, 1), {}, Verdict.FAIL),
        (seen([0.01] * 999, 1), {"error_rate": "0.1%"}, Verdict.PASS),
        (seen([0.01] * 998, 2), {"error_rate": "0.1%"}, Verdict.FAIL),
        (seen([]), {"latency_p50": "1 s", "throughput_rps": 1}, Verdict.ERROR),
        (seen([], 10), {"error_rate": "99.9%"}, Verdict.FAIL),
    ],
)
def test_limits_are_kept_as_they_are_written(found: Seen, limits: dict[str, Any], verdict: Verdict) -> None:
    checks = list(load.judge(found, LoadTest.model_validate(limits)))
    assert worst(one.verdict for one in checks) is verdict, checks
    assert all(one.reason for one in checks if one.verdict is not Verdict.PASS)
    assert len(checks) == 1 + len([name for name in limits if name != "error_rate"])


# -- the verb ----------------------------------------------------------------------------------------------------------


@contextmanager
def answering(fault: str = "") -> Iterator[str]:
    with Stub([fault]) as stub:
        yield stub.url


def called(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(command, [*arguments], standalone_mode=False)
    if found.exception is not None and not isinstance(found.exception, MlgateError):
        raise found.exception
    return (2, str(found.exception)) if found.exception else (found.return_value, found.output)


@pytest.fixture
def body(tmp_path: Path) -> str:
    file = tmp_path / "body.json"
    file.write_text(json.dumps({"records": ROWS[:1]}), "utf-8")
    return str(file)


def test_the_verb_says_what_was_measured(body: str) -> None:
    with answering() as url:
        code, said = called(f"{url}/predict", "--body", body, "--rate", "50", "--duration", "1 s", "--json")
    told = json.loads(said)
    assert (code, told["verdict"], told["requests"], told["answered"], told["error_rate"]) == (0, "pass", 50, 50, 0.0)
    assert told["latency_p50_ms"] <= told["latency_p95_ms"] <= told["latency_p99_ms"] <= told["latency_max_ms"]
    assert told["throughput_rps"] == pytest.approx(50, rel=0.2)


def test_the_verb_fails_as_its_limits_say(body: str) -> None:
    with answering("slow") as url:
        arguments = [f"{url}/predict", "--body", body, "--connections", "8", "--duration", "1 s"]
        code, said = called(*arguments, "--latency-p50", "20 ms")
        assert (code, "verdict: fail" in said, "p50" in said) == (1, True, True)
        assert called(*arguments, "--latency-p50", "20 s")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["http://127.0.0.1:1"], "cannot be reached"),
        (["nowhere"], "is no address"),
        (["http://127.0.0.1:1/x", "--rate", "1", "--connections", "2"], "two ways"),
        (["http://127.0.0.1:1/x", "--rate", "0"], "above 0"),
        (["http://127.0.0.1:1/x", "--header", "nothing"], "NAME: VALUE"),
        (["http://127.0.0.1:1/x", "--header", "Authorization: Bearer $MLGATE_NO_SUCH"], "which is not set"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], said: str) -> None:
    code, told = called(*arguments)
    assert code == 2
    assert said in told
    assert "\n" not in told


def test_a_secret_comes_from_the_environment_and_is_not_told(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []
    with Stub() as stub:
        handle = stub.post
        stub.post = lambda to: (heads.append(to.headers["authorization"]), handle(to))[1]  # type: ignore[method-assign]
        monkeypatch.setenv("MY_TOKEN", "hunter2")
        code, said = called(
            f"{stub.url}/predict", "--body", body, "--rate", "5", "--duration", "1 s", "--header",
            "Authorization: Bearer $MY_TOKEN",
        )  # fmt: skip
    assert code == 0
    assert heads
    assert {*heads} == {"Bearer hunter2"}
    assert "hunter2" not in said


def test_limits_of_the_options_are_read_as_mlgate_yaml_writes_them() -> None:
    limits = LoadTest.model_validate({"rate": 5, "latency_p95": "20 ms", "error_rate": "0.1%"})
    assert (limits.latency_p95, limits.error_rate) == (Decimal("0.020"), Decimal("0.001"))


DEPLOY = """
deploy:
  trust: branch
  environments:
    staging: {target: local, checks: {load: {rate: 40, duration: 1 s, latency_p50: 5 s, error_rate: 1%}}}
    lean: {target: {kind: local, port: 8081}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    repo = Repo(tmp_path / "project")
    repo.write("mlgate.yaml", MLGATE + DEPLOY)
    repo.commit("Start")
    monkeypatch.chdir(repo.path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "CI", "GITLAB_"))]:
        monkeypatch.delenv(name)
    return repo.path


@pytest.mark.parametrize(("fault", "expected"), [("", Verdict.PASS), ("flaky", Verdict.FAIL)])
def test_an_environment_says_what_is_asked_and_leaves_evidence(
    fault: str, expected: Verdict, project: Path, body: str
) -> None:
    with answering(fault) as url:
        code, _ = called(f"{url}/predict", "--body", body, "--environment", "staging", "--duration", "3 s")
    (file,) = (project / ".mlgate/evidence").glob("*/load.json")
    evidence = Evidence.from_json(file.read_text("utf-8"))
    assert evidence.facts["load_requests"] == 120, "its rate, and the duration of the option"
    assert evidence.verdict is expected
    assert code == expected.exit_code
    assert [one.id for one in evidence.checks] == ["rollout.load.errors", "rollout.load.latency_p50"]


def test_an_environment_that_is_not_there_is_named(project: Path) -> None:
    code, said = called("http://127.0.0.1:1/x", "--environment", "nowhere")
    assert code == 2
    assert "staging, lean" in said
