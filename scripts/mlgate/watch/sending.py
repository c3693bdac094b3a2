"""Messages to people, through apprise: with patience, and without a word of an address.

    sent = send(os.environ["SLACK_URL"], letter)        # Sent(ok=False, said="the service answered 404: ...")

apprise knows the services and what each of them wants. It knows neither Retry-After nor a failure that passes from one
that stays, so its requests are repeated here: after 429 and 5xx and where nobody answered, never after another refusal.
Addresses are secrets, and apprise's own log can hold them: nothing of it is shown but phrases that are known here.
"""

from __future__ import annotations

import email.utils
import logging
import random
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

Mood = Literal["info", "warn", "critical", "recovered"]
TRIES = 4
PATIENCE = 60.0  # seconds of waiting, for all requests of one message
_PASSING = frozenset({429, 500, 502, 503, 504})
_MOODS: dict[Mood, str] = {"info": "info", "warn": "warning", "critical": "failure", "recovered": "success"}
_NATIVE = "json, jsons, mailto, slack, pagerduty, workflows and a hundred others"


@dataclass(frozen=True)
class Incident:
    """One matter, for services that keep incidents: what has the same key is the same one, and `recovered` ends it."""

    key: str
    mood: Mood
    text: str
    link: str = ""
    source: str = ""  # what it is about: "visits/production"


@dataclass(frozen=True)
class Letter:
    """One message. Markdown for services that show it, else plain text; too long a one is cut between two lines."""

    title: str
    text: str
    markdown: str
    mood: Mood
    link: str = ""  # where the whole of it is
    incidents: tuple[Incident, ...] = ()


@dataclass(frozen=True)
class Sent:
    """Whether it was taken, by everybody that the address names. `said`: why not, one sentence without the address."""

    ok: bool
    said: str = ""
    tries: int = 0  # of the request that was tried most often


@dataclass
class _Post:
    """What goes over the wire for one message: tried again where that helps, and what it came to."""

    sleep: Callable[[float], None]
    clock: Callable[[], float]
    now: Callable[[], float]
    patience: float = PATIENCE
    tries: int = 0
    said: str = ""
    logged: list[str] = field(default_factory=list)

    def request(self, once: Callable[[], Any]) -> Any:
        """The answer, or what requests raises, of the last try."""
        import requests  # noqa: PLC0415

        for attempt in range(1, TRIES + 1):
            self.tries = max(self.tries, attempt)
            answer, error, began = None, None, self.clock()
            try:
                answer = once()
                self.said = _answered(answer.status_code)
                passing = answer.status_code in _PASSING
                wait = _asked(answer.headers.get("Retry-After", ""), self.now())
            except requests.RequestException as failure:
                error, wait = failure, None
                self.said, passing = _unanswered(failure)
            self.patience -= self.clock() - began
            pause = random.uniform(0.5, 1.0) * 2 ** (attempt - 1) if wait is None else wait  # noqa: S311 -- jitter
            if not passing or attempt == TRIES or pause > self.patience:
                if passing and wait is not None and wait > self.patience:
                    self.said = f"{self.said} and asks to wait {wait:.0f} seconds, which is too long"
                if error is not None:
                    raise error
                return answer
            self.patience -= pause
            self.sleep(pause)
        raise AssertionError("unreachable")  # pragma: no cover


def send(
    address: str,
    letter: Letter,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> Sent:
    """Send it to every service of an address: one, or several with white space between them. Never raises.

    Needs `extras.use("notify")` before.
    """
    wanted = address.split()
    if not wanted:
        return Sent(ok=False, said="its variable is empty, or was not passed on to this step")
    tries, wrong = 0, list[str]()
    for number, one in enumerate(wanted, 1):
        post = _Post(sleep, clock, now)
        said = _one(one, letter, post)
        tries = max(tries, post.tries)
        if said:
            wrong.append(f"address {number} of {len(wanted)}: {said}" if len(wanted) > 1 else said)
    return Sent(ok=not wrong, said="; ".join(wrong), tries=tries)


def _one(address: str, letter: Letter, post: _Post) -> str:
    """Why it was not taken; empty where it was."""
    with _silenced(post.logged):
        import apprise  # noqa: PLC0415 -- an extra, and slow

        asset = apprise.AppriseAsset(
            app_id="mlgate", app_desc="mlgate", async_mode=False, image_url_mask="", image_url_logo="",
            interpret_emojis=False, default_service_wait=1.0, service_timeout=0,
        )  # fmt: skip
        service = apprise.Apprise.instantiate(address, asset=asset)
        if service is None:
            return _no_address(address)
        try:
            with _patient(post):
                refused = [part for part in _parts(service, letter) if not _hand_over(service, asset, part)]
        except Exception as error:  # a plugin of apprise's gave up: the message is not sent, and the rest goes on
            return f"apprise could not send it ({type(error).__name__})"
    return _why_not(post) if refused else ""


@dataclass(frozen=True)
class _Part:
    """One thing to send, in apprise's terms."""

    title: str
    body: str
    form: str
    mood: Mood


def _parts(service: Any, letter: Letter) -> Iterator[_Part]:
    """One part; for a service that keeps incidents one for each matter, and the service told which incident it is."""
    import apprise  # noqa: PLC0415

    if not (letter.incidents and all(hasattr(service, name) for name in ("dedup", "action", "click"))):
        # Of HTML that it makes of Markdown apprise makes a plain part that nobody can read, and mail needs one.
        if _is_mail(service) or service.resolve_format(apprise.NotifyFormat.MARKDOWN) is apprise.NotifyFormat.TEXT:
            body, form = letter.text, apprise.NotifyFormat.TEXT
        else:
            body, form = letter.markdown, apprise.NotifyFormat.MARKDOWN
        yield _Part(letter.title, _fit(body, service, letter), form.value, letter.mood)
        return
    fixed, action, click, unnamed = service.dedup, service.action, service.click, _is_unnamed(service)
    for one in letter.incidents:
        # "trigger" is what it does when its address says nothing; `map` ends the incident when it is over.
        service.dedup = fixed or one.key[:255]
        service.action = "map" if action == "trigger" else action
        service.click = click or one.link or None
        if unnamed and one.source:
            service.source, service.component = one.source, "mlgate"
        yield _Part("", one.text[: service.body_maxlen], apprise.NotifyFormat.TEXT.value, one.mood)


def _is_unnamed(service: Any) -> bool:
    """Whether its address leaves it to apprise what an incident is about."""
    return getattr(service, "source", "") == "Apprise"


def _fit(body: str, service: Any, letter: Letter) -> str:
    """As many lines as the service takes: a title that it has no place for comes on top of them."""
    room = service.body_maxlen - (len(letter.title) + 8 if service.title_maxlen == 0 else 0)
    if len(body) <= room:
        return body
    lines, kept = body.split("\n"), list[str]()
    last = f"(cut; the rest: {letter.link})" if letter.link and len(letter.link) < room // 2 else "(cut)"
    room -= len(last) + 1
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([*kept, last])


def _hand_over(service: Any, asset: Any, part: _Part) -> bool:
    import apprise  # noqa: PLC0415

    service.retry = TRIES - 2 if _is_mail(service) else 0
    service.request_rate_per_sec = 0  # it would wait after each request; ours waits where it is asked to
    one = apprise.Apprise(asset=asset)
    one.add(service)
    return bool(one.notify(body=part.body, title=part.title, notify_type=_MOODS[part.mood], body_format=part.form))


def _is_mail(service: Any) -> bool:
    """Whether it speaks SMTP, which no request of ours is behind: then apprise's own repetition is all there is."""
    return type(service).__module__.startswith("apprise.plugins.email")


# -- over the wire -----------------------------------------------------------------------------------------------------


@contextmanager
def _patient(post: _Post) -> Iterator[None]:
    """Every request in it is tried as `post` does. apprise makes a session for each, so it is taken where all pass."""
    import requests  # noqa: PLC0415

    original = requests.Session.send

    def patiently(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        answer: requests.Response = post.request(lambda: original(self, request, **kwargs))
        return answer

    requests.Session.send = patiently  # type: ignore[method-assign]
    try:
        yield
    finally:
        requests.Session.send = original  # type: ignore[method-assign]


class _Kept(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


@contextmanager
def _silenced(lines: list[str]) -> Iterator[None]:
    """What apprise and the libraries below it log goes to `lines`, and nowhere else; warnings go nowhere."""
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3", "requests", "requests_oauthlib")]
    before = [(logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [_Kept(lines)], False
        logger.setLevel(logging.DEBUG if logger.name == "apprise" else logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


# -- why not -----------------------------------------------------------------------------------------------------------


def _answered(status: int) -> str:
    if status == 429:
        return "the service limits the rate of messages (429)"
    more = ": is the address still valid?" if status in (401, 403, 404, 410) else ""
    return f"the service answered {status}{more}"


def _unanswered(error: Exception) -> tuple[str, bool]:
    """What is said, and whether it may pass."""
    import requests  # noqa: PLC0415

    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted here", False
    if isinstance(error, requests.Timeout):
        return "the service did not answer in time", True
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy could not be reached", True
    if isinstance(error, requests.ConnectionError):
        return "the service cannot be reached", True
    return f"the service cannot be asked ({type(error).__name__})", False


# Of apprise's log for what goes by no request of ours: what is looked for, and what is said.
_PHRASES = (
    ("535", "the mail server refused the name or the password (535)"),
    ("uthenticat", "the mail server refused the name or the password"),
    ("Connection refused", "the mail server cannot be reached"),
    ("Name or service not known", "the mail server's name is not known"),
    ("name resolution", "the mail server's name is not known"),
    ("timed out", "the mail server did not answer in time"),
    ("CERTIFICATE_VERIFY_FAILED", "the mail server's certificate is not trusted here"),
    ("STARTTLS", "the mail server does not speak STARTTLS"),
    ("Connection unexpectedly closed", "the mail server broke the connection off"),
)


def _why_not(post: _Post) -> str:
    if post.said:
        taken = post.said.endswith(("answered 200", "answered 202", "answered 204"))
        return f"{post.said}, and did not take it" if taken else post.said
    logged = "\n".join(post.logged)
    return next(
        (said for phrase, said in _PHRASES if phrase in logged), "it was not taken, and apprise does not say why"
    )


def _no_address(address: str) -> str:
    """Of the address only its scheme is said, and only where it is one of the web's."""
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if scheme in ("http", "https"):
        instead = "jsons" if scheme == "https" else "json"
        return (
            f"its address is an {scheme} one that apprise does not know a service by: write `{instead}://` instead of "
            f"`{scheme}://` to post JSON there, or the service's own scheme"
        )
    return f"its address is none that apprise can read (schemes are {_NATIVE})"


def _asked(header: str, now: float) -> float | None:
    """The seconds of a Retry-After, which is a number or a date."""
    text = header.strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now) if text else None
    except (ValueError, TypeError, OverflowError):
        return None
