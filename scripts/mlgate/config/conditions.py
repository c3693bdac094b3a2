"""What has to hold while two models answer: `error_rate <= 1.5x stable`, `latency_p99 <= 2 s for 3 periods`.

A sentence is parsed, never evaluated as code:

    rule   = metric ("<=" | "<" | ">=" | ">") limit ["for" number "periods"]
    limit  = number [unit]  |  number "x stable"  |  "stable" ("+" | "-") number [unit]
    unit   = "%" | "ms" | "s"
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
KNOWN = ("error_rate", "latency_p50", "latency_p95", "latency_p99", "prediction_shift")
_RULE = re.compile(
    r"(?P<metric>[A-Za-z][A-Za-z0-9_]{0,99})\s*(?P<operator><=|>=|<|>)\s*(?P<limit>.+?)"
    r"(?:\s+for\s+(?P<periods>[1-9][0-9]{0,3})\s+periods?)?\s*\Z",
    re.ASCII,
)
_NUMBER = r"(?P<number>[0-9]+(?:\.[0-9]+)?)"
_ABSOLUTE = re.compile(rf"{_NUMBER}\s*(?P<unit>%|ms|s)?\Z", re.ASCII)
_TIMES = re.compile(rf"{_NUMBER}\s*x\s+stable\Z", re.ASCII)
_BESIDE = re.compile(rf"stable\s*(?P<sign>[+-])\s*{_NUMBER}\s*(?P<unit>%|ms|s)?\Z", re.ASCII)
_UNITS = {"%": Decimal("0.01"), "ms": Decimal("0.001"), "s": Decimal(1), None: Decimal(1)}
_EXAMPLES = "`error_rate <= 1%`, `error_rate <= 1.5x stable`, `latency_p99 <= 2 s for 3 periods`"


@dataclass(frozen=True)
class Condition:
    """One sentence. The limit is `number` (`kind` absolute), `number` times stable's, or stable's and `number` more.

    Rates and shares are fractions, times are seconds. It is broken when it was so for `periods` looks in a row.
    """

    metric: str
    operator: Operator
    kind: Literal["absolute", "times", "beside"]
    number: Decimal
    text: str
    periods: int = 1
    unit: str = ""  # of the limit, as it was written: "%", "ms", "s"

    @property
    def against_stable(self) -> bool:
        return self.kind != "absolute"


@dataclass(frozen=True)
class Group:
    """`any`: at least one has to hold; `all`: every one."""

    how: Literal["any", "all"]
    of: tuple[Condition | Group, ...]


Tree = Condition | Group


def leaves(tree: Tree) -> Iterator[Condition]:
    """Every sentence in it, in order."""
    if isinstance(tree, Condition):
        yield tree
        return
    for one in tree.of:
        yield from leaves(one)


def parse(value: Any) -> Tree:
    """From what mlgate.yaml says. Raises a problem in our words for what is no rule."""
    if isinstance(value, Condition | Group):
        return value
    if isinstance(value, dict):
        if (
            len(value) != 1
            or next(iter(value)) not in ("any", "all")
            or not isinstance(next(iter(value.values())), list)
        ):
            raise problem("is no group of rules.", "Write `{any: [rule, rule]}` or `{all: [rule, rule]}`.")
        how, inner = next(iter(value.items()))
        if len(inner) < 2:
            raise problem(f"`{how}` needs two rules or more.", "Write a single rule without it.")
        return Group(how, tuple(parse(one) for one in inner))
    if not isinstance(value, str):
        raise problem(f"must be a rule, but is {shown(value)}.", f"Write it like {_EXAMPLES}.")
    return _sentence(" ".join(value.split()))


def _sentence(text: str) -> Condition:
    found = _RULE.match(text)
    if found is None:
        raise problem(f"is `{text[:120]}`, which is no rule.", f"Write it like {_EXAMPLES}.")
    kind, number, unit = _limit(found["limit"].strip(), text)
    return Condition(found["metric"], found["operator"], kind, number, text, int(found["periods"] or 1), unit)  # type: ignore[arg-type]


def _limit(text: str, whole: str) -> tuple[Literal["absolute", "times", "beside"], Decimal, str]:
    if found := _ABSOLUTE.match(text):
        return "absolute", finite(Decimal(found["number"])) * _UNITS[found["unit"]], found["unit"] or ""
    if found := _TIMES.match(text):
        return "times", finite(Decimal(found["number"])), ""
    if found := _BESIDE.match(text):
        number = finite(Decimal(found["number"])) * _UNITS[found["unit"]]
        return "beside", number if found["sign"] == "+" else -number, found["unit"] or ""
    raise problem(f"is `{whole[:120]}`, and `{text[:60]}` is no limit.", f"Write it like {_EXAMPLES}.")


def written(tree: Tree) -> Any:
    """As mlgate.yaml says it, in one spelling."""
    return tree.text if isinstance(tree, Condition) else {tree.how: [written(one) for one in tree.of]}


Rule = Annotated[
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
