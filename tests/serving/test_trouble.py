"""What can go wrong around a server: it stays up, answers the others, and says what happened."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from logging_samples import small_disk, until, written
from running import Server, serving

from mlgate.serving.settings import Log


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that leave it as it was: that it lives on from one to the next is what they are about."""
    with serving(tmp_path_factory.mktemp("a server"), timeout=3.0, max_body=4_000_000) as made:
        yield made
        assert made.stop() == 0, made.errors


@pytest.fixture(autouse=True)
def _lives_on(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        made = request.getfixturevalue("server")
        status, answer = made.predict(21)
        assert (status, answer["prediction"]) == (200, 42)
        assert made.ready()
        until(lambda: made.count("mlgate_in_flight") == 0)


def test_a_model_that_raises(server: Server) -> None:
    status, answer = server.predict(-1, headers={"x-request-id": "asked-17"})
    assert status == 500
    assert "Ada" not in json.dumps(answer)
    assert "Traceback" not in json.dumps(answer)
    assert answer["request_id"] == "asked-17"
    until(lambda: "asked-17" in server.errors)
    assert "RuntimeError: the patient's name is Ada" in server.errors
    assert "odd_model.py" in server.errors, "the trace is in the server's own log"
    assert server.predict(1)[0] == 200
    until(server.log.exists)
    assert "asked-17" not in {line["request_id"] for line in written(server.log)}, "nothing was predicted"


@pytest.mark.parametrize(("x", "says"), [(-4, "no usable answer"), (-5, "SystemExit")])
def test_a_model_that_answers_nonsense_or_wants_to_end(server: Server, x: float, says: str) -> None:
    status, answer = server.predict(x)
    assert status == 500
    assert says not in json.dumps(answer)
    until(lambda: says in server.errors)


def test_a_body_of_10_mb(server: Server) -> None:
    status, answer = server.ask(b"[" + b"1," * 5_000_000 + b"1]")
    assert status == 413
    assert "4000000" in answer["error"]


def test_a_body_of_10_mb_that_does_not_say_so(server: Server) -> None:
    link = server.connection()
    link.request("POST", "/predict", iter([b"[1,2,3,4," * 1000] * 1200), {"content-type": "application/json"},
                 encode_chunked=True)  # fmt: skip
    assert link.getresponse().status == 413
    link.close()


def test_a_header_of_1_mb(server: Server) -> None:
    with server.socket() as one:
        one.sendall(b"POST /predict HTTP/1.1\r\nhost: h\r\nx-much: ")
        with contextlib.suppress(OSError):  # it need not be read to the end
            for _ in range(16):
                one.sendall(b"a" * 65_536)
            one.sendall(b"\r\ncontent-length: 2\r\n\r\n{}")
        assert answered(one).startswith(b"HTTP/1.1 431 ")


def test_many_small_headers(server: Server) -> None:
    with server.socket() as one:
        with contextlib.suppress(OSError):  # it need not be read to the end
            one.sendall(b"POST /predict HTTP/1.1\r\nhost: h\r\n" + b"x-a: b\r\n" * 100_000 + b"\r\n")
        assert answered(one).startswith(b"HTTP/1.1 431 ")


def answered(one: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found and (part := one.recv(65_536)):
        found += part
    return found


def test_slow_clients_hold_up_nobody(server: Server) -> None:
    slow = [server.socket() for _ in range(200)]
    try:
        for number, one in enumerate(slow):
            head = b"POST /predict HTTP/1.1\r\nhost: h\r\n"
            one.sendall(head if number % 2 else head + b"content-length: 20\r\n\r\n{")  # and then nothing
        start = time.monotonic()
        for _ in range(50):
            assert server.predict(1)[0] == 200
        assert time.monotonic() - start < 10
        assert answered(slow[0]).startswith(b"HTTP/1.1 408 "), "a body has `timeout` seconds to arrive"
        assert time.monotonic() - start < 15
    finally:
        for one in slow:
            one.close()


def test_a_client_that_sends_octet_by_octet_is_answered(server: Server) -> None:
    body = b'{"x": 4, "y": 0}'
    request = b"POST /predict HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
    with server.socket() as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in request % (len(body), body):
            one.sendall(bytes([octet]))
            time.sleep(0.002)
        said = answered(one)
    assert said.startswith(b"HTTP/1.1 200 ")


def test_a_client_that_leaves_is_forgotten(server: Server) -> None:
    for _ in range(20):
        with server.socket() as one:
            one.sendall(b"POST /predict HTTP/1.1\r\nhost: h\r\ncontent-length: 20\r\n\r\n{")
    until(lambda: server.count("mlgate_in_flight") == 0)
    for _ in range(20):
        with server.socket() as one:  # and one that leaves while the model computes
            body = b'{"x": -6, "y": 0}'
            one.sendall(b"POST /predict HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            break
    until(lambda: server.count("mlgate_in_flight") == 0)


@pytest.mark.parametrize(
    "body",
    [b'{"x": "\xff\xfe", "y": 0}', b"\xff\xfe{\x00}\x00", b"\x00", b"", b'{"x": "\xed\xa0\x80"}', b"[" * 100_000],
)
def test_a_body_that_is_no_text(server: Server, body: bytes) -> None:
    status, answer = server.ask(body, headers={"x-request-id": "no-text"})
    assert status == 400
    assert answer["request_id"] == "no-text"


def test_a_request_id_that_is_no_text_is_replaced(server: Server) -> None:
    body = b'{"x": 4, "y": 0}'
    with server.socket() as one:
        one.sendall(
            b'POST /predict HTTP/1.1\r\nhost: h\r\nx-request-id: \xff\xfe"\r\nconnection: close\r\n'
            b"content-length: %d\r\n\r\n%s" % (len(body), body)
        )
        found = b""
        while part := one.recv(65_536):
            found += part
    head, said = found.split(b"\r\n\r\n", 1)
    made = json.loads(said)["request_id"]
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"x-request-id: {made}".encode() in head.lower()
    until(lambda: made in {line["request_id"] for line in written(server.log)})


def test_what_is_no_http(server: Server) -> None:
    with server.socket() as one:
        one.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(64))
        assert answered(one).startswith(b"HTTP/1.1 400 ")


def test_a_model_that_never_returns(tmp_path: Path) -> None:
    with serving(tmp_path, timeout=0.5) as server:
        start = time.monotonic()
        status, answer = server.predict(-2)
        assert (status, time.monotonic() - start < 3) == (504, True)
        assert "0.5 s" in answer["error"]
        others = []
        for _ in range(20):  # meanwhile, and after
            others.append(server.predict(2)[0])
        assert others == [200] * 20
        assert server.count("mlgate_requests_total", "/predict", "504") == 1
        for _ in range(5):  # again and again: whoever supervises gets a process that works
            assert server.predict(-2)[0] in {504, 503}
        until(lambda: server.ready() and server.predict(3)[0] == 200, 30)
        assert server.stop() == 0, server.errors


def test_a_model_that_takes_its_process_with_it(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as server:
        assert server.predict(1)[0] == 200
        with pytest.raises((OSError, Exception)):
            server.predict(-3)
        until(lambda: server.ready() and server.count("mlgate_workers") == 2, 30)
        assert [server.predict(1)[0] for _ in range(20)] == [200] * 20
        until(lambda: server.count("mlgate_predictions_total") == 21)
        assert server.stop() == 0, server.errors


def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "128k") as disk:
        log = Log(to="file", path=str(disk / "p.jsonl"), max_bytes=10**6, keep=2, queue=50, features=("x",))
        with serving(tmp_path / "server", log=log) as server:
            assert [server.predict(number)[0] for number in range(1000)] == [200] * 1000
            until(lambda: server.count("mlgate_log_dropped_total") > 0)
            until(lambda: "No space left on device" in server.errors)
            (disk / "p.jsonl").unlink()  # somebody makes room
            until(lambda: server.predict(7)[0] == 200 and (disk / "p.jsonl").exists())
            before = server.count("mlgate_log_written_total")
            assert server.predict(8)[0] == 200
            until(lambda: server.count("mlgate_log_written_total") > before)
            assert all(line["model"] == "visits" for line in written(disk / "p.jsonl")), "no half line"
            assert server.ready()
            assert server.stop() == 0


@pytest.mark.parametrize("path", ["/dev/full", "/proc/nothing/p.jsonl"])
def test_a_log_that_cannot_be_written(tmp_path: Path, path: str) -> None:
    with serving(tmp_path, log=Log(to="file", path=path, queue=5)) as server:
        assert [server.predict(1)[0] for _ in range(50)] == [200] * 50
        until(lambda: server.count("mlgate_log_dropped_total") > 0)
        until(lambda: "It cannot be written" in server.errors)
        assert server.ready()
        assert server.stop() == 0
        assert server.errors.count("It cannot be written") == 2, "once, and once at the end for what still waited"


def test_a_log_whose_reader_is_stuck(tmp_path: Path) -> None:
    """Standard output into a pipe that nobody empties: what a hanging log driver is to a container."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    keeper = os.open(pipe, os.O_RDWR)
    try:
        with serving(tmp_path / "server", log=Log(to="file", path=str(pipe), queue=100)) as server:
            assert [server.predict(1)[0] for _ in range(1000)] == [200] * 1000
            until(lambda: server.count("mlgate_log_dropped_total") > 0)
            assert server.ready()
            assert server.stop(40) == 0
    finally:
        os.close(keeper)


def test_the_log_has_its_key_or_the_server_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="MLGATE_LOG_KEY"), serving(tmp_path, log=Log(hashed=("x",))):
        pass


def test_standard_output_is_the_log_and_nothing_else(tmp_path: Path) -> None:
    with serving(tmp_path, log=Log(features=("x",)), workers=2) as server:
        threads = [threading.Thread(target=lambda: [server.predict(1) for _ in range(50)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.stdout.read_text(encoding="utf-8").splitlines()]
        assert len(lines) == 200
        assert {(line["environment"], line["prediction"], line["features"]["x"]) for line in lines} == {("test", 2, 1)}
