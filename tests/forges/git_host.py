"""A real bare repository behind real HTTP: git's own http-backend, on the loopback. Nobody gets in without a token.

with GitHost(folder, let_in={"x-access-token:ghs_x"}) as host:
    git push http://127.0.0.1:PORT/acme/visits main     # with the header, else 401
    host.seen                                           # the credentials of each request that was let in or not
"""

from __future__ import annotations

import base64
import os
import subprocess
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from builder import environment


class GitHost:
    """`read` may fetch, `write` may push as well: each `user:token`."""

    def __init__(self, folder: Path, *, write: set[str], read: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.folder = folder
        self.write, self.read = write, set(read)
        self.seen: list[str] = []
        self.refusal = (403, "Write access to repository not granted.")
        self.bare = folder / "acme/visits.git"
        self.bare.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main", ".")
        self.git("config", "http.receivepack", "true")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.bare, env=environment(), capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def branches(self) -> dict[str, str]:
        lines = self.git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads").splitlines()
        return dict(line.split(" ") for line in lines)  # type: ignore[misc]

    def hook(self, name: str, *lines: str) -> None:
        """A hook of the server, as forges use them to refuse."""
        file = self.bare / "hooks" / name
        file.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
        file.chmod(0o755)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def backend(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> bytes:
        if not path.split("/")[2].endswith(".git"):  # forges know a repository by both names
            path = path.replace("/acme/visits", "/acme/visits.git", 1)
        env = {
            **environment(),
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": method,
            "CONTENT_TYPE": headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
            "REMOTE_USER": "somebody",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        return done.stdout


def _handler(host: GitHost) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _any(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            body = self._body()
            given = self.headers.get_all("Authorization") or []
            who = base64.b64decode(given[0].rsplit(" ", 1)[-1]).decode() if len(given) == 1 else ""
            host.seen.append(who)
            if len(given) > 1:
                self._answer(400, {}, b"two Authorization headers")
            elif who not in host.write | host.read:
                self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
            elif "receive-pack" in self.path and who not in host.write:
                status, words = host.refusal
                self._answer(status, {"Content-Type": "text/plain"}, words.encode())
            else:
                headers = {key.lower(): value for key, value in self.headers.items()}
                head, _, rest = host.backend(self.command, url.path, url.query, headers, body).partition(b"\r\n\r\n")
                fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
                status = int(fields.pop("Status", "200").split()[0])
                self._answer(status, fields, rest)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                found = b""
                while size := int(self.rfile.readline(), 16):
                    found += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return found
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _any  # noqa: N815 - http.server's names

    return Handler


def leaked(secret: str, folder: Path) -> list[str]:
    """Files below a folder that hold a secret, plain or as it is sent."""
    sent = {base64.b64encode(f"{user}:{secret}".encode()) for user in ("x-access-token", "oauth2", "gitlab-ci-token")}
    wanted = {secret.encode(), *sent}
    files = (Path(top) / name for top, _, names in os.walk(folder) for name in names)
    return [str(file) for file in files if any(word in file.read_bytes() for word in wanted)]
