"""Whether a model has its papers: what `register` asks before it calls a model champion, and a deployment before
production.

    for check in standing(run, config): ...          # nothing where mlgate.yaml has no `governance`
"""

from __future__ import annotations

from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.model import Check


def standing(run: Run, config: Config) -> list[Check]:
    """One check for each thing that `governance.require` names, by what lies in .mlgate and in the ledger.

    Raises MlgateError where the commit names no model.
    """
    if not config.governance.required:
        return []
    from mlgate.commands._held import Gatherer  # noqa: PLC0415 -- most runs have no papers
    from mlgate.governance import checklist  # noqa: PLC0415

    return checklist.standing(Gatherer(run).held(config))
