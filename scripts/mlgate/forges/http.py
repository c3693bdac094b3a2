"""Requests to a forge's API: with the token, with patience, and without surprises.

Every failure is a ForgeError with one sentence in it. The token is in no exception, representation or log, and goes to
the API's own host only. Patience is limited in tries and in total time per client: a forge that is down delays a job
once, not once for each thing that was to be posted.
"""

from __future__ import annotations

import random
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlgate import __version__
from mlgate.errors import MlgateError
from mlgate.forges.words import on_one_line

if TYPE_CHECKING:
    import requests

TRIES = 4
PATIENCE = 60.0  # seconds of waiting and of failed tries, for all requests of a client together
TIMEOUT = (5.0, 20.0)  # seconds to connect, and between two bytes
PAGES = 100  # of 100 items each: more than any forge keeps on one pull request
_PASSING = frozenset({429, 500, 502, 503, 504})


class ForgeError(MlgateError):
    """The forge said no, or said nothing. `status` is the HTTP status, 0 when there was no answer."""

    def __init__(self, status: int, message: str, *, reason: str = "", limited: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason  # the forge's own words, on one line
        self.limited = limited  # too many requests: not a matter of permissions


class UnsureError(ForgeError):
    """There was no clear answer to a request that must not be repeated blindly: it may have been carried out."""


@dataclass(frozen=True)
class Token:
    """A secret that does not show when it is printed."""

    header: str = ""
    scheme: str = ""
    value: str = ""

    def __repr__(self) -> str:
        return f"Token({self.header})"

    def __bool__(self) -> bool:
        return bool(self.value)


@dataclass(frozen=True)
class Answer:
    status: int
    data: Any
    headers: Mapping[str, str]


class Client:
    """The API of one forge. `get`, `pages` and `send` raise ForgeError and nothing else."""

    def __init__(
        self,
        base: str,
        token: Token,
        *,
        headers: Mapping[str, str] | None = None,
        verify: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.base = base.rstrip("/")
        self.host = _host(self.base)
        self.patience = PATIENCE
        self._token = token
        self._headers = {"User-Agent": f"mlgate/{__version__}", **(headers or {})}
        self._verify = verify
        self._sleep, self._clock, self._now = sleep, clock, now
        self._session: requests.Session | None = None

    def __repr__(self) -> str:
        return f"Client({self.base})"

    def get(self, path: str, /, **params: Any) -> Any:
        """The JSON at a path below the API's base."""
        return self.send("GET", path, params=params).data

    def pages(self, path: str, /, **params: Any) -> Iterator[Any]:
        """Each item of a list, through all of its pages."""
        query: dict[str, Any] = {"per_page": 100, **params}
        for _ in range(PAGES):
            answer = self.send("GET", path, params=query)
            if not isinstance(answer.data, list):
                raise ForgeError(answer.status, f"{self.host} answered {path} with something that is not a list.")
            yield from answer.data
            following = _next(answer.headers, query)
            if not following:  # an empty page is not the last: GitLab leaves out of a page what may not be seen
                return
            query = following

    def send(
        self,
        method: str,
        path: str,
        /,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        repeatable: bool = True,
    ) -> Answer:
        """One request. `repeatable=False` for one that would do its work twice: it raises UnsureError instead."""
        if not (self._token.value.isascii() and self._token.value.isprintable()):
            raise ForgeError(401, f"The token for {self.host} holds characters that no token has.")
        url = f"{self.base}/{path.lstrip('/')}".rstrip("/")
        for attempt in range(1, TRIES + 1):
            began = self._clock()
            problem = self._try(method, url, params, json)
            if isinstance(problem, Answer):
                return problem
            self.patience -= self._clock() - began
            spread = random.uniform(0.5, 1.0)  # noqa: S311 - so that parallel jobs do not return together
            wait = problem.wait if problem.wait is not None else spread * 2 ** (attempt - 1)
            last = attempt == TRIES or wait > self.patience or not problem.passing
            if problem.unsure and not repeatable:
                if not last:
                    self._pause(wait)
                raise UnsureError(problem.error.status, problem.error.message, reason=problem.error.reason) from None
            if last:
                raise problem.error from None
            self._pause(wait)
        raise AssertionError("unreachable")  # pragma: no cover

    def wait(self, seconds: float) -> None:
        """Let some time pass, which counts as waiting for the forge."""
        self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        self.patience -= seconds
        self._sleep(seconds)

    def _try(self, method: str, url: str, params: Mapping[str, Any] | None, json: Any) -> Answer | _Problem:
        try:
            response = self._request(method, url, params, json)
        except (OSError, ValueError) as error:  # all of requests' own are one of these, and a bad CA path is an OSError
            return _no_answer(error, self.host)
        if 300 <= response.status_code < 400:
            return _Problem(ForgeError(response.status_code, f"{self.host} redirects to another host; not followed."))
        return self._read(response)

    def _request(self, method: str, url: str, params: Mapping[str, Any] | None, json: Any) -> requests.Response:
        session = self._session = self._session or _session(self._token, self._headers)
        for _ in range(3):
            response = session.request(
                method, url, params=params, json=json, timeout=TIMEOUT, allow_redirects=False, verify=self._verify
            )
            target = urllib.parse.urljoin(url, response.headers.get("Location", ""))
            # The token stays with the host it was given for, and the method stays what it was.
            if response.status_code not in (301, 302, 307, 308) or _origin(target) != _origin(self.base):
                break
            url, params = target, None
        return response

    def _read(self, response: requests.Response) -> Answer | _Problem:
        try:
            data = response.json() if response.content else None
        except (ValueError, RecursionError):
            data = None
            if response.ok:
                error = ForgeError(response.status_code, f"{self.host} answered with something that is not JSON.")
                return _Problem(error, unsure=True)
        if response.ok:
            return Answer(response.status_code, data, response.headers)
        code, limited = response.status_code, _limited(response)
        reason = self._clean(_reason(data))
        message = f"{self.host} answered {code}{': ' + reason if reason else ''}"
        wait = _wait(response.headers, self._now()) if limited or code == 503 else None
        if limited:
            message = f"{self.host} limits the rate of requests ({code})"
            if wait is not None and wait > self.patience:
                message += f" and asks to wait {wait:.0f} seconds"
        return _Problem(
            ForgeError(code, message + ".", reason=reason, limited=limited),
            wait=wait,
            passing=limited or code in _PASSING,
            unsure=code >= 500,
        )

    def _clean(self, text: str) -> str:
        if self._token.value:
            text = text.replace(self._token.value, "***")
        return on_one_line(text, 200).rstrip(".")


@dataclass(frozen=True)
class _Problem:
    error: ForgeError
    wait: float | None = None  # seconds the forge asked for
    passing: bool = False  # worth another try
    unsure: bool = False  # may have been carried out all the same


def _session(token: Token, headers: Mapping[str, str]) -> requests.Session:
    import requests  # noqa: PLC0415

    session = requests.Session()
    session.headers.update(headers)

    def authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token:
            request.headers[token.header] = f"{token.scheme} {token.value}".strip()
        return request

    # As `auth`, not as a header: otherwise a ~/.netrc on the runner would silently replace it.
    session.auth = authorise
    return session


def _no_answer(error: Exception, host: str) -> _Problem:
    import requests  # noqa: PLC0415 - a job that posts nothing does not wait for it
    from urllib3.exceptions import NewConnectionError, ProxyError  # noqa: PLC0415

    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.exceptions.SSLError):
        return _Problem(ForgeError(0, f"The certificate of {host} is not trusted here; set REQUESTS_CA_BUNDLE."))
    if isinstance(reason, (NewConnectionError, ProxyError)):
        return _Problem(ForgeError(0, f"{host} cannot be reached."), passing=True)
    if isinstance(error, requests.ConnectTimeout):
        return _Problem(ForgeError(0, f"{host} cannot be reached: connecting took too long."), passing=True)
    if isinstance(error, requests.Timeout):
        return _Problem(ForgeError(0, f"{host} did not answer in time."), passing=True, unsure=True)
    if isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        return _Problem(ForgeError(0, f"{host} broke the connection off."), passing=True, unsure=True)
    return _Problem(ForgeError(0, f"{host} cannot be asked ({type(error).__name__})."), unsure=True)


def _limited(response: requests.Response) -> bool:
    """429, or GitHub's 403 for the same: with Retry-After, or with nothing left of the hour's requests."""
    headers = response.headers
    return response.status_code == 429 or (
        response.status_code == 403 and ("Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0")
    )


def _wait(headers: Mapping[str, str], now: float) -> float | None:
    asked = headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return float(asked[:9])
    if asked:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 -- rare, and slow to import

        try:
            return max(0.0, parsedate_to_datetime(asked).timestamp() - now)
        except (ValueError, OverflowError):
            return None
    reset = headers.get("X-RateLimit-Reset", "").strip() or headers.get("RateLimit-Reset", "").strip()
    if reset.isdecimal():
        return max(0.0, float(reset[:12]) - now)
    return None


def _next(headers: Mapping[str, str], query: Mapping[str, Any]) -> dict[str, Any] | None:
    """The query of the next page. Only its query is taken: behind a proxy a forge may not know its own address."""
    import requests  # noqa: PLC0415

    for link in requests.utils.parse_header_links(headers.get("Link", "")):
        if link.get("rel") == "next":
            found = urllib.parse.parse_qsl(urllib.parse.urlsplit(link.get("url", "")).query, keep_blank_values=True)
            return {**query, **dict(found)} if found else None
    page = headers.get("X-Next-Page", "").strip()
    return {**query, "page": page} if page.isdecimal() else None


def _host(base: str) -> str:
    try:
        return urllib.parse.urlsplit(base).hostname or base
    except ValueError:  # no address at all; the first request says so
        return base


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def _reason(data: Any) -> str:
    """The forge's own words, from the shapes that GitHub, Gitea and GitLab use."""
    if not isinstance(data, dict):
        return ""
    said = data.get("message") or data.get("error_description") or data.get("error") or ""
    parts = [_flat(said)]
    if isinstance(errors := data.get("errors"), list):
        for one in errors[:3]:
            words = one if isinstance(one, str) else _flat(one.get("message") or "") if isinstance(one, dict) else ""
            if not words and isinstance(one, dict):
                words = " ".join(str(one[k]) for k in ("field", "code") if one.get(k))
            parts.append(words)
    return ": ".join(part for part in parts if part)


def _flat(said: Any) -> str:
    if isinstance(said, dict):
        return "; ".join(f"{key}: {_flat(value)}" for key, value in list(said.items())[:5])
    if isinstance(said, list):
        return ", ".join(_flat(value) for value in said[:5])
    return str(said)
