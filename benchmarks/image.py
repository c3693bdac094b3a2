"""The image of one scikit-learn model: mlgate's template beside MLflow's own, on the same base, in one run.

    python benchmarks/image.py

It needs a Docker engine and a registry (`docker-registry`); the base is the one that the tests build on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

from engine import base, machine  # noqa: E402
from engine.building import SKLEARN, Builder, locked, trusting, with_python  # noqa: E402
from engine.registry import start, stop  # noqa: E402

SAVE = """
import sys, mlflow.sklearn, numpy as np
from sklearn.linear_model import LogisticRegression
rows = np.random.default_rng(int(sys.argv[2])).normal(size=(200, 8))
model = LogisticRegression().fit(rows, (rows[:, 0] > 0).astype(int))
mlflow.sklearn.save_model(model, sys.argv[1], input_example=rows[:2])
"""
MEGABYTE = 1_000_000


def save(folder: Path, seed: int) -> Path:
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SAVE, str(folder), str(seed)],
        check=True, capture_output=True, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    return folder


def measure(folder: Path) -> bool:
    engine = machine.engine()
    store, digest = base.stored(engine)
    base.copy(store, folder / "registry" / "store")
    registry, group = start(folder / "registry", os.getpid(), engine.command)
    try:
        pinned = f"{registry.name(base.REPOSITORY)}@{digest}"
        engine.run("pull", "--quiet", pinned, timeout=300)
        common = with_python(engine, registry, trusting(engine, registry, pinned, folder), folder)
        builder = Builder(engine, registry, common, {}, folder)
        (folder / "lock.txt").write_text(locked(*SKLEARN, "packaging", "prettytable", "skops", "wcwidth"), "utf-8")
        model = save(folder / "model", 0)
        lock = [folder / "lock.txt"]
        ours = builder.image(builder.plan(model, lock))
        theirs = builder.image(builder.plan(model, [], builder="mlflow", mlflow=(sys.executable,)))
        sizes = [(engine.inspect(image.tag) or {})["Size"] / MEGABYTE for image in (ours, theirs)]
        newer = save(folder / "newer", 1)
        begun = time.perf_counter()
        builder.image(builder.plan(newer, lock))
        again = time.perf_counter() - begun
    finally:
        stop(group)
        time.sleep(1)  # its watcher makes the engine forget what it has built
    share = sizes[0] / sizes[1]
    print(f"image: {sizes[0]:.0f} MB, of MLflow {sizes[1]:.0f} MB: {share:.0%} (claim: at most 60%)")
    print(f"with only the model changed: {again:.1f} s (claim: under 5 s)")
    return share <= 0.6 and again < 5


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sys.exit(0 if measure(Path(place)) else 1)
