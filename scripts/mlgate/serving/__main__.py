"""`python -m mlgate.serving`: the server of the image. What it needs is in its environment or in its arguments."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.serving.settings import Settings
from mlgate.serving.workers import CONTROL, FD


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 when it was told to stop, 2 for what does not fit, with one sentence on standard error."""
    asked = _parser().parse_args(arguments)
    try:
        settings = Settings.read(Path(asked.settings))
        workers = _count("--workers", asked.workers or settings.workers)
        settings = replace(settings, workers=workers)
        if asked.check:
            from mlgate.serving import checking  # noqa: PLC0415 -- imports the model's packages

            return checking.check(settings, Path(asked.model))
        if CONTROL in os.environ:
            from mlgate.serving import worker  # noqa: PLC0415 -- as above

            return worker.run(
                settings, Path(asked.model), environment=asked.environment, log_level=asked.log_level,
                listen=int(os.environ.pop(FD)), control=int(os.environ.pop(CONTROL)),
            )  # fmt: skip
        return _supervise(asked, settings)
    except MlgateError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _supervise(asked: argparse.Namespace, settings: Settings) -> int:
    from mlgate.serving import metrics, workers  # noqa: PLC0415 -- only the process that watches

    port = _count("--port", asked.port if asked.port is not None else settings.port, least=0)
    sock = workers.listen(asked.host, port)
    host, bound = sock.getsockname()[:2]
    sys.stderr.write(f"mlgate: {settings.identity.model} at http://{_bracketed(host)}:{bound}\n")
    sys.stderr.flush()
    passed = [
        "--settings", asked.settings, "--model", asked.model, "--workers", str(settings.workers),
        "--environment", asked.environment, "--log-level", asked.log_level,
    ]  # fmt: skip
    with metrics.share():
        return workers.Supervisor(
            sock, settings.workers, passed, drain=settings.drain, patience=2 * settings.timeout + 10.0
        ).run()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _count(name: str, value: int | str, *, least: int = 1) -> int:
    try:
        number = int(value)
    except ValueError:
        number = least - 1
    if not least <= number <= 65535:
        raise MlgateError(f"{name} has to be a whole number from {least} on, and is {value!r}.")
    return number


def _parser() -> argparse.ArgumentParser:
    environ = os.environ
    parser = argparse.ArgumentParser(prog="python -m mlgate.serving", description=__doc__)
    add = parser.add_argument
    add("--host", default=environ.get("MLGATE_HOST") or "0.0.0.0", help="address to listen on")  # noqa: S104 -- an image
    add("--port", default=environ.get("MLGATE_PORT") or None, help="0: any free one")
    add("--workers", default=environ.get("MLGATE_WORKERS") or None, help="processes that answer")
    add("--settings", default=environ.get("MLGATE_SETTINGS") or "/opt/mlgate/serving.json", metavar="FILE")
    add("--model", default=environ.get("MLGATE_MODEL") or "/opt/model", metavar="PATH")
    add("--environment", default=environ.get("MLGATE_ENVIRONMENT", ""), help="staging, production: goes into the log")
    add(
        "--log-level", default=environ.get("MLGATE_LOG_LEVEL") or "warning", type=str.lower,
        choices=["critical", "error", "warning", "info", "debug"], help="of the server's own messages",
    )  # fmt: skip
    add("--check", action="store_true", help="load the model, say whether the packages fit, and leave")
    return parser


if __name__ == "__main__":
    sys.exit(main())
