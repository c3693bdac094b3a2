"""The command line itself: quick to help, honest about its own output, never a trace."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from builder import ROOT, Repo, consumer, environment
from mlgate.cli import VERBS


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=str(ROOT / "scripts")),
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_imports_nothing_but_click() -> None:
    done = run(
        "import os, sys\n"
        "leave, os._exit = os._exit, lambda code: (print(*sorted({m.partition('.')[0] for m in sys.modules}),"
        " file=sys.stderr), leave(code))\n"
        "from mlgate.cli import main\n"
        "main(['--help'])"
    )
    assert done.returncode == 0
    assert all(f"  {verb} " in done.stdout for verb in VERBS)
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert not loaded & {"pydantic", "yaml", "jinja2", "requests", "dvc"}


def test_every_verb_has_help() -> None:
    for verb in VERBS:
        done = run(f"from mlgate.cli import main; main([{verb!r}, '--help'])")
        assert (done.returncode, done.stderr) == (0, "")
        assert "--working-directory" in done.stdout


def test_a_verdict_that_nobody_could_see_is_no_pass(tmp_path: Path) -> None:
    repo = consumer(tmp_path / "repo")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mlgate", "compare"],
            cwd=repo.path,
            env=environment(PYTHONPATH=str(ROOT / "scripts")),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    repo = consumer(tmp_path / "repo")
    assert repo.mlgate("compare").returncode == 0
    mark = f"safe.directory={repo.path}".encode()

    def left() -> list[bytes]:
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                found.append(file.read_bytes())
        return [line for line in found if mark in line]

    for _ in range(50):  # git ends by itself once nobody can ask it any more
        if not left():
            break
        time.sleep(0.1)
    assert left() == []


def test_a_trace_only_for_who_asks(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "empty")
    plain, debug = repo.mlgate("compare"), repo.mlgate("compare", "--debug")
    assert plain.returncode == 2
    assert "Traceback" not in plain.stderr + plain.stdout
    assert "no commit yet" in plain.stderr + plain.stdout
    assert "Traceback" in debug.stderr
