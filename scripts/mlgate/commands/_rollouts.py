"""How a model came into environments, for `mlgate trace`: each rollout and each rollback as one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlgate.ledger import query
from mlgate.ledger.chain import Record
from mlgate.ledger.kinds import Deployment, Promotion, Rollback

Plain = dict[str, Any]
_ENDS = ("complete", "judged", "aborted", "failed")


def rollouts(records: Iterable[Record], subject: Mapping[str, str]) -> list[Plain]:
    """Oldest first. `outcome` is empty while one is under way; a rollback that took the model away is "taken away"."""
    found: dict[str, Plain] = {}
    for each in records:
        entry = each.entry
        if isinstance(entry, Rollback):
            back = query.same_model(entry.subject, dict(subject))
            found[entry.id] = {
                **_begun(each), "strategy": "rollback", "outcome": "put back" if back else "taken away",
                "ended": entry.at, "seconds": entry.seconds, "reason": entry.reason, "last_entry": each.seq,
            }  # fmt: skip
        elif isinstance(entry, Deployment) and entry.rollout:
            one = found.setdefault(entry.rollout, {**_begun(each), "strategy": entry.strategy})
            one["last_entry"] = each.seq
            if entry.state == "advanced" and entry.weight is not None:
                one["weights"] = [*one["weights"], entry.weight]
            if entry.state in _ENDS:
                one |= {"outcome": entry.state, "ended": entry.at, "reason": entry.reason}
    return list(found.values())


def _begun(each: Record) -> Plain:
    entry = each.entry
    assert isinstance(entry, Deployment | Rollback)  # noqa: S101 -- the caller's choice
    return {
        "rollout": entry.rollout if isinstance(entry, Deployment) else "",
        "environment": entry.environment,
        "strategy": "",
        "image": f"sha256:{entry.image['sha256']}" if "sha256" in entry.image else "",
        "began": entry.at,
        "ended": "",
        "weights": [],
        "outcome": "",
        "seconds": None,
        "approved_by": list(entry.approved_by),
        "reason": "",
        "entry": each.seq,
        "last_entry": each.seq,
        "actor": entry.actor,
        "run_url": entry.run_url,
    }


def approvals(records: Iterable[Record]) -> list[tuple[Record, list[str], str]]:
    """Who approved what: the entry, the names, and the words for it. One rollout is approved once."""
    found: list[tuple[Record, list[str], str]] = []
    begun: set[str] = set()
    with_it: list[Deployment] = []
    for each in records:
        entry = each.entry
        by = list(getattr(entry, "approved_by", ()))
        if not by or (isinstance(entry, Promotion) and any(_promoted(entry, one) for one in with_it)):
            continue
        what = f"{entry.kind} to {entry.environment}"
        if isinstance(entry, Deployment) and entry.rollout:
            with_it.append(entry)
            if entry.rollout in begun:
                continue
            begun.add(entry.rollout)
            what += f" ({entry.strategy or 'rollout'})"
        elif isinstance(entry, Deployment):
            what += f" ({entry.state})"
        found.append((each, by, what))
    return found


def _promoted(entry: Promotion, one: Deployment) -> bool:
    """Whether a promotion is the end of a rollout, and was approved with it."""
    same = (entry.environment, entry.approved_by, entry.at) == (one.environment, one.approved_by, one.at)
    return same and one.state == "complete" and query.same_model(entry.subject, one.subject)
