"""Published API descriptions, cut down to the operations that mlgate uses, and requests and answers checked by them."""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

import tools

HERE = Path(__file__).parent
HOST = "http://forge.test"  # descriptions are matched by path; which host a fake runs on does not matter

GITHUB = {
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ["get", "post"],
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ["patch"],
    "/repos/{owner}/{repo}/issues": ["get", "post"],
    "/repos/{owner}/{repo}/issues/{issue_number}": ["get", "patch"],
    "/repos/{owner}/{repo}/statuses/{sha}": ["post"],
    "/repos/{owner}/{repo}/pulls": ["get", "post"],
    "/repos/{owner}/{repo}/pulls/{pull_number}": ["get", "patch"],
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews": ["get"],
    "/repos/{owner}/{repo}/issues/{issue_number}/events": ["get"],
    "/repos/{owner}/{repo}/activity": ["get"],
    "/repos/{owner}/{repo}/collaborators/{username}/permission": ["get"],
    "/repos/{owner}/{repo}/issues/{issue_number}/labels": ["post"],
    "/repos/{owner}/{repo}": ["get"],
    "/repos/{owner}/{repo}/rules/branches/{branch}": ["get"],
    "/repos/{owner}/{repo}/branches/{branch}": ["get"],
    "/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts": ["get"],
    "/repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}": ["get"],
    "/repos/{owner}/{repo}/actions/runs/{run_id}": ["get"],
    "/repos/{owner}/{repo}/actions/runs/{run_id}/approvals": ["get"],
    "/repos/{owner}/{repo}/environments/{environment_name}": ["get"],
    "/repos/{owner}/{repo}/commits/{ref}": ["get"],
    "/repos/{owner}/{repo}/commits/{commit_sha}/pulls": ["get"],
    "/repos/{owner}/{repo}/deployments": ["get", "post"],
    "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses": ["get", "post"],
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches": ["post"],
    "/repos/{owner}/{repo}/dispatches": ["post"],
    "/user": ["get"],
}


@dataclass
class _Request:
    method: str
    path: str
    parameters: RequestParameters
    body: bytes | None
    content_type: str
    host_url: str = HOST


@dataclass
class _Response:
    status_code: int
    data: bytes
    headers: Headers
    content_type: str = "application/json"


@dataclass
class Description:
    """One API. `problems` of a request or an answer are sentences; none means that it is as described."""

    document: dict[str, Any]
    _openapi: OpenAPI = field(init=False)

    def __post_init__(self) -> None:
        self.document["servers"] = [{"url": HOST}]
        self._openapi = OpenAPI.from_dict(self.document)

    def request(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> list[str]:
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
        request = self._request(method, path, pairs, headers, body)
        try:
            self._openapi.validate_request(request)
        except OpenAPIError as error:
            return [f"{method} {path}: {error}: {error.__cause__ or ''}"]
        operation = self._operation(method, path)
        return [f"{method} {path}: {what}" for what in self._unknown(operation, pairs, body)]

    def response(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
        operation = self._operation(method, path)
        if operation is None or str(status) not in operation["responses"]:
            return [] if status >= 400 else [f"{method} {path}: the answer {status} is not described"]
        described = self._resolve(operation["responses"][str(status)])
        if "content" not in described:
            return []
        request = self._request(method, path, [], {"Content-Type": "application/json"}, b"{}")
        try:
            self._openapi.validate_response(request, _Response(status, body, Headers(dict(headers))))
        except OpenAPIError as error:
            cause = error.__cause__
            errors = getattr(cause, "schema_errors", [])
            return [f"{method} {path}: answer {status}: {error}: {[str(e.message) for e in errors] or cause}"]
        return []

    def example(self, name: str) -> Any:
        """A fresh copy of an example that the description gives."""
        return json.loads(json.dumps(self.document["components"]["examples"][name]["value"]))

    def _request(
        self, method: str, path: str, query: list[tuple[str, str]], headers: Mapping[str, str], body: bytes
    ) -> _Request:
        return _Request(
            method=method.lower(),
            path=path,
            parameters=RequestParameters(query=ImmutableMultiDict(query), header=Headers(dict(headers))),
            body=body or None,
            content_type=headers.get("Content-Type", "application/json").split(";")[0],
        )

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for template, operations in self.document["paths"].items():
            if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and method.lower() in operations:
                operation = operations[method.lower()]
                return {**operation, "all": [*operations.get("parameters", []), *operation.get("parameters", [])]}
        return None

    def _unknown(self, operation: dict[str, Any] | None, query: list[tuple[str, str]], body: bytes) -> Iterator[str]:
        """What the validator lets pass: names that the description does not know."""
        if operation is None:
            yield "is not described"
            return
        known = {found["name"] for found in map(self._resolve, operation["all"]) if found["in"] == "query"}
        yield from (f"the query has `{name}`, which is not described" for name, _ in query if name not in known)
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body and not content:
            yield "has a body, and none is described"
        elif body:
            schema = self._resolve(content["schema"])
            choices = [self._resolve(choice) for choice in schema.get("oneOf", [schema])]
            properties = {name for choice in choices for name in choice.get("properties", {})}
            yield from (f"the body has `{n}`, which is not described" for n in json.loads(body) if n not in properties)

    def _resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            node = functools.reduce(lambda at, key: at[key], node["$ref"].removeprefix("#/").split("/"), self.document)
        return node


@functools.cache
def github() -> Description:
    """GitHub's own description (@octokit/openapi), with what the operations refer to and nothing else."""
    whole = json.loads(tools.api_description().read_bytes())
    paths = {
        path: {key: value for key, value in whole["paths"][path].items() if key in (*methods, "parameters")}
        for path, methods in GITHUB.items()
    }
    small: dict[str, Any] = {"openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": {}}
    todo = _refs(paths)
    while todo:
        _, kind, name = todo.pop().removeprefix("#/").split("/")
        if name not in small["components"].setdefault(kind, {}):
            small["components"][kind][name] = found = whole["components"][kind][name]
            todo |= _refs(found)
    _mend(small)
    return Description(small)


@functools.cache
def gitlab() -> Description:
    return Description(yaml.safe_load((HERE / "gitlab-openapi.yaml").read_text("utf-8")))


def _mend(node: Any) -> None:
    """Takes out defaults that are not of their own format: the description gives "" where an address is wanted."""
    if isinstance(node, dict):
        if node.get("format") == "uri" and node.get("default") == "":
            del node["default"]
        for below in node.values():
            _mend(below)
    elif isinstance(node, list):
        for below in node:
            _mend(below)


def _refs(node: Any) -> set[str]:
    if isinstance(node, dict):
        here = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return here.union(*map(_refs, node.values()))
    return set().union(*map(_refs, node)) if isinstance(node, list) else set()
