"""A profile as JSON: canonical, a line for each column, counts between knots rather than below them, short numbers.

Read back, nothing is believed: a profile that does not add up would call a drift none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import accumulate, pairwise
from typing import Any

from mlgate.data.profiles.frozen import frozen
from mlgate.data.profiles.nouns import SCHEMA, Column, Day, Kind, Of, Profile
from mlgate.errors import MlgateError

LARGEST = 50_000_000  # characters
FIX = "Write it again: `mlgate profile`."
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}|")
_KINDS: dict[Kind, tuple[Of, ...]] = {
    "number": ("number", "moment"),
    "category": ("text", "boolean"),
    "hidden": ("private", "other"),
}


def text(profile: Profile) -> str:
    """Canonical JSON: equal profiles give the same text."""
    parts = {
        "columns": _lines((name, _column(one)) for name, one in sorted(profile.columns.items())),
        "data": _json(dict(profile.data)),
        "days": _json(_days(profile)),
        "digest": _json(profile.digest),
        "model": _json(profile.model),
        "prediction": _json(_column(profile.prediction) if profile.prediction else None),
        "rows": str(profile.rows),
        "schema": str(SCHEMA),
        "score": _json(_column(profile.score) if profile.score else None),
    }
    return "{\n" + ",\n".join(f"{_json(key)}:{value}" for key, value in parts.items()) + "\n}\n"


def _lines(pairs: Iterator[tuple[str, Any]]) -> str:
    inner = ",\n".join(f"{_json(name)}:{_json(value)}" for name, value in pairs)
    return f"{{\n{inner}\n}}" if inner else "{}"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _number(value: float) -> float | int:
    """3 for 3.0: the same number, and shorter."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _column(one: Column) -> dict[str, Any]:
    """What is there of it; what is empty is left out."""
    found: dict[str, Any] = {"kind": one.kind, "missing": one.missing, "of": one.of, "rows": one.rows}
    if one.kind == "hidden":
        return found
    found |= {"distinct": one.distinct}
    if one.knots:
        values = one.rows - one.missing
        found["knots"] = [_number(knot) for knot in one.knots]
        found["counts"] = [high - low for low, high in pairwise((0, *one.below, values))]
    rest = {
        "edges": [_number(edge) for edge in one.edges], "values": dict(one.values), "kept": list(one.kept),
        "other": list(one.other) if any(one.other) else [], "once": one.once, "outside": one.outside,
        "infinite": one.infinite, "error": one.error,
    }  # fmt: skip
    found |= {key: value for key, value in rest.items() if value}
    numbers = {"least": one.least, "most": one.most, "mean": one.mean, "spread": one.spread}
    return found | {key: _number(value) for key, value in numbers.items() if value is not None}


def _days(profile: Profile) -> dict[str, Any]:
    """By column, so that no name is repeated each day."""
    names = sorted({name for day in profile.days for name in day.counts})
    return {
        "day": [day.day for day in profile.days],
        "rows": [day.rows for day in profile.days],
        "counts": {
            name: [list(day.counts[name]) if name in day.counts else None for day in profile.days] for name in names
        },
    }


# -- read back ---------------------------------------------------------------------------------------------------------


class _Wrong(Exception):  # noqa: N818 -- it says what the file is, and never leaves this module
    """What is wrong with a profile, in words."""


def read(said: str | bytes, file: str, *, model: str | None = None) -> Profile:
    """The profile that a file holds.

    Raises MlgateError, one sentence, for what is none, does not add up, is of another schema, or of another model than
    `model` where that is given.
    """
    try:
        found = _profile(_loaded(said))
    except _Wrong as error:
        raise MlgateError(f"is no reference profile that can be used: {error}.", file=file, fix=FIX) from None
    if model is not None and found.model != model:
        raise MlgateError(
            f"is the reference profile of {found.model}, and the model is {model}.", file=file, key="model",
            fix="Name its own in `monitor.profile`, or write it: `mlgate profile`.",
        )  # fmt: skip
    return found


def _loaded(said: str | bytes) -> dict[str, Any]:
    if len(said) > LARGEST:
        raise _Wrong("it is too large")
    try:
        value = json.loads(
            said.decode("utf-8") if isinstance(said, bytes) else said, object_pairs_hook=_once, parse_constant=_constant
        )
    except (ValueError, RecursionError):
        raise _Wrong("it cannot be read as JSON") from None
    if not isinstance(value, dict):
        raise _Wrong("it is no object")
    schema = value.get("schema")
    if schema != SCHEMA or isinstance(schema, bool):
        raise _Wrong(f"its schema is {str(schema)[:20]!a}, and this version of mlgate reads {SCHEMA}")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _constant(name: str) -> Any:
    raise ValueError(name)


def _profile(value: dict[str, Any]) -> Profile:
    named = _keys(value, "it", _TOP)
    rows = _count(named["rows"], "rows")
    columns = {name: _read_column(one, name) for name, one in _mapping(named["columns"], "columns").items()}
    for name, column in columns.items():
        if column.rows != rows:
            raise _Wrong(f"{name} has {column.rows} rows, and all have {rows}")
    said = {key: _read_column(named[key], key) if named[key] is not None else None for key in ("prediction", "score")}
    if not columns and not any(said.values()):
        raise _Wrong("it describes no column")
    digest, model = _text(named["digest"], "digest"), _text(named["model"], "model")
    if not _DIGEST.fullmatch(digest):
        raise _Wrong("its digest is none")
    data = {path: _text(one, "data") for path, one in _mapping(named["data"], "data").items()}
    return Profile(
        model, rows, columns, said["prediction"], said["score"], _read_days(named["days"], columns), data, digest
    )


_TOP = ("columns", "data", "days", "digest", "model", "prediction", "rows", "schema", "score")
_COLUMN = (
    "kind", "missing", "of", "rows", "distinct", "knots", "counts", "edges", "values", "kept", "other", "once",
    "outside", "infinite", "error", "least", "most", "mean", "spread",
)  # fmt: skip


def _read_column(value: Any, name: str) -> Column:
    named = _keys(value, name, _COLUMN, optional=_COLUMN)
    kind, of = named.get("kind"), named.get("of")
    if not isinstance(kind, str) or kind not in _KINDS or of not in _KINDS[kind]:
        raise _Wrong(f"{name} is of no kind that there is")
    rows, missing = _count(named.get("rows"), f"{name}.rows"), _count(named.get("missing"), f"{name}.missing")
    if missing > rows:
        raise _Wrong(f"{name} has more missing values than rows")
    knots = _numbers(named.get("knots", []), f"{name}.knots")
    counts = _counts(named.get("counts", []), f"{name}.counts")
    if knots and (len(counts) != len(knots) + 1 or sum(counts) != rows - missing):
        raise _Wrong(f"the counts of {name} do not add up to its rows")
    if counts and not knots:
        raise _Wrong(f"{name} has counts, and no knots")
    if not all(a < b for a, b in pairwise(knots)):
        raise _Wrong(f"the knots of {name} do not ascend")
    edges = _numbers(named.get("edges", []), f"{name}.edges")
    if not set(edges) <= set(knots) or not all(a < b for a, b in pairwise(edges)):
        raise _Wrong(f"the edges of {name} are no knots in their order")
    values = {key: _count(one, f"{name}.values") for key, one in _mapping(named.get("values", {}), name).items()}
    kept = tuple(_text(one, f"{name}.kept") for one in _list(named.get("kept", []), f"{name}.kept"))
    if not set(kept) <= set(values) or len(set(kept)) != len(kept):
        raise _Wrong(f"{name} keeps categories that it does not list")
    other = _counts(named.get("other") or [0, 0], f"{name}.other")
    if len(other) != 2 or ((values or kind == "category") and sum(values.values()) + other[1] != rows - missing):
        raise _Wrong(f"the values of {name} do not add up to its rows")
    if kind == "number" and not all(_is_number(key) for key in values):
        raise _Wrong(f"{name} lists a value that is no number")
    one = Column(
        kind, rows, missing, _count(named.get("distinct", 0), f"{name}.distinct"), of, knots,
        tuple(accumulate(counts[:-1])), edges, _maybe(named.get("least"), name), _maybe(named.get("most"), name),
        _count(named.get("outside", 0), name), _count(named.get("infinite", 0), name), _maybe(named.get("mean"), name),
        _maybe(named.get("spread"), name), values, kept, (other[0], other[1]), _count(named.get("once", 0), name),
        _maybe(named.get("error"), name) or 0.0,
    )  # fmt: skip
    if kind == "hidden" and one != Column("hidden", rows, missing, of=of):
        raise _Wrong(f"{name} is hidden, and says something")
    _sound(one, name)
    return one


def _sound(one: Column, name: str) -> None:
    """Raises _Wrong for figures that no values have."""
    there = one.rows - one.missing
    ends = (one.least, one.most)
    if (None in ends and ends != (None, None)) or (one.least is not None and not one.least <= (one.most or 0.0)):
        raise _Wrong(f"the range of {name} is none")
    if max(one.outside, one.infinite) > there or not 0 <= one.error <= 1 or (one.spread or 0.0) < 0:
        raise _Wrong(f"{name} says what cannot be of its {there} values")


def _read_days(value: Any, columns: Mapping[str, Column]) -> tuple[Day, ...]:
    named = _keys(value, "days", ["counts", "day", "rows"])
    days = [_text(one, "days") for one in _list(named["day"], "days")]
    rows = _counts(named["rows"], "days.rows")
    if len(rows) != len(days) or not all(a < b for a, b in pairwise(days)) or not all(map(_is_day, days)):
        raise _Wrong("its days are not in their order")
    found: list[dict[str, tuple[int, ...]]] = [{} for _ in days]
    for name, each in _mapping(named["counts"], "days.counts").items():
        if name not in columns or len(_list(each, "days.counts")) != len(days):
            raise _Wrong(f"its days count {name[:60]!a}, which it does not know")
        many = len(frozen(columns[name]).counts)
        for place, counts in enumerate(each):
            if counts is None:
                continue
            bins = _counts(counts, "days.counts")
            if len(bins) != many or sum(bins) != rows[place]:
                raise _Wrong(f"the counts of {name} on {days[place]} do not add up to the day's rows")
            found[place][name] = tuple(bins)
    return tuple(Day(*one) for one in zip(days, rows, found, strict=True))


def _keys(value: Any, what: str, keys: Sequence[str], *, optional: Sequence[str] = ()) -> dict[str, Any]:
    found = _mapping(value, what)
    if unknown := sorted(set(found) - set(keys)):
        raise _Wrong(f"{what} has a key {unknown[0][:60]!a} that no profile has")
    if lacking := sorted(set(keys) - set(optional) - set(found)):
        raise _Wrong(f"{what} lacks {lacking[0]}")
    return found


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{what} is no mapping")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise _Wrong(f"{what} is no list")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"{what} is no text")
    return value


def _count(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _Wrong(f"{what} is no count")
    return value


def _counts(value: Any, what: str) -> list[int]:
    return [_count(one, what) for one in _list(value, what)]


def _finite(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong(f"{what} is no number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Wrong(f"{what} is not finite")
    return number


def _numbers(value: Any, what: str) -> tuple[float, ...]:
    return tuple(_finite(one, what) for one in _list(value, what))


def _maybe(value: Any, what: str) -> float | None:
    return None if value is None else _finite(value, what)


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
