"""Numbers in people's words that are the model's own: they have to be those of the evidence.

A card whose sentence says "an accuracy of 0.92" goes stale with the next model, and nobody notices. So wherever a
metric of mlgate.yaml stands beside a number, the number is held against what was measured, at the precision it is
written with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = r"(?P<number>[-+\u2212]?\d+(?:[.,]\d+)?)(?P<percent>[ \u00a0\u202f]?%|[ ]percent)?"
# "accuracy of 0.92", "an AUC (test) is about 74 %", "log loss: 0.53", "0.92 accuracy"
_BETWEEN = r"(?:[ ]?[:=\u2248~(]|[ ](?:of|is|was|at|equals|about|around|roughly|nearly|some)){0,3}[ ]*"


@dataclass(frozen=True)
class Claim:
    """A number in a text that speaks of a metric, and what was measured."""

    key: str  # of the text
    metric: str
    said: str
    measured: tuple[float, ...]

    @property
    def holds(self) -> bool:
        return any(_agrees(self.said, value) for value in self.measured)


def find(texts: Iterable[tuple[str, str]], measured: Mapping[str, tuple[float, ...]]) -> Iterator[Claim]:
    """Every number that stands beside a metric's name. `measured`: name -> the values that evidence has of it."""
    for key, text in texts:
        flat = " ".join(text.split())
        for name, values in measured.items():
            words = re.escape(name).replace("_", "[-_ ]?").replace(r"\ ", "[-_ ]?")
            for pattern in (rf"(?<![\w-]){words}{_BETWEEN}{_NUMBER}(?![\w])", rf"{_NUMBER} {words}(?![\w-])"):
                for match in re.finditer(pattern, flat, re.IGNORECASE):
                    if not flat[match.end("number") :].startswith((" -", "-")):
                        said = match["number"] + ("%" if match["percent"] else "")
                        yield Claim(key, name, said.replace("\u2212", "-"), values)


def _agrees(said: str, value: float) -> bool:
    """Whether a number, as precise as it is written, is this one: `0.74` is 0.7448 and 0.7351, not 0.75."""
    percent = said.endswith("%")
    number = Decimal(said.rstrip("%").replace(",", "."))
    exponent = number.as_tuple().exponent
    half = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0) / 2
    own = Decimal(repr(value)) * (100 if percent else 1)
    return abs(number - own) <= half
