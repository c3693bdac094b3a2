"""Logs one training: starts the worker, waits for it within limits, and reads what it did. Never raises."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.tracking import bundle, words
from mlgate.tracking.nouns import Logged, Training
from mlgate.tracking.store import Store

TIMEOUT = 300.0  # seconds for everything after the packages are there
# A worker is told its paths on standard input: arguments can be read by every user of the machine.
_START = (
    "import json, sys; told = json.load(sys.stdin); sys.path[:0] = told['paths']; "
    "from importlib import import_module; import_module(told['module']).main(told['folder'])"
)


def log(training: Training, store: Store, *, timeout: float = TIMEOUT) -> Logged:
    """One MLflow run for one training; the same run when it is logged again.

    `timeout` in seconds. Whatever goes wrong is in `problem`: MLflow never decides about a model.
    """
    experiment = training.experiment or training.model
    if refused := store.refused(training.folder):
        return Logged(problem=refused, experiment=experiment)
    try:
        logged = _log(training, store, timeout)
    except MlgateError as error:
        logged = Logged(problem=f"The packages that speak to MLflow cannot be had: {words.brief(str(error))}.")
    except OSError as error:
        logged = Logged(problem=words.sentence(store.shown, str(error), secrets=store.secrets))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        logged = Logged(problem=words.sentence(store.shown, said, secrets=store.secrets))
    clean = [words.redact(note, store.secrets) for note in logged.left_out]
    problem = words.redact(logged.problem, store.secrets)
    return replace(logged, experiment=experiment, problem=problem, left_out=tuple(dict.fromkeys(clean)))


def _log(training: Training, store: Store, timeout: float) -> Logged:
    paths = extras.site(store.extra)
    with tempfile.TemporaryDirectory(prefix="mlgate-mlflow-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        made = bundle.make(training, store, scratch)
        orders = {**made.orders, "patience": timeout, "at": store.shown}
        (scratch / "orders.json").write_text(json.dumps(orders), "utf-8")
        trouble = work(scratch, store, paths, timeout)
        return _read(scratch, training, store, made, trouble)


def work(
    scratch: Path, store: Store, paths: list[str], timeout: float, *, module: str = "worker", doing: str = "logging to"
) -> str:
    """Runs a worker to its end. Returns what went wrong with the process itself, empty when nothing did.

    `module` of this room has the worker's `main`; `scratch` has its orders, and gets its `state.json`.
    """
    environment = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        # A home of its own: no ~/.mlflow/credentials, ~/.netrc or ~/.aws of whoever runs this.
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
        **store.environment(),
    }
    told = {"paths": paths, "folder": str(scratch), "module": f"mlgate.tracking.{module}"}
    start = json.dumps(told).encode()
    with (scratch / "said").open("wb") as said:
        worker = subprocess.Popen(
            [sys.executable, "-I", "-W", "ignore", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            cwd=scratch,
            env=environment,
            start_new_session=True,
        )
        try:
            worker.communicate(start, timeout)
        except subprocess.TimeoutExpired:
            return f"{store.shown} took longer than {timeout:g} s, so {doing.split(maxsplit=1)[0]} was given up."
        finally:
            if worker.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
    if worker.returncode == 0:
        return ""
    how = f"signal {-worker.returncode}" if worker.returncode < 0 else f"exit code {worker.returncode}"
    last = (scratch / "said").read_bytes()[-4000:].decode("utf-8", "replace").strip().splitlines()
    return (
        f"{doing.capitalize()} {store.shown} ended with {how}: {words.brief(last[-1]) if last else 'nothing was said'}."
    )


def _read(scratch: Path, training: Training, store: Store, made: bundle.Bundle, trouble: str) -> Logged:
    """What the worker had done, even where it was stopped on the way."""
    try:
        state: dict[str, Any] = json.loads((scratch / "state.json").read_bytes())
    except (OSError, ValueError):
        state = {}
    problem = trouble
    if failure := state.get("failure"):
        problem = failure.get("sentence") or words.sentence(
            store.shown, failure["said"], status=failure["status"], secrets=store.secrets
        )
    read = state.get("metrics")
    sent: dict[str, float] = made.orders["metrics"]
    if not problem and read is None:
        problem = f"{store.shown} did not give the run back, so its numbers are not checked."
    elif not problem:
        problem = _differences(store, sent, read or {}, made.names)
    run = state.get("run_id", "")
    database = store.database(training.folder) if store.kind == "sqlite" else None
    opened = f"mlflow ui --backend-store-uri sqlite:///{database}" if database and run else ""
    return Logged(
        run_id=run,
        url=state.get("url", "") or (store.page(state.get("experiment_id", ""), run) if run else ""),
        problem=problem,
        metrics={made.names[key]: value for key, value in (read or {}).items() if key in made.names},
        left_out=(*made.notes, *state.get("left_out", ())),
        model_uri=state.get("model_uri", ""),
        how_to_open=opened,
        again=bool(state.get("again")),
    )


def _differences(store: Store, sent: dict[str, float], read: dict[str, float], names: dict[str, str]) -> str:
    """Numbers that did not come back as they were sent."""
    for key, value in sent.items():
        if key not in read:
            return f"{store.shown} did not keep the metric `{names[key]}`, which is {value!r}."
        if read[key] != value:
            return f"{store.shown} has {read[key]!r} for `{names[key]}`, where {value!r} was sent."
    return ""
