"""Appending to the branch: one commit, no checkout, shallow clones, several writers, and every way to be refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ledger_samples import BRANCH, Forge, deployment, entries, promotion, reading, segments
from pydantic import ValidationError

from builder import Repo
from mlgate.errors import MlgateError
from mlgate.ledger import chain
from mlgate.ledger.chain import Head
from mlgate.ledger.kinds import Genesis, Moved


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


def test_the_first_append_makes_an_orphan_with_a_genesis(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone())
    assert ledger.records() == ()
    receipt = ledger.append(promotion(1))
    assert receipt.pushed
    assert receipt.head is not None
    assert forge.git("rev-list", "--count", BRANCH) == "1"
    first, second = ledger.records()
    assert isinstance(first.entry, Genesis)
    assert (first.seq, first.previous, first.entry.ledger) == (1, "", first.ledger)
    assert first.entry.repository == str(forge.path).removesuffix(".git")
    assert (second.seq, second.previous, second.head) == (2, first.hash, receipt.head)
    assert set(forge.files()) == {"README.md", "ledger.json", *segments(forge.files())}


def test_each_append_is_one_commit_on_top(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone())
    for n in range(3):
        before = forge.git("rev-parse", BRANCH) if n else ""
        ledger.append(promotion(n), deployment(n))
        assert forge.git("log", "-1", "--format=%P", BRANCH) == before
    assert forge.git("rev-list", "--count", BRANCH) == "3"
    assert "[skip ci]" in forge.git("log", "-1", "--format=%s", BRANCH)
    assert forge.git("fsck", "--strict", "--no-dangling") == ""


def test_nothing_of_the_users_clone_is_touched(forge: Forge) -> None:
    repo = forge.clone()
    repo.write("README.md", "edited\n")
    repo.write("staged.txt", "staged\n")
    repo.git("add", "staged.txt")

    def look() -> tuple[str, ...]:
        return (
            repo.git("status", "--porcelain", "--ignored"),
            repo.git("for-each-ref"),
            repo.git("config", "--local", "--list"),
            repo.git("count-objects", "-v"),
        )

    (repo.path / ".mlgate").mkdir()
    before = look()
    forge.ledger(repo).append(promotion(1))
    assert look()[1:] == before[1:]
    assert "README.md" in look()[0]
    assert (repo.path / "README.md").read_text() == "edited\n"
    assert list((repo.path / ".mlgate/spool").glob("*.json")) == []


def test_a_shallow_clone_stays_as_shallow_and_appends(forge: Forge) -> None:
    whole, seed = forge.clone("whole"), forge.folder / "forge-seed"
    assert seed.is_dir()
    for n in range(3):
        whole.write("README.md", f"{n}\n")
        whole.commit()
    whole.git("push", "--quiet", "origin", "main")
    shallow = forge.clone("shallow", "--depth=1")
    edge = (shallow.path / ".git/shallow").read_text()
    first = forge.ledger(shallow).append(promotion(1))
    second = forge.ledger(whole).append(promotion(2))
    third = forge.ledger(shallow).append(promotion(3))
    assert [r.head.seq for r in (first, second, third) if r.head] == [2, 3, 4]
    assert (shallow.path / ".git/shallow").read_text() == edge
    assert not (whole.path / ".git/shallow").exists()


def test_only_the_last_segments_are_fetched(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "SEGMENT_LINES", 10)
    old = forge.ledger(forge.clone("old"))
    old.append(*(reading(n, at=f"2026-0{1 + n // 20}-10T00:00:00Z") for n in range(60)), promotion(1))
    old.append(*(reading(n) for n in range(30)))
    repo = forge.clone("new")
    forge.ledger(repo).append(reading(1.0))
    (copy,) = (repo.path / ".git/mlgate").glob("ledger-*/objects.git")
    fetched = Repo(repo.path).git("--git-dir", str(copy), "cat-file", "--batch-all-objects", "--batch-check")
    blobs = sum(" blob " in line for line in fetched.splitlines())
    files = forge.files()
    assert len(segments(files, "readings")) >= 10
    assert blobs <= 5  # two versions each of the last segment and the index, and no other segment
    assert forge.ledger(repo).examine().whole


def test_a_server_without_partial_fetches_will_do(forge: Forge) -> None:
    forge.git("config", "uploadpack.allowFilter", "false")
    forge.ledger(forge.clone("a")).append(promotion(1))
    ledger = forge.ledger(forge.clone("b"))
    assert ledger.append(promotion(2), reading()).pushed
    assert ledger.examine().whole


def test_readings_have_segments_of_their_own(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "SEGMENT_LINES", 5)
    ledger = forge.ledger(forge.clone(), clock=lambda: 1_790_000_000.0)
    ledger.append(promotion(1, at="2026-09-30T10:00:00Z"))
    ledger.append(*(reading(n, at="2026-10-01T10:00:00Z") for n in range(12)))
    ledger.append(promotion(2, at="2026-10-02T10:00:00Z"))
    files = forge.files()
    assert segments(files, "readings") == [f"2026-10/readings-{n:08d}.jsonl" for n in (1, 6, 11)]
    assert [path[:7] for path in segments(files)][-1] == "2026-10"
    assert {r.entry.kind for r in ledger.records()} == {"genesis", "promotion"}
    report = ledger.examine()
    assert report.whole
    assert sum(r.chain == "readings" for r in report.records) == 12
    assert [r.seq for r in report.records if r.chain == "readings"] == list(range(1, 13))
    last = report.records[-13]
    assert last.beside == (12, report.records[-1].hash)  # the events know how far the readings had come


def test_a_clock_that_goes_backwards_writes_behind_nothing(forge: Forge) -> None:
    now = [1_790_000_000.0]
    ledger = forge.ledger(forge.clone(), clock=lambda: now[0])
    ledger.append(promotion(1, at="2026-09-21T14:13:20Z"))
    now[0] -= 60 * 86400
    ledger.append(promotion(2, at="2026-07-23T14:13:20Z"))
    files = forge.files()
    assert segments(files) == ["2026-09/events-00000001.jsonl"]
    report = ledger.examine()
    assert report.whole
    assert "clocks differ" in report.notes[0]


def test_two_forges_share_one_remote(forge: Forge, tmp_path: Path) -> None:
    other, shared = Forge(tmp_path, "other"), Forge(tmp_path, "shared")
    one = forge.ledger(forge.clone("one"), url=shared.url)
    two = other.ledger(other.clone("two"), url=shared.url)
    one.append(promotion(1, repository="github.com/o/visits", forge="github"))
    two.append(promotion(2, repository="gitlab.com/o/visits", forge="gitlab"))
    one.append(promotion(3, repository="github.com/o/visits", forge="github"))
    assert [r.entry.repository for r in two.records()][1:] == [
        "github.com/o/visits", "gitlab.com/o/visits", "github.com/o/visits",
    ]  # fmt: skip
    assert one.examine().whole
    for each in (forge, other):
        assert BRANCH not in each.git("branch", "--list")


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "plain")
    repo.git("init", "--quiet", "--bare", "--object-format=sha256", str(tmp_path / "bare.git"))
    repo.git("init", "--quiet", "--object-format=sha256", str(tmp_path / "work"))
    forge = Forge(tmp_path)
    ledger = forge.ledger(Repo(tmp_path / "work"), url=f"file://{tmp_path}/bare.git")
    assert ledger.append(promotion(1)).pushed
    assert ledger.append(promotion(2)).pushed
    assert ledger.examine().whole


# -- refusals --------------------------------------------------------------------------------------------------------


def test_a_protected_branch_is_named_and_the_entry_waits(forge: Forge) -> None:
    repo = forge.clone()
    ledger = forge.ledger(repo)
    ledger.append(promotion(1))
    hook = forge.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'GH006: Protected branch update failed' >&2\nexit 1\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(MlgateError, match=r"a rule or a hook of the server protects the branch.*waits in"):
        ledger.append(promotion(2), limit=20)
    assert len(list((repo.path / ".mlgate/spool").glob("*.json"))) == 1
    hook.write_text("#!/bin/sh\necho 'no' >&2\nexit 1\n")
    with pytest.raises(MlgateError, match=r"not pushed \(no\): a rule or a hook"):
        ledger.append(promotion(3), limit=20)
    hook.unlink()
    assert ledger.append(promotion(4)).pushed
    assert [r.entry.subject["sha256"][-1] for r in ledger.records()[1:]] == ["1", "2", "3", "4"]


def test_the_ledger_of_another_repository_is_refused(forge: Forge, tmp_path: Path) -> None:
    forge.ledger(forge.clone("up")).append(promotion(1))
    Repo(tmp_path / "tmp").git("clone", "--quiet", "--bare", str(forge.path), str(tmp_path / "fork.git"))
    fork = f"file://{tmp_path}/fork.git"
    clone = Repo(tmp_path / "mine")
    ledger = forge.ledger(clone, url=fork)
    with pytest.raises(MlgateError, match=r"holds the ledger of .*/forge, and this is .*/fork, so nothing was written"):
        ledger.append(promotion(2))
    assert ledger.examine().whole  # a copy can be read
    ledger.append(Moved(repository=str(tmp_path / "fork"), before=str(tmp_path / "forge")))
    assert [r.entry.kind for r in ledger.records()] == ["genesis", "promotion", "promotion", "moved"]
    assert ledger.examine().repository == str(tmp_path / "fork")


def test_a_branch_that_was_cut_is_not_built_on(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone())
    ledger.append(promotion(1))
    before = forge.git("rev-parse", BRANCH)
    ledger.append(promotion(2))
    forge.git("update-ref", f"refs/heads/{BRANCH}", before)
    with pytest.raises(MlgateError, match=r"has diverged .* its events end at entry 2, and there were 3"):
        ledger.append(promotion(3))
    with pytest.raises(MlgateError, match=r"diverged"):
        ledger.head()
    assert [d.kind for d in ledger.examine().damages] == ["truncated"]
    forge.ledger(forge.clone("other")).append(promotion(9))
    with pytest.raises(MlgateError, match=r"entry 3 of its events is not the one that was there"):
        ledger.append(promotion(3))


def test_a_branch_that_was_deleted_or_made_anew_is_not_built_on(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone())
    ledger.append(promotion(1))
    forge.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    with pytest.raises(MlgateError, match=r"diverged .* it is gone from the remote"):
        ledger.append(promotion(2))
    with pytest.raises(MlgateError, match=r"the ledger is gone"):
        ledger.records()
    forge.ledger(forge.clone("other")).append(promotion(9), promotion(10))
    with pytest.raises(MlgateError, match=r"another ledger \([0-9a-f]{32}\) stands in its place"):
        ledger.append(promotion(2))


def test_a_branch_that_is_no_ledger_is_not_built_on(forge: Forge) -> None:
    forge.git("update-ref", f"refs/heads/{BRANCH}", "main")
    ledger = forge.ledger(forge.clone())
    with pytest.raises(MlgateError, match=r"is damaged, so nothing was written to it: it has no ledger.json"):
        ledger.append(promotion(1))
    assert [d.kind for d in forge.ledger(forge.clone("b")).examine().damages] == ["index"]


def test_a_damaged_end_is_not_built_on(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone())
    ledger.append(promotion(1))
    files = forge.files()
    (path,) = segments(files)
    for data in (files[path][:-1], files[path].replace(b"promotion", b"Promotion"), b"", b"\xff\n"):
        forge.rewrite({**files, path: data})
        with pytest.raises(MlgateError, match=r"is damaged, so nothing was written to it"):
            forge.ledger(forge.clone(f"c{len(data)}")).append(promotion(2))
    forge.rewrite({**files, "ledger.json": b"{}"})
    with pytest.raises(MlgateError, match=r"its ledger.json cannot be read"):
        forge.ledger(forge.clone("index")).append(promotion(2))


def test_an_entry_that_is_none_never_gets_near_the_branch(forge: Forge) -> None:
    with pytest.raises(ValidationError):
        promotion(1, environment="")
    with pytest.raises(ValidationError):
        promotion(1, suprise=True)
    with pytest.raises(ValidationError):
        reading(float("nan"))
    with pytest.raises(ValidationError):
        promotion(1, actor="a\nb")
    with pytest.raises(ValidationError):
        promotion(1, at="2026-02-30T00:00:00Z")


def test_secrets_of_an_address_are_written_nowhere(forge: Forge) -> None:
    repo = forge.clone()
    ledger = forge.ledger(repo, url="https://user:s3cr3t-token@localhost:1/o/r.git", sleep=lambda _: None)
    receipt = ledger.append(promotion(1))
    assert not receipt.pushed
    assert "s3cr3t" not in str(receipt)
    kept = [p for p in (repo.path / ".git").rglob("*") if p.is_file()] + list((repo.path / ".mlgate").rglob("*.json"))
    assert not [p for p in kept if b"s3cr3t" in p.read_bytes()]


def test_a_head_is_a_token_and_back(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone())
    receipt = ledger.append(promotion(1), reading())
    assert receipt.head == ledger.head()
    assert receipt.head is not None
    assert Head.parse(f" {receipt.head.token}\n") == receipt.head
    assert {head.chain for head in ledger.heads()} == {"events", "readings"}
    for bad in ("", "mlgate1.x", receipt.head.token[:-1], receipt.head.token + "0", "main"):
        with pytest.raises(MlgateError, match="is no head of a ledger"):
            Head.parse(bad)
    assert len(entries(forge.files())) == 3
