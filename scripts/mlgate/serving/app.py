"""The application: one model, three protocols, and what an operator asks. Runs under any ASGI server."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.responses import Response

from mlgate.serving import answers, limits, metrics, models, openapi, probing, requestid, v2
from mlgate.serving.answers import Reply
from mlgate.serving.inputs import Reader, known
from mlgate.serving.log import Sink
from mlgate.serving.refused import RefusedError
from mlgate.serving.replay import Replay
from mlgate.serving.routes import Call, Handler, Routes, answer, say
from mlgate.serving.runner import Runner
from mlgate.serving.settings import Settings

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_WAITING = 1_000  # requests under way in one worker
_LOST = 3  # calls that did not return, after which this worker is not ready any more
_ID = b"x-request-id"


class App:
    """ASGI. `draining`: set by who stops the server; it is alive, not ready, and closes connections as it answers.

    `replace`: called when a call of the model has not returned, so that whoever supervises this process replaces it.
    """

    def __init__(self, settings: Settings, model: models.Model, *, environment: str) -> None:
        self.settings = settings
        self.environment = environment
        self.model = model
        self.draining = False
        self.replace: Callable[[], None] = lambda: None
        identity = settings.identity
        inputs = known(settings.inputs, model.inputs)
        self.probed = probing.probe(model, inputs, Reader(inputs, model.dtypes, 1).dtypes)
        self.reader = Reader(self.probed.inputs, model.dtypes, settings.max_rows)
        self.runner = Runner(model, timeout=settings.timeout, waiting=_WAITING, stuck=self._hangs)
        name = f"/v2/models/{identity.model}"
        infer = [f"{name}/infer", *([f"{name}/versions/{identity.version}/infer"] if identity.version else [])]
        shared = metrics.shared()
        self.metrics = metrics.Metrics(
            identity, environment, routes=("/predict", "/invocations", "/v2/infer"), shared=shared
        )
        self.sink = Sink(settings.log, identity, environment, metrics=self.metrics, environ=os.environ, shared=shared)
        self.replay = Replay(settings.replay, metrics=self.metrics)
        routes = Routes(settings, model, self.reader, runner=self.runner, sink=self.sink, replay=self.replay)
        # What is asked a thousand times a second is found here; the rest goes through the framework's own routing.
        self._hot: dict[str, tuple[str, Handler]] = {
            "/predict": ("/predict", routes.predict),
            "/invocations": ("/invocations", routes.invocations),
            **dict.fromkeys(infer, ("/v2/infer", routes.infer)),
        }
        self.api = self._api()

    def _hangs(self) -> None:
        say(f"the model did not answer within {self.settings.timeout:g} s; its thread is left, and a new one goes on")
        self.replace()

    @property
    def ready(self) -> bool:
        return not self.draining and self.runner.lost < _LOST

    async def __call__(self, scope: Scope, receive: limits.Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.api(scope, receive, send)
            return
        hot = self._hot.get(scope["path"])
        headers = dict(scope["headers"])
        request_id = requestid.take(headers.get(_ID))
        if hot is None:
            await self.api(scope, receive, self._named(send, request_id))
            return
        route, handler = hot
        started = time.perf_counter()
        self.metrics.began()
        status, rows = 500, 0
        try:
            if scope["method"] == "POST":
                reply = await answer(handler, Call(headers, receive, request_id, started, time.time()), route)
            else:
                reply = answers.refusal(RefusedError(405, "Ask for a prediction by POST."), request_id, route)
                reply.headers = ((b"allow", b"POST"),)
            status, rows = reply.status, reply.rows
            await self._send(reply, request_id, receive, send)
        finally:
            self.metrics.observe(route, status, time.perf_counter() - started, rows)

    async def _send(self, reply: Reply, request_id: str, receive: limits.Receive, send: Send) -> None:
        headers = [
            (b"content-type", reply.type),
            (b"content-length", b"%d" % len(reply.body)),
            (_ID, request_id.encode()),
            *reply.headers,
        ]
        if reply.close or self.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if reply.close:  # its sender is still sending
            await send({"type": "http.response.body", "body": reply.body, "more_body": True})
            await limits.discard(receive)
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.body", "body": reply.body})

    def _named(self, send: Send, request_id: str) -> Send:
        """What the framework answers, with the request id and, while draining, an end to the connection."""

        async def named(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (_ID, request_id.encode())]
                message["headers"] = [*headers, (b"connection", b"close")] if self.draining else headers
            await send(message)

        return named

    # -- what an operator asks ---------------------------------------------------------------------------------------

    def _api(self) -> FastAPI:
        identity = self.settings.identity
        api = FastAPI(title=identity.model, lifespan=self._lifespan, openapi_url=None, docs_url=None, redoc_url=None)
        document = orjson.dumps(openapi.document(self.settings, self.reader))
        who = {
            "model": identity.model, "version": identity.version, "digest": identity.digest,
            "commit": identity.commit, "decision": identity.decision, "environment": self.environment,
        }  # fmt: skip
        about = v2.metadata(identity, self.reader, self.model.kind, self.probed.said)

        def get(path: str, body: Callable[[], tuple[int, Any]]) -> None:
            async def endpoint() -> Response:
                status, said = body()
                data = said if isinstance(said, bytes) else orjson.dumps(said)
                return Response(data, status, media_type="application/json")

            api.add_api_route(path, endpoint, methods=["GET"], include_in_schema=False, response_model=None)

        def ready(said: Callable[[str], Any]) -> Callable[[], tuple[int, Any]]:
            return lambda: (
                (200, said("healthy")) if self.ready else (503, said("draining" if self.draining else "unhealthy"))
            )

        get("/health/live", lambda: (200, {"status": "alive"}))
        get("/health/ready", ready(lambda word: {"status": word}))
        get("/health", ready(lambda word: {"status": word}))
        get("/ping", ready(lambda word: b"\n"))
        get("/version", lambda: (200, who))
        get("/openapi.json", lambda: (200, document))
        get("/v2", lambda: (200, {"name": "mlgate", "version": "2", "extensions": ["binary_tensor_data"]}))
        get("/v2/health/live", lambda: (200, {"live": True}))
        get("/v2/health/ready", ready(lambda word: {"ready": word == "healthy"}))
        for path in (f"/v2/models/{identity.model}", f"/v2/models/{identity.model}/versions/{identity.version}"):
            if not path.endswith("/"):
                get(path, lambda: (200, about))
                get(f"{path}/ready", ready(lambda word: {"name": identity.model, "ready": word == "healthy"}))

        async def measured() -> Response:
            return Response(self.metrics.render(), media_type=metrics.CONTENT_TYPE)

        api.add_api_route("/metrics", measured, methods=["GET"], include_in_schema=False, response_model=None)

        async def lost(request: Any, error: Any) -> Response:
            words = {404: "There is nothing at this address.", 405: "This address does not take that method."}
            said = {"error": words.get(error.status_code, str(error.detail))}
            return Response(orjson.dumps(said), error.status_code, error.headers, "application/json")

        from starlette.exceptions import HTTPException  # noqa: PLC0415 -- beside its use

        api.add_exception_handler(HTTPException, lost)
        return api

    @asynccontextmanager
    async def _lifespan(self, api: FastAPI) -> AsyncIterator[None]:
        self.metrics.start()
        self.sink.start()
        self.replay.start()
        self.runner.start()
        try:
            yield
        finally:
            self.runner.close()
            self.sink.close()
            self.replay.close()
            self.metrics.close()


def create(settings: Settings, model: Path, *, environment: str) -> App:
    """Loads the model. Raises MlgateError when it does not load here, or when the settings contradict each other."""
    return App(settings, models.load(model, settings), environment=environment)
