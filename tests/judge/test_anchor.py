"""Where an anchor is: by the last reset, else by the first decision that was measured from one; and who may move it."""

from __future__ import annotations

from typing import Any

import pytest

from mlgate.judge.anchor import Known, Named, known, settle
from mlgate.ledger import building
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Decision, Entry, Reset
from mlgate.ledger.verify import examine
from mlgate.model import Verdict

OLD, NEW, OTHER = "a" * 40, "b" * 40, "c" * 40
PINNED = Known(OLD, "since the decision of 2026-10-01")
A, B, C = Named("v1", OLD), Named("v2", NEW), Named("v3", OTHER)


def decision(at: str, anchor: str = "", model: str = "visits") -> Decision:
    told: dict[str, Any] = {"model": model, "at": f"{at}T00:00:00Z", "subject": {"sha256": "0" * 64}, "record": {}}
    return Decision(**told, verdict="pass", rules="sha256:0", statement="0" * 64, anchor=anchor)


def reset(at: str, anchor: str) -> Reset:
    told: dict[str, Any] = {"model": "visits", "at": f"{at}T00:00:00Z", "reason": "new market"}
    return Reset(**told, anchor=anchor, approved_by=("ada", "bob"))


def records(*entries: Entry) -> tuple[Record, ...]:
    return examine(building.build(None, entries, repository="github.com/o/visits", now=1.79e9).files).records


class TestKnown:
    def test_nothing_before_a_decision_was_measured_from_one(self) -> None:
        assert known((), "visits") is None
        assert known(records(decision("2026-10-01"), decision("2026-10-02", OLD, "other")), "visits") is None

    def test_the_first_decision_pins_it_and_later_ones_do_not_move_it(self) -> None:
        found = known(
            records(decision("2026-10-01"), decision("2026-10-02", OLD), decision("2026-10-03", NEW)), "visits"
        )
        assert found == Known(OLD, "since the decision of 2026-10-02")

    def test_the_last_reset_moves_it(self) -> None:
        log = records(decision("2026-10-01", OLD), reset("2026-10-02", NEW), reset("2026-10-03", OTHER))
        assert known(log, "visits") == Known(OTHER, "since the reset of 2026-10-03, approved by ada, bob")

    def test_a_decision_after_a_reset_does_not_move_it(self) -> None:
        log = records(decision("2026-10-01", OLD), reset("2026-10-02", NEW), decision("2026-10-03", OTHER))
        assert (known(log, "visits") or PINNED).commit == NEW


def settled(pinned: Known | None, base: Named | None, own: Named | None) -> tuple[str, list[tuple[str, Verdict]]]:
    commit, checks = settle("visits", pinned, base, own)
    return commit, [(check.id, check.verdict) for check in checks]


@pytest.mark.parametrize(
    ("pinned", "base", "own", "commit", "said"),
    [
        (None, None, None, "", []),
        (None, A, A, OLD, []),
        (None, A, B, OLD, []),  # the base's version decides; that it is edited is listed elsewhere
        (None, None, B, NEW, []),
        (PINNED, A, A, OLD, [("judge.anchor", Verdict.PASS)]),
        # a tag that was set anew, or a line that was edited and merged
        (PINNED, B, B, NEW, [("judge.anchor", Verdict.ERROR)]),
        # a change that edits it: as proposed, it is an error already
        (PINNED, A, B, OLD, [("judge.anchor", Verdict.PASS), ("proposed.judge.anchor", Verdict.ERROR)]),
        # a change that follows a reset, from a base that does not name it yet
        (PINNED, B, A, OLD, [("judge.anchor", Verdict.PASS)]),
        (PINNED, None, A, OLD, [("judge.anchor", Verdict.PASS)]),
        # any other change meanwhile
        (PINNED, B, C, NEW, [("judge.anchor", Verdict.ERROR), ("proposed.judge.anchor", Verdict.ERROR)]),
        # taken away
        (PINNED, A, None, OLD, [("judge.anchor", Verdict.PASS), ("proposed.judge.anchor", Verdict.WARN)]),
        (PINNED, None, None, "", [("judge.anchor", Verdict.WARN)]),
        (PINNED, None, B, NEW, [("proposed.judge.anchor", Verdict.ERROR)]),
    ],
)
def test_which_anchor_counts(
    pinned: Known | None, base: Named | None, own: Named | None, commit: str, said: list[tuple[str, Verdict]]
) -> None:
    assert settled(pinned, base, own) == (commit, said)


def test_the_error_says_how_to_reset_it() -> None:
    _, checks = settle("visits", PINNED, B, B)
    assert checks[0].reason == (
        "compare.anchor v2 is the commit bbbbbbb, and the ledger has aaaaaaa (since the decision of 2026-10-01): an "
        "anchor moves only by an approved reset. Name aaaaaaaaaaaa, or have it approved and run `mlgate audit "
        "reset-anchor --model visits --to v2 --reason ... --approved-by ...`."
    )
