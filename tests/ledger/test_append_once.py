"""A conditional append: of several that race one writes, what was lost on the way is not written twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from ledger_samples import Forge, deployment, entries, promotion, reading, segments

from builder import ROOT, environment
from mlgate.errors import MlgateError
from mlgate.ledger.branch import Decide
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Deployment, Entry, Promotion
from mlgate.repo.push import PushError

RACER = """
import json, sys
from pathlib import Path
from ledger_samples import BOT, deployment
from mlgate.ledger.branch import Ledger
from mlgate.repo.git import Git
from mlgate.repo.push import Remote
root, url, who, models = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
ledger = Ledger(Git(root), Remote(url), spool=root / ".mlgate/spool", by=BOT)
told = []
for n in range(models):
    def decide(records):
        there = [r.entry for r in records if r.entry.kind == "deployment"]
        if any(e.subject == deployment(n).subject for e in there):
            return []
        return [deployment(n, version=f"v{len(there) + 1}", actor=who)]
    once = ledger.append_once(decide, limit=280)
    told.append([once.written[0].version if once.written else "", once.head.token])
print(json.dumps(told))
"""


def first_of(entry: Entry) -> Decide:
    """Writes it where no model is there yet."""
    return lambda records: [] if any(r.entry.model for r in records) else [entry]


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


def test_what_is_there_is_not_written_again(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone())
    once = ledger.append_once(first_of(promotion()))
    assert [entry.kind for entry in once.written] == ["promotion"]
    assert once.records == ()
    again = ledger.append_once(first_of(promotion(1)))
    assert again.written == ()
    assert [record.entry.kind for record in again.records] == ["genesis", "promotion"]
    assert again.head == once.head == ledger.head()
    assert ledger.examine().whole


def test_nothing_to_write_makes_no_ledger(forge: Forge) -> None:
    once = forge.ledger(forge.clone()).append_once(lambda _: [])
    assert (once.records, once.written, once.head) == ((), (), None)
    assert forge.git("branch", "--list", "mlgate-ledger") == ""


def test_several_entries_are_one_commit(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone())
    ledger.append(reading(), promotion())
    once = ledger.append_once(lambda _: [deployment(), promotion(1)])
    assert [entry.kind for entry in once.written] == ["deployment", "promotion"]
    assert [r.entry.kind for r in once.records] == ["genesis", "promotion"]
    assert forge.git("rev-list", "--count", "mlgate-ledger") == "2"
    assert once.head == ledger.head()


def test_who_comes_in_between_is_seen(forge: Forge) -> None:
    """The decision is made again on what the other one wrote."""
    ledger, other = forge.ledger(forge.clone("one"), sleep=lambda _: None), forge.ledger(forge.clone("two"))
    seen: list[int] = []

    def decide(records: tuple[Record, ...]) -> Sequence[Entry]:
        there = [r for r in records if isinstance(r.entry, Promotion)]
        seen.append(len(there))
        if len(seen) == 1:
            other.append(promotion(7, version="v1"))
        return [promotion(8, version=f"v{len(there) + 1}")]

    once = ledger.append_once(decide)
    assert seen == [0, 1]
    assert [entry.version for entry in once.written if isinstance(entry, Promotion)] == ["v2"]


def test_an_answer_that_was_lost_is_no_second_entry(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone(), sleep=lambda _: None)
    push, pushes = ledger._store.push, []

    def lost(*args: object) -> object:
        pushes.append(push(*args))  # type: ignore[arg-type]
        if len(pushes) == 1:
            raise PushError("unreachable", "the remote end hung up unexpectedly")
        return pushes[-1]

    ledger._store.push = lost  # type: ignore[method-assign, assignment]
    once = ledger.append_once(first_of(promotion()))
    assert [entry.kind for entry in once.written] == ["promotion"]
    assert len(pushes) == 1
    assert [each["entry"]["kind"] for each in entries(forge.files())] == ["genesis", "promotion"]
    assert once.head == ledger.head()


def test_a_remote_that_is_gone_leaves_nothing_to_be_written_later(forge: Forge) -> None:
    repo = forge.clone()
    ledger = forge.ledger(repo, url=f"{forge.url}-gone", sleep=lambda _: None)
    with pytest.raises(MlgateError, match="run this again, it is written once"):
        ledger.append_once(first_of(promotion()))
    assert list((repo.path / ".mlgate").glob("spool/*.json")) == []


def test_a_protected_branch_says_so(forge: Forge) -> None:
    hook = forge.path / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'GH006: Protected branch update failed' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(MlgateError, match=r"protects the branch.*It waits nowhere"):
        forge.ledger(forge.clone()).append_once(first_of(promotion()))


def test_a_damaged_ledger_is_not_decided_on(forge: Forge) -> None:
    forge.ledger(forge.clone("one")).append(promotion(), deployment())
    files = forge.files()
    (path,) = segments(files)
    forge.rewrite({**files, path: files[path].replace(b'"actor":"ada"', b'"actor":"eve"')})
    asked: list[int] = []
    with pytest.raises(MlgateError, match="cannot be believed"):
        forge.ledger(forge.clone("two")).append_once(lambda records: asked.append(len(records)) or [])  # type: ignore[func-returns-value]
    assert asked == []


def test_what_a_decision_refuses_is_not_written(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone())

    def refuse(_: tuple[Record, ...]) -> Sequence[Entry]:
        raise MlgateError("no passing decision")

    with pytest.raises(MlgateError, match="no passing decision"):
        ledger.append_once(refuse)
    assert forge.git("branch", "--list", "mlgate-ledger") == ""
    assert ledger.append(promotion()).pushed  # the lock was given back


def test_racing_processes_write_each_model_once_and_number_them_without_a_gap(forge: Forge) -> None:
    racers, models = 5, 3
    clones = [forge.clone(f"c{n}", "--depth=1") for n in range(racers)]
    path = ":".join(str(ROOT / each) for each in ("scripts", "tests", "tests/ledger"))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(repo.path), forge.url, f"racer-{n}", str(models)],
            env=environment(PYTHONPATH=path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n, repo in enumerate(clones)
    ]  # fmt: skip
    told = []
    for process in started:
        out, said = process.communicate()
        assert process.returncode == 0, said
        told.append(json.loads(out))
    report = forge.ledger(forge.clone("auditor")).examine()
    assert report.damages == ()
    there = [r.entry for r in report.records if isinstance(r.entry, Deployment)]
    assert [entry.version for entry in there] == ["v1", "v2", "v3"]
    assert len({entry.subject["sha256"] for entry in there}) == models
    assert sorted(version for each in told for version, _ in each if version) == ["v1", "v2", "v3"]
    heads = {record.head.token for record in report.records}
    assert {token for each in told for _, token in each} <= heads


def test_another_writers_entry_of_the_same_id_is_not_taken_for_ones_own(forge: Forge) -> None:
    """Ids can follow from what is said: then the entry of who was first is there, and one's own was not written."""
    first, second = forge.ledger(forge.clone("first")), forge.ledger(forge.clone("second"))
    first.append(deployment(0))
    theirs, ours = promotion(1, actor="ada"), promotion(1, actor="bob")
    ours = ours.model_copy(update={"id": theirs.id})

    def decide(records: tuple[Record, ...]) -> Sequence[Entry]:
        if any(record.entry.id == ours.id for record in records):
            return []
        first.append_once(lambda _: [theirs])  # comes in between
        return [ours]

    once = second.append_once(decide)
    assert once.written == ()
    assert [record.entry.actor for record in once.records if record.entry.id == ours.id] == ["ada"]
