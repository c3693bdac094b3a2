"""Rows of a query: DuckDB itself, or any database that SQLAlchemy knows. They are written to a private file, then read.

So a query gives what files give, memory stays bounded, and nothing holds the database longer than the query takes.
"""

from __future__ import annotations

import atexit
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mlgate import extras
from mlgate.config.watching import Source
from mlgate.data.reading import sql
from mlgate.errors import MlgateError
from mlgate.watch.logs import files
from mlgate.watch.logs.nouns import File, Format
from mlgate.watch.nouns import Window

_PARAMETER = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|(?<![:\w]):(since|until)\b""")
_BATCH = 5_000  # rows


def rows(
    source: Source, window: Window, *, root: Path, environ: Mapping[str, str], key: str, say: Callable[[str], object]
) -> tuple[tuple[File, ...], Format, tuple[str, ...]]:
    """The query's rows as a file. Raises MlgateError for a database that cannot be reached, or a wrong query."""
    assert source.query is not None  # noqa: S101 -- asked by the caller
    query = source.query.strip().rstrip(";")
    address = ""
    if source.database is not None:
        address = environ.get(source.database, "")
        if not address:
            raise MlgateError(
                f"the variable {source.database} is not set, which holds the database's address.",
                key=f"{key}.database",
                fix="Set it to an address such as postgresql://user:password@host/name or duckdb:///logs.duckdb.",
            )
    folder = Path(tempfile.mkdtemp(prefix="mlgate-logs-"))  # only its owner may look into it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shown = f"the query to {source.database}" if source.database else "the query"
    say(f"asking {source.database or 'DuckDB'} for the rows of {window}")
    if not address or _is_duckdb(address):
        path = folder / "rows.parquet"
        _duckdb(address, query, window, path, root=root, shown=shown, key=key)
        return (files.file(path, shown),), "parquet", ()
    path = folder / "rows.jsonl"
    _sqlalchemy(address, query, window, path, shown=shown, key=key)
    return (files.file(path, shown),), "jsonl", ()


def _is_duckdb(address: str) -> bool:
    return address.startswith("duckdb:") or address.rsplit(".", 1)[-1].lower() in {"duckdb", "ddb"}


def _duckdb(address: str, query: str, window: Window, path: Path, *, root: Path, shown: str, key: str) -> None:
    extras.use("data")
    import duckdb  # noqa: PLC0415

    where = re.sub(r"^duckdb:(///?)?", "", address)
    there = str(root / where) if where else ":memory:"
    if where and not Path(there).is_file():
        raise MlgateError("is not there: the database's address names no file.", file=shown, key=f"{key}.database")
    used: set[str] = set()

    def named(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        used.add(match[1])
        return f"${match[1]}"

    asked = _PARAMETER.sub(named, query)
    parameters = {name: getattr(window, name) for name in used}
    try:
        con = duckdb.connect(
            there,
            read_only=bool(where),
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
                "temp_directory": str(path.parent),
            },
        )
        try:
            # One statement, whatever brackets are in it: a query reads, and does nothing else.
            if len(told := con.extract_statements(f"FROM ({asked})")) != 1:
                raise MlgateError(
                    f"is {len(told)} statements.", file=shown, key=f"{key}.query", fix="Write one SELECT.",
                )  # fmt: skip
            con.execute("SET TimeZone = 'UTC'")
            con.execute("SET enable_progress_bar = false")
            con.execute(f"SET file_search_path = {sql.text(str(root))}")
            con.execute(f"CREATE TEMP TABLE mlgate_rows AS FROM ({asked})", parameters or None)
            con.execute(f"COPY mlgate_rows TO {sql.text(str(path))} (FORMAT parquet)")
        finally:
            con.close()
    except duckdb.Error as error:
        raise _wrong(error, shown, key) from error


def _sqlalchemy(address: str, query: str, window: Window, path: Path, *, shown: str, key: str) -> None:
    extras.use("sql")
    import sqlalchemy  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError  # noqa: PLC0415

    try:
        url = sqlalchemy.make_url(address)
        if url.drivername in {"postgres", "postgresql"}:
            url = url.set(drivername="postgresql+psycopg")  # the driver that comes along
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool, **_patience(url.get_backend_name()))
    except (ArgumentError, NoSuchModuleError, ValueError) as error:  # ValueError: of a port that is no number
        raise MlgateError(
            "the database's address is none that SQLAlchemy knows.",
            key=f"{key}.database",
            fix="Write it like postgresql://user:password@host/name; it is in a variable, so nobody sees it.",
        ) from error
    except ImportError as error:
        raise MlgateError(
            f"the driver {error.name} for this database is not installed.",
            key=f"{key}.database",
            fix="Install it beside mlgate, or name one that is installed: `dialect+driver://...`.",
        ) from error
    text = engine.dialect.name == "sqlite"  # which has no times, only texts
    parameters = {
        name: f"{getattr(window, name):%Y-%m-%d %H:%M:%S}" if text else getattr(window, name)
        for name in {match[1] for match in _PARAMETER.finditer(query)} - {None}
    }
    try:
        with engine.connect() as con, path.open("w", encoding="utf-8") as stream:
            if engine.dialect.name == "postgresql":
                con = con.execution_options(postgresql_readonly=True)  # noqa: PLW2901
            con = con.execution_options(stream_results=True, yield_per=_BATCH)  # noqa: PLW2901
            result = con.execute(sqlalchemy.text(query), parameters)
            names = list(result.keys())
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise MlgateError(f"gives the column {twice!r} twice.", file=shown, key=f"{key}.query")
            for several in result.partitions(_BATCH):
                stream.writelines(
                    json.dumps(dict(zip(names, row, strict=True)), default=_plain, separators=(",", ":")) + "\n"
                    for row in several
                )
    except MlgateError:
        raise
    except ImportError as error:
        raise MlgateError(
            f"the driver {error.name} for this database is not installed.", key=f"{key}.database"
        ) from error
    except Exception as error:  # drivers have errors of their own
        raise _wrong(getattr(error, "orig", None) or error, shown, key, hidden=_secrets(address)) from error
    finally:
        engine.dispose()


def _patience(backend: str) -> dict[str, Any]:
    """How long a connection is waited for; and texts as texts, also from a database that knows no encoding."""
    if backend == "postgresql":
        return {"connect_args": {"connect_timeout": 15, "client_encoding": "utf8"}}
    return {"connect_args": {"connect_timeout": 15}} if backend in {"mysql", "mariadb"} else {}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 2**63 else float(value)
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes | memoryview) else str(value)


def _secrets(address: str) -> list[str]:
    """What of an address nobody is to see. A password with an `@` or `/` in it that was not encoded is taken apart by
    whoever reads it, and comes back as the name of a host: so all up to the last `@` counts, also piece by piece."""
    whole = address.partition("://")[2].rpartition("@")[0].partition(":")[2]
    pieces = [whole, *re.split(r"[@:/?#]", whole), *re.findall(r"(?i)pass\w*=([^&]+)", address)]
    return sorted({each for one in pieces if one for each in (one, unquote(one))}, key=len, reverse=True)


def _wrong(error: BaseException, shown: str, key: str, hidden: Sequence[str] = ()) -> MlgateError:
    """The database's own first line, without what could be a password."""
    said = " ".join(str(error).split("\n", 1)[0].split()) or type(error).__name__
    said = re.sub(r"://[^/@\s]+@", "://***@", said)
    for one in hidden:
        said = re.sub(rf"(?<![\w]){re.escape(one)}(?![\w])", "***", said)
    said = said[:200].rstrip(".")
    return MlgateError(
        f"failed ({said}).",
        file=shown,
        key=f"{key}.query",
        fix="Try it in the database's own shell, and check the address and its rights.",
    )
