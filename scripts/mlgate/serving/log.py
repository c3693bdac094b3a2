"""The prediction log: one JSON line for each predicted row, with the columns that were named and no others.

A request costs the answer one `put`; lines are made and written by a thread of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import repeat
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson

from mlgate.errors import MlgateError
from mlgate.serving import files
from mlgate.serving.metrics import Metrics
from mlgate.serving.settings import Identity, Log
from mlgate.serving.writer import Writer

KEY = "MLGATE_LOG_KEY"
_FIRST = itemgetter(0)
_NOTHING: dict[str, Any] = {}
_SHORTEST = 16  # characters; the hash of a guessable value is only as good as the key is not guessable


@dataclass(slots=True)
class Answer:
    """One answered request, by column: `columns`, `predictions` and `scores` hold a value for each row."""

    request_id: str
    time: float  # seconds since 1970, when the request came
    seconds: float  # it took
    columns: Mapping[str, Sequence[Any]]
    predictions: Sequence[Any]
    scores: Sequence[Any] | None = None


class Sink:
    """Takes answers, writes lines. `stdout` is the descriptor of standard output that nothing else writes to.

    Raises MlgateError where the settings contradict each other or the key is missing: before anything is answered.
    """

    def __init__(
        self,
        settings: Log,
        identity: Identity,
        environment: str,
        *,
        metrics: Metrics,
        environ: Mapping[str, str],
        shared: Path | None = None,
        stdout: int = 1,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self._keyed = _hmac(_key(settings, environ))
        self._features, self._hashed = _Named(settings.features), _Named(settings.hashed)
        self.wanted: tuple[str, ...] = (*settings.features, *settings.hashed)
        who = {"model": identity.model, "version": identity.version, "digest": identity.digest}
        who |= {"commit": identity.commit, "environment": environment}
        self._who = b"," + _json(who)[1:-1] + b',"row":'

        def target() -> files.Target:
            if settings.to == "file":
                return files.Rotated(Path(settings.path), octets=settings.max_bytes, keep=settings.keep)
            return files.Stream(stdout, None if shared is None else shared / "stdout.lock")

        self._writer: Writer[Answer] | None = None
        if settings.to != "none":
            self._writer = Writer(
                "prediction log",
                target,
                self._lines,
                metrics.logged,
                limit=settings.queue,
                chunk=min(65_536, settings.max_bytes),
                say=say,
            )

    def start(self) -> None:
        if self._writer is not None:
            self._writer.start()

    def put(self, answer: Answer) -> None:
        """Never waits, never raises."""
        if self._writer is not None:
            rows = len(answer.predictions)
            self._writer.put(answer, lines=rows, weight=rows)

    def close(self) -> None:
        """Writes what waits; what the disk does not take in time is counted as dropped."""
        if self._writer is not None:
            self._writer.close()

    def _lines(self, answer: Answer) -> Iterable[bytes]:
        predictions = _listed(answer.predictions)
        many = len(predictions)
        features = self._features.rows(answer.columns, many)
        hashed: Iterable[dict[str, Any]] = repeat(_NOTHING, many)
        if self._hashed:
            rows = self._hashed.rows(answer.columns, many)
            hashed = [{name: self._hash(value) for name, value in row.items()} for row in rows]
        scores = repeat(None, many) if answer.scores is None else _listed(answer.scores)
        when, name, taken = stamp(answer.time), _json(answer.request_id), answer.seconds * 1000
        # Strict: a column of another length is an error that is counted, not a few lines that nobody misses.
        return (
            b'{"time":"%b","request_id":%b%b%d,%b,"latency_ms":%.3f}\n' % (
                when, name, self._who, row,
                _json({"features": raw, "hashed": keyed, "prediction": prediction, "score": score})[1:-1], taken,
            )
            for row, prediction, score, raw, keyed in zip(
                range(many), predictions, scores, features, hashed, strict=True
            )
        )  # fmt: skip

    def _hash(self, value: Any) -> str | None:
        """The first 16 hexadecimal digits of HMAC-SHA256 over the value's text; a missing value stays missing."""
        if value is None or value != value:  # noqa: PLR0124 -- NaN
            return None
        return self._keyed(text(value).encode(errors="surrogatepass"))[:16]


def text(value: Any) -> str:
    """What is hashed: a text as it is, anything else as JSON writes it, a whole number without `.0`."""
    if isinstance(value, str):
        return str(value)
    value = _listed(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if type(value) in {int, float}:
        return repr(value)  # as the standard library's JSON has it: 1e-07 where orjson has 1e-7
    return _json(value).decode()


def _key(settings: Log, environ: Mapping[str, str]) -> bytes:
    if settings.to == "none" or not settings.hashed:
        return b""
    both = sorted(set(settings.features) & set(settings.hashed))
    if both:
        raise MlgateError(
            f"{both[0]} is in both features and hashed: its values would be in the log as they are.",
            key="serve.log",
            fix="Name it in one of them.",
        )
    key = environ.get(KEY, "")
    if len(key) < _SHORTEST:
        raise MlgateError(
            f"serve.log.hashed names {', '.join(settings.hashed)}, and {KEY} "
            + ("is too short for a key." if key else "is not set."),
            key="serve.log.hashed",
            fix=f"Give the server a secret of at least {_SHORTEST} characters in {KEY}, the same wherever it runs.",
        )
    return key.encode()


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


class _Named:
    """The named columns of an answer, row by row. Half of what a line costs is here: the loops run in C."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        # Of one name itemgetter gives no tuple; the last of two is left over below.
        self._get = itemgetter(*self._names, *self._names[:1]) if names else None

    def __bool__(self) -> bool:
        return bool(self._names)

    def rows(self, columns: Mapping[str, Sequence[Any]], many: int) -> Iterable[dict[str, Any]]:
        if self._get is None:
            return repeat({}, many)
        names = self._names
        try:
            found = self._get(columns)[:-1]
        except KeyError:
            names = tuple(name for name in names if name in columns)
            found = tuple(columns[name] for name in names)
        if many == 1:
            try:
                return (dict(zip(names, map(_FIRST, found), strict=True)),)
            except (TypeError, KeyError):
                pass  # a Series has a first value, but not by that name
        values = zip(*map(_listed, found), strict=True) if found else repeat((), many)
        return map(dict, map(zip, repeat(names), values))


def _listed(values: Any) -> Sequence[Any]:
    """Plain values of an array or a Series; a sequence as it is."""
    if type(values) is list:
        return values
    return values.tolist() if hasattr(values, "tolist") else values  # type: ignore[no-any-return]


def stamp(seconds: float) -> bytes:
    """`2026-11-21T10:27:59.123Z` for seconds since 1970."""
    return _stamp(int(seconds * 1000))


@lru_cache(maxsize=1000)
def _stamp(thousandths: int) -> bytes:
    whole, rest = divmod(thousandths, 1000)
    return b"%b.%03dZ" % (_second(whole), rest)


@lru_cache(maxsize=2)
def _second(whole: int) -> bytes:
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _json(value: Any) -> bytes:
    """One line of UTF-8; NaN and infinity become null. What orjson does not take (numbers beyond 64 bits, half of a
    surrogate pair) the standard library writes, in ASCII."""
    try:
        return orjson.dumps(value, default=_said, option=orjson.OPT_SERIALIZE_NUMPY)
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        return json.dumps(_finite(value), default=_said, separators=(",", ":"), allow_nan=False).encode()


def _said(value: Any) -> str:
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value
