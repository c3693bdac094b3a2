"""Many writers at once, each with a clone of its own: every entry once, the chain whole."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from ledger_samples import Forge, entries

from builder import ROOT, Repo, environment

WRITER = """
import sys
from pathlib import Path
from ledger_samples import BOT, deployment, reading
from mlgate.ledger.branch import Ledger
from mlgate.repo.git import Git
from mlgate.repo.push import Remote
root, url, name, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
ledger = Ledger(Git(root), Remote(url), spool=root / ".mlgate/spool", by=BOT)
for n in range(count):
    who = {"actor": name, "version": str(n)} if n % 5 else {"actor": name}
    receipt = ledger.append(deployment(n, **who) if n % 5 else reading(n, **who), limit=280)
    assert receipt.pushed, receipt
    print(receipt.head.token)
"""


def write(forge: Forge, clones: list[Repo], count: int) -> list[str]:
    """One process per clone, `count` appends each; the heads that they were told."""
    path = ":".join(str(ROOT / each) for each in ("scripts", "tests", "tests/ledger"))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(repo.path), forge.url, f"writer-{n}", str(count)],
            env=environment(PYTHONPATH=path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n, repo in enumerate(clones)
    ]  # fmt: skip
    tokens = []
    for process in started:
        out, said = process.communicate()
        assert process.returncode == 0, said
        tokens += out.split()
    return tokens


def check(forge: Forge, clones: list[Repo], count: int, tokens: list[str]) -> None:
    found = entries(forge.files())
    by = Counter(each["entry"].get("actor") for each in found if each["entry"]["kind"] != "genesis")
    assert by == {f"writer-{n}": count for n in range(len(clones))}
    assert len({each["entry"]["id"] for each in found}) == len(clones) * count + 1
    report = forge.ledger(forge.clone("auditor")).examine()
    assert report.damages == ()
    heads = {record.head.token for record in report.records}
    assert len(tokens) == len(set(tokens)) == len(clones) * count
    assert set(tokens) <= heads
    for n in range(len(clones)):  # of each writer in the order in which it wrote
        mine = [
            int(r.entry.version)  # type: ignore[attr-defined]
            for r in report.records
            if r.entry.actor == f"writer-{n}" and r.entry.kind == "deployment"
        ]
        assert mine == [each for each in range(count) if each % 5]


def test_four_writers_with_clones_of_their_own(tmp_path: Path) -> None:
    forge = Forge(tmp_path)
    clones = [forge.clone(f"c{n}", "--depth=1") for n in range(4)]
    check(forge, clones, 10, write(forge, clones, 10))


def test_four_writers_in_one_clone(tmp_path: Path) -> None:
    forge = Forge(tmp_path)
    repo = forge.clone()
    check(forge, [repo] * 4, 10, write(forge, [repo] * 4, 10))


@pytest.mark.long
def test_twenty_writers_of_fifty_entries_within_five_minutes(tmp_path: Path) -> None:
    forge = Forge(tmp_path)
    clones = [forge.clone(f"c{n}") for n in range(20)]
    began = time.monotonic()
    tokens = write(forge, clones, 50)
    took = time.monotonic() - began
    check(forge, clones, 50, tokens)
    assert len(tokens) == 1000
    assert took < 300
