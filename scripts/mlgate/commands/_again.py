"""A release compared once more, with the model of the environment that it is to come into.

The decision was made against another model: what was between them is not there. Commits are read, as for any gate, and
rows where their files are at hand by digest; where they are not, committed metrics decide, and that is said.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlgate.commands._binding import Binding
from mlgate.commands._elsewhere import lookup
from mlgate.commands._measured import Rows
from mlgate.commands._release import GROUP, Chosen
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge.case import Case, Side
from mlgate.judge.comparison import compare
from mlgate.model import Check, Evidence, Verdict
from mlgate.repo import champion
from mlgate.repo.dvc import Pipeline


def compared(run: Run, config: Config, name: str, chosen: Chosen, inputs: Path) -> list[Check]:
    """Its verdict as one check, and what was not a pass. Raises MlgateError where a commit cannot be had."""
    evidence = judged(run, config, name, chosen, inputs)
    said = f"The decision was made against another model than {name} has, so it was compared again: {evidence.title}"
    wrong = [check for check in evidence.checks if check.verdict is not Verdict.PASS]
    costs = ["Costs were not compared again: that takes project code."] if config.compare.costs else []
    verdict = evidence.verdict
    if (evidence.not_run or costs) and verdict is Verdict.PASS:
        verdict = Verdict.WARN
    whole = Check(
        id="deploy.champion", group=GROUP, title=f"Compared with the model of {name}", verdict=verdict,
        reason=" ".join([said, *evidence.not_run, *costs]),
        fix=""
        if verdict.rank <= Verdict.WARN.rank
        else f"Judge it against that model on the default branch: `mlgate compare --champion ledger:{name}`.",
    )  # fmt: skip
    return [whole, *(check.model_copy(update={"id": f"again.{check.id}"}) for check in wrong)]


def judged(run: Run, config: Config, name: str, chosen: Chosen, inputs: Path) -> Evidence:
    """The comparison itself: of the decision's commit with the environment's, by the rules of `config`.

    Raises MlgateError where a commit cannot be had, or has another model than the ledger says.
    """
    bound = Binding(run)
    there = lookup(bound, config)(f"ledger:{name}", champion.Chosen("", ""))
    if not there.commit:
        raise MlgateError(f"the ledger does not say from which commit the model of {name} is.")
    sides = [_side(run, bound, config, commit) for commit in (chosen.release.commit, there.commit)]
    binding = config.model_copy(update={"compare": config.compare.model_copy(update={"costs": {}})})
    case = Case(
        binding=binding,
        challenger=Side(sides[0].pipeline, sides[0].config or binding),
        champion=sides[1],
        chosen=there,
        now=run.source().at,
        strict_tree=False,
    )
    return compare(replace(case, measure=Rows(run, case, inputs, None, strict=False))).evidence


def _side(run: Run, bound: Binding, config: Config, commit: str) -> Side:
    snapshot = run.git.at(run.git.ensure(commit))
    own = bound.config(snapshot, bound.earlier(snapshot, config.file, config))
    return Side(Pipeline(snapshot, lenient=True), own if isinstance(own, Config) else None, trusted=True)
