"""One way to say what doctor found: a Check of the group `setup`."""

from __future__ import annotations

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
