"""Forges on the loopback whose workflows and pipelines can be started, and whose requests can be left to merge."""

from __future__ import annotations

import json
import re
from typing import Any

import graphql

from forges import description
from forges.fake_forge import FakeGitea, FakeGitHub, FakeGitLab, Reply, Seen

# What of GitHub's GraphQL schema the one mutation needs, as its reference has it.
SCHEMA = graphql.build_schema("""
    enum PullRequestMergeMethod { MERGE REBASE SQUASH }
    input EnablePullRequestAutoMergeInput {
      authorEmail: String, clientMutationId: String, commitBody: String, commitHeadline: String,
      expectedHeadOid: String, mergeMethod: PullRequestMergeMethod, pullRequestId: ID!
    }
    type EnablePullRequestAutoMergePayload { clientMutationId: String }
    type User { login: String! }
    type Query { viewer: User! }
    type Mutation {
      enablePullRequestAutoMerge(input: EnablePullRequestAutoMergeInput!): EnablePullRequestAutoMergePayload
    }
""")


class DispatchGitHub(FakeGitHub):
    """`workflows`: file -> the inputs that its `workflow_dispatch` declares, None where it has no such trigger."""

    def __init__(self, me: str | None = None) -> None:
        super().__init__(me)
        self.workflows: dict[str, list[str] | None] = {
            "model-retrain.yml": ["trigger", "config"],
            "model-gate.yml": [],
            "plain.yml": None,
        }
        self.started: list[dict[str, Any]] = []
        self.required = ["Model gate"]
        self.settings: dict[str, Any] = {"allow_auto_merge": True, "allow_merge_commit": True}
        self.merging: list[dict[str, Any]] = []
        self.refusal = ""  # of GraphQL

    def _check_request(self, seen: Seen, path: str, query: str, body: bytes) -> list[str]:
        problems = super()._check_request(seen, path, query, body)
        if path == "/graphql":
            sent = json.loads(body)
            errors = graphql.validate(SCHEMA, graphql.parse(sent["query"]))
            problems += [str(error) for error in errors]
        return problems

    def _serve_other(self, seen: Seen, path: str) -> Reply:
        here = f"/repos/{self.project}"
        if match := re.fullmatch(rf"{here}/actions/workflows/([^/]+)/dispatches", path):
            return self._start(match[1], seen.body)
        if path == f"{here}/dispatches":
            self.started.append({"event": seen.body["event_type"], "inputs": seen.body["client_payload"]})
            return Reply(204)
        if path == here:
            example = description.github().example("full-repository-default-response")
            for around in ("template_repository", "parent", "source"):  # they lack what the description demands
                example.pop(around, None)
            return Reply(200, example | {"language": "Python"} | self.settings)
        if path == f"{here}/rules/branches/main":
            return Reply(200, [])
        if path == f"{here}/branches/main":
            return Reply(200, self._branch())
        if path == "/graphql" and "mutation" in seen.body["query"]:
            if self.refusal:
                return Reply(200, {"data": None, "errors": [{"message": self.refusal}]})
            self.merging.append(seen.body["variables"])
            return Reply(200, {"data": {"enablePullRequestAutoMerge": {"clientMutationId": None}}})
        if seen.method == "GET" and (match := re.fullmatch(rf"{here}/pulls/(\d+)", path)):
            pull = next(pull for pull in self.pulls if pull["number"] == int(match[1]))
            return Reply(200, pull | {"node_id": f"PR_{match[1]}", "auto_merge": None})
        return super()._serve_other(seen, path)

    def _branch(self) -> dict[str, Any]:
        example: dict[str, Any] = description.github().example("branch-get")
        if self.required:
            example["protection"]["required_status_checks"]["contexts"] = self.required
        else:
            del example["protection"]["required_status_checks"]
        return example

    def _start(self, name: str, body: dict[str, Any]) -> Reply:
        if name not in self.workflows:
            return Reply(404, {"message": "Not Found"})
        declared = self.workflows[name]
        if declared is None:
            return Reply(422, {"message": "Workflow does not have 'workflow_dispatch' trigger"})
        if more := sorted(set(body.get("inputs", {})) - set(declared)):
            return Reply(422, {"message": f"Unexpected inputs provided: {json.dumps(more)}"})
        self.started.append({"workflow": name, "ref": body["ref"], "inputs": body.get("inputs", {})})
        if not body.get("return_run_details"):
            return Reply(204)
        run = len(self.started)
        page = f"{self.host}/{self.project}/actions/runs/{run}"
        return Reply(200, {"workflow_run_id": run, "run_url": f"{self.host}/runs/{run}", "html_url": page})


class DispatchGitea(DispatchGitHub, FakeGitea):
    """The same, below /api/v1."""


class DispatchGitLab(FakeGitLab):
    """`variables`: whether this project lets a pipeline be started with any."""

    def __init__(self) -> None:
        super().__init__()
        self.variables = True
        self.must_succeed = True
        self.started: list[dict[str, Any]] = []
        self.merging: list[tuple[int, dict[str, Any]]] = []
        self.not_yet = 0  # answers before the pipeline of a merge request is there

    def _check_request(self, seen: Seen, path: str, query: str, body: bytes) -> list[str]:
        problems = super()._check_request(seen, path, query, body)
        by_job = path.endswith(("/trigger/pipeline", "/pipeline")) and "JOB-TOKEN" in seen.headers
        return [said for said in problems if not (by_job and said.endswith("no token"))]

    def _serve(self, seen: Seen, path: str) -> Reply:
        if path in ("/projects/12/pipeline", "/projects/12/trigger/pipeline"):
            return self._start(seen.body, trigger="trigger" in path)
        if path == "/projects/12":
            return Reply(200, {"id": 12, "only_allow_merge_if_pipeline_succeeds": self.must_succeed})
        if match := re.fullmatch(r"/projects/12/merge_requests/(\d+)/merge", path):
            if self.not_yet:
                self.not_yet -= 1
                return Reply(405, {"message": "405 Method Not Allowed"})
            self.merging.append((int(match[1]), seen.body))
            return Reply(200, next(m for m in self.merges if m["iid"] == int(match[1])))
        return super()._serve(seen, path)

    def _start(self, body: dict[str, Any], *, trigger: bool) -> Reply:
        given = body.get("variables") or {}
        if given and not self.variables:
            return Reply(400, {"message": {"base": ["Insufficient permissions to set pipeline variables"]}})
        if trigger and body["token"] != "glcbt-64_made-up":
            return Reply(404, {"message": "404 Not Found"})
        values = given if trigger else {one["key"]: one["value"] for one in given}
        self.started.append({"ref": body["ref"], "inputs": values})
        number = 1000 + len(self.started)
        return Reply(201, {
            "id": number, "iid": number, "project_id": 12, "sha": "c" * 40, "ref": body["ref"], "status": "created",
            "source": "pipeline" if trigger else "api", "web_url": f"{self.host}/acme/visits/-/pipelines/{number}",
            "user": self.user(self.me),
        })  # fmt: skip
