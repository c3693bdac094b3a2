"""Holding a request to the model's signature and its contract, a column at a time."""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlgate.serving import bodies
from mlgate.serving.bodies import Table
from mlgate.serving.columns import Array, Columns, as_array
from mlgate.serving.refused import MOST, Problem, RefusedError, invalid
from mlgate.serving.settings import Input

_NULL = type(None)
_KINDS: dict[str, frozenset[type]] = {
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "string": frozenset({str}),
    "boolean": frozenset({bool}),
    "datetime": frozenset({str}),
    "binary": frozenset({str}),
    "any": frozenset({int, float, str, bool, list, dict}),
}
_MEANT = {
    "integer": "an integer", "number": "a number", "string": "a string", "boolean": "true or false",
    "datetime": "a time in ISO 8601", "binary": "text in Base64", "any": "a value",
}  # fmt: skip
_SAID = {
    int: "an integer",
    float: "a number",
    str: "a string",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
_DTYPES = {
    "integer": "int64", "number": "float64", "string": "object", "boolean": "bool", "datetime": "datetime64[ns]",
    "binary": "bytes",
}  # fmt: skip
# What fits the type that the model was trained on, so that nothing wraps round or becomes infinite.
_RANGES = {
    "int8": (-(2**7), 2**7 - 1), "int16": (-(2**15), 2**15 - 1), "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1), "uint8": (0, 2**8 - 1), "uint16": (0, 2**16 - 1), "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1), "float16": (-65504.0, 65504.0),
    "float32": (-float(np.finfo(np.float32).max), float(np.finfo(np.float32).max)),
}  # fmt: skip
_SHAPES = 2_000  # combinations of types of one row that are remembered as right


class Reader:
    """Makes `Columns` of what a request holds. `inputs` empty: whatever the first row has, in that order."""

    def __init__(self, inputs: Sequence[Input], dtypes: Mapping[str, str], max_rows: int) -> None:
        self.inputs = tuple(inputs)
        self.names = [one.name for one in inputs]
        self.max_rows = max_rows
        self.required = frozenset(one.name for one in inputs if one.required)
        # Where a field may be missing, one that is not known may be that one misspelled.
        self.closed = len(self.required) < len(self.inputs)
        self.tensor = self.inputs[0] if len(self.inputs) == 1 and self.inputs[0].shape is not None else None
        self.dtypes = {one.name: dtypes.get(one.name) or _DTYPES[one.type] for one in inputs if one.type != "any"} | {
            name: dtype for name, dtype in dtypes.items() if dtype
        }
        self._columns = [_Column(one, self.dtypes.get(one.name)) for one in inputs]
        self._plain = all(column.plain for column in self._columns)
        self._right: set[tuple[type, ...]] = set()

    def read(self, data: Any) -> Columns:
        """Raises RefusedError: 400 for another shape, 413 for too many rows, 422 for a field that breaks a rule."""
        names, required = (self.names, self.required) if self.tensor is None else ((), ())
        return self.check(bodies.table(data, names, required, self.max_rows))

    def check(self, table: Table) -> Columns:
        """Raises RefusedError as `read` does."""
        if self.tensor is not None:
            return self._tensor(self.tensor, table)
        if table.names is None:
            columns = list(zip(*table.columns, strict=False)) if len({len(row) for row in table.columns}) == 1 else []
            if not columns:
                raise RefusedError(400, "The rows differ in length, or have no values.")
            names = [str(index) for index in range(len(columns))]
            return Columns(names, columns, table.rows, {}, single=table.single)
        if not self.inputs:
            return Columns(table.names, table.columns, table.rows, {}, single=table.single)
        values = table.columns
        if table.rows == 1 and self._plain:
            row = tuple(type(column[0]) for column in values)
            if row in self._right:
                return Columns(self.names, values, 1, self.dtypes, single=table.single)
            made = self._checked(values, table)
            if not table.lacking and len(self._right) < _SHAPES:
                self._right.add(row)
            return made
        return self._checked(values, table)

    def _checked(self, values: Sequence[Any], table: Table) -> Columns:
        problems: list[Problem] = []
        made = [
            column.check(given, problems, lacking=column.input.name in table.lacking)
            for column, given in zip(self._columns, values, strict=True)
        ]
        if problems:
            raise invalid(sorted(problems, key=lambda problem: problem.row or 0))
        return Columns(self.names, made, table.rows, self.dtypes, single=table.single)

    def _tensor(self, one: Input, table: Table) -> Columns:
        """A model that takes one tensor: each row is a part of it, of the shape that its signature says."""
        if table.names is not None and len(table.columns) != 1:
            raise RefusedError(400, "This model takes one tensor: `inputs`, a list with one entry for each row.")
        rows: Sequence[Any] = table.columns if table.names is None else table.columns[0]
        array = _tensor(rows, one, self.dtypes.get(one.name))
        if array is None:
            raise invalid([Problem(one.name or "the input", _shaped(one))])
        return self.hold(array, table.single)

    def hold(self, array: Any, single: bool = False) -> Columns:
        """A tensor as it came, held to the shape of the only input."""
        one = self.inputs[0]
        if not _fits(array, one):
            said = f"has the shape {list(array.shape)}, and must have {list(one.shape or ())}"
            raise invalid([Problem(one.name or "the input", said)])
        if not len(array):
            raise RefusedError(400, "The request holds no rows.")
        if len(array) > self.max_rows:
            raise RefusedError(
                413, f"The request holds {len(array)} rows; at most {self.max_rows} are answered at once."
            )
        if array.dtype.kind == "f" and np.isinf(array).any():
            raise invalid([Problem(one.name or "the input", "has a number that is too large")])
        if not one.nullable and array.dtype.kind == "f" and np.isnan(array).any():
            raise invalid([Problem(one.name or "the input", "must not be null")])
        return Columns([one.name], [array], len(array), self.dtypes, single=single)


def known(told: Sequence[Input], own: Sequence[Input]) -> tuple[Input, ...]:
    """What the model takes, by its own word, with what the settings say of it; nothing where the model does not say.

    A model without a signature knows its columns' names at most; their types and limits are in the contract.
    """
    rules = {one.name: one for one in told}
    return tuple(rules.get(one.name, one) if one.shape is None else one for one in own)


def limits_of(one: Input, dtype: str | None) -> tuple[float | None, float | None]:
    """The least and the largest value: of the contract, and of the type that the model was trained with."""
    low, high = _RANGES.get(dtype or "", (None, None)) if one.type in ("integer", "number") else (None, None)
    lows = [limit for limit in (low, one.minimum) if limit is not None]
    highs = [limit for limit in (high, one.maximum) if limit is not None]
    return max(lows, default=None), min(highs, default=None)


class _Column:
    """One input and what its values have to be."""

    def __init__(self, one: Input, dtype: str | None) -> None:
        self.input = one
        self.dtype = dtype
        self.kinds = _KINDS[one.type] | ({_NULL} if one.nullable else frozenset())
        self.plain = (
            one.type in ("number", "string", "boolean", "any")
            and (one.minimum, one.maximum, one.values, one.shape) == (None, None, None, None)
            and dtype not in _RANGES
        )
        self.values = None if one.values is None else frozenset(one.values)
        self.low, self.high = limits_of(one, dtype)
        self.convert: Callable[[str], Any] | None = {"datetime": _time, "binary": _octets}.get(one.type)

    def check(self, given: Any, problems: list[Problem], *, lacking: bool) -> Any:
        """The values, converted where their type asks for it; what is wrong is added to `problems`."""
        if self.input.shape is not None:
            return self._tensor(given, problems)
        kinds = given.dtype.kind if isinstance(given, np.ndarray) and given.dtype != object else set(map(type, given))
        if isinstance(kinds, str):
            return self._array(given, problems)
        wrong = kinds - self.kinds
        if lacking:
            wrong.discard(_NULL)
        if wrong == {float} and self.input.type == "integer":
            given, wrong = _whole(given), set()
            if float in set(map(type, given)):
                return self._report(given, problems, lambda v: type(v) is float, "must be an integer")
        if wrong:
            return self._types(given, wrong, problems)
        if self.values is not None and not self._among(given):
            return self._report(given, problems, self._foreign, f"must be one of {_listed(self.input.values or ())}")
        if self.low is not None or self.high is not None:
            return self._ranged(given, problems)
        if self.convert is not None:
            return self._converted(given, problems)
        return given

    def _tensor(self, given: Any, problems: list[Problem]) -> Any:
        """One of several tensors: each row is a part of it."""
        array = _tensor(given, self.input, self.dtype)
        if array is None or not _fits(array, self.input):
            problems.append(Problem(self.input.name, _shaped(self.input)))
        return array

    def _array(self, given: Any, problems: list[Problem]) -> Any:
        """Values that came in binary, all of one type."""
        name, type_ = self.input.name, self.input.type
        fits = {"integer": "iu", "number": "iuf", "boolean": "b", "string": "U", "any": "biufU"}.get(type_, "")
        if given.dtype.kind not in fits and not (
            type_ == "integer" and given.dtype.kind == "f" and (given == np.trunc(given)).all()
        ):
            problems.append(Problem(name, f"must be {_MEANT[type_]}, and is of type {given.dtype}"))
            return given
        if given.dtype.kind == "f":
            bad = np.isinf(given) if self.input.nullable else ~np.isfinite(given)
            if bad.any():
                problems.append(Problem(name, "must be a finite number", int(bad.argmax())))
                return given
        if self.values is not None and not self._among(given.tolist()):
            return self._report(
                given.tolist(), problems, self._foreign, f"must be one of {_listed(self.input.values or ())}"
            )
        return self._ranged(given, problems) if self.low is not None or self.high is not None else given

    def _ranged(self, given: Any, problems: list[Problem]) -> Any:
        array = given if isinstance(given, np.ndarray) else as_array(given, "float64")
        low, high = self.low, self.high
        with np.errstate(invalid="ignore"):
            under = array < low if low is not None else None
            over = array > high if high is not None else None
        for bad, limit, words in ((under, low, "at least"), (over, high, "at most")):
            if bad is not None and bad.any():
                rows = np.flatnonzero(bad)[:MOST]
                problems += [Problem(self.input.name, f"must be {words} {limit:g}", int(row)) for row in rows]
        return given

    def _among(self, given: Sequence[Any]) -> bool:
        assert self.values is not None  # noqa: S101 -- for the type checker
        try:
            return set(given) <= self.values | {None}
        except TypeError:  # a list is no member of any set
            return False

    def _foreign(self, value: Any) -> bool:
        assert self.values is not None  # noqa: S101 -- for the type checker
        return value is not None and (isinstance(value, list | dict) or value not in self.values)

    def _types(self, given: Sequence[Any], wrong: set[type], problems: list[Problem]) -> Any:
        found = 0
        for row, value in enumerate(given):
            if type(value) in wrong:
                said = "must not be null" if value is None else f"must be {_MEANT[self.input.type]}"
                more = "" if value is None else f", and is {_SAID.get(type(value), 'something else')}"
                problems.append(Problem(self.input.name, said + more, row))
                found += 1
                if found == MOST:
                    break
        return given

    def _report(
        self, given: Sequence[Any], problems: list[Problem], is_wrong: Callable[[Any], bool], message: str
    ) -> Any:
        rows = [row for row, value in enumerate(given) if is_wrong(value)][:MOST]
        problems += [Problem(self.input.name, message, row) for row in rows]
        return given

    def _converted(self, given: Sequence[Any], problems: list[Problem]) -> Any:
        convert = self.convert
        assert convert is not None  # noqa: S101 -- for the type checker
        made: list[Any] = []
        for row, value in enumerate(given):
            try:
                made.append(None if value is None else convert(value))
            except (ValueError, OverflowError, binascii.Error):
                problems.append(Problem(self.input.name, f"must be {_MEANT[self.input.type]}", row))
                made.append(None)
        return np.array(made, "datetime64[ns]") if self.input.type == "datetime" else made


def _tensor(rows: Any, one: Input, dtype: str | None) -> Array | None:
    """Nested lists as an array of the type of the signature; None where they are none, or hold something else."""
    try:
        with np.errstate(over="ignore"):
            plain = np.array(rows)
            if plain.dtype.kind not in {"number": "fiu", "integer": "iu", "boolean": "b"}.get(
                one.type, plain.dtype.kind
            ):
                return None
            made: Array = plain.astype(dtype or "float64") if dtype != "object" else plain.astype(object)
    except (ValueError, TypeError, OverflowError):
        return None
    # What does not fit into an integer would have wrapped round.
    return made if made.dtype.kind not in "iu" or np.array_equal(made, plain) else None


def _fits(array: Array, one: Input) -> bool:
    shape = one.shape or ()
    return array.ndim == len(shape) and all(
        want in (-1, have) for want, have in zip(shape[1:], array.shape[1:], strict=True)
    )


def _shaped(one: Input) -> str:
    return f"has to be a tensor of shape {list(one.shape or ())}, of {_MEANT[one.type].split()[-1]}s"


def _whole(values: Sequence[Any]) -> list[Any]:
    """Integers that were written as 3.0, as many clients do; what is no integer stays as it is."""
    return [int(v) if type(v) is float and v.is_integer() else v for v in values]


def _time(text: str) -> np.datetime64:
    when = datetime.datetime.fromisoformat(text)
    if when.tzinfo is not None:
        when = when.astimezone(datetime.UTC).replace(tzinfo=None)
    if not 1678 <= when.year <= 2261:
        raise ValueError(text)  # nanoseconds reach no further
    return np.datetime64(when, "ns")


def _octets(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values[:20])
    return shown + (", ..." if len(values) > 20 else "")
