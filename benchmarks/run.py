"""Measure mlgate beside its peers, in one run on one machine, and print ratios.

    make bench                     # all of them
    python benchmarks/run.py help  # some of them

Each figure is the median of interleaved runs (ours, theirs, ours, theirs, ...), as whole processes, with bytecode.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

import intervals  # noqa: E402
import train_lock  # noqa: E402
import validate  # noqa: E402

from builder import MLGATE, Repo, environment  # noqa: E402

MLGATE_CLI = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); "
              "from mlgate.cli import main; main()"]  # fmt: skip
BARE_CLICK = "import click\n\n@click.command()\ndef main():\n    'Nothing.'\n\nmain()\n"


def timed(command: list[str], cwd: Path, *, expect: int = 0, **env: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment(**env), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != expect:
        raise SystemExit(f"{command[:4]} ended with {done.returncode}, not {expect}:\n{done.stdout}{done.stderr}")
    return seconds


def interleaved(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[float, float]:
    ours(), theirs()  # warm: bytecode, file cache
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def row(name: str, ours: float, other: str, theirs: float | None, claim: str, *, held: bool) -> bool:
    ratio = f"{ours / theirs:.2f}x of {other} ({theirs:.3f} s)" if theirs else other
    print(f"{'ok  ' if held else 'MISS'}  {name:<34} {ours:8.3f} s   {ratio:<48} claim: {claim}", flush=True)
    return held


def bench_help(folder: Path) -> bool:
    """`mlgate --help` against a bare click program."""
    bare = folder / "bare.py"
    bare.write_text(BARE_CLICK)
    ours, theirs = interleaved(
        lambda: timed([*MLGATE_CLI, "--help"], folder),
        lambda: timed([sys.executable, "-I", str(bare), "--help"], folder),
        15,
    )
    return row("mlgate --help", ours, "bare click", theirs, "at most 3x", held=ours <= 3 * theirs)


def bench_compare(folder: Path) -> bool:
    """`mlgate compare` against `dvc metrics diff`, same repository, same two commits."""
    repo = Repo(folder / "one")
    repo.model()
    dvc = str(Path(sys.executable).with_name("dvc"))
    subprocess.run([dvc, "init", "--quiet"], cwd=repo.path, env=environment(), check=True)
    repo.commit("Champion")
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({"auc": 0.73, "log_loss": 0.57})
    repo.commit("Challenger")
    ours, theirs = interleaved(
        lambda: timed([*MLGATE_CLI, "compare"], repo.path),
        lambda: timed([dvc, "metrics", "diff", "main", "HEAD"], repo.path, DVC_NO_ANALYTICS="1"),
        9,
    )
    held = ours < 0.3 and theirs >= 2 * ours
    return row("mlgate compare", ours, "dvc metrics diff", theirs, "under 0.3 s, at least 2x faster", held=held)


def bench_many(folder: Path) -> bool:
    """500 models in one repository, every one of them changed."""
    repo = Repo(folder / "many")
    names = [f"m{n:03d}" for n in range(500)]
    for name in names:
        repo.model(folder=f"models/{name}", config=MLGATE.replace("model: visits", f"model: {name}"))
    repo.commit("Champions")
    repo.git("checkout", "--quiet", "-b", "change")
    for name in names:
        repo.model({"auc": 0.73, "log_loss": 0.57}, folder=f"models/{name}", config=None)
    repo.commit("Challengers")
    runs = [timed([*MLGATE_CLI, "compare", "--config", "models/*/mlgate.yaml"], repo.path) for _ in range(3)]
    ours = statistics.median(runs)
    return row("mlgate compare, 500 models", ours, "", None, "under 10 s", held=ours < 10)


def bench_setup(folder: Path) -> bool:
    """The judge job's set-up on a machine that has nothing of ours: uv, the packages, the first `compare`."""
    cache = folder / "cache"
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if not (Path(p) / "uv").exists())
    cold = timed(
        ["bash", str(ROOT / "scripts/run.sh"), "--version"], folder,
        MLGATE_CACHE=str(cache), UV_CACHE_DIR=str(folder / "uv-cache"), PIP_NO_CACHE_DIR="1", PATH=path,
    )  # fmt: skip
    size = sum(f.stat().st_size for f in cache.rglob("*") if f.is_file()) / 2**20
    held = cold <= 10 and size <= 250
    return row("cold set-up of the judge", cold, f"{size:.0f} MB", None, "at most 10 s and 250 MB", held=held)


def bench_train(folder: Path) -> bool:
    """`mlgate train` with `verify: lock`, 1,000 pointers: what it adds to the two questions that it asks of dvc."""
    ours, theirs = train_lock.measure(folder)
    held = ours - theirs < 5
    return row("mlgate train, 1,000 pointers", ours, "dvc alone", theirs, "under 5 s beyond dvc", held=held)


def script(name: str) -> Callable[[Path], bool]:
    """A benchmark that is a program of its own: it loads what this one must not, and prints its rows itself."""
    return lambda _: subprocess.run([sys.executable, ROOT / "benchmarks" / name], check=False).returncode == 0


BENCHES = {
    "help": bench_help,
    "compare": bench_compare,
    "many": bench_many,
    "setup": bench_setup,
    "validate": validate.run,
    "train": bench_train,
    "intervals": intervals.run,
    "serve": script("serve.py"),
    "log": script("serving_log.py"),
    "image": script("image.py"),
}


def main() -> int:
    wanted = sys.argv[1:] or list(BENCHES)
    folder = Path(tempfile.mkdtemp(prefix="mlgate-bench-"))
    try:
        results = {}
        for name in wanted:
            (folder / name).mkdir()
            results[name] = BENCHES[name](folder / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"held": results}))
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
