"""Bodies, rows, headers and clients that are larger or slower than the server takes."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest
from served import Client, as_joblib, numbers, served

from mlgate.serving import limits

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # as the server itself does
ROW = numbers().iloc[0].to_dict()


@pytest.fixture(scope="module")
def server() -> Iterator[Client]:
    with served(as_joblib("logistic"), max_body=10_000, max_rows=20, timeout=1.0) as client:
        yield client


def connected(server: Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.base.rpartition(":")[2])), timeout=20)


def answer(connection: socket.socket) -> bytes:
    said = b""
    while part := connection.recv(65536):
        said += part
    return said


def test_rows_up_to_the_limit_are_answered_and_no_more(server: Client) -> None:
    assert len(server.told([ROW] * 20)["prediction"]) == 20
    for body in ([ROW] * 21, {key: [value] * 21 for key, value in ROW.items()}, [list(ROW.values())] * 21):
        said = server.ask(body)
        assert said.status_code == 413
        assert "21 rows" in said.json()["error"]
    csv = "a,b,c\n" + "1,2,3\n" * 21
    assert server.ask(csv, "/invocations", headers={"content-type": "text/csv"}).status_code == 413


@pytest.mark.parametrize("size", [10_001, 10_000_000])
def test_a_body_that_is_too_large_is_refused_and_its_sender_hears_why(server: Client, size: int) -> None:
    said = server.ask(b" " * size)
    assert said.status_code == 413
    assert said.headers["connection"] == "close"


def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_large(server: Client) -> None:
    said = server.post(server.base + "/predict", data=iter([b" " * 6000] * 3), timeout=20)
    assert said.status_code == 413


def test_a_body_at_the_limit_is_read(server: Client) -> None:
    body = json.dumps(ROW).encode()
    assert server.ask(body + b" " * (10_000 - len(body))).status_code == 200


def test_headers_that_are_too_large_are_refused(server: Client) -> None:
    with connected(server) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\n")
        for _ in range(1000):
            connection.sendall(b"x-more: " + b"a" * 1000 + b"\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 431 ")
    assert server.ask(ROW, headers={"x-large": "a" * 20_000}).status_code == 200


def test_a_slow_body_is_given_up(server: Client) -> None:
    with connected(server) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        begun = time.monotonic()
        assert answer(connection).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - begun < 10


def test_slow_headers_are_given_up(server: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEADER_SECONDS", 0.5)
    with connected(server) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost")
        assert answer(connection).startswith(b"HTTP/1.1 408 ")
    with connected(server) as connection:  # who says nothing at all is not answered
        assert answer(connection) == b""


def test_who_does_not_read_the_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STALLED_SECONDS", 0.5)
    with (
        served(as_joblib("logistic"), max_body=20_000_000, max_rows=300_000) as client,
        connected(client) as connection,
    ):
        body = b"[" + b",".join([b"[1,2,3]"] * 250_000) + b"]"
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body)
        said = connection.recv(1000)
        assert said.startswith(b"HTTP/1.1 200 ")
        time.sleep(1.5)
        assert len(said) + len(answer(connection)) < 5_000_000  # of the seven that it would be


def test_pipelined_requests_are_all_answered(server: Client) -> None:
    one = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(one * 3 + one.replace(b"host: x\r\n", b"host: x\r\nconnection: close\r\n"))
        assert answer(connection).count(b"HTTP/1.1 200 ") == 4


def test_compressed_bodies_and_other_types_are_refused(server: Client) -> None:
    assert server.ask(ROW, headers={"content-encoding": "gzip"}).status_code == 415
    assert server.ask(b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert server.ask(b"{}", headers={"content-type": "application/json; charset=latin-1"}).status_code == 415
    assert server.ask(ROW, headers={"content-type": "application/json; charset=UTF-8"}).status_code == 200
