"""Where the anchor is: what mlgate.yaml names against what the ledger knows. It moves only by an approved reset.

A tag can be set anew and a line of mlgate.yaml be edited, and each step would be small. So the first decision that was
measured from an anchor pins it in the ledger, and from then on the last reset says where it is. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlgate.judge.case import finding
from mlgate.ledger import query
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Decision, Reset
from mlgate.model import Check, Verdict

ID = "judge.anchor"


@dataclass(frozen=True)
class Known:
    """The commit that the ledger has as a model's anchor, and since when."""

    commit: str
    how: str


@dataclass(frozen=True)
class Named:
    """What one version of mlgate.yaml names as `compare.anchor`, and the commit that it is."""

    ref: str
    commit: str


def known(records: Iterable[Record], model: str) -> Known | None:
    """By the last reset, else by the first decision that was measured from an anchor; None where there is neither."""
    found = query.history(records, model=model, kinds=("reset", "decision"))
    for record in reversed(found):
        entry = record.entry
        if isinstance(entry, Reset):
            who = ", ".join(entry.approved_by)
            return Known(entry.anchor, f"since the reset of {entry.at[:10]}, approved by {who}")
    for record in found:
        entry = record.entry
        if isinstance(entry, Decision) and entry.anchor:
            return Known(entry.anchor, f"since the decision of {entry.at[:10]}")
    return None


def settle(model: str, pinned: Known | None, binding: Named | None, proposed: Named | None) -> tuple[str, list[Check]]:
    """The commit that losses are measured from, empty for none, and what is to be said of it.

    `proposed` is what the change's own version names: `binding` again where that is the same.
    A change that follows a reset is measured from the new anchor, although the base does not name it yet.
    """
    named = binding or proposed
    if pinned is None:
        return named.commit if named else "", []
    if named is None:
        return "", [_gone(pinned, ID, f"mlgate.yaml names no anchor, and the ledger has {_has(pinned)}.")]
    if proposed is not None and proposed.commit == pinned.commit:
        return pinned.commit, [_follows(proposed, pinned)]
    checks = []
    if binding is not None:
        follows = binding.commit == pinned.commit
        checks.append(_follows(binding, pinned) if follows else _moved(model, binding, pinned, ID))
    if proposed is None:
        what = f"This change takes the anchor away: the ledger has {_has(pinned)}."
        checks.append(_gone(pinned, f"proposed.{ID}", what))
    elif proposed != binding:
        checks.append(_moved(model, proposed, pinned, f"proposed.{ID}", ", as proposed"))
    return named.commit, checks


def _has(pinned: Known) -> str:
    return f"{pinned.commit[:7]} ({pinned.how})"


def _follows(named: Named, pinned: Known) -> Check:
    reason = f"Losses are measured from {named.ref}, which is {_has(pinned)} in the ledger."
    return finding(ID, "the anchor", Verdict.PASS, reason)


def _gone(pinned: Known, check_id: str, what: str) -> Check:
    """A warning: without one, many small losses add up unseen. Another one cannot be named without a reset."""
    reason = f"{what} Many small losses may add up unseen: name {pinned.commit[:12]} as `compare.anchor`."
    return finding(check_id, "the anchor", Verdict.WARN, reason)


def _moved(model: str, named: Named, pinned: Known, check_id: str, more: str = "") -> Check:
    reason = (
        f"compare.anchor {named.ref} is the commit {named.commit[:7]}, and the ledger has {_has(pinned)}: an anchor "
        f"moves only by an approved reset. Name {pinned.commit[:12]}, or have it approved and run "
        f"`mlgate audit reset-anchor --model {model} --to {named.ref} --reason ... --approved-by ...`."
    )
    return finding(check_id, f"the anchor{more}", Verdict.ERROR, reason)
