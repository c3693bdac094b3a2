"""How times of logs are read: ISO 8601 with or without a zone, and numbers since 1970 in any unit."""

from __future__ import annotations

_MICROS = (  # below this a number is in that unit: seconds until the year 5138, and so on
    ("1e11", "1000000.0"),
    ("1e14", "1000.0"),
    ("1e17", "1.0"),
)


def _numeric(number: str) -> str:
    """SQL: an instant from seconds, milli-, micro- or nanoseconds since 1970, a DOUBLE."""
    units = " ".join(f"WHEN {number} < {most} THEN {number} * {factor}" for most, factor in _MICROS)
    micros = f"CASE WHEN NOT isfinite({number}) OR {number} <= 0 OR {number} > 1e19 THEN NULL {units} "
    return f"make_timestamptz(CAST(round({micros} ELSE {number} / 1000.0 END) AS BIGINT))"


def _sane(instant: str) -> str:
    return f"CASE WHEN isfinite({instant}) THEN {instant} END"


def of_text(text: str) -> str:
    """SQL: the instant that a text says, NULL where it says none. A text without a zone is UTC."""
    iso = _sane(f"TRY_CAST({text} AS TIMESTAMPTZ)")
    return f"CASE WHEN contains({text}, '-') THEN {iso} ELSE {_numeric(f'TRY_CAST({text} AS DOUBLE)')} END"


def zone_of_text(text: str) -> str:
    """SQL: 0 for UTC, 1 for another zone, 2 for none, 3 for a number."""
    return (
        f"CASE WHEN ends_with({text}, 'Z') OR ends_with({text}, '+00:00') THEN 0 WHEN NOT contains({text}, '-') THEN 3 "
        f"WHEN regexp_matches({text}, '[-+][0-9]{{2}}:?[0-9]{{2}}$|[-+][0-9]{{2}}$') AND contains({text}, ':') THEN 1 "
        f"WHEN regexp_matches({text}, '[A-Za-z]$') THEN 1 ELSE 2 END"
    )


def typed(column: str, type_: str) -> tuple[str, str] | None:
    """SQL of the instant and of the zone for a column of that type; None for a type that is no time."""
    if type_ == "VARCHAR":
        return of_text(column), zone_of_text(column)
    if "WITH TIME ZONE" in type_:
        return (_sane(column) if type_.startswith("TIMESTAMP W") else _sane(f"CAST({column} AS TIMESTAMPTZ)")), "0"
    if type_.startswith("TIMESTAMP") or type_ == "DATE":
        return _sane(f"CAST({column} AS TIMESTAMPTZ)"), "2"
    if (
        type_.removeprefix("U") in {"INTEGER", "BIGINT", "HUGEINT"}
        or type_ in {"DOUBLE", "FLOAT"}
        or "DECIMAL" in type_
    ):
        return _numeric(f"CAST({column} AS DOUBLE)"), "3"
    return None
