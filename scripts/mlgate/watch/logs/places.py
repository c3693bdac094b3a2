"""From a path of mlgate.yaml to the paths of one window: `{date}` and the like stand for each of its hours or days."""

from __future__ import annotations

import re
from datetime import timedelta

from mlgate.errors import MlgateError
from mlgate.watch.nouns import Window

_WORDS = {"date": "%Y-%m-%d", "year": "%Y", "month": "%m", "day": "%d", "hour": "%H"}
_WORD = re.compile(r"\{([^{}]*)\}")
_MAGIC = re.compile(r"[*?\[{]")
_MOST = 20_000  # hours: more than two years


def dated(path: str) -> bool:
    return _WORD.search(path) is not None


def expanded(path: str, window: Window, key: str) -> list[str]:
    """The paths of every hour that the window touches, in order, each once. Raises MlgateError for unknown words."""
    words = _WORD.findall(path)
    if not words:
        return [path]
    for word in words:
        if word not in _WORDS:
            known = ", ".join(f"`{{{one}}}`" for one in _WORDS)
            raise MlgateError(f"the path {path!r} has `{{{word}}}`.", key=key, fix=f"Only {known} stand for a time.")
    step = timedelta(hours=1) if "hour" in words else timedelta(days=1)
    moment = window.since.replace(minute=0, second=0, microsecond=0)
    if "hour" not in words:
        moment = moment.replace(hour=0)
    if (window.until - moment) / step > _MOST:
        raise MlgateError(f"the window {window} is too long for {path!r}.", key=key, fix="Use a shorter one.")
    found: dict[str, None] = {}
    while moment < window.until:
        found[_WORD.sub(lambda match, at=moment: at.strftime(_WORDS[match[1]]), path)] = None  # type: ignore[misc]
        moment += step
    return list(found)


def fixed(path: str) -> str:
    """The folder that has to be there in any case: what comes before the first pattern."""
    found = _MAGIC.search(path)
    return path if found is None else path[: found.start()].rpartition("/")[0]
