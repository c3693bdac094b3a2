"""Text of others, made fit to stand inside a sentence or a link of ours."""

from __future__ import annotations

import re

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def on_one_line(text: str, limit: int) -> str:
    """Without control characters or line ends, and no longer than `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def web_address(url: str) -> str:
    """The address if it is one that a forge accepts as a link, else nothing."""
    fine = url.startswith(("https://", "http://")) and url.isprintable() and " " not in url
    return url if fine else ""


def commit_id(text: object) -> str:
    """A whole commit id, else nothing: what forges say is passed on to git, and all zeros mean "there is none"."""
    found = isinstance(text, str) and _COMMIT.fullmatch(text) and text.strip("0")
    return str(text) if found else ""


def short_ref(ref: str) -> str:
    """The branch or tag's own name."""
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
