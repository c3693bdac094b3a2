"""What the values of a text file are: the types a column may have, and the SQL that finds and reads them.

A column is of the first type of `RUNGS` that every value of the whole file fits; a column that fits none, or has no
value, is text. Nothing is rounded, completed or guessed to make a value fit:

- true and false, spelled so, as True and False, or in capitals;
- integers without leading zeros, exact up to 38 digits: `007` is text, and so is `+1`;
- numbers with a point or an exponent, and NaN and infinities, as the nearest double; an integer that a double cannot
  hold exactly makes a column of numbers text, and so does one so large that it would become an infinity;
- dates 2024-01-05; times 2024-01-05 10:00, with seconds, up to nine decimals, a `T` instead of the blank; the same
  with an offset or `Z`, which are instants. Dates beside times, or times with and without offset, are text.

Blanks around a value that is not text do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = _DAY + "[ T]([01][0-9]|2[0-3]):[0-5][0-9]"
_INTEGER = "0|-?[1-9][0-9]*"
_NUMBER = r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"
_NO_NUMBER = "-?((?i)inf|infinity|nan)"
_BLANKS = r"E' \t\n\v\f\r'"
_LONGEST = 200  # what is longer is text: a regular expression would take minutes over a hundred megabytes
_EXACT = 2**53 - 1  # up to here a double holds every integer, and no other integer is rounded to it
MARK = "mlgate: a value of another type in column "


@dataclass(frozen=True)
class Rung:
    """One type: `bit` is its own in the sets that `fitting` makes; `fits` and `fast` are SQL templates.

    In them `t` is the value's text without blanks, `v` as it is, and `x` what DuckDB makes of it, NULL where nothing.
    `fast` implies `fits` and is cheap; it is all that most values need.
    """

    bit: int
    type: str
    fits: str
    fast: str = "false"


def _match(pattern: str, more: str = "") -> str:
    return f"(regexp_full_match({{t}}, '{pattern}') AND {{x}} IS NOT NULL{more})"


_WORDS = "('true', 'false', 'True', 'False', 'TRUE', 'FALSE')"
# A double whose text begins like a plain number: DuckDB itself would also take `1_000` and `007`.
_PLAIN = (
    "(({v} >= '1' AND {v} < ':') OR ({v} >= '0.' AND {v} < '0/') OR {v} = '0' OR ({v} >= '-1' AND {v} < '-:') "
    "OR ({v} >= '-0.' AND {v} < '-0/')) "
    f"AND strlen({{v}}) <= {_LONGEST} AND NOT contains({{v}}, '_') AND {{x}} BETWEEN -{_EXACT} AND {_EXACT}"
)
RUNGS = (
    Rung(1, "BOOLEAN", f"{{t}} IN {_WORDS}", f"{{v}} IN {_WORDS}"),
    Rung(2, "BIGINT", _match(_INTEGER), "CAST({x} AS VARCHAR) = {v}"),
    Rung(4, "HUGEINT", _match(_INTEGER), "CAST({x} AS VARCHAR) = {v}"),
    Rung(
        8,
        "DOUBLE",
        f"((regexp_full_match({{t}}, '{_NUMBER}') AND isfinite({{x}}) "
        f"AND (abs({{x}}) <= {_EXACT} OR NOT regexp_full_match({{t}}, '-?[0-9]+'))) "
        f"OR regexp_full_match({{t}}, '{_NO_NUMBER}'))",
        _PLAIN,
    ),
    Rung(16, "DATE", _match(_DAY, " AND {x} >= DATE '0001-01-01'"), "length({v}) = 10 AND CAST({x} AS VARCHAR) = {v}"),
    Rung(32, "TIMESTAMP", _match(_TIME + r"(:[0-5][0-9](\.[0-9]{1,6})?)?", " AND year({x}) > 0")),
    Rung(64, "TIMESTAMP_NS", _match(_TIME + r"(:[0-5][0-9](\.[0-9]{1,9})?)?")),
    Rung(
        128,
        "TIMESTAMP WITH TIME ZONE",
        _match(_TIME + r"(:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[-+][0-9]{2}(:?[0-9]{2})?)", " AND year({x}) > 0"),
    ),
)
ALL = 255
MOMENTS = 16 | 32 | 64 | 128
NUMBERS = 4 | 8


def _bare(v: str) -> str:
    return f"trim({v}, {_BLANKS})"


def _fill(template: str, v: str, x: str) -> str:
    """Not str.format: a regular expression has braces of its own."""
    return template.replace("{t}", _bare(v)).replace("{v}", v).replace("{x}", x)


def fitting(v: str, allowed: int = ALL) -> str:
    """SQL: the bits of the types that a text value fits, as an integer; NULL for NULL."""
    bits = [
        f"CASE WHEN {_fill(rung.fits, v, f'TRY_CAST({_bare(v)} AS {rung.type})')} THEN {rung.bit} ELSE 0 END"
        for rung in RUNGS
        if rung.bit & allowed
    ]
    return f"CASE WHEN {v} IS NULL THEN NULL WHEN strlen({v}) > {_LONGEST} THEN 0 ELSE {' | '.join(bits) or '0'} END"


def chosen(bits: int | None) -> Rung | None:
    """The type for a column whose values all fit these; None is text."""
    return next((rung for rung in RUNGS if bits and rung.bit & bits), None)


def made(v: str, rung: Rung) -> str:
    """SQL: what DuckDB makes of a text value, before anybody has looked whether it may."""
    return f"TRY_CAST({v if rung.bit & (2 | 4 | 8 | 16) else _bare(v)} AS {rung.type})"


def known(v: str, rung: Rung) -> str:
    """SQL: the value, where all values of the column are known to fit."""
    return made(v, rung).removeprefix("TRY_")


def value(v: str, x: str, rung: Rung, column: int) -> str:
    """SQL: the value; an error that `misfit` knows when it does not fit."""
    fits, fast = f"strlen({v}) <= {_LONGEST} AND {_fill(rung.fits, v, x)}", _fill(rung.fast, v, x)
    return f"CASE WHEN {fast} THEN {x} WHEN {v} IS NULL THEN NULL WHEN {fits} THEN {x} ELSE error('{MARK}{column}') END"


def nothing(v: str, column: int) -> str:
    """SQL for a column that had no value so far."""
    return f"CASE WHEN {v} IS NULL THEN NULL ELSE error('{MARK}{column}') END"
