"""What each address answers. Every answer has a request id; what goes wrong inside is in the server's log alone."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgate.serving import answers, bodies, limits, v2
from mlgate.serving.answers import Reply, UnfitError
from mlgate.serving.columns import Columns
from mlgate.serving.inputs import Reader
from mlgate.serving.log import Answer, Sink
from mlgate.serving.models import Model, Predicted
from mlgate.serving.refused import RefusedError
from mlgate.serving.replay import Replay
from mlgate.serving.runner import Runner
from mlgate.serving.settings import Settings
from mlgate.serving.tabular import csv_table

_FORM = b"application/x-www-form-urlencoded"  # what curl says of `-d '{...}'`
_JSON_TYPES = (b"", b"application/json", _FORM)


@dataclass(slots=True)
class Call:
    """One request: its headers (lower case), its id, and when it came."""

    headers: dict[bytes, bytes]
    receive: limits.Receive
    request_id: str
    started: float  # of time.perf_counter
    at: float  # seconds since 1970

    @property
    def type(self) -> bytes:
        return self.headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()


Handler = Callable[[Call], Awaitable[Reply]]


class Routes:
    """The three ways to ask for a prediction, over one model."""

    def __init__(self, settings: Settings, model: Model, reader: Reader, *, runner: Runner, sink: Sink, replay: Replay):
        self._settings = settings
        self._model = model
        self._reader = reader
        self._runner = runner
        self._sink = sink
        self._replay = replay
        self._raw = getattr(model, "raw", None) if getattr(model, "loose", False) else None

    async def predict(self, call: Call) -> Reply:
        body = await self._body(call)
        _require(call, _JSON_TYPES)
        self._replay.offer(call.request_id, body, "application/json", "/predict")
        columns = self._reader.read(bodies.decode(body))
        said = await self._predicted(columns)
        version = self._settings.identity.version or self._settings.identity.digest
        made = answers.predict(said, version, call.request_id, single=columns.single)
        self._log(call, columns, said)
        return Reply(200, made, rows=columns.rows)

    async def invocations(self, call: Call) -> Reply:
        body = await self._body(call)
        if self._raw is not None:
            return await self._as_mlflow(call, body)
        if call.type == b"text/csv":
            _charset(call)
            columns = self._reader.check(csv_table(body, self._reader, self._settings.max_rows))
            params = None
        else:
            _require(call, (b"application/json",))
            data = bodies.decode(body, nan=True)
            params = data.pop("params", None) if isinstance(data, dict) and "params" not in self._reader.names else None
            if params is not None and not isinstance(params, dict):
                raise RefusedError(400, "`params` has to be an object.")
            columns = self._reader.read(data)
        self._replay.offer(call.request_id, body, call.type.decode("latin-1"), "/invocations")
        said = await self._runner.call("invoke", columns, params)
        made = answers.invocations(said)
        self._log(call, columns, Predicted(said))
        return Reply(200, made, rows=columns.rows)

    async def infer(self, call: Call) -> Reply:
        body = await self._body(call)
        _require(call, (*_JSON_TYPES, b"application/octet-stream"))
        request = v2.read(body, call.headers.get(v2.LENGTH), self._reader)
        self._replay.offer(call.request_id, body, call.type.decode("latin-1"), "/v2/infer")
        said = await self._predicted(request.columns)
        identity = self._settings.identity
        made, length = v2.reply(said, request, identity.model, identity.version, call.request_id)
        self._log(call, request.columns, said)
        if length is None:
            return Reply(200, made, rows=request.columns.rows)
        headers = ((v2.LENGTH, b"%d" % length),)
        return Reply(200, made, b"application/octet-stream", headers, rows=request.columns.rows)

    # -- parts -------------------------------------------------------------------------------------------------------

    async def _body(self, call: Call) -> bytes:
        if call.headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise RefusedError(415, "Compressed bodies are not taken.")
        return await limits.body(
            call.headers, call.receive, most=self._settings.max_body, seconds=self._settings.timeout
        )

    async def _predicted(self, columns: Columns) -> Predicted:
        said: Predicted = await self._runner.call("predict", columns)
        return answers.sound(said)

    async def _as_mlflow(self, call: Call, body: bytes) -> Reply:
        """A model that takes what no table can hold: MLflow reads the request and words the answer."""
        type_ = call.headers.get(b"content-type", b"application/json").decode("latin-1")
        raw = self._raw
        assert raw is not None  # noqa: S101 -- for the type checker
        status, said, mime = await self._runner.run(lambda: raw(body, type_))
        if status != 200:
            raise RefusedError(status, said.decode("utf-8", "replace"))
        return Reply(200, said, mime.encode(), rows=1)

    def _log(self, call: Call, columns: Columns, said: Predicted) -> None:
        predictions = said.prediction
        if not isinstance(predictions, list | tuple | np.ndarray) or len(predictions) != columns.rows:
            predictions = [predictions] * columns.rows  # one answer for all rows
        scores: Any = said.probability
        taken = time.perf_counter() - call.started
        self._sink.put(Answer(call.request_id, call.at, taken, columns, predictions, scores))


def _require(call: Call, types: tuple[bytes, ...]) -> None:
    type_ = call.type
    if type_ not in types and not type_.endswith(b"+json"):
        named = type_.decode("latin-1", "replace")
        raise RefusedError(415, f"The content type {named!r} is not taken here. Send application/json.")
    _charset(call)


def _charset(call: Call) -> None:
    charset = call.headers.get(b"content-type", b"").lower().partition(b"charset=")[2]
    if charset and charset.strip(b' "').split(b";")[0].strip(b'" ') not in (b"utf-8", b"utf8", b"us-ascii"):
        raise RefusedError(415, "Only UTF-8 is read.")


async def answer(handler: Handler, call: Call, route: str) -> Reply:
    """What the handler answers; a refusal in the words of its route; for what went wrong inside, 500 and no detail."""
    try:
        return await handler(call)
    except RefusedError as refused:
        return answers.refusal(refused, call.request_id, route)
    except UnfitError as unfit:
        say(f"request {call.request_id} on {route}: the model gave no usable answer: {unfit}")
    except Exception as error:
        say(f"request {call.request_id} on {route}: {type(error).__name__}: {error}", error)
    return answers.refusal(RefusedError(500, "Something went wrong inside the server."), call.request_id, route)


def say(message: str, error: BaseException | None = None) -> None:
    """One record of the server's own log, which is standard error: standard output is the prediction log's."""
    lines: list[Any] = [f"mlgate: {message}\n"]
    if error is not None:
        lines += traceback.format_exception(error)
    sys.stderr.write("".join(lines))
    sys.stderr.flush()
