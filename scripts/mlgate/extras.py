"""Packages that only some verbs need: DuckDB, Great Expectations, MLflow. Used where installed, else kept apart.

The project's Python is never installed into. What is missing comes from requirements/<extra>.txt, each file checked
against its hash, into the cache that scripts/run.sh keeps the tool's own packages in, under the same kind of name.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mlgate.errors import MlgateError


@dataclass(frozen=True)
class _Extra:
    purpose: str  # what the line on the terminal says it is for
    needs: dict[str, tuple[str, tuple[int, int]]]  # module: its distribution, and the oldest version that works


# The versions are those of pyproject.toml; a test holds the two together.
_EXTRAS = {
    "classifier": _Extra("to tell production from the reference data", {"sklearn": ("scikit-learn", (1, 6))}),
    "data": _Extra("to read data files", {"duckdb": ("duckdb", (2, 0)), "numpy": ("numpy", (2, 1))}),
    "gx": _Extra(
        "for expectations that DuckDB does not answer",
        {"great_expectations": ("great-expectations", (1, 9)), "pyarrow": ("pyarrow", (20, 0))},
    ),
    "notify": _Extra("to send messages", {"apprise": ("apprise", (2, 2)), "tzdata": ("tzdata", (2025, 1))}),
    "scan": _Extra(
        "to look for vulnerabilities and write the SBOM",
        {"pip_audit": ("pip-audit", (2, 9)), "cyclonedx": ("cyclonedx-python-lib", (11, 0))},
    ),
    "serve": _Extra(
        "to answer requests",
        {
            "fastapi": ("fastapi", (0, 115)),
            "uvicorn": ("uvicorn", (0, 34)),
            "httptools": ("httptools", (0, 6)),
            "uvloop": ("uvloop", (0, 21)),
            "orjson": ("orjson", (3, 10)),
        },
    ),
    "sign": _Extra(
        "to sign and verify signatures", {"cryptography": ("cryptography", (44, 0)), "nacl": ("pynacl", (1, 5))}
    ),
    "sign-model": _Extra(
        "to sign and verify a model's files",
        {"model_signing": ("model-signing", (1, 1)), "OpenSSL": ("pyopenssl", (24, 0))},
    ),
    "sql": _Extra(
        "to query databases",
        {
            "sqlalchemy": ("sqlalchemy", (2, 0)),
            "psycopg": ("psycopg", (3, 2)),
            "psycopg_binary": ("psycopg-binary", (3, 2)),
        },
    ),
    "storage": _Extra(
        "to read object storage",
        {
            "fsspec": ("fsspec", (2025, 3)),
            "s3fs": ("s3fs", (2025, 3)),
            "gcsfs": ("gcsfs", (2025, 3)),
            "adlfs": ("adlfs", (2024, 12)),
        },
    ),
    "track": _Extra("to talk to MLflow", {"mlflow": ("mlflow-skinny", (3, 4))}),
    "track-local": _Extra(
        "for an MLflow store without a server", {"mlflow": ("mlflow", (3, 4)), "sqlalchemy": ("sqlalchemy", (1, 4))}
    ),
}
_TIMEOUT = 1800  # seconds: 200 MB over a slow line


def use(extra: str) -> None:
    """Make an extra's packages importable in this process. Raises MlgateError when they cannot be had."""
    if _is_here(extra):
        return
    folder = str(_own(extra))
    if folder not in sys.path:
        sys.path.insert(0, folder)
        importlib.invalidate_caches()


def site(extra: str) -> list[str]:
    """What goes in front of sys.path in a worker process (`python -I`): the extra, mlgate and its base packages.

    Raises MlgateError when the packages cannot be had.
    """
    found = [] if _is_here(extra) else [str(_own(extra))]
    for module in (*(() if found else _EXTRAS[extra].needs), "mlgate", "click"):
        spec = find_spec(module)
        if spec is not None and spec.origin is not None:
            home = Path(spec.origin).parent
            found.append(str(home.parent if spec.submodule_search_locations else home))
    return list(dict.fromkeys(found))


def _is_here(extra: str) -> bool:
    """Whether the interpreter has them already, in a version that works: `pip install "mlgate[data]"`."""
    needs = _EXTRAS[extra].needs
    if any(find_spec(module) is None for module in needs):
        return False
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 -- slow, and often not needed

    try:
        return all(_numbers(version(name)) >= oldest for name, oldest in needs.values())
    except PackageNotFoundError:
        return False


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def requirements(extra: str) -> Path:
    """The file that locks an extra's packages: exact versions, with hashes. Raises MlgateError without one."""
    here = Path(__file__).resolve()
    homes = (here.with_name("requirements"), here.parents[2] / "requirements")  # in a wheel, in a checkout
    found = next((home / f"{extra}.txt" for home in homes if (home / f"{extra}.txt").is_file()), None)
    if found is None:
        raise MlgateError(f"the packages of {extra!r} are not installed.", fix=_by_hand(extra))
    return found


def _own(extra: str) -> Path:
    """The folder of the extra's packages, which is filled first where it has to be."""
    lock = requirements(extra)
    cache = cache_folder(os.environ)
    folder = cache / _key(lock)
    if not folder.is_dir():
        _install(extra, lock, cache, folder)
    return folder


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where run.sh keeps the tool's own packages; it says so in MLGATE_CACHE."""
    if told := environ.get("MLGATE_CACHE"):
        return Path(told).absolute()
    if tools := environ.get("RUNNER_TOOL_CACHE"):
        return Path(tools).absolute() / "mlgate"
    if home := environ.get("XDG_CACHE_HOME") or (environ.get("HOME") and f"{environ['HOME']}/.cache"):
        return Path(home).absolute() / "mlgate"
    raise MlgateError("there is no folder for mlgate's own packages.", fix="Set MLGATE_CACHE to one.")


def _key(lock: Path) -> str:
    """The name that run.sh would give: which requirements, which interpreter, which platform."""
    what = hashlib.sha256(lock.read_bytes())
    what.update((importlib.machinery.EXTENSION_SUFFIXES[0] + os.uname().machine).encode())
    return f"py{sys.version_info[0]}{sys.version_info[1]}-{what.hexdigest()[:20]}"


def _install(extra: str, lock: Path, cache: Path, folder: Path) -> None:
    names = ", ".join(sorted(distribution for distribution, _ in _EXTRAS[extra].needs.values()))
    sys.stderr.write(f"mlgate: installing {names} into {folder}, once, {_EXTRAS[extra].purpose}.\n")
    sys.stderr.flush()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tmp = Path(tempfile.mkdtemp(prefix=".tmp.", dir=cache))
    except OSError as error:
        raise MlgateError(
            f"cannot write to {cache} ({error.strerror}).", fix="Set MLGATE_CACHE to a folder that can be written."
        ) from error
    try:
        command, environ = _installer(cache, tmp)
        # Not from the folder we are in: a project's files there could speak to pip and uv.
        said = _run([*command, "--target", str(tmp / "site"), "--requirement", str(lock)], environ, tmp)
        if said is not None:
            raise MlgateError(f"the packages of {extra!r} could not be installed ({said}).", fix=_by_hand(extra))
        try:
            (tmp / "site").rename(folder)
        except OSError:
            if not folder.is_dir():  # of jobs that do so at once, one wins and the others use what it made
                raise
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def _by_hand(extra: str) -> str:
    return (
        "Is the package index reachable from here (UV_DEFAULT_INDEX or PIP_INDEX_URL names another one)? "
        f"By hand: pip install 'mlgate[{extra}]'"
    )


def _installer(cache: Path, tmp: Path) -> tuple[list[str], dict[str, str]]:
    """The command that installs, up to where and what, and its environment: uv if there is one, else any pip."""
    checked = ["--quiet", "--no-deps", "--require-hashes"]
    if uv := find_uv(cache):
        mine = ["--no-config", "--no-progress", "--no-build", "--compile-bytecode", "--python", sys.executable]
        return [uv, "pip", "install", *checked, *mine], uv_environ(os.environ)
    environ = pip_environ(os.environ)
    for python in dict.fromkeys((sys.executable, getattr(sys, "_base_executable", sys.executable))):
        if _run([python, "-I", "-m", "pip", "--version"], environ, tmp) is None:
            break
    else:
        # A system Python without pip can often still make a virtual environment that has one.
        if (said := _run([sys.executable, "-I", "-m", "venv", str(tmp / "venv")], environ, tmp)) is not None:
            raise MlgateError(f"mlgate needs uv or pip to install its own packages, and finds neither ({said}).")
        python = str(tmp / "venv" / "bin" / "python")
    mine = ["--disable-pip-version-check", "--no-input", "--only-binary", ":all:", "--compile"]
    return [python, "-I", "-m", "pip", "install", *checked, *mine], environ


def find_uv(cache: Path) -> str:
    """The uv on PATH when it is new enough, else the one that run.sh has fetched into the cache; empty for none."""
    for found in (shutil.which("uv"), *sorted(map(str, cache.glob("uv-*/bin/uv")), reverse=True)):
        if found is None or not os.access(found, os.X_OK):
            continue
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        if re.match(r"uv (0\.([5-9]|[1-9]\d+)|[1-9]\d*)\.", said):
            return found
    return ""


# What would turn the installation to another place, or to other files than the locked ones.
_NOT_OURS = re.compile(
    r"VIRTUAL_ENV|CONDA_PREFIX|PYTHON(PATH|HOME|STARTUP)"
    r"|UV_(PYTHON|SYSTEM_PYTHON|PROJECT|WORKING_DIRECTORY|CONSTRAINT|OVERRIDE|EXCLUDE_NEWER|NO_BINARY|TARGET|PREFIX)"
    r"|PIP_(TARGET|PREFIX|CONSTRAINT|USER|REQUIRE_VIRTUALENV|ROOT|NO_BINARY|REQUIREMENT|EDITABLE|PYTHON)"
)


def _settings(environ: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environ.items() if not _NOT_OURS.fullmatch(key)}


def uv_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """What pip would be told by the environment, in uv's words, unless uv was told something itself. As in run.sh."""
    env = _settings(environ)
    if not (env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL")) and env.get("PIP_INDEX_URL"):
        env["UV_DEFAULT_INDEX"] = env["PIP_INDEX_URL"]
    if not (env.get("UV_INDEX") or env.get("UV_EXTRA_INDEX_URL")) and env.get("PIP_EXTRA_INDEX_URL"):
        env["UV_INDEX"] = env["PIP_EXTRA_INDEX_URL"]
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # as pip does; every file is checked against its hash
    if env.get("PIP_NO_INDEX"):
        env.setdefault("UV_NO_INDEX", "1")
        if env.get("PIP_FIND_LINKS"):
            env.setdefault("UV_FIND_LINKS", env["PIP_FIND_LINKS"])
    if env.get("PIP_CERT") and not env.get("SSL_CERT_FILE"):
        env["SSL_CERT_FILE"] = env["PIP_CERT"]
    return env


def pip_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The other way round, for a machine without uv whose user has told only uv where the index is."""
    env = _settings(environ)
    if not env.get("PIP_INDEX_URL") and (index := env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL")):
        env["PIP_INDEX_URL"] = index
    return env


def _run(command: list[str], environ: Mapping[str, str], cwd: Path) -> str | None:
    """None when it succeeded, else the last line of what it said: without colours, and without a password."""
    try:
        done = subprocess.run(
            command,
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=_TIMEOUT,
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"it took more than {_TIMEOUT // 60} minutes"
    if done.returncode == 0:
        return None
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.decode("utf-8", "replace"))
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()] or [f"exit {done.returncode}"]
    return re.sub(r"://[^/@\s]+@", "://***@", lines[-1])[:300].rstrip(".")
