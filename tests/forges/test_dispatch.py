"""Starting workflows and pipelines, and leaving a request to be merged: as the published descriptions say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forges.conftest import job, quick
from forges.dispatch_forges import DispatchGitea, DispatchGitHub, DispatchGitLab
from forges.fake_forge import FakeForge
from mlgate.errors import MlgateError
from mlgate.forges import detect
from mlgate.forges.dispatching import LENGTH, Order
from mlgate.forges.nouns import Request

ID = "0" * 31 + "1"
ORDER = Order("workflow", "model-retrain.yml", "main", {"trigger": ID, "config": "mlgate.yaml"})


def _run(kind: type[FakeForge]) -> Iterator[FakeForge]:
    with kind() as fake:
        yield fake
        assert fake.problems == []


@pytest.fixture
def github() -> Iterator[DispatchGitHub]:
    yield from _run(DispatchGitHub)  # type: ignore[misc]


@pytest.fixture
def gitlab() -> Iterator[DispatchGitLab]:
    yield from _run(DispatchGitLab)  # type: ignore[misc]


def refused(fake: FakeForge, order: Order, **more: str) -> str:
    with pytest.raises(MlgateError) as error:
        job(fake, **more).dispatch(order)
    return str(error.value)


# -- GitHub


def test_a_workflow_gets_its_inputs_and_tells_its_run(github: DispatchGitHub) -> None:
    started = job(github).dispatch(ORDER)
    assert github.started == [{"workflow": "model-retrain.yml", "ref": "main", "inputs": dict(ORDER.inputs)}]
    assert started.url == f"{github.host}/acme/visits/actions/runs/1"


def test_gitea_tells_no_run() -> None:
    with DispatchGitea() as fake:
        started = job(fake).dispatch(ORDER)
        assert fake.started[0]["inputs"]["trigger"] == ID
        assert started.url == ""
        assert "no `repository_dispatch`" in refused(fake, Order("repository", "x", "main"))
        assert fake.problems == []


def test_an_event_carries_the_inputs_as_its_payload(github: DispatchGitHub) -> None:
    job(github).dispatch(Order("repository", "mlgate-retrain", "main", ORDER.inputs))
    assert github.started == [{"event": "mlgate-retrain", "inputs": dict(ORDER.inputs)}]


def test_inputs_are_short_and_printable(github: DispatchGitHub) -> None:
    job(github).dispatch(Order("workflow", "model-retrain.yml", "main", {"config": "a\x1b[31m" + "x" * 5000}))
    (sent,) = [one["inputs"]["config"] for one in github.started]
    assert len(sent) == LENGTH
    assert "\x1b" not in sent


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (Order("workflow", "missing.yml", "main"), "`actions: write`"),
        (Order("workflow", "plain.yml", "main"), "Add `workflow_dispatch:` under `on:` of plain.yml"),
        (Order("workflow", "model-gate.yml", "main", {"trigger": ID}), "Add `trigger` under"),
        (Order("pipeline", "", "main"), "no pipelines on GitHub"),
    ],
)
def test_what_a_workflow_is_not_made_for(github: DispatchGitHub, order: Order, said: str) -> None:
    assert said in refused(github, order)
    assert github.started == []


def test_a_token_that_may_not(github: DispatchGitHub) -> None:
    words = {"message": "Resource not accessible by integration"}
    github.fault("POST", "/dispatches", status=403, body=words, times=2)
    assert "Add `actions: write` under `permissions:`" in refused(github, ORDER)
    assert "`contents: write`" in refused(github, Order("repository", "mlgate-retrain", "main"))


def test_no_token_starts_nothing(github: DispatchGitHub, gitlab: DispatchGitLab) -> None:
    assert "token is not valid" in refused(github, ORDER, GITHUB_TOKEN="")
    assert "no token of GitLab" in refused(gitlab, ORDER, GITLAB_TOKEN="", CI_JOB_TOKEN="")
    assert github.requests == gitlab.requests == []


def test_an_unclear_answer_is_not_tried_again(github: DispatchGitHub) -> None:
    github.fault("POST", "/dispatches", drop=True, after=True)
    assert "could not be started" in refused(github, ORDER)
    assert len(github.started) == 1


def test_in_a_terminal_there_is_nobody_to_start_it() -> None:
    with pytest.raises(MlgateError, match="not a job of GitHub or GitLab"):
        detect({}).dispatch(ORDER)


# -- a gate for a branch that the job's own token pushed


def test_the_gate_is_started_on_the_branch_by_the_jobs_own_token(github: DispatchGitHub) -> None:
    started = job(github).start_gate("model-gate.yml", "mlgate/visits/retrain")
    assert started is not None
    assert github.started == [{"workflow": "model-gate.yml", "ref": "mlgate/visits/retrain", "inputs": {}}]


def test_the_token_of_an_app_needs_no_such_start(gitlab: DispatchGitLab) -> None:
    with DispatchGitHub(me="visits-bot[bot]") as fake:
        assert job(fake, GITHUB_TOKEN="ghs_app").start_gate("model-gate.yml", "x") is None
        assert fake.started == []
    assert job(gitlab).start_gate("model-gate.yml", "x") is None


# -- GitLab


def test_a_pipeline_gets_its_inputs_as_variables(gitlab: DispatchGitLab) -> None:
    started = job(gitlab).dispatch(ORDER)
    values = {"MLGATE_TRIGGER": ID, "MLGATE_CONFIG": "mlgate.yaml"}
    assert gitlab.started == [{"ref": "main", "inputs": values}]
    assert started.url.endswith("/acme/visits/-/pipelines/1001")


def test_the_token_of_the_job_starts_one_as_a_trigger(gitlab: DispatchGitLab) -> None:
    job(gitlab, GITLAB_TOKEN="").dispatch(ORDER)
    assert gitlab.started[0]["inputs"]["MLGATE_TRIGGER"] == ID
    assert gitlab.count("POST", "/trigger/pipeline") == 1


def test_a_project_that_allows_no_variables_gets_a_pipeline_without_them(gitlab: DispatchGitLab) -> None:
    gitlab.variables = False
    started = job(gitlab).dispatch(ORDER)
    assert gitlab.started == [{"ref": "main", "inputs": {}}]
    assert "Minimum role to use pipeline variables" in started.said[0]


def test_gitlab_knows_no_events(gitlab: DispatchGitLab) -> None:
    assert "by: pipeline" in refused(gitlab, Order("repository", "x", "main"))


# -- merging by itself

REQUEST = Request("mlgate/visits/retrain", "main", "Train visits", "")


def merged(fake: FakeForge, **more: str) -> str:
    forge = detect(fake.environ(**more))
    quick(forge)
    opened = forge.propose(REQUEST)
    return forge.auto_merge(opened, REQUEST, "d" * 40)


def app() -> DispatchGitHub:
    return DispatchGitHub(me="visits-bot[bot]")


def test_github_merges_once_what_is_required_has_passed() -> None:
    with app() as fake:
        assert merged(fake, GITHUB_TOKEN="ghs_app") == "It is merged by itself once every required check has passed."
        assert fake.merging == [{"id": "PR_8", "method": "MERGE"}]
        assert fake.problems == []


def test_github_merges_as_the_repository_allows() -> None:
    with app() as fake:
        fake.settings |= {"allow_merge_commit": False, "allow_squash_merge": True}
        merged(fake, GITHUB_TOKEN="ghs_app")
        assert fake.merging[0]["method"] == "SQUASH"


def test_nothing_is_merged_that_no_check_is_required_for() -> None:
    with app() as fake:
        fake.required = []
        assert "no check is required on main" in merged(fake, GITHUB_TOKEN="ghs_app")
        assert fake.merging == []
        assert fake.problems == []


def test_a_setting_or_a_state_that_forbids_it_is_said() -> None:
    with app() as fake:
        fake.settings["allow_auto_merge"] = False
        assert "Switch on `Allow auto-merge`" in merged(fake, GITHUB_TOKEN="ghs_app")
    with app() as fake:
        fake.refusal = "Pull request Pull request is in clean status"
        assert merged(fake, GITHUB_TOKEN="ghs_app").endswith("is in clean status.")
        assert not any(seen.path.endswith("/merge") for seen in fake.requests)


def test_the_jobs_own_token_merges_nothing(github: DispatchGitHub) -> None:
    assert "starts no workflow for what the job's own token merges" in merged(github)
    assert github.merging == []


def test_gitlab_merges_once_the_pipeline_has_passed(gitlab: DispatchGitLab) -> None:
    gitlab.not_yet = 2
    assert merged(gitlab) == "It is merged by itself once its pipeline has passed."
    ((number, sent),) = gitlab.merging
    assert (number, sent["auto_merge"], sent["sha"]) == (8, True, "d" * 40)


def test_gitlab_merges_nothing_where_a_failed_pipeline_may_be_merged(gitlab: DispatchGitLab) -> None:
    gitlab.must_succeed = False
    assert "Pipelines must succeed" in merged(gitlab)
    assert gitlab.merging == []


def test_gitlab_that_makes_no_pipeline_is_not_waited_for_for_ever(gitlab: DispatchGitLab) -> None:
    gitlab.not_yet = 99
    assert merged(gitlab).startswith("It will not be merged by itself")


# -- the open request of a branch


@pytest.mark.parametrize("kind", [DispatchGitHub, DispatchGitea, DispatchGitLab])
def test_the_open_request_of_a_branch(kind: type[FakeForge]) -> None:
    with kind() as fake:
        forge = job(fake)
        assert forge.open_request(REQUEST.head, "main") == ""
        opened = forge.propose(REQUEST)
        assert forge.open_request(REQUEST.head, "main") == opened.url
