"""Each drift expectation measured, and judged together with the others of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgate import __version__
from mlgate.data.drift import bins, columns, statistics
from mlgate.data.engine.values import missing as no_column
from mlgate.data.nouns import Expectation, Outcome

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.drift.columns import Side
    from mlgate.data.reading import Table

ENGINE = f"mlgate {__version__}"
ALPHA = 0.01  # of a false alarm by KS over all columns of a run, where the contract says nothing
LEAST = 50  # rows for each bin, on the smaller side; fewer make the chi-square approximation too optimistic


class _Unfit(Exception):  # noqa: N818 -- it says what the data are
    """It cannot be measured: the sentence says why."""

    def __init__(self, sentence: str, *, undecided: bool = False) -> None:
        super().__init__(sentence)
        self.undecided = undecided


@dataclass(frozen=True)
class Measured:
    """What was measured of one column. PSI or KS is None where it was not asked for."""

    rows: int
    missing: int
    was_missing: float  # share of the reference
    psi: float | None = None
    floor: float = 0.0
    unseen: int = 0
    ks: float | None = None
    p: float = 1.0


def run(con: DuckDBPyConnection, table: Table, reference: Table, expectations: Sequence[Expectation]) -> list[Outcome]:
    """An Outcome for each, in their order. `alpha` is shared by all of them.

    Raises duckdb.Error when the table cannot be read, and MlgateError when the reference cannot.
    """
    import duckdb  # noqa: PLC0415

    names = [{column.name for column in side.columns} for side in (table, reference)]
    both = [e.columns[0] for e in expectations if e.columns and e.columns[0] in names[0] & names[1]]
    try:
        before = columns.staged_reference(con, reference, both)
        now = columns.opened(con, table, both, "now")
        try:
            found = [_or_unfit(before, now, expectation) for expectation in expectations]
        except duckdb.Error:
            columns.readable(before, both)
            raise
    finally:
        columns.close(con)
    rows = now.rows
    adjusted = _adjusted(found)
    return [
        Outcome(ENGINE, None, trouble=str(one), undecided=one.undecided, rows=rows)
        if isinstance(one, _Unfit)
        else _judged(one, p, expectation)
        for one, p, expectation in zip(found, adjusted, expectations, strict=True)
    ]


def _or_unfit(before: Side, now: Side, expectation: Expectation) -> Measured | _Unfit:
    column = str(expectation.kwargs.get("column"))
    try:
        if all(one.name != column for one in now.table.columns):
            raise _Unfit(no_column(now.table.columns, column))
        if all(one.name != column for one in before.table.columns):
            raise _Unfit(f"In the reference {before.table.shown}: {no_column(before.table.columns, column)}")
        return _measured(before, now, expectation, column)
    except _Unfit as error:
        return error


def _measured(before: Side, now: Side, expectation: Expectation, column: str) -> Measured:
    wanted = {key: expectation.kwargs.get(key) for key in ("psi", "ks")}
    if all(limit is None for limit in wanted.values()):
        raise _Unfit("Neither psi nor ks is given, so nothing would be checked.")
    kind = _kind(before, now, column)
    if wanted["ks"] is not None and kind in {"text", "true and false"}:
        raise _Unfit(f"{column} holds {kind}, which has no order: give psi, and no ks.")
    if not now.rows:
        raise _Unfit("There are no rows, so nothing could be measured.")
    if not before.rows:
        raise _Unfit(f"The reference {before.table.shown} has no rows, so nothing could be measured.")
    lacking = columns.missing(before, now, column)
    if lacking[1] == now.rows:
        raise _Unfit(f"Every value of {column} is missing, so nothing could be measured.")
    if lacking[0] == before.rows:
        raise _Unfit(f"Every value of {column} is missing in the reference {before.table.shown}.")
    if kind in {"text", "true and false"}:
        binned = columns.categories(before, now, column, lacking)
        if binned.kept == 0:
            raise _Unfit(f"No value of {column} is in 0.5 % of the reference: there are no categories to compare.")
        distance, values = None, (LEAST, LEAST)
    else:
        first, second = before.sorted(column), now.sorted(column)
        binned, values = bins.of_numbers(first, second, lacking), (len(first), len(second))
        distance = statistics.ks(first, second) if wanted["ks"] is not None else None
    smaller = min(now.rows, before.rows) if wanted["psi"] is not None else min(values)
    least = LEAST * binned.size if wanted["psi"] is not None else LEAST
    if smaller < least or (distance is not None and min(values) < LEAST):
        raise _Unfit(_too_few(now, before, binned.size if wanted["psi"] is not None else 1, least), undecided=True)
    share = lacking[0] / before.rows
    index = statistics.psi(binned.reference, binned.now) if wanted["psi"] is not None else None
    return Measured(
        rows=now.rows,
        missing=lacking[1],
        was_missing=share,
        psi=index,
        floor=statistics.noise_floor(binned.size, before.rows, now.rows),
        unseen=binned.unseen,
        ks=distance,
        p=statistics.ks_p(distance, *values) if distance is not None else 1.0,
    )


def _kind(before: Side, now: Side, column: str) -> str:
    kinds = [columns.sort(side.field(column)) for side in (before, now)]
    for side, kind in zip((before, now), kinds, strict=True):
        if not kind:
            raise _Unfit(f"{column} holds {side.field(column).type}, of which drift cannot be measured.")
    if kinds[0] != kinds[1]:
        raise _Unfit(f"{column} holds {kinds[1]}, and {kinds[0]} in the reference {before.table.shown}.")
    return kinds[0]


def _too_few(now: Side, before: Side, size: int, least: int) -> str:
    needs = f"{size} bins need {least:,}" if size > 1 else f"{least:,} with a value are needed"
    return f"Too few rows: {now.rows:,} here and {before.rows:,} in the reference, and {needs} on each side."


def _adjusted(found: Sequence[Measured | _Unfit]) -> list[float]:
    """The p value of each, corrected for all that were tested in this run."""
    tested = [i for i, one in enumerate(found) if isinstance(one, Measured) and one.ks is not None]
    p_values = [one.p for one in (found[i] for i in tested) if isinstance(one, Measured)]
    adjusted = [1.0] * len(found)
    for i, p in zip(tested, statistics.holm(p_values), strict=True):
        adjusted[i] = p
    return adjusted


def _judged(one: Measured, p: float, expectation: Expectation) -> Outcome:
    """Drift is an effect beyond the limit that chance does not explain."""
    kwargs = expectation.kwargs
    said, drifts = [], False
    if one.psi is not None:
        drifts = one.psi > float(kwargs["psi"]) and one.psi > one.floor
        said.append(f"PSI {one.psi:.3g} (by chance up to {one.floor:.2g})")
    if one.ks is not None:
        alpha = kwargs.get("alpha")
        drifts |= one.ks > float(kwargs["ks"]) and p < (ALPHA if alpha is None else float(alpha))
        said.append(f"KS {one.ks:.3g} (p {f'{p:.2g}' if p >= 0.0001 else 'below 0.0001'})")
    if one.unseen:
        rows = "1 row" if one.unseen == 1 else f"{one.unseen:,} rows"
        said.append(f"{rows} with values that the reference does not know")
    share = one.missing / one.rows
    if abs(share - one.was_missing) >= 0.001:
        said.append(f"{share:.1%} missing, {one.was_missing:.1%} in the reference")
    return Outcome(ENGINE, not drifts, observed=", ".join(said), rows=one.rows, nulls=one.missing)
