"""When production needs somebody: `drift_share > 30%`, `psi.age > 0.2`, `drift`, and for how many windows.

A sentence is parsed, never evaluated as code:

    when    = reading [("<=" | "<" | ">=" | ">") number ["%" | "ms" | "s"]]
    reading = word ["." name of a column or group]

A reading alone asks whether it crossed its own limit. `any:` and `all:` combine sentences; `for: 3 of 5` asks for three
of the last five windows, the present one among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from mlgate.config.values import finite, problem, shown

Operator = Literal["<=", "<", ">=", ">"]
_READING = r"[A-Za-z][A-Za-z0-9_]{0,99}(?:\.[^<>=\n]{1,200}?)?"
_SENTENCE = re.compile(
    rf"(?P<reading>{_READING})\s*(?P<operator><=|>=|<|>)\s*(?P<number>-?[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>%|ms|s)?\Z",
    re.ASCII,
)
_ALONE = re.compile(rf"{_READING}\Z")
_UNITS = {"%": Decimal("0.01"), "ms": Decimal("0.001"), "s": Decimal(1), None: Decimal(1)}
_PERSISTENCE = re.compile(r"([1-9][0-9]{0,2})(?:\s+of\s+([1-9][0-9]{0,2}))?\Z", re.ASCII)
_EXAMPLES = "`drift_share > 30%`, `psi.age > 0.2`, `auc < 0.7`, or `drift`"


@dataclass(frozen=True)
class Alarm:
    """One sentence. Without an operator: the reading crossed its own limit. Shares are fractions, times are seconds."""

    reading: str
    text: str
    operator: Operator | None = None
    number: Decimal | None = None
    unit: str = ""


@dataclass(frozen=True)
class Alarms:
    """`any`: at least one of them; `all`: every one."""

    how: Literal["any", "all"]
    of: tuple[Alarm | Alarms, ...]


When = Alarm | Alarms


@dataclass(frozen=True)
class Persistence:
    """In `k` of the last `n` windows."""

    k: int = 1
    n: int = 1

    def __str__(self) -> str:
        return f"{self.k} of {self.n}"


def leaves(when: When) -> Iterator[Alarm]:
    """Every sentence in it, in order."""
    if isinstance(when, Alarm):
        yield when
        return
    for one in when.of:
        yield from leaves(one)


def parse(value: Any) -> When:
    """From what mlgate.yaml says. Raises a problem in our words for what is none."""
    if isinstance(value, Alarm | Alarms):
        return value
    if isinstance(value, dict):
        how, inner = next(iter(value.items()), ("", None))
        if len(value) != 1 or how not in ("any", "all") or not isinstance(inner, list):
            raise problem("is no group of sentences.", "Write `{any: [sentence, sentence]}` or `{all: [...]}`.")
        if len(inner) < 2:
            raise problem(f"`{how}` needs two sentences or more.", "Write a single one without it.")
        return Alarms("any" if how == "any" else "all", tuple(parse(one) for one in inner))
    if not isinstance(value, str):
        raise problem(f"must be a sentence, but is {shown(value)}.", f"Write it like {_EXAMPLES}.")
    text = " ".join(value.split())
    if found := _SENTENCE.match(text):
        number = finite(Decimal(found["number"])) * _UNITS[found["unit"]]
        return Alarm(found["reading"].strip(), text, found["operator"], number, found["unit"] or "")  # type: ignore[arg-type]
    if _ALONE.match(text):
        return Alarm(text, text)
    raise problem(f"is `{text[:120]}`, which is no sentence.", f"Write it like {_EXAMPLES}.")


def written(when: When) -> Any:
    """As mlgate.yaml says it, in one spelling."""
    return when.text if isinstance(when, Alarm) else {when.how: [written(one) for one in when.of]}


def persistence(value: Any) -> Persistence:
    """From `3 of 5`, or from 3, which is `3 of 3`."""
    if isinstance(value, Persistence):
        return value
    found = _PERSISTENCE.match(str(value).strip()) if isinstance(value, str | int) and value is not True else None
    if found is None:
        raise problem(f"must be a number of windows, but is {shown(value)}.", "Write it like `3 of 5`.")
    k, n = int(found[1]), int(found[2] or found[1])
    if k > n:
        raise problem(f"asks for {k} of {n} windows.", "Write it like `3 of 5`.")
    return Persistence(k, n)


Sentence = Annotated[
    Any,
    BeforeValidator(parse),
    PlainSerializer(written),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": {"enum": ["any", "all"]},
                 "additionalProperties": {"type": "array", "minItems": 2}},
            ]
        }
    ),
]  # fmt: skip
For = Annotated[
    Any,
    BeforeValidator(persistence),
    PlainSerializer(str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": "^[1-9][0-9]{0,2}( +of +[1-9][0-9]{0,2})?$"},
            ]
        }
    ),
]
