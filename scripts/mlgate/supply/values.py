"""What a pickle program builds, as far as it matters: nothing is imported, called or set."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mlgate.supply.names import Name


class _Something:
    """A value that is not looked at: a number, long text, many bytes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "something"


SOMETHING = _Something()


@dataclass(slots=True, eq=False)
class Global:
    """What a name stands for: a class, a function, a module's constant."""

    name: Name


@dataclass(slots=True, eq=False)
class Made:
    """What came of calling something. Arguments are kept only where they are needed later."""

    of: Any
    args: tuple[Any, ...] = ()
    state: Any = None


@dataclass(slots=True, eq=False)
class Items:
    """A list or a set."""


@dataclass(slots=True, eq=False)
class Mapping:
    """A dictionary: the values of its first few keys that are text."""

    known: dict[str, Any] = field(default_factory=dict)

    def put(self, key: Any, value: Any) -> None:
        if isinstance(key, str) and (len(self.known) < 64 or key in self.known):
            self.known[key] = value


@dataclass(slots=True, eq=False)
class Blob:
    """Bytes that may themselves be a file to look into."""

    data: bytes


_SIZED = re.compile(r"([biufcSaUVmMO])(\d*)")
_CODES = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "l": 8, "L": 8, "q": 8, "Q": 8, "e": 2, "f": 4,
          "d": 8, "F": 8, "D": 16}  # fmt: skip


def sized(text: str) -> tuple[int, bool] | None:
    """Octets of one item, and whether it holds objects, of a type as numpy writes it: `f8`, `<U10`, `O`."""
    text = text.lstrip("<>|=")
    if text in _CODES:
        return _CODES[text], False
    if text == "O":
        return 8, True
    found = _SIZED.fullmatch(text)
    if found is None:
        return None
    kind, size = found[1], int(found[2] or 0)
    if kind == "O":
        return 8, True
    if kind in "mM":
        return 8, False
    if kind in "SaV":
        return size, False
    if kind == "U":
        return size * 4, False
    return (size, False) if found[2] else None


def item_of(dtype: Any) -> tuple[int, bool] | None:
    """The same for a pickled `numpy.dtype`; None where it cannot be told, or where it contradicts itself."""
    if not isinstance(dtype, Made) or not isinstance(dtype.of, Global) or dtype.of.name[1] != "dtype" or not dtype.args:
        return None
    text = dtype.args[0]
    plain = sized(text) if isinstance(text, str) else None
    if plain is None:
        return None
    state = dtype.state
    if not isinstance(state, tuple) or len(state) < 5:
        return plain if state is None else None
    inner, names, fields = state[2], state[3], state[4]
    if inner is None and names is None and fields is None:
        return plain
    if inner is not None:  # an array of a type in each item
        base = item_of(inner[0]) if isinstance(inner, tuple) and len(inner) == 2 else None
        return None if base is None or base[1] or plain[1] else plain
    if not isinstance(names, tuple) or not isinstance(fields, Mapping) or len(fields.known) != len(names):
        return None
    parts = [item_of(one[0]) if isinstance(one, tuple) and one else None for one in fields.known.values()]
    if plain[1] or any(part is None or part[1] for part in parts):
        return None  # objects in fields: joblib stores these as a pickle, and it is rare enough to be refused
    return plain
