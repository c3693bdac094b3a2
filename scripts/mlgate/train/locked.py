"""A private Python environment made from the locked requirements of another commit, kept for the next run.

The project's own environment is not touched. What is installed is named by the digest of the files, of the interpreter
and of the platform: the same files make one environment.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.model import Digests
from mlgate.repo.credentials import redact
from mlgate.train import process
from mlgate.train.process import Say

_KEPT = 8  # environments; the ones that were used longest ago go first
# A package index often wants a password. Installing runs no code of the project, and gets these and no others.
_INDEX = re.compile(r"(?:UV|PIP)_.*|NETRC|SSL_CERT_FILE|REQUESTS_CA_BUNDLE", re.IGNORECASE)
_ELSEWHERE = re.compile(
    rb"^\s*(?:-[rce]\b|--(?:requirement|constraint|editable)\b|\.{0,2}/|file:)|@\s*file:", re.MULTILINE
)
_ASK = "import platform, sys, sysconfig; print(platform.python_implementation(), sys.version, sysconfig.get_platform())"


def digest(files: Mapping[str, bytes]) -> Digests:
    """One digest over files of requirements, by their content and not by their names."""
    listing = "\n".join(sorted(hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest() for data in files.values()))
    return {"sha256": hashlib.sha256(listing.encode()).hexdigest()}


def environment(
    files: Sequence[Path], python: str, *, code: Mapping[str, str], environ: Mapping[str, str], beside: Path, say: Say
) -> dict[str, str]:
    """What project code sees that runs with these requirements: `code`, with the environment's programs first.

    `python` is the interpreter that it is made with, `environ` knows the package index, and `beside` is a folder for an
    environment that cannot be kept because its files speak of others. Raises MlgateError where it cannot be made.
    """
    for file in files:
        if not re.fullmatch(r".*\.(txt|in|pip)|pylock(\..+)?\.toml", file.name):
            raise MlgateError(
                "is no file that pip installs from.", file=file.name, key="train.requirements",
                fix="Export it: `uv export --format requirements-txt`, `poetry export`, or `pip freeze`.",
            )  # fmt: skip
    own = {key: value for key, value in environ.items() if _INDEX.fullmatch(key) or key in code}
    texts = {str(file): file.read_bytes() for file in files}
    if any(_ELSEWHERE.search(text) for text in texts.values()):
        home = beside / "environment"
        _make(home, files, python, own, say)
        return _active(home, code)
    asked = process.run([python or "python3", "-I", "-c", _ASK], cwd=beside, environ=code, say=lambda line: None)
    if asked.code != 0:
        raise MlgateError(f"`{python or 'python3'}` does not start ({asked.how}).")
    name = hashlib.sha256(f"{digest(texts)}{asked.said}".encode()).hexdigest()[:20]
    cache = extras.cache_folder(os.environ) / "environments"
    home = cache / name
    if not (home / "bin" / "python").exists():
        _keep(home, files, python, own, say)
    os.utime(home)
    _tidy(cache, home)
    return _active(home, code)


def _keep(home: Path, files: Sequence[Path], python: str, environ: Mapping[str, str], say: Say) -> None:
    """A virtual environment holds its own path, so it is made in its place; the mark says that it is whole."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    except OSError as error:
        raise MlgateError(
            f"cannot write to {home.parent} ({error.strerror}).",
            fix="Set MLGATE_CACHE to a folder that can be written.",
        ) from error
    try:
        _make(work / "made", files, python, environ, say)
        _make_relocatable(work / "made", home)
        try:
            (work / "made").rename(home)
        except OSError:
            if not home.is_dir():  # of jobs that do so at once, one wins and the others use what it made
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _make_relocatable(made: Path, home: Path) -> None:
    """Programs name their interpreter by its path: the one it will have."""
    for file in (made / "bin").iterdir():
        if file.is_symlink() or not file.is_file():
            continue
        data = file.read_bytes()
        if data.startswith(b"#!") or file.name.startswith("activate"):
            file.write_bytes(data.replace(str(made).encode(), str(home).encode()))


def _make(home: Path, files: Sequence[Path], python: str, environ: Mapping[str, str], say: Say) -> None:
    listed = [part for file in files for part in ("--requirement", str(file))]
    python = shutil.which(python or "python3", path=environ.get("PATH")) or python or "python3"
    uv = extras.find_uv(extras.cache_folder(os.environ))
    if uv:
        settings = extras.uv_environ(environ)
        steps = [
            [uv, "venv", "--quiet", "--no-config", "--no-project", "--python", python, str(home)],
            [uv, "pip", "install", "--quiet", "--no-config", "--no-progress", "--compile-bytecode",
             "--python", str(home / "bin" / "python"), *listed],
        ]  # fmt: skip
    else:
        settings = extras.pip_environ(environ)
        steps = [
            [python, "-I", "-m", "venv", str(home)],
            [str(home / "bin" / "python"), "-I", "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input",
             "install", *listed],
        ]  # fmt: skip
    for step in steps:
        ended = process.run(step, cwd=files[0].parent, environ=settings, say=lambda line: say(redact(line)))
        if ended.code != 0:
            said = redact(ended.tail[-1].strip().rstrip(".")) if ended.tail else ended.how
            names = ", ".join(file.name for file in files)
            raise MlgateError(f"{names} could not be installed ({said}).")


def _active(home: Path, code: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in code.items() if not re.fullmatch(r"PYTHON(PATH|HOME)|CONDA_.*", key)}
    path = os.pathsep.join([str(home / "bin"), code.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "VIRTUAL_ENV": str(home)}


def _tidy(cache: Path, used: Path) -> None:
    homes = sorted((one for one in cache.iterdir() if not one.name.startswith(".")), key=lambda p: p.stat().st_mtime)
    for old in homes[: max(0, len(homes) - _KEPT)]:
        if old != used:
            shutil.rmtree(old, ignore_errors=True)
