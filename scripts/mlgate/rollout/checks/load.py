"""Load on a server before its traffic comes: what is asked, and what has to hold under it.

    found = ask(service, example, rows, own=True)      # what is sent, with the answer that each gets without load
    seen = traffic.press(url, found, Pressure(rate=100, duration=30))
    checks = judge(seen, limits)

An answer under load has to be the one that the same row gets without: fast and wrong is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlgate.config.deploying import FEWEST, LoadTest
from mlgate.image import costs, protocol, smoke, traffic
from mlgate.image.protocol import AnswerError, Example, Protocol, Record
from mlgate.image.service import Answer, Service, UnreachableError
from mlgate.image.traffic import Pressure, Request, Seen
from mlgate.model import Check, Verdict
from mlgate.rollout.checks import described
from mlgate.rollout.checks.nouns import Tried, check
from mlgate.rollout.checks.trial import Trial

DIFFERENT = 64  # rows that take turns
CONFIDENCE = 0.95
ID = "mlgate-load"  # the requests' id: with one and the same, the same row is answered by the same octets
QUANTILES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}
_LEAST = {QUANTILES[name]: fewest for name, fewest in FEWEST.items()}
_LATE = 0.25  # of a limit: by more than this the sender itself may have broken it


def checks(trial: Trial) -> Tried:
    """`checks.load` of the environment."""
    limits = trial.asked.settings.checks.load
    if limits is None:
        return Tried()
    asked = trial.asked
    pressure = Pressure(
        rate=None if limits.rate is None else float(limits.rate), connections=limits.connections,
        duration=float(limits.duration), timeout=asked.timeout,
    )  # fmt: skip
    if (pressure.rate is None) == (pressure.connections is None):
        reason = "`checks.load` needs either a `rate` or `connections`."
        return Tried([check("load.asked", "load", Verdict.ERROR, reason)])
    example = asked.example or described.example(trial.service)[0]
    rows = next((one.sample.records for one in asked.rows if one.sample and one.sample.records), ())
    try:
        requests = ask(trial.service, example, rows, timeout=asked.timeout)
    except (AnswerError, UnreachableError) as error:
        return Tried([check("load.errors", "answers under load", Verdict.FAIL, f"It was not loaded: {error}.")])
    trial.say(f"load: {told(pressure)} for {pressure.duration:g} s")
    seen = traffic.press(trial.url, requests, pressure, stop=lambda: bool(trial.stop))
    trial.stop.look()
    return Tried(list(judge(seen, limits)), facts=facts(seen))


def told(pressure: Pressure) -> str:
    if pressure.rate is not None:
        return f"{pressure.rate:g} requests per second"
    return f"{pressure.connections} at once"


def ask(
    service: Service, example: Example | None, rows: Sequence[Record] = (), *, timeout: float = 10.0
) -> list[Request]:
    """Single rows, or the example as a whole where it has none, each with the answer that it gets without load.

    Raises AnswerError for a server that does not answer them, UnreachableError.
    """
    records = list(rows[:DIFFERENT]) or (list(example.records) if example else [])
    known = example if example is not None and (example.records or not records) else Example(records[:1])
    if not records and known.payload is None:
        raise AnswerError("there is no row to send")
    spoken, said = protocol.find(service, known)
    if spoken is None:
        raise AnswerError(f"it has neither /predict nor /invocations: {said}")
    bodies: list[tuple[bytes, int | None]] = [(spoken.body([record]), 1) for record in records]
    bodies = bodies or [(protocol.payload(spoken, known), known.rows)]
    return [_request(service, spoken, body, count, timeout) for body, count in bodies]


def _request(service: Service, spoken: Protocol, body: bytes, rows: int | None, timeout: float) -> Request:
    headers = {"Content-Type": "application/json", "X-Request-Id": ID}
    answer = service.post(spoken.path, body, headers=headers, timeout=timeout)
    return Request(body, "POST", spoken.path, headers, _expecting(answer, rows))


def _expecting(first: Answer, rows: int | None) -> Callable[[bytes], str]:
    """What is wrong with a body, held against what the same request was answered without load. Raises AnswerError."""
    wanted = _values(first, rows)
    known = first.body  # octets that were found right: they are not read again

    def wrong(body: bytes) -> str:
        nonlocal known
        if body == known:
            return ""
        try:
            found = _values(Answer(200, body), rows)
        except AnswerError as error:
            return str(error)
        if not smoke.near(found, wanted):
            return "another answer than the same row gets without load"
        known = body
        return ""

    return wrong


def _values(answer: Answer, rows: int | None) -> list[Any]:
    found = protocol.read(answer, rows)
    if protocol.numberless(found.prediction) or protocol.numberless(found.probability or ()):
        raise AnswerError("a row was answered with null, NaN or an infinity")
    return [list(found.prediction), None if found.probability is None else list(found.probability)]


# -- what it comes to --------------------------------------------------------------------------------------------------


def facts(seen: Seen) -> dict[str, str | float]:
    """For people: times in milliseconds."""
    found: dict[str, str | float] = {"load": told(seen.pressure), "load_requests": float(seen.asked)}
    if seen.throughput is not None:
        found["load_throughput_rps"] = round(seen.throughput, 3)
    for name, share in QUANTILES.items():
        value = seen.quantile(share)
        if value is not None:
            found[f"load_{name}_ms"] = round(value * 1000, 3)
    if seen.error_rate is not None:
        found["load_error_rate"] = round(seen.error_rate, 6)
    return found


def judge(seen: Seen, limits: LoadTest) -> Iterator[Check]:
    """Errors always, the rest where it has a limit. A boundary value passes. Nothing answered is never a pass."""
    yield _errors(seen, float(limits.error_rate))
    for name, share in QUANTILES.items():
        limit = getattr(limits, name)
        if limit is not None:
            yield _latency(seen, name, share, float(limit))
    if limits.throughput_rps is not None:
        yield _throughput(seen, float(limits.throughput_rps))


def _errors(seen: Seen, limit: float) -> Check:
    title = f"answers under load ({told(seen.pressure)}, {seen.pressure.duration:g} s)"
    share = seen.error_rate
    if share is None:
        reason = "No request was made, so nothing is known of it under load."
        return check("load.errors", title, Verdict.ERROR, reason)
    verdict, reason = Verdict.PASS, ""
    if seen.wrong:
        said = "; ".join(f"{why.rstrip('.')} ({times:,} times)" for why, times in seen.errors.most_common(3))
        reason = f"{seen.wrong:,} of {seen.asked:,} requests failed: {said}."
    if share > limit:
        verdict = Verdict.FAIL
    elif not seen.good:
        verdict, reason = Verdict.ERROR, reason or "No request was answered."
    elif seen.stopped:
        verdict, reason = Verdict.INCONCLUSIVE, f"It was ended after {seen.asked:,} requests."
    return check(
        "load.errors", title, verdict, reason, observed=round(share, 6), limit=limit, rows=seen.asked,
        expected=f"at most {limit:.3%} errors" if limit else "no error", unexpected=seen.wrong or None,
    )  # fmt: skip


def _latency(seen: Seen, name: str, share: float, limit: float) -> Check:
    word, title = f"load.{name}", f"{name} under load"
    expected, count = f"at most {limit * 1000:g} ms", len(seen.times)
    value = seen.quantile(share)
    if value is None:
        return check(word, title, Verdict.ERROR, f"{name} is not known: no request was answered.", expected=expected)
    low, high = costs.interval(seen.times, share, CONFIDENCE)
    late = seen.quantile_late(share) or 0.0
    verdict, reason = Verdict.PASS, ""
    if value > limit:
        reason = f"{name} is {value * 1000:.3g} ms; at most {limit * 1000:g} ms are allowed."
        if late > limit * _LATE:
            verdict = Verdict.INCONCLUSIVE
            reason += f" Not decided: this machine was itself up to {late * 1000:.3g} ms late to send. Ask for less."
        elif count < _LEAST[share]:
            verdict, reason = Verdict.INCONCLUSIVE, f"{reason} Not decided: {count} requests are too few."
        else:
            verdict = Verdict.FAIL if low > limit else Verdict.WARN
            reason += "" if low > limit else " A warning only: that is not proven by its requests."
    elif count < _LEAST[share]:
        verdict = Verdict.INCONCLUSIVE
        reason = f"{count} requests are too few for {name}: {_LEAST[share]} are needed."
    return check(
        word, title, verdict, reason, observed=round(value * 1000, 6), limit=limit * 1000, expected=expected,
        interval=(low * 1000, high * 1000), rows=count, method="order of the times", greater_is_better=False,
    )  # fmt: skip


def _throughput(seen: Seen, limit: float) -> Check:
    value = seen.throughput
    expected = f"at least {limit:g} answers per second"
    if value is None:
        reason = "throughput_rps is not known: no request was answered."
        return check("load.throughput_rps", "throughput under load", Verdict.ERROR, reason, expected=expected)
    # A rate can be missed by its last requests alone: what is asked for in a second is not answered to the last octet.
    reached = value >= limit or (seen.pressure.rate == limit and value >= limit * 0.99)
    reason = "" if reached else f"It answered {value:.4g} requests per second; at least {limit:g} are wanted."
    if not reached and seen.pressure.rate is not None and seen.pressure.rate < limit:
        reason += f" It was asked only {seen.pressure.rate:g} times per second."
    return check(
        "load.throughput_rps", "throughput under load", Verdict.PASS if reached else Verdict.FAIL, reason,
        observed=round(value, 6), limit=limit, expected=expected, rows=seen.asked, greater_is_better=True,
    )  # fmt: skip
