"""`mlgate retrain`: what asks, what is held back, what is started on each forge, and what the ledger then says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from forges.dispatch_forges import DispatchGitHub, DispatchGitLab
from forges.fake_forge import FakeForge
from forges.git_host import GitHost
from forges.place import READERS, WRITERS, clean
from watch.retrained import SAID, SINCE, UNTIL, Watching


@pytest.fixture(params=[DispatchGitHub, DispatchGitLab])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    with request.param() as fake:
        yield fake
        assert fake.problems == []


@pytest.fixture
def place(tmp_path: Path, fake: FakeForge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watching]:
    clean(monkeypatch)
    with GitHost(tmp_path / "host", write=set(WRITERS), read=READERS) as host:
        yield Watching(tmp_path, fake, host)


only_github = pytest.mark.parametrize("fake", [DispatchGitHub], indirect=True)
only_gitlab = pytest.mark.parametrize("fake", [DispatchGitLab], indirect=True)


def started(place: Watching) -> list[dict[str, str]]:
    assert isinstance(place.fake, DispatchGitHub | DispatchGitLab)
    prefix = "" if isinstance(place.fake, DispatchGitHub) else "MLGATE_"
    return [
        {key.removeprefix(prefix).lower(): value for key, value in one["inputs"].items()} for one in place.fake.started
    ]


# -- a rule of the monitor


def test_a_rule_that_fires_starts_one_run_and_the_ledger_says_why(place: Watching) -> None:
    file = place.seen()
    told = place.retrain()
    assert (told.code, told.verdict) == (0, "pass"), told.text
    (entry,) = place.triggers()
    assert started(place) == [{"trigger": entry.id, "config": "mlgate.yaml"}]
    assert (entry.outcome, entry.rule, entry.models, entry.reason) == (
        "started",
        "drift",
        ("visits",),
        f"{SINCE}/{UNTIL}",
    )
    assert entry.values == (SAID, "3 of 5")
    assert len(entry.readings) == 1
    assert entry.report == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "Started, asked for by the rule drift (psi.age 0.31 > 0.2; 3 of 5)." in told.reason
    assert told.evidence()["links"]["training"].startswith("http")


@only_github
def test_the_outputs_tell_the_jobs_after_it(place: Watching) -> None:
    place.seen()
    told = place.retrain("--dispatch", "false")
    assert started(place) == []
    assert told.outputs["start"] == "true"
    assert told.outputs["config"] == "mlgate.yaml"
    assert told.orders == [{"trigger": told.trigger, "models": ["visits"], "config": "mlgate.yaml"}]
    assert [entry.id for entry in place.triggers()] == [told.trigger]
    assert told.outputs["ledger-head"].startswith("mlgate1.")


@pytest.mark.parametrize("state", ["quiet", "pending", "recovered", "unknown"])
@only_github
def test_a_rule_that_does_not_fire_starts_nothing(place: Watching, state: str) -> None:
    place.seen(state=state)
    told = place.retrain()
    assert (told.code, told.outputs["start"]) == (0, "false")
    assert "No rule that asks for a retraining fires" in told.reason
    assert place.triggers() == []


@only_github
def test_a_rule_without_retrain_starts_nothing_unless_it_is_named(place: Watching) -> None:
    place.seen(retrain=False)
    assert place.retrain().outputs["start"] == "false"
    assert place.retrain("--rule", "drift").outputs["start"] == "true"
    assert "has no rule 'other'" in place.retrain("--rule", "other").text


@only_github
def test_without_evidence_nothing_asks(place: Watching) -> None:
    told = place.retrain()
    assert (told.code, told.outputs["start"], told.verdict) == (0, "false", "pass")
    assert "No rule, no new data and no schedule asks for one." in told.reason


# -- evidence that must not be believed


@only_github
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e.update(kind="compare"), "is evidence of 'compare'"),
        (lambda e: e.update(model="other"), "is about 'other'"),
        (lambda e: e["watched"].update(until="yesterday"), "has a window that is none"),
        (lambda e: e["watched"].update(since="2026-11-18T00:00:00Z"), "the ledger has no such reading"),
        (lambda e: e["watched"]["alerts"][0].update(rule="made-up"), "mlgate.yaml has no such rule"),
        (lambda e: e.update(more=1), "cannot be read as evidence"),
    ],
)
def test_evidence_that_is_foreign_or_was_changed_starts_nothing(place: Watching, change: object, said: str) -> None:
    file = place.seen()
    evidence = json.loads(file.read_text())
    change(evidence)  # type: ignore[operator]
    file.write_text(json.dumps(evidence))
    told = place.retrain()
    assert told.code == 2
    assert said in told.text
    assert (started(place), place.triggers()) == ([], [])


@only_github
def test_evidence_without_a_reading_in_the_ledger_starts_nothing(place: Watching) -> None:
    place.seen(read=False)
    told = place.retrain()
    assert (told.code, told.verdict) == (2, "error")
    assert "the ledger has no such reading" in told.reason


@only_github
def test_broken_linked_and_missing_evidence(place: Watching, tmp_path: Path) -> None:
    file = place.seen()
    file.write_text("{")
    assert "cannot be read as evidence" in place.retrain().text
    assert "cannot be read" in place.retrain("--from", "nowhere.json").text
    link = place.repo.path / "link.json"
    link.symlink_to("/etc/passwd")
    assert place.retrain("--from", "link.json").code == 2
    (tmp_path / "empty").mkdir()
    assert "holds no evidence of the monitor about visits" in place.retrain("--from", str(tmp_path / "empty")).text
    assert place.triggers() == []


# -- limits


@only_github
def test_the_same_window_starts_once(place: Watching) -> None:
    place.seen()
    place.retrain()
    again = place.retrain()
    assert (again.code, again.outputs["start"]) == (0, "false")
    assert "Held back." in again.reason
    assert len(started(place)) == 1
    assert [entry.outcome for entry in place.triggers()] == ["started"]


def test_two_monitors_at_once_start_one(place: Watching) -> None:
    place.seen()
    copies = [place.clone() for _ in range(3)]
    for repo in copies:
        place.seen(read=False, repo=repo)
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda repo: repo.mlgate("retrain", **place.environ(repo)), copies))
    assert [one.returncode for one in done] == [0, 0, 0], [one.stdout + one.stderr for one in done]
    assert len(started(place)) == 1
    assert [entry.outcome for entry in place.triggers()] == ["started"]


@only_github
def test_by_hand_waits_for_what_is_under_way_and_for_the_cooldown(place: Watching) -> None:
    first = place.retrain("--reason", "The survey changed its questions")
    assert (first.code, first.outputs["start"]) == (0, "true")
    held = place.retrain("--reason", "again", GITHUB_RUN_ID="43")
    assert (held.code, held.verdict, held.outputs["start"]) == (0, "warn", "false")
    assert "under way" in held.reason
    place.retrain("--finish", "unchanged", "--trigger", first.trigger)
    assert "the next may be at" in place.retrain("--reason", "again", GITHUB_RUN_ID="44").reason
    assert place.retrain("--reason", "again", "--force", GITHUB_RUN_ID="45").outputs["start"] == "true"


@only_github
def test_a_successor_that_waits_to_be_merged_holds_it_back(place: Watching) -> None:
    assert isinstance(place.fake, DispatchGitHub)
    place.fake.pull("mlgate/visits/retrain")
    place.seen()
    told = place.retrain()
    assert told.outputs["start"] == "false"
    assert "waits to be merged" in told.reason
    assert "/pull/8" in told.reason


@only_gitlab
def test_who_cannot_ask_whether_one_waits_says_so(place: Watching) -> None:
    place.seen()
    place.host.write.add("gitlab-ci-token:glcbt-64_made-up")
    told = place.retrain(GITLAB_TOKEN="")
    assert told.code == 0, told.text
    assert any("Whether a successor waits to be merged" in line for line in told.evidence()["not_run"])
    assert len(started(place)) == 1


@only_github
def test_a_plan_writes_and_starts_nothing(place: Watching) -> None:
    place.seen()
    told = place.retrain("--plan")
    assert (told.code, told.outputs["start"]) == (0, "false")
    assert "Would be started, asked for by the rule drift" in told.reason
    assert (started(place), place.triggers()) == ([], [])


# -- unchanged, new data, the schedule


@only_github
def test_what_would_give_the_same_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeForge
) -> None:
    clean(monkeypatch)
    with GitHost(tmp_path / "host", write=set(WRITERS), read=READERS) as host:
        place = Watching(tmp_path, fake, host, fresh=True)
        place.seen()
        told = place.retrain()
        assert (told.code, told.verdict, told.outputs["start"]) == (0, "pass", "false"), told.text
        assert "data, code and parameters are those that the model was made of" in told.reason
        assert [entry.outcome for entry in place.triggers()] == ["unchanged"]
        place.retrain()
        assert len(place.triggers()) == 1
        place.configure("{prepare: dvc update data/train.csv.dvc}")
        place.seen(read=False)
        assert place.retrain().outputs["start"] == "true"


@only_github
def test_the_schedule_asks_once_a_day_when_the_last_training_is_old(place: Watching) -> None:
    place.configure("{every: 30 days}")
    assert "which is not long enough ago" in place.retrain().reason
    place.configure("{every: 1 hour, cooldown: 1 hour}")
    old = {"GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z"}
    place.people.git("commit", "--quiet", "--amend", "--no-edit", **old)  # the lock is older still
    place.people.git("filter-branch", "-f", "--env-filter", "export GIT_COMMITTER_DATE=2026-01-01T00:00:00Z", "HEAD")
    place.people.git("push", "--quiet", "--force", str(place.host.bare), "main")
    place.repo = place.clone()
    told = place.retrain()
    assert told.outputs["start"] == "true", told.text
    assert "the last training was on 2026-01-01" in told.reason
    assert [entry.rule for entry in place.triggers()] == ["schedule"]


@only_github
def test_a_pointer_that_changed_asks(place: Watching) -> None:
    place.configure("{new_data: true}")
    assert "No pointer to data changed" in place.retrain().reason
    lock = yaml.safe_load((place.people.path / "dvc.lock").read_text())
    pipeline = yaml.safe_load((place.people.path / "dvc.yaml").read_text())
    del lock["stages"]["split"], pipeline["stages"]["split"]  # the data come from outside
    place.people.write("dvc.lock", yaml.safe_dump(lock, sort_keys=False))
    place.people.write("dvc.yaml", yaml.safe_dump(pipeline, sort_keys=False))
    place.people.write("data/test.csv.dvc", _pointer("test.csv", lock["stages"]["evaluate"]["deps"][0]["md5"]))
    place.person_pushes("data/train.csv.dvc", _pointer("train.csv", "ab" * 16))
    told = place.retrain()
    assert told.outputs["start"] == "true", told.text
    (entry,) = place.triggers()
    assert (entry.rule, entry.values) == ("new data", ("data/train.csv is abababababab now",))


def _pointer(path: str, md5: str) -> str:
    return f"outs:\n- md5: {md5}\n  size: 9\n  hash: md5\n  path: {path}\n"


# -- what cannot be started


def test_what_cannot_be_started_failed_and_may_be_tried_again(place: Watching) -> None:
    place.seen()
    path = "/dispatches" if isinstance(place.fake, DispatchGitHub) else "/pipeline"
    place.fake.fault("POST", path, status=403, body={"message": "Forbidden"})
    told = place.retrain()
    assert (told.code, told.verdict) == (2, "error"), told.text
    assert told.outputs.get("start", "false") == "false"
    assert "could not be started" in told.text
    begun, ended = place.triggers()
    assert (begun.outcome, ended.outcome, ended.started) == ("started", "failed", begun.id)
    assert "could not be started" in ended.reason
    assert "(it failed)" in place.retrain().reason
    again = place.retrain("--force")
    assert again.code == 0, again.text
    assert place.triggers()[-1].outcome == "started"
    assert place.triggers()[-1].id != begun.id


@only_github
def test_a_token_that_may_not_write_the_ledger_starts_nothing(place: Watching) -> None:
    place.seen()
    place.host.write.clear()
    place.host.read |= WRITERS
    told = place.retrain()
    assert told.code == 2
    assert started(place) == []
    assert (told.outputs["start"], told.orders) == ("false", []), "what is not in the ledger is not started"


@only_github
def test_only_the_default_branch_starts_any(place: Watching) -> None:
    place.person("other", onto="main")
    repo = place.clone(branch="other")
    place.seen(repo=repo)
    told = place.retrain(repo=repo, GITHUB_REF="refs/heads/other")
    assert told.code == 2
    assert "models are retrained from the default branch only" in told.text
    assert place.triggers() == []


@only_github
def test_your_own_command_starts_it_and_gets_no_token(place: Watching, tmp_path: Path) -> None:
    told_it = tmp_path / "told"
    place.configure(f"{{dispatch: {{by: command, run: 'env > {told_it}'}}}}")
    place.seen()
    told = place.retrain(MY_API="https://jenkins", MY_TOKEN="secret", MLGATE_ENV_NAMES="MY_API MY_TOKEN")
    assert told.code == 0, told.text
    seen = dict(line.split("=", 1) for line in told_it.read_text().splitlines() if "=" in line)
    assert seen["MLGATE_TRIGGER"] == place.triggers()[0].id
    assert seen["MLGATE_CAUSE"] == f"drift; {SINCE}/{UNTIL}; {SAID}; 3 of 5"
    assert (seen["MLGATE_CONFIG"], seen["MY_TOKEN"]) == ("mlgate.yaml", "secret")
    assert "GITHUB_TOKEN" not in seen
    place.retrain("--finish", "unchanged", "--trigger", place.triggers()[0].id)
    place.configure("{dispatch: {by: command, run: exit 3}}")
    failed = place.retrain("--reason", "x", "--force")
    assert "ended with exit code 3" in failed.text
    assert place.triggers()[-1].outcome == "failed"


# -- several models


@only_github
def test_models_of_a_group_are_trained_together(place: Watching) -> None:
    for model in ("one", "two"):
        place.people.model(folder=f"models/{model}", config=None)
        place.configure("{group: health}", f"models/{model}/mlgate.yaml", model)
    place.seen(model="one")
    told = place.retrain("--config", "models/one/mlgate.yaml", "--force")
    files = "models/one/mlgate.yaml\nmodels/two/mlgate.yaml"
    (entry,) = place.triggers()
    assert told.code == 0, told.text
    assert (entry.group, entry.models, entry.model) == ("health", ("one", "two"), "one")
    assert started(place) == [{"trigger": entry.id, "config": files}]
    place.seen(model="two", read=False)
    assert "under way" in place.retrain("--config", "models/two/mlgate.yaml", "--reason", "too").text


@only_github
def test_configurations_are_named_as_the_next_job_in_that_folder_takes_them(place: Watching) -> None:
    for model in ("one", "two"):
        place.people.model(folder=f"models/{model}", config=None)
        place.configure("{group: health}", f"models/{model}/mlgate.yaml", model)
    told = place.retrain("--working-directory", "models/one", "--reason", "all", "--force", "--dispatch", "false")
    assert told.outputs["config"] == "mlgate.yaml\n../two/mlgate.yaml", told.text
    config = told.outputs["config"]
    again = place.retrain("--working-directory", "models/one", "--config", config, "--trigger", told.trigger)
    assert (again.code, again.outputs["config"]) == (0, config), again.text


@only_github
def test_a_storm_starts_no_more_than_at_once(place: Watching) -> None:
    for model in ("a", "b", "c"):
        place.people.model(folder=f"models/{model}", config=None)
        place.person_pushes(f"models/{model}/src/train.py", "# another way to train\n")
        place.configure("{at_once: 2}", f"models/{model}/mlgate.yaml", model)
    told = place.retrain("--config", "models/*/mlgate.yaml", "--reason", "all of them")
    assert told.code == 0, told.text
    assert [entry.outcome for entry in place.triggers()] == ["started", "started", "held back"]
    assert len(started(place)) == len(told.orders) == 2
    assert told.evidence("c")["verdict"] == "warn"


# -- taking up, and ending


@only_github
def test_the_run_that_was_started_takes_it_up(place: Watching) -> None:
    place.seen()
    place.retrain()
    (entry,) = place.triggers()
    for asked in (entry.id, "open"):
        told = place.retrain("--trigger", asked)
        assert (told.code, told.trigger, told.outputs["config"]) == (0, entry.id, "mlgate.yaml"), told.text
    assert len(place.triggers()) == 1
    assert "knows no retraining" in place.retrain("--trigger", "0" * 32).text
    assert "is no id" in place.retrain("--trigger", "../x").text
    place.retrain("--finish", "failed", "--trigger", entry.id, "--reason", "out of memory")
    over = place.retrain("--trigger", entry.id)
    assert (over.code, over.outputs["start"]) == (2, "false")
    assert "is over: it ended as `failed`" in over.text
    assert "no retraining of visits is under way" in place.retrain("--trigger", "open").text


@only_github
def test_a_retraining_that_failed_says_so_once_and_changes_nothing(place: Watching) -> None:
    place.seen()
    place.retrain()
    (entry,) = place.triggers()
    told = place.retrain("--finish", "failed", "--trigger", entry.id, "--reason", "out of memory")
    assert (told.code, told.verdict, told.outputs["start"]) == (1, "fail", "false")
    assert "The retraining failed (out of memory): no successor is proposed. Nothing else has changed." in told.reason
    assert place.retrain("--finish", "proposed", "--trigger", entry.id).code == 1  # it has failed already
    ended = place.triggers()[-1]
    assert (ended.outcome, ended.started, ended.reason) == ("failed", entry.id, "out of memory")
    assert len(place.triggers()) == 2


@only_github
def test_ending_needs_to_know_which_and_how(place: Watching) -> None:
    told = place.retrain("--finish", "failed", "--trigger", "0" * 32)
    assert "knows no retraining" in told.evidence("visits")["title"], "it is the model's, whose next run may end it"
    assert "is none of proposed, unchanged, failed" in place.retrain("--finish", "well", "--trigger", "0" * 32).text
    assert "needs --trigger" in place.retrain("--finish", "failed").text
