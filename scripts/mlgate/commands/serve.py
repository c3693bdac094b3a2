"""`mlgate serve`: the server of the image, on this machine, in the project's own environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlgate import extras
from mlgate.commands import _options, _pull, _serving
from mlgate.commands._run import STATE, Run, Unloadable, write_text
from mlgate.errors import MlgateError
from mlgate.judge import record
from mlgate.repo import artifact
from mlgate.serving.settings import Identity

if TYPE_CHECKING:
    from mlgate.config import Config
    from mlgate.data.nouns import Contract

_PACKAGES = ("fastapi", "uvicorn", "httptools", "uvloop", "orjson")
_LOOK = (
    "import importlib.util, json, sys; print(json.dumps([list(sys.version_info[:2]), "
    f"all(importlib.util.find_spec(name) for name in {_PACKAGES!r})]))"
)
# What the server brings stands behind the packages of the project: the model gets those that it was trained with.
_BOOT = (
    "import os, runpy, sys; sys.path += os.environ.pop('MLGATE_BEHIND').split(os.pathsep); "
    "sys.argv[0] = 'mlgate serve'; runpy.run_module('mlgate.serving', run_name='__main__')"
)


@click.command("serve")
@_options.config
@_options.working_directory
@click.option(
    "--model", envvar="MLGATE_MODEL", default="", metavar="PATH",
    help="An MLflow model folder, or a joblib, pickle, skops or ONNX file. Default: `artifact` of mlgate.yaml.",
)  # fmt: skip
@click.option("--host", envvar="MLGATE_HOST", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", envvar="MLGATE_PORT", type=click.IntRange(0, 65535), help="0: any free one. Default: serve.port."
)
@click.option("--workers", envvar="MLGATE_WORKERS", type=click.IntRange(1, 256), help="Default: serve.workers.")
@click.option(
    "--environment", envvar="MLGATE_ENVIRONMENT", default="local", show_default=True,
    help="A word for the prediction log and /version.",
)  # fmt: skip
@_options.python
@_options.pull
@_options.debug
def command(  # noqa: PLR0917 -- click gives them by name
    config: str, working_directory: str, model: str, host: str, port: int | None, workers: int | None,
    environment: str, python: str, pull: bool, debug: bool,
) -> None:  # fmt: skip
    """Answer requests with a model, as its image does: /predict, /invocations and the Open Inference Protocol v2."""
    run = Run.start(config, working_directory, summary=False)
    read = _config(run)
    path = _model(run, read, model, pull=pull, python=python or read.interpreter)
    project, behind = interpreter(run, python or read.interpreter)
    identity = Identity(model=read.model, digest=_digest(path), commit="" if run.dirty else run.head)
    settings = _serving.settings(read, model=path, identity=identity, contract=_contract(run, read))
    told = run.cwd.resolve() / STATE / "serving" / f"{read.model}.json"
    write_text(told, settings.to_json())
    write_text(told.parent.parent / ".gitignore", "*\n")
    environ = {**os.environ, "MLGATE_BEHIND": os.pathsep.join(behind)}
    arguments = [
        "--host", host, "--port", str(settings.port if port is None else port), "--workers",
        str(workers or settings.workers), "--settings", str(told), "--model", str(path), "--environment", environment,
    ]  # fmt: skip
    sys.stderr.flush()
    os.chdir(run.git.root / read.folder)  # where the project's own code is importable
    try:
        os.execve(project, [project, "-c", _BOOT, *arguments], environ)  # noqa: S606 -- it is the server now
    except OSError as error:
        raise MlgateError(f"{project} cannot be started ({error.strerror}).") from error


def _config(run: Run) -> Config:
    files = run.config_files()
    if len(files) != 1:
        if not files:
            raise run.no_config()
        raise MlgateError(
            f"{len(files)} models are configured here, and one server has one model.", fix=f"--config {files[0]}"
        )
    read = run.load(files[0])
    if isinstance(read, Unloadable):
        raise read.error
    return read


def _model(run: Run, config: Config, asked: str, *, pull: bool, python: str) -> Path:
    """Where the model is, fetched by DVC where it is tracked and not here."""
    if asked:
        path = run.cwd / asked
    elif config.artifact is not None:
        place = config.path(config.artifact)
        path = run.git.root / place
        if pull and not path.exists():
            _pull.pull(run, [place], python)
    else:
        raise MlgateError(
            "has no artifact, so there is no model to serve.", file=config.file, key="artifact",
            fix="Add `artifact: models/...`, or name the model with --model.",
        )  # fmt: skip
    if not path.exists():
        raise MlgateError("is not here; there is no model to serve.", file=str(asked or path.relative_to(run.git.root)))
    return path.resolve()


def _digest(path: Path) -> str:
    found = artifact.sha256s(path)
    return found[path.name] if path.is_file() else record.model_digest(found)


def _contract(run: Run, config: Config) -> Contract | None:
    """Of the first evaluation data that has one."""
    from mlgate.data import contract as contracts  # noqa: PLC0415 -- only where there is one

    named_by = {config.path(one.path): one.contract for one in config.data if one.contract is not None}
    for one in config.evaluate.values():
        named = named_by.get(config.path(one.data)) if one.data is not None else None
        if named is not None:
            file = config.path(named)
            return contracts.load(run.read(file) or b"", file)
    return None


def interpreter(run: Run, wanted: str) -> tuple[str, list[str]]:
    """The project's Python, and the folders that stand behind its packages. Raises MlgateError where none fits."""
    name = str(run.git.root / wanted) if "/" in wanted else (wanted or "python3")
    found = shutil.which(name)
    if found is None:
        raise MlgateError(f"there is no interpreter {name}.", fix="Name the project's own with --python.")
    try:
        done = subprocess.run([found, "-c", _LOOK], capture_output=True, text=True, check=False, timeout=60)
        version, complete = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise MlgateError(f"{found} does not work as a Python.", fix="Name another with --python.") from error
    home = str(Path(extras.__file__).parents[1])
    if complete:
        return found, [home]
    if tuple(version) != sys.version_info[:2]:
        raise MlgateError(
            f"the project's Python is {version[0]}.{version[1]}, and mlgate runs by "
            f"{sys.version_info[0]}.{sys.version_info[1]}: its server's packages do not fit there.",
            fix=f"{found} -m pip install 'mlgate[serve]'",
        )
    return found, [*(p for p in extras.site("serve") if p != home), home]
