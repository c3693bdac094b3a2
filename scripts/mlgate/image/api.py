"""A registry's own HTTP interface (the OCI distribution specification): manifests and blobs, without an engine."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests

from mlgate.errors import MlgateError
from mlgate.image import credentials
from mlgate.image.engine import Engine
from mlgate.image.reference import HUB, Reference

INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
)  # fmt: skip
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
)  # fmt: skip
TIMEOUT = (10, 60)  # seconds to connect, and between two octets
RETRIES = 3
CHUNK = 1 << 20
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_LOGIN = "docker login {}, with a token that may do this."


@dataclass(frozen=True)
class Manifest:
    """The octets as the registry has them: a digest is over these and nothing else."""

    kind: str  # its media type
    octets: bytes

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.octets).hexdigest()

    @property
    def data(self) -> dict[str, Any]:
        """Raises MlgateError where it is no JSON object."""
        try:
            found = json.loads(self.octets)
        except ValueError as error:
            raise MlgateError("the registry's manifest is not JSON.") from error
        if not isinstance(found, dict):
            raise MlgateError("the registry's manifest is not a JSON object.")
        return found


@dataclass(frozen=True)
class Stream:
    """Octets as they come, whose number is known: so that they are sent as they are, and not in chunks."""

    parts: Iterator[bytes]
    size: int

    def __iter__(self) -> Iterator[bytes]:
        return self.parts

    def __len__(self) -> int:
        return self.size


@dataclass
class Api:
    """One registry, spoken to with the credentials that the engine's command line has for it."""

    registry: str
    login: credentials.Login | None
    plain: bool  # HTTP without TLS
    _session: requests.Session = field(default_factory=requests.Session)
    _tokens: dict[str, str] = field(default_factory=dict)  # by scope

    @property
    def url(self) -> str:
        host = "registry-1.docker.io" if self.registry == HUB else self.registry
        return f"{'http' if self.plain else 'https'}://{host}"

    def manifest(self, reference: Reference, *, push: bool = False) -> Manifest | None:
        """By digest where it has one, else by tag. None where there is none. Raises MlgateError for what is altered."""
        name = reference.digest or reference.tag or "latest"
        answer = self.ask(
            "GET", f"/v2/{reference.repository}/manifests/{name}", reference.repository,
            push=push, headers={"Accept": ", ".join((*MANIFESTS, *INDEXES))},
        )  # fmt: skip
        if answer.status_code == 404:
            return None
        self.must(answer, f"read {reference}")
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        found = Manifest(kind, answer.content)
        if reference.digest and found.digest != reference.digest:
            raise MlgateError(f"the registry gave other octets than {reference} names: their digest is {found.digest}.")
        return found

    def referrers(self, repository: str, digest: str) -> list[str]:
        """Digests of what is said about an image, where the registry keeps a list of it: signatures, statements."""
        answer = self.ask("GET", f"/v2/{repository}/referrers/{digest}", repository)
        if answer.status_code != 200:
            return []
        try:
            return [str(one["digest"]) for one in answer.json()["manifests"]]
        except (ValueError, KeyError, TypeError) as error:
            raise MlgateError(f"{self.registry} tells what refers to {digest}, and it cannot be read.") from error

    def put(self, repository: str, name: str, manifest: Manifest) -> None:
        answer = self.ask(
            "PUT", f"/v2/{repository}/manifests/{name}", repository,
            push=True, data=manifest.octets, headers={"Content-Type": manifest.kind},
        )  # fmt: skip
        self.must(answer, f"write {self.registry}/{repository}")
        told = answer.headers.get("Docker-Content-Digest", manifest.digest)
        if told != manifest.digest:
            raise MlgateError(f"{self.registry} made {told} of {manifest.digest}: it alters what it is given.")

    def blob(self, repository: str, digest: str) -> bytes:
        """A small one, checked: the configuration of an image."""
        answer = self.ask("GET", f"/v2/{repository}/blobs/{digest}", repository)
        self.must(answer, f"read {self.registry}/{repository}")
        if "sha256:" + hashlib.sha256(answer.content).hexdigest() != digest:
            raise MlgateError(f"the registry gave other octets than {digest} names.")
        return answer.content

    def has(self, repository: str, digest: str) -> bool:
        answer = self.ask("HEAD", f"/v2/{repository}/blobs/{digest}", repository, push=True)
        return answer.status_code == 200

    @contextmanager
    def open(self, repository: str, digest: str, size: int) -> Iterator[Stream]:
        """The octets of a blob, of which there are `size`, as they come."""
        answer = self.ask("GET", f"/v2/{repository}/blobs/{digest}", repository, stream=True)
        try:
            self.must(answer, f"read {self.registry}/{repository}")
            yield Stream(answer.iter_content(CHUNK), size)
        finally:
            answer.close()

    def mount(self, repository: str, digest: str, source: str) -> str | None:
        """The blob of another repository of this registry. None when that is done, else where to upload it."""
        path = f"/v2/{repository}/blobs/uploads/"
        query = f"?mount={digest}&from={source}" if source else ""
        also = (f"repository:{source}:pull",) if source else ()
        answer = self.ask("POST", path + query, repository, push=True, also=also)
        if answer.status_code == 201:
            return None
        self.must(answer, f"write {self.registry}/{repository}")
        return urljoin(self.url + path, answer.headers.get("Location", ""))

    def upload(self, where: str, repository: str, digest: str, octets: Stream) -> None:
        """In one request, as a stream: a layer may be larger than the memory."""
        # Not to hand our token to whoever a Location may name.
        own = urlsplit(where).netloc == urlsplit(self.url).netloc
        joint = "&" if urlsplit(where).query else "?"
        auth = self._authorization(self._scopes(repository, push=True)) if own else _with(None)
        answer = self._session.put(
            f"{where}{joint}digest={digest}", data=octets, auth=auth, timeout=(10, 600),
            headers={"Content-Type": "application/octet-stream"},
        )  # fmt: skip
        self.must(answer, f"write {self.registry}/{repository}")

    def ask(
        self, method: str, path: str, repository: str, *,
        push: bool = False, also: tuple[str, ...] = (), headers: Mapping[str, str] | None = None,
        data: bytes | None = None, stream: bool = False,
    ) -> requests.Response:  # fmt: skip
        """Raises MlgateError when the registry cannot be reached; its answers are the caller's to judge."""
        scopes = (*self._scopes(repository, push=push), *also)
        for attempt in range(RETRIES):
            try:
                answer = self._once(method, path, scopes, headers or {}, data, stream=stream)
            except requests.RequestException as error:
                if attempt + 1 < RETRIES:
                    continue
                kind = type(error).__name__
                raise MlgateError(f"the registry {self.registry} cannot be reached ({kind}).") from error
            if answer.status_code not in (429, 500, 502, 503, 504) or attempt + 1 == RETRIES:
                return answer
        raise AssertionError

    def _once(
        self, method: str, path: str, scopes: tuple[str, ...], headers: Mapping[str, str], data: bytes | None, *,
        stream: bool,
    ) -> requests.Response:  # fmt: skip
        url = self.url + path
        options: dict[str, Any] = {"data": data, "timeout": TIMEOUT, "stream": stream}
        answer = self._session.request(method, url, headers=headers, auth=self._authorization(scopes), **options)
        if answer.status_code != 401:
            return answer
        challenge = answer.headers.get("WWW-Authenticate", "")
        answer.close()
        if not self._answer(challenge, scopes):
            raise MlgateError(f"{self.registry} asks for a login.", fix=_LOGIN.format(self.registry))
        return self._session.request(method, url, headers=headers, auth=self._authorization(scopes), **options)

    def _authorization(self, scopes: tuple[str, ...]) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
        """As a hook and not as a header, which an entry in ~/.netrc would replace."""
        return _with(self._tokens.get(" ".join(scopes)) or self._tokens.get(""))

    def _answer(self, challenge: str, scopes: tuple[str, ...]) -> bool:
        """Whether there is something to answer the registry's question by: a password, or a token got for it."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self.login and self.login.password:
            self._tokens[""] = self.login.basic
            return True
        if scheme.lower() != "bearer":
            return False
        told = dict(_CHALLENGE.findall(rest))
        realm = urlsplit(told.get("realm", ""))
        if realm.scheme != "https" and not self.plain:  # a password never goes out in the clear
            return False
        asked: list[tuple[str, str]] = [("service", told["service"])] if told.get("service") else []
        asked += [("scope", scope) for scope in scopes]
        auth = _with(self.login.basic if self.login and self.login.password else None)
        if self.login and self.login.identity:
            form = {"grant_type": "refresh_token", "refresh_token": self.login.identity, "client_id": "mlgate",
                    "service": told.get("service", ""), "scope": " ".join(scopes)}  # fmt: skip
            got = self._session.post(realm.geturl(), data=form, auth=_with(None), timeout=TIMEOUT)
        else:
            got = self._session.get(realm.geturl(), params=asked, auth=auth, timeout=TIMEOUT)
        if got.status_code != 200:
            return False
        data = got.json()
        token = data.get("token") or data.get("access_token")
        if not token:
            return False
        self._tokens[" ".join(scopes)] = f"Bearer {token}"
        return True

    @staticmethod
    def _scopes(repository: str, *, push: bool) -> tuple[str, ...]:
        return (f"repository:{repository}:{'pull,push' if push else 'pull'}",)

    def must(self, answer: requests.Response, what: str) -> None:
        """Raises MlgateError unless the registry did what it was asked."""
        if answer.status_code < 400:
            return
        try:
            said = "; ".join(str(one.get("message") or one.get("code")) for one in answer.json()["errors"])
        except (ValueError, KeyError, TypeError, AttributeError):
            said = answer.reason
        fix = ""
        if answer.status_code in (401, 403):
            fix = _LOGIN.format(self.registry)
        raise MlgateError(f"the registry does not let us {what}: {answer.status_code} {said}.", fix=fix)


def _with(token: str | None) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token:
            request.headers["Authorization"] = token
        return request

    return add


def connect(engine: Engine, registry: str) -> Api:
    """Raises MlgateError for a helper of credentials that fails."""
    return Api(registry, credentials.find(engine, registry), _is_plain(engine, registry))


def _is_plain(engine: Engine, registry: str) -> bool:
    """Loopback, as the engine takes it; and what the engine was told to take without TLS."""
    host = registry.rsplit(":", 1)[0] if not registry.startswith("[") else registry.partition("]")[0][1:]
    if host in ("localhost", "::1") or re.fullmatch(r"127(\.\d+){3}", host):
        return True
    said = engine.ask("info", "--format", "{{json .RegistryConfig.IndexConfigs}}")
    try:
        return said.code == 0 and json.loads(said.out)[registry]["Secure"] is False
    except (ValueError, KeyError, TypeError):
        return False
