"""MLflow is down, slow, elsewhere or full: one sentence, within limits, and never an exception."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.tracking import Store, Training, log, run
from tracking.servers import Answer, Door, always, free_port


def at(uri: str, **environ: str) -> Store:
    store = Store.of(environ, uri)
    assert store is not None
    return store


def test_a_server_that_is_down(training: Training) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    start = time.monotonic()
    logged = log(training, at(uri))
    assert logged.problem == f"MLflow at {uri} cannot be reached."
    assert (logged.run_id, logged.url, logged.metrics, logged.experiment) == ("", "", {}, training.experiment)
    assert time.monotonic() - start < 60


def test_a_name_that_nobody_knows(training: Training) -> None:
    logged = log(training, at("https://mlflow.invalid"))
    assert logged.problem.startswith("MLflow at https://mlflow.invalid ")
    assert logged.problem.endswith(("knows.", "reached."))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (always(401, b"You are not authenticated.", WWW_Authenticate="Basic"), "refused the credentials (401)"),
        (always(403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}'), "does not allow this"),
        (always(404, b"<html>nginx</html>", Content_Type="text/html"), "knows no such address (404)"),
        (always(500, b"Internal Server Error"), "answered with an error (500)"),
        (always(503, b"", Retry_After="3600"), "answered with an error (503)"),
        (always(200, b"<html>Sign in</html>", Content_Type="text/html"), "is a login page in front of it?"),
        (always(200, b"", Content_Type="text/html"), "is a login page in front of it?"),
        (always(200, b"[]"), "is a login page in front of it?"),
        (always(302, b"", Location="https://127.0.0.1:1/login"), "cannot be reached"),
        (lambda *_: None, "broke off the connection"),
    ],
    ids=["401", "403", "404", "500", "503", "login", "empty", "list", "redirect", "broken off"],
)
def test_a_server_that_answers_otherwise(training: Training, reply: Callable[..., Answer], said: str) -> None:
    with Door(reply) as door:
        logged = log(training, at(door.address, MLFLOW_TRACKING_TOKEN="tok3n-of-the-team"))
    assert logged.problem.startswith(f"MLflow at {door.address}")
    assert said in logged.problem
    assert "tok3n" not in repr(logged)
    assert len(logged.problem) < 400
    assert not logged.run_id


def test_a_token_is_not_carried_to_another_host(training: Training) -> None:
    with Door(always(404)) as other:
        elsewhere = other.address.replace("127.0.0.1", "localhost")
        with Door(lambda _m, path, *_: (302, {"Location": elsewhere + path}, b"")) as door:
            log(training, at(door.address, MLFLOW_TRACKING_TOKEN="tok3n-of-the-team"))
    assert any("Authorization" in headers for _, _, headers, _ in door.seen)
    assert not any("Authorization" in headers for _, _, headers, _ in other.seen)


def test_a_server_that_hangs_is_given_up(training: Training) -> None:
    def hang(*_: object) -> Answer:
        time.sleep(60)
        return None

    with Door(hang) as door:
        start = time.monotonic()
        logged = log(training, at(door.address), timeout=6)
    assert time.monotonic() - start < 20
    at_ = f"MLflow at {door.address}"
    assert logged.problem in (f"{at_} took longer than 6 s, so logging was given up.", f"{at_} did not answer in time.")


def test_a_server_that_drips_is_given_up_and_leaves_no_process(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every answer comes, late: no single request is too slow, all of them are."""
    run_of_others = {"info": {"run_id": "r", "experiment_id": "1", "status": "FINISHED"}, "data": {}}
    started = threading.Event()

    def drip(_method: str, path: str, *_: object) -> Answer:
        started.set()
        time.sleep(1)
        found = {"experiment": {"experiment_id": "1", "name": "e", "lifecycle_stage": "active"}}
        page = {"runs": [run_of_others], "next_page_token": "more"}
        return 200, {}, json.dumps(page if "search" in path else found).encode()

    monkeypatch.setattr(run.tempfile, "tempdir", str(tmp_path))
    with Door(drip) as door:
        seen: list[set[str]] = []
        watcher = threading.Thread(target=lambda: started.wait(60) and seen.append(_working_below(tmp_path)))
        watcher.start()
        logged = log(training, at(f"{door.address}/api/v4/projects/42/ml/mlflow"), timeout=12)
        watcher.join()
    assert "took longer than 12 s" in logged.problem
    assert len(seen[0]) == 1
    assert _working_below(tmp_path) == set()
    assert {path.name for path in tmp_path.iterdir()} == {"project"}


def _working_below(folder: Path) -> set[str]:
    """Processes whose working folder lies there."""
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                found.add(entry.name)
    return found


def test_a_worker_that_is_killed(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    class Killed(real):  # type: ignore[misc, valid-type]
        def communicate(self, *args: object, **kwargs: object) -> object:
            os.kill(self.pid, signal.SIGKILL)
            return super().communicate(*args, **kwargs)

    monkeypatch.setattr(run.subprocess, "Popen", Killed)
    logged = log(training, at("http://127.0.0.1:9"))
    assert logged.problem.startswith("Logging to MLflow at http://127.0.0.1:9 ")
    assert "signal 9" in logged.problem or "broke off" in logged.problem


def test_packages_that_cannot_be_had(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    def site(_: str) -> list[str]:
        raise MlgateError("the packages cannot be installed.", fix="pip install 'mlgate[track]'")

    monkeypatch.setattr(extras, "site", site)
    logged = log(training, at("https://mlflow.example.org"))
    assert logged.problem == (
        "The packages that speak to MLflow cannot be had: "
        "the packages cannot be installed. pip install 'mlgate[track]'."
    )


def test_packages_that_are_broken(training: Training, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken" / "mlflow").mkdir(parents=True)
    (tmp_path / "broken" / "mlflow" / "__init__.py").write_text("raise ImportError('libfoo is missing')\n", "utf-8")
    real = extras.site("track")
    monkeypatch.setattr(extras, "site", lambda _: [str(tmp_path / "broken"), *real])
    logged = log(training, at("https://mlflow.example.org"))
    assert logged.problem == "MLflow at https://mlflow.example.org: ImportError: libfoo is missing."


def test_no_room_for_the_scratch_folder(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run.tempfile, "TemporaryDirectory", full)
    assert log(training, at("https://m.example.org")).problem == (
        "MLflow at https://m.example.org has no room left: the disk is full."
    )


@pytest.mark.parametrize("model", ["", "   ", "a" * 5_000, "ein Modell/ö:%\"'", "../.."])
def test_strange_names_break_nothing(mlflow_server: str, training: Training, model: str) -> None:
    odd = replace(training, model=model, experiment="", params={"": "", "..": {"": ""}}, tags={"": "", "a\0b": "c"})
    logged = log(odd, at(mlflow_server))
    assert logged.problem == "" or logged.problem.startswith("MLflow at ")


def test_two_jobs_that_log_at_once_to_a_new_file(training: Training) -> None:
    results = []
    jobs = [threading.Thread(target=lambda: results.append(log(training, at("sqlite:///mlflow.db")))) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [logged.problem for logged in results] == ["", ""]
    assert sorted(logged.again for logged in results) == [False, True]
    assert len({logged.run_id for logged in results}) == 1
