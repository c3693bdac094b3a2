"""One way to say what doctor found: a Check of the group `setup`."""

from __future__ import annotations

import re

from mlgate.model import Check, Location, Verdict

GROUP = "setup"


def finding(
    what: str, title: str, verdict: Verdict, reason: str, *, fix: str = "", file: str = "", line: int | None = None
) -> Check:
    """`what` becomes the id `setup.<what>`; `fix` holds the exact lines to paste."""
    return Check(
        id=f"{GROUP}.{what}",
        title=title,
        verdict=verdict,
        group=GROUP,
        reason=reason,
        fix=fix.strip("\n"),
        location=Location(file=file, line=line) if file else None,
    )


_USERINFO = re.compile(r"(?<=://)[^/@\s]*:?[^/@\s]*@")
_QUERY = re.compile(
    r"(?<=[?&])([^=&\s]*(?:sig|token|key|secret|password|credential)[^=&\s]*)=[^&\s'\"]+", re.IGNORECASE
)
_ASSIGNED = re.compile(
    r"\b((?:[\w-]*(?:password|passwd|secret|token|access_key|account_key|sas|connection_string)[\w-]*)\s*[=:]\s*)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s,;'\"]+)",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Without what could be a secret: user and password of an address, signed query strings, `password=...`."""
    text = _USERINFO.sub("***@", text)
    text = _QUERY.sub(r"\1=***", text)
    return _ASSIGNED.sub(r"\1***", text)


def some(names: list[str], most: int = 5) -> str:
    """The first few of a list, and how many more there are."""
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def megabytes(size: int) -> str:
    """A size as people say it."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size} bytes"
