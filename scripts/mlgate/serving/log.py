"""The prediction log: one JSON line for each predicted row, with the columns that were named and no others.

A request costs the answer one `put`, which keeps what is logged of it; lines are made and written by a thread of their
own, many at a time: what runs often in a row runs faster than what runs between other things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate.errors import MlgateError
from mlgate.serving import files
from mlgate.serving.lines import Lines, Named, Taken
from mlgate.serving.metrics import Metrics
from mlgate.serving.settings import Identity, Log
from mlgate.serving.writer import CHUNK, Writer

KEY = "MLGATE_LOG_KEY"
_SHORTEST = 16  # characters; the hash of a guessable value is only as good as the key is not guessable


@dataclass(slots=True)
class Answer:
    """One answered request, by column: `columns`, `predictions` and `scores` hold a value for each row."""

    request_id: str
    time: float  # seconds since 1970, when the request came
    seconds: float  # it took
    columns: Named
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
        key = _key(settings, environ)
        self._lines = Lines(identity, environment, settings.features, settings.hashed, key)

        def target() -> files.Target:
            if settings.to == "file":
                return files.Rotated(Path(settings.path), octets=settings.max_bytes, keep=settings.keep)
            return files.Stream(stdout, None if shared is None else shared / "stdout.lock")

        self._writer: Writer[Answer | Taken] | None = None
        if settings.to != "none":
            self._writer = Writer(
                "prediction log",
                target,
                self._encode,
                metrics.logged,
                limit=settings.queue,
                chunk=min(CHUNK, settings.max_bytes),
                say=say,
            )

    def start(self) -> None:
        if self._writer is not None:
            self._writer.start()

    def put(self, answer: Answer) -> None:
        """Never waits, never raises."""
        writer = self._writer
        if writer is None:
            return
        rows = len(answer.predictions)
        item: Answer | Taken = answer
        if rows == 1:
            try:
                item = self._lines.taken(answer)
            except Exception:  # columns that are no lists: the thread knows more of them
                item = answer
        writer.put(item, rows, rows)

    def _encode(self, item: Answer | Taken) -> Iterable[bytes]:
        return (self._lines.one(item),) if isinstance(item, tuple) else self._lines.all(item)

    def close(self) -> None:
        """Writes what waits; what the disk does not take in time is counted as dropped."""
        if self._writer is not None:
            self._writer.close()


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
