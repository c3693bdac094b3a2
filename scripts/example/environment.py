"""The environment of the example's project: uv from the package index, then requirements.txt with its hashes.

Kept in the cache of mlgate and made once. Nothing outside of that folder is changed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from console import Console, StoryError

ROOT = Path(__file__).resolve().parents[2]

# Where this runs must not show: the story is told on a terminal, also when a CI job or a git hook plays it.
_FOREIGN = (
    "ACTIONS_",
    "CI_",
    "DVC_",
    "FORGEJO_",
    "GIT_",
    "GITEA_",
    "GITHUB_",
    "GITLAB_",
    "MLFLOW_",
    "MLGATE_",
    "RUNNER_",
)
_FOREIGN_NAMES = {"CI", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "UV_PYTHON", "UV_SYSTEM_PYTHON", "VIRTUAL_ENV"}
_INDEX = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_INDEX", "PIP_CERT": "SSL_CERT_FILE"}


def cache(environ: Mapping[str, str]) -> Path:
    """Where scripts/run.sh keeps the tool's own packages, too."""
    if named := environ.get("MLGATE_CACHE"):
        return Path(named).expanduser().absolute()
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlgate"


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without what belongs to its forge, its repository or its Python."""
    kept = {k: v for k, v in environ.items() if k not in _FOREIGN_NAMES and not k.startswith(_FOREIGN)}
    for theirs, ours in _INDEX.items():  # pip's words for the index and its certificate, in uv's
        if theirs in kept:
            kept.setdefault(ours, kept[theirs])
    return kept


def make(console: Console, home: Path, env: Mapping[str, str], requirements: Path) -> Path:
    """A virtual environment with exactly these requirements; its `bin`. Raises StoryError."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(requirements.read_bytes() + version.encode() + platform.machine().encode()).hexdigest()
    venv = home / f"example-py{version}-{digest[:16]}"
    ready = venv / ".ready"
    if not ready.exists():
        uv = _uv(console, home, env)
        shutil.rmtree(venv, ignore_errors=True)
        console.run(
            [uv, "venv", "--quiet", "--no-project", "--no-config", "--python", sys.executable, venv],
            cwd=home, env=env, shown="a virtual environment",
        )  # fmt: skip
        console.run(
            [uv, "pip", "install", "--quiet", "--no-config", "--python", venv / "bin" / "python",
             "--require-hashes", "--requirement", requirements],
            cwd=home, env=env, shown="its packages, each checked against its hash",
        )  # fmt: skip
        ready.touch()
    return venv / "bin"


def _uv(console: Console, home: Path, env: Mapping[str, str]) -> Path:
    """The uv on PATH, else the one that requirements/uv.txt names, in the folder where scripts/run.sh looks for it."""
    if (found := shutil.which("uv", path=env.get("PATH"))) and _recent(found):
        return Path(found)
    wanted = ROOT / "requirements" / "uv.txt"
    version = wanted.read_text(encoding="utf-8").removeprefix("uv==").split()[0]
    target = home / f"uv-{version}-{platform.system()}-{platform.machine()}"
    uv = target / "bin" / "uv"
    if uv.exists():
        return uv
    scratch = home / f".uv-{os.getpid()}"
    try:
        console.run(
            [_with_pip(scratch), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
             "--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", scratch / "uv", "-r", wanted],
            cwd=home, env=env, shown=f"uv {version}",
        )  # fmt: skip
        if not uv.exists():
            (scratch / "uv").replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return uv


def _recent(uv: str) -> bool:
    said = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"uv (\d+)\.(\d+)\.", said)
    return found is not None and (int(found[1]), int(found[2])) >= (0, 5)


def _with_pip(scratch: Path) -> Path:
    """This interpreter where it has pip, else a virtual environment that has."""
    if _quiet(sys.executable, "-I", "-m", "pip", "--version"):
        return Path(sys.executable)
    if not _quiet(sys.executable, "-I", "-m", "venv", str(scratch / "venv")):
        raise StoryError(f"{sys.executable} has neither pip nor venv, and uv is not on PATH: install one of the three.")
    return scratch / "venv" / "bin" / "python"


def _quiet(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
