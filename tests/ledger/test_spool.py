"""Offline and later online: never lost, never doubled, never somebody else's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_samples import BRANCH, Forge, deployment, entries, promotion, reading

from builder import ROOT, Repo, environment
from mlgate.errors import MlgateError
from mlgate.ledger import query
from mlgate.ledger.branch import Ledger
from mlgate.repo.push import PushError


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


def offline(forge: Forge) -> Path:
    return forge.path.rename(forge.path.with_suffix(".away"))


def online(forge: Forge) -> None:
    forge.path.with_suffix(".away").rename(forge.path)


def waiting(repo: Repo) -> list[Path]:
    return sorted((repo.path / ".mlgate/spool").glob("*.json"))


def test_what_is_appended_offline_is_there_later_once_and_in_order(forge: Forge) -> None:
    repo = forge.clone()
    ledger = forge.ledger(repo, sleep=lambda _: None)
    ledger.append(promotion(0))
    offline(forge)
    for n in range(1, 4):
        receipt = ledger.append(promotion(n), reading(n))
        assert not receipt.pushed
        assert receipt.head is None
        assert "cannot be reached" in receipt.said[-1]
        assert "mlgate audit push" in receipt.said[-1]
    assert len(waiting(repo)) == 6
    online(forge)
    receipt = forge.ledger(repo).append(promotion(4))  # another process, later
    assert receipt.pushed
    assert waiting(repo) == []
    subjects = [r.entry.subject["sha256"][-1] for r in ledger.records()[1:]]
    assert subjects == ["0", "1", "2", "3", "4"]
    assert ledger.examine().whole
    assert forge.ledger(repo).flush().pushed
    assert len(entries(forge.files())) == 9


def test_what_happened_offline_counts_from_when_it_happened(forge: Forge) -> None:
    now = [1_790_000_000.0]
    ledger = forge.ledger(forge.clone("a"), sleep=lambda _: None, clock=lambda: now[0])
    other = forge.ledger(forge.clone("b"), clock=lambda: now[0])
    other.append(promotion(1, at="2026-09-21T14:13:20Z"))
    offline(forge)
    now[0] += 60
    ledger.append(promotion(2, at="2026-09-21T14:14:20Z"))
    online(forge)
    now[0] += 600
    other.append(promotion(3, at="2026-09-21T14:24:20Z"))
    now[0] += 600
    ledger.flush()
    records = ledger.records()
    assert [r.entry.subject.get("sha256", "0")[-1] for r in records] == ["0", "1", "3", "2"]
    assert [r.waited for r in records] == [0, 0, 0, 1200]
    now_there, before = (f(records, "visits", "production") for f in (query.current, query.previous))
    assert now_there is not None
    assert before is not None
    assert [now_there.entry.subject["sha256"][-1], before.entry.subject["sha256"][-1]] == ["3", "2"]


def test_a_process_that_dies_after_its_push_doubles_nothing(forge: Forge) -> None:
    repo = forge.clone()
    ledger = forge.ledger(repo)
    ledger.append(promotion(0))
    entry = promotion(1)
    ledger.spool.put(entry)
    kept = {path: path.read_bytes() for path in waiting(repo)}
    assert ledger.flush().pushed
    for path, data in kept.items():  # as if the process had died before it could remove it
        path.write_bytes(data)
    again = forge.ledger(repo)
    assert again.append(promotion(2)).pushed
    assert waiting(repo) == []
    ids = [each["entry"]["id"] for each in entries(forge.files())]
    assert ids.count(entry.id) == 1
    assert len(ids) == 4


def test_a_push_that_got_in_though_its_answer_was_lost_doubles_nothing(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = forge.ledger(forge.clone(), sleep=lambda _: None)
    ledger.append(promotion(0))
    push, calls = ledger._store.push, []

    def lost(commit: str, tip: object) -> object:
        done = push(commit, tip)  # type: ignore[arg-type]
        calls.append(commit)
        if len(calls) == 1:
            raise PushError("unreachable", "the remote end hung up unexpectedly")
        return done

    monkeypatch.setattr(ledger._store, "push", lost)
    entry = promotion(1)
    receipt = ledger.append(entry)
    assert receipt.pushed
    assert receipt.head == ledger.records()[-1].head
    assert [each["entry"]["id"] for each in entries(forge.files())].count(entry.id) == 1
    assert len(calls) == 1


def test_a_killed_process_loses_nothing(forge: Forge) -> None:
    """Killed while the server takes its push: the entry is in the spool, in the branch, or both; later once."""
    repo = forge.clone()
    hook = forge.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nkill -9 $(cat %s)\nsleep 0.2\n" % (forge.folder / "pid"))
    hook.chmod(0o755)
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT / "tests/ledger")!r})
from pathlib import Path
from builder import Repo
from ledger_samples import Forge, promotion, BOT
from mlgate.ledger.branch import Ledger
from mlgate.repo.git import Git
from mlgate.repo.push import Remote
root = Path({str(repo.path)!r})
Path({str(forge.folder / "pid")!r}).write_text(str(os.getpid()))
Ledger(Git(root), Remote({forge.url!r}), spool=root / ".mlgate/spool", by=BOT).append(promotion(7))
"""
    path = f"{ROOT / 'scripts'}:{ROOT / 'tests'}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(PYTHONPATH=path), capture_output=True, check=False
    )
    assert done.returncode == -9
    assert len(waiting(repo)) == 1
    hook.unlink()
    assert forge.ledger(repo).flush().pushed
    assert [each["entry"]["kind"] for each in entries(forge.files())] == ["genesis", "promotion"]
    assert waiting(repo) == []


def test_files_that_others_put_into_the_spool_are_not_written(forge: Forge) -> None:
    repo = forge.clone()
    ledger = forge.ledger(repo)
    evil = promotion(666)
    folder = repo.path / ".mlgate/spool"
    folder.mkdir(parents=True)
    planted = folder / f"{1:020d}-{evil.id}.json"
    planted.write_text(json.dumps({"entry": evil.to_dict(), "code": "0" * 64}))
    (folder / "note.json").write_text("{}")
    (folder / f"{2:020d}-{'0' * 32}.json").symlink_to(planted)
    receipt = ledger.append(promotion(1))
    assert receipt.pushed
    assert len(receipt.said) == 3
    assert "1 file was not written by this clone" in receipt.said[-1]
    assert len(entries(forge.files())) == 2
    assert planted.exists()


def test_the_spool_of_another_clone_is_taken_when_named(forge: Forge, tmp_path: Path) -> None:
    away = forge.clone("away")
    ledger = forge.ledger(away, sleep=lambda _: None)
    offline(forge)
    ledger.append(promotion(1), deployment(1))
    online(forge)
    artifact = shutil.copytree(away.path / ".mlgate/spool", tmp_path / "artifact")
    here = forge.ledger(forge.clone("here"))
    for _ in range(2):
        assert here.take(artifact).pushed
    assert ledger.flush().pushed  # the first clone writes them, too
    kinds = [each["entry"]["kind"] for each in entries(forge.files())]
    assert kinds == ["genesis", "promotion", "deployment"]
    (artifact / "x.json").write_text("no")
    with pytest.raises(MlgateError, match="1 files cannot be taken, so none was"):
        here.take(artifact)


def test_a_spool_that_is_a_link_is_refused(forge: Forge, tmp_path: Path) -> None:
    repo = forge.clone()
    (tmp_path / "elsewhere").mkdir()
    (repo.path / ".mlgate").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MlgateError, match="is a symbolic link"):
        forge.ledger(repo).append(promotion(1))
    assert list((tmp_path / "elsewhere").rglob("*.json")) == []


def test_processes_of_one_clone_share_commits_and_each_learns_its_place(forge: Forge) -> None:
    repo = forge.clone()
    first, second = forge.ledger(repo), forge.ledger(repo)
    other = promotion(2)
    second.spool.put(other)  # the second process is waiting for the lock
    receipt = first.append(promotion(1))
    assert forge.git("rev-list", "--count", BRANCH) == "1"
    assert receipt.head is not None
    assert len(entries(forge.files())) == 3
    placed = second._done_by_others([other.id])
    assert placed[other.id] in {r.head for r in second.records()}


def test_the_lock_is_waited_for_no_longer_than_asked(forge: Forge) -> None:
    repo = forge.clone()
    first, second = forge.ledger(repo), forge.ledger(repo)
    assert isinstance(first, Ledger)
    with first._home.locked(0.0):
        receipt = second.append(promotion(1), limit=0.2)
    assert not receipt.pushed
    assert "another mlgate in this clone" in receipt.said[0]
    assert second.flush().pushed
