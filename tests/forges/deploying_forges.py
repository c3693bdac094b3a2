"""Forges on the loopback that know deployments, environments and who has let a run into one."""

from __future__ import annotations

import re
from typing import Any

import graphql

from forges import description
from forges.fake_forge import HEAD, MERGE, FakeGitHub, FakeGitLab, Reply, Seen

PERMISSION = "repository-collaborator-permission-response-if-user-has-admin-permissions"
COMMIT = "d" * 40  # of what is deployed
JOB_TOKEN = "glcbt-64_made-up"
WHEN = "2026-01-02T03:04:05Z"
# What of GitLab's GraphQL schema the one query needs, as its reference (version 19) has it.
SCHEMA = graphql.build_schema("""
    scalar CiPipelineID
    scalar JobID
    type Query { project(fullPath: ID!): Project }
    type Project { pipeline(id: CiPipelineID, iid: ID, sha: String): Pipeline }
    type Pipeline { jobs(whenExecuted: [String!], retried: Boolean, after: String, first: Int): CiJobConnection }
    type CiJobConnection { nodes: [CiJob], pageInfo: PageInfo! }
    type CiJob { id: JobID, manualJob: Boolean }
    type PageInfo { hasNextPage: Boolean!, endCursor: String }
""")


class DeployingGitHub(FakeGitHub):
    """Run 42, pushed by `mona`, of a commit that `mona` wrote and brought with a pull request of hers."""

    def __init__(self) -> None:
        super().__init__()
        self.run: dict[str, Any] = {"event": "push", "actor": "mona", "triggering_actor": "mona"}
        self.reviews: list[dict[str, Any]] = []
        self.reviewers: dict[str, bool] = {"production": True, "staging": False}
        self.roles = {"ada": "maintain", "bob": "write", "mona": "admin"}
        self.author: str | None = "mona"
        self.openers: list[tuple[str, str | None]] = [("mona", WHEN)]  # of pull requests, and when they were merged
        self.deployments: list[dict[str, Any]] = []
        self.progress: dict[int, list[dict[str, Any]]] = {}

    def environ(self, event: str = "push", payload: Any = None, **more: str) -> dict[str, str]:
        told = payload or {"before": "0" * 40, "repository": {"default_branch": "main"}}
        return super().environ(event, told, **{"GITHUB_REF": "refs/heads/main", **more})

    def user(self, login: str) -> dict[str, Any]:
        user: dict[str, Any] = description.github().example("environment-approvals-items")[0]["user"]
        return user | {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}

    def review(self, who: str, *environments: str, state: str = "approved") -> None:
        example: dict[str, Any] = description.github().example("environment-approvals-items")[0]
        named = [example["environments"][0] | {"name": name} for name in environments or ("production",)]
        self.reviews.append(example | {"state": state, "environments": named, "user": self.user(who)})

    def deploy(self, environment: str = "production", *, sha: str = MERGE, **more: Any) -> dict[str, Any]:
        """A deployment that is there already."""
        example: dict[str, Any] = description.github().example("deployment-items")[0]
        number = 100 + len(self.deployments)
        made = example | {"id": number, "sha": sha, "ref": sha, "environment": environment, "payload": {}} | more
        made["creator"] = self.user("github-actions[bot]")
        self.deployments.append(made)
        self.progress[number] = []
        return made

    def of_run(self, number: int, run: str, job: str = "/job/7") -> None:
        """The status that GitHub itself writes for a job with an `environment:`."""
        self._progress(
            number, {"state": "in_progress", "log_url": f"https://github.com/acme/visits/actions/runs/{run}{job}"}
        )

    def _progress(self, number: int, body: dict[str, Any]) -> dict[str, Any]:
        example: dict[str, Any] = description.github().example("deployment-status")
        status = example | {"target_url": body.get("log_url", "")} | body
        self.progress[number].append(status)
        return status

    def _serve_other(self, seen: Seen, path: str) -> Reply:
        repo = f"/repos/{self.project}"
        if path == f"{repo}/actions/runs/42":
            return Reply(200, self._run())
        if path == f"{repo}/actions/runs/42/approvals":
            return Reply(200, self.reviews)
        if match := re.fullmatch(rf"{repo}/environments/(.+)", path):
            return self._environment(match[1])
        if match := re.fullmatch(rf"{repo}/commits/([0-9a-f]+)(/pulls)?", path):
            return (
                self._page([self._opened(*one) for one in self.openers], seen) if match[2] else self._commit(match[1])
            )
        if match := re.fullmatch(rf"{repo}/collaborators/([^/]+)/permission", path):
            return self._permission(match[1])
        if path == f"{repo}/deployments":
            return self._make(seen) if seen.method == "POST" else self._list(seen)
        if (match := re.fullmatch(rf"{repo}/deployments/(\d+)/statuses", path)) and int(match[1]) in self.progress:
            number = int(match[1])
            if seen.method == "POST":
                return Reply(201, self._progress(number, seen.body))
            return self._page(self.progress[number][::-1], seen)
        return super()._serve_other(seen, path)

    def _list(self, seen: Seen) -> Reply:
        ours = [d for d in self.deployments[::-1] if d["environment"] == seen.query["environment"]]
        return self._page(ours, seen)

    def _make(self, seen: Seen) -> Reply:
        if seen.body.get("required_contexts") != [] or seen.body.get("auto_merge") is not False:
            return Reply(409, {"message": "Conflict: Commit status checks failed for main."})
        return Reply(201, self.deploy(seen.body["environment"], sha=seen.body["ref"], payload=seen.body["payload"]))

    def _run(self) -> dict[str, Any]:
        example: dict[str, Any] = description.github().example("workflow-run")
        people = {key: self.user(self.run[key]) for key in ("actor", "triggering_actor")}
        return example | {"id": 42, "event": self.run["event"], "head_sha": MERGE} | people

    def _environment(self, name: str) -> Reply:
        found = next((key for key in self.reviewers if key.casefold() == name.casefold()), None)
        if found is None:
            return Reply(404, {"message": "Not Found"})
        example: dict[str, Any] = description.github().example("environment")
        rules = example["protection_rules"]
        kept = rules if self.reviewers[found] else [rule for rule in rules if rule["type"] != "required_reviewers"]
        return Reply(200, example | {"name": found, "protection_rules": kept})

    def _commit(self, sha: str) -> Reply:
        example: dict[str, Any] = description.github().example("commit")
        return Reply(200, example | {"sha": sha, "author": self.user(self.author) if self.author else {}, "files": []})

    def _opened(self, who: str, merged: str | None) -> dict[str, Any]:
        example: dict[str, Any] = description.github().example("pull-request-simple-items")[0]
        # The example's teams lack what the description demands.
        return example | {"user": self.user(who), "merged_at": merged, "requested_teams": []}

    def _permission(self, who: str) -> Reply:
        role = self.roles.get(who)
        if role is None:
            return Reply(404, {"message": "Not Found"})
        example: dict[str, Any] = description.github().example(PERMISSION)
        example["user"]["role_name"] = role  # which the example forgets
        permission = {"maintain": "write", "triage": "read"}.get(role, role)
        return Reply(200, example | {"role_name": role, "permission": permission})


class DeployingGitLab(FakeGitLab):
    """Job 901 of pipeline 900, which `mona` started, and who brought what it deploys. `manual`: jobs with a button."""

    def __init__(self) -> None:
        super().__init__()
        self.player = "mona"
        self.starter = "mona"
        self.manual: list[int] = []
        self.roles = {"ada": 40, "bob": 30, "mona": 50}
        self.openers: list[tuple[str, str]] = [("mona", "merged")]
        self.protected: set[str] = set()
        self.environments: list[dict[str, Any]] = []
        self.deployments: list[dict[str, Any]] = []

    def environ(self, **more: str) -> dict[str, str]:
        push = {
            "CI_PIPELINE_SOURCE": "push",
            "CI_COMMIT_BRANCH": "main",
            "CI_COMMIT_REF_NAME": "main",
            "CI_PROJECT_PATH": "acme/visits",
            "CI_API_GRAPHQL_URL": f"{self.host}/api/graphql",
        }
        return super().environ() | push | more

    def deploy(self, environment: str = "production", *, job: int | None = 901, sha: str = MERGE, **more: Any) -> Any:
        """A deployment that is there already; `job`: whose, None for one that came by the API."""
        number = 500 + len(self.deployments)
        self._environment(environment)
        made = {
            "id": number, "iid": number, "ref": "main", "sha": sha, "created_at": WHEN, "updated_at": WHEN,
            "status": "running", "user": self.user(self.player), "environment": {"id": 9, "name": environment},
            "deployable": self._job(job) if job else None,
        } | more  # fmt: skip
        self.deployments.append(made)
        return made

    def approval(self, who: str, status: str = "approved") -> dict[str, Any]:
        return {"user": self.user(who), "status": status, "created_at": WHEN, "comment": None}

    def _job(self, number: int) -> dict[str, Any]:
        pipeline = {"id": 900, "project_id": 12, "sha": MERGE, "ref": "main", "status": "running"}
        return {
            "id": number, "status": "running", "stage": "deploy", "name": "deploy", "ref": "main", "tag": False,
            "user": self.user(self.player), "pipeline": pipeline, "web_url": f"{self.host}/acme/visits/-/jobs/{number}",
        }  # fmt: skip

    def _environment(self, name: str, **more: Any) -> dict[str, Any]:
        found = next((e for e in self.environments if e["name"] == name), None)
        if found is None:
            found = {
                "id": 9 + len(self.environments), "name": name, "slug": name, "external_url": None,
                "state": "available", "tier": "other", "created_at": WHEN, "updated_at": WHEN,
            }  # fmt: skip
            self.environments.append(found)
        found |= more
        return found

    def _check_request(self, seen: Seen, path: str, query: str, body: bytes) -> list[str]:
        if path == "/api/graphql":
            said = seen.headers.get("Authorization", "")
            errors = graphql.validate(SCHEMA, graphql.parse(seen.body["query"]))
            return [str(error) for error in errors] + ([] if said.startswith("Bearer glpat-") else ["no bearer"])
        if path == "/job" or "PRIVATE-TOKEN" not in seen.headers:
            # The job's own token may ask for its job, for deployments and for environments, and for nothing else here.
            fine = path == "/job" or re.match(r"/projects/12/(deployments|environments)", path)
            problems = [] if fine and seen.headers.get("JOB-TOKEN") == JOB_TOKEN else [f"{path}: which token?"]
            return problems + description.gitlab().request(seen.method, path, query, seen.headers, body)
        return super()._check_request(seen, path, query, body)

    def _check_reply(self, seen: Seen, path: str, reply: Reply) -> list[str]:
        return [] if path == "/api/graphql" else super()._check_reply(seen, path, reply)

    def _serve(self, seen: Seen, path: str) -> Reply:
        if path == "/api/graphql":
            return Reply(200, self._graphql(seen.body))
        if path == "/job":
            return Reply(200, self._job(901))
        if path == "/projects/12/pipelines/900":
            said = {"id": 900, "project_id": 12, "sha": MERGE, "ref": "main", "status": "running", "source": "push"}
            return Reply(200, said | {"user": self.user(self.starter)})
        if path == f"/projects/12/repository/commits/{COMMIT}/merge_requests":
            return Reply(200, [self._opened(*one) for one in self.openers])
        if match := re.fullmatch(r"/projects/12/members/all/(\d+)", path):
            return self._member(int(match[1]))
        if match := re.fullmatch(r"/projects/12/protected_environments/(.+)", path):
            if match[1] not in self.protected:
                return Reply(404, {"message": "404 Not found"})
            return Reply(200, {"name": match[1], "deploy_access_levels": [{"access_level": 30}]})
        found = self._serve_environments(seen, path) or self._serve_deployments(seen, path)
        return found or super()._serve(seen, path)

    def _graphql(self, body: dict[str, Any]) -> dict[str, Any]:
        """Executed for real, over the jobs with a button, two on a page."""

        class Pipeline:
            @staticmethod
            def jobs(_: Any, whenExecuted: list[str], first: int, after: str | None = None) -> dict[str, Any]:  # noqa: N803
                assert whenExecuted == ["manual"]
                assert first == 100
                begin = int(after or 0)
                nodes = [{"id": f"gid://gitlab/Ci::Build/{number}"} for number in self.manual[begin : begin + 2]]
                more = begin + 2 < len(self.manual)
                return {"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": str(begin + 2)}}

        class Project:
            @staticmethod
            def pipeline(_: Any, id: str) -> Any:  # noqa: A002 -- GitLab's name
                return Pipeline if id == "gid://gitlab/Ci::Pipeline/900" else None

        class Root:
            @staticmethod
            def project(_: Any, fullPath: str) -> Any:  # noqa: N803 -- GitLab's name
                return Project if fullPath == "acme/visits" else None

        done = graphql.graphql_sync(SCHEMA, body["query"], Root, variable_values=body.get("variables"))
        return dict(done.formatted)

    def _opened(self, who: str, state: str) -> dict[str, Any]:
        made = self.merge("better", author=who)
        self.merges.remove(made)
        return made | {"state": state}

    def _member(self, number: int) -> Reply:
        who = next((name for name, known in self._ids.items() if known == number), "")
        if who not in self.roles:
            return Reply(404, {"message": "404 Not found"})
        return Reply(200, {"id": number, "username": who, "access_level": self.roles[who]})

    def _serve_environments(self, seen: Seen, path: str) -> Reply | None:
        if path == "/projects/12/environments":
            if seen.method == "POST":
                return Reply(201, self._environment(**seen.body))
            return Reply(200, [e for e in self.environments if e["name"] == seen.query["name"]])
        if match := re.fullmatch(r"/projects/12/environments/(\d+)", path):
            found = next(e for e in self.environments if e["id"] == int(match[1]))
            return Reply(200, self._environment(found["name"], **seen.body))
        return None

    def _serve_deployments(self, seen: Seen, path: str) -> Reply | None:
        if path == "/projects/12/deployments":
            if seen.method == "POST":
                return Reply(
                    201, self.deploy(seen.body["environment"], job=None, **{k: seen.body[k] for k in ("sha", "ref")})
                )
            wanted = seen.query.get("status")
            ours = [d for d in self.deployments if d["environment"]["name"] == seen.query["environment"]]
            ours = [d for d in ours if wanted in (None, d["status"])]
            plain = [{k: v for k, v in d.items() if "approv" not in k} for d in ours]
            ordered = plain[::-1] if seen.query.get("sort") == "desc" else plain
            return Reply(200, ordered[: int(seen.query.get("per_page", "20"))])
        if match := re.fullmatch(r"/projects/12/deployments/(\d+)", path):
            found = next(d for d in self.deployments if d["id"] == int(match[1]))
            if seen.method == "GET":
                return Reply(200, found)
            if found["deployable"]:
                words = "403 Forbidden - Deployments created using GitLab CI can not be updated using the API"
                return Reply(403, {"message": words})
            if found["status"] == seen.body["status"]:
                return Reply(400, {"message": {"status": ["cannot be changed"]}})
            found["status"] = seen.body["status"]
            return Reply(200, found)
        return None


__all__ = ["COMMIT", "HEAD", "MERGE", "DeployingGitHub", "DeployingGitLab"]
