"""The frozen bins of a column: what PSI compares, and what the days of a profile count. Pure."""

from __future__ import annotations

from bisect import bisect_left

from mlgate.data.profiles.nouns import Column, Frozen


def frozen(column: Column) -> Frozen:
    """A column's bins, and its rows in them. A hidden column has none but that of its missing values."""
    if column.kind == "hidden":
        return Frozen((), (), (column.rows - column.missing, column.missing))
    values = column.rows - column.missing
    if column.kind == "category" or column.values:
        own = [column.values[name] for name in column.kept]
        return Frozen((), column.kept, (*own, values - sum(own), column.missing))
    reached = [column.below[bisect_left(column.knots, edge)] for edge in column.edges]
    counts = [here - before for here, before in zip([*reached, values], [0, *reached], strict=True)]
    return Frozen(column.edges, (), (*counts, column.missing))
