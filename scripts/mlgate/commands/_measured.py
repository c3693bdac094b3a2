"""The rows behind the committed metrics: files found by their digests, read and joined for the judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate import extras
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.config.limits import Rule
from mlgate.config.settings import Predictions
from mlgate.errors import MlgateError
from mlgate.judge import case as cases
from mlgate.judge import costs, evaluation, made, wanted
from mlgate.judge.case import Case, Measured
from mlgate.judge.costs import Sides
from mlgate.judge.statistics import Compared
from mlgate.judge.wanted import Role, Wanted
from mlgate.model import Check, Evidence, Example, Location, Verdict
from mlgate.repo import inputs

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.aligned import Asked, File, Finding, Made, Side

_MOST_COSTS = 64_000_000  # octets
_VERDICTS = {"error": Verdict.ERROR, "inconclusive": Verdict.INCONCLUSIVE, "note": Verdict.PASS}


@dataclass(eq=False)
class Rows:
    """Measures one case, each evaluation set of each version once.

    `folder` is where the run job left files. `strict`: they are looked for there and in git alone, as on a new runner.
    """

    run: Run
    case: Case
    folder: Path
    prepared: Evidence | None
    strict: bool
    _known: dict[tuple[str, str], Measured] = field(default_factory=dict)
    _con: DuckDBPyConnection | None = None

    def __call__(self, config: Config, name: str) -> Measured:
        key = (config.digest(), name)
        if key not in self._known:
            self._known[key] = self._measure(config, name) if wanted.by_rows(config, name) else Measured()
        return self._known[key]

    def _measure(self, config: Config, name: str) -> Measured:
        sides: dict[Role, cases.Side | None] = {
            "challenger": self.case.challenger, "champion": self.case.champion, "anchor": self.case.anchor,
        }  # fmt: skip
        files = {one.role: one for one in wanted.files(config, name, sides)}
        unknown = [
            files[role].named.name for role in ("labels", "challenger") if role in files and not _known(files[role])
        ]
        if unknown or "challenger" not in files or "labels" not in files:
            return Measured()  # the integrity checks say that nothing committed tells what it is
        checks: list[Check] = []
        paths: dict[Role, Path] = {}
        again: set[Role] = set()  # sides that were scored again, or whose own numbers speak of other labels
        for role, one in files.items():
            scored = made.rescored_of(self.prepared, name, role) if role in ("champion", "anchor") else None
            try:
                if role in ("champion", "anchor") and self._differs(config, name, sides[role]):
                    if scored is None:
                        continue  # of other rows: what that means is the evaluation's to say
                    path = made.find(self.prepared, self.folder, scored.name)
                    again.add(role)
                elif not _known(one):
                    continue
                else:
                    path = self._find(one)
                    if path is not None and self._relabelled(config, name, role, sides):
                        again.add(role)
            except MlgateError as error:
                checks.append(_check(name, role, Verdict.ERROR, str(error), file=error.file))
                continue
            if path is not None:
                paths[role] = path
            else:
                checks.append(self._lost(config, name, one))
        champion = sides["champion"]
        if (
            champion is not None
            and "champion" not in paths
            and not checks
            and not self._differs(config, name, champion)
        ):
            reason = f"The champion has no predictions for {name}, so {_instead('champion', name)}"
            checks.append(_check(name, "champion", Verdict.WARN, reason))
        if any(c.verdict is Verdict.ERROR for c in checks) or not {"labels", "challenger"} <= paths.keys():
            return Measured(checks=tuple(checks), rescored="champion" in again, anchored="anchor" in again)
        return self._read(config, name, _Files(files, paths), checks, again)

    def _lost(self, config: Config, name: str, one: Wanted) -> Check:
        """A committed file that is not here. After a run job it has to be that job's word that it could not be had."""
        where, role = one.named.name, one.role
        policy = Verdict(config.compare.policy.no_credentials)
        told = self.prepared.checks if self.prepared is not None else []
        lacking = next((c for c in told if c.id == f"prepare.inputs.{role}.{where}"), None)
        if self.strict and (lacking is None or lacking.verdict.rank < policy.rank):
            reason = f"The run job neither handed {where} ({role}) over nor said why it could not."
            return _check(name, role, Verdict.ERROR, reason, file=where)
        reason = f"{where} ({role}) could not be had, so {_instead(role, name)}"
        return _check(name, role, policy, reason, file=where)

    def _differs(self, config: Config, name: str, side: cases.Side | None) -> bool:
        return side is not None and bool(evaluation.other_rows(self.case, side, config, name))

    def _relabelled(self, config: Config, name: str, role: Role, sides: Mapping[Role, cases.Side | None]) -> bool:
        side = sides.get(role)
        return (
            role != "challenger" and side is not None and bool(evaluation.other_labels(self.case, side, config, name))
        )

    def _find(self, one: Wanted) -> Path | None:
        root, path = self.run.git.root, one.named.name
        return inputs.find(
            path,
            one.named,
            root=root,
            snapshot=self.run.git.at(one.commit),
            caches=() if self.strict else inputs.caches(root, path),
            folder=self.folder,
            strict=self.strict,
            legacy=one.legacy,
        )

    def _again(self, config: Config, name: str) -> bool:
        return self._differs(config, name, self.case.champion)

    def _connect(self) -> DuckDBPyConnection:
        if self._con is None:
            extras.use("data")
            from mlgate.data import reading  # noqa: PLC0415 -- DuckDB

            self._con = reading.connect()
        return self._con

    def _read(self, config: Config, name: str, files: _Files, checks: list[Check], again: set[Role]) -> Measured:
        con = self._connect()
        from mlgate.data import aligned  # noqa: PLC0415 -- DuckDB and numpy

        asked = self._asked(config, name, files)
        # What project code says was training data leaves only where the champion was scored again, on test data that
        # are new and so have to be approved. Else any change could have the rows left out that speak against it.
        if asked.exclude is not None and not (files.paths.keys() & {"champion"} and self._again(config, name)):
            checks.append(_stay(name))
            asked = replace(asked, exclude=None)
        found = aligned.read(con, asked)
        hidden = (config.evaluate[name].columns.id or "").casefold() in self.case.private
        checks += [_found(name, config, one, number, hidden=hidden) for number, one in enumerate(found.findings, 1)]
        if found.rows is None:
            return Measured(checks=tuple(checks), rescored="champion" in again, anchored="anchor" in again)
        mine = files.wanted["challenger"].named.digest
        same = {
            side for side in ("champion", "anchor") if side in files.paths and files.wanted[side].named.digest == mine
        }
        compared = Compared(
            rows=found.rows,
            confidence=float(config.compare.confidence),
            same=frozenset(side for side in same if not self._differs(config, name, getattr(self.case, side))),
            alone=found.whole if found.excluded else None,
        )
        return Measured(
            compared, tuple(checks), excluded=found.excluded, rescored="champion" in again, anchored="anchor" in again
        )

    def _asked(self, config: Config, name: str, files: _Files) -> Asked:
        from mlgate.data.aligned import SIDES, Asked  # noqa: PLC0415 -- beside the above

        one, rules = config.evaluate[name], _rules(config, name)
        columns, predictions = one.columns, one.predictions
        assert predictions is not None  # noqa: S101 -- by_rows looked
        assert columns.id is not None  # noqa: S101
        assert columns.label is not None  # noqa: S101
        needs = {known.needs for key, rule in rules.items() if (known := rule.estimator(key)) is not None}
        groups = [by for section in (config.compare.slices, config.compare.fairness) if section for by in section.by]
        edges = {
            column: tuple(map(float, ends))
            for section in (config.compare.slices, config.compare.fairness) if section
            for column, ends in section.edges.items()
        }  # fmt: skip
        score = predictions.score
        return Asked(
            labels=files.of("labels", config, labels=True),
            predictions={side: files.of(side, config) for side in SIDES if side in files.paths},
            id=columns.id,
            label=columns.label,
            task=one.task,
            positive=columns.positive,
            score=score if isinstance(score, str) or score is None else dict(score),
            decided=predictions.class_,
            called={side: found for side in SIDES if (found := self._called(config, name, side)) is not None},
            cut_off=None if predictions.cut_off is None else float(predictions.cut_off),
            weight=columns.weight,
            cluster=columns.cluster,
            query=columns.query,
            groups=tuple(dict.fromkeys((by,) if isinstance(by, str) else tuple(by) for by in groups)),
            edges=edges,
            values=tuple(dict.fromkeys(rule.column for rule in rules.values() if rule.column)),
            made=self._made(config, name, rules, files),
            exclude=self._exclude(config, name) if {"champion", "anchor"} & files.paths.keys() else None,
            probabilities="probability" in needs,
        )

    def _called(self, config: Config, name: str, side: Side) -> tuple[str | dict[str, str] | None, str | None] | None:
        """What a side's own version calls its columns, where that says the same of the same classes."""
        of: cases.Side | None = getattr(self.case, side)
        own = of.config.evaluate.get(name) if of is not None and of.config is not None else None
        mine, asked = own.predictions if own is not None else None, config.evaluate[name].predictions
        if mine is None or asked is None or _shape(mine) != _shape(asked):
            return None
        return mine.score if isinstance(mine.score, str) or mine.score is None else dict(mine.score), mine.class_

    def _made(
        self, config: Config, name: str, rules: Mapping[str, Rule], files: _Files
    ) -> dict[Side, tuple[Made, ...]]:
        """The values that entry points gave in the run job."""
        from mlgate.data.aligned import SIDES, File, Made  # noqa: PLC0415

        found: dict[Side, tuple[Made, ...]] = {}
        for side in SIDES:
            if side not in files.paths:
                continue
            told = []
            for key, rule in rules.items():
                if rule.entry_point is None:
                    continue
                file = made.values(config.model, name, key, side)
                path = made.find(self.prepared, self.folder, file)
                if path is not None:
                    told.append(Made(File(path, file), {rule.entry_point: "value"}))
            found[side] = tuple(told)
        return found

    def costs(self, config: Config) -> Sides | None:
        """What the run job measured, if anything. Raises MlgateError for another file than it told."""
        name = made.costs(config.model)
        path = made.find(self.prepared, self.folder, name)
        if path is None:
            return None
        if path.stat().st_size > _MOST_COSTS:
            raise MlgateError("is much larger than what `mlgate compare --prepare` writes.", file=name)
        return costs.read(path.read_bytes(), name)

    def _exclude(self, config: Config, name: str) -> File | None:
        from mlgate.data.aligned import File  # noqa: PLC0415

        file = made.exclude(config.model, name)
        path = made.find(self.prepared, self.folder, file)
        return None if path is None else File(path, file)


@dataclass(frozen=True)
class _Files:
    wanted: Mapping[Role, Wanted]
    paths: Mapping[Role, Path]

    def of(self, role: Role, config: Config, *, labels: bool = False) -> File:
        from mlgate.data.aligned import File  # noqa: PLC0415

        shown = self.wanted[role].named.name
        read = next((entry.read for entry in config.data if labels and config.path(entry.path) == shown), None)
        return File(self.paths[role], shown) if read is None else File(self.paths[role], shown, read)


def _shape(one: Predictions) -> tuple[object, bool]:
    """What predictions say, whatever their columns are called: a score, or one for each class; and a decided class."""
    score = isinstance(one.score, str) if one.score is None or isinstance(one.score, str) else frozenset(one.score)
    return score, one.class_ is None


def _known(one: Wanted) -> bool:
    return bool(one.named.digest)


def _rules(config: Config, name: str) -> dict[str, Rule]:
    found = {**config.compare.rules, **config.evaluate[name].rules}
    slices = config.compare.slices
    return {**(slices.rules if slices else {}), **found}


def _instead(role: str, name: str) -> str:
    if role in ("champion", "anchor"):
        return f"{name} is held against the {role} by committed metrics alone: without intervals."
    return f"{name} is judged by committed metrics alone: without intervals, and nothing was recomputed."


def _stay(name: str) -> Check:
    reason = (
        f"The run job says that the champion or anchor was trained on rows of {name}. They stay, since it was measured "
        "on them when it was committed: it looks better than it is. Evaluate on rows that no model was trained on."
    )
    return _check(name, "exclude", Verdict.WARN, reason)


def _check(name: str, what: str, verdict: Verdict, reason: str, *, file: str | None = None) -> Check:
    return Check(
        id=f"judge.rows.{name}.{what}", group="judge", title=f"rows of {name}", verdict=verdict, reason=reason,
        location=Location(file=file) if file else None,
    )  # fmt: skip


def _found(name: str, config: Config, found: Finding, number: int, *, hidden: bool) -> Check:
    """Ids are examples, and stand where examples do: no sentence has them."""
    column = config.evaluate[name].columns.id or "id"
    reason = f"{found.sentence}{f' {found.fix}' if found.fix else ''}"
    return Check(
        id=f"judge.rows.{name}.{found.side or 'labels'}.{number}",
        group="judge",
        title=f"rows of {name}",
        verdict=_VERDICTS[found.level],
        reason=reason,
        unexpected=found.count or None,
        examples=() if hidden else tuple(Example(values={column: one}) for one in found.examples),
        location=Location(file=found.file, key=found.column),
    )
