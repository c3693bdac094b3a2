"""Where the lines go: rotation by several processes, a full disk, a stuck one, and what is said about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from logging_samples import KEY, WHO, answer, count, metrics, sink, small_disk, until, written

from mlgate.serving import writer
from mlgate.serving.files import Rotated, Stream
from mlgate.serving.log import Sink
from mlgate.serving.settings import Log

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY", 0.02)
    monkeypatch.setattr(writer, "LAST", 0.3)


def test_a_full_file_is_put_aside_and_few_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "p.jsonl"
    target = Rotated(path, octets=100, keep=3)
    for number in range(50):
        target.write(b'{"number":%19d}\n' % number)
    target.close()
    names = sorted(one.name for one in path.parent.iterdir())
    assert names == ["p.jsonl", "p.jsonl.1", "p.jsonl.2"]
    assert all(one.stat().st_size <= 100 for one in path.parent.iterdir())
    assert [line["number"] for line in written(path)] == list(range(42, 50))
    assert path.stat().st_mode & 0o777 == 0o640


def test_one_file_kept_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    target = Rotated(path, octets=20, keep=1)
    for number in range(5):
        target.write(b"%09d\n" % (number + 1_000_000))
    target.close()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes().split()[-1] == b"001000004"


def test_what_somebody_else_put_aside_is_left_and_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    target = Rotated(path, octets=1000, keep=2)
    target.write(b"1\n")
    path.rename(tmp_path / "old")
    target.write(b"2\n")
    path.unlink()
    target.write(b"3\n")
    target.close()
    assert ((tmp_path / "old").read_bytes(), path.read_bytes()) == (b"1\n", b"3\n")


def test_a_line_cut_off_by_a_death_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'{"time":"20')
    target = Rotated(path, octets=1000, keep=2)
    target.write(b"{}\n")
    target.close()
    assert path.read_bytes() == b'{"time":"20\n{}\n'


WRITES = """
import sys, time
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from logging_samples import answer, metrics, sink, count
counts = metrics()
log = sink(Path(sys.argv[3]), counts, max_bytes=20_000, keep=1000, features=("x",), queue=100_000)
log.start()
for number in range(2000):
    log.put(answer(1, f"{sys.argv[4]}-{number}", x=["é" * (number % 50)]))
    if number % 100 == 0:
        time.sleep(0.005)
log.close()
assert count(counts, "mlgate_log_written_total") == 2000
"""


def test_processes_share_a_file_and_its_rotation(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITES, str(SCRIPTS), str(Path(__file__).parent), str(path), str(who)])
        for who in range(4)
    ]
    assert [one.wait(120) for one in processes] == [0] * 4
    found = [line["request_id"] for line in written(path)]
    assert sorted(found) == sorted(f"{who}-{number}" for who in range(4) for number in range(2000))
    assert max(one.stat().st_size for one in tmp_path.iterdir()) <= 20_000
    for who in range(4):
        numbers = [int(name.split("-")[1]) for name in found if name.startswith(f"{who}-")]
        assert numbers == sorted(numbers), "one process's lines are in order"


def test_what_does_not_fit_is_dropped_and_counted_and_never_waits(tmp_path: Path) -> None:
    counts = metrics()
    log = sink(tmp_path / "p.jsonl", counts, queue=100)
    for number in range(1000):  # nobody writes yet
        log.put(answer(1, str(number)))
    assert count(counts, "mlgate_log_dropped_total") == 900
    log.start()
    until(lambda: count(counts, "mlgate_log_written_total") == 100)
    log.put(answer(500, "batch"))  # one request always fits an empty queue
    log.close()
    assert len(written(tmp_path / "p.jsonl")) == 600
    assert count(counts, "mlgate_log_dropped_total") == 900


def test_a_full_disk_loses_no_line_that_can_wait_and_leaves_no_half_line(tmp_path: Path, quick: None) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path, counts, said = disk / "p.jsonl", metrics(), list[str]()
        log = sink(path, counts, queue=1000, features=("x",), say=said.append)
        log.start()
        for number in range(400):
            log.put(answer(1, str(number), x=["y" * 100]))
            time.sleep(0.0005)
        until(lambda: bool(said))
        assert "No space left on device" in said[0]
        assert path.read_bytes().endswith(b"}\n")
        assert count(counts, "mlgate_log_dropped_total") == 0
        before = path.read_bytes()
        path.rename(path.with_name("aside"))
        (disk / "aside").unlink()  # somebody makes room
        until(lambda: path.exists() and path.stat().st_size > 0)
        time.sleep(0.2)
        log.close()
        lines = [json.loads(line)["request_id"] for line in (before + path.read_bytes()).splitlines()]
        assert lines == [str(number) for number in range(len(lines))], "in order, none twice, none missing before"
        assert len(lines) + count(counts, "mlgate_log_dropped_total") == 400
        assert len(said) <= 2  # one a minute, and one at the end for what was lost


@pytest.mark.parametrize("path", ["/dev/full", "/proc/nothing/p.jsonl"])
def test_an_unwritable_log_is_said_once_and_counted(path: str, quick: None) -> None:
    counts, said = metrics(), list[str]()
    log = sink(Path(path), counts, queue=10, say=said.append)
    log.start()
    for _ in range(200):
        log.put(answer())
        time.sleep(0.001)
    until(lambda: bool(said))
    assert len(said) == 1, "one line a minute"
    assert "It cannot be written" in said[0]
    log.close()
    assert count(counts, "mlgate_log_dropped_total") == 200
    assert count(counts, "mlgate_log_written_total") == 0
    assert len(said) == 2
    assert "lost at the end" in said[1]


def test_it_is_written_again_when_there_is_room(tmp_path: Path, quick: None) -> None:
    folder, counts = tmp_path / "logs", metrics()
    folder.write_text("in the way")
    log = sink(folder / "p.jsonl", counts, say=[].append)
    log.start()
    log.put(answer(1, "waits"))
    time.sleep(0.2)
    assert count(counts, "mlgate_log_written_total") == 0
    folder.unlink()
    until(lambda: count(counts, "mlgate_log_written_total") == 1)
    log.put(answer(1, "next"))
    log.close()
    assert [line["request_id"] for line in written(folder / "p.jsonl")] == ["waits", "next"]


def test_a_stuck_reader_holds_up_nobody(quick: None) -> None:
    read, write = os.pipe()
    counts = metrics()
    log = Sink(Log(queue=1000), WHO, "t", metrics=counts, environ=KEY, stdout=write, say=[].append)
    log.start()
    start = time.monotonic()
    for number in range(5000):
        log.put(answer(1, str(number)))
    assert time.monotonic() - start < 2
    time.sleep(0.2)
    for number in range(5000):
        log.put(answer(1, str(number)))
    assert count(counts, "mlgate_log_dropped_total") > 5000
    start = time.monotonic()
    log.close()
    assert time.monotonic() - start < 2
    os.close(read)  # lets the writing thread go
    assert log._writer is not None
    assert log._writer._thread is not None
    log._writer._thread.join(5)
    assert not log._writer._thread.is_alive()
    os.close(write)


def test_workers_share_a_stream_line_by_line(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)  # as some parents leave it

    def work(name: str) -> None:
        target = Stream(write, tmp_path / "lock")
        for _ in range(50):
            target.write((name * 9999 + "\n").encode())
        target.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    found = b""
    while found.count(b"\n") < 200:
        found += os.read(read, 65536)
    for thread in threads:
        thread.join()
    os.close(read)
    os.close(write)
    assert Counter(found.decode().splitlines()) == {name * 9999: 50 for name in "abcd"}
