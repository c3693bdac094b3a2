"""Logs that our own server wrote: rotated, of several rows a request, with odd values, and torn off at the end."""

# ruff: noqa: S608 -- relations made by mlgate itself

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mlgate.serving.columns import Columns
from mlgate.serving.log import Answer, Sink
from mlgate.serving.metrics import Metrics
from mlgate.serving.settings import Identity, Log
from watch.logs.made import DAY, adds_up, left_out, opened

WHO = Identity(model="visits", version="v1.2.0", digest="sha256:" + "ab" * 32, commit="c" * 40, decision="d" * 64)
START = DAY.since.timestamp()


def sink(path: Path, environment: str = "production") -> Sink:
    metrics = Metrics(WHO, environment, routes=("/predict",))
    log = Log(to="file", path=str(path), max_bytes=40_000, keep=100, features=("age", "health"), hashed=("name",))
    made = Sink(log, WHO, environment, metrics=metrics, environ={"MLGATE_LOG_KEY": "sixteen characters and more"})
    made.start()
    return made


def answer(number: int, rows: int = 1) -> Answer:
    columns = {
        "age": np.arange(number, number + rows, dtype=np.float64),
        "health": np.array(["good", None][number % 2 : number % 2 + 1] * rows, dtype=object),
        "name": [f"Ada {number}"] * rows,
    }
    read = Columns(list(columns), list(columns.values()), rows, {})
    return Answer(f"r-{number}", START + number, 0.0125, read, np.ones(rows, dtype=np.int64), np.full(rows, 0.75))


def test_what_the_server_wrote_is_what_is_read(tmp_path: Path) -> None:
    """Eight hundred requests of one row, a hundred of three; put aside many times on the way."""
    path = tmp_path / "logs" / "predictions.jsonl"
    writer = sink(path)
    for number in range(800):
        writer.put(answer(number))
    for number in range(800, 900):
        writer.put(answer(number, rows=3))
    writer.close()
    other = sink(path, "staging")
    other.put(answer(5))
    other.close()
    assert len(list(path.parent.iterdir())) > 5, "it was put aside"
    con, logged = opened(tmp_path, "logs/predictions.jsonl", digest="ab" * 32)
    assert logged.counts["rows"] == 1100
    assert left_out(logged) == {"other_environment": 1}
    assert adds_up(logged)
    assert set(logged.features) == {"age", "health"}
    age, health = logged.features["age"], logged.features["health"]
    found = con.execute(
        f"SELECT sum({age}), count({health}), sum({logged.prediction}), avg({logged.score}), "
        f"count(DISTINCT (request_id, row)), min(latency_ms), max(epoch(time)) FROM {logged.relation}"
    ).fetchall()
    ages = sum(range(800)) + sum(3 * number + 3 for number in range(800, 900))
    assert found == [(ages, 400 + 150, 1100, 0.75, 1100, 12.5, START + 899)]
    assert logged.versions == {"v1.2.0": 1100}


def test_a_server_that_was_killed_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "predictions.jsonl"
    writer = sink(path)
    for number in range(20):
        writer.put(answer(number))
    writer.close()
    os.truncate(path, path.stat().st_size - 40)
    assert left_out(opened(tmp_path, max_corrupt=0)[1]) == {"unfinished": 1}
    again = sink(path)  # the next one goes on where the torn line ends
    for number in range(20, 200):
        again.put(answer(number))
    again.close()
    _, logged = opened(tmp_path)
    assert left_out(logged) in ({"corrupt": 1}, {"unfinished": 1}), "one line, appended to or put aside as it was"
    assert logged.counts["rows"] == 199
