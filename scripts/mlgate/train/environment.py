"""What a model was made with: interpreter, packages, machine. Nothing that names a person, a host or a path."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_ASK = """
import json, platform, sys
try:
    from importlib import metadata
    found = sorted({(d.metadata["Name"] or "").lower() + "==" + (d.version or "") for d in metadata.distributions()})
except ImportError:
    found = None
print(json.dumps({"python": platform.python_implementation() + " " + platform.python_version(),
                  "platform": sys.platform + " " + platform.machine(), "packages": found}))
"""
_TIMEOUT = 60


def facts(python: str, environ: Mapping[str, str]) -> dict[str, str | float]:
    """Of the project's interpreter (a path, or a name on PATH) and of this machine; what cannot be had is left out."""
    return {**_interpreter(python, environ), **machine(environ)}


def _interpreter(python: str, environ: Mapping[str, str]) -> dict[str, str | float]:
    with tempfile.TemporaryDirectory(prefix="mlgate-") as nowhere:  # no file of the project is imported from there
        said = _answer([python or "python3", "-c", _ASK], environ, Path(nowhere))
    try:
        found = json.loads(said.splitlines()[-1]) if said else {}
    except ValueError:
        return {}
    result: dict[str, str | float] = {name: str(found[name]) for name in ("python", "platform") if found.get(name)}
    if isinstance(packages := found.get("packages"), list):
        result["packages"] = float(len(packages))
        result["packages sha256"] = hashlib.sha256("\n".join(map(str, packages)).encode()).hexdigest()
    return result


def machine(environ: Mapping[str, str]) -> dict[str, str | float]:
    """Of this machine alone."""
    result: dict[str, str | float] = {"cpu": _cpu(), "cpu cores": float(_cores())}
    memory = _memory()
    if memory:
        result["memory GB"] = round(memory / 2**30, 1)
    if shutil.which("nvidia-smi", path=environ.get("PATH")):
        said = _answer(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], environ, Path.cwd())
        names = sorted(line.strip() for line in said.splitlines() if line.strip())
        if names:
            result["gpu"] = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    return result


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _answer(command: Sequence[str], environ: Mapping[str, str], cwd: Path) -> str:
    try:
        done = subprocess.run(
            command, env=dict(environ), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT,
            check=False, text=True, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
