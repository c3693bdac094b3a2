"""What a local target starts: the model that was decided about, by the real server, which knows what it may know."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlgate.config.deploying import Environment
from mlgate.errors import MlgateError
from mlgate.rollout.nouns import Release
from mlgate.rollout.targets import FencedError, Place, TargetError, find, local
from mlgate.rollout.targets.local_release import digest, home
from mlgate.serving.settings import Log, Replay
from rollout.conformance import Bench, begin, bring_up, settled, wait_until
from rollout.local_bench import STANDIN, place, settings, stand_in


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    made = place(tmp_path)
    yield made
    local.take_down(made)


class Asking(Bench):
    """For `ask` alone."""

    good = ()

    def make(self) -> local.Local:
        raise NotImplementedError


def model(folder: Path, text: str = "{}") -> Path:
    made = folder / "model"
    made.mkdir(exist_ok=True)
    (made / "standin.json").write_text(text, "utf-8")
    return made


def release(path: Path, **more: str) -> Release:
    return Release("visits", f"registry.example/visits@sha256:{9:064x}", {"sha256": digest(path)}, **more)


# -- what is copied ----------------------------------------------------------------------------------------------------


def test_another_model_than_was_decided_about_is_refused_and_nothing_is_left(there: Place) -> None:
    path = model(there.folder)
    wanted = release(path)
    (path / "standin.json").write_text('{"fault": "crash"}', "utf-8")
    with pytest.raises(MlgateError, match="and the decision is about") as caught:
        local.prepare(there, wanted, path, settings(wanted), command=STANDIN)
    assert "dvc pull" in caught.value.fix
    assert list((home(there) / "releases").iterdir()) == []


def test_settings_of_another_model_are_refused(there: Place) -> None:
    path = model(there.folder)
    wanted, other = release(path), Release("visits", "x@sha256:1", {"sha256": "ab" * 32})
    with pytest.raises(MlgateError, match="settings of the server are those of another model"):
        local.prepare(there, wanted, path, settings(other), command=STANDIN)
    for text in ("", "{}", "[]", '{"identity": 3}'):
        with pytest.raises(MlgateError, match="cannot be read"):
            local.prepare(there, wanted, path, text, command=STANDIN)
    assert list((home(there) / "releases").iterdir()) == []


def test_a_decision_without_a_digest_is_refused(there: Place) -> None:
    path = model(there.folder)
    bare = replace(release(path), subject={"dvc-md5": "ab" * 16})
    with pytest.raises(MlgateError, match="names no sha256"):
        local.prepare(there, bare, path, settings(release(path)), command=STANDIN)


def test_a_model_that_was_changed_afterwards_is_not_started(there: Place) -> None:
    one = stand_in(there, 1)
    (home(there) / "releases" / one.slot / "model" / "standin.json").write_text("{}", "utf-8")
    with find(there) as target:
        begin(target)
        with pytest.raises(TargetError, match="is not the model that was decided about"):
            target.start(one, replicas=1)
        assert list(target.slots()) == []


def test_preparing_again_mends_a_copy_that_was_changed(there: Place) -> None:
    one = stand_in(there, 1)
    (home(there) / "releases" / one.slot / "model" / "standin.json").write_text("{}", "utf-8")
    assert stand_in(there, 1) == one
    with find(there) as target:
        begin(target)
        bring_up(Asking(), target, one)


def test_what_was_never_prepared_is_one_sentence(there: Place) -> None:
    unknown = Release("visits", f"registry.example/visits@sha256:{7:064x}", {"sha256": "ab" * 32})
    with find(there) as target:
        begin(target)
        with pytest.raises(TargetError, match=f"the model of {unknown.slot} is not on this machine"):
            target.start(unknown, replicas=1)


def test_old_copies_go_but_for_a_few_and_for_those_that_run(there: Place) -> None:
    first = stand_in(there, 1)
    with find(there) as target:
        begin(target)
        bring_up(Asking(), target, first)
        made = [stand_in(there, number) for number in range(2, 12)]
        kept = {one.name for one in (home(there) / "releases").iterdir()}
        assert {first.slot, made[-1].slot} <= kept
        assert len(kept) == 7  # what runs, the newest, and five
        assert not [name for name in kept if name.startswith(".")]


# -- what the server knows ---------------------------------------------------------------------------------------------


def test_servers_get_what_is_configured_and_no_credentials_of_the_job(tmp_path: Path) -> None:
    script = tmp_path / "told.sh"
    script.write_text('env > "$0.env"; sleep 60\n', "utf-8")
    told = {"environment": {"THREADS": "4"}, "secrets": {"LOG_KEY": "CI_LOG_KEY"}}
    there = replace(
        place(tmp_path, target=told), environ={**os.environ, "CI_LOG_KEY": "geheim", "GITHUB_TOKEN": "t", "LC_ALL": "C"}
    )
    path = model(tmp_path)
    one = release(path)
    local.prepare(there, one, path, settings(one), command=("/bin/sh", str(script)))
    try:
        with find(there) as target:
            begin(target)
            target.start(one, replicas=1)
            assert wait_until(lambda: Path(f"{script}.env").exists() and "PATH=" in Path(f"{script}.env").read_text())
            lines = Path(f"{script}.env").read_text("utf-8").splitlines()
            got = dict(line.split("=", 1) for line in lines if "=" in line)
            assert (got["THREADS"], got["LOG_KEY"], got["LC_ALL"]) == ("4", "geheim", "C")
            assert not {"GITHUB_TOKEN", "CI_LOG_KEY"} & got.keys()
        assert not [file for file in there.state.rglob("*") if file.is_file() and b"geheim" in file.read_bytes()]
    finally:
        local.take_down(there)


def test_a_secret_that_is_not_set_is_named_before_anything_starts(tmp_path: Path) -> None:
    there = place(tmp_path, target={"secrets": {"LOG_KEY": "CI_LOG_KEY"}})
    one = stand_in(there, 1)
    with find(there) as target:
        begin(target)
        with pytest.raises(TargetError, match="the variable CI_LOG_KEY is not set, and LOG_KEY of the server"):
            target.start(one, replicas=1)
        assert list(target.slots()) == []


def test_a_program_that_is_not_there_says_so(there: Place) -> None:
    path = model(there.folder)
    one = release(path)
    local.prepare(there, one, path, settings(one), command=("/nowhere/python",))
    with find(there) as target:
        begin(target)
        target.start(one, replicas=1)
        said = settled(target, one.slot, 10)
        assert said.ended
        assert "/nowhere/python" in said.said


def test_a_state_that_nobody_has_written_is_one_sentence(there: Place) -> None:
    home(there).mkdir(parents=True)
    for text in ("", "[]", '{"text": "x"}'):
        (home(there) / "state.json").write_text(text, "utf-8")
        with find(there) as target, pytest.raises(TargetError, match="is no state of a rollout"):
            target.read()


def test_a_job_that_was_overtaken_while_it_waits_for_requests_takes_nothing_more_away(there: Place) -> None:
    one, other = stand_in(there, 1), stand_in(there, 2)
    with find(there) as mine, find(there) as theirs:
        begin(mine)
        bring_up(Asking(), mine, one, other)
        mine.weigh({one.slot: 100})
        mine.stop(other.slot)
        begin(theirs)
        with pytest.raises(FencedError):
            mine.stop(one.slot)
        assert [slot.name for slot in theirs.slots()] == [one.slot]


def test_weights_that_are_no_percentages_are_refused(there: Place) -> None:
    one = stand_in(there, 1)
    with find(there) as target:
        begin(target)
        bring_up(Asking(), target, one)
        for wrong in (float("nan"), -1.0, float("inf")):
            with pytest.raises(TargetError, match="percentages"):
                target.weigh({one.slot: wrong})


def test_two_models_and_environments_share_a_folder_and_nothing_else(tmp_path: Path) -> None:
    made = place(tmp_path)
    names = [("a.b", "x"), ("a-b", "x"), ("A-b", "x"), ("a-b", "y"), ("a", "b/x")]
    homes = {home(replace(made, model=model, environment=environment)) for model, environment in names}
    assert len(homes) == len(names)
    assert all(one.is_relative_to(made.state) and len(one.relative_to(made.state).parts) == 2 for one in homes)


# -- the real server ---------------------------------------------------------------------------------------------------


def test_the_real_server_answers_is_observed_and_keeps_requests(tmp_path: Path) -> None:
    import joblib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    table = pd.DataFrame(np.random.default_rng(1).normal(size=(200, 2)), columns=["x", "y"])
    path = tmp_path / "visits.joblib"
    joblib.dump(LogisticRegression().fit(table, (table["x"] > 0).astype(int)), path)
    there = place(tmp_path)
    one = release(path, version="v1.2.0")
    text = settings(one, log=Log(to="stdout"), replay=Replay(sample=1.0))
    local.prepare(there, one, path, text)
    try:
        with find(there) as target:
            begin(target)
            bring_up(Asking(), target, one)
            target.weigh({one.slot: 100})
            since = target.now()
            link = http.client.HTTPConnection("127.0.0.1", there.settings.target.port, timeout=20)
            for number in range(20):
                link.request("POST", "/predict", json.dumps({"x": number - 10.0, "y": 0.0}))
                answer = link.getresponse()
                assert (answer.status, json.loads(answer.read())["model_version"]) == (200, "v1.2.0")
            link.request("POST", "/predict", "no JSON")
            answer = link.getresponse()
            assert (answer.status, answer.read() != b"") == (400, True)
            link.request("GET", "/version")
            told = json.loads(link.getresponse().read())
            assert (told["digest"], told["environment"]) == (one.subject["sha256"], "staging")
            link.close()
            until = target.now()

            def counted() -> int:
                scores = target.observe([one.slot], since, until).tallies[one.slot].scores
                return 0 if scores is None else scores.total

            assert wait_until(lambda: counted() == 20)
            tally = target.observe([one.slot], since, until).tallies[one.slot]
            assert (tally.requests, tally.errors, tally.times.total) == (21, 0, 21)
            assert tally.scores is not None
            assert len(tally.scores.counts) > 5
            assert wait_until(lambda: len(list(kept(target, one.slot))) >= 20)
            latest = [json.loads(line)["body"] for line in target.requests(one.slot, 3)]
            assert [json.loads(body)["x"] for body in latest if body != "no JSON"][-1] == 9.0
            target.weigh({})
            target.stop(one.slot)
            assert not list(there.state.rglob("requests.jsonl*"))  # they go with their server
    finally:
        local.take_down(there)


def kept(target: object, slot: str) -> list[bytes]:
    assert isinstance(target, local.Local)
    try:
        return list(target.requests(slot, 100))
    except TargetError:
        return []


def test_without_a_log_of_requests_there_is_nothing_to_answer_again(there: Place) -> None:
    one = stand_in(there, 1)
    with find(there) as target:
        begin(target)
        bring_up(Asking(), target, one)
        with pytest.raises(TargetError, match="has kept no requests") as caught:
            target.requests(one.slot, 10)
        assert caught.value.key == "serve.replay"


def test_a_place_without_settings_of_its_own_listens_on_this_machine_alone() -> None:
    target = Environment.model_validate({"target": "local"}).target
    assert (target.bind, target.port) == ("127.0.0.1", 8080)
