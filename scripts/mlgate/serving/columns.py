"""The rows of one request, column by column, and the forms in which models take them. No loop over rows."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Columns:
    """`values[i]` holds column `names[i]`: a list, a tuple or an array of `rows` values, None for a missing one.

    `single`: the request held one row that is not in a list, so its answer is no list either.
    `dtypes` says what the model was trained on, by column: `float32`, `int64`, `object`; absent where nobody knows.
    """

    __slots__ = ("_arrays", "dtypes", "names", "rows", "single", "values")

    def __init__(
        self, names: Sequence[str], values: Sequence[Any], rows: int, dtypes: Mapping[str, str], *, single: bool = False
    ) -> None:
        self.names = names
        self.values = values
        self.rows = rows
        self.dtypes = dtypes
        self.single = single
        self._arrays: dict[int, Array] = {}

    def array(self, index: int) -> Array:
        """One column. A number that is missing is NaN; integers of which one is missing are floats."""
        made = self._arrays.get(index)
        if made is None:
            made = self._arrays[index] = as_array(self.values[index], self.dtypes.get(self.names[index]))
        return made

    def matrix(self, dtype: str | None = None) -> Array:
        """All columns side by side, (rows, columns), in the one type that holds them all."""
        if len(self.names) == 1 and self.array(0).ndim > 1:
            return self.array(0)
        if self.rows == 1 and not self._arrays and dtype is not None:
            # The fields of one row in one go: half of what the server itself costs a single request.
            return np.array([[column[0] for column in self.values]], dtype)
        made = np.stack([self.array(i) for i in range(len(self.names))], axis=1)
        return made if dtype is None or made.dtype == dtype else made.astype(dtype)

    def frame(self) -> Any:
        """A pandas DataFrame."""
        pd: Any = importlib.import_module("pandas")  # the model's own, and not every model's
        arrays = [self.array(i) for i in range(len(self.names))]
        if arrays and all(a.dtype == np.float64 for a in arrays):
            return pd.DataFrame(np.stack(arrays, axis=1), columns=list(self.names), copy=False)
        return pd.DataFrame(dict(zip(self.names, arrays, strict=True)), copy=False)

    def mapping(self) -> dict[str, Any]:
        return dict(zip(self.names, self.values, strict=True))

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """The rows of several requests below each other. They have the same columns."""
        first = parts[0]
        values: list[Any] = []
        for index in range(len(first.names)):
            column = [part.values[index] for part in parts]
            if any(isinstance(one, np.ndarray) for one in column):
                values.append(np.concatenate([part.array(index) for part in parts]))
            else:
                values.append(list(chain.from_iterable(column)))
        return cls(first.names, values, sum(part.rows for part in parts), first.dtypes)


def as_array(values: Any, dtype: str | None) -> Array:
    """Values as an array of this type, where they fit it; None becomes NaN or stays in an array of objects."""
    if isinstance(values, np.ndarray):
        return values if dtype is None or values.dtype == dtype else _cast(values, dtype)
    if dtype is not None and dtype.startswith("float"):
        return np.array(values, dtype)  # None is NaN to NumPy
    kinds = set(map(type, values))
    missing = type(None) in kinds
    kinds.discard(type(None))
    if dtype is None:
        if kinds <= {int, float} and kinds:
            small = not missing and float not in kinds and min(values) >= -(2**63) and max(values) < 2**63
            return np.array(values, np.int64 if small else np.float64)
        if kinds == {bool} and not missing:
            return np.array(values, np.bool_)
        return _objects(values)
    if dtype in ("object", "bytes"):
        return _objects(values)
    if missing:
        return np.array(values, np.float64) if dtype.startswith(("int", "uint")) else _objects(values)
    return np.array(values, dtype)


def _cast(values: Array, dtype: str) -> Array:
    if dtype in ("object", "bytes") or values.dtype == object:
        return values.astype(object)
    if dtype.startswith(("int", "uint")) and values.dtype.kind == "f" and not np.isfinite(values).all():
        return values  # a missing integer: the model sees NaN
    return values.astype(dtype)


def _objects(values: Sequence[Any]) -> Array:
    return np.fromiter(values, object, len(values))  # np.array would look into lists
