"""Which check each kind of kwarg gets: the words that the tables of `known` use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlgate.data.contract import kinds, patterns

KINDS: dict[str, Callable[[Any], Any]] = {
    "name": kinds.text,
    "names": kinds.names,
    "several": kinds.several,
    "number": kinds.number,
    "amount": kinds.amount,
    "positive": kinds.positive,
    "share": kinds.share,
    "fraction": kinds.fraction,
    "mostly": kinds.mostly,
    "count": kinds.count,
    "text": kinds.text,
    "texts": kinds.texts,
    "boolean": kinds.boolean,
    "character": kinds.character,
    "set": kinds.values,
    "pairs": kinds.pairs,
    "mapping": kinds.mapping,
    "bound": kinds.bound,
    "quantiles": kinds.quantiles,
    "regex": patterns.regex,
    "regexes": patterns.regexes,
    "strftime": patterns.strftime,
    "condition": patterns.condition,
}


def check(kind: str, value: Any) -> Any:
    """The value as plain Python. Raises the error of `mlgate.config.values.problem`."""
    found = KINDS.get(kind)
    return found(value) if found else kinds.one_of(kind)(value)
