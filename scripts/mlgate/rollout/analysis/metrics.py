"""Numbers of the user's own that rules may name: an answer of Prometheus, or what a command prints.

Nothing, NaN, or several values are no number: each is an error, and a rule without its number holds the rollout.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError
from mlgate.repo.credentials import redact

Ask = Callable[[str, Mapping[str, str], Mapping[str, str]], tuple[int, str]]  # address, form, headers -> status, text
TIMEOUT = 15.0  # seconds for one number
_LARGEST = 1_000_000  # characters of an answer
_SHOWN = 160
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


def filled(text: str, names: Mapping[str, str]) -> str:
    """The query or command with `{arm}` and the other names put in; all other braces stay as they are."""
    return re.sub(r"\{([a-z]+)\}", lambda found: names.get(found[1], found[0]), text)


def prometheus(url: str, query: str, token: str = "", ask: Ask | None = None, *, at: float | None = None) -> float:
    """The one finite number that a query gives now, or `at` a time (seconds since 1970).

    Raises MlgateError that says why there is none.
    """
    asked = f"The query `{_short(query)}`"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if not re.match(r"https?://[^/\s]", url):
        raise MlgateError(
            f"`{_short(url)}` is no address of Prometheus.", fix="Write it like `http://prometheus:9090`."
        )
    if re.match(r"https?://[^/\s]*@", url):
        raise MlgateError(
            "the address of Prometheus holds a user or password, which logs would show.",
            fix="Put a token into MLGATE_PROMETHEUS_TOKEN.",
        )
    form = {"query": query} if at is None else {"query": query, "time": f"{at:.3f}"}
    status, text = (ask or _post)(f"{url.rstrip('/')}/api/v1/query", form, headers)
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or "status" not in answer:
        if status in (401, 403):
            raise MlgateError(
                f"Prometheus at {url} does not let us ask (HTTP {status}).", fix="Look at MLGATE_PROMETHEUS_TOKEN."
            )
        raise MlgateError(f"what answers at {url} is no Prometheus (HTTP {status}).", fix="Look at its address.")
    if status != 200 or answer["status"] != "success":
        said = _short(str(answer.get("error") or f"HTTP {status}"))
        raise MlgateError(f"{asked} was refused by Prometheus: {said}.", fix="Try it in Prometheus itself.")
    return _number(_one(answer.get("data"), asked), asked)


def _one(data: Any, asked: str) -> Any:
    """The value of the only series, as Prometheus writes it: text."""
    kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
    if kind == "scalar" and isinstance(result, list) and len(result) == 2:
        return result[1]
    if kind != "vector" or not isinstance(result, list):
        raise MlgateError(f"{asked} gives no single number but a {kind or 'thing without a type'}.", fix=_INSTANT)
    if not result:
        raise MlgateError(f"{asked} gives nothing.", fix="Look at its labels; the series may not exist yet.")
    if len(result) > 1:
        raise MlgateError(f"{asked} gives {len(result)} series, and a rule needs one.", fix="Put `sum(...)` around it.")
    value = result[0].get("value") if isinstance(result[0], dict) else None
    if not isinstance(value, list) or len(value) != 2:
        raise MlgateError(f"{asked} gives a series without a number.", fix=_INSTANT)
    return value[1]


_INSTANT = "It has to give one value at one time, such as `sum(rate(x[5m]))`."


def _number(text: Any, asked: str) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise MlgateError(f"{asked} gives `{_short(str(text))}`, which is no number.", fix=_INSTANT) from None
    if math.isnan(value):
        raise MlgateError(f"{asked} gives NaN: it divides by nothing.", fix="There may be no requests yet.")
    if math.isinf(value):
        raise MlgateError(f"{asked} gives infinity: it divides by nothing.", fix="There may be no requests yet.")
    return value


def _post(url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, str]:
    import requests  # noqa: PLC0415 -- only rules that ask Prometheus need it

    try:
        # No redirect: a token must not go where the settings do not say.
        with requests.post(
            url, data=dict(form), headers=dict(headers), timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as answer:
            text = answer.raw.read(_LARGEST + 1, decode_content=True)
            status = answer.status_code
    except (requests.RequestException, OSError) as error:
        raise MlgateError(
            f"Prometheus at {url.removesuffix('/api/v1/query')} cannot be reached ({type(error).__name__}).",
            fix="Look at its address, and whether this job can reach it.",
        ) from None
    if len(text) > _LARGEST:
        raise MlgateError("Prometheus answered with more than 1 MB.", fix="Put `sum(...)` around the query.")
    return status, text.decode("utf-8", "replace")


def command(text: str, environ: Mapping[str, str], folder: Path, timeout: float = 60.0) -> float:
    """The one finite number that a command prints. Raises MlgateError that says why there is none."""
    ran = f"The command `{_short(text)}`"
    try:
        child = subprocess.Popen(
            ["/bin/sh", "-c", text],
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise MlgateError(f"{ran} cannot be started ({error}).") from None
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise MlgateError(f"{ran} did not end within {timeout:g} seconds.", fix="Make it faster.") from None
    finally:
        _end(child)
    if child.returncode:
        said = _short(_last(err) or _last(out))
        raise MlgateError(f"{ran} ended with exit code {child.returncode}{f': {said}' if said else ''}.")
    printed = out[:_LARGEST].decode("utf-8", "replace").strip()
    if not printed:
        raise MlgateError(f"{ran} printed nothing.", fix="Print one number.")
    if printed.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise MlgateError(f"{ran} printed {printed}, which decides nothing.", fix="Print one number.")
    if not _NUMBER.fullmatch(printed):
        raise MlgateError(f"{ran} printed `{_short(printed)}`, which is no number.", fix="Print one number alone.")
    return _number(printed, ran)


def _end(child: subprocess.Popen[bytes]) -> None:
    """With all that it started; only its own group, which is gone where nothing of it is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _last(output: bytes) -> str:
    lines = output[-4096:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""


def _short(text: str) -> str:
    plain = redact(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
    return plain if len(plain) <= _SHOWN else f"{plain[: _SHOWN - 3]}..."
