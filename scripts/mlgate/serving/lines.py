"""How an answer becomes lines of the prediction log: only named columns, raw or as a keyed hash, and one line a row.

What is done here is done for every request, and by the same interpreter that answers: each microsecond is half a
percent of what a server can do. Hence the loops that run in C, and what is worked out once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import orjson

from mlgate.serving.settings import Identity


class Named(Protocol):
    """A request's columns: `values[i]` holds the values of `names[i]`, one for each row."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def values(self) -> Sequence[Any]: ...


class Answered(Protocol):
    """One answered request, by column; `time` in seconds since 1970, `seconds` that it took."""

    request_id: str
    time: float
    seconds: float
    columns: Named
    predictions: Sequence[Any]
    scores: Sequence[Any] | None


class _Picked(NamedTuple):
    """What is logged of requests with these names."""

    names: Sequence[str]
    features: tuple[str, ...]
    raw: Callable[[Sequence[Any]], Sequence[Any]]
    hashed: tuple[str, ...]
    keyed: Callable[[Sequence[Any]], Sequence[Any]]


# What it is of, request id, time, seconds, raw values, values to hash, prediction, score
Taken = tuple[_Picked, str, float, float, tuple[Any, ...], tuple[Any, ...], Any, Any]


class Lines:
    """`taken` and `one` for a request of one row, `all` for any."""

    def __init__(
        self, identity: Identity, environment: str, features: Sequence[str], hashed: Sequence[str], key: bytes
    ) -> None:
        who = {"version": identity.version, "digest": identity.digest, "commit": identity.commit}
        # The value of "model" in a line, and the fields after it that are the same in each, already written.
        self._who = orjson.Fragment(to_json(identity.model) + b"," + to_json({**who, "environment": environment})[1:-1])
        self._features, self._hashed, self._keyed = features, hashed, _hmac(key)
        self._picked = self._pick(())

    def taken(self, answer: Answered) -> Taken:
        """What is logged of a request of one row, and nothing else of it. May raise for columns that are no lists."""
        columns, scores = answer.columns, answer.scores
        picked = self._picked
        if picked.names is not columns.names:
            picked = self._picked = self._pick(columns.names)
        return (
            picked,
            answer.request_id,
            answer.time,
            answer.seconds,
            tuple(map(_FIRST, picked.raw(columns.values))),
            tuple(map(_FIRST, picked.keyed(columns.values))) if picked.hashed else (),
            answer.predictions[0],
            None if scores is None else scores[0],
        )

    def one(self, taken: Taken) -> bytes:
        """The line of what was taken. May raise whatever odd values raise."""
        picked, request_id, time, seconds, raw, keyed, prediction, score = taken
        return _said({
            "time": stamp(time),
            "request_id": request_id,
            "model": self._who,
            "row": 0,
            "features": dict(zip(picked.features, raw)),  # noqa: B905 -- as many, and faster
            "hashed": dict(zip(picked.hashed, map(self._hash, keyed), strict=True)) if keyed else _NOTHING,
            "prediction": prediction,
            "score": score,
            "latency_ms": int(seconds * 1e6) / 1000,
        })  # fmt: skip

    def all(self, answer: Answered) -> Iterator[bytes]:
        """May raise whatever odd values raise, and ValueError for columns that are not of the same length."""
        picked = self._pick(answer.columns.names)
        predictions = _listed(answer.predictions)
        many = len(predictions)
        features = _rows(picked.features, picked.raw(answer.columns.values), many)
        hashed: Iterable[dict[str, Any]] = repeat(_NOTHING, many)
        if picked.hashed:
            rows = _rows(picked.hashed, picked.keyed(answer.columns.values), many)
            hashed = ({name: self._hash(value) for name, value in row.items()} for row in rows)
        scores = repeat(None, many) if answer.scores is None else _listed(answer.scores)
        time, taken = stamp(answer.time), int(answer.seconds * 1e6) / 1000
        # Strict: a column of another length is an error that is counted, not a few lines that nobody misses.
        for row, prediction, score, raw, keyed in zip(range(many), predictions, scores, features, hashed, strict=True):
            yield _said({
                "time": time, "request_id": answer.request_id, "model": self._who, "row": row, "features": raw,
                "hashed": keyed, "prediction": prediction, "score": score, "latency_ms": taken,
            })  # fmt: skip

    def _pick(self, names: Sequence[str]) -> _Picked:
        at = {name: index for index, name in enumerate(names)}
        features = tuple(name for name in self._features if name in at)
        hashed = tuple(name for name in self._hashed if name in at)
        raw, keyed = (_getter([at[name] for name in found], len(names)) for found in (features, hashed))
        return _Picked(names, features, raw, hashed, keyed)

    def _hash(self, value: Any) -> str | None:
        """The first 16 hexadecimal digits of HMAC-SHA256 over the value's text; a missing value stays missing."""
        if value is None or value != value:  # noqa: PLR0124 -- NaN
            return None
        return self._keyed(text(value).encode(errors="surrogatepass"))[:16]


_FIRST = itemgetter(0)
_LINE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
_NOTHING: dict[str, Any] = {}


def _said(line: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, _plain, _LINE)
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        whole = {name: _written(value) for name, value in line.items()}
        return orjson.dumps(whole, None, _LINE)


def _written(value: Any) -> orjson.Fragment:
    return value if isinstance(value, orjson.Fragment) else orjson.Fragment(to_json(value))


def _getter(indices: list[int], many: int) -> Callable[[Sequence[Any]], Sequence[Any]]:
    if indices == list(range(many)):
        return lambda values: values
    if len(indices) > 1:
        return itemgetter(*indices)
    return lambda values: [values[index] for index in indices]


def _rows(names: Sequence[str], values: Sequence[Any], many: int) -> Iterable[dict[str, Any]]:
    if not names:
        return repeat(_NOTHING, many)
    return map(dict, map(zip, repeat(names), zip(*map(_listed, values), strict=True)))


def _listed(values: Any) -> Any:
    """Plain values of an array or a Series; a sequence as it is."""
    return values.tolist() if type(values) is not list and hasattr(values, "tolist") else values


def text(value: Any) -> str:
    """What is hashed: a text as it is, anything else as JSON writes it, a whole number without `.0`."""
    if isinstance(value, str):
        return str(value)
    value = _listed(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if type(value) in {int, float}:
        return repr(value)  # as the standard library's JSON has it: 1e-07 where orjson has 1e-7
    return to_json(value).decode()


def _hmac(key: bytes) -> Callable[[bytes], str]:
    """HMAC-SHA256 in hexadecimal. The key is worked in once: half the time of the standard library's, each time."""
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    inner, outer = (hashlib.sha256(bytes(octet ^ pad for octet in block)) for pad in (0x36, 0x5C))

    def keyed(message: bytes) -> str:
        within, around = inner.copy(), outer.copy()
        within.update(message)
        around.update(within.digest())
        return around.hexdigest()

    return keyed


def stamp(seconds: float) -> str:
    """`2026-11-21T10:27:59.123Z` for seconds since 1970."""
    return _stamp(int(seconds * 1000))


@lru_cache(maxsize=1000)
def _stamp(thousandths: int) -> str:
    whole, rest = divmod(thousandths, 1000)
    return datetime.fromtimestamp(whole, UTC).strftime(f"%Y-%m-%dT%H:%M:%S.{rest:03d}Z")


def to_json(value: Any) -> bytes:
    """One line of UTF-8; NaN and infinity become null. What orjson does not take (numbers beyond 64 bits, half of a
    surrogate pair) the standard library writes, in ASCII."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        return json.dumps(_finite(value), default=_plain, separators=(",", ":"), allow_nan=False).encode()


def _plain(value: Any) -> Any:
    return (
        _listed(value) if hasattr(value, "tolist") else str(value.isoformat() if hasattr(value, "isoformat") else value)
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return _finite(value.tolist()) if hasattr(value, "tolist") else value
