"""What started a run on GitHub, read from payloads that GitHub sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tools
from mlgate.errors import MlgateError
from mlgate.forges import detect
from mlgate.model import Event

SHA = "f" * 40


def event(tmp_path: Path, name: str, payload: Any, **more: str) -> Event:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(payload), "utf-8")
    return detect(environ(name, str(file)) | more).event


def environ(name: str, file: str) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": file,
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "Codertocat/Hello-World",
        "GITHUB_SHA": SHA,
        "GITHUB_RUN_ID": "42",
        "GITHUB_ACTOR": "Codertocat",
    }


@pytest.mark.parametrize("name", ["pull_request", "pull_request_target"])
def test_pull_request(tmp_path: Path, name: str) -> None:
    payload = tools.payload("pull_request", "opened")
    found = event(tmp_path, name, payload, GITHUB_REF="refs/pull/2/merge")
    assert found == Event(
        forge="github",
        kind="pull_request",
        name=name,
        sha=SHA,
        head_sha=payload["pull_request"]["head"]["sha"],
        base_ref="master",
        base_sha=payload["pull_request"]["base"]["sha"],
        ref="changes",
        default_branch="master",
        pull_request=2,
        actor="Codertocat",
        run_url="https://github.com/Codertocat/Hello-World/actions/runs/42",
        commit_url="https://github.com/Codertocat/Hello-World/commit/",
        file_url="https://github.com/Codertocat/Hello-World/blob/",
    )


def test_every_pull_request_payload_is_read(tmp_path: Path) -> None:
    payloads = tools._payloads()["pull_request"]
    assert len(payloads) > 10
    for payload in payloads:
        found = event(tmp_path, "pull_request", payload)
        assert found.kind == "pull_request"
        assert found.pull_request == payload["number"]
        assert found.head_sha == payload["pull_request"]["head"]["sha"]


@pytest.mark.parametrize("repository", [None, {"full_name": "mallory/Hello-World"}])
def test_pull_request_from_a_fork_or_one_that_is_gone(tmp_path: Path, repository: Any) -> None:
    payload = tools.payload("pull_request", "opened")
    payload["pull_request"]["head"]["repo"] = repository
    assert event(tmp_path, "pull_request", payload).from_fork


@pytest.mark.parametrize("name", ["pull_request_review", "pull_request_review_comment"])
def test_reviews_are_about_a_pull_request(tmp_path: Path, name: str) -> None:
    payload = next(e for e in tools._payloads()[name] if "pull_request" in e)
    found = event(tmp_path, name, payload)
    assert (found.kind, found.pull_request) == ("pull_request", payload["pull_request"]["number"])


def test_merge_group(tmp_path: Path) -> None:
    payload = tools.payload("merge_group", "checks_requested")
    group = payload["merge_group"]
    found = event(tmp_path, "merge_group", payload, GITHUB_REF=group["head_ref"])
    assert found.kind == "merge_group"
    assert found.head_sha == group["head_sha"]
    assert found.base_sha == group["base_sha"]
    assert found.base_ref == group["base_ref"].removeprefix("refs/heads/")
    assert "refs/" not in found.base_ref + found.ref
    assert found.pull_request is None


def test_push_to_a_branch(tmp_path: Path) -> None:
    payload = tools.payload("push", index=0)
    payload |= {"ref": "refs/heads/main", "before": "a" * 40, "created": False, "forced": False}
    found = event(tmp_path, "push", payload, GITHUB_REF="refs/heads/main")
    assert (found.kind, found.ref, found.before, found.forced) == ("push", "main", "a" * 40, False)
    assert found.head_sha == SHA
    assert found.default_branch == "master"


def test_every_push_payload_is_read(tmp_path: Path) -> None:
    for payload in tools._payloads()["push"]:
        found = event(tmp_path, "push", payload, GITHUB_REF=payload["ref"])
        assert found.kind == ("tag" if payload["ref"].startswith("refs/tags/") else "push")
        assert found.before == ("" if payload["created"] or payload["before"].strip("0") == "" else payload["before"])
        assert found.forced == payload["forced"]


def test_push_of_a_new_branch_has_no_before(tmp_path: Path) -> None:
    payload = {"ref": "refs/heads/x", "before": "0" * 40, "created": True}
    assert event(tmp_path, "push", payload, GITHUB_REF="refs/heads/x").before == ""
    assert event(tmp_path, "push", payload | {"before": "a" * 40}, GITHUB_REF="refs/heads/x").before == ""


def test_forced_push(tmp_path: Path) -> None:
    found = event(tmp_path, "push", {"before": "a" * 40, "forced": True}, GITHUB_REF="refs/heads/main")
    assert (found.forced, found.before) == (True, "a" * 40)


def test_a_branch_named_like_a_tag_is_a_branch(tmp_path: Path) -> None:
    found = event(tmp_path, "push", {"before": "a" * 40}, GITHUB_REF="refs/heads/feature/tags/x")
    assert (found.kind, found.ref) == ("push", "feature/tags/x")


def test_schedule_runs_on_the_default_branch(tmp_path: Path) -> None:
    found = event(tmp_path, "schedule", {"schedule": "0 3 * * *"}, GITHUB_REF="refs/heads/trunk")
    assert (found.kind, found.default_branch, found.ref) == ("schedule", "trunk", "trunk")


@pytest.mark.parametrize("name", ["workflow_dispatch", "repository_dispatch", "issue_comment", "something_new"])
def test_everything_else_is_manual(tmp_path: Path, name: str) -> None:
    payload = {"repository": {"default_branch": "main"}}
    found = event(tmp_path, name, payload, GITHUB_REF="refs/heads/x")
    assert (found.kind, found.name, found.ref, found.default_branch) == ("manual", name, "x", "main")
    assert found.sha == found.head_sha == SHA


def _workflow_run() -> dict[str, Any]:
    return tools.payload("workflow_run", index=1)  # the first one is about two repositories at once


def test_workflow_run_speaks_of_the_run_it_follows(tmp_path: Path) -> None:
    payload = _workflow_run()
    run = payload["workflow_run"]
    found = event(tmp_path, "workflow_run", payload)
    assert (found.kind, found.head_sha, found.ref) == ("manual", run["head_sha"], run["head_branch"])
    assert not found.from_fork


def test_workflow_run_of_a_fork(tmp_path: Path) -> None:
    payload = _workflow_run()
    payload["workflow_run"]["head_repository"]["full_name"] = "mallory/octo-repo"
    payload["workflow_run"]["pull_requests"] = [
        {"number": 5, "head": {"sha": payload["workflow_run"]["head_sha"]}, "base": {"repo": {"id": 666}}}
    ]
    found = event(tmp_path, "workflow_run", payload)
    assert found.from_fork
    assert found.pull_request is None  # a pull request inside the fork


def test_workflow_run_of_our_own_pull_request_names_it(tmp_path: Path) -> None:
    payload = _workflow_run()
    head, ours = payload["workflow_run"]["head_sha"], {"repo": {"id": payload["repository"]["id"]}}
    payload["workflow_run"]["pull_requests"] = [
        {"number": 4, "head": {"sha": "9" * 40}, "base": ours},
        {"number": 5, "head": {"sha": head}, "base": ours},
    ]
    assert event(tmp_path, "workflow_run", payload).pull_request == 5


def test_a_rerun_has_its_own_address(tmp_path: Path) -> None:
    found = event(tmp_path, "push", {}, GITHUB_RUN_ATTEMPT="3")
    assert found.run_url.endswith("/actions/runs/42/attempts/3")


def test_gitea_addresses(tmp_path: Path) -> None:
    found = event(
        tmp_path, "push", {}, GITEA_ACTIONS="true", GITHUB_RUN_NUMBER="7", GITHUB_SERVER_URL="https://git.test"
    )
    assert found.run_url == "https://git.test/Codertocat/Hello-World/actions/runs/7"
    assert found.file_url == "https://git.test/Codertocat/Hello-World/src/commit/"


# -- what is not as it should be


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"x"', "\ufeff{", "[" * 100_000])
def test_a_corrupt_event_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "event.json"
    file.write_text(text, "utf-8")
    forge = detect(environ("pull_request", str(file)))
    with pytest.raises(MlgateError, match="GITHUB_EVENT_PATH") as caught:
        _ = forge.event
    assert caught.value.file == str(file)
    assert caught.value.__cause__ is None


def test_binary_in_the_event_file(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(MlgateError):
        _ = detect(environ("push", str(tmp_path / "event.json"))).event


@pytest.mark.parametrize("path", ["", "nowhere.json", "."])
def test_no_event_file(path: str) -> None:
    with pytest.raises(MlgateError, match="GITHUB_EVENT_PATH"):
        _ = detect(environ("push", path)).event


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("pull_request", {}),
        ("pull_request", {"pull_request": "x"}),
        ("merge_group", {}),
        ("merge_group", {"merge_group": {"base_sha": "0" * 40}}),
        ("workflow_run", {"workflow_run": {"head_sha": "--upload-pack=x"}}),
    ],
)
def test_a_payload_of_another_event(tmp_path: Path, name: str, payload: Any) -> None:
    with pytest.raises(MlgateError, match="event"):
        event(tmp_path, name, payload)


@pytest.mark.parametrize(
    "bad", [None, 7, "", "main", "-x", "--upload-pack=touch x", "a" * 39, "A" * 40, ["a" * 40], {}]
)
def test_only_whole_commit_ids_are_passed_on(tmp_path: Path, bad: Any) -> None:
    payload = tools.payload("pull_request", "opened")
    payload["pull_request"]["head"]["sha"] = bad
    payload["pull_request"]["base"]["sha"] = bad
    found = event(tmp_path, "pull_request", payload)
    assert (found.base_sha, found.head_sha) == ("", SHA)
    assert event(tmp_path, "push", {"before": bad}).before == ""


def test_a_hand_made_event_for_act_is_enough(tmp_path: Path) -> None:
    payload = {"pull_request": {"number": 3, "head": {"ref": "x"}, "base": {"ref": "main"}}}
    found = event(tmp_path, "pull_request", payload, ACT="true")
    assert (found.pull_request, found.base_ref, found.head_sha, found.from_fork) == (3, "main", SHA, False)
