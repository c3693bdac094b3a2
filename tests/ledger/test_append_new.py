"""Entries whose ids follow from what they are about: each is there once, whoever writes it and however often."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ledger_samples import Forge, promotion, reading

from mlgate.ledger.chain import CHAINS
from mlgate.ledger.kinds import Entry


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


def those(*numbers: int, value: float = 0.1, month: str = "2026-09") -> list[Entry]:
    return [reading(value, id=f"{n:032x}", at=f"{month}-{n:02d}T00:00:00Z") for n in numbers]


def kept(forge: Forge, name: str = "reader") -> list[tuple[int, float]]:
    ledger = forge.ledger(forge.clone(name))
    report = ledger.examine()
    assert report.damages == ()
    found = [each.entry for each in report.records if each.entry.kind == "reading"]
    return [(int(entry.id, 16), entry.value) for entry in found]  # type: ignore[attr-defined]


def test_a_second_run_changes_nothing(forge: Forge) -> None:
    ledger = forge.ledger(forge.clone())
    first = ledger.append_new(*those(1, 2))
    tip = forge.git("rev-parse", ledger.branch)
    again = ledger.append_new(*those(1, 2, value=0.9))
    assert again.pushed
    assert again.placed == first.placed
    assert forge.git("rev-parse", ledger.branch) == tip
    assert kept(forge) == [(1, 0.1), (2, 0.1)]


def test_only_what_is_new_is_written_also_from_another_clone_and_a_later_month(forge: Forge) -> None:
    forge.ledger(forge.clone("one")).append_new(*those(1, 2))
    other = forge.ledger(forge.clone("two"))
    other.append(promotion(), *those(5, month="2026-10"))
    receipt = other.append_new(*those(2, 3, value=0.9), *those(5, value=0.9, month="2026-10"))
    assert set(receipt.placed) == {f"{n:032x}" for n in (2, 3, 5)}
    assert kept(forge) == [(1, 0.1), (2, 0.1), (5, 0.1), (3, 0.9)]


def test_what_waited_in_the_spool_and_is_asked_for_again_is_there_once(forge: Forge) -> None:
    repo = forge.clone()
    ledger = forge.ledger(repo, sleep=lambda _: None)
    away = forge.path.rename(forge.folder / "away")
    assert not ledger.append_new(*those(1, 2)).pushed
    assert not ledger.append_new(*those(1, 2, value=0.9)).pushed
    shutil.move(away, forge.path)
    assert ledger.append_new(*those(1, 3, value=0.5)).pushed
    assert kept(forge) == [(1, 0.1), (2, 0.1), (3, 0.5)]
    assert list((repo.path / ".mlgate/spool").glob("*.json")) == []


def test_two_at_once_write_each_once(forge: Forge) -> None:
    ledgers = [forge.ledger(forge.clone(f"clone{n}")) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(lambda ledger: ledger.append_new(*those(1, 2, 3)), ledgers))
    assert all(receipt.pushed for receipt in receipts)
    assert sorted(kept(forge)) == [(1, 0.1), (2, 0.1), (3, 0.1)]
    assert {receipt.head.token for receipt in receipts if receipt.head} == {
        head.token for head in forge.ledger(forge.clone("last")).heads() if head.chain == CHAINS[1]
    }
