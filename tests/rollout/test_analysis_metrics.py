"""Numbers of the user's own: one finite number, or one clear sentence."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from mlgate.errors import MlgateError
from mlgate.rollout.analysis import metrics

URL = "http://prometheus:9090"


def vector(*values: str) -> dict[str, Any]:
    return {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.7e9, value]} for value in values]},
    }


def asked(answer: Any, status: int = 200) -> float:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return metrics.prometheus(URL, "sum(sold)", "token-1", lambda *_: (status, text))


def test_one_number_is_taken() -> None:
    assert asked(vector("0.25")) == 0.25
    assert asked(vector("-3e2")) == -300
    assert asked({"status": "success", "data": {"resultType": "scalar", "result": [1.7e9, "7"]}}) == 7


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (vector(), 200, "`sum(sold)` gives nothing"),
        (vector("1", "2"), 200, "gives 2 series"),
        (vector("NaN"), 200, "gives NaN"),
        (vector("+Inf"), 200, "gives infinity"),
        (vector("many"), 200, "gives `many`, which is no number"),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, 200, "a matrix"),
        ({"status": "success", "data": {"resultType": "string", "result": [1, "a"]}}, 200, "a string"),
        ({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}, 200, "without a number"),
        ({"status": "success", "data": None}, 200, "no single number"),
        ({"status": "success"}, 200, "no single number"),
        ({"status": "error", "errorType": "bad_data", "error": "1:5: parse error"}, 400, "1:5: parse error"),
        ({"status": "error"}, 503, "HTTP 503"),
        ("<html>login</html>", 200, "is no Prometheus (HTTP 200)"),
        ("", 502, "is no Prometheus (HTTP 502)"),
        ("[]", 200, "is no Prometheus"),
        ("denied", 401, "MLGATE_PROMETHEUS_TOKEN"),
    ],
)
def test_all_else_is_one_sentence(answer: Any, status: int, said: str) -> None:
    with pytest.raises(MlgateError) as caught:
        asked(answer, status)
    assert said in str(caught.value)
    assert "token-1" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["prometheus:9090", "", "file:///etc/passwd", "http://user:word@prometheus"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(MlgateError) as caught:
        metrics.prometheus(url, "up", ask=lambda *_: (200, json.dumps(vector("1"))))
    assert "word" not in caught.value.message.replace("password", "")


class _Answers(BaseHTTPRequestHandler):
    seen: list[tuple[str, str, Mapping[str, list[str]]]]

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.seen.append((self.path, self.headers["Authorization"] or "", form))  # type: ignore[attr-defined]
        if form["query"] == ["elsewhere"]:
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/other")  # type: ignore[attr-defined]
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = json.dumps(vector("4.5")).encode()
        if form["query"] == ["flood"]:
            body = b"x" * 1_100_000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    made.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join(5)


def test_prometheus_is_asked_as_its_interface_says(server: ThreadingHTTPServer) -> None:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    assert metrics.prometheus(f"{url}/", 'rate(x{slot="a"}[5m])', "t0k") == 4.5
    assert server.seen == [("/api/v1/query", "Bearer t0k", {"query": ['rate(x{slot="a"}[5m])']})]  # type: ignore[attr-defined]
    for query in ("elsewhere", "flood"):
        with pytest.raises(MlgateError):
            metrics.prometheus(url, query, "t0k")
    assert len(server.seen) == 3  # type: ignore[attr-defined]


def test_a_server_that_is_not_there_is_one_sentence(server: ThreadingHTTPServer) -> None:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    with pytest.raises(MlgateError, match="cannot be reached"):
        metrics.prometheus(url, "up")


@pytest.mark.parametrize(("printed", "number"), [("3", 3), (" 0.25 \n", 0.25), ("-1e-3", -0.001), ("+.5", 0.5)])
def test_a_command_prints_one_number(tmp_path: Path, printed: str, number: float) -> None:
    assert metrics.command(f"printf '%s' '{printed}'", os.environ, tmp_path) == number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("true", "printed nothing"),
        ("echo NaN", "printed NaN"),
        ("echo inf", "printed inf"),
        ("echo 1 2", "printed `1 2`, which is no number"),
        ("printf '1\\n2\\n'", "no number"),
        ("echo 5%", "no number"),
        ("echo 0x10", "no number"),
        ("echo 1_000", "no number"),
        ("echo 1e999", "infinity"),
        ("echo 3; echo why not >&2; exit 4", "ended with exit code 4: why not"),
        ("echo password=hunter2; exit 1", "password=***"),
        ("nothing-of-this-name", "exit code 127"),
    ],
)
def test_what_else_a_command_does_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MlgateError) as caught:
        metrics.command(text, os.environ, tmp_path)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value).split("ended with")[-1]


def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(MlgateError, match="did not end within"):
        metrics.command("sh -c 'sleep 30; touch alive' & sleep 30", os.environ, tmp_path, timeout=0.5)
    assert time.monotonic() - began < 10
    assert not (tmp_path / "alive").exists()


def test_only_known_names_are_put_in() -> None:
    query = 'sum(rate(sold{slot="{slot}", arm="{arm}"}[{seconds}s])) by ({other})'
    names = {"slot": "m-1", "arm": "canary", "seconds": "60"}
    assert metrics.filled(query, names) == 'sum(rate(sold{slot="m-1", arm="canary"}[60s])) by ({other})'
