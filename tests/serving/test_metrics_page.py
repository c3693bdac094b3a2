"""What /metrics says, over several workers, after one died, and where nothing can be shared."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from logging_samples import WHO, metrics, series
from prometheus_client.parser import text_string_to_metric_families

from mlgate.serving.metrics import BOUNDS, Metrics, share, shared
from mlgate.serving.settings import Identity

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_requests_are_counted_by_route_and_status() -> None:
    counts = metrics()
    for status, rows in ((200, 3), (200, 1), (422, 0), (999, 0)):
        counts.began()
        counts.observe("/predict", status, 0.003, rows)
    counts.began()
    counts.observe("/wp-login.php", 404, 0.001, 0)
    counts.began()
    found = series(counts.render())
    assert found["mlgate_requests_total", "/predict", "200"] == 2
    assert found["mlgate_requests_total", "/predict", "422"] == 1
    assert found["mlgate_requests_total", "/predict", "500"] == 1
    assert found["mlgate_requests_total", "other", "404"] == 1, "a caller's paths make no series"
    assert found["mlgate_predictions_total",] == 4
    assert found["mlgate_in_flight",] == 1
    assert found["mlgate_workers",] == 1


def test_latency_is_a_histogram() -> None:
    counts = metrics()
    for seconds in (0.0001, 0.0005, 0.0006, 3.0, 99.0):
        counts.began()
        counts.observe("/predict", 200, seconds, 1)
    found = series(counts.render())
    buckets = {key[2]: value for key, value in found.items() if key[0] == "mlgate_request_seconds_bucket"}
    assert [float(bound) for bound in buckets] == [*BOUNDS, float("inf")]
    assert (buckets["0.0005"], buckets["0.001"], buckets["2.5"], buckets["5.0"], buckets["+Inf"]) == (2, 3, 3, 4, 5)
    assert list(buckets.values()) == sorted(buckets.values()), "cumulative"
    assert found["mlgate_request_seconds_count", "/predict"] == 5
    assert found["mlgate_request_seconds_sum", "/predict"] == pytest.approx(102.0012)


def test_labels_are_escaped_and_the_model_is_named() -> None:
    who = Identity(model='a"b\\c\nd', version="v1", digest="sha256:1", commit="c", decision="d")
    made = Metrics(who, "production")
    made.start()
    families = {family.name: family for family in text_string_to_metric_families(made.render().decode())}
    assert families["mlgate_model_info"].samples[0].labels == {
        "model": 'a"b\\c\nd', "version": "v1", "digest": "sha256:1", "commit": "c", "decision": "d",
        "environment": "production",
    }  # fmt: skip
    assert all(family.documentation for family in families.values())
    assert all(family.type in {"gauge", "counter", "histogram"} for family in families.values())


def test_threads_lose_no_count() -> None:
    counts = metrics()

    def work() -> None:
        for _ in range(5000):
            counts.began()
            counts.observe("/predict", 200, 0.001, 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = series(counts.render())
    assert found["mlgate_requests_total", "/predict", "200"] == 20_000
    assert found["mlgate_in_flight",] == 0


WORKER = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from logging_samples import WHO
from mlgate.serving.metrics import Metrics, shared
counts = Metrics(WHO, "staging", routes=("/predict", "/invocations"), shared=shared())
counts.start()
for _ in range(1000):
    counts.began()
    counts.observe("/predict", 200, 0.001, 2)
counts.began()
print("counted", flush=True)
sys.stdin.readline()
counts.close()
"""


def worker() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(SCRIPTS), str(Path(__file__).parent)]
    made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert made.stdout is not None
    assert made.stdout.readline() == "counted\n"
    return made


def end(process: subprocess.Popen[str], *, kill: bool = False) -> None:
    if kill:
        process.kill()
    process.communicate("\n" if not kill else None)


def test_workers_are_counted_together_and_a_dead_one_is_not_forgotten() -> None:
    with share() as folder:
        assert shared() == folder
        counts = Metrics(WHO, "staging", routes=("/predict", "/invocations"), shared=folder)
        counts.start()
        a, b = worker(), worker()
        found = series(counts.render())
        assert found["mlgate_requests_total", "/predict", "200"] == 2000
        assert (found["mlgate_workers",], found["mlgate_in_flight",]) == (3, 2)
        end(a, kill=True)
        end(b)
        found = series(counts.render())
        assert found["mlgate_predictions_total",] == 4000, "counters do not fall"
        assert (found["mlgate_workers",], found["mlgate_in_flight",]) == (1, 0)
        c = worker()  # goes on where one of the dead stopped
        assert series(counts.render())["mlgate_predictions_total",] == 6000
        assert series(counts.render())["mlgate_in_flight",] == 1
        assert len(list(folder.glob("*.slot"))) == 3
        end(c)
    assert shared() is None
    assert not folder.exists()


def test_where_nothing_can_be_shared_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = Metrics(WHO, "staging", routes=("/predict",), shared=tmp_path / "gone")
    counts.start()
    counts.began()
    counts.observe("/predict", 200, 0.1, 1)
    assert series(counts.render())["mlgate_predictions_total",] == 1
    assert "counts one worker only" in capsys.readouterr().err
