"""What the ledger says to people: in its branch, of its entries, and when a push is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.ledger.kinds import (
    Alert,
    Comparison,
    Decision,
    Deployment,
    Entry,
    Genesis,
    Image,
    Moved,
    Promotion,
    Reading,
    Registration,
    Reset,
    Rollback,
    Trigger,
)
from mlgate.repo.push import PushError

ABOUT = """\
# The ledger of mlgate

Each line of each file is one entry: a decision, a promotion, a deployment, a rollback, a reading, a trigger. Nothing
here is edited by hand, merged, rebased or deleted: every entry holds the hash of the one before it.

- `<year>-<month>/events-<first>.jsonl`: what was decided and done
- `<year>-<month>/readings-<first>.jsonl`: what monitoring read
- `ledger.json`: the ledger's id, its repository, and the last entry of each chain

`mlgate audit verify` checks all of it, `mlgate audit log` shows it.
"""


def explain(error: PushError, branch: str, folder: Path | None = None) -> MlgateError:
    """The refusal of a push, and what to change. What was to be written waits in `folder`; nowhere without one."""
    said = f"the ledger was not written: {branch} was not pushed ({error.said})"
    kept = f"The entry waits in {folder}." if folder else "It waits nowhere: run this again, it is written once."
    if error.why in ("protected", "refused"):
        return MlgateError(
            f"{said}: a rule or a hook of the server protects the branch. {kept}",
            fix=f"Let this job's token, and nobody else, push to {branch}; docs/audit.md says how on each forge.",
        )
    if error.why in ("forbidden", "unauthenticated"):
        return MlgateError(
            f"{said}: the token may not write. {kept}",
            fix="GitHub: `permissions: contents: write`. GitLab: GITLAB_TOKEN with the scope `write_repository`. A "
            "ledger in another repository: MLGATE_LEDGER_TOKEN.",
        )
    return MlgateError(f"{said}. {kept}")


def told(entry: Entry) -> str:
    """What an entry says, in a few words."""
    if isinstance(entry, Genesis):
        return f"the ledger of {entry.repository} begins"
    if isinstance(entry, Moved):
        return f"{entry.before} is now {entry.repository}"
    if isinstance(entry, Decision | Comparison):
        warns = f" ({', '.join(entry.warns)})" if isinstance(entry, Decision) and entry.warns else ""
        return f"{entry.verdict}{warns}: {_short(entry.subject)}"
    if isinstance(entry, Deployment):
        weight = "" if entry.weight is None else f" at {entry.weight:g} %"
        return f"{entry.state}{weight}: {entry.version or _short(entry.subject)}"
    if isinstance(entry, Image):
        return f"{entry.name}@{_short(entry.image)}: {_short(entry.subject)}"
    if isinstance(entry, Registration):
        where = ", ".join(f"{registry} {number}" for registry, number in entry.registries.items())
        return f"{entry.name} {entry.version}{f' ({where})' if where else ''}: {_short(entry.subject)}"
    if isinstance(entry, Promotion):
        return entry.version or _short(entry.subject)
    if isinstance(entry, Rollback):
        return f"to {entry.version or _short(entry.subject)}: {entry.reason}"
    if isinstance(entry, Reading | Alert | Trigger):
        return _watched(entry)
    if isinstance(entry, Reset):
        return f"anchor at {entry.anchor[:7]}, approved by {', '.join(entry.approved_by)}: {entry.reason}"
    return ""


def _watched(entry: Reading | Alert | Trigger) -> str:
    if isinstance(entry, Reading):
        value = "" if entry.value is None else f" {entry.value:g}"
        limit = "" if entry.limit is None else f" (limit {entry.limit:g})"
        return f"{entry.name}{value}{limit}: {entry.state}"
    if isinstance(entry, Alert):
        reached = f" to {', '.join(entry.sent)}" if entry.sent else ""
        missed = f", not to {', '.join(entry.failed)}" if entry.failed else ""
        return f"{entry.key} ({entry.severity}): {entry.state}{reached}{missed}"
    return f"{entry.rule}: {entry.outcome}"


def _short(digest: Mapping[str, str]) -> str:
    """A model by its sha256, or the digest there is."""
    name = "sha256" if "sha256" in digest else next(iter(digest), "")
    return f"{name}:{digest[name][:12]}" if name else ""
