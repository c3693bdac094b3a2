"""Numbers of the user's own that rules may name: how they are asked for, and what they may be called."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlgate.config.deploying import Metric
from mlgate.config.vocabulary import Finding, Path

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


def findings(at: Path, metric: Metric, *, taken: bool) -> Iterator[Finding]:
    """`at` ends with its name; `taken`: something of that name is measured anyway."""
    if taken:
        yield at, "is measured without it.", "Give it another name."
    elif not _NAME.fullmatch(str(at[-1])):
        fix = "Use letters, digits and `_`, starting with a letter, at most 100 characters."
        yield at, "cannot be named by a rule.", fix
    if (metric.query is None) == (metric.run is None):
        said = "has neither `query` nor `run`." if metric.query is None else "has `query` and `run`."
        yield at, said, "Say one of them."
    if metric.prometheus is not None and metric.query is None:
        yield (*at, "prometheus"), "is used with `query` only.", "Remove it."
