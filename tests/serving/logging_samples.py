"""What the tests of the prediction log share: a model's identity, a sink into a file, and what became of its lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlgate.serving.columns import Columns
from mlgate.serving.log import Answer, Sink
from mlgate.serving.metrics import Metrics
from mlgate.serving.settings import Identity, Log

WHO = Identity(model="visits", version="v1.2.0", digest="sha256:" + "ab" * 32, commit="c" * 40, decision="d" * 64)
KEY = {"MLGATE_LOG_KEY": "sixteen characters and more"}


def metrics() -> Metrics:
    made = Metrics(WHO, "staging", routes=("/predict", "/invocations"))
    made.start()
    return made


def answer(rows: int = 1, request_id: str = "r-1", **columns: Any) -> Answer:
    return Answer(request_id, 1_767_225_600.5, 0.0125, table(columns), [1] * rows, [0.75] * rows)


def table(columns: Mapping[str, Any]) -> Columns:
    return Columns(list(columns), list(columns.values()), len(next(iter(columns.values()), ())), {})


def sink(path: Path, counts: Metrics, *, say: Callable[[str], object] | None = None, **settings: Any) -> Sink:
    log = Log(to="file", path=str(path), **settings)
    return Sink(log, WHO, "staging", metrics=counts, environ=KEY, say=say)


def written(path: Path) -> list[dict[str, Any]]:
    """Every line of the log and of what was put aside, oldest first; each must be JSON and end with its newline."""
    aside = sorted(path.parent.glob(f"{path.name}.*"), key=lambda one: -int(one.suffix[1:]))
    found = []
    for file in (*aside, path):
        lines = file.read_bytes().split(b"\n")
        assert lines.pop() == b"", f"{file} ends in half a line"
        found += [json.loads(line) for line in lines]
    return found


def series(page: bytes) -> dict[tuple[str, ...], float]:
    """The page by Prometheus' own parser: name and label values (without model and version) -> value."""
    return {
        (sample.name, *(value for key, value in sample.labels.items() if key not in {"model", "version"})): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def count(counts: Metrics, name: str) -> float:
    return series(counts.render())[name,]


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits until it holds; fails when it does not in that time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


@contextmanager
def small_disk(folder: Path, size: str = "64k") -> Iterator[Path]:
    """A disk of its own that is soon full, as root or through sudo; skipped where neither may mount."""
    folder.mkdir()
    owner = f"size={size},uid={os.getuid()}"
    for sudo in ([], ["sudo", "-n"]):
        mount = [*sudo, "mount", "-t", "tmpfs", "-o", owner, "mlgate", str(folder)]
        if shutil.which(mount[0]) and subprocess.run(mount, check=False, capture_output=True).returncode == 0:
            break
    else:
        reason = "only root, or who may sudo, mounts a small disk"
        (pytest.fail if os.environ.get("MLGATE_STRICT") == "1" else pytest.skip)(reason)
    try:
        yield folder
    finally:
        subprocess.run([*sudo, "umount", "-l", str(folder)], check=True)
