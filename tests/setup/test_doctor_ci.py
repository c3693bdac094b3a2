"""doctor as jobs of both forges call it: shallow clones, the API's answers, several models, broken configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import builder
from forges import description
from forges.fake_forge import TOKEN, FakeForge, FakeGitHub, FakeGitLab

STARTER = (builder.ROOT / "workflows/model-gate.yml").read_text()
RULES = [
    {
        "type": "required_status_checks",
        "parameters": {
            "required_status_checks": [{"context": "Model gate"}],
            "strict_required_status_checks_policy": False,
        },
    },
    {
        "type": "merge_queue",
        "parameters": {
            "check_response_timeout_minutes": 60,
            "grouping_strategy": "ALLGREEN",
            "max_entries_to_build": 5,
            "max_entries_to_merge": 5,
            "merge_method": "MERGE",
            "min_entries_to_merge": 1,
            "min_entries_to_merge_wait_minutes": 5,
        },
    },
    {
        "type": "pull_request",
        "parameters": {
            "dismiss_stale_reviews_on_push": False,
            "require_code_owner_review": True,
            "require_last_push_approval": False,
            "required_approving_review_count": 1,
            "required_review_thread_resolution": False,
        },
    },
]


@pytest.fixture
def repo(tmp_path: Path) -> builder.Repo:
    """A branch with a change, beside a champion on main; what decides has owners and a caller."""
    repo = builder.Repo(tmp_path / "origin")
    repo.write(".github/workflows/model-gate.yml", STARTER)
    repo.write(
        ".gitlab-ci.yml", "include:\n  - remote: https://example.org/gitlab-templates/ml-pipeline.gitlab-ci.yml\n"
    )
    repo.write("CODEOWNERS", "* @ada\n")
    repo.model()
    repo.commit("First model")
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({"auc": 0.73, "log_loss": 0.57})
    repo.commit("Better")
    return repo


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake
        assert fake.problems == []


class _GitLab(FakeGitLab):
    def _check_request(self, seen: Any, path: str, query: str, body: bytes) -> list[str]:
        return [] if "PRIVATE-TOKEN" in seen.headers else [f"{path}: no token"]


def answer(fake: FakeForge, path: str, body: Any) -> None:
    if isinstance(fake, FakeGitHub):
        whole = f"/repos/{fake.project}{path}"
        assert description.github().response("GET", whole, 200, {}, json.dumps(body).encode()) == []
    fake.fault("GET", path, status=200, body=body, times=9)


def merged(repo: builder.Repo) -> dict[str, Any]:
    """The payload of a pull request, and the merge commit that GitHub checks out for it."""
    head, base = repo.head, repo.git("rev-parse", "main")
    repo.git("checkout", "--quiet", "--detach", "main")
    repo.git("merge", "--quiet", "--no-ff", "--message", "Merge", head)
    return {
        "action": "synchronize",
        "number": 7,
        "pull_request": {
            "number": 7,
            "head": {"sha": head, "ref": "change", "repo": {"full_name": "acme/visits"}},
            "base": {"sha": base, "ref": "main", "repo": {"full_name": "acme/visits"}},
        },
        "repository": {"full_name": "acme/visits", "default_branch": "main"},
    }


def clone(repo: builder.Repo, to: Path, *, depth: int) -> builder.Repo:
    repo.git("branch", "--force", "checked-out", "HEAD")
    repo.git(
        "clone", "--quiet", f"--depth={depth}", "--branch=checked-out", f"file://{repo.path}", str(to)
    )  # fmt: skip
    found = builder.Repo(to)
    found.git("checkout", "--quiet", "--detach", "HEAD")
    return found


def checks(repo: builder.Repo, model: str = "visits") -> dict[str, dict[str, Any]]:
    return {c["id"].removeprefix("setup."): c for c in repo.evidence(model, "doctor")["checks"]}


def test_a_pull_request_on_github(repo: builder.Repo, github: FakeGitHub, tmp_path: Path) -> None:
    answer(github, "/rules/branches/main", RULES)
    environ = github.environ(payload=merged(repo))
    job = clone(repo, tmp_path / "job", depth=2)
    done = job.mlgate("doctor", **environ)
    found = checks(job)
    assert {key: c["reason"] for key, c in found.items() if c["verdict"] != "pass"} == {}
    assert done.returncode == 0, done.stderr
    assert "first parent of the merge commit" in found["base"]["reason"]
    assert "`Model gate` is required" in found["caller.required"]["reason"]
    # The fake has no such branch; what could not be read is said.
    assert job.evidence(verb="doctor")["not_run"] == [
        "The required checks of `main`: 127.0.0.1 answered 404: Not Found."
    ]
    assert not github.comments
    assert not github.statuses
    assert {seen.method for seen in github.requests} == {"GET"}


def test_a_merge_queue_that_waits_for_ever(repo: builder.Repo, github: FakeGitHub, tmp_path: Path) -> None:
    repo.write(".github/workflows/model-gate.yml", STARTER.replace("  merge_group:\n", ""))
    repo.commit("Forget the queue")
    answer(github, "/rules/branches/main", RULES)
    environ = github.environ(payload=merged(repo))
    job = clone(repo, tmp_path / "job", depth=2)
    done = job.mlgate("doctor", **environ)
    assert checks(job)["caller.merge_group"]["verdict"] == "fail"
    assert done.returncode == 1
    # Shown as an annotation at the trigger that lacks it.
    assert "::error file=.github/workflows/model-gate.yml,line=2" in done.stdout


def test_a_clone_that_is_too_shallow_and_cannot_fetch(repo: builder.Repo, github: FakeGitHub, tmp_path: Path) -> None:
    environ = github.environ(payload=merged(repo))
    job = clone(repo, tmp_path / "job", depth=1)
    job.git("remote", "set-url", "origin", str(tmp_path / "gone"))
    done = job.mlgate("doctor", **environ)
    base = checks(job)["base"]
    assert base["verdict"] == "error"
    assert base["fix"] == "- uses: actions/checkout@v7\n  with:\n    fetch-depth: 0"
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_shallow_clone_that_can_fetch_is_fine(repo: builder.Repo, github: FakeGitHub, tmp_path: Path) -> None:
    environ = github.environ(payload=merged(repo))
    job = clone(repo, tmp_path / "job", depth=1)
    job.mlgate("doctor", **environ)
    assert checks(job)["base"]["verdict"] == "pass"


def test_advice_on_settings_is_for_who_changes_them(repo: builder.Repo, github: FakeGitHub, tmp_path: Path) -> None:
    """A missing CODEOWNERS must not turn every pull request yellow."""
    repo.git("checkout", "--quiet", "main")
    repo.git("rm", "--quiet", "CODEOWNERS")
    repo.commit("Nobody owns anything")
    repo.git("checkout", "--quiet", "change")
    repo.git("rebase", "--quiet", "main")
    environ = github.environ(payload=merged(repo))
    job = clone(repo, tmp_path / "job", depth=2)
    job.mlgate("doctor", **environ)
    evidence = job.evidence(verb="doctor")
    assert evidence["verdict"] == "pass"
    assert any("does not touch (CODEOWNERS)" in sentence for sentence in evidence["not_run"])
    assert "codeowners" not in checks(job)
    repo.git("checkout", "--quiet", "change")
    repo.write("mlgate.yaml", builder.MLGATE + "# touched\n")
    repo.commit("Touch the rules")
    environ = github.environ(payload=merged(repo))
    job = clone(repo, tmp_path / "again", depth=2)
    job.mlgate("doctor", **environ)
    assert checks(job)["codeowners"]["verdict"] == "warn"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_the_api_refuses_is_not_run_and_no_failure(
    repo: builder.Repo, github: FakeGitHub, tmp_path: Path, status: int
) -> None:
    github.fault("GET", "/branches/", status=status, body={"message": f"Bad {TOKEN}"}, times=9)
    environ = github.environ(payload=merged(repo))
    job = clone(repo, tmp_path / "job", depth=2)
    done = job.mlgate("doctor", **environ)
    evidence = job.evidence(verb="doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(f"answered {status}" in sentence for sentence in evidence["not_run"])
    assert "caller.required" not in checks(job)
    assert TOKEN not in json.dumps(evidence) + done.stdout + done.stderr


def test_gitlab(repo: builder.Repo, tmp_path: Path) -> None:
    with _GitLab() as fake:
        answer(fake, "/personal_access_tokens/self", {"scopes": ["read_api"], "expires_at": "2027-01-01"})
        answer(
            fake,
            "/projects/12",
            {"only_allow_merge_if_pipeline_succeeds": False, "ci_config_path": None, "default_branch": "main"},
        )
        repo.write(".gitlab-ci.yml", (repo.path / ".gitlab-ci.yml").read_text() + "test: {script: pytest}\n")
        repo.commit("Touch what decides")
        head, base = repo.head, repo.git("rev-parse", "main")
        environ = fake.environ(
            CI_COMMIT_SHA=head, CI_MERGE_REQUEST_TARGET_BRANCH_SHA=base, CI_MERGE_REQUEST_SOURCE_BRANCH_SHA=head
        )
        done = clone(repo, tmp_path / "job", depth=1).mlgate("doctor", **environ)
        found = checks(builder.Repo(tmp_path / "job"))
        assert found["rights.token"]["verdict"] == "warn"
        assert "read_api" in found["rights.token"]["reason"]
        assert found["required"]["verdict"] == "warn"
        assert "Pipelines must succeed" in found["required"]["fix"]
        assert found["caller"]["verdict"] == "pass"
        assert done.returncode == 0, done.stdout + done.stderr
        assert {seen.method for seen in fake.requests} == {"GET"}
        assert fake.problems == []


# -- configurations ------------------------------------------------------------------------------


def test_several_models_share_what_concerns_the_repository(repo: builder.Repo) -> None:
    for name in ("a", "b"):
        repo.model(folder=f"models/{name}", config=builder.MLGATE.replace("model: visits", f"model: {name}"))
    repo.write("models/c/mlgate.yaml", "schema: 1\nmodel: c\nrules: {}\n")
    repo.commit("More models")
    done = repo.mlgate("doctor", "--config", "models/*/mlgate.yaml")
    assert "codeowners" in checks(repo, "repository")
    assert "codeowners" not in checks(repo, "a")
    assert "base" in checks(repo, "a")
    assert repo.evidence("c", "doctor")["verdict"] == "error"
    assert done.returncode == 2
    assert "models/c/mlgate.yaml" in done.stdout


def test_a_model_that_is_called_repository(repo: builder.Repo) -> None:
    for name in ("repository", "b"):
        repo.model(folder=f"models/{name}", config=builder.MLGATE.replace("model: visits", f"model: {name}"))
    repo.commit("More models")
    repo.mlgate("doctor", "--config", "models/*/mlgate.yaml")
    assert "base" in checks(repo, "repository")
    assert "codeowners" in checks(repo, "repository-")


def test_before_there_is_an_mlgate_yaml(tmp_path: Path) -> None:
    repo = builder.Repo(tmp_path / "x")
    repo.write("README.md", "x")
    repo.commit()
    done = repo.mlgate("doctor")
    found = checks(repo, "repository")
    assert found["config"]["fix"] == "mlgate init"
    assert found["caller"]["verdict"] == "warn"
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_outside_of_a_repository(tmp_path: Path) -> None:
    done = builder.Repo.mlgate(type("Here", (), {"path": tmp_path})(), "doctor")  # type: ignore[arg-type]
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "git" in done.stderr


def test_a_terminal_sees_what_is_not_committed_yet(repo: builder.Repo) -> None:
    repo.write("mlgate.yaml", builder.MLGATE.replace("metrics/eval.json", "metrics/other.json"))
    repo.write("metrics/other.json", {"auc": 0.7})
    repo.mlgate("doctor")
    found = checks(repo)
    assert found["metrics.metrics/other.json"]["verdict"] == "fail"
    assert found["metrics.metrics/other.json"]["fix"] == "git add metrics/other.json"


def test_an_ignored_metrics_file_names_what_hides_it(repo: builder.Repo) -> None:
    repo.write("metrics/.gitignore", "/eval.json\n")
    repo.git("rm", "--quiet", "--cached", "metrics/eval.json")
    repo.commit("Lose it")
    repo.mlgate("doctor")
    found = checks(repo)["metrics.metrics/eval.json"]
    assert "metrics/.gitignore hides it" in found["reason"]
    assert found["fix"] == "git add --force metrics/eval.json"


def test_report_mode_does_not_block(repo: builder.Repo) -> None:
    repo.write("mlgate.yaml", builder.MLGATE.replace("mode: enforce", "mode: report").replace("eval.json", "no.json"))
    done = repo.mlgate("doctor")
    assert repo.evidence(verb="doctor")["verdict"] == "fail"
    assert done.returncode == 0


@pytest.mark.parametrize("text", ["a: [", "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", "- 1"])
def test_dvc_files_that_cannot_be_read(repo: builder.Repo, text: str) -> None:
    repo.write("dvc.lock", text)
    done = repo.mlgate("doctor")
    assert any(c["verdict"] == "error" and "dvc.lock" in json.dumps(c) for c in checks(repo).values())
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_anchor_that_is_gone(repo: builder.Repo) -> None:
    text = builder.MLGATE.replace("compare:\n", "compare:\n  anchor: visits@v1.0.0\n")
    repo.write("mlgate.yaml", text.replace("threshold: 0.70,", "threshold: 0.70, max_anchor_regression: 0.02,"))
    repo.mlgate("doctor")
    assert checks(repo)["anchor"]["verdict"] == "error"
    repo.git("tag", "visits@v1.0.0", "main")
    repo.mlgate("doctor")
    assert checks(repo)["anchor"]["verdict"] == "pass"


def test_many_models_share_the_repository_wide_findings(repo: builder.Repo) -> None:
    for i in range(150):
        name = f"model-{i}"
        repo.model(
            {"auc": 0.72, "log_loss": 0.58, "i": i},
            folder=f"models/{name}",
            config=builder.MLGATE.replace("model: visits", f"model: {name}"),
        )
    repo.commit("Many models")
    done = repo.mlgate("doctor", "--config", "models/*/mlgate.yaml")
    assert done.returncode == 0, done.stdout
    assert len(list((repo.path / ".mlgate/evidence").glob("*/doctor.json"))) == 151
