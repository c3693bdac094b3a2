"""CSV files, read as text by DuckDB, strictly; `typed` then finds what the values are."""

# ruff: noqa: S608 -- every name, path and constant is quoted by `sql`

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.config.settings import Read
from mlgate.data.reading import columns, head, rungs, sql, transcoded, troubles
from mlgate.data.reading.table import Table
from mlgate.data.reading.typed import Group, Typed, longer
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_USUAL, _LONG = 2_000_000, 2**30  # bytes of the longest line: DuckDB's own limit, and ours


def _room(long: int) -> str:
    """Options of the reader. Its own buffer would hold sixteen of the longest lines."""
    return f"max_line_size = {long}" + (f", buffer_size = {max(2**25, 2 * long)}" if long > _USUAL else "")


def opened(con: DuckDBPyConnection, names: Mapping[Path, str], shown: str, read: Read, packed: Sequence[str]) -> Table:
    """Raises MlgateError for files that are no CSV, or not one table."""
    headers, sources, called = {}, {}, dict(names)
    for (file, name), how in zip(names.items(), packed, strict=True):
        lines = _unpacked(con, file, name) if how == "zstd" else None
        headers[file] = head.header(file, name, read, how, lines)
        columns.check(headers[file], name)
        sources[file] = file if read.encoding == "utf-8" else transcoded.utf8(con, file, name, how, read.encoding)
        called[sources[file]] = name
    first = next(iter(names))
    for file in names:
        columns.same(names[first], dict.fromkeys(headers[first], ""), names[file], dict.fromkeys(headers[file], ""))
    groups: dict[tuple[tuple[str, ...], str], list[Path]] = {}
    for file, how in zip(names, packed, strict=True):
        plain = how if read.encoding == "utf-8" else "none"
        groups.setdefault((tuple(headers[file]), plain), []).append(sources[file])
    typed = Typed(
        shown=shown,
        names=called,
        format="csv",
        columns=tuple(headers[first]),
        groups=tuple(
            _group(headers[first], order, files, delimiter=head.delimiter(first, read), read=read, packed=how)
            for (order, how), files in groups.items()
        ),
        allowed=(rungs.ALL,) * len(headers[first]),
        given={},
        explain=lambda typed, error: _explained(typed, error, read),
    )
    return typed.opened(con)


def _group(
    wanted: Sequence[str], order: Sequence[str], files: list[Path], *, delimiter: str, read: Read, packed: str
) -> Group:
    """`order` is that of the files, `wanted` that of the table."""
    texts = ", ".join(f"f{place}: 'VARCHAR'" for place in range(len(order)))
    options = {
        "auto_detect": "false",  # nothing is guessed
        "columns": f"{{{texts}}}",
        "header": str(read.header).lower(),
        "delim": sql.text(delimiter),
        "quote": sql.text(read.quote or '"'),
        "escape": sql.text(read.quote or '"'),
        "compression": sql.text(packed),
        "encoding": "'utf-8'",
        "hive_partitioning": "false",  # a folder's name is no column
    }
    if read.nulls:
        options["nullstr"] = f"[{', '.join(map(sql.text, read.nulls))}]"
    places = {name: place for place, name in enumerate(order)}
    # Without `nullstr` DuckDB takes the empty value for a missing one; here nothing is missing then.
    column = "f{}" if read.nulls else "coalesce(f{}, '')"
    settings = ", ".join(f"{key} = {value}" for key, value in options.items())
    return Group(
        files=tuple(files),
        selected=tuple(column.format(places[name]) for name in wanted),
        function="read_csv",
        options=f"{settings}, {_room(_USUAL)}",
    )


def _explained(typed: Typed, error: Exception, read: Read) -> MlgateError | Typed:
    """What is wrong; or the same with room for longer lines, where that may be all."""
    now = typed.long or _USUAL
    if now < _LONG and troubles.may_be_too_long(error):
        largest = max(file.stat().st_size for group in typed.groups for file in group.files)
        packed = any("compression = 'none'" not in group.options for group in typed.groups)
        most = _LONG if packed else min(_LONG, largest)
        long = min(most, max(8 * now, troubles.length(error)))
        if long > now:
            return longer(typed, long, _room(now), _room(long))
    return troubles.delimited(error, troubles.named(error, typed.names, typed.shown), read.encoding)


def _unpacked(con: DuckDBPyConnection, file: Path, name: str) -> io.BytesIO:
    """The first lines of a file that only DuckDB can unpack."""
    import duckdb  # noqa: PLC0415

    try:
        rows = con.execute(
            f"SELECT l FROM read_csv({sql.paths([file])}, auto_detect = false, columns = {{l: 'VARCHAR'}}, "
            "header = false, delim = '\x01', quote = '', escape = '', compression = 'zstd', nullstr = '\x02', "
            f"max_line_size = {_USUAL * 8}) LIMIT 100"
        ).fetchall()
    except duckdb.Error as error:
        raise MlgateError(
            "cannot be unpacked: it is truncated or not zstd throughout.", file=name, fix="Write it anew."
        ) from error
    return io.BytesIO("".join(f"{line or ''}\n" for (line,) in rows).encode())
