"""After a comparison on the default branch: the decision record, as a file and in the ledger.

    for done in decide(run, evidences, bounds): ...

`bounds` says for each model whose rules judged it. A model that gets no decision is written down too, with the reasons:
every look at a test set counts. Where the ledger cannot be written, that is said; it never changes a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate import __version__
from mlgate.commands import _model
from mlgate.commands._binding import Bound
from mlgate.commands._deciding import FOLDER, forget, where
from mlgate.commands._run import STATE, Run, relative, write_text
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import integrity, record
from mlgate.judge.record import Facts, Statement
from mlgate.ledger.kinds import Entry
from mlgate.model import Evidence, Named
from mlgate.repo.dvc import Pipeline


@dataclass(frozen=True)
class Decided:
    """What became of one model. `reasons`: why there is no decision; `trouble`: why the ledger does not have it."""

    model: str
    statement: Statement | None = None
    file: str = ""  # of the record, relative to where the user is
    reasons: tuple[str, ...] = ()
    head: str = ""  # of the ledger afterwards, as a token
    entry: str = ""  # id of the ledger's entry
    trouble: str = ""


def decide(
    run: Run,
    evidences: Sequence[Evidence],
    bounds: Mapping[str, Bound],
    besides: Mapping[str, Sequence[str]] | None = None,
) -> list[Decided]:
    """One result for each comparison. Off the default branch nothing is written and no remote is asked.

    `besides`: why a model gets no decision although its comparison passed. Raises MlgateError when the record's file
    cannot be written.
    """
    forget(run)
    place = where(run.forge.event, run.head)
    pipeline = Pipeline(run.git.at(run.head), lenient=True) if not place else None
    found: list[Decided] = []
    for evidence in evidences:
        bound = bounds.get(evidence.model)
        if evidence.kind != "compare" or bound is None:
            continue
        facts = _facts(run, evidence, bound, place, pipeline)
        if reasons := (*record.against(evidence, facts), *(besides or {}).get(evidence.model, ())):
            entry: Entry | None = None
            if not place and not evidence.unchanged and evidence.mode == "enforce":
                entry = record.comparison(evidence, facts, reasons, _who(run))
            found.append(_written(run, bound.binding, Decided(evidence.model, reasons=reasons), entry))
            continue
        statement = record.state(evidence, facts)
        file = run.cwd / STATE / FOLDER / f"{evidence.model}.json"
        write_text(file, statement.to_bytes().decode())
        made = Decided(evidence.model, statement, relative(file))
        found.append(_written(run, bound.binding, made, record.entry(statement, _who(run))))
    return found


def _facts(run: Run, evidence: Evidence, bound: Bound, place: str, pipeline: Pipeline | None) -> Facts:
    config = bound.binding
    data = {name: config.path(one.data) for name, one in config.evaluate.items() if one.data and pipeline}
    return Facts(
        commit=run.head,
        default_branch=not place,
        where=place,
        rules=Named(name=config.file, digest={record.RULES: config.digest()}),
        rules_commit=bound.base.commit if bound.base else run.head,
        evaluation={name: integrity.named(pipeline, path, name) for name, path in data.items() if pipeline},
        predictions=tuple(name for name, one in config.evaluate.items() if one.predictions),
        sha256=_model.sha256_here(run, evidence.subject, pipeline) if evidence.subject and pipeline else "",
        allow_unattested=config.compare.policy.unattested == "decided",
        source=run.source(),
        tool=f"mlgate {__version__}",
    )


def _who(run: Run) -> dict[str, Any]:
    from mlgate.commands._ledger import who  # noqa: PLC0415 -- only where something is written

    return who(run)


def _written(run: Run, config: Config, made: Decided, entry: Entry | None) -> Decided:
    if entry is None:
        return made
    from mlgate.commands._ledger import open_ledger  # noqa: PLC0415 -- only where something is written

    try:
        receipt = open_ledger(run, config.ledger, write=True).append(entry)
    except MlgateError as error:
        return Decided(**{**vars(made), "entry": entry.id, "trouble": str(error)})
    trouble = "" if receipt.pushed else " ".join(receipt.said)
    head = receipt.head.token if receipt.head else ""
    return Decided(**{**vars(made), "entry": entry.id, "head": head, "trouble": trouble})
