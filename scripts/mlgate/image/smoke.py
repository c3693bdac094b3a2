"""The smoke test: the model's own example is answered, everything else is refused, and nothing inside is told.

    smoke.checks(service, example, asked)

Each refusal is decided by `refused`, which sees an answer and no server.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.image import malformed, protocol
from mlgate.image.malformed import Malformed
from mlgate.image.protocol import AnswerError, Answers, Example, Protocol
from mlgate.image.service import Answer, Service, UnreachableError
from mlgate.model import Check, Verdict
from mlgate.serving.settings import Input

GROUP = "image"
_ID = uuid.uuid4().hex  # like anybody's: a server that knows it could answer as for a test
# What only somebody inside should see. Of any answer, good or bad.
_LEAK = re.compile(
    rb"Traceback \(most recent call last\)|File \\?\"[^\"]{1,300}\.py\\?\", line \d+|site-packages|dist-packages"
    rb"|stack_?trace\"|<[\w.]+ object at 0x[0-9a-f]+>|/(?:opt|usr|home|root|app|srv|var)/[\w./-]*\.py\b"
    rb"|Werkzeug Debugger|__debugger__",
    re.IGNORECASE,
)
_DEBUGGER = "/?__debugger__=yes&cmd=resource&f=debugger.js"
_DEVELOPMENT = re.compile(r"werkzeug|wsgiserver/|simplehttp|basehttp|development", re.IGNORECASE)
_HEALTH = ("/health/live", "/health/ready", "/health")


@dataclass(frozen=True)
class Asked:
    """What the server has to be."""

    digest: str = ""  # of the model, by sha256
    inputs: Sequence[Input] = ()
    own: bool = True  # mlgate's server: has all its addresses, and says in each answer who answers
    commit: str = ""


@dataclass
class Seen:
    """What a smoke test has found out, for what comes after it."""

    protocol: Protocol | None = None
    answers: Answers | None = None
    checks: list[Check] = field(default_factory=list)


def checks(service: Service, example: Example | None, asked: Asked) -> Seen:
    """All of it. A server that stops to answer in between is a `fail`, and said so."""
    seen = Seen()
    if example is None:
        seen.checks.append(
            _check(
                "example", "answers the model's input example", Verdict.ERROR,
                "There is no input example to send, so nothing is known of what it answers. Log the model with "
                "`input_example`, or name evaluation data.",
            )
        )  # fmt: skip
        return seen
    try:
        for check in _checks(service, example, asked, seen):
            seen.checks.append(check)
    except UnreachableError as error:
        last = f" Its last words: {logs}" if (logs := service.logs()) else ""
        seen.checks.append(_check("alive", "goes on answering", Verdict.FAIL, f"{_sentence(str(error))}{last}"))
    return seen


def _checks(service: Service, example: Example, asked: Asked, seen: Seen) -> Iterator[Check]:
    spoken, said = protocol.find(service, example)
    if spoken is None:
        yield _check(
            "example", "answers the model's input example", Verdict.FAIL,
            f"It has neither /predict nor /invocations: {said}.",
        )  # fmt: skip
        return
    seen.protocol = spoken
    answer = service.post(spoken.path, protocol.payload(spoken, example), headers={"X-Request-Id": _ID})
    found = answered(answer, example.rows)
    yield found
    if found.verdict is Verdict.PASS:
        seen.answers = protocol.read(answer, example.rows)
        if asked.own:
            yield identified(answer, seen.answers)
    elif leak := leaked(answer.body):
        yield _check("leaks", "tells nothing of its inside", Verdict.FAIL, leak)
    yield from _alone(service, example, spoken, seen.answers)
    for one in malformed.bodies(example, asked.inputs, spoken):
        yield refused(one, service.post(one.path, one.body, type=one.type), own=asked.own)
    yield from _unspoken(example, () if spoken.positional else asked.inputs)
    yield from _lost(service)
    yield from _addresses(service, asked)
    again = service.post(spoken.path, protocol.payload(spoken, example))
    yield unmoved(seen.answers, again, example.rows)


# -- the example -------------------------------------------------------------------------------------------------------


def answered(answer: Answer, rows: int | None) -> Check:
    """That an answer to the example has a prediction for each row, and each of them says something."""
    try:
        found = protocol.read(answer, rows)
    except AnswerError as error:
        return _check("example", "answers the model's input example", Verdict.FAIL, _sentence(str(error)))
    bad = protocol.numberless(found.prediction) or protocol.numberless(found.probability or ())
    reason = ""
    if bad:
        reason = f"{len(bad):,} of {len(found.prediction):,} answers are null, NaN or infinite: that is no prediction."
    return _check(
        "example", "answers the model's input example", Verdict.FAIL if bad else Verdict.PASS, reason,
        rows=len(found.prediction),
    )  # fmt: skip


def identified(answer: Answer, answers: Answers) -> Check:
    """That the answer says by which request and which model, so that it can be joined with the truth later."""
    missing = []
    if answers.version is None:
        missing.append("it has no `model_version`")
    if answer.headers.get("x-request-id") != _ID or answer.json().get("request_id") not in {None, _ID}:
        missing.append("it does not return the request's X-Request-Id")
    return _check(
        "identity", "says which model answered which request", Verdict.FAIL if missing else Verdict.PASS,
        f"{_sentence('; '.join(missing))}" if missing else "",
    )  # fmt: skip


def _alone(service: Service, example: Example, spoken: Protocol, answers: Answers | None) -> Iterator[Check]:
    """One row by itself is answered as it is among others."""
    if len(example.records) < 1 or answers is None:
        return
    record = example.records[-1]
    title = "answers a single row as it does in a batch"
    try:
        alone = spoken.ask(service, [record])
    except AnswerError as error:
        yield _check("single", title, Verdict.FAIL, _sentence(str(error)))
        return
    same = near(alone.prediction[0], answers.prediction[-1])
    if alone.probability is not None and answers.probability is not None:
        same = same and near(alone.probability[0], answers.probability[-1])
    reason = "" if same else "The last row of the example alone is answered otherwise than together with the others."
    yield _check("single", title, Verdict.PASS if same else Verdict.FAIL, reason)


def unmoved(before: Answers | None, after: Answer, rows: int | None) -> Check:
    """That nothing of what it was sent has changed what it answers."""
    title = "answers as before after all of this"
    try:
        now = protocol.read(after, rows)
    except AnswerError as error:
        return _check("after", title, Verdict.FAIL, _sentence(str(error)))
    same = before is not None and near(_values(before), _values(now))
    reason = "" if same else "The same example is answered otherwise than in the beginning: the server remembers."
    if before is None:
        reason = "The example was not answered in the beginning, so there is nothing to hold this against."
    return _check("after", title, Verdict.PASS if same else Verdict.FAIL, reason)


def _values(answers: Answers) -> list[Any]:
    return [list(answers.prediction), None if answers.probability is None else list(answers.probability)]


def near(a: Any, b: Any, *, tolerance: float = 1e-6) -> bool:
    """The same answer, numbers up to what another size of the batch does to their last digits. NaN is near nothing."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(near(x, y, tolerance=tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(near(a[key], b[key], tolerance=tolerance) for key in a)
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (a, b))
    if numbers:
        return bool(abs(a - b) <= tolerance * max(1.0, abs(a), abs(b)))
    return bool(type(a) is type(b) and a == b)


# -- what has to be refused --------------------------------------------------------------------------------------------


def refused(one: Malformed, answer: Answer, *, own: bool = True) -> Check:
    """That a body was refused as the sender's mistake, named, and without a word of what is inside.

    A server that is not mlgate's may call what only an attacker sends its own fault, with a warning: MLflow's does.
    """
    wrong = []
    if answer.status >= 500:
        wrong.append(f"it answered {answer.status}, as if the fault were its own")
    elif answer.status < 400:
        wrong.append(f"it answered {answer.status}: {protocol.excerpt(answer.body, 80)}")
    if one.names and not wrong and one.names not in _text(answer.body):
        wrong.append(f"its answer ({answer.status}) does not name {one.names}")
    leak = leaked(answer.body)
    if leak:
        wrong.append(_lowered(leak.rstrip(".")))
    excused = one.hostile and not own and answer.status >= 500 and not leak
    verdict = Verdict.PASS if not wrong else Verdict.WARN if excused else Verdict.FAIL
    return _check(
        f"malformed.{one.word}", f"refuses {one.what}", verdict,
        f"It was sent {one.what}, and {'; '.join(wrong)}." if wrong else "",
        expected="an answer of 400 to 499" + (f" that names {one.names}" if one.names else ""),
        observed=str(answer.status),
    )  # fmt: skip


def _text(body: bytes) -> str:
    """A JSON body with its escapes resolved, so that a name in it is found."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def leaked(body: bytes) -> str:
    """A sentence about what an answer tells of the server's inside; empty when it tells nothing."""
    found = _LEAK.search(body)
    if not found:
        return ""
    return f"Its answer tells what is inside ({protocol.excerpt(found.group(), 60)!r}): a caller sees code and paths."


def _unspoken(example: Example, inputs: Sequence[Input]) -> Iterator[Check]:
    """A model without a signature takes anything, so nothing is known of how it refuses a wrong field."""
    names = {name for record in example.records for name in record}
    if not any(one.required and one.name in names for one in inputs):
        yield _check(
            "malformed.fields", "refuses a row that breaks the signature", Verdict.WARN,
            "The model names no column that it needs, so a request that lacks one cannot be refused by its name. "
            "Log the model with a signature, or name a contract for the evaluation data.",
        )  # fmt: skip


# -- its other addresses -----------------------------------------------------------------------------------------------


def _lost(service: Service) -> Iterator[Check]:
    """What nobody serves, and what only a debugger serves."""
    yield debugger(service.get(_DEBUGGER), service.get("/console"))
    title = "tells nothing of its inside"
    answer = service.get("/mlgate-no-such-address")
    leak = leaked(answer.body)
    if answer.status < 400:
        leak = f"It answered {answer.status} to an address that it cannot have."
    yield _check("lost", title, Verdict.FAIL if leak else Verdict.PASS, leak)


def debugger(resource: Answer, console: Answer) -> Check:
    """That neither a debugger answers nor a server that is made for development alone."""
    reason = ""
    script = resource.status == 200 and b"debugger" in resource.body.lower()
    if script or (console.status == 200 and re.search(rb"interactive console|debugger", console.body, re.IGNORECASE)):
        reason = "A debugger answers: whoever reaches the port can run code. Start the server without `debug`."
    elif _DEVELOPMENT.search(server := resource.headers.get("server", "")):
        reason = (
            f"{server.split()[0]} answers, a server for development. Use uvicorn, gunicorn or another made to last."
        )
    return _check("debug", "is no debug server", Verdict.FAIL if reason else Verdict.PASS, reason)


def _addresses(service: Service, asked: Asked) -> Iterator[Check]:
    for path in _HEALTH if asked.own else ():
        answer = service.get(path)
        reason = "" if answer.status == 200 else f"{path} answered {answer.status}."
        yield _check(f"address.{path[1:].replace('/', '.')}", path, Verdict.FAIL if reason else Verdict.PASS, reason)
    yield metrics(service.get("/metrics"), own=asked.own)
    yield version(service.get("/version"), asked)


def metrics(answer: Answer, *, own: bool) -> Check:
    """That monitoring can read it: Prometheus's text, in which mlgate's server counts its requests."""
    text = answer.body.decode(errors="replace")
    reason = ""
    if answer.status != 200:
        reason = f"/metrics answered {answer.status}: nothing can watch it."
    elif not re.search(r"^[a-zA-Z_:][\w:]*(\{.*\})? [-+0-9.eE]+(?:$| \d+$)", text, re.MULTILINE):
        reason = "/metrics is not what Prometheus reads."
    elif own and not re.search(r"^mlgate_requests_total\{.*\} [1-9]", text, re.MULTILINE):
        reason = "/metrics does not count the requests that it has answered (`mlgate_requests_total`)."
    verdict = Verdict.PASS if not reason else Verdict.FAIL if own else Verdict.WARN
    return _check("metrics", "/metrics", verdict, reason)


def version(answer: Answer, asked: Asked) -> Check:
    """That it says which model it answers with, and that it is this one."""
    title = "says which model it answers with"
    said: Any = None
    if answer.status == 200:
        try:
            said = answer.json()
        except ValueError:
            said = None
    digest = str((said.get("digest") or said.get("model_digest") or "") if isinstance(said, dict) else "")
    digest = digest.removeprefix("sha256:")
    if not digest:
        verdict = Verdict.FAIL if asked.own else Verdict.WARN
        return _check("version", title, verdict, f"/version ({answer.status}) does not say the digest of its model.")
    if not asked.digest or digest != asked.digest.removeprefix("sha256:"):
        reason = f"/version says the model {digest[:12]}, and this image is made of {asked.digest[:19] or 'another'}."
        return _check("version", title, Verdict.FAIL, reason, observed=digest, expected=asked.digest)
    commit = str(said.get("commit") or "")
    if asked.own and asked.commit and commit != asked.commit:
        reason = f"/version says the commit {commit[:12] or '(none)'}, and it was made of {asked.commit[:12]}."
        return _check("version", title, Verdict.FAIL, reason)
    return _check("version", title, Verdict.PASS, observed=digest)


def _check(word: str, title: str, verdict: Verdict, reason: str = "", **more: Any) -> Check:
    return Check(id=f"image.smoke.{word}", title=title, group=GROUP, verdict=verdict, reason=reason, **more)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _lowered(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"
