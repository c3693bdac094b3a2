"""The connection to DuckDB: in memory, without network, extensions or the home folder's configuration."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate import extras
from mlgate.data.reading import sql
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?B|B)\s*", re.IGNORECASE)
_LEAST = 32 * 2**20  # below this DuckDB cannot even open a file
_UNITS = {"b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS_OF_TWO = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def connect(memory_limit: str = "", folder: Path | None = None) -> DuckDBPyConnection:
    """A connection for reading files; what does not fit into memory spills to a private folder inside `folder`.

    `memory_limit` is a size such as `2GB`, or empty for DuckDB's own (80 % of the memory). Times are UTC. The spill
    folder is removed when the process ends. Raises MlgateError for a limit that is none, or without DuckDB.
    """
    limit = size(memory_limit)
    extras.use("data")
    import duckdb  # noqa: PLC0415

    try:
        private = tempfile.mkdtemp(prefix="mlgate-", dir=folder)  # only its owner may look into it
    except OSError as error:
        raise MlgateError(
            f"no temporary folder can be made ({error.strerror or error}).", fix="Make room, or set TMPDIR."
        ) from error
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    con = duckdb.connect(
        ":memory:",
        config={
            "temp_directory": private,
            "home_directory": private,
            "extension_directory": private,
            "secret_directory": private,
            "allow_persistent_secrets": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,  # a Python variable's name is never a table's
        },
    )
    if limit:
        con.execute(f"SET memory_limit = {sql.text(f'{limit}B')}")
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")  # it would stand between the lines of the report
    con.execute("SET lock_configuration = true")
    return con


def size(text: str) -> int:
    """Bytes that a text such as `2GB` or `512MiB` means; 0 for none. Raises MlgateError."""
    if not text.strip():
        return 0
    found = _SIZE.fullmatch(text)
    fix = "Write a number and a unit, such as 2GB or 512MiB."
    if found is None:
        raise MlgateError(f"the memory limit {text!r} is no size.", key="memory-limit", fix=fix)
    unit = found[2].lower()
    factor = _UNITS_OF_TWO[unit[0]] if "i" in unit else _UNITS[unit[0]]
    number = int(float(found[1]) * factor)
    if number < _LEAST:
        raise MlgateError(f"the memory limit {text!r} is too small.", key="memory-limit", fix="Give at least 32MiB.")
    return number
