"""What the ledger says to people: in its branch, and when a push is refused."""

from __future__ import annotations

from pathlib import Path

from mlgate.errors import MlgateError
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


def explain(error: PushError, branch: str, folder: Path) -> MlgateError:
    """The refusal of a push, and what to change. What was to be written waits in `folder`."""
    said = f"the ledger was not written: {branch} was not pushed ({error.said})"
    kept = f"The entry waits in {folder}."
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
