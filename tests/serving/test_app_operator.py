"""What an operator asks: health, version, metrics; and what happens inside that must not come out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from served import WHO, Client, as_joblib, numbers, served

from mlgate.serving.models import Predicted

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # as the server itself does
ROW = numbers().iloc[0].to_dict()


@pytest.fixture(scope="module")
def server() -> Iterator[Client]:
    with served(as_joblib("logistic")) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/health", "/health/live", "/health/ready", "/ping", "/v2/health/live", "/v2/health/ready",
             "/v2/models/visits/ready"]
)  # fmt: skip
def test_a_server_that_runs_is_healthy(server: Client, path: str) -> None:
    assert server.read(path).status_code == 200


def test_a_server_that_stops_is_alive_and_not_ready(server: Client) -> None:
    server.app.draining = True
    try:
        assert server.read("/health/live").status_code == 200
        for path in ("/health", "/health/ready", "/ping", "/v2/health/ready", "/v2/models/visits/ready"):
            assert server.read(path).status_code == 503, path
        said = server.ask(ROW)  # what is still sent is still answered, and its connection ends
        assert said.status_code == 200
        assert said.headers["connection"] == "close"
    finally:
        server.app.draining = False


def test_the_version_says_all_that_leads_back_to_the_decision(server: Client) -> None:
    assert server.read("/version").json() == {
        "model": WHO.model, "version": WHO.version, "digest": WHO.digest, "commit": WHO.commit,
        "decision": WHO.decision, "environment": "test",
    }  # fmt: skip


def test_requests_are_counted_by_route_and_status(server: Client) -> None:
    server.ask(ROW)
    server.ask(b"{")
    page = server.read("/metrics").text
    assert 'mlgate_requests_total{model="visits",version="v1.2.0",route="/predict",status="200"}' in page
    assert 'route="/predict",status="400"' in page


def test_another_address_and_another_method_are_refused_in_json(server: Client) -> None:
    assert server.read("/nothing").status_code == 404
    assert server.read("/nothing").json()["error"]
    said = server.read("/predict")
    assert said.status_code == 405
    assert said.headers["allow"] == "POST"
    assert server.ask(ROW, "/health").status_code == 405


def test_a_model_that_raises_tells_the_log_and_not_the_caller(
    server: Client, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(columns: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(server.app.model, "predict", broken)
    said = server.ask(ROW, headers={"X-Request-ID": "r-500"})
    assert said.status_code == 500
    assert said.json() == {"error": "Something went wrong inside the server.", "request_id": "r-500"}
    logged = capfd.readouterr().err
    assert "r-500" in logged
    assert "hunter2" in logged


def test_what_is_no_number_is_no_answer(server: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for values in (np.array([np.nan]), [float("inf")], [{"score": float("nan")}]):
        monkeypatch.setattr(server.app.model, "predict", lambda _, values=values: Predicted(values))
        assert server.ask(ROW).status_code == 500
        monkeypatch.setattr(server.app.model, "invoke", lambda *_, values=values: values)
        assert server.ask({"dataframe_records": [ROW]}, "/invocations").status_code == 500


def test_too_many_that_wait_are_sent_away(server: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.app.runner, "_most", 0)
    said = server.ask(ROW)
    assert said.status_code == 503
    assert said.headers["retry-after"]


def test_a_call_that_does_not_return_is_answered_in_time_and_the_next_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hold, replaced = threading.Event(), []
    with served(as_joblib("logistic"), timeout=0.4) as client:
        own = client.app.model.predict

        def first(columns: object) -> object:
            if not replaced:
                hold.wait(60)
            return own(columns)  # type: ignore[arg-type]

        monkeypatch.setattr(client.app, "replace", lambda: replaced.append(1))
        monkeypatch.setattr(client.app.model, "predict", first)
        assert client.ask(ROW).status_code == 504
        assert client.ask(ROW).status_code == 200
        assert client.read("/health/ready").status_code == 200
        assert replaced == [1]
        hold.set()


def test_what_is_no_http_is_refused(server: Client) -> None:
    port = int(server.base.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
