"""DuckDB's errors about files, said for people: the file, the line, and how to mend it. Never a value of the data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mlgate.errors import MlgateError

_FILE = re.compile(r"""(?:^\s*file = |[Ff]ile[: ]+['"])(?P<path>[^\n]*?)(?:['"]|\s*$)""", re.MULTILINE)
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_RAGGED = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_LENGTH = re.compile(r"Actual Size: ?(\d+) bytes")
_UNQUOTED = "unterminated quote"
_TOO_LONG = re.compile(r"aximum line size|line size|unterminated quote|state machine reached an invalid state")


def may_be_too_long(error: Exception) -> bool:
    """A line longer than DuckDB's buffer ends in one of several errors."""
    return _TOO_LONG.search(str(error)) is not None


def length(error: Exception) -> int:
    """Bytes of a line that is too long, where the error says so."""
    found = _LENGTH.search(str(error))
    return int(found[1]) + 2 if found else 0


def named(error: Exception, names: Mapping[Path, str], shown: str) -> str:
    """The file that an error speaks of, as the user calls it."""
    for found in _FILE.finditer(str(error)):
        path = re.sub(r"\[([*?\[])\]", r"\1", found["path"])
        if Path(path) in names:
            return names[Path(path)]
    return next(iter(names.values())) if len(names) == 1 else shown


def line(error: Exception) -> int | None:
    found = _LINE.search(str(error))
    return int(found[1]) if found else None


def delimited(error: Exception, file: str, encoding: str) -> MlgateError:
    """What is wrong with a CSV file."""
    said, at = str(error), line(error)
    ragged = _RAGGED.search(said)
    if ragged:
        return MlgateError(
            f"has {ragged[2]} values, where the file has {ragged[1]} columns.",
            file=file,
            line=at,
            fix="Mend the line: give it as many values as the header has, and quote values that hold the delimiter.",
        )
    if _UNQUOTED in said:
        return MlgateError(
            "has a quote that is never closed, or text after the closing one.",
            file=file,
            line=at,
            fix='Write a quote inside a quoted value twice (""), or name another one: `read: {quote: ...}`.',
        )
    if "unicode" in said.lower() or "encoded" in said:
        return MlgateError(
            f"is not {encoding} throughout.",
            file=file,
            line=at,
            fix="Save the file in one encoding; if it is another one, say so: `read: {encoding: latin-1}`.",
        )
    if _LENGTH.search(said):
        return MlgateError(
            f"has a line of {length(error):,} bytes.", file=file, line=at, fix="Keep such values in files of their own."
        )
    if "state machine" in said:
        return MlgateError(
            "mixes line endings, or has text after a closing quote.",
            file=file,
            line=at,
            fix="Write all lines with the same ending, and a quote inside a quoted value twice.",
        )
    return unreadable(error, file, at)


def unreadable(error: Exception, file: str, at: int | None = None) -> MlgateError:
    """Anything else, in DuckDB's own first sentence, without a value of the data."""
    import duckdb  # noqa: PLC0415

    if isinstance(error, duckdb.OutOfMemoryException):
        return MlgateError(
            "needs more memory than there is, or more disk to spill to.", file=file, fix="Raise --memory-limit."
        )
    return MlgateError(f"cannot be read ({first(error)}).", file=file, line=at)


def first(error: Exception) -> str:
    """DuckDB's first sentence, up to where it would quote the data or the path."""
    said = str(error).split("\n", 1)[0].split(": ", 1)[-1]
    said = re.sub(r"""([Ff]ile) ['"].*""", r"\1", said)
    said = re.sub(r"""(Original Line|string '|value '|, but got|: \{).*""", "", said)[:200].strip(" :.,")
    return said or "it does not follow the format"
