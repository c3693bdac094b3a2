"""Rows of the evaluation data as a server takes them, with the committed predictions of the same rows beside them."""

# ruff: noqa: S608 -- every name and constant is quoted by `sql`

from __future__ import annotations

import base64
import datetime
import decimal
import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.image.skew import Committed, Sample
from mlgate.serving.settings import Input

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.aligned import Asked, File
    from mlgate.data.aligned.source import Source
    from mlgate.data.rows import Rows

_PLACE, _ID = "mlgate_place", "mlgate_id"


class UnsendableError(Exception):
    """A value that JSON cannot say."""


def read(
    con: DuckDBPyConnection,
    asked: Asked,
    data: File,
    *,
    count: int,
    inputs: Sequence[Input] = (),
    private: Collection[str] = (),
    seed: str = "",
) -> Sample:
    """`count` rows of `data`, spread over everything that was predicted, from the lowest score to the highest.

    `asked` is what the judge reads (labels and the challenger's predictions, by id); `data` has the model's columns,
    which may be the labels' file itself. Without `inputs` every column is sent that says nothing of the truth.
    `private`: columns, of a contract, whose values are never shown. `seed`: what draws the rows.
    Raises MlgateError for what cannot be used.
    """
    extras.use("data")
    from mlgate.data import aligned  # noqa: PLC0415 -- DuckDB and numpy
    from mlgate.data.aligned.source import Links, RefusedError, Source  # noqa: PLC0415

    found = aligned.read(con, asked)
    rows = found.whole if found.whole is not None else found.rows
    if rows is None:
        first = next(iter(found.errors or found.findings), None)
        # No id is told: these sentences come without.
        raise MlgateError(
            first.sentence if first else "the evaluation data cannot be used.", fix=first.fix if first else ""
        )
    places = chosen(rows, count, seed)
    try:
        links = Links()
        labels = Source.opened(con, asked.labels, None, asked.id, links)
        ids = _ids(labels, places)
        same = data.path.resolve() == asked.labels.path.resolve()
        features = labels if same else Source.opened(con, data, None, asked.id, links)
        names = _names(features, asked, inputs)
        raw = _rows(features, names, inputs, places if same else None, ids)
    except RefusedError as error:
        raise MlgateError(error.findings[0].sentence, fix=error.findings[0].fix) from None
    records, kept = [], []
    by_name = {one.name: one for one in inputs}
    for number, row in enumerate(raw):
        try:
            records.append({name: plain(value, by_name.get(name)) for name, value in row.items()})
            kept.append(number)
        except UnsendableError:
            continue
    folded = {one.casefold() for one in private}
    committed = _committed(rows, places, ids).take(kept)
    return Sample(
        records, committed, rows.count, asked.id, hidden=asked.id.casefold() in folded, left=len(raw) - len(records)
    )


def chosen(rows: Rows, count: int, seed: str = "") -> list[int]:
    """Which rows: one of each of `count` equal parts in the order of their predictions, and both ends.

    Which one of a part, the seed draws: were it known before, only those rows would need honest predictions.
    """
    import numpy as np  # noqa: PLC0415 -- the rows brought it

    said = rows.challenger
    keys: list[Any] = [np.arange(rows.count)]
    if said.score is not None:
        keys.append(said.score if said.score.ndim == 1 else said.score.max(axis=1))
    if said.decided is not None:
        keys.append(said.decided)
    order = np.lexsort(keys)
    if count >= rows.count:
        return list(range(rows.count))
    draw = np.random.default_rng(list(hashlib.sha256(seed.encode()).digest()))
    edges = np.arange(count + 1) * rows.count // count
    places = draw.integers(edges[:-1], edges[1:])
    if count > 1:
        places[0], places[-1] = 0, rows.count - 1
    return sorted(int(order[place]) for place in places)


def _committed(rows: Rows, places: Sequence[int], ids: Sequence[str]) -> Committed:
    said = rows.challenger
    decided = None if said.decided is None else [rows.classes[int(said.decided[place])] for place in places]
    score = None if said.score is None else said.score[list(places)].tolist()
    return Committed(rows.task, list(ids), rows.classes, decided, score)


def _ids(source: Source, places: Sequence[int]) -> list[str]:
    """The ids of rows by their places, as text."""
    from mlgate.data.aligned import ids  # noqa: PLC0415

    def work() -> list[str]:
        column = ids.column(source)
        numbered = (
            f"SELECT row_number() OVER () - 1 AS {_PLACE}, {ids.text(column)} AS {_ID} FROM {source.table.relation}"
        )
        query = f"SELECT {_ID} FROM ({numbered}) WHERE {_PLACE} IN ({_listed(places)}) ORDER BY {_PLACE}"
        return [str(row[0]) for row in source.con.execute(query).fetchall()]

    return source.stable(work)


def _listed(places: Sequence[int]) -> str:
    return ", ".join(map(str, places)) or "NULL"


def _names(source: Source, asked: Asked, inputs: Sequence[Input]) -> list[str]:
    """The columns that are sent."""
    if inputs:
        lost = [one.name for one in inputs if one.required and one.name not in source.columns]
        if lost:
            raise MlgateError(
                f"has no column {lost[0]!r}, which the model's signature needs.", file=source.shown,
                fix="Rows of this file cannot be sent to the model as they are: commit the data that it takes.",
            )  # fmt: skip
        return [one.name for one in inputs if one.name in source.columns]
    truth = {asked.id, asked.label, asked.weight, asked.cluster, asked.query}
    found = [name for name in source.columns if name not in truth]
    if not found:
        raise MlgateError("has no column that a model could take.", file=source.shown)
    return found


def _rows(
    source: Source, names: Sequence[str], inputs: Sequence[Input], places: Sequence[int] | None, ids: Sequence[str]
) -> list[dict[str, Any]]:
    """The values of these rows, in the order of `ids`: by their places, or else by their ids."""
    texts = {one.name for one in inputs if one.type == "string"}

    def work() -> list[dict[str, Any]]:
        # 007 of a CSV file is a number to whoever reads the whole column, and a text to a model that says so.
        written = [name for name in names if name in texts and source.columns[name].kind != "text"]
        plain = [name for name in names if name not in written or source.table.text is None]
        found = _select(source, source.table.relation, plain, places, ids)
        if source.table.text is not None and written:
            other = _select(source, source.table.text().relation, written, places, ids)
            found = [{**row, **more} for row, more in zip(found, other, strict=True)]
        return [{name: row[name] for name in names} for row in found]

    return source.stable(work)


def _select(
    source: Source, relation: str, names: Sequence[str], places: Sequence[int] | None, ids: Sequence[str]
) -> list[dict[str, Any]]:
    from mlgate.data.aligned import ids as keys  # noqa: PLC0415
    from mlgate.data.reading import sql  # noqa: PLC0415

    listed = ", ".join([f"{sql.name(name)} AS c{number}" for number, name in enumerate(names)] or ["1 AS c0"])
    if places is not None:
        numbered = f"SELECT row_number() OVER () - 1 AS {_PLACE}, {listed} FROM {relation}"
        query = f"SELECT * FROM ({numbered}) WHERE {_PLACE} IN ({_listed(places)}) ORDER BY {_PLACE}"
        rows = [row[1:] for row in source.con.execute(query).fetchall()]
    else:
        text = keys.text(keys.column(source))
        wanted = ", ".join(sql.text(one) for one in ids) or "NULL"
        query = f"SELECT {text} AS {_ID}, {listed} FROM {relation} WHERE {text} IN ({wanted})"
        by_id: dict[str, tuple[Any, ...]] = {}
        for id_, *row in source.con.execute(query).fetchall():
            if id_ in by_id:
                raise MlgateError(f"has several rows with one id ({source.id}).", file=source.shown)
            by_id[str(id_)] = tuple(row)
        lost = sum(one not in by_id for one in ids)
        if lost:
            raise MlgateError(
                f"lacks {lost:,} of {len(ids):,} ids ({source.id}) that the labels have.", file=source.shown,
                fix="The evaluation data and its `labels` have to be about the same rows.",
            )  # fmt: skip
        rows = [by_id[one] for one in ids]
    return [dict(zip(names, row, strict=False)) for row in rows]


def plain(value: Any, asked: Input | None) -> Any:
    """A value of a data file as JSON says it, in the type of the signature. Raises UnsendableError for an infinity.

    NaN is a missing value, as it is to pandas.
    """
    kind = asked.type if asked is not None else "any"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and math.isinf(value):
        raise UnsendableError
    if isinstance(value, decimal.Decimal):
        return plain(int(value) if kind == "integer" and value == value.to_integral_value() else float(value), asked)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(one, None) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, None) for one in value]
    if kind == "string" and not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "boolean" and isinstance(value, int) and value in {0, 1}:
        return bool(value)
    return value if isinstance(value, str | int | float | bool) else str(value)
