"""One model, two commits: from what both say to one evidence document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from mlgate.config import Config, Rule
from mlgate.judge import costs, edits, integrity, rules, standing, wanted
from mlgate.judge.bias import Bias
from mlgate.judge.case import Case, Side, finding
from mlgate.judge.evaluation import Compared, compare_set
from mlgate.judge.rules import Where
from mlgate.judge.ruling import Ruling
from mlgate.model import Champion, Change, Check, Controls, Evidence, Figure, Location, Moved, Named, Verdict, worst
from mlgate.repo import changes
from mlgate.repo.dvc import Pipeline


@dataclass(frozen=True)
class Comparison:
    """The evidence of `mlgate compare` for one model; and the bias report, where groups are configured."""

    evidence: Evidence
    bias: Bias | None = None


def compare(case: Case) -> Comparison:
    """Judge one model. Bad metrics become `error` checks.

    Raises MlgateError when a file of DVC around the model is broken.
    """
    config = case.binding
    own = case.challenger.config or config
    now = case.challenger.pipeline
    for side in (case.challenger, case.champion, case.anchor):
        if side is not None:
            versions = (own, config) if side is case.challenger else (side.config or config,)
            side.pipeline.require(path for version in versions for path in integrity.needed(version))
    found = [*case.notes, *integrity.checks(own, config, now, dirty=case.dirty, strict_tree=case.strict_tree)]
    edited = edits.found(case)
    approval = None
    if edited:
        approval = case.approval(config.compare.approval.label) if case.approval is not None else None
        found.append(edits.check(edited, case, approval))
    overtaken = sorted(case.behind & (integrity.gated(own, now) | integrity.gated(config, now)))
    unchanged = not overtaken and same(case)
    controls = Controls(passed=0, total=0)
    not_run = integrity.not_compared(own, now)
    shown = _Shown()
    if overtaken:
        found.append(_rebase(overtaken, case))
    elif unchanged:
        reason = "Model, metrics and evaluation data are the champion's: nothing to compare."
        found.append(Check(id="judge.unchanged", group="judge", title="unchanged", verdict=Verdict.PASS, reason=reason))
    else:
        groups = config.compare.slices or config.compare.fairness or config.compare.costs
        if not (config.compare.rules or groups or any(one.rules for one in config.evaluate.values())):
            found.append(_no_rules(config))
        found += _age(case, config)
        sets, seen = _sets(case, config)
        found += [check for checks in seen.values() for check in checks]
        ruled_by = list(_rules(case, config, sets, "rules"))
        found += ruled_by
        if case.looks is not None:
            again = partial(_rules, case, config, prefix="rules")
            found += case.looks.checks(sets, float(config.compare.confidence), lambda one: list(again(sets=[one])))
        shown = _by_rows(case, config, sets)
        found += shown.checks
        found += _costs(case, config)
        controls, unmoved = _controls(config, sets)
        if controls.passed != controls.total:
            found.append(_broken_controls(controls, unmoved))
        not_run += [*_unknown_test_set(case, config, sets), *case.not_run]
    if case.proposed is not None:
        said = {(c.verdict, c.reason) for c in found if c.reason}
        found += [c for c in _as_proposed(case, case.proposed) if (c.verdict, c.reason) not in said]
    verdict = worst(c.verdict for c in found)
    evidence = Evidence(
        kind="compare",
        model=config.model,
        title=_sentence(verdict, found, case, unchanged=unchanged),
        verdict=verdict,
        mode=config.mode,
        fail_on=config.fail_on,
        statistics="paired" if any(c.method for c in found) else "none",
        confidence=float(config.compare.confidence) if any(c.interval is not None for c in found) else None,
        unchanged=unchanged,
        subject=_subject(own, now),
        champion=_champion(case),
        approval=approval,
        inputs=[*_inputs(own, now), *_anchor(case)],
        checks=found,
        changes=[*edited, *_changes(case, own)],
        not_run=not_run,
        controls=controls if controls.total else None,
        figures=list(shown.figures),
        moved=list(shown.moved),
    )
    return Comparison(evidence, shown.bias)


@dataclass(frozen=True)
class _Shown:
    """What only rows can tell beside the rules: groups, charts, and who changed sides."""

    checks: tuple[Check, ...] = ()
    figures: tuple[Figure, ...] = ()
    moved: tuple[Moved, ...] = ()
    bias: Bias | None = None


def _by_rows(case: Case, config: Config, sets: Sequence[Compared], prefix: str = "", suffix: str = "") -> _Shown:
    measured = [(one.name, one.measured.compared.rows) for one in sets if one.measured.compared is not None]
    asked = config.compare.slices is not None or config.compare.fairness is not None
    read = {name for name, _ in measured}
    unread = [name for name in config.evaluate if asked and name not in read and wanted.by_rows(config, name)]
    lost = tuple(_no_groups(config, name, prefix) for name in unread)
    if not measured:
        return _Shown(checks=lost)
    from mlgate.judge import explain, groups  # noqa: PLC0415 -- numpy

    judged = groups.judge(config, sets, prefix=prefix, suffix=suffix) if asked else None
    commit = case.challenger.pipeline.snapshot.commit
    hidden = {name: (one.columns.id or "").casefold() in case.private for name, one in config.evaluate.items()}
    moved = [explain.moved(rows, name, ids=not hidden[name]) for name, rows in measured]
    return _Shown(
        checks=(*lost, *judged.checks) if judged else (),
        figures=tuple(figure for name, rows in measured for figure in explain.figures(rows, name)),
        moved=tuple(one for one in moved if one is not None),
        bias=judged.report(config, commit=commit, champion=case.chosen.commit) if judged else None,
    )


def _no_groups(config: Config, name: str, prefix: str) -> Check:
    """What must not vanish where rows could not be had: the other checks say why they could not."""
    sections = " and ".join(one for one in ("slices", "fairness") if getattr(config.compare, one) is not None)
    return finding(
        f"{prefix}judge.groups.{name}",
        f"{sections} ({name})",
        Verdict(config.compare.policy.no_credentials),
        f"{sections.capitalize()} were not judged: predictions and labels of {name} could not be read.",
    )


def _sets(case: Case, config: Config) -> tuple[list[Compared], dict[str, list[Check]]]:
    """Every evaluation set of one version whose metrics can be had, and what was found on the way, by set."""
    sets, found = [], {}
    for name, evaluation in config.evaluate.items():
        compared, found[name] = compare_set(case, config, name, evaluation)
        if compared is not None:
            sets.append(compared)
    return sets, found


def _rules(
    case: Case, config: Config, sets: Sequence[Compared], prefix: str, against: Config | None = None
) -> Iterator[Check]:
    """Every rule of one version on every evaluation set; with `against`, only what that version has differently."""
    for key, rule, compared in ruled(config, sets):
        if against is None or _differs(config, against, key):
            where = _where(config, compared, key, prefix, "" if against is None else ", as proposed")
            before = bool(case.champion and _ruled(case.champion, key))
            yield from Ruling(config, compared, rule, where, ruled=before).checks()


def _where(config: Config, compared: Compared, key: str, prefix: str, more: str = "") -> Where:
    suffix = f"@{compared.name}" if len(config.evaluate) > 1 else ""
    title = f"{key}{f' ({compared.name})' if suffix else ''}{more}"
    return Where(key=key, id=f"{prefix}.{key}{suffix}", title=title, file=compared.challenger.file_of(key))


def ruled(config: Config, sets: Sequence[Compared]) -> Iterator[tuple[str, Rule, Compared]]:
    """Each rule with each evaluation set that it judges: its own rules, and those for all sets that it measures."""
    for key, rule in config.compare.rules.items():
        left = [one for one in sets if key not in config.evaluate[one.name].rules]
        for one in [s for s in left if key in s.challenger.values or key in s.before] or left:
            yield key, rule, one
    for one in sets:
        yield from ((key, rule, one) for key, rule in config.evaluate[one.name].rules.items())


def _as_proposed(case: Case, config: Config) -> Iterator[Check]:
    """What the change's own version finds, as far as it differs from the one that binds."""
    sets, found = _sets(case, config)
    for name, checks in found.items():
        if case.binding.evaluate.get(name) != config.evaluate[name]:
            yield from (_proposed(check) for check in checks)
    yield from _rules(case, config, sets, "proposed", case.binding)
    if (config.compare.slices, config.compare.fairness) != (case.binding.compare.slices, case.binding.compare.fairness):
        yield from _by_rows(case, config, sets, "proposed.", ", as proposed").checks


def _proposed(check: Check) -> Check:
    """Told apart from what the binding version says of the same thing."""
    return check.model_copy(update={"id": f"proposed.{check.id}", "title": f"{check.title}, as proposed"})


def _ruled(side: Side, key: str) -> bool:
    return side.config is not None and key in side.config.compare.rules


def _differs(ours: Config, theirs: Config, key: str) -> bool:
    return (
        ours.compare.rules.get(key) != theirs.compare.rules.get(key)
        or ours.compare.policy != theirs.compare.policy
        or ours.evaluate != theirs.evaluate
    )


def _rebase(paths: list[str], case: Case) -> Check:
    listed = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return Check(
        id="judge.rebase",
        group="judge",
        title="up to date with the target",
        verdict=Verdict.INCONCLUSIVE,
        reason=f"{case.chosen.ref or 'The target'} changed {listed} after this branch left it, so a difference would "
        "not be this change's. Rebase (or merge the target), run `dvc repro`, and push.",
    )


def _no_rules(config: Config) -> Check:
    return Check(
        id="judge.no-rules",
        group="judge",
        title="rules",
        verdict=Verdict.WARN,
        reason=f"No rule is set in {config.file}, so nothing can fail. Accept a number under compare.rules.",
        location=Location(file=config.file, line=config.line("compare"), key="compare.rules"),
    )


def _controls(config: Config, sets: Sequence[Compared]) -> tuple[Controls, list[str]]:
    """How many were judged rightly, and the rules that judged one wrongly."""
    policy = config.compare.policy
    passed = total = 0
    unmoved = []
    for key, rule, one in ruled(config, sets):
        where = Where(key, key, key, "control")
        stopped, fed = rules.controls(rule, policy, where)
        spec = Ruling(config, one, rule, where).spec
        if spec is not None and one.measured.compared is not None:
            from mlgate.judge import controls  # noqa: PLC0415 -- numpy

            reacted = list(controls.run(rule, policy, where, spec, one.measured.compared))
            stopped, fed = stopped + sum(reacted), fed + len(reacted)
        passed, total = passed + stopped, total + fed
        if stopped != fed:
            unmoved.append(f"{key} ({one.name})" if len(config.evaluate) > 1 else key)
    if any(one.measured.compared is not None for one in sets) and (config.compare.slices or config.compare.fairness):
        from mlgate.judge import groups  # noqa: PLC0415 -- numpy

        reacted = list(groups.controls(config, sets))
        passed, total = passed + sum(reacted), total + len(reacted)
        if not all(reacted):
            unmoved.append("slices or fairness")
    return Controls(passed=passed, total=total), unmoved


def _age(case: Case, config: Config) -> Iterator[Check]:
    """A champion that has not been replaced for long says little of the data of today."""
    most = config.compare.max_age
    if most is None or case.champion is None:
        return
    snapshot = case.champion.pipeline.snapshot
    age = days(standing.since(case.champion, config), case.now)
    if age is not None and age > float(most) / 86_400:
        reason = f"The champion {snapshot.commit[:7]} is {age:.0f} days old; compare.max_age is {most / 86_400:f} days."
        yield finding("judge.champion.age", "the champion's age", Verdict.WARN, reason)


def days(then: str, now: str) -> float | None:
    """Between two times of ISO 8601; None where one of them is not known."""
    try:
        return (datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds() / 86_400
    except (ValueError, TypeError):
        return None


def _costs(case: Case, config: Config) -> Iterator[Check]:
    asked = config.compare.costs
    if asked and case.costs is None:
        # Of a run job that hands nothing over, the integrity checks say so; a terminal has not asked yet.
        why = "`mlgate compare --prepare` measures it, and has not been run for this commit."
        yield from costs.not_measured(asked, Verdict.WARN, why)
    elif asked and case.costs is not None:
        policy = config.compare.policy
        absent = (Verdict(policy.missing_champion), "there is no champion yet")
        yield from costs.checks(asked, case.costs, policy, float(config.compare.confidence), absent)


def _broken_controls(controls: Controls, unmoved: list[str]) -> Check:
    return finding(
        "judge.controls",
        "controls",
        Verdict.ERROR,
        f"{controls.total - controls.passed} of {controls.total} controls were judged wrongly ({', '.join(unmoved)}): "
        "such a rule cannot fail, or cannot pass. Look for limits that the worst predictions of these rows would keep, "
        "that the best would not, or that contradict each other.",
    )


def _unknown_test_set(case: Case, config: Config, sets: Sequence[Compared]) -> list[str]:
    pinned = [
        f"Whether {case.chosen.folder} was measured on the same rows of {one.name}: a folder does not say by digest "
        "which ones those were, and committed metrics alone were compared."
        for one in sets
        if case.chosen.folder and one.champion is not None and not one.by_id and config.evaluate[one.name].data
    ]
    return pinned + [
        f"Whether both sides were measured on the same test set: evaluate.{name}.data is not set in {config.file}."
        for name, evaluation in config.evaluate.items()
        if not evaluation.data
    ]


# -- the document ----------------------------------------------------------------------------------------------------


def same(case: Case) -> bool:
    """The same model, the same metrics files and the same test sets on both sides."""
    then, own = case.champion, case.challenger.config
    if then is None or then.config is None or own is None:
        return False
    return _fingerprint(then.config, then.pipeline) == _fingerprint(own, case.challenger.pipeline) != ()


def _fingerprint(config: Config, pipeline: Pipeline) -> tuple[object, ...]:
    paths = [config.path(p) for s in config.evaluate.values() for p in s.metrics]
    blobs = tuple((p, pipeline.snapshot.files.get(p)) for p in paths)
    if any(entry is None for _, entry in blobs):
        return ()
    data = [config.path(path) for s in config.evaluate.values() for path in (s.data, s.labels) if path]
    produced = [p for p in integrity.sources(config) if p not in paths]
    known = tuple((p, tuple(integrity.named(pipeline, p, "").digest.items())) for p in (*data, *produced))
    return () if any(not digest for _, digest in known) else (*blobs, *known)


def _subject(config: Config, pipeline: Pipeline) -> Named | None:
    return integrity.named(pipeline, config.path(config.artifact), "artifact") if config.artifact else None


def _champion(case: Case) -> Champion | None:
    if case.champion is None:
        return None
    snapshot = case.champion.pipeline.snapshot
    config = case.champion.config or case.binding
    return Champion(
        commit=snapshot.commit,
        ref=case.chosen.ref,
        how=case.chosen.how,
        committed_at=snapshot.git.committed_at(snapshot.commit),
        commits=snapshot.git.count_between(snapshot.commit, case.challenger.pipeline.snapshot.commit),
        subject=_subject(config, case.champion.pipeline),
    )


def _inputs(config: Config, pipeline: Pipeline) -> list[Named]:
    found = [Named(name=config.file, digest={"mlgate-rules-sha256": config.digest()}, role="rules")]
    for name, evaluation in config.evaluate.items():
        found += [integrity.named(pipeline, config.path(p), f"metrics of {name}") for p in evaluation.metrics]
        if evaluation.data:
            found.append(integrity.named(pipeline, config.path(evaluation.data), f"evaluation data of {name}"))
        if evaluation.predictions:
            found.append(integrity.named(pipeline, config.path(evaluation.predictions.path), f"predictions of {name}"))
    return found


def _anchor(case: Case) -> list[Named]:
    """From where small losses were added up: a decision pins it in the ledger."""
    if case.anchor is None:
        return []
    name = case.binding.compare.anchor or "compare.anchor"
    return [Named(name=name, digest={"git-commit": case.anchor.pipeline.snapshot.commit}, role="anchor")]


def _changes(case: Case, own: Config) -> list[Change]:
    if case.champion is None:
        return []
    data = [own.path(s.data) for s in own.evaluate.values() if s.data]
    data += [own.path(entry.path) for entry in own.data]
    return changes.between(case.champion.pipeline, case.challenger.pipeline, produced=integrity.sources(own), data=data)


def _sentence(verdict: Verdict, found: list[Check], case: Case, *, unchanged: bool) -> str:
    """Why, in one sentence: the first of the worst checks, or what all of them hold against."""
    if verdict is not Verdict.PASS:
        return next(c.reason for c in found if c.verdict is verdict)
    if unchanged:
        return f"Unchanged: the model is that of the champion {case.chosen.commit[:7]}."
    count = sum(c.group == "rules" for c in found)
    against = f" against the champion {case.chosen.commit[:7]}" if case.champion else ""
    return f"{count} {'limit holds' if count == 1 else 'limits hold'}{against}."
