"""`mlgate compare`: the challenger against the champion, by the rules of the base branch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlgate.commands import _deciding, _options
from mlgate.commands._binding import Binding, Bound, unique
from mlgate.commands._entries import entries
from mlgate.commands._handed import Received
from mlgate.commands._measured import Rows
from mlgate.commands._run import STATE, Run, Unloadable, failed, file_name, off, say, unloadable, write_text
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.forges.nouns import Annotation
from mlgate.judge import wanted
from mlgate.judge.bias import Bias
from mlgate.judge.case import Case, Side, pinned
from mlgate.judge.comparison import compare, same
from mlgate.judge.integrity import sources
from mlgate.model import Approval, Check, Evidence, Location, Verdict
from mlgate.repo.champion import Chosen
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import Snapshot

if TYPE_CHECKING:
    from mlgate.commands._decide import Decided


# Steps that come after a decision, and wait for it: what an earlier run left of them is no reason against one.
_AFTER = frozenset({"build-image", "register", "papers", "checklist"})


@click.command("compare")
@_options.common
@click.option(
    "--champion",
    envvar="MLGATE_CHAMPION",
    default="",
    metavar="REF",
    help="Compare with this branch, tag or commit instead of what mlgate.yaml and the event say.",
)
@click.option(
    "--handed",
    envvar="MLGATE_HANDED",
    default="",
    metavar="DIR",
    help="Evidence of the job that ran project code: each step that mlgate.yaml asks for has to be in it.",
)
@click.option(
    "--inputs",
    envvar="MLGATE_INPUTS",
    default=".mlgate/inputs",
    show_default=True,
    metavar="DIR",
    help="Predictions and data by their digests, as --prepare leaves them.",
)
@click.option(
    "--prepare",
    envvar="MLGATE_PREPARE",
    is_flag=True,
    default=False,
    help="Judge nothing: gather what the judge needs in --inputs. Runs the project's code where the rules ask for it.",
)
@_options.pull
@_options.python
def command(
    *,
    config: str,
    working_directory: str,
    champion: str,
    handed: str,
    inputs: str,
    python: str,
    prepare: bool,
    pull: bool,
    summary: bool,
    debug: bool,
) -> int:
    """Judge the challenger against the champion.

    Reads commits only: metrics files, dvc.lock and mlgate.yaml of both sides. A pull request is judged by the rules of
    its base; what it changes in them is listed.
    """
    run = Run.start(config, working_directory, summary=summary)
    if prepare:
        from mlgate.commands import _prepare  # noqa: PLC0415 -- the judge needs none of it

        asked = _prepare.Asked(
            champion.strip(), run.cwd / inputs, str(run.cwd / python) if "/" in python else python, pull
        )
        return _prepare.every(run, asked)
    run.forget("compare")
    _forget(run)
    try:
        judge = _Judge(run, champion.strip(), run.cwd / handed if handed else None, run.cwd / inputs)
        evidences = judge.all()
    except MlgateError as error:
        evidences = [failed("compare", file_name(run.patterns[0] if run.patterns else ""), error)]
        return run.finish("compare", evidences, {**_outputs(evidences), **_decided([])})
    decided = _decide(run, evidences, judge)
    code = run.finish("compare", evidences, {**_outputs(evidences), **_decided(decided)})
    _tell(run, decided)
    return code


def _decide(run: Run, evidences: list[Evidence], judge: _Judge) -> Sequence[Decided]:
    """Off the default branch there is nothing to decide."""
    _deciding.forget(run)
    if _deciding.where(run.forge.event, run.head):
        return []
    from mlgate.commands._decide import decide  # noqa: PLC0415 -- pydantic's models of every kind of entry

    return decide(run, evidences, judge.bounds, judge.besides())


def _forget(run: Run) -> None:
    """Bias reports of an earlier run: beside this one's evidence they would speak of another model."""
    folder = run.cwd / STATE / "bias"
    if not folder.is_symlink() and not folder.parent.is_symlink():
        for file in folder.glob("*/bias_report.*"):
            file.unlink(missing_ok=True)


def _decided(found: Sequence[Decided]) -> dict[str, str]:
    heads = [one.head for one in found if one.head]
    return {
        "decided": json.dumps([one.model for one in found if one.statement is not None]),
        "ledger-head": heads[-1] if heads else "",
    }


def _tell(run: Run, found: Sequence[Decided]) -> None:
    """What became of decisions is no part of the evidence, which they name by its digest."""
    for one in found:
        if one.statement is not None:
            kept = f", entry {one.entry} of the ledger" if one.head else ""
            say(run.forge, f"decision: {one.model} may be deployed ({one.file}{kept})\n")
        if one.trouble:
            words = f"The ledger does not have what was decided about {one.model}: {one.trouble}"
            say(run.forge, f"note: {words}\n")
            run.forge.annotate([Annotation("notice", words, "ledger")])


class _Judge:
    """Judges every configuration of a run; commits and snapshots are shared between models."""

    def __init__(self, run: Run, named: str, handed: Path | None, inputs: Path) -> None:
        self.run = run
        self.named = named
        self.handed = None if handed is None else Received(run, handed)
        self.inputs = inputs
        self.now = run.git.at(run.head)
        self.bound = Binding(run, named)
        self.pipelines: dict[str, Pipeline] = {}
        self.behind: dict[tuple[str, str], frozenset[str]] = {}
        self.approvals: dict[str, Approval] = {}
        self.bounds: dict[str, Bound] = {}
        self.dirty = tuple(run.dirty)

    def all(self) -> list[Evidence]:
        loaded = dict(self.bound.own())
        evidences = [self._one(file, own) for file, own in loaded.items()]
        evidences += self._removed({own.model for own in loaded.values()})
        if not evidences:
            raise self.run.no_config()
        unique([evidence.model for evidence in evidences])
        return evidences

    def _one(self, file: str, own: Config | Unloadable) -> Evidence:
        if isinstance(own, Unloadable):
            return unloadable("compare", own)
        try:
            bound = self.bound.rules(file, own)
        except MlgateError as error:
            return failed("compare", own.model, error)
        self.bounds[own.model] = bound
        if bound.binding.mode == "off":
            return off("compare", bound.binding)
        try:
            return self._judge(file, own, bound)
        except MlgateError as error:
            mode = {"mode": bound.binding.mode, "fail_on": bound.binding.fail_on}
            return failed("compare", own.model, error).model_copy(update=mode)

    def _judge(self, file: str, own: Config, bound: Bound) -> Evidence:
        git, binding = self.run.git, bound.binding
        chosen = self.bound.sides(self.named or binding.compare.champion, binding).champion
        champion = self._side(git.at(chosen.commit), file, own) if chosen.commit else None
        if champion is not None and chosen.folder:
            champion = pinned(champion, binding, chosen.folder)
        remembered, challenger = self.bound.remembered, Side(self._pipeline(self.now), own)
        anchored, said = remembered.anchor(binding, own)
        looks, not_run = remembered.looks(binding, challenger)
        case = Case(
            binding=binding,
            proposed=bound.proposed,
            base=bound.base,
            approval=self._approval if self.run.forge.event.kind == "pull_request" else None,
            challenger=challenger,
            champion=champion,
            anchor=self._side(git.at(anchored), file, own) if anchored else None,
            chosen=chosen,
            behind=self._behind(chosen),
            dirty=self.dirty,
            private=self._private(own, bound),
            now=self.run.source().at,
            strict_tree=self.run.in_ci,
            looks=looks,
            notes=(*bound.notes, *said),
            not_run=tuple(not_run),
        )
        if self.handed is not None:
            checks = self.handed.checks(own, bound, self._pipeline(self.now), chosen.commit, unchanged=same(case))
            case = replace(case, notes=(*checks, *case.notes))
        rows = Rows(self.run, case, self.inputs, self._prepared(own.model), strict=self.handed is not None)
        costs = rows.costs(binding) if binding.compare.costs else None
        done = compare(replace(case, measure=rows, costs=costs))
        if done.bias is not None:
            self._leave(done.bias)
        return done.evidence

    def besides(self) -> dict[str, list[str]]:
        """What other steps found, by model, where that stops a decision that the comparison alone would make.

        Where nothing is handed over they are steps of this job, and what mlgate.yaml asks of them has to be here.
        """
        received = self.handed or Received(self.run, self.run.cwd / STATE / "evidence")
        found: dict[str, list[str]] = {}
        for model, bound in self.bounds.items():
            told = [e for e in received.by_model.get(model, {}).values() if e is not None and e.kind not in _AFTER]
            if self.handed is None:
                told = [e for e in told if e.source.commit == self.run.head]
            stopped = [f"{e.kind} says {e.verdict}: {e.title}" for e in told if e.verdict.rank > Verdict.WARN.rank]
            lacking = _asked(bound.binding) - {e.kind for e in told} if self.handed is None else set()
            file = bound.binding.file
            found[model] = stopped + [
                f"{file} asks for {verb}, which did not look at this commit." for verb in sorted(lacking)
            ]
        return found

    def _private(self, own: Config, bound: Bound) -> frozenset[str]:
        """Columns that a contract calls private, of the version that binds or the change's own."""
        if not any(wanted.by_rows(bound.binding, name) for name in bound.binding.evaluate):
            return frozenset()  # no value of a row is read at all
        found = entries(self.run, own, bound, self._pipeline(self.now))
        return frozenset(name.casefold() for entry in found for rules in entry.checks for name in rules.private)

    def _leave(self, found: Bias) -> None:
        from mlgate.render import bias  # noqa: PLC0415 -- only where groups are judged

        state = self.run.cwd / STATE
        for name, text in (("bias_report.json", found.to_json()), ("bias_report.md", bias.markdown(found))):
            write_text(state / "bias" / found.model / name, text)

    def _prepared(self, model: str) -> Evidence | None:
        """What `--prepare` said of this commit: in the run job, or here before."""
        folder = self.run.cwd / STATE / "evidence" if self.handed is None else None
        found = Received(self.run, folder) if folder is not None else self.handed
        evidence = found.by_model.get(model, {}).get("prepare") if found is not None else None
        return evidence if evidence is not None and evidence.source.commit == self.run.head else None

    def _approval(self, label: str) -> Approval:
        if label not in self.approvals:
            self.approvals[label] = self.run.forge.approval(label)
        return self.approvals[label]

    def _side(self, snapshot: Snapshot, file: str, own: Config) -> Side:
        config = self.bound.config(snapshot, self.bound.earlier(snapshot, file, own))
        return Side(self._pipeline(snapshot), config if isinstance(config, Config) else None, trusted=True)

    def _pipeline(self, snapshot: Snapshot) -> Pipeline:
        return self.pipelines.setdefault(snapshot.commit, Pipeline(snapshot, lenient=True))

    def _behind(self, chosen: Chosen) -> frozenset[str]:
        """What the target changed after the source left it."""
        if not chosen.fork_point:
            return frozenset()
        key = (chosen.fork_point, chosen.commit)
        if key not in self.behind:
            then, tip = (self.run.git.at(commit).files for commit in key)
            self.behind[key] = frozenset(p for p in {*then, *tip} if then.get(p) != tip.get(p))
        return self.behind[key]

    def _removed(self, models: set[str]) -> list[Evidence]:
        """Models of the base that this change takes away: a gate cannot be passed by deleting it."""
        now = self._pipeline(self.now)
        gone = [one.binding for one in self.bound.removed()]
        return [_retired(config, now, last=not models) for config in gone if config.model not in models]


def _asked(binding: Config) -> set[str]:
    """The steps whose evidence a decision needs. What a lock attests the judge sees itself."""
    data = {"validate-data"} if any(entry.contract for entry in binding.data) else set()
    return data | ({"train"} if binding.train.verify != "lock" else set())


def _retired(config: Config, now: Pipeline, *, last: bool) -> Evidence:
    """Gone with all that it makes, a model is retired; else, or with no other model left, its gate was switched off."""
    left = next((path for path in sources(config) if path in now.snapshot.files or path in now.outs), "")
    verdict = Verdict.ERROR
    if left:
        reason = f"{config.file} was removed while {left} is still here: that would switch the gate off. Restore it."
    elif last:
        reason = f"{config.file} was removed and no other configuration is left: nothing was judged. Restore it."
    else:
        reason = f"{config.file} was removed together with what it judged: {config.model} is no longer judged."
        verdict = Verdict.WARN
    check = Check(
        id="judge.removed", group="judge", title=config.file, verdict=verdict, reason=reason,
        location=Location(file=config.file),
    )  # fmt: skip
    return Evidence(
        kind="compare", model=config.model, title=reason, verdict=verdict, checks=[check],
        mode=config.mode, fail_on=config.fail_on,
    )  # fmt: skip


def _outputs(evidences: list[Evidence]) -> dict[str, str]:
    """What later steps want to know. Lists are JSON, ready for fromJson."""
    champions = {e.champion.commit: e.champion for e in evidences if e.champion}
    only = next(iter(champions.values())) if len(champions) == 1 else None
    bad = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE)
    broken = [
        c.id if len(evidences) == 1 else f"{e.model}: {c.id}" for e in evidences for c in e.checks if c.verdict in bad
    ]
    return {
        "models": json.dumps([e.model for e in evidences if not e.unchanged]),
        "unchanged": json.dumps([e.model for e in evidences if e.unchanged]),
        "failed-rules": json.dumps(list(dict.fromkeys(broken))[:1000]),
        "champion": only.commit if only else "",
        "champion-age-days": _age(only.committed_at) if only else "",
        "comparable": str(all(_comparable(e) for e in evidences)).lower(),
    }


def _comparable(evidence: Evidence) -> bool:
    """Whether there was a champion, and it was measured on the same test set."""
    other = [c for c in evidence.checks if c.id.startswith("judge.comparable") and c.verdict is not Verdict.PASS]
    return evidence.champion is not None and not other


def _age(committed_at: str) -> str:
    try:
        then = datetime.fromisoformat(committed_at)
    except ValueError:
        return ""
    return str(max(0, (datetime.now(UTC) - then).days))
