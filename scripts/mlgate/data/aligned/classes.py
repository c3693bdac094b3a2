"""The classes of a label: which there are, and which of them a value written elsewhere means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlgate.config.settings import Scalar
from mlgate.data.aligned.arrays import number_name
from mlgate.data.reading.table import Kind

_WORDS = {"true": "true", "false": "false", "1": "true", "0": "false"}
_NUMBERS = {"true": "1", "false": "0"}
SHOWN = 5


def meant(value: Scalar, kind: Kind, names: Iterable[str]) -> str:
    """The class that `value` means, as a label of this kind is named; not one of `names` when it means none.

    1 and true are the same, and so are 1, 1.0 and "1" where the labels are numbers.
    """
    text = (
        str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else number_name(value + 0.0)
    )
    if text in (known := set(names)):
        return text
    if kind == "boolean":
        return _WORDS.get(text.lower(), text)
    if kind in {"integer", "number"}:
        return _number(_NUMBERS.get(text.lower(), text))
    spelled = [name for name in known if name.lower() == text.lower()] if text.lower() in _NUMBERS else []
    return spelled[0] if len(spelled) == 1 else text


def _number(text: str) -> str:
    try:
        return number_name(float(text))
    except ValueError:
        return text


def default_positive(kind: Kind, names: Sequence[str]) -> tuple[str, str] | None:
    """(negative, positive) where the values say so themselves: 0 and 1, -1 and 1, false and true."""
    there = set(names)
    pairs = {"boolean": [("false", "true")], "integer": _SIGNS, "number": _SIGNS}.get(kind, _TEXTS)
    return next((pair for pair in pairs if there and there <= set(pair)), None)


_SIGNS = [("0", "1"), ("-1", "1")]
_TEXTS = [("0", "1"), ("false", "true"), ("False", "True"), ("FALSE", "TRUE")]


@dataclass
class Classes:
    """The classes of one evaluation set. Where `grows`, a class that only a model knows is added at the end."""

    kind: Kind
    names: list[str]
    grows: bool = False

    def place(self, value: str) -> int | None:
        """The index of the class that a value of a predictions file means."""
        name = meant(value, self.kind, self.names)
        if name in self.names:
            return self.names.index(name)
        if not self.grows:
            return None
        self.names.append(name)
        return len(self.names) - 1


def some(names: Sequence[str]) -> str:
    """The first few, for a sentence."""
    shown = ", ".join(name if len(name) <= 40 else f"{name[:40]}..." for name in names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN:,} more" if len(names) > SHOWN else shown
