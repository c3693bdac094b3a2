"""Waiting for a server to be ready: bounded by time, and over at once when its container has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from mlgate.image.service import Service, State, UnreachableError
from mlgate.model import Check, Verdict

# The first of these that a server knows says whether it is ready: mlgate's, SageMaker's, and what most others have.
PATHS = ("/health/ready", "/ping", "/health", "/healthz", "/v2/health/ready")
SECONDS = 120.0
_PAUSE = 0.02  # seconds between two looks
_LOOK = 0.5  # seconds between two questions to the engine, each of which costs a process


@dataclass(frozen=True)
class Ready:
    """`seconds` from the start of the container to its first good answer; None when there was none."""

    seconds: float | None
    path: str
    check: Check

    @property
    def ok(self) -> bool:
        return self.seconds is not None


@dataclass(frozen=True)
class Seen:
    """What a wait has come to."""

    waited: float
    state: State
    path: str = ""  # the one that said it is ready
    last: str = ""  # what it said instead
    logs: str = ""


def wait(service: Service, *, seconds: float = SECONDS) -> Ready:
    """Until it is ready, has ended, or the time is over. Raises MlgateError when the engine does not answer.

    Of several places where the server may answer, the one that did is kept in `service.url`.
    """
    path, last, looked = "", "", service.began
    while True:
        for url in (service.url, *service.others) if service.url else ():
            path, said = _knock(Service(url), seconds)
            last = said or last
            if path:
                service.url, service.others = url, ()
                break
        now = time.monotonic()
        if path or service.failed:
            break
        if now - looked >= _LOOK or now - service.began > seconds:
            looked = now
            if not service.state().running or now - service.began > seconds:
                break
        time.sleep(_PAUSE)
    waited = time.monotonic() - service.began
    state = State(True) if path else service.state()
    seen = Seen(waited, state, path, last, "" if path else service.logs())
    return Ready(waited if path else None, path, decide(seen))


def _knock(service: Service, seconds: float) -> tuple[str, str]:
    """The path by which it is ready, or what it said instead."""
    try:
        for path in PATHS:
            answer = service.get(path, timeout=min(5.0, seconds))
            if answer.status == 200:
                return path, ""
            if answer.status not in {404, 405}:
                return "", f"{path} answered {answer.status}"
    except UnreachableError as error:
        return "", str(error)
    return "", f"it knows none of {', '.join(PATHS)}"


def decide(seen: Seen) -> Check:
    """Whether a server is ready, and if not, why: its own last words."""
    told = f" Its last words: {seen.logs}" if seen.logs else " It said nothing."
    verdict, reason = Verdict.FAIL, ""
    if seen.path:
        verdict = Verdict.PASS
    elif seen.state.killed:
        reason = f"It ran out of memory after {seen.waited:.1f} seconds.{told}"
    elif not seen.state.running:
        reason = f"It ended after {seen.waited:.1f} seconds with exit code {seen.state.code}.{told}"
    else:
        instead = f" ({seen.last})" if seen.last else ""
        reason = f"It was not ready within {seen.waited:.0f} seconds{instead}.{told}"
    return Check(
        id="image.ready", title="starts and is ready, in seconds", group="image", verdict=verdict, reason=reason,
        observed=round(seen.waited, 3) if seen.path else None,
    )  # fmt: skip


def healthy(service: Service, *, seconds: float = 60.0) -> list[Check]:
    """That the image's own HEALTHCHECK calls it healthy. Nothing where it runs in no container of ours.

    Start it with `hardened.start(..., health=1)`, else this takes as long as the image's own interval.
    """
    if service.engine is None or not service.container:
        return []
    began, state = time.monotonic(), service.state()
    while state.running and state.health in {"starting", "unhealthy"} and time.monotonic() - began < seconds:
        time.sleep(_LOOK)
        state = service.state()
    return list(called(state, time.monotonic() - began))


def called(state: State, waited: float) -> Iterator[Check]:
    """What the HEALTHCHECK says."""
    verdict, reason = Verdict.FAIL, ""
    told = f" It said: {state.told}" if state.told else ""
    if not state.running:
        reason = f"It ended (exit code {state.code}) before its HEALTHCHECK called it healthy."
    elif state.health == "healthy":
        verdict = Verdict.PASS
    elif not state.health:
        reason = "It has no HEALTHCHECK, so the engine never knows whether it works. The template has one without curl."
    else:
        reason = f"Its HEALTHCHECK calls it {state.health} after {waited:.0f} seconds, and it is ready.{told}"
    yield Check(
        id="image.healthy", title="its HEALTHCHECK calls it healthy", group="image", verdict=verdict, reason=reason
    )
