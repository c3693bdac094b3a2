"""Pieces of PromQL."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


def matched(metric: str, labels: Mapping[str, str], *more: str) -> str:
    """`metric{model="visits"}`; `more` are matchers as they are to stand there."""
    for name in labels:
        if not _LABEL.match(name):
            raise ValueError(f"{name!r} is no label")
    inner = [*(f"{name}={quoted(value)}" for name, value in labels.items()), *more]
    return f"{metric}{{{','.join(inner)}}}"


def quoted(value: str) -> str:
    """A string as PromQL has it, which is as Go has it: JSON's escapes are among these."""
    return json.dumps(value, ensure_ascii=False)


def literal(text: str) -> str:
    """Text for an annotation, in which Prometheus looks for templates."""
    return text.replace("{{", '{{ "{{" }}')


def seconds(length: float) -> str:
    """A duration as Prometheus writes it: `1d`, `90m`, `45s`."""
    whole = max(1, round(length))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"
