"""What only project code can make: a champion scored again, values of entry points, times and memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from mlgate.commands._gather import Gathered
from mlgate.commands._overlapping import answered, table
from mlgate.commands._preparing import WHO, Work
from mlgate.commands._pull import NoCredentialsError
from mlgate.errors import MlgateError
from mlgate.judge import made
from mlgate.judge.made import Side
from mlgate.model import Example, Verdict
from mlgate.train import costs, entry, environment, rescore, score
from mlgate.train.costs import Costs, Measured
from mlgate.train.entry import Data
from mlgate.train.ready import Judged, Ready
from mlgate.train.rescore import NotDecidableError
from mlgate.train.stages import StageError


@dataclass(eq=False)
class Maker:
    """`python` is the project's interpreter, empty for that on PATH."""

    work: Work
    files: Gathered
    python: str
    scored: dict[tuple[str, Side], Path] = field(default_factory=dict)
    _ready: dict[Side, Ready | Exception] = field(default_factory=dict)

    def all(self) -> None:
        for name, side in self.work.to_rescore:
            self._rescore(name, side)
        for (name, key), point in self.work.points.items():
            for side in ("challenger", *self.work.others()):
                self._entry(name, key, point, side)
        self.measure()

    def stopped(self, why: str) -> None:
        """No project code runs; what it would have made is named."""
        work, lacks = self.work, []
        lacks += [f"{WHO[side]} scored again on {name}" for name, side in work.to_rescore]
        lacks += [f"{key} by {point} on {name}" for (name, key), point in work.points.items()]
        lacks += ["latency and memory"] if work.timed else []
        for what in lacks:
            work.not_run.append(f"{what}: not made, because {why}.")
        reason = f"No project code was run, because {why}: look at the evidence of validate-data."
        work.check("held-back", ", ".join(lacks), Verdict.WARN, reason)

    # -- a side that can run its code --------------------------------------------------------------------------------

    def _side(self, side: Side) -> Ready:
        """Its environment is made once. Raises what making it raised."""
        if side not in self._ready:
            try:
                self._ready[side] = self._made_ready(side)
            except (MlgateError, NotDecidableError) as error:
                self._ready[side] = error
        found = self._ready[side]
        if isinstance(found, Exception):
            raise found
        return found

    def _made_ready(self, side: Side) -> Ready:
        work = self.work
        project, scratch = work.projects[side], self.files.scratch(side)
        if side == "challenger":
            return Ready(side, project, scratch, project.code, self.python)
        beside = scratch.beside / "environment"
        beside.mkdir(exist_ok=True)
        code, how = rescore.environment(project, work.project, scratch.tree, beside, self.python)
        work.facts[f"{WHO[side]} runs"] = how
        return Ready(side, project, scratch, code, self.python if code is project.code else "")

    # -- scored again ------------------------------------------------------------------------------------------------

    def _rescore(self, name: str, side: Side) -> None:
        work, theirs = self.work, self.work.sets[name][side]
        what, commit = f"rescore.{name}.{side}", work.projects[side].commit[:7]
        data = work.sets[name]["challenger"].evaluated.data
        try:
            rescore.possible(side, theirs, work.projects[side])
            now = self.files.have("challenger", data)
            for path in (work.projects[side].artifact, theirs.evaluated.data, theirs.evaluated.predictions):
                if path:
                    self.files.have(side, path)
            ready = self._side(side)
            rows = self._reproduce(ready, theirs)
            there, ran = rescore.on(ready, theirs, now)
            work.stages.append(ran)
            if not score.is_committed(work.project, now, data):
                raise MlgateError(f"{data} was changed while project code ran.")
            ending = "".join(PurePosixPath(theirs.evaluated.predictions).suffixes[-2:])
            target = made.rescored(work.model, name, side, ending)
            work.take(there, target, made.role_rescored(name, side))
        except StageError as error:
            work.stages += error.stages
            self._undecidable(what, name, side, f"its code does not run any more. {error}")
        except NoCredentialsError as error:
            work.lacking(what, f"{side} scored again on {name}", error, f"{WHO[side]} cannot be scored on {data}")
        except (MlgateError, NotDecidableError, OSError) as error:
            self._undecidable(what, name, side, str(error))
        else:
            self.scored[name, side] = work.folder / target
            how = work.facts[f"{WHO[side]} runs"]
            work.check(
                what, f"{side} {commit} scored again on {data}", Verdict.PASS,
                f"Scored {how}; its own {rows:,} predictions come out as they are committed.", rows=rows,
            )  # fmt: skip

    def _reproduce(self, ready: Ready, theirs: Judged) -> int:
        """Its committed predictions once more; how many rows. Raises NotDecidableError when they are others."""
        project, predicted = ready.project, theirs.evaluated.predictions
        committed = self.files.have(ready.side, predicted)
        if not score.is_committed(project, committed, predicted):
            raise MlgateError("is not what the lock names, as it came from DVC.", file=predicted)
        aside = score.set_aside(committed, ready.beside("committed", theirs.name))
        seen, ran = rescore.reproduced(ready, theirs, aside, float(self.work.binding.train.tolerance))
        self.work.stages.append(ran)
        if seen.wrong:
            how = self.work.facts[f"{WHO[ready.side]} runs"]
            raise NotDecidableError(
                f"scored {how} on its own data it gives other predictions than it committed "
                f"({'; '.join(seen.wrong[:3])}). Lock its packages in train.requirements, or set train.tolerance."
            )
        return seen.compared

    def _undecidable(self, what: str, name: str, side: Side, why: str) -> None:
        reason = (
            f"{name} was measured on other data than {WHO[side]}'s, and it could not be scored again: "
            f"{why.rstrip('.')}. Or evaluate it on the new data in a commit of its own first."
        )
        self.work.check(what, f"{side} scored again on {name}", Verdict.INCONCLUSIVE, reason)

    # -- entry points ------------------------------------------------------------------------------------------------

    def _entry(self, name: str, key: str, point: str, side: Side) -> None:
        work, one = self.work, self.work.sets.get(name, {}).get(side)
        mine = work.sets.get(name, {}).get("challenger")
        if one is None or mine is None or not one.evaluated.predictions:
            return
        if (name, side) not in self.scored and work.differs(name, side):
            return  # nothing that it predicted speaks of these rows; the judge says so
        what, title, id_ = f"entry.{name}.{key}.{side}", f"{key} by {point} ({side})", mine.one.columns.id
        try:
            if not id_:
                raise MlgateError(f"evaluate.{name}.columns.id is not set, so values cannot be told to their rows.")
            ready = self._side("challenger")  # one version of the metric, for both models
            data = self._data("challenger", mine.rows, mine)
            file = ready.beside("values") / "values.csv"
            rows = entry.ask(ready, point, data, self._predictions(name, side, one), id_=id_, to=file)
            target = made.values(work.model, name, key, side)
            answered(lambda: entry.keep(work.project.connect(), file, id_, work.new(target)))
            work.keep(target, f"{key} of {name}, row by row ({side})")
        except (MlgateError, OSError) as error:
            ids = error.ids if isinstance(error, entry.WrongError) else ()
            some = tuple(Example(values={id_ or "id": one}) for one in ids)
            said = f"{key} of {name} cannot be had for {WHO[side]}"
            work.lacking(what, title, error, said, examples=some)
            return
        work.check(what, title, Verdict.PASS, rows=rows)
        if side == "challenger":
            self._edited(key, point)

    def _edited(self, key: str, point: str) -> None:
        """Whether the change writes its own metric."""
        work, base = self.work, self.work.bound.base
        now = entry.source(work.project.pipeline.snapshot, work.project.own.folder, point)
        then = entry.source(base, work.binding.folder, point) if base is not None else now
        if now != then and now is not None:
            reason = f"This change edits {now[0]}, which says what {key} is. Look at the edit before you approve."
            work.check(f"entry-edited.{key}", now[0], Verdict.WARN, reason, group="integrity", file=now[0])

    def _data(self, side: Side, path: str, judged: Judged) -> Data:
        found = table(self.work, self.files, side, path, judged)
        there = self.files.have(side, path)
        from mlgate.data import reading  # noqa: PLC0415 -- `table` brought DuckDB

        return Data(reading.resolve(there.parent, there.name), path, found.format, judged.read(path))

    def _predictions(self, name: str, side: Side, one: Judged) -> Data:
        path = one.evaluated.predictions
        if (name, side) not in self.scored:
            return self._data(side, path, one)
        from mlgate.data import reading  # noqa: PLC0415 -- needs DuckDB

        there = self.scored[name, side]
        found = reading.open_table(self.work.project.connect(), [there], there.name, one.read(path))
        return Data([there], path, found.format, one.read(path))

    # -- costs -------------------------------------------------------------------------------------------------------

    def measure(self, *, timed: bool = True) -> None:
        """Size always, times and memory where rules ask for them."""
        work = self.work
        if not work.costs:
            return
        sides: dict[Side, Measured] = {}
        for side in ("challenger", "champion"):
            if side in work.projects and (artifact := work.projects[side].artifact):
                sides[side] = Measured(costs.size(work.projects[side].pipeline, artifact))
        found = Costs(sides)
        if timed and work.timed:
            try:
                found = self._timed(work.timed, sides)
            except (MlgateError, OSError) as error:
                work.lacking("costs", "latency and memory", error, "latency and memory cannot be measured")
        target = made.costs(work.model)
        work.new(target).write_text(found.to_json(), "utf-8")
        work.keep(target, "costs")

    def _timed(self, name: str, sizes: Mapping[Side, Measured]) -> Costs:
        work, sets = self.work, self.work.sets[name]
        mine = sets["challenger"]
        latency, calls = mine.one.latency, int(mine.one.latency.calls)
        stand, errors = self._stand(sets)
        data = self._data("challenger", mine.evaluated.data, mine)
        opened = table(work, self.files, "challenger", mine.evaluated.data, mine)
        rows, how = int(latency.rows), "function" if latency.predict else "process"
        count = rows * calls if latency.predict else rows
        to = stand["challenger"].beside("sample") / PurePosixPath(data.files[0]).name
        few = answered(lambda: costs.sample(work.project.connect(), opened, data, count, to))
        if latency.predict:
            names = {side: _predict(sets.get(side), latency.predict) for side in stand}
            seen = costs.by_function(list(stand.values()), names, latency, few)
        else:
            seen = costs.by_process(list(stand.values()), sets, calls, few)
        for side, why in errors.items():
            seen[side] = Measured(error=why)
        self._say(name, seen)
        return Costs(
            {side: replace(seen.get(side, Measured()), bytes=one.bytes) for side, one in sizes.items()},
            evaluation=name, how=how, rows=rows, warmup=costs.warmup(calls) if latency.predict else 1,
            machine=environment.machine(work.project.code),
        )  # fmt: skip

    def _stand(self, sets: Mapping[Side, Judged]) -> tuple[dict[Side, Ready], dict[Side, str]]:
        """The sides that can be measured, and why others cannot. Raises MlgateError for the challenger."""
        found: dict[Side, Ready] = {}
        errors: dict[Side, str] = {}
        for side in ("challenger", "champion"):
            if side not in self.work.projects:
                continue
            try:
                if side not in sets:
                    raise NotDecidableError("it has no such evaluation set.")
                project, one = self.work.projects[side], sets[side]
                if not project.artifact:
                    raise MlgateError(f"{project.own.file} names no `artifact`, so there is no model to measure.")
                if not one.one.latency.predict and not one.evaluated.score:
                    raise MlgateError(
                        f"neither evaluate.{one.name}.latency.predict nor evaluate.{one.name}.score is set."
                    )
                self.files.have(side, project.artifact)
                found[side] = self._side(side)
            except (MlgateError, NotDecidableError) as error:
                if side == "challenger":
                    raise
                errors[side] = str(error)
        return found, errors

    def _say(self, name: str, seen: Mapping[Side, Measured]) -> None:
        for side, one in seen.items():
            verdict = Verdict.ERROR if side == "challenger" else Verdict.WARN
            title = f"latency and memory of the {side}"
            if one.error:
                reason = f"The {side} could not be measured on {name}: {one.error}"
                self.work.check(f"costs.{side}", title, verdict, reason)
            else:
                self.work.check(f"costs.{side}", title, Verdict.PASS, rows=len(one.times))


def _predict(judged: Judged | None, asked: str) -> str:
    """The side's own name for the function, where its version has one."""
    own = judged.config.evaluate.get(judged.name) if judged else None
    return own.latency.predict if own is not None and own.latency.predict else asked
