"""Decisions of whole runs: on the default branch only, as a file and in the ledger, and verified by `mlgate audit`."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ledger_samples import Forge, edit, entries, segments

from builder import MLGATE, Repo, environment
from jobs import environ
from mlgate.commands._binding import Binding, Bound
from mlgate.commands._decide import Decided, decide, where
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.ledger import chain
from mlgate.model import Event, Evidence

BETTER = {"auc": 0.74, "log_loss": 0.56}
WORSE = {"auc": 0.60, "log_loss": 0.80}


class Main:
    """A repository whose main has a champion and then a challenger, and a ledger in a repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.shared = Forge(folder, "shared")
        self.repo = Repo(folder / "repo")
        self.config = MLGATE + f"ledger: {{remote: '{self.shared.url}'}}\n"
        self.repo.model(config=self.config)
        self.before = self.repo.commit("Champion")

    def challenger(self, metrics: dict[str, Any] | None = None, **more: Any) -> None:
        self.repo.model(metrics or BETTER, **{"config": self.config, **more})
        self.repo.commit("Challenger")

    def judged(self, monkeypatch: pytest.MonkeyPatch, name: str = "push", ref: str = "main") -> list[Decided]:
        """`mlgate compare` in a job, then the decision."""
        payload = {"before": self.before, "after": self.repo.head, "ref": f"refs/heads/{ref}"}
        env = environ(self.repo.path.parent / "job", self.repo, name, payload, GITHUB_REF=f"refs/heads/{ref}",
                      GITHUB_REF_NAME=ref, GITHUB_ACTOR="ada")  # fmt: skip
        assert self.repo.mlgate("compare", **env).stderr == ""
        for key in list(os.environ):
            if key not in environment():
                monkeypatch.delenv(key)
        for key, value in env.items():
            monkeypatch.setenv(key, value)
        monkeypatch.chdir(self.repo.path)
        run = Run.start("mlgate.yaml", ".")
        text = (self.repo.path / ".mlgate/evidence/visits/compare.json").read_text()
        binding = Binding(run)
        bounds: dict[str, Bound] = {}
        for file, own in binding.own():
            assert isinstance(own, Config)
            bounds[own.model] = binding.rules(file, own)
        return decide(run, [Evidence.from_json(text)], bounds)


@pytest.fixture
def main(tmp_path: Path) -> Main:
    return Main(tmp_path)


def test_a_better_model_gets_a_decision(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    main.challenger()
    (made,) = main.judged(monkeypatch)
    assert (made.reasons, made.trouble) == ((), "")
    assert made.statement is not None
    file = main.repo.path / made.file
    assert file.read_bytes() == made.statement.to_bytes()
    assert file.name == "visits.json"
    genesis, entry = (each["entry"] for each in entries(main.shared.files()))
    assert (entry["kind"], entry["id"], entry["actor"], entry["commit"]) == (
        "decision", made.entry, "ada", main.repo.head,
    )  # fmt: skip
    assert entry["statement"] == made.statement.digest
    assert entry["champion_commit"] == main.before
    assert made.head.startswith(f"mlgate1.{genesis['ledger']}.events.2.")
    done = main.repo.mlgate("audit", "verify", "--head", made.head)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 decision: every record follows its schema and is what the ledger names." in done.stdout
    assert ".mlgate/decisions/visits.json: not signed." in done.stdout
    assert "decision" in main.repo.mlgate("audit", "log").stdout


def test_a_worse_model_gets_none_and_is_remembered(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    main.challenger(WORSE)
    (made,) = main.judged(monkeypatch)
    assert made.reasons == ("The verdict is fail.",)
    assert made.statement is None
    assert not (main.repo.path / ".mlgate/decisions/visits.json").exists()
    assert [each["entry"]["kind"] for each in entries(main.shared.files())] == ["genesis", "comparison"]


def test_off_the_default_branch_nothing_is_written(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    main.repo.git("checkout", "--quiet", "-b", "retrain")
    main.challenger()
    stale = main.repo.write(".mlgate/decisions/visits.json", "{}")
    (made,) = main.judged(monkeypatch, ref="retrain")
    assert "this run judges the branch retrain." in made.reasons[0]
    assert (made.entry, made.file) == ("", "")
    assert not stale.exists()
    assert main.shared.git("branch", "--list", "mlgate-ledger") == ""


def test_an_unchanged_model_gets_no_second_decision(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    main.repo.write("README.md", "New words\n")
    main.repo.commit()
    (made,) = main.judged(monkeypatch)
    assert made.reasons == ("The model is the champion, so the decision for it stands.",)
    assert main.shared.git("branch", "--list", "mlgate-ledger") == ""


def test_report_mode_decides_nothing(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    main.config = main.config.replace("mode: enforce", "mode: report")
    main.repo.model(config=main.config)
    main.before = main.repo.commit("Only report")
    main.challenger()
    (made,) = main.judged(monkeypatch)
    assert made.reasons == ("The mode is report; only enforce makes decisions.",)
    assert main.shared.git("branch", "--list", "mlgate-ledger") == ""


def test_a_ledger_that_cannot_be_reached_is_told_and_the_entry_waits(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    main.challenger()
    main.shared.path.rename(main.shared.path.with_suffix(".away"))
    (made,) = main.judged(monkeypatch)
    assert made.statement is not None
    assert made.head == ""
    assert "1 entry of the ledger waits in" in made.trouble
    main.shared.path.with_suffix(".away").rename(main.shared.path)
    assert main.repo.mlgate("audit", "push").returncode == 0
    assert [each["entry"]["kind"] for each in entries(main.shared.files())] == ["genesis", "decision"]


def test_a_record_that_was_changed_is_found(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    main.challenger()
    (made,) = main.judged(monkeypatch)
    file = main.repo.path / made.file
    good = file.read_bytes()
    for data, said in (
        (
            good.replace(b'"auc', b'"xyz').replace(b"rules.auc", b"rules.xyz"),
            "the ledger has no decision with this record",
        ),
        (good + b"\n", "its bytes are not as mlgate writes them."),
        (good.replace(b"PASSED", b"FAILED"), "is no decision record: predicate.result"),
        (good[:-20], "cannot be read as a decision record."),
    ):
        file.write_bytes(data)
        done = main.repo.mlgate("audit", "verify")
        assert done.returncode == 2
        assert said in done.stdout
    elsewhere = main.repo.write("copy.json", good)
    assert main.repo.mlgate("audit", "verify", "--decision", str(elsewhere)).returncode == 0


def test_a_signature_beside_a_record_must_be_of_that_record(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    main.challenger()
    (made,) = main.judged(monkeypatch)
    file = main.repo.path / made.file

    def sign(payload: bytes) -> None:
        envelope = {"payloadType": "application/vnd.in-toto+json", "payload": base64.b64encode(payload).decode()}
        file.with_name("visits.json.dsse.json").write_text(json.dumps({**envelope, "signatures": [{"sig": "AA=="}]}))

    sign(file.read_bytes())
    done = main.repo.mlgate("audit", "verify")
    assert done.returncode == 0
    assert "the signature itself was not verified here" in done.stdout
    sign(b"{}")
    done = main.repo.mlgate("audit", "verify")
    assert done.returncode == 2
    assert "visits.json.dsse.json beside it signs something else." in done.stdout


def test_a_decision_whose_record_does_not_fit_is_found(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forged by somebody who writes whole new hashes: the record still says something else than its entry."""
    main.challenger()
    main.judged(monkeypatch)
    files = main.shared.files()
    (path,) = segments(files)

    def forge(rows: list[bytes]) -> None:
        value = json.loads(rows[-1])
        value["entry"]["record"]["predicate"]["configuration"][0]["digest"]["mlgate-rules-sha256"] = "0" * 64
        rows[-1] = chain.canonical({**value, "hash": chain.digest(value)}) + b"\n"

    changed = edit(files, path, forge)
    index = json.loads(changed["ledger.json"])
    index["heads"]["events"]["hash"] = json.loads(changed[path].splitlines()[-1])["hash"]
    main.shared.rewrite({**changed, "ledger.json": json.dumps(index).encode()})
    fresh = Repo(main.repo.path.parent / "fresh")
    fresh.git("fetch", "--quiet", str(main.repo.path), "main:other")
    fresh.git("checkout", "--quiet", "other")
    done = fresh.mlgate("audit", "verify")
    assert done.returncode == 2
    assert f"{path}:2: the ledger has the record" in done.stdout
    assert f"{path}:2: the rules of mlgate.yaml in commit {main.before[:7]} are not" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Event(), "a working tree at a terminal"),
        (Event(kind="pull_request"), "a pull request"),
        (Event(kind="merge_group"), "an entry of a merge queue"),
        (Event(kind="tag", ref="v1"), "a tag"),
        (Event(kind="push", ref="main", default_branch="main", from_fork=True), "a fork"),
        (Event(kind="push", ref="dev", default_branch="main"), "the branch dev"),
        (Event(kind="schedule", ref="main"), "the branch main"),  # what the default is, nobody says
        (Event(kind="push", ref="main", default_branch="main", sha="b" * 40), "commit aaaaaaa, which is not the one"),
        (Event(kind="push", ref="main", default_branch="main", sha="a" * 40), ""),
        (Event(kind="manual", ref="main", default_branch="main"), ""),
    ],
)
def test_where_a_run_is(event: Event, said: str) -> None:
    found = where(event, "a" * 40)
    assert found.startswith(said)
    assert bool(found) == bool(said)
