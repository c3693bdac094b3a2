"""A shadow: requests that the stable model was really asked, answered once more by both, and by nobody relied on.

Each request goes to the slot of the stable model and to that of the challenger, one at a time, one after the other in
turns, past the router. No caller waits for it. What the requests hold is never shown.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from mlgate.config.deploying import Replayed
from mlgate.image.service import Answer, UnreachableError, ask
from mlgate.model import Verdict
from mlgate.rollout.checks import replayed
from mlgate.rollout.checks.nouns import Tried, check
from mlgate.rollout.checks.replayed import Pairs
from mlgate.rollout.checks.trial import Trial

ID = "mlgate-shadow"  # the requests' id, by which they are known in logs
_SAY = 200  # requests between two lines


@dataclass(frozen=True)
class Kept:
    """One request as the stable model got it."""

    path: str
    type: str
    body: bytes
    time: str = ""


@dataclass
class Log:
    """What is on a request log. `left`: why a line is not replayed -> how many."""

    requests: list[Kept] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


def checks(trial: Trial, limits: Replayed) -> Tried:
    """Both models over the latest requests of the stable one's log."""
    stable = trial.stable
    if stable is None or stable.slot == trial.candidate.slot:
        reason = "There is no stable model whose requests could be answered again: nothing is deployed there yet."
        return Tried([check("shadow.requests", replayed.TITLE, Verdict.WARN, reason)], not_run=[reason])
    log = read(trial.target.requests(stable.slot, limits.requests), trial.candidate.model)
    found = Pairs()
    with ExitStack() as stack:
        other = stack.enter_context(trial.target.open(stable.slot))
        for number, kept in enumerate(log.requests, 1):
            trial.stop.look()
            turn = (other, trial.url) if number % 2 else (trial.url, other)
            answers = {url: _ask(url, kept, trial.asked.timeout) for url in turn}
            found.add(answers[other], answers[trial.url])
            if number % _SAY == 0:
                trial.say(f"shadow: {number:,} of {len(log.requests):,} requests answered again")
    made = Tried(list(replayed.judge(found, limits, log.left)), facts=replayed.facts(found))
    times = sorted(kept.time for kept in log.requests if kept.time)
    if times:
        made.facts |= {"shadow_from": times[0], "shadow_to": times[-1]}
    return made


def read(lines: Iterable[bytes], model: str) -> Log:
    """The lines of `serve.replay`. One that is cut off, or whose route cannot be asked again, is counted and left."""
    found = Log()
    for line in lines:
        if not line.strip():
            continue
        try:
            found.requests.append(_kept(json.loads(line), model))
        except _LeftError as error:
            found.left[str(error)] += 1
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            found.left["a line that is no request"] += 1
    return found


class _LeftError(Exception):
    pass


def _kept(data: Any, model: str) -> Kept:
    route, kind = str(data["route"]), str(data.get("content_type") or "application/json")
    if str(data.get("request_id", "")).startswith("mlgate-"):
        raise _LeftError("a request of mlgate's own")
    try:
        body = data["body"].encode() if "body" in data else base64.b64decode(data["body_base64"], validate=True)
    except binascii.Error as error:
        raise ValueError from error
    if route == "/v2/infer":
        if "body" not in data or not kind.startswith("application/json"):
            raise _LeftError("a request with binary tensors")
        route = f"/v2/models/{model}/infer"
    elif not route.startswith("/"):
        raise ValueError(route)
    return Kept(route, kind, body, str(data.get("time", "")))


def _ask(url: str, kept: Kept, timeout: float) -> Answer | None:
    """None where there was none."""
    try:
        return ask(url, "POST", kept.path, kept.body, {"Content-Type": kept.type, "X-Request-Id": ID}, timeout=timeout)
    except UnreachableError:
        return None
