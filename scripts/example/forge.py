"""As much of GitHub's API as the jobs of this story ask: pull requests, issues, and workflows that are started.

It listens on this machine only, knows one repository, and forgets everything at the end. Standard library only.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BOT = {"login": "github-actions[bot]", "type": "Bot"}


class Forge:
    """`with Forge("ada/doctor-visits") as forge:`, and its address is `forge.api`."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.pulls: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.started: list[dict[str, Any]] = []  # workflows, with what they were given
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.api = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Forge:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        for wanted, pattern, handle in self._routes():
            if wanted == method and (found := re.fullmatch(f"/repos/{self.project}/{pattern}", path)):
                return handle(found, body)
        return 404, {"message": "Not Found"}

    # -- inside ------------------------------------------------------------------------------------------------------

    def _routes(self) -> list[tuple[str, str, Callable[[re.Match[str], dict[str, Any]], tuple[int, Any]]]]:
        return [
            ("GET", "pulls", lambda _, __: (200, self.pulls)),
            ("POST", "pulls", self._pull),
            ("GET", "issues", lambda _, __: (200, self.issues)),
            ("POST", "issues", self._issue),
            ("PATCH", r"issues/(\d+)", self._edit),
            ("POST", r"issues/(\d+)/labels", lambda _, body: (200, [{"name": name} for name in body["labels"]])),
            ("POST", r"actions/workflows/([\w.-]+)/dispatches", self._start),
        ]

    def _pull(self, _: re.Match[str], body: dict[str, Any]) -> tuple[int, Any]:
        repo = {"repo": {"full_name": self.project}}
        made = {
            **self._made("pull", body),
            "head": {"ref": body["head"], **repo},
            "base": {"ref": body["base"], **repo},
        }
        self.pulls.append(made)
        return 201, made

    def _issue(self, _: re.Match[str], body: dict[str, Any]) -> tuple[int, Any]:
        made = self._made("issues", body)
        self.issues.append(made)
        return 201, made

    def _edit(self, found: re.Match[str], body: dict[str, Any]) -> tuple[int, Any]:
        for one in self.issues:
            if one["number"] == int(found[1]):
                one |= {key: body[key] for key in ("body", "state") if key in body}
                return 200, one
        return 404, {"message": "Not Found"}

    def _start(self, found: re.Match[str], body: dict[str, Any]) -> tuple[int, Any]:
        self.started.append({"workflow": found[1], "ref": body["ref"], "inputs": body.get("inputs", {})})
        return 204, None

    def _made(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        number = len(self.pulls) + len(self.issues) + 1
        url = f"https://github.com/{self.project}/{what}/{number}"
        said = {"title": body["title"], "body": body.get("body", ""), "labels": []}
        return {"number": number, "html_url": url, "state": "open", "user": BOT, **said}


def _handler(forge: Forge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(data) if data else {}
            status, found = forge.answer(self.command, self.path.partition("?")[0], body)
            answer = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815 -- names of http.server

        def log_message(self, *_: object) -> None:
            pass

    return Handler
