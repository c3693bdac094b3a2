"""The command target: the promises of targets kept through commands, and what they may not print."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlgate.config.deploying import Environment
from mlgate.rollout.analysis import bins
from mlgate.rollout.targets import FencedError, Place, Target, TargetError, command, find
from mlgate.rollout.targets import local_process as process
from mlgate.rollout.targets.local_release import home
from mlgate.rollout.targets.local_servers import Servers
from rollout import platform_cli, standin
from rollout.conformance import Bench, Conformance, wait_until
from rollout.local_bench import place, stand_in
from rollout.platform_api import Platform


class CommandBench(Bench):
    words = standin.WORDS
    unable = frozenset({"scores"})  # this platform does not tell them

    def __init__(self, folder: Path) -> None:
        self._platforms = [Platform(place(folder, name)) for name in ("staging", "production")]
        here, there = (one.place for one in self._platforms)
        self.good = [stand_in(here, number) for number in (1, 2)]
        stand_in(there, 1)
        self.crashing = stand_in(here, 3, fault="crash")
        self.never = stand_in(here, 4, fault="never")

    def _at(self, platform: Platform) -> Target:
        run = shlex.join([sys.executable, "-S", platform_cli.__file__, platform.address])
        verbs = {verb: f"{run} {verb}" for verb in ("start", "ready", "weigh", "stop", "status", "observe")}
        port = platform.place.settings.target.port
        told = {"target": {"kind": "command", "commands": verbs}, "url": f"http://127.0.0.1:{port}"}
        state = platform.place.folder / "jobs"
        return find(replace(platform.place, settings=Environment.model_validate(told), state=state))

    def make(self) -> Target:
        return self._at(self._platforms[0])

    def elsewhere(self) -> Target:
        return self._at(self._platforms[1])

    def kill(self, slot: str) -> None:
        servers = Servers(home(self._platforms[0].place) / "slots" / slot)
        os.killpg(process.pid_of(servers.all()[0].folder), signal.SIGKILL)

    def close(self) -> None:
        for one in self._platforms:
            one.close()


class TestCommand(Conformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        made = CommandBench(tmp_path)
        yield made
        made.close()


# -- what commands get and say -----------------------------------------------------------------------------------------


def commanded(folder: Path, environ: dict[str, str] | None = None, state: str | None = None, **verbs: str) -> Target:
    """A target whose commands do nothing, but for those that are given."""
    commands: dict[str, Any] = {"start": "true", "ready": "true", "weigh": "true", "stop": "true", "status": "echo []"}
    settings = {"target": {"kind": "command", "commands": {**commands, **verbs, **({"state": state} if state else {})}}}
    return find(Place(
        model="visits", environment="staging", settings=Environment.model_validate(settings), folder=folder,
        state=folder / "state", environ=environ or dict(os.environ),
    ))  # fmt: skip


def status(*slots: dict[str, Any]) -> str:
    return f"echo {shlex.quote(json.dumps(list(slots)))}"


UP = {"slot": "visits-1", "ready": True, "weight": 100}


def test_a_command_gets_what_it_needs_to_know(tmp_path: Path) -> None:
    release = stand_in(place(tmp_path), 1)
    target = commanded(
        tmp_path, {**os.environ, "TOKEN": "t"}, start="env -0 > started; pwd > where",
        weigh="printenv MLGATE_WEIGHTS > weighed",
        status=status({**UP, "slot": release.slot}, {"slot": "visits-2", "ready": 0, "weight": 0}),
    )  # fmt: skip
    mark = target.write("{}", after="")
    target.start(release, replicas=3)
    got = dict(one.split("=", 1) for one in (tmp_path / "started").read_text("utf-8").split("\0") if one)
    assert {name: value for name, value in got.items() if name.startswith("MLGATE_") and name != "MLGATE_STRICT"} == {
        "MLGATE_MODEL": "visits", "MLGATE_ENVIRONMENT": "staging", "MLGATE_SLOT": release.slot,
        "MLGATE_IMAGE": release.image, "MLGATE_DIGEST": release.digest, "MLGATE_VERSION": "v1.1.0", "MLGATE_COMMIT": "",
        "MLGATE_REPLICAS": "3", "MLGATE_PORT": "8080", "MLGATE_FENCE": mark, "MLGATE_TIMEOUT": "10",
        "MLGATE_DRAIN": "20", "MLGATE_STICKY": "",
    }  # fmt: skip
    assert got["TOKEN"] == "t"
    assert (tmp_path / "where").read_text("utf-8").strip() == str(tmp_path)
    target.weigh({release.slot: 5})
    assert json.loads((tmp_path / "weighed").read_text("utf-8")) == {release.slot: 5.0, "visits-2": 0.0}


def test_the_mark_of_a_later_state_is_passed_on(tmp_path: Path) -> None:
    target = commanded(tmp_path, stop="printenv MLGATE_FENCE > fence")
    mark = target.write("two", after=target.write("one", after=""))
    target.stop("visits-1")
    assert (tmp_path / "fence").read_text("utf-8").strip() == mark


def test_a_fenced_job_runs_no_command(tmp_path: Path) -> None:
    one, other = (commanded(tmp_path, weigh="touch weighed", stop="touch stopped") for _ in range(2))
    mark = one.write("one", after="")
    other.write("two", after=mark)
    for act in (lambda: one.weigh({}), lambda: one.stop("visits-1")):
        with pytest.raises(FencedError, match="another job"):
            act()
    assert not (tmp_path / "weighed").exists()
    assert not (tmp_path / "stopped").exists()


def test_the_state_can_be_kept_in_a_folder_that_jobs_share(tmp_path: Path) -> None:
    commanded(tmp_path, state="shared").write("kept", after="")
    assert list((tmp_path / "shared").rglob("state.json"))
    kept = commanded(tmp_path, state="shared").read()
    assert kept is not None
    assert kept.text == "kept"
    assert commanded(tmp_path).read() is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "printed no JSON"),
        ("no slots", "printed no JSON"),
        ("{}", "a list of JSON"),
        ('[{"slot": "a", "ready": true}]', "0.weight"),
        ('[{"slot": "a", "ready": true, "weight": NaN}]', "NaN is no number"),
        ('[{"slot": "a", "ready": true, "weight": "100"}]', "0.weight"),
        ('[{"slot": "a", "ready": true, "weight": 101}]', "0.weight"),
        ('[{"slot": "a", "ready": true, "weight": -1}]', "0.weight"),
        ('[{"slot": "a", "ready": "yes", "weight": 0}]', "0.ready"),
        ('[{"slot": "", "ready": true, "weight": 0}]', "0.slot"),
        ('[{"slot": "a", "raedy": true, "ready": true, "weight": 0}]', "0.raedy"),
        ('[{"slot": "a", "ready": true, "ready": false, "weight": 0}]', "a key stands there twice"),
        ('[{"slot": "a", "ready": 3, "replicas": 2, "weight": 0}]', "more replicas"),
        (
            '[{"slot": "a", "ready": true, "weight": 0}, {"slot": "a", "ready": true, "weight": 0}]',
            "names a slot twice",
        ),
        ("[" * 100_000, "printed no JSON"),
    ],
)
def test_a_status_that_is_not_as_it_must_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "said").write_text(text, "utf-8")
    with pytest.raises(TargetError, match=said) as caught:
        commanded(tmp_path, status="cat said").slots()
    assert caught.value.key == "deploy.environments.staging.target.commands.status"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([], "an object of JSON"),
        ({"visits-1": {"requests": 1}}, "visits-1.errors"),
        ({"visits-1": {"requests": 1, "errors": 2}}, "more errors than requests"),
        ({"visits-1": {"requests": 1.5, "errors": 0}}, "visits-1.requests"),
        ({"visits-1": {"requests": -1, "errors": 0}}, "visits-1.requests"),
        ({"visits-1": {"requests": 1, "errors": 0, "times": [0.1, 0.2]}}, "more times than requests"),
        ({"visits-1": {"requests": 9, "errors": 0, "times": [[0.1, 10]]}}, "more times than requests"),
        ({"visits-1": {"requests": 1, "errors": 0, "times": [-0.1]}}, "a time below 0"),
        ({"visits-1": {"requests": 1, "errors": 0, "times": ["fast"]}}, "visits-1.times"),
        ({"visits-1": {"requests": 1, "errors": 0, "units": 1}}, "units without bad_units"),
        ({"visits-1": {"requests": 1, "errors": 0, "units": 1, "bad_units": 2}}, "more bad_units"),
        ({"why": 3}, "a `why` that is no text"),
    ],
)
def test_what_was_seen_has_to_make_sense(tmp_path: Path, told: Any, said: str) -> None:
    target = commanded(tmp_path, observe=f"echo {shlex.quote(json.dumps(told))}")
    with pytest.raises(TargetError, match=said):
        target.observe(["visits-1"], 0.0, 1.0)


def test_what_was_seen_is_counted_in_bins(tmp_path: Path) -> None:
    told = {
        "visits-1": {"requests": 9, "errors": 1, "times": [0.01, [0.2, 7]], "scores": [0.5, [0.5, 2], "yes"]},
        "visits-2": {"requests": 4, "errors": 0, "units": 3, "bad_units": 0},
    }
    (tmp_path / "told").write_text(json.dumps(told), "utf-8")
    target = commanded(tmp_path, observe='printf "%s" "$MLGATE_SLOTS $MLGATE_SINCE $MLGATE_UNTIL" > asked; cat told')
    seen = target.observe(["visits-1", "visits-2"], 1767225600.25, 1767225610.5)
    assert (tmp_path / "asked").read_text() == '["visits-1", "visits-2"] 1767225600.250000 1767225610.500000'
    one, two = seen.tallies["visits-1"], seen.tallies["visits-2"]
    assert (one.requests, one.errors, one.units) == (9, 1, None)
    assert one.times.counts == {bins.latency(0.01): 1, bins.latency(0.2): 7}
    assert one.scores is not None
    assert one.scores.counts == {bins.score(0.5): 3, bins.score("yes"): 1}
    assert (two.requests, two.units, two.bad_units, two.scores) == (4, 3, 0, None)
    assert seen.complete


@pytest.mark.parametrize(
    ("observe", "why"),
    [
        (None, "there is no command `observe`"),
        ("echo '{}'", "says nothing of visits-1"),
        ("""echo '{"visits-1": {"requests": 1, "errors": 0}, "why": "the log was cut"}'""", "the log was cut"),
    ],
)
def test_what_was_not_seen_is_not_taken_for_health(tmp_path: Path, observe: str | None, why: str) -> None:
    target = commanded(tmp_path, **({} if observe is None else {"observe": observe}))
    seen = target.observe(["visits-1"], 0.0, 1.0)
    assert not seen.complete
    assert why in seen.why


@pytest.mark.parametrize(
    ("ready", "ended", "said"),
    [
        ("exit 75", False, "75"),
        ("echo loading >&2; exit 75", False, "loading"),
        ("echo no such image; exit 4", True, "no such image"),
    ],
)
def test_ready_says_by_its_exit_code_whether_waiting_is_of_use(
    tmp_path: Path, ready: str, ended: bool, said: str
) -> None:
    found = commanded(tmp_path, ready=ready).ready("visits-1")
    assert (found.ready, found.ended) == (False, ended)
    assert said in found.said


def test_a_command_that_fails_says_why_without_its_secrets(tmp_path: Path) -> None:
    target = commanded(tmp_path, stop="echo 'cannot reach https://ada:geheim@host/x' >&2; exit 9")
    with pytest.raises(TargetError, match="`stop` ended with 9: cannot reach") as caught:
        target.stop("visits-1")
    assert "geheim" not in str(caught.value)


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LONGEST", 0.3)
    with pytest.raises(TargetError, match=r"did not end within 0\.3 seconds"):
        commanded(tmp_path, status="sleep 60 & echo $! > child; wait").slots()
    assert wait_until(lambda: not running(int((tmp_path / "child").read_text())))


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_a_command_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    target = commanded(tmp_path, status="sleep 30 & echo $! > child; echo []")
    assert list(target.slots()) == []
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_weights_of_a_slot_that_has_traffic_keep_it_from_being_stopped(tmp_path: Path) -> None:
    target = commanded(tmp_path, status=status(UP), stop="touch stopped")
    with pytest.raises(TargetError, match="has 100 % of the traffic"):
        target.stop("visits-1")
    assert not (tmp_path / "stopped").exists()


def test_a_slot_without_an_address_cannot_be_tried(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="gives no url"), commanded(tmp_path, status=status(UP)).open("visits-1"):
        pass
    with commanded(tmp_path, status=status({**UP, "url": "http://h:1/"})).open("visits-1") as url:
        assert url == "http://h:1"


def test_without_commands_there_is_no_such_target(tmp_path: Path) -> None:
    settings = Environment.model_validate({"target": "command"})
    with pytest.raises(TargetError, match="names no commands"):
        find(Place("visits", "staging", settings, tmp_path, tmp_path))
