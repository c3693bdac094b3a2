"""Texts of a proposal that may stand where they are put: paths inside the repository, a message of one line."""

from __future__ import annotations

import re
import unicodedata

from mlgate.errors import MlgateError

_SKIPS = re.compile(
    r"\[(skip|no)[ -]?ci\]|\[ci[ -]?skip\]|\[(skip[ -]actions|actions[ -]skip)\]|skip-checks|\*\*\*NO_CI",
    re.IGNORECASE,
)
_MENTIONS = re.compile(r"[@#!&~%](?=\w)|\bGH-\d")


def inside(path: str) -> str:
    """A path as git has it. Raises MlgateError for one that could mean another place."""
    parts = path.split("/")
    strange = (
        not path.isprintable()
        or any(unicodedata.category(c) in ("Cf", "Zl", "Zp") for c in path)
        or unicodedata.normalize("NFC", path) != path
        or "\\" in path
        or any(part in ("", ".", "..") or part.endswith((" ", ".")) for part in parts)
        or any(part.casefold().startswith(".git") and part != ".gitignore" for part in parts)
        or any(re.match(r"git~\d", part, re.IGNORECASE) for part in parts)
        or any(len(part.encode("utf-8", "replace")) > 255 for part in parts)
    )
    if strange:
        raise refused(f"names the path {path[:100]!a}, which is not a plain path inside the repository")
    return path


def parents(path: str) -> list[str]:
    """The folders around a path, outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def one_line(message: str) -> None:
    """Raises MlgateError for a message that says more than what was done: to CI, to people, to trackers."""
    if not message.strip() or not message.isprintable():
        raise refused("has a message that is not one line of text")
    if skips(message):
        raise refused("has a message that tells CI to skip the commit, and a commit without checks cannot be merged")
    if _MENTIONS.search(message):
        raise refused("has a message that mentions people or issues")


def skips(text: str) -> bool:
    """Whether CI would take a text for a request to skip the commit."""
    return bool(_SKIPS.search(text))


def refused(what: str, fix: str = "") -> MlgateError:
    """The one sentence about a proposal that is not used: it names the first thing that is wrong."""
    return MlgateError(f"the proposal {what}; nothing was committed.", fix=fix)
