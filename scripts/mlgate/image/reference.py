"""The name of an image: `ghcr.io/acme/visits:v1@sha256:...`, read as the engine reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mlgate.errors import MlgateError

HUB = "docker.io"
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?")
_LONGEST = 255  # characters of a repository's name


@dataclass(frozen=True)
class Reference:
    """`registry` is never empty: Docker Hub's is `docker.io`, and its own images are in `library/`."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Names of repositories are lower-cased, since a forge's owner may be `Acme`; tags are kept as they are.

        Raises MlgateError that says what is wrong.
        """
        rest, at, digest = text.strip().partition("@")
        if at and not _DIGEST.fullmatch(digest):
            raise _wrong(text, f"{digest!r} is no digest", "A digest is `sha256:` and 64 hexadecimal digits.")
        if "://" in rest:
            raise _wrong(text, "it begins with a protocol", f"Write `{rest.partition('://')[2]}`.")
        first, slash, after = rest.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            registry, rest = first.lower(), after
        else:
            registry = HUB
        if not _HOST.fullmatch(registry):
            raise _wrong(text, f"{registry!r} is no host", "A registry is a host, and a port where it has one.")
        repository, colon, tag = rest.partition(":")
        if colon and not _TAG.fullmatch(tag):
            fix = "A tag has up to 128 letters, digits, `_`, `.` and `-`, and does not begin with `.` or `-`."
            raise _wrong(text, f"{tag!r} is no tag", fix)
        repository = repository.lower()
        if registry in (HUB, "index.docker.io", "registry-1.docker.io"):
            registry = HUB
            repository = repository if "/" in repository else f"library/{repository}"
        _check(text, repository)
        return cls(registry, repository, tag, digest)

    @property
    def name(self) -> str:
        """Without tag and digest, as the engine's command line wants it."""
        return f"{self.registry}/{self.repository}"

    @property
    def pinned(self) -> str:
        """By digest alone, which is what can be trusted."""
        return f"{self.name}@{self.digest}"

    def at(self, digest: str) -> Reference:
        return replace(self, digest=digest)

    def tagged(self, tag: str) -> Reference:
        """Another tag of the same repository. Raises MlgateError where that is no tag."""
        return Reference.parse(f"{self.name}:{tag}")

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def tag_from(text: str) -> str:
    """A tag that is as close to the text (a branch, a version with `+`) as the grammar allows."""
    made = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).lstrip(".-")[:128]
    return made or "none"


def _check(text: str, repository: str) -> None:
    name = repository.removeprefix("library/")
    if not name:
        raise _wrong(text, "it has no repository", "Write it as `ghcr.io/acme/visits`.")
    for part in repository.split("/"):
        if not _COMPONENT.fullmatch(part):
            what = f"{part!r} is no part of a repository's name" if part else "it has an empty part"
            raise _wrong(text, what, "Parts have letters, digits, and single `.`, `_` or `-` between them.")
    if len(repository) > _LONGEST:
        raise _wrong(text, "it is too long", f"A repository's name has at most {_LONGEST} characters.")


def _wrong(text: str, what: str, fix: str) -> MlgateError:
    return MlgateError(f"{text!r} is no name of an image: {what}.", fix=fix)
