"""What the jobs after this one are to train, as files: a shell reads them where a forge has no matrix of jobs.

.mlgate/orders/<id of the retraining>      its configurations, as --config takes them
"""

from __future__ import annotations

from collections.abc import Mapping

from mlgate.commands._run import STATE, Run, write_text

FOLDER = "orders"


def leave(run: Run, orders: Mapping[str, str]) -> None:
    """Put them there, and nothing else: what an earlier run has left is gone. Raises MlgateError where it cannot."""
    folder = run.cwd / STATE / FOLDER
    if not folder.is_symlink() and not folder.parent.is_symlink():
        for file in folder.glob("*"):
            file.unlink()
    for trigger, config in orders.items():
        write_text(folder / trigger, f"{config}\n")
