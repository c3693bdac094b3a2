"""GitHub, Gitea or GitLab on the loopback, as far as comments, statuses and pull or merge requests go.

    with FakeGitHub() as fake:
        forge = detect(fake.environ())          # a pull request of acme/visits, number 7
        forge.comment("hello")
        assert fake.comments[0]["body"] == ...
        assert not fake.problems                # every request and every answer was as the API's description says

`fake.fault("POST", "/comments", status=503)` answers the next matching request so; `after=True` carries it out first;
`drop=True` closes the connection instead of answering.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from forges import description

TOKEN = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
HEAD, BASE, MERGE = "a" * 40, "b" * 40, "c" * 40


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Fault:
    method: str
    path: str
    status: int
    body: Any
    headers: dict[str, str]
    times: int
    after: bool
    drop: bool


@dataclass
class Reply:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class FakeForge:
    """What the kinds share. State is plain lists that a test may fill and read."""

    prefix = ""  # of the API's paths
    me = "somebody"

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.requests: list[Seen] = []
        self.problems: list[str] = []
        self._faults: list[Fault] = []
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return self.host + self.prefix

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def fault(
        self,
        method: str,
        path: str,
        *,
        status: int = 500,
        body: Any = None,
        headers: dict[str, str] | None = None,
        times: int = 1,
        after: bool = False,
        drop: bool = False,
    ) -> None:
        """The next `times` requests with this method and a path that contains `path` go wrong."""
        self._faults.append(Fault(method, path, status, body, headers or {}, times, after, drop))

    def count(self, method: str, path: str = "") -> int:
        return sum(1 for seen in self.requests if seen.method == method and path in seen.path)

    def add(self, body: str, author: str | None = None, **more: Any) -> dict[str, Any]:
        """A comment that is there already."""
        raise NotImplementedError

    def environ(self, **more: str) -> dict[str, str]:
        """What a job for a pull request finds in its environment."""
        raise NotImplementedError

    # -- one request

    def handle(self, seen: Seen, raw_query: str, raw_body: bytes) -> Reply | None:
        self.requests.append(seen)
        path = seen.path.removeprefix(self.prefix)
        self.problems += self._check_request(seen, path, raw_query, raw_body)
        fault = next(
            (f for f in self._faults if f.times and f.method == seen.method and f.path in seen.path),
            None,
        )
        if fault:
            fault.times -= 1
            if fault.after:
                self._serve(seen, path)
            return None if fault.drop else Reply(fault.status, fault.body, fault.headers)
        reply = self._serve(seen, path)
        self.problems += self._check_reply(seen, path, reply)
        return reply

    def _check_request(self, seen: Seen, path: str, query: str, body: bytes) -> list[str]:
        raise NotImplementedError

    def _check_reply(self, seen: Seen, path: str, reply: Reply) -> list[str]:
        raise NotImplementedError

    def _serve(self, seen: Seen, path: str) -> Reply:
        raise NotImplementedError


class FakeGitHub(FakeForge):
    """api.github.com for acme/visits. The token is that of GitHub Actions unless `me` says whose it is."""

    prefix = ""
    me = "github-actions[bot]"
    project = "acme/visits"

    def __init__(self, me: str | None = None) -> None:
        super().__init__()
        self.me = me or self.me
        self.pulls: list[dict[str, Any]] = []
        self._next = 1

    def add(self, body: str, author: str | None = None, **more: Any) -> dict[str, Any]:
        comment: dict[str, Any] = description.github().example("issue-comment-items")[0]
        login = author or self.me
        id_ = self._next
        self._next += 1
        comment |= {
            "id": id_,
            "body": body,
            "html_url": f"{self.host}/{self.project}/pull/7#issuecomment-{id_}",
            "performed_via_github_app": None,
        } | more
        comment["user"] |= {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}
        self.comments.append(comment)
        return comment

    def environ(self, event: str = "pull_request", payload: Any = None, **more: str) -> dict[str, str]:
        if payload is None:
            payload = {
                "action": "synchronize",
                "number": 7,
                "pull_request": {
                    "number": 7,
                    "head": {"sha": HEAD, "ref": "better", "repo": {"full_name": self.project}},
                    "base": {"sha": BASE, "ref": "main", "repo": {"full_name": self.project}},
                },
                "repository": {"full_name": self.project, "default_branch": "main"},
            }
        path = self.folder / "event.json"
        path.write_text(json.dumps(payload), "utf-8")
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.url,
            "GITHUB_GRAPHQL_URL": f"{self.host}/graphql",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": self.project,
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_SHA": MERGE,
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_RUN_ID": "42",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_ACTOR": "mona",
            "GITHUB_TOKEN": TOKEN,
        } | more

    def _check_request(self, seen: Seen, path: str, query: str, body: bytes) -> list[str]:
        authorised = seen.headers.get("Authorization", "").startswith("Bearer ")
        problems = [] if authorised else [f"{seen.method} {path}: no token"]
        if path == "/graphql":
            return problems
        if seen.headers.get("Accept") != "application/vnd.github+json":
            problems.append(f"{seen.method} {path}: no Accept header")
        return problems + description.github().request(seen.method, path, query, seen.headers, body)

    def _check_reply(self, seen: Seen, path: str, reply: Reply) -> list[str]:
        if path == "/graphql":
            return []
        body = json.dumps(reply.body).encode()
        return description.github().response(seen.method, path, reply.status, reply.headers, body)

    def _serve(self, seen: Seen, path: str) -> Reply:
        listing = f"/repos/{self.project}/issues/7/comments"
        if (seen.method, path) == ("GET", listing):
            return self._page(self.comments, seen)
        if (seen.method, path) == ("POST", listing):
            return Reply(201, self.add(seen.body["body"]))
        if match := re.fullmatch(rf"/repos/{self.project}/issues/comments/(\d+)", path):
            found = next((c for c in self.comments if c["id"] == int(match[1])), None)
            if found is None:
                return Reply(404, {"message": "Not Found"})
            found["body"] = seen.body["body"]
            return Reply(200, found)
        if match := re.fullmatch(rf"/repos/{self.project}/statuses/([0-9a-f]+)", path):
            status: dict[str, Any] = description.github().example("status") | seen.body
            self.statuses.append(status | {"sha": match[1]})
            return Reply(201, status)
        return self._serve_other(seen, path)

    def pull(self, head: str, base: str = "main", *, body: str = "", author: str | None = None) -> dict[str, Any]:
        """An open pull request of the repository itself."""
        pull: dict[str, Any] = description.github().example("pull-request")
        number = 8 + len(self.pulls)
        login = author or self.me
        pull |= {
            "number": number,
            "body": body,
            "state": "open",
            "html_url": f"{self.host}/{self.project}/pull/{number}",
            "labels": [],
            "requested_teams": [],  # the example's lack what the description demands
        }
        for side, ref in (("head", head), ("base", base)):
            pull[side]["ref"] = ref
            pull[side]["repo"]["full_name"] = self.project
        pull["user"] |= {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}
        self.pulls.append(pull)
        return pull

    def _open(self, body: dict[str, Any]) -> Reply:
        ours = [p for p in self.pulls if p["head"]["repo"]["full_name"] == self.project]
        if any((p["head"]["ref"], p["base"]["ref"]) == (body["head"], body["base"]) for p in ours):
            words = f"A pull request already exists for acme:{body['head']}."
            errors = [{"resource": "PullRequest", "code": "custom", "message": words}]
            return Reply(422, {"message": "Validation Failed", "errors": errors, "documentation_url": "x"})
        made = self.pull(body["head"], body["base"], body=body["body"])
        made["title"] = body["title"]
        return Reply(201, made)

    def _serve_pulls(self, seen: Seen, path: str) -> Reply | None:
        if (seen.method, path) == ("POST", f"/repos/{self.project}/pulls"):
            return self._open(seen.body)
        match = re.fullmatch(rf"/repos/{self.project}/(pulls|issues)/(\d+)(/labels)?", path)
        pull = next((p for p in self.pulls if match and p["number"] == int(match[2])), None)
        if not match or pull is None:
            return None
        if seen.method == "PATCH":
            pull |= seen.body
            return Reply(200, pull)
        if seen.method == "POST" and match[3]:
            example = description.github().example("label-items")[0]
            pull["labels"] = [*pull["labels"], *(example | {"name": name} for name in seen.body["labels"])]
            return Reply(200, pull["labels"])
        return None

    def _serve_other(self, seen: Seen, path: str) -> Reply:
        if (reply := self._serve_pulls(seen, path)) is not None:
            return reply
        if path == "/graphql":
            return Reply(200, {"data": {"viewer": {"login": self.me}}})
        if path == "/user":
            if self.me.endswith("[bot]"):
                return Reply(403, {"message": "Resource not accessible by integration", "documentation_url": "x"})
            user = description.github().example("private-user-response-with-public-profile-information")
            return Reply(200, user | {"login": self.me, "user_view_type": "public"})  # which the example forgets
        if path == f"/repos/{self.project}/pulls":
            owner, _, branch = seen.query["head"].partition(":")
            fitting = [
                pull
                for pull in self.pulls
                if pull["head"]["ref"] == branch
                and pull["head"]["repo"]["full_name"].split("/")[0] == owner
                and seen.query.get("base", pull.get("base", {}).get("ref")) == pull.get("base", {}).get("ref")
            ]
            return self._page([_simple(pull) for pull in fitting], seen)
        return Reply(404, {"message": "Not Found"})

    def _page(self, items: list[Any], seen: Seen) -> Reply:
        size, page = int(seen.query.get("per_page", "30")), int(seen.query.get("page", "1"))
        headers = {}
        if page * size < len(items):
            query = urllib.parse.urlencode({"per_page": size, "page": page + 1})
            # As GitHub does: by the number of the repository, at its own idea of its address.
            headers["Link"] = f'<https://api.github.com/repositories/1/x?{query}>; rel="next", <x>; rel="last"'
        return Reply(200, items[(page - 1) * size : page * size], headers)


def _simple(pull: dict[str, Any]) -> dict[str, Any]:
    """A pull request as lists have it."""
    example = description.github().example("pull-request-simple-items")[0]
    return example | {key: value for key, value in pull.items() if key in example}


class FakeGitea(FakeGitHub):
    """The same paths below /api/v1. It knows no `per_page` and lists all comments at once."""

    prefix = "/api/v1"
    me = "gitea-actions"

    def environ(self, event: str = "pull_request", payload: Any = None, **more: str) -> dict[str, str]:
        environ = super().environ(event, payload, **more)
        del environ["GITHUB_GRAPHQL_URL"]
        return environ | {
            "GITEA_ACTIONS": "true",
            "GITHUB_SERVER_URL": self.host,
            "GITHUB_RUN_NUMBER": "3",
        }

    def _check_reply(self, seen: Seen, path: str, reply: Reply) -> list[str]:
        return []  # what Gitea answers is not GitHub's to describe

    def _serve_other(self, seen: Seen, path: str) -> Reply:
        if path == "/user":
            return Reply(403, {"message": "token does not have at least one of required scope(s): [read:user]"})
        if (seen.method, path) == ("GET", f"/repos/{self.project}/pulls"):
            return self._page(self.pulls, seen)  # it knows neither filter
        return super()._serve_other(seen, path)

    def _page(self, items: list[Any], seen: Seen) -> Reply:
        return Reply(200, items)


class FakeGitLab(FakeForge):
    """GitLab for project 12, merge request 7 of it. `link_header=False` pages by X-Next-Page alone."""

    prefix = "/api/v4"
    me = "project_12_bot"

    def __init__(self, *, link_header: bool = True) -> None:
        super().__init__()
        self._link_header = link_header
        self.merges: list[dict[str, Any]] = []
        self._next = 1
        self._ids = {self.me: 100}

    def user(self, login: str) -> dict[str, Any]:
        id_ = self._ids.setdefault(login, 100 + len(self._ids))
        own = {"commit_email": f"{login}@noreply.gitlab.test"} if login == self.me else {}
        found = {"id": id_, "username": login, "name": login, "state": "active", "web_url": f"{self.host}/{login}"}
        return found | own

    def merge(
        self, head: str, base: str = "main", *, body: str = "", author: str = "", fork: bool = False
    ) -> dict[str, Any]:
        """An open merge request of the project itself, or of a fork of it."""
        iid = 8 + len(self.merges)
        merge = {
            "id": 700 + iid,
            "iid": iid,
            "project_id": 12,
            "title": "A merge request",
            "description": body,
            "state": "opened",
            "source_branch": head,
            "target_branch": base,
            "source_project_id": 13 if fork else 12,
            "target_project_id": 12,
            "author": self.user(author or self.me),
            "labels": [],
            "web_url": f"{self.host}/acme/visits/-/merge_requests/{iid}",
            "created_at": "2026-01-02T03:04:05.678Z",
            "updated_at": "2026-01-02T03:04:05.678Z",
        }
        self.merges.append(merge)
        return merge

    def _serve_merges(self, seen: Seen, path: str) -> Reply | None:
        listing = "/projects/12/merge_requests"
        if (seen.method, path) == ("GET", listing):
            wanted = ("source_branch", "target_branch")
            return Reply(200, [m for m in self.merges if all(m[key] == seen.query[key] for key in wanted)])
        if (seen.method, path) == ("POST", listing):
            head, base = seen.body["source_branch"], seen.body["target_branch"]
            same = [m for m in self.merges if (m["source_branch"], m["source_project_id"]) == (head, 12)]
            if same:
                words = f"Another open merge request already exists for this source branch: !{same[0]['iid']}"
                return Reply(409, {"message": [words]})
            made = self.merge(head, base, body=seen.body["description"])
            made["title"] = seen.body["title"]
            return Reply(201, made)
        match = re.fullmatch(rf"{listing}/(\d+)", path)
        merge = next((m for m in self.merges if match and m["iid"] == int(match[1])), None)
        if merge is None or seen.method != "PUT":
            return None
        merge["description"] = seen.body.get("description", merge["description"])
        added = seen.body.get("add_labels", "")
        merge["labels"] = [*merge["labels"], *(label for label in added.split(",") if label)]
        return Reply(200, merge)

    def add(self, body: str, author: str | None = None, **more: Any) -> dict[str, Any]:
        note = {
            "id": self._next,
            "type": None,
            "body": body,
            "author": self.user(author or self.me),
            "system": False,
            "noteable_id": 70,
            "noteable_iid": 7,
            "noteable_type": "MergeRequest",
            "resolvable": False,
            "confidential": False,
            "created_at": "2026-01-02T03:04:05.678Z",
            "updated_at": "2026-01-02T03:04:05.678Z",
            "commands_changes": {},
        } | more
        self._next += 1
        self.comments.append(note)
        return note

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "GITLAB_CI": "true",
            "CI": "true",
            "CI_API_V4_URL": self.url,
            "CI_SERVER_URL": self.host,
            "CI_PROJECT_ID": "12",
            "CI_PROJECT_URL": f"{self.host}/acme/visits",
            "CI_DEFAULT_BRANCH": "main",
            "CI_PIPELINE_ID": "900",
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_PIPELINE_URL": f"{self.host}/acme/visits/-/pipelines/900",
            "CI_JOB_ID": "901",
            "CI_JOB_URL": f"{self.host}/acme/visits/-/jobs/901",
            "CI_JOB_TOKEN": "glcbt-64_made-up",
            "CI_COMMIT_SHA": MERGE,
            "CI_COMMIT_BEFORE_SHA": "0" * 40,
            "CI_COMMIT_REF_NAME": "better",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_PROJECT_ID": "12",
            "CI_MERGE_REQUEST_PROJECT_URL": f"{self.host}/acme/visits",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "12",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "better",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": HEAD,
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": BASE,
            "CI_MERGE_REQUEST_EVENT_TYPE": "merged_result",
            "GITLAB_USER_LOGIN": "mona",
            "GITLAB_TOKEN": "glpat-made-up",
        } | more

    def _check_request(self, seen: Seen, path: str, query: str, body: bytes) -> list[str]:
        problems = [] if "PRIVATE-TOKEN" in seen.headers else [f"{seen.method} {path}: no token"]
        return problems + description.gitlab().request(seen.method, path, query, seen.headers, body)

    def _check_reply(self, seen: Seen, path: str, reply: Reply) -> list[str]:
        body = json.dumps(reply.body).encode()
        return description.gitlab().response(seen.method, path, reply.status, reply.headers, body)

    def _serve(self, seen: Seen, path: str) -> Reply:
        if (reply := self._serve_merges(seen, path)) is not None:
            return reply
        listing = "/projects/12/merge_requests/7/notes"
        if (seen.method, path) == ("GET", listing):
            return self._page(seen)
        if (seen.method, path) == ("POST", listing):
            return Reply(201, self.add(seen.body["body"]))
        if match := re.fullmatch(rf"{listing}/(\d+)", path):
            found = next((c for c in self.comments if c["id"] == int(match[1])), None)
            if found is None:
                return Reply(404, {"message": "404 Not found"})
            found["body"] = seen.body["body"]
            return Reply(200, found)
        if match := re.fullmatch(r"/projects/12/statuses/([0-9a-f]+)", path):
            return self._status(match[1], seen.body)
        if path == "/user":
            return Reply(200, self.user(self.me))
        return Reply(404, {"message": "404 Project Not Found"})

    def _status(self, sha: str, body: dict[str, Any]) -> Reply:
        # As the real one: the pipeline must be that of the commit, and a state is not set twice.
        if (sha, body.get("pipeline_id")) != (MERGE, 900):
            return Reply(404, {"message": "404 Pipeline for pipeline_id, sha and ref Not Found"})
        last = next((s for s in reversed(self.statuses) if s["name"] == body["name"]), None)
        if last and last["status"] == body["state"] == "pending":
            words = "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition)"
            return Reply(400, {"message": words})
        status = {
            "id": len(self.statuses) + 1,
            "sha": sha,
            "ref": "refs/merge-requests/7/merge",
            "status": body["state"],
            "name": body["name"],
            "target_url": body.get("target_url"),
            "description": body.get("description"),
            "created_at": "2026-01-02T03:04:05.678Z",
            "pipeline_id": body["pipeline_id"],
            "author": self.user(self.me),
        }
        self.statuses.append(status)
        return Reply(201, status)

    def _page(self, seen: Seen) -> Reply:
        size, page = int(seen.query.get("per_page", "20")), int(seen.query.get("page", "1"))
        items = self.comments if seen.query.get("sort") == "asc" else self.comments[::-1]
        more = page * size < len(items)
        headers = {"X-Next-Page": str(page + 1) if more else ""}
        if more and self._link_header:
            query = urllib.parse.urlencode({**seen.query, "page": page + 1})
            headers["Link"] = f'<http://gitlab.internal/api/v4/x?{query}>; rel="next"'
        # Notes that the reader may not see are left out after the page is made: a page can have fewer, or none.
        shown = [item for item in items[(page - 1) * size : page * size] if not item.get("hidden")]
        return Reply(200, shown, headers)


def basic(header: str) -> str:
    """`user:password` of a Basic header."""
    return base64.b64decode(header.rsplit(" ", maxsplit=1)[-1]).decode()


def _handler(fake: FakeForge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _any(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen = Seen(
                self.command,
                urllib.parse.unquote(url.path),
                dict(urllib.parse.parse_qsl(url.query)),
                dict(self.headers.items()),
                json.loads(body) if body else None,
            )
            reply = fake.handle(seen, url.query, body)
            if reply is None:
                self.close_connection = True
                return
            raw = isinstance(reply.body, str)
            data = reply.body.encode() if raw else json.dumps(reply.body).encode() if reply.body is not None else b""
            self.send_response(reply.status)
            headers = {"Content-Type": "text/html" if raw else "application/json"} | reply.headers
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - http.server's names

    return Handler
