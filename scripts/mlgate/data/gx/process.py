"""The worker process: started apart from the project, given a request, listened to, and stopped in time.

It is this interpreter without its site packages; what it may import is given to it. Its home is the temporary folder,
so that no configuration of Great Expectations is found, and it says nothing to anyone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError

TIMEOUT = 1800.0  # seconds; ten million rows of thirty columns take one minute
NAME = "Great Expectations"
_START = "import sys; sys.path[:0] = {paths!r}; from mlgate.data.gx import worker; worker.main(sys.argv[1])"
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")

_MAKERS: dict[str, Callable[[str], Any]] = {
    "date": datetime.fromisoformat,  # dates are midnights in pandas, and no midnight is equal to a date
    "datetime": datetime.fromisoformat,
    "Decimal": Decimal,
}


def ask(folder: Path, request: Mapping[str, Any], paths: Sequence[str], *, timeout: float = TIMEOUT) -> dict[str, Any]:
    """What the worker answers. Raises MlgateError when it does not."""
    (folder / "request.json").write_text(json.dumps(request, default=packed), encoding="utf-8")
    environ = {key: os.environ[key] for key in _KEPT if key in os.environ}
    environ |= {"HOME": str(folder), "TMPDIR": str(folder), "GX_ANALYTICS_ENABLED": "False", "PYTHONUTF8": "1"}
    command = [sys.executable, "-I", "-S", "-c", _START.format(paths=list(paths)), str(folder)]
    said = folder / "said.txt"
    with said.open("wb") as out:
        try:
            done = subprocess.run(
                command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise MlgateError(f"{NAME} took more than {_minutes(timeout)}, and was stopped.") from None
        except OSError as error:
            raise MlgateError(f"{NAME} cannot be started ({error.strerror}).") from error
    answer = folder / "response.json"
    if done.returncode != 0 or not answer.is_file():
        raise MlgateError(f"{NAME} ended before it answered ({_why(done.returncode, said)}).")
    try:
        found = json.loads(answer.read_bytes())
    except ValueError as error:
        raise MlgateError(f"{NAME} gave an answer that cannot be read.") from error
    if not isinstance(found, dict):
        raise MlgateError(f"{NAME} gave an answer that cannot be read.")
    return found


def packed(value: Any) -> Any:
    """What JSON has no word for, so that `unpacked` can make it again."""
    if isinstance(value, date | datetime):
        return {"mlgate": type(value).__name__, "is": value.isoformat()}
    if isinstance(value, Decimal):
        return {"mlgate": "Decimal", "is": str(value)}
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise MlgateError(f"{NAME} cannot be asked about {value!r}.")


def unpacked(found: dict[str, Any]) -> Any:
    """The other side of `packed`, for json's object_hook."""
    if set(found) != {"mlgate", "is"}:
        return found
    text: str = found["is"]
    makers: dict[str, Callable[[str], Any]] = {
        "date": datetime.fromisoformat,  # dates are midnights in pandas, and no midnight is equal to a date
        "datetime": datetime.fromisoformat,
        "Decimal": Decimal,
    }
    return makers[found["mlgate"]](text)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.3g} seconds"


def _why(code: int, said: Path) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else str(-code)
        return f"{name}{': is there enough memory?' if name == 'SIGKILL' else ''}"
    lines = [line.strip() for line in said.read_bytes().decode("utf-8", "replace").splitlines() if line.strip()]
    return (lines[-1] if lines else f"exit {code}")[:300].rstrip(".")
