"""One model, two commits: from what both say to one evidence document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mlgate.config import Config, EvaluationSet
from mlgate.errors import MlgateError
from mlgate.judge import integrity, rules
from mlgate.judge.numbers import MISSING, NO_SIDE
from mlgate.judge.rules import Values, Where
from mlgate.model import Champion, Change, Check, Controls, Evidence, Location, Named, Verdict, worst
from mlgate.repo import changes, metrics
from mlgate.repo.champion import Chosen
from mlgate.repo.dvc import Pipeline


@dataclass(frozen=True)
class Side:
    """One commit's view of the model. `config` is None where that commit has no mlgate.yaml for it.

    A champion is `trusted` to say where its files are. A challenger is asked where the version that judges it says, and
    only for what is not there where it says itself: else a change could put other files before the judge.
    """

    pipeline: Pipeline
    config: Config | None
    trusted: bool = False


@dataclass(frozen=True)
class Case:
    """All that a comparison reads, gathered beforehand.

    `binding` is the version of the rules that decides; `proposed` is the change's own version where it differs.
    `behind` are the paths that the target changed after the source left it.
    """

    binding: Config
    challenger: Side
    champion: Side | None
    chosen: Chosen
    proposed: Config | None = None
    anchor: Side | None = None
    behind: frozenset[str] = frozenset()
    dirty: tuple[str, ...] = ()
    strict_tree: bool = True
    notes: tuple[Check, ...] = field(default=())  # findings of the caller: a base version that cannot be read, ...


def compare(case: Case) -> Evidence:
    """The evidence of `mlgate compare` for one model. Bad metrics become `error` checks.

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
    rule_changes = _rule_changes(case)
    if rule_changes:
        found.append(_rules_changed(rule_changes, case))
    overtaken = sorted(case.behind & (integrity.gated(own, now) | integrity.gated(config, now)))
    unchanged = not overtaken and _unchanged(case)
    controls = Controls(passed=0, total=0)
    not_run = integrity.not_compared(own, now)
    if overtaken:
        found.append(_rebase(overtaken, case))
    elif unchanged:
        reason = "Model, metrics and evaluation data are the champion's: nothing to compare."
        found.append(Check(id="judge.unchanged", group="judge", title="unchanged", verdict=Verdict.PASS, reason=reason))
    else:
        if not config.compare.rules:
            found.append(_no_rules(config))
        found += _judge(case, config, "rules")
        controls = _controls(config)
        if controls.passed != controls.total:
            found.append(_broken_controls(controls))
        not_run += _unknown_test_set(config)
    if case.proposed is not None:
        said = {c.reason for c in found if c.reason}
        found += [c for c in _judge(case, case.proposed, "proposed", against=config) if c.reason not in said]
    verdict = worst(c.verdict for c in found)
    return Evidence(
        kind="compare",
        model=config.model,
        title=_sentence(verdict, found, case, unchanged=unchanged),
        verdict=verdict,
        mode=config.mode,
        fail_on=config.fail_on,
        statistics="none",
        unchanged=unchanged,
        subject=_subject(own, now),
        champion=_champion(case),
        inputs=_inputs(own, now),
        checks=found,
        changes=[*rule_changes, *_changes(case, own)],
        not_run=not_run,
        controls=controls if controls.total else None,
    )


# -- values ----------------------------------------------------------------------------------------------------------


class _Metrics:
    """The metrics of one evaluation set at one commit. Files are read once; a broken file is kept as its error."""

    def __init__(self, side: Side, config: Config, name: str, evaluation: EvaluationSet) -> None:
        own = side.config.evaluate.get(name) if side.config else None
        self.paths = [config.path(p) for p in evaluation.metrics]
        moved = side.trusted or not all(path in side.pipeline.snapshot.files for path in self.paths)
        if own is not None and side.config is not None and moved:
            self.paths = [side.config.path(p) for p in own.metrics]
        self.values: dict[str, tuple[Any, str]] = {}
        self.broken: MlgateError | None = None
        self.absent = True
        for path in self.paths:
            self._read(side.pipeline, path)

    def _read(self, pipeline: Pipeline, path: str) -> None:
        try:
            data = pipeline.snapshot.read(path)
            if data is None:
                return
            self.absent = False
            for key, value in metrics.parse(data, path).items():
                if key in self.values and self.values[key][0] != value:
                    raise MlgateError(
                        f"and {self.values[key][1]} both have {key!r}, with different values.",
                        file=path,
                        fix="Rename one of them.",
                    )
                self.values.setdefault(key, (value, path))
        except MlgateError as error:
            self.broken = error

    def get(self, key: str) -> Any:
        return self.values[key][0] if key in self.values else MISSING

    def file_of(self, key: str) -> str:
        return self.values[key][1] if key in self.values else ", ".join(self.paths)


@dataclass(frozen=True)
class _Compared:
    """One evaluation set, on all sides. `absent` says why there is no champion, and what that makes of a rule."""

    name: str
    challenger: _Metrics
    champion: _Metrics | None
    anchor: _Metrics | None
    absent: tuple[Verdict, str]


def _judge(case: Case, config: Config, prefix: str, *, against: Config | None = None) -> Iterator[Check]:
    """Every rule of one version on every evaluation set; with `against`, only what that version has differently."""
    sets = []
    if not config.evaluate:
        yield _judge_check(
            f"{prefix}.nothing", "evaluation sets", Verdict.ERROR, f"{config.file} names no evaluation set."
        )
    for name, evaluation in config.evaluate.items():
        compared, checks = _compared(case, config, name, evaluation)
        if against is None or against.evaluate.get(name) != evaluation:
            yield from checks
        if compared is not None:
            sets.append(compared)
    for key, rule in config.compare.rules.items():
        if against is not None and not _differs(config, against, key):
            continue
        having = [s for s in sets if _has(s.challenger, key) or _has(s.champion, key)] or sets
        for compared in having:
            suffix = f"@{compared.name}" if len(config.evaluate) > 1 else ""
            where = Where(
                key=key,
                id=f"{prefix}.{key}{suffix}",
                title=f"{key}{f' ({compared.name})' if suffix else ''}{', as proposed' if against else ''}",
                file=compared.challenger.file_of(key),
            )
            values = Values(
                challenger=compared.challenger.get(key),
                champion=compared.champion.get(key) if compared.champion else NO_SIDE,
                anchor=compared.anchor.get(key) if compared.anchor else NO_SIDE,
                absent=compared.absent,
            )
            if values.champion is MISSING and not (case.champion and _ruled(case.champion, key)):
                # A metric that came with its rule: the champion cannot have measured it.
                values = Values(
                    challenger=values.challenger,
                    anchor=values.anchor,
                    absent=(Verdict(config.compare.policy.missing_champion), "the champion did not measure it yet"),
                )
            yield from rules.check(rule, values, config.compare.policy, where)


def _has(side: _Metrics | None, key: str) -> bool:
    return side is not None and key in side.values


def _ruled(side: Side, key: str) -> bool:
    return side.config is not None and key in side.config.compare.rules


def _differs(ours: Config, theirs: Config, key: str) -> bool:
    return (
        key not in theirs.compare.rules
        or ours.compare.rules[key] != theirs.compare.rules[key]
        or ours.compare.policy != theirs.compare.policy
        or ours.evaluate != theirs.evaluate
    )


def _compared(case: Case, config: Config, name: str, evaluation: EvaluationSet) -> tuple[_Compared | None, list[Check]]:
    """The metrics of both sides, or the checks that say why they cannot be had."""
    challenger = _Metrics(case.challenger, config, name, evaluation)
    if challenger.broken:
        return None, [_unreadable(name, "challenger", challenger.broken)]
    if challenger.absent:
        missing = ", ".join(challenger.paths)
        reason = f"{missing} is not in the challenger's commit {case.challenger.pipeline.snapshot.commit[:7]}."
        return None, [
            Check(
                id=f"judge.metrics.{name}",
                group="judge",
                title=f"metrics of {name}",
                verdict=Verdict.ERROR,
                reason=f"{reason} Nothing was measured: commit what `dvc repro` writes.",
                location=Location(file=challenger.paths[0]),
            )
        ]
    anchor = _Metrics(case.anchor, config, name, evaluation) if case.anchor else None
    champion, absent, checks = _champion_metrics(case, config, name, evaluation)
    return _Compared(name, challenger, champion, anchor, absent), checks


def _champion_metrics(
    case: Case, config: Config, name: str, evaluation: EvaluationSet
) -> tuple[_Metrics | None, tuple[Verdict, str], list[Check]]:
    policy = config.compare.policy
    no_champion = (Verdict(policy.missing_champion), "there is no champion yet")
    check_id, title = f"judge.champion.{name}", f"champion of {name}"
    checks: list[Check] = []
    if case.champion is None:
        reason = f"No champion yet: {case.chosen.how}. This model becomes the first one when it is merged."
        return None, no_champion, [_judge_check(check_id, title, no_champion[0], reason)]
    champion = _Metrics(case.champion, config, name, evaluation)
    commit = case.chosen.commit[:7]
    if champion.broken:
        unreadable = (Verdict.ERROR, "the champion's metrics cannot be read")
        return None, unreadable, [_unreadable(name, "champion", champion.broken)]
    if champion.absent:
        artifact = config.artifact and config.path(config.artifact)
        if case.champion.config is not None and artifact and artifact in case.champion.pipeline.outs:
            reason = (
                f"The champion {commit} has a model but no {', '.join(champion.paths)}. "
                "Name one that was measured with `compare.champion`, or commit its metrics."
            )
            return (
                None,
                (Verdict.ERROR, "the champion has no metrics"),
                [_judge_check(check_id, title, Verdict.ERROR, reason)],
            )
        reason = f"No champion yet: {commit} has no {', '.join(champion.paths)}. This model becomes the first one."
        return None, no_champion, [_judge_check(check_id, title, no_champion[0], reason)]
    now = _Metrics(case.challenger, config, name, evaluation).paths
    lost = _lost_lineage(case, case.champion, now, champion.paths)
    if lost:
        checks.append(_judge_check(f"judge.lineage.{name}", f"what {name} rests on", Verdict.ERROR, lost))
    if not evaluation.data:
        return champion, no_champion, checks
    data = (_test_set(case.champion, config, name, evaluation), _test_set(case.challenger, config, name, evaluation))
    reason = _other_test_set(case, case.champion, data, (champion.paths, now))
    verdict = Verdict(policy.not_comparable) if reason else Verdict.PASS
    checks.append(_judge_check(f"judge.comparable.{name}", f"same test set ({name})", verdict, reason))
    if reason:
        return None, (verdict, "it was measured on another test set"), checks
    return champion, no_champion, checks


def _lost_lineage(case: Case, champion: Side, now: list[str], then: list[str]) -> str:
    """What the lock said of the champion's metrics and does not say of the challenger's, as a sentence."""
    before, after = champion.pipeline, case.challenger.pipeline
    if all(path in before.producers for path in then) and not all(path in after.producers for path in now):
        return (
            f"{', '.join(now)} is made by no stage of a dvc.lock, as the champion's was: nothing attests it any more. "
            "Make it a `metrics:` output of the stage that writes it, and run `dvc repro`."
        )
    own = case.challenger.config if case.challenger.config and case.challenger.config.artifact else case.binding
    config = champion.config or case.binding
    if not own.artifact or not config.artifact:
        return ""
    artifact = own.path(own.artifact)
    if before.reads(then, config.path(config.artifact)) and not after.reads(now, artifact):
        return (
            f"{', '.join(now)} does not come from {artifact}: no stage that made it depends on that model, as the "
            "champion's did. Let the stage that evaluates it list it under `deps:`, and run `dvc repro`."
        )
    return ""


def _other_test_set(case: Case, champion: Side, data: tuple[str, str], metrics: tuple[list[str], list[str]]) -> str:
    """Why both sides were not measured on the same rows, as far as digests say. Each pair is then and now."""
    (path_then, path_now), (then, now) = data, metrics
    old = integrity.named(champion.pipeline, path_then, "").digest
    new = integrity.named(case.challenger.pipeline, path_now, "").digest
    if old and new and old != new:
        return (
            f"Not the same test set: {path_now} was {_short(old)} for the champion and is {_short(new)} now. "
            "A difference would be the data's, not the model's. "
            "Evaluate the champion on the new data in a commit of its own first."
        )
    if champion.pipeline.reads(then, path_then) and not case.challenger.pipeline.reads(now, path_now):
        return (
            f"Not the same test set: the champion was measured on {path_then}, but no stage that made "
            f"{', '.join(now)} depends on {path_now}."
        )
    return ""


def _test_set(side: Side, config: Config, name: str, evaluation: EvaluationSet) -> str:
    """Where a side has the rows of an evaluation set."""
    own = side.config.evaluate.get(name) if side.config else None
    path = config.path(evaluation.data or "")
    moved = side.trusted or not integrity.named(side.pipeline, path, "").digest
    return side.config.path(own.data) if moved and own is not None and own.data and side.config else path


def _short(digest: dict[str, str]) -> str:
    return f"{next(iter(digest.values()))[:9]}…"


def _judge_check(check_id: str, title: str, verdict: Verdict, reason: str) -> Check:
    return Check(id=check_id, group="judge", title=title, verdict=verdict, reason=reason)


def _unreadable(name: str, side: str, error: MlgateError) -> Check:
    return Check(
        id=f"judge.metrics.{side}.{name}",
        group="judge",
        title=f"{side}'s metrics of {name}",
        verdict=Verdict.ERROR,
        reason=f"The {side}'s {error}",
        location=Location(file=error.file) if error.file else None,
    )


# -- the rules themselves --------------------------------------------------------------------------------------------


def _rule_changes(case: Case) -> list[Change]:
    own = case.challenger.config
    if own is None or own is case.binding:
        return []
    before, after = case.binding.public(), own.public()
    return [
        Change(kind="rule", what=key, before=_text(before.get(key)), after=_text(after.get(key)))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _rules_changed(found: list[Change], case: Case) -> Check:
    listed = "; ".join(f"{c.what}: {c.before or 'not set'} → {c.after or 'not set'}" for c in found[:5])
    more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
    return Check(
        id="judge.rules-changed",
        group="judge",
        title="the rules themselves",
        verdict=Verdict.WARN,
        reason=f"This change edits what it is judged by ({listed}{more}). The rules of "
        f"{case.chosen.ref or 'the base'} decide; look at the edit before you approve.",
        location=Location(file=case.binding.file),
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


def _controls(config: Config) -> Controls:
    done = [
        rules.controls(rule, config.compare.policy, Where(key, key, key, "control"))
        for key, rule in config.compare.rules.items()
    ]
    return Controls(passed=sum(p for p, _ in done), total=sum(t for _, t in done))


def _broken_controls(controls: Controls) -> Check:
    return _judge_check(
        "judge.controls",
        "controls",
        Verdict.ERROR,
        f"{controls.total - controls.passed} of {controls.total} controls were judged wrongly: a rule cannot fail, or "
        "cannot pass. Look for limits that contradict each other.",
    )


def _unknown_test_set(config: Config) -> list[str]:
    return [
        f"Whether both sides were measured on the same test set: evaluate.{name}.data is not set in {config.file}."
        for name, evaluation in config.evaluate.items()
        if not evaluation.data
    ]


# -- the document ----------------------------------------------------------------------------------------------------


def _unchanged(case: Case) -> bool:
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
    data = [config.path(s.data) for s in config.evaluate.values() if s.data]
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
