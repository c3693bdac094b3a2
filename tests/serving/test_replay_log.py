"""The sample of whole requests: how much is kept, for how long, and for whom."""

from __future__ import annotations

import base64
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from logging_samples import count, metrics, until, written

from mlgate.serving import writer
from mlgate.serving.files import Rotated
from mlgate.serving.metrics import Metrics
from mlgate.serving.replay import Replay
from mlgate.serving.settings import Replay as Settings


def kept(path: Path, bodies: list[bytes], counts: Metrics, **settings: Any) -> list[dict[str, Any]]:
    replay = Replay(Settings(**{"sample": 1.0, "path": str(path), **settings}), metrics=counts)
    replay.start()
    for number, body in enumerate(bodies):
        replay.offer(str(number), body, "application/json")
    replay.close()
    return written(path)


def test_a_request_can_be_sent_again_byte_by_byte(tmp_path: Path) -> None:
    bodies = [b'{"features": [1, 2]}', '{"name": "Zoë \\u0000"}\n'.encode(), b"\xff\x00 no text", b""]
    found = kept(tmp_path / "r.jsonl", bodies, metrics())
    again = [base64.b64decode(one["body_base64"]) if "body_base64" in one else one["body"].encode() for one in found]
    assert again == bodies
    assert [one["request_id"] for one in found] == ["0", "1", "2", "3"]
    assert {one["content_type"] for one in found} == {"application/json"}
    assert {one["route"] for one in found} == {"/predict"}
    assert abs(datetime.fromisoformat(found[0]["time"]).timestamp() - time.time()) < 60


def test_it_is_for_nobody_else_to_read(tmp_path: Path) -> None:
    kept(tmp_path / "r.jsonl", [b"{}"], metrics())
    assert (tmp_path / "r.jsonl").stat().st_mode & 0o777 == 0o600


def test_without_settings_nothing_is_kept() -> None:
    replay, counts = Replay(None, metrics=metrics()), metrics()
    replay.start()
    replay.offer("1", b"{}", "application/json")
    replay.close()
    assert count(counts, "mlgate_replay_written_total") == count(counts, "mlgate_replay_dropped_total") == 0


@pytest.mark.parametrize("sample", [0.0, 0.1, 1.0])
def test_the_share_that_was_asked_for_is_kept(tmp_path: Path, sample: float) -> None:
    draws = iter([number * 37 % 1000 / 1000 for number in range(1000)])
    counts = metrics()
    replay = Replay(Settings(sample, str(tmp_path / "r.jsonl")), metrics=counts, draw=lambda: next(draws))
    replay.start()
    for number in range(1000):
        replay.offer(str(number), b"{}", "application/json")
    replay.close()
    assert count(counts, "mlgate_replay_written_total") == pytest.approx(1000 * sample, abs=1)


def test_all_files_together_keep_to_the_size_and_the_oldest_go(tmp_path: Path) -> None:
    counts = metrics()
    found = kept(tmp_path / "r.jsonl", [b"x" * 300] * 1000, counts, max_bytes=40_000)
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) <= 40_000
    numbers = [int(one["request_id"]) for one in found]
    assert numbers == list(range(1000 - len(numbers), 1000))
    assert len(numbers) > 60


def test_a_body_too_large_for_a_file_is_counted(tmp_path: Path) -> None:
    counts = metrics()
    found = kept(tmp_path / "r.jsonl", [b"x" * 5000, b"\x00" * 2000, b"{}"], counts, max_bytes=40_000)
    assert [one["request_id"] for one in found] == ["2"], "2,000 zeros are 12,000 octets of JSON"
    assert count(counts, "mlgate_replay_dropped_total") == 2
    assert count(counts, "mlgate_replay_written_total") == 1


def test_bodies_that_wait_are_bounded_in_octets(tmp_path: Path) -> None:
    counts = metrics()
    replay = Replay(Settings(1.0, str(tmp_path / "r.jsonl"), max_bytes=10**9), metrics=counts)
    for number in range(20):
        replay.offer(str(number), b"x" * 4_000_000, "text/csv")
    assert count(counts, "mlgate_replay_dropped_total") == 16


def line(age: float) -> bytes:
    when = datetime.fromtimestamp(time.time() - age, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": when.replace("+00:00", "Z")}).replace(": ", ":").encode() + b"\n"


def test_a_request_goes_when_its_time_is_over_without_another_one(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    target = Rotated(path, octets=10**6, keep=8, seconds=3600)
    for number, age in ((3, 4000), (2, 3500), (1, 1000)):
        path.with_name(f"r.jsonl.{number}").write_bytes(line(age))
    path.write_bytes(line(100))
    target.tend()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["r.jsonl", "r.jsonl.1", "r.jsonl.2"]
    path.write_bytes(line(500))  # older than an eighth: put aside, so that it can go in time
    target.tend()
    assert len(path.with_name("r.jsonl.1").read_bytes()) > 0
    assert not path.exists()
    target.write(line(0))
    target.close()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["r.jsonl", "r.jsonl.1", "r.jsonl.2", "r.jsonl.3"]


def test_files_beyond_those_kept_go(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for number in range(1, 6):
        path.with_name(f"r.jsonl.{number}").write_bytes(line(1))
    target = Rotated(path, octets=10**6, keep=3, seconds=3600)
    target.tend()
    target.close()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["r.jsonl", "r.jsonl.1", "r.jsonl.2"]


def test_an_idle_server_deletes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "TEND", 0.05)
    path = tmp_path / "r.jsonl"
    replay = Replay(Settings(1.0, str(path), seconds=0.5), metrics=metrics())
    replay.start()
    replay.offer("1", b"{}", "application/json")
    until(path.exists)
    until(lambda: not any(one.stat().st_size for one in tmp_path.iterdir()), 5)
    replay.close()


def test_a_file_without_a_time_ages_by_its_own(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.with_name("r.jsonl.1").write_bytes(b"torn")
    os.utime(path.with_name("r.jsonl.1"), (1, 1))
    target = Rotated(path, octets=10**6, keep=8, seconds=3600)
    target.tend()
    target.close()
    assert [one.name for one in tmp_path.iterdir()] == ["r.jsonl"]
