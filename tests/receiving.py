"""Services that messages go to, on the loopback: webhooks of any kind, and a mail server.

with Receiver() as service:
    service.answer(429, {"Retry-After": "3"})       # to the next request; then 200 "ok" again
    ...
    assert service.seen[0].json == {...}
"""

from __future__ import annotations

import asyncio
import json
import threading
import warnings
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what apprise's plugins import
    from apprise.plugins import pagerduty
    from apprise.plugins.custom_json import NotifyJSON
    from apprise.plugins.slack import NotifySlack

__all__ = ["MailServer", "NotifyJSON", "NotifySlack", "Receiver", "Request", "pagerduty"]


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """A web server that keeps what it gets. Answers are given in order, then `200 ok` as Slack's webhooks have it."""

    def __init__(self, body: bytes = b"ok") -> None:
        self.seen: list[Request] = []
        self._body = body
        self._answers: list[tuple[int, dict[str, str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def answer(self, status: int, headers: dict[str, str] | None = None, *, times: int = 1) -> None:
        """To the next requests; status 0 closes the connection without an answer."""
        self._answers += [(status, headers or {})] * times

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                receiver.seen.append(Request(self.path, dict(self.headers.items()), body))
                status, headers = receiver._answers.pop(0) if receiver._answers else (200, {})
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver._body)))
                self.end_headers()
                self.wfile.write(receiver._body)

        return Handler


class MailServer:
    """A mail server that keeps what it gets, and knows one user if it is told of one."""

    def __init__(self, *, user: str = "", password: str = "", refuse: int = 0) -> None:
        self.got: list[tuple[list[str], Message]] = []
        self.tries = 0
        self._user, self._password, self._refuse = user, password, refuse

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- its name
        del server, session
        self.tries += 1
        if self._refuse:
            self._refuse -= 1
            return "451 try again later"
        assert isinstance(envelope.content, bytes)
        self.got.append((list(envelope.rcpt_tos), message_from_bytes(envelope.content)))
        return "250 OK"

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        del server, session, envelope, mechanism
        fits = (data.login, data.password) == (self._user.encode(), self._password.encode())
        return AuthResult(success=fits, handled=False)

    def __enter__(self) -> Self:
        asks: dict[str, Any] = {"authenticator": self._authenticate, "auth_required": True, "auth_require_tls": False}
        options = asks if self._user else {}
        self._loop = asyncio.new_event_loop()
        made = self._loop.create_server(lambda: SMTP(self, loop=self._loop, **options), "127.0.0.1", 0)
        self._server = self._loop.run_until_complete(made)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        """With whatever connections are still open."""
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports are closed by the loop itself, a step later

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])
