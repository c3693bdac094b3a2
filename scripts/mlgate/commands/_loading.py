"""What `mlgate load` sends, and what it says about what came back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlgate.commands._run import STATE, Run, save
from mlgate.errors import MlgateError
from mlgate.image.protocol import AnswerError
from mlgate.image.service import Service, UnreachableError
from mlgate.image.traffic import Request, Seen
from mlgate.model import Check, Evidence, Verdict, worst
from mlgate.repo.credentials import redact
from mlgate.rollout.checks import described, load

if TYPE_CHECKING:
    from mlgate.config import Config


def requests(
    url: str, method: str | None, body: Path | None, headers: Sequence[str], timeout: float
) -> Sequence[Request]:
    """Of an address with a path: just this. Else rows that the server says it takes. Raises MlgateError."""
    parts = urlsplit(url)
    found = dict(_header(one) for one in headers)
    if parts.path in {"", "/"} and body is None and method is None:
        if found:
            raise MlgateError(
                "what would be sent is not known.", fix=f"Name the path and a --body: {url.rstrip('/')}/predict."
            )
        return _rows(url, timeout)
    data = body.read_bytes() if body is not None else b""
    if data and not any(name.lower() == "content-type" for name in found):
        found["Content-Type"] = "application/json"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return [Request(data, method or ("POST" if data else "GET"), path, found)]


def _rows(url: str, timeout: float) -> Sequence[Request]:
    service = Service(url.rstrip("/"))
    try:
        service.get("/", timeout=timeout)
        example, _ = described.example(service)
        if example is None:
            raise MlgateError(
                f"{url} does not say what it takes ({described.PATH}).",
                fix=f"Name the path and a --body: {url.rstrip('/')}/predict.",
            )
        return load.ask(service, example, timeout=timeout)
    except UnreachableError as error:
        raise MlgateError(f"{url} cannot be reached: {error}.") from None
    except AnswerError as error:
        raise MlgateError(
            f"{url} does not answer a row made of its own description: {error}.", fix="Give a --body."
        ) from None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not name:
        raise MlgateError("a --header is no `NAME: VALUE`.")
    scheme, _, last = value.rpartition(" ")
    if last.startswith("$"):
        if last[1:] not in os.environ:
            raise MlgateError(f"the header {name} wants the variable {last[1:]}, which is not set.")
        value = f"{scheme} {os.environ[last[1:]]}".strip()
    return name, value


# -- what is said ------------------------------------------------------------------------------------------------------


def said(url: str, seen: Seen, checks: Sequence[Check]) -> dict[str, Any]:
    times = {f"{name}_ms": _ms(seen.quantile(share)) for name, share in load.QUANTILES.items()}
    return {
        "url": redact(url), "rate": seen.pressure.rate, "connections": seen.pressure.connections or seen.connections,
        "duration_seconds": seen.pressure.duration, "seconds": round(seen.seconds, 6), "requests": seen.asked,
        "answered": seen.good, "errors": dict(seen.errors), "error_rate": seen.error_rate,
        "throughput_rps": None if seen.throughput is None else round(seen.throughput, 3), **times,
        "latency_max_ms": _ms(seen.times[-1] if seen.times else None),
        "late_p99_ms": _ms(seen.quantile_late(0.99)), "verdict": worst(one.verdict for one in checks).value,
        "checks": [one.model_dump(mode="json", exclude_defaults=True) for one in checks],
    }  # fmt: skip


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def told(url: str, seen: Seen, checks: Sequence[Check]) -> str:
    found = said(url, seen, checks)
    by = f"{seen.pressure.rate:g} per second" if seen.pressure.rate is not None else f"{found['connections']} at once"
    lines = [
        f"{found['url']}  {by}, {seen.pressure.duration:g} s",
        f"  requests    {seen.asked:,}: {seen.good:,} answered, {seen.wrong:,} failed",
        f"  throughput  {_shown(found['throughput_rps'], 'per second')}",
        "  latency     "
        + "  ".join(f"{name} {_shown(found[f'latency_{name}_ms'], 'ms')}" for name in ("p50", "p95", "p99", "max")),
    ]
    if seen.pressure.rate is None:
        lines.append("              of callers who wait for each other; with --rate, of those who come on their own")
    elif (seen.quantile_late(0.99) or 0.0) > 0.005:
        lines.append(f"              this machine itself was up to {_shown(found['late_p99_ms'], 'ms')} late (p99)")
    lines += [f"  {why} ({times:,} times)" for why, times in seen.errors.most_common(5)]
    lines += [f"  {one.verdict.value}  {one.reason}" for one in checks if one.verdict is not Verdict.PASS]
    return "\n".join([*lines, f"verdict: {worst(one.verdict for one in checks).value}"])


def _shown(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:,.4g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def evidence(config: Config, environment: str, seen: Seen, checks: Sequence[Check]) -> Evidence:
    """Of one environment of mlgate.yaml."""
    verdict = worst(one.verdict for one in checks)
    bad = next((one.reason for one in checks if one.verdict is verdict and one.reason), "")
    return Evidence(
        kind="load", model=config.model, verdict=verdict, mode=config.mode, fail_on=config.fail_on, checks=list(checks),
        title=bad or f"{environment} answers under load.", facts={"environment": environment, **load.facts(seen)},
    )  # fmt: skip


def finish(run: Run, left: Evidence, *, quiet: bool) -> int:
    """Leaves it. The exit code."""
    if quiet:
        save(run.cwd / STATE, [left.model_copy(update={"source": run.source()})])
        return left.exit_code
    return run.finish("load", [left])
