"""Logs for tests: lines as the serving image writes them, in the formats that logs come in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlgate.config.watching import Logs
from mlgate.data.reading import connect
from mlgate.watch.logs import Logged, open_logs
from mlgate.watch.nouns import Window

DAY = Window(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
DIGEST = "ab" * 32


def line(number: int, **changed: Any) -> dict[str, Any]:
    """One line: the request `number`, that many seconds after the window began."""
    moment = DAY.since + timedelta(seconds=number)
    one = {
        "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{number % 1000:03d}Z",
        "request_id": f"r{number}",
        "model": "visits",
        "version": "v1.0.0",
        "digest": DIGEST,
        "commit": "c" * 40,
        "environment": "production",
        "row": 0,
        "features": {"age": 20 + number % 50, "income": number / 7, "health": ["good", "poor"][number % 2]},
        "hashed": {},
        "prediction": number % 2,
        "score": number % 100 / 100,
        "latency_ms": 1.5,
    }
    return {**one, **changed}


def written(lines: Iterable[Mapping[str, Any] | str | bytes]) -> bytes:
    """Lines as bytes; a text is a line as it stands."""
    parts = []
    for one in lines:
        text = json.dumps(one, separators=(",", ":")) if isinstance(one, Mapping) else one
        parts.append((text.encode() if isinstance(text, str) else text) + b"\n")
    return b"".join(parts)


def opened(root: Path, path: str | Sequence[str] = "logs", **more: Any) -> tuple[Any, Logged]:
    """A connection, and the logs below `root`."""
    con = more.pop("con", None) or connect()
    asked = {"window": DAY, "model": "visits", "environment": "production", "digest": None, "now": NOW}
    asked |= {key: more.pop(key) for key in (*asked, "wanted", "environ", "say") if key in more}
    settings = Logs(path=[path] if isinstance(path, str) else list(path), **more)
    window = asked.pop("window")
    return con, open_logs(con, settings, window, root=root, **{"environ": {}, **asked})


def left_out(logged: Logged) -> dict[str, int]:
    """The counts that are not zero, without lines and rows."""
    return {name: many for name, many in logged.counts.items() if many and name not in {"lines", "rows"}}


def adds_up(logged: Logged) -> bool:
    return logged.counts["lines"] == sum(logged.counts.values()) - logged.counts["lines"]
