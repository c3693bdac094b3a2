"""Decisions of whole runs: on the default branch only, as a file and in the ledger, and verified by `mlgate audit`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from ledger_samples import Forge, edit, entries, segments

from builder import MLGATE, Repo, md5
from jobs import environ
from mlgate.commands._deciding import where
from mlgate.judge import record
from mlgate.judge.record import Statement
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

    def judged(self, ref: str = "main", name: str = "push", *, ok: bool = True) -> str:
        """What `mlgate compare` prints in a job of this branch."""
        payload = {"before": self.before, "after": self.repo.head, "ref": f"refs/heads/{ref}"}
        more = {"GITHUB_REF": f"refs/heads/{ref}", "GITHUB_REF_NAME": ref, "GITHUB_ACTOR": "ada"}
        done = self.repo.mlgate("compare", **environ(self.repo.path.parent / "job", self.repo, name, payload, **more))
        assert (done.returncode == 0, done.stderr) == (ok, "")
        return done.stdout

    def outputs(self) -> dict[str, str]:
        text = (self.repo.path.parent / "job/output").read_text()
        return {m[1]: m[3] for m in re.finditer(r"(\S+)<<(\S+)\n(.*?)\n?\2\n", text, re.DOTALL)}

    @property
    def file(self) -> Path:
        return self.repo.path / ".mlgate/decisions/visits.json"

    def kinds(self) -> list[str]:
        """Of the entries of the ledger, the genesis left out."""
        if not self.shared.git("branch", "--list", "mlgate-ledger"):
            return []
        return [each["entry"]["kind"] for each in entries(self.shared.files())][1:]


@pytest.fixture
def main(tmp_path: Path) -> Main:
    return Main(tmp_path)


def test_a_better_model_gets_a_decision(main: Main) -> None:
    main.challenger()
    main.judged()
    statement = Statement.parse(json.loads(main.file.read_bytes()))
    assert main.file.read_bytes() == statement.to_bytes()
    genesis, entry = (each["entry"] for each in entries(main.shared.files()))
    assert (entry["kind"], entry["actor"], entry["commit"]) == ("decision", "ada", main.repo.head)
    assert entry["statement"] == statement.digest
    assert entry["champion_commit"] == main.before
    assert entry["subject"].keys() == {"dvc-md5"}
    assert entry["evaluation"]["holdout"].startswith("dvc-md5:")
    head = main.outputs()["ledger-head"]
    assert head.startswith(f"mlgate1.{genesis['ledger']}.events.2.")
    assert json.loads(main.outputs()["decided"]) == ["visits"]
    done = main.repo.mlgate("audit", "verify", "--head", head)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 decision: every record follows its schema and is what the ledger names." in done.stdout
    assert ".mlgate/decisions/visits.json: not signed." in done.stdout
    assert "decision" in main.repo.mlgate("audit", "log").stdout


def test_the_record_names_the_evidence_by_digest(main: Main) -> None:
    main.challenger()
    main.judged()
    statement = Statement.parse(json.loads(main.file.read_bytes()))
    text = (main.repo.path / ".mlgate/evidence/visits/compare.json").read_text()
    (named,) = statement.predicate.decision.evidence
    assert named.digest == {record.EVIDENCE: record.evidence_digest(Evidence.from_json(text))}
    changed = Evidence.from_json(text.replace('"verdict": "pass"', '"verdict": "warn"', 1))
    assert record.evidence_digest(changed) != named.digest[record.EVIDENCE]


def test_a_model_that_is_here_is_named_by_its_sha256_too(main: Main) -> None:
    main.challenger()
    seed = md5((main.repo.path / "metrics/eval.json").read_bytes())
    model = main.repo.write("models/visits.joblib", f"model {seed}")
    main.judged()
    subject = Statement.parse(json.loads(main.file.read_bytes())).subject[0]
    assert subject.digest == {"sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    assert subject.annotations == {"dvc-md5": md5(model.read_bytes())}
    (_, entry) = (each["entry"] for each in entries(main.shared.files()))
    assert entry["subject"] == {**subject.digest, **subject.annotations}
    model.write_text("another model")
    main.judged()
    assert Statement.parse(json.loads(main.file.read_bytes())).subject[0].digest == subject.annotations


def test_a_worse_model_gets_none_and_is_remembered(main: Main) -> None:
    main.challenger(WORSE)
    main.judged(ok=False)
    assert not main.file.exists()
    assert main.kinds() == ["comparison"]
    assert entries(main.shared.files())[1]["entry"]["reasons"] == ["The verdict is fail."]


def test_off_the_default_branch_nothing_is_written(main: Main) -> None:
    main.repo.git("checkout", "--quiet", "-b", "retrain")
    main.challenger()
    main.repo.write(".mlgate/decisions/visits.json", "{}")
    main.judged("retrain")
    assert not main.file.exists()
    assert main.kinds() == []


def test_an_unchanged_model_gets_no_second_decision(main: Main) -> None:
    main.repo.write("README.md", "New words\n")
    main.repo.commit()
    main.judged()
    assert not main.file.exists()
    assert main.kinds() == []


def test_report_mode_decides_nothing(main: Main) -> None:
    main.config = main.config.replace("mode: enforce", "mode: report")
    main.repo.model(config=main.config)
    main.before = main.repo.commit("Only report")
    main.challenger()
    main.judged()
    assert not main.file.exists()
    assert main.kinds() == []


def test_a_ledger_that_breaks_on_the_way_is_told_and_the_entry_waits(main: Main) -> None:
    main.challenger()
    hook = main.shared.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'GH006: Protected branch' >&2\nexit 1\n")
    hook.chmod(0o755)
    said = main.judged()
    assert "The ledger does not have what was decided about visits" in said
    assert "a rule or a hook of the server protects the branch" in said
    assert main.file.exists()
    assert main.outputs()["ledger-head"] == ""
    hook.unlink()
    assert main.repo.mlgate("audit", "push").returncode == 0
    assert main.kinds() == ["decision"]


def test_a_record_that_was_changed_is_found(main: Main) -> None:
    main.challenger()
    main.judged()
    good = main.file.read_bytes()
    for data, said in (
        (good.replace(b"rules.auc", b"rules.xyz"), "the ledger has no decision with this record"),
        (good + b"\n", "its bytes are not as mlgate writes them."),
        (good.replace(b"PASSED", b"FAILED"), "is no decision record: predicate.result"),
        (good[:-20], "cannot be read as a decision record."),
    ):
        main.file.write_bytes(data)
        done = main.repo.mlgate("audit", "verify")
        assert done.returncode == 2
        assert said in done.stdout
    elsewhere = main.repo.write("copy.json", good)
    assert main.repo.mlgate("audit", "verify", "--decision", str(elsewhere)).returncode == 0


def test_a_signature_beside_a_record_must_be_of_that_record(main: Main) -> None:
    main.challenger()
    main.judged()

    mine, other = (ed25519.Ed25519PrivateKey.generate() for _ in range(2))

    def sign(payload: bytes) -> None:
        kind = "application/vnd.in-toto+json"
        signed = mine.sign(f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload)
        envelope = {"payloadType": kind, "payload": base64.b64encode(payload).decode()}
        beside = main.file.with_name("visits.json.dsse.json")
        beside.write_text(json.dumps({**envelope, "signatures": [{"sig": base64.b64encode(signed).decode()}]}))

    def verified(key: ed25519.Ed25519PrivateKey) -> subprocess.CompletedProcess[str]:
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        file = main.file.parent.parent.parent / "cosign.pub"
        file.write_bytes(key.public_key().public_bytes(*form))
        return main.repo.mlgate("audit", "verify", "--key", str(file))

    unsigned = verified(mine)
    assert unsigned.returncode == 2
    assert "it is not signed, and --key asks for that." in unsigned.stdout
    sign(main.file.read_bytes())
    done = main.repo.mlgate("audit", "verify")
    assert done.returncode == 0
    assert "by whom was not verified" in done.stdout
    assert verified(mine).returncode == 0
    foreign = verified(other)
    assert foreign.returncode == 2
    assert "is not signed with cosign.pub." in foreign.stdout
    sign(b"{}")
    done = main.repo.mlgate("audit", "verify")
    assert done.returncode == 2
    assert "visits.json.dsse.json beside it signs something else." in done.stdout


def test_a_decision_whose_record_does_not_fit_is_found(main: Main) -> None:
    """Forged by somebody who writes whole new hashes: the record still says something else than its entry."""
    main.challenger()
    main.judged()
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
    assert f"{path}:2: the rules of mlgate.yaml in commit {main.repo.head[:7]} are not" in done.stdout


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
