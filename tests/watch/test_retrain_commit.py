"""What a retraining made: one request per model that says why, a gate that judges it, and its end in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forges.dispatch_forges import DispatchGitHub, DispatchGitLab
from forges.fake_forge import FakeForge
from forges.git_host import GitHost
from forges.place import GITLAB_TOKEN, READERS, WRITERS, clean
from mlgate.commands import _retrain_why as why
from mlgate.ledger.kinds import Trigger
from mlgate.repo import proposal
from mlgate.repo.git import Git
from watch.retrained import SAID, SINCE, UNTIL, Told, Watching

BRANCH = "mlgate/visits/retrain"


@pytest.fixture(params=[DispatchGitHub, DispatchGitLab])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    with request.param() as fake:
        yield fake
        assert fake.problems == []


@pytest.fixture
def place(tmp_path: Path, fake: FakeForge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watching]:
    clean(monkeypatch)
    with GitHost(tmp_path / "host", write={*WRITERS, "x-access-token:ghs_app"}, read=READERS) as host:
        yield Watching(tmp_path, fake, host, retrain="{labels: [model, retrained], cooldown: 1 second}")


only_github = pytest.mark.parametrize("fake", [DispatchGitHub], indirect=True)


def begun(place: Watching) -> str:
    """A retraining that the rule `drift` started."""
    place.seen()
    told = place.retrain("--dispatch", "false")
    assert told.code == 0, told.text
    return place.triggers()[-1].id


def commit(place: Watching, trigger: str, *args: str, **more: str) -> Told:
    options = ("--commit", "pull-request", "--proposal", str(place.folder), "--trigger", trigger, *args)
    return place.retrain(*options, verb="train", **more)


def test_the_request_says_why_and_the_ledger_how_it_ended(place: Watching) -> None:
    trigger = begun(place)
    place.trained()
    told = commit(place, trigger)
    assert told.code == 0, told.text
    (request,) = place.requests()
    assert (request["head"], request["base"], request["title"]) == (BRANCH, "main", "Retrain visits (rule drift)")
    assert request["labels"] == ["model", "retrained"]
    body = request["body"]
    for words in (
        "| Asked by | the rule `drift` |", SAID.replace(">", "&gt;"), "2026-11-19 00:00 to 2026-11-20 00:00 UTC",
        f"trigger `{trigger}`", "sha256 `", "| `metrics/eval.json` | `auc` | 0.72 | 0.75 | +0.03 |",
    ):  # fmt: skip
        assert words in body, words
    assert body.index("### Why") < body.index("Trained `visits`")
    ended = place.triggers()[-1]
    assert (ended.outcome, ended.started, ended.models) == ("proposed", trigger, ("visits",))
    assert ended.url.endswith("/8")


def test_a_second_retraining_brings_the_same_request_up_to_date(place: Watching) -> None:
    place.trained()
    commit(place, begun(place))
    again = place.retrain("--reason", "Once <script> more | @mona", "--force", "--dispatch", "false")
    assert again.code == 0, again.text
    place.trained({"auc": 0.8, "log_loss": 0.5})
    told = commit(place, place.triggers()[-1].id)
    assert told.code == 0, told.text
    (request,) = place.requests()
    assert "0.8" in request["body"]
    assert "<script>" not in request["body"]
    assert "@mona" not in request["body"].replace("@\u200bmona", "").replace("&#64;mona", "")
    assert [name for name in place.host.branches() if name.startswith("mlgate/")] == [BRANCH]
    assert [entry.outcome for entry in place.triggers()] == ["started", "proposed", "started", "proposed"]


def test_training_that_made_the_same_ends_unchanged(place: Watching) -> None:
    trigger = begun(place)
    place.trained({"auc": 0.72, "log_loss": 0.58})
    told = commit(place, trigger)
    assert told.code == 0, told.text
    assert place.requests() == []
    assert place.triggers()[-1].outcome == "unchanged"


@only_github
def test_what_is_over_or_another_models_is_not_committed(place: Watching) -> None:
    trigger = begun(place)
    place.trained()
    assert "knows no retraining" in commit(place, "f" * 32).text
    proposal_of(place, "other")
    told = commit(place, trigger)
    assert told.code == 2
    assert "is of other, which was not to be trained" in told.text
    over = place.retrain("--finish", "failed", "--trigger", trigger)
    assert (over.code, over.verdict) == (1, "fail"), over.text
    place.trained()
    assert "is over: it ended as `failed`" in commit(place, trigger).text
    assert (place.requests(), BRANCH in place.host.branches()) == ([], False)
    assert place.triggers()[-1].outcome == "failed"


def proposal_of(place: Watching, model: str) -> None:
    place.trained()
    found = proposal.read(place.folder, Git(place.repo.path))
    proposal.write(place.folder, Git(place.repo.path), base=place.repo.head, files=found.files, model=model)


# -- that something judges it


@only_github
def test_the_gate_is_started_on_the_branch_that_the_jobs_own_token_pushed(place: Watching) -> None:
    assert isinstance(place.fake, DispatchGitHub)
    trigger = begun(place)
    place.trained()
    told = commit(place, trigger, "--gate-workflow", "model-gate.yml")
    assert place.fake.started == [{"workflow": "model-gate.yml", "ref": BRANCH, "inputs": {}}]
    assert f"so model-gate.yml was started on {BRANCH}" in told.text


@only_github
def test_a_gate_that_cannot_be_started_is_said(place: Watching) -> None:
    place.trained()
    told = commit(place, begun(place), "--gate-workflow", "plain.yml")
    assert told.code == 0, told.text
    assert "The gate was not started either" in told.text
    assert "Add `workflow_dispatch:` under `on:` of plain.yml" in told.text


@only_github
def test_the_token_of_an_app_starts_the_gate_by_the_request_itself(place: Watching) -> None:
    assert isinstance(place.fake, DispatchGitHub)
    place.fake.me = "visits-bot[bot]"
    place.trained()
    told = commit(place, begun(place), "--gate-workflow", "model-gate.yml", GITHUB_TOKEN="ghs_app")
    assert told.code == 0, told.text
    assert place.fake.started == []


@pytest.mark.parametrize("fake", [DispatchGitLab], indirect=True)
def test_gitlab_says_which_token_is_missing(place: Watching) -> None:
    trigger = begun(place)
    place.trained()
    place.host.write.add("gitlab-ci-token:glcbt-64_made-up")
    told = commit(place, trigger, GITLAB_TOKEN="")
    assert told.code == 2
    assert "CI_JOB_TOKEN cannot. Set the CI/CD variable GITLAB_TOKEN" in told.text
    assert [entry.outcome for entry in place.triggers()] == ["started"]
    assert GITLAB_TOKEN not in told.text


def test_auto_merge_is_the_teams_choice(place: Watching) -> None:
    place.trained()
    told = commit(place, begun(place))
    assert "merged by itself" not in told.text
    place.configure("{auto_merge: true}")
    place.retrain("--reason", "again", "--force", "--dispatch", "false")
    place.trained()
    more = {}
    if isinstance(place.fake, DispatchGitHub):
        place.fake.me, more = "visits-bot[bot]", {"GITHUB_TOKEN": "ghs_app"}
    told = commit(place, place.triggers()[-1].id, **more)
    assert "It is merged by itself once" in told.text
    assert isinstance(place.fake, DispatchGitHub | DispatchGitLab)
    assert len(place.fake.merging) == 1


# -- words


def entry(**more: object) -> Trigger:
    told = {"id": "a" * 32, "at": "2026-11-20T06:00:00Z", "rule": "drift", "outcome": "started"}
    told |= {"model": "visits", "models": ("visits",)}
    return Trigger(**(told | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "branch"),
    [
        ("visits", "mlgate/visits/retrain"),
        ("my group / x", "mlgate/my-group-x/retrain"),
        ("a..b", "mlgate/a-b/retrain"),
        ("x.lock", "mlgate/x-/retrain"),
        ("../..", "mlgate/model/retrain"),
    ],
)
def test_a_branch_is_always_a_name_that_git_takes(tmp_path: Path, model: str, branch: str) -> None:
    assert why.branch_of(model) == branch
    assert Git(tmp_path).try_run("check-ref-format", f"refs/heads/{branch}").returncode == 0


def test_the_cause_in_words() -> None:
    text = why.body(entry(values=("psi.age 0.3 > 0.2",), reason=f"{SINCE}/{UNTIL}", report="b" * 64))
    assert "| Window | 2026-11-19 00:00 to 2026-11-20 00:00 UTC |" in text
    assert "| Report | sha256 `" in text
    assert why.title(entry(rule="manual")) == "Retrain visits (by hand)"
    assert why.title(entry(rule="schedule", group="health", models=("a", "b"))) == "Retrain health (schedule)"
    hand = why.body(entry(rule="manual", actor="mona", reason="New questions <b>"))
    assert "mona, by hand: New questions" in hand
    assert "<b>" not in hand
