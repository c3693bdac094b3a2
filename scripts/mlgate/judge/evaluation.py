"""The metrics of an evaluation set on all sides, and whether the champion's may be held against the challenger's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mlgate.config import Config, EvaluationSet
from mlgate.errors import MlgateError
from mlgate.judge import integrity, wanted
from mlgate.judge.case import Case, Measured, Side, finding
from mlgate.judge.numbers import MISSING
from mlgate.model import Check, Location, Verdict
from mlgate.repo import metrics
from mlgate.repo.dvc import Pipeline


class Metrics:
    """The metrics of one evaluation set at one commit. Files are read once; a broken file is kept as its error."""

    def __init__(self, side: Side, config: Config, name: str, evaluation: EvaluationSet) -> None:
        own = side.config.evaluate.get(name) if side.config else None
        self.own = side.config  # by which that commit measured
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
class Compared:
    """One evaluation set, on all sides. `absent` says why there is no champion, and what that makes of a rule."""

    name: str
    challenger: Metrics
    champion: Metrics | None
    anchor: Metrics | None
    absent: tuple[Verdict, str]
    measured: Measured = field(default_factory=Measured)
    adrift: tuple[Verdict, str] | None = None  # the same for an anchor that was measured on other rows
    before: frozenset[str] = frozenset()  # the metrics that the champion has, also where it is not comparable

    @property
    def by_id(self) -> bool:
        """Whether the champion's predictions were joined with the challenger's, row by row."""
        compared = self.measured.compared
        return compared is not None and compared.rows.champion is not None


def compare_set(
    case: Case, config: Config, name: str, evaluation: EvaluationSet
) -> tuple[Compared | None, list[Check]]:
    """The metrics of both sides, or the checks that say why they cannot be had."""
    challenger = Metrics(case.challenger, config, name, evaluation)
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
    measured = case.measure(config, name)
    champion, absent, checks = _champion(case, config, name, evaluation, measured)
    anchor, adrift, more = _anchor(case, config, name, evaluation, measured)
    before = frozenset(Metrics(case.champion, config, name, evaluation).values) if case.champion else frozenset()
    compared = Compared(name, challenger, champion, anchor, absent, measured, adrift, before)
    return compared, [*measured.checks, *checks, *more]


def _anchor(
    case: Case, config: Config, name: str, evaluation: EvaluationSet, measured: Measured
) -> tuple[Metrics | None, tuple[Verdict, str] | None, list[Check]]:
    """The anchor's metrics; those of other rows are not held against the challenger's."""
    rules = [*config.compare.rules.values(), *evaluation.rules.values()]
    if case.anchor is None or all(rule.max_anchor_regression is None for rule in rules):
        return None, None, []
    anchor = Metrics(case.anchor, config, name, evaluation)
    rows = other_rows(case, case.anchor, config, name)
    reason = (rows or other_labels(case, case.anchor, config, name)).replace("the champion", "the anchor")
    if not reason:
        return anchor, None, []
    check_id, title = f"judge.anchor.{name}", f"same test set as the anchor's ({name})"
    if measured.anchored:
        said = f"{reason} {_again('anchor', rows)}"
        unknown = (Verdict.INCONCLUSIVE, "the anchor was measured on other rows, and these cannot tell")
        return anchor, unknown, [finding(check_id, title, Verdict.PASS, said)]
    policy = config.compare.policy.not_comparable
    verdict = Verdict.INCONCLUSIVE if policy == "rescore" else Verdict(policy)
    return None, (verdict, "the anchor was measured on another test set"), [finding(check_id, title, verdict, reason)]


def _champion(
    case: Case, config: Config, name: str, evaluation: EvaluationSet, measured: Measured
) -> tuple[Metrics | None, tuple[Verdict, str], list[Check]]:
    policy = config.compare.policy
    no_champion = (Verdict(policy.missing_champion), "there is no champion yet")
    check_id, title = f"judge.champion.{name}", f"champion of {name}"
    checks: list[Check] = []
    if case.champion is None:
        reason = f"No champion yet: {case.chosen.how}. This model becomes the first one when it is merged."
        return None, no_champion, [finding(check_id, title, no_champion[0], reason)]
    champion = Metrics(case.champion, config, name, evaluation)
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
                [finding(check_id, title, Verdict.ERROR, reason)],
            )
        reason = f"No champion yet: {commit} has no {', '.join(champion.paths)}. This model becomes the first one."
        return None, no_champion, [finding(check_id, title, no_champion[0], reason)]
    now = Metrics(case.challenger, config, name, evaluation).paths
    lost = _lost_lineage(case, case.champion, now, champion.paths)
    if lost:
        checks.append(finding(f"judge.lineage.{name}", f"what {name} rests on", Verdict.ERROR, lost))
    if not (evaluation.data or evaluation.labels):
        return champion, no_champion, checks
    rows = other_rows(case, case.champion, config, name)
    reason = rows or other_labels(case, case.champion, config, name)
    rescore = policy.not_comparable == "rescore"
    verdict = Verdict.INCONCLUSIVE if rescore else Verdict(policy.not_comparable)
    if reason and measured.rescored:
        said = f"{reason} {_again('champion', rows)}"
        checks.append(finding(f"judge.comparable.{name}", f"same test set ({name})", Verdict.PASS, said))
        return champion, (Verdict.INCONCLUSIVE, "it was measured on other rows, and these cannot tell"), checks
    verdict = verdict if reason else Verdict.PASS
    if case.chosen.folder and not reason and measured.compared is None:
        return champion, no_champion, checks  # no digest says which rows those numbers are of
    checks.append(finding(f"judge.comparable.{name}", f"same test set ({name})", verdict, reason))
    if reason:
        return None, (verdict, "it was measured on another test set"), checks
    return champion, no_champion, checks


def _again(side: str, rows: str) -> str:
    if rows:
        return f"So the {side} was scored again on these rows, in the environment of its own commit."
    return f"So the {side}'s predictions were held against these labels, too."


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


def other_rows(case: Case, side: Side, config: Config, name: str) -> str:
    """Why a side was not measured on the challenger's rows, as a sentence; empty when it was, as far as digests say."""
    evaluation = config.evaluate[name]
    if not evaluation.data:
        return ""
    data = (
        wanted.place(side, config, name, lambda one: one.data),
        wanted.place(case.challenger, config, name, lambda one: one.data),
    )
    metrics = (Metrics(side, config, name, evaluation).paths, Metrics(case.challenger, config, name, evaluation).paths)
    return _other_test_set(case, side, data, metrics)


def other_labels(case: Case, side: Side, config: Config, name: str) -> str:
    """Why a side's numbers speak of other labels than the challenger's, as a sentence; empty where they do not."""
    places = [wanted.place(one, config, name, lambda found: found.labels) for one in (side, case.challenger)]
    old = integrity.named(side.pipeline, places[0], "").digest if places[0] else {}
    new = integrity.named(case.challenger.pipeline, places[1], "").digest if places[1] else {}
    if not old or not new or old == new:
        return ""
    return (
        f"Not the same labels: {places[1]} was {_short(old)} for the champion and is {_short(new)} now, so that its "
        "metrics speak of others."
    )


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


def _short(digest: dict[str, str]) -> str:
    return f"{next(iter(digest.values()))[:9]}…"


def _unreadable(name: str, side: str, error: MlgateError) -> Check:
    return Check(
        id=f"judge.metrics.{side}.{name}",
        group="judge",
        title=f"{side}'s metrics of {name}",
        verdict=Verdict.ERROR,
        reason=f"The {side}'s {error}",
        location=Location(file=error.file) if error.file else None,
    )
