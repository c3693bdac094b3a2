"""The whole server under load: no error, no request lost when it is told to stop, one log, one count."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from logging_samples import until, written
from running import Server, serving, wrk

from mlgate.serving.settings import Log


def settings(folder: Path) -> Log:
    return Log(to="file", path=str(folder / "p.jsonl"), max_bytes=200_000, keep=1000, features=("x",), queue=100_000)


def loaded(server: Server, wanted: int) -> int:
    done = 0
    while done < wanted:
        many, trouble = wrk(server, connections=64, seconds=5)
        assert trouble == ""
        assert many > 0
        done += many
    return done


def all_is_counted(server: Server, log: Path, least: int) -> None:
    """wrk does not wait for its last answers: the server may have given up to 64 more for each of its runs."""
    until(lambda: server.count("mlgate_in_flight") == 0)
    answered = server.count("mlgate_predictions_total")
    assert answered >= least
    assert server.count("mlgate_requests_total", "/predict", "200") == answered
    assert server.count("mlgate_request_seconds_count", "/predict") == answered
    until(lambda: server.count("mlgate_log_written_total") + server.count("mlgate_log_dropped_total") == answered)
    assert server.count("mlgate_log_dropped_total") == 0
    lines = written(log)
    assert len(lines) == answered
    assert len({line["request_id"] for line in lines}) == answered


def test_50_000_requests_at_64_connections(tmp_path: Path) -> None:
    with serving(tmp_path, kind="linear", log=settings(tmp_path / "logs")) as server:
        done = loaded(server, 50_000)
        all_is_counted(server, tmp_path / "logs" / "p.jsonl", done)
        assert server.stop() == 0, server.errors


@pytest.mark.long
def test_100_000_requests_at_64_connections_over_two_workers(tmp_path: Path) -> None:
    with serving(tmp_path, kind="linear", log=settings(tmp_path / "logs"), workers=2) as server:
        done = loaded(server, 100_000)
        all_is_counted(server, tmp_path / "logs" / "p.jsonl", done)
        assert server.stop() == 0, server.errors


def test_workers_share_one_log_and_one_page_of_metrics(tmp_path: Path) -> None:
    with serving(tmp_path, kind="linear", log=settings(tmp_path / "logs"), workers=3) as server:
        until(lambda: server.count("mlgate_workers") == 3, 60)  # it answers as soon as one of them does
        done, trouble = wrk(server, connections=32, seconds=3)
        assert trouble == ""
        all_is_counted(server, tmp_path / "logs" / "p.jsonl", done)
        assert len(list((tmp_path / "logs").iterdir())) > 1, "it was put aside while all wrote"
        assert server.stop() == 0, server.errors


class Caller(threading.Thread):
    """Sends one request after the other on a connection that it keeps, as a proxy does, until it is refused.

    A request is lost when it was taken (its connection accepted, every octet sent) and not answered.
    """

    REQUEST = b'POST /predict HTTP/1.1\r\nhost: h\r\ncontent-length: 16\r\n\r\n{"x": 4, "y": 0}'

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.answered = 0
        self.lost: list[str] = []

    def run(self) -> None:
        while True:
            try:
                one = self.server.socket(10)
            except ConnectionRefusedError:
                return
            except OSError as error:
                self.lost.append(f"connecting: {error}")
                return
            with one:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while self.once(one):
                    pass

    def once(self, one: socket.socket) -> bool:
        """Whether the connection may be used again."""
        try:
            one.sendall(self.REQUEST)
            answer = http.client.HTTPResponse(one)
            answer.begin()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.lost.append(f"{type(error).__name__}: {error}")
            return False
        if answer.status != 200:
            self.lost.append(str(answer.status))
            return False
        self.answered += 1
        return answer.getheader("connection") != "close"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_order_to_stop_under_load_loses_no_request(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, log=settings(tmp_path / "logs"), workers=workers) as server:
        callers = [Caller(server) for _ in range(32)]
        for caller in callers:
            caller.start()
        time.sleep(1.5)
        slow: list[tuple[int, object]] = []
        late = threading.Thread(target=lambda: slow.append(server.predict(-6)))  # under way when the order comes
        late.start()
        time.sleep(0.2)
        start = time.monotonic()
        assert server.stop() == 0, server.errors
        assert time.monotonic() - start < 20
        late.join()
        for caller in callers:
            caller.join(30)
        assert [caller.lost for caller in callers if caller.lost] == []
        assert all(caller.answered > 0 for caller in callers)
        assert [status for status, _ in slow] == [200]
        lines = written(tmp_path / "logs" / "p.jsonl")
        assert len(lines) == sum(caller.answered for caller in callers) + 1, "what was answered is logged"


def test_a_worker_that_dies_under_load_is_replaced_and_its_counts_stay(tmp_path: Path) -> None:
    with serving(tmp_path, log=settings(tmp_path / "logs"), workers=2) as server:
        until(lambda: server.count("mlgate_workers") == 2, 60)
        before, trouble = wrk(server, connections=8, seconds=1)
        assert trouble == ""
        victim = int(Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()[0])
        os.kill(victim, signal.SIGKILL)
        until(lambda: server.ready() and server.count("mlgate_workers") == 2, 30)
        assert server.count("mlgate_predictions_total") >= before
        assert wrk(server, connections=8, seconds=1)[1] == ""
        assert server.stop() == 0, server.errors
