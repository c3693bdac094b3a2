"""The tools that tests run and Python packages do not bring: two runners, a linter, GitHub's parsers, API descriptions.

Everything is found or built outside the repository, once, in `${MLGATE_CACHE:-~/.cache/mlgate}`. Go modules and npm
packages have exact versions; both are checked against their lock or checksum database. A test that needs a tool which
cannot be had is skipped with the reason; `MLGATE_STRICT=1` (our CI, `make test`) turns that into a failure.

`python -m tests.tools` builds all of them, and says which are missing.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "tools"
ACT = ("github.com/nektos/act", "v0.2.89")
ACTIONLINT = ("github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12")


class MissingToolError(Exception):
    """A tool is not here and cannot be built: the message says what is needed."""


def cache() -> Path:
    """Where tools are kept; never inside the repository."""
    home = os.environ.get("MLGATE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlgate"
    folder = Path(home) / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def act() -> Path:
    """The runner for GitHub workflows."""
    return _need(_go, *ACT)


def actionlint() -> Path:
    """The linter for GitHub workflows."""
    return _need(_go, *ACTIONLINT)


def gitlab_ci_local() -> list[str]:
    """The command that runs GitLab pipelines. It copies files with rsync, so that has to be there too."""
    if not shutil.which("rsync"):
        _missing("gitlab-ci-local needs rsync: `apt-get install rsync`")
    return [node(), str(node_modules() / "gitlab-ci-local" / "dist" / "index.js")]


def node() -> str:
    """Node.js, 20 or later."""
    return str(_need(_on_path, "node"))


def node_modules() -> Path:
    """The folder with the locked npm packages of tests/tools/package.json."""
    return _need(_npm)


def api_description() -> Path:
    """GitHub's description of its REST API (OpenAPI 3, references in place)."""
    return node_modules() / "@octokit" / "openapi" / "generated" / "api.github.com.json"


def payload(event: str, action: str | None = None, *, index: int = 0) -> dict[str, Any]:
    """A real webhook payload as GitHub sent it; `action` is its `action` field. A fresh copy at each call."""
    found = [e for e in _payloads()[event] if action is None or e.get("action") == action]
    copy: dict[str, Any] = json.loads(json.dumps(found[index]))
    return copy


def prometheus_rules() -> Path:
    """Prometheus's own parser and engine over a file of rules: see tests/tools/promrules."""
    return _need(_go_module, "promrules")


def script(name: str) -> Path:
    """A command of a test dependency, installed beside this interpreter: zizmor, check-jsonschema, shellcheck."""
    return _need(_beside_python, name)


def build_all() -> int:
    """Builds everything; returns how many are missing."""
    missing = 0
    for name, make in {
        "act": lambda: _go(*ACT),
        "actionlint": lambda: _go(*ACTIONLINT),
        "promrules": lambda: _go_module("promrules"),
        "npm packages": _npm,
        "rsync": lambda: _on_path("rsync"),
        **{name: functools.partial(_beside_python, name) for name in ("zizmor", "check-jsonschema", "shellcheck")},
    }.items():
        try:
            print(f"{name}: {make()}")
        except MissingToolError as problem:
            print(f"{name}: missing. {problem}", file=sys.stderr)
            missing += 1
    return missing


def _need(make: Callable[..., Path], *args: str) -> Path:
    try:
        return make(*args)
    except MissingToolError as problem:
        return _missing(str(problem))


def _missing(reason: str) -> Any:
    import pytest  # noqa: PLC0415 - `python -m tests.tools` runs before it is installed

    if os.environ.get("MLGATE_STRICT") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _once(name: str) -> Iterator[None]:
    """Workers of one test run, and several test runs, build a tool one after another."""
    with (cache() / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def _go(module: str, version: str) -> Path:
    name = module.rsplit("/", 1)[-1]
    home = cache() / f"{name}-{version}"
    if (home / name).exists():
        return home / name
    go = _on_path("go")
    with _once(name):
        if not (home / name).exists():
            tmp = tempfile.mkdtemp(prefix=f".{name}-", dir=cache())
            _run([str(go), "install", f"{module}@{version}"], env={**os.environ, "GOBIN": tmp, "CGO_ENABLED": "0"})
            _place(Path(tmp), home)
    return home / name


@functools.cache
def _go_module(name: str) -> Path:
    """A program of ours in tests/tools, with locked modules."""
    sources = sorted((HERE / name).iterdir())
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
    home = cache() / f"{name}-{digest[:16]}"
    if (home / name).exists():
        return home / name
    go = _on_path("go")
    with _once(name):
        if not (home / name).exists():
            tmp = tempfile.mkdtemp(prefix=f".{name}-", dir=cache())
            command = [str(go), "build", "-o", str(Path(tmp) / name), "."]
            _run(command, cwd=HERE / name, env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"})
            _place(Path(tmp), home)
    return home / name


@functools.cache
def _npm() -> Path:
    lock = (HERE / "package-lock.json").read_bytes()
    home = cache() / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    if (home / "node_modules").exists():
        return home / "node_modules"
    _on_path("node")
    npm = _on_path("npm")
    with _once("npm"):
        if not (home / "node_modules").exists():
            tmp = Path(tempfile.mkdtemp(prefix=".npm-", dir=cache()))
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, tmp)
            # Scripts of packages never run: nothing here needs one.
            _run([str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=tmp)
            _place(tmp, home)
    return home / "node_modules"


@functools.cache
def _payloads() -> dict[str, list[dict[str, Any]]]:
    index = node_modules() / "@octokit" / "webhooks-examples" / "api.github.com" / "index.json"
    return {entry["name"]: entry["examples"] for entry in json.loads(index.read_text("utf-8"))}


def _on_path(name: str) -> Path:
    if found := shutil.which(name):
        return Path(found)
    raise MissingToolError(f"{name} is not on PATH")


def _beside_python(name: str) -> Path:
    if (found := Path(sys.executable).parent / name).exists():
        return found
    return _on_path(name)


def _run(command: list[str], **kwargs: Any) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)
    if done.returncode:
        raise MissingToolError(f"`{' '.join(command[:3])}` failed: {done.stderr.strip()[-400:] or done.stdout[-400:]}")


def _place(tmp: Path, home: Path) -> None:
    tmp.chmod(0o755)
    try:
        tmp.rename(home)
    except OSError:
        if not home.exists():
            raise
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(1 if build_all() else 0)
