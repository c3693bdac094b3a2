"""Names and values as MLflow takes them. What had to be renamed, cut or left out is said, one sentence each."""

from __future__ import annotations

import hashlib
import json
import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlgate.tracking.words import several

NAME = 250  # characters of a name, everywhere
_ODD = re.compile(r"[^/\w.\- ]")  # a colon is allowed on some servers only


@dataclass(frozen=True)
class Limits:
    """What a store takes: characters of a value, and how many of them."""

    param: int = 6000
    tag: int = 5000
    params: int = 1000
    tags: int = 200


@dataclass(frozen=True)
class Flat:
    """Names as the store takes them, with their values; `names` leads back to the names sent."""

    values: dict[str, Any]
    names: dict[str, str]
    notes: tuple[str, ...] = ()


def params(given: Mapping[str, Any], limits: Limits) -> Flat:
    """Nested ones become `a.b`; lists become JSON. Every value is text."""
    return _texts("parameter", _leaves(given), limits.param, limits.params, "parameters.json has all of it")


def tags(given: Mapping[str, str], limits: Limits) -> Flat:
    """The first ones come first where there are too many."""
    return _texts("tag", iter(given.items()), limits.tag, limits.tags, "tags.json has all of it")


def metrics(given: Mapping[str, Any]) -> Flat:
    """Finite numbers that a double holds exactly. Nested ones become `a.b`."""
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    other: list[str] = []
    for name, value in _leaves(given):
        number = _double(value)
        if number is None:
            other.append(name)
            continue
        key = _named(name, values)
        values[key], names[key] = number, name
    notes = _renamed("metric", names)
    if other:
        are = "is no finite number" if len(other) == 1 else "are no finite numbers"
        notes.append(f"{several(other)} of the metrics {are} that MLflow holds exactly.")
    return Flat(values, names, tuple(notes))


def _double(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number == value else None


def _texts(word: str, pairs: Iterator[tuple[str, Any]], longest: int, most: int, elsewhere: str) -> Flat:
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    cut: list[str] = []
    over: list[str] = []
    for name, value in pairs:
        if len(values) == most:
            over.append(name)
            continue
        key = _named(name, values)
        text = _text(value)
        if len(text) > longest:
            mark = f"… (cut from {len(text):,} characters)"
            text = text[: longest - len(mark)] + mark
            cut.append(name)
        values[key], names[key] = text, name
    notes = _renamed(word, names)
    if cut:
        notes.append(f"{word} {several(cut)} was cut to {longest:,} characters; {elsewhere}.")
    if over:
        notes.append(f"{len(over):,} {word}s beyond the first {most:,} were left out, {several(over)}; {elsewhere}.")
    return Flat(values, names, tuple(notes))


def _text(value: Any) -> str:
    """As JSON spells it, so that a type can be told; text is itself. An empty value is refused by older servers."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() or '""'
    return json.dumps(value, default=str, ensure_ascii=False)


def _leaves(given: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and depth < 20:
            yield from _leaves(value, f"{path}.", depth + 1)
        else:
            yield path, value


def _named(name: str, taken: Mapping[str, Any]) -> str:
    """A name that every server takes and nothing else has. MLflow may use names as files."""
    plain = posixpath.normpath(_ODD.sub("_", name).strip().strip("/") or "_")
    if plain.startswith(".."):
        plain = "_" + plain.lstrip("./")
    if len(plain) > NAME or plain == ".":
        plain = f"{plain[: NAME - 9]}~{hashlib.sha256(name.encode()).hexdigest()[:8]}".replace("~", "-")
    unique, number = plain, 2
    while unique in taken:
        unique, number = f"{plain[: NAME - 6]}_{number}", number + 1
    return unique


def _renamed(word: str, names: Mapping[str, str]) -> list[str]:
    changed = [f"`{name[:80]}` is `{key[:80]}`" for key, name in names.items() if key != name]
    if not changed:
        return []
    more = f" and {len(changed) - 3:,} more" if len(changed) > 3 else ""
    return [f"MLflow takes not every name of a {word}: {', '.join(changed[:3])}{more}."]
