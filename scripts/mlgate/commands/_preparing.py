"""One model that is prepared for the judge: what it is about, and what is said of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from mlgate.commands._binding import Bound
from mlgate.commands._pull import NoCredentialsError
from mlgate.commands._run import Run
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.judge import case, integrity, made, wanted
from mlgate.judge.made import Side
from mlgate.model import Champion, Check, Evidence, Example, Location, Named, StageRun, Verdict, worst
from mlgate.repo import content
from mlgate.repo.champion import Chosen
from mlgate.train import costs, entry, overlap, rescore
from mlgate.train.project import Project
from mlgate.train.ready import Judged, judged

VERB = "prepare"
WHO: dict[Side, str] = {"challenger": "the challenger", "champion": "the champion", "anchor": "the anchor"}


@dataclass(eq=False)
class Work:
    """One model. `project` is the challenger's; `folder` is where everything is handed over."""

    run: Run
    bound: Bound
    chosen: Chosen
    sides: Mapping[Side, case.Side]
    project: Project
    folder: Path
    checks: list[Check] = field(default_factory=list)
    inputs: list[Named] = field(default_factory=list)
    stages: list[StageRun] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    facts: dict[str, str | float] = field(default_factory=dict)
    start: float = field(default_factory=time.monotonic)

    # -- what it is about --------------------------------------------------------------------------------------------

    @property
    def binding(self) -> Config:
        return self.bound.binding

    @property
    def model(self) -> str:
        return self.project.own.model

    @cached_property
    def versions(self) -> list[Config]:
        """The versions of mlgate.yaml that judge: the one that binds, and the change's own where it differs."""
        return [self.binding, *([self.bound.proposed] if self.bound.proposed else [])]

    @cached_property
    def projects(self) -> dict[Side, Project]:
        """Of each side that has a configuration of this model."""
        found: dict[Side, Project] = {"challenger": self.project}
        for side, one in self.sides.items():
            if side != "challenger" and one.config is not None:
                found[side] = replace(
                    self.project, commit=one.pipeline.snapshot.commit, own=one.config, binding=one.config,
                    pipeline=one.pipeline, base=None,
                )  # fmt: skip
        return found

    @cached_property
    def sets(self) -> dict[str, dict[Side, Judged]]:
        """Each evaluation set, of the binding version or else of the change's, on every side that has it."""
        found: dict[str, dict[Side, Judged]] = {}
        for config in self.versions:
            for name in config.evaluate:
                if name not in found:
                    of = {side: judged(one, config, name) for side, one in self.sides.items()}
                    found[name] = {side: one for side, one in of.items() if one is not None}
        return {name: sides for name, sides in found.items() if "challenger" in sides}

    def differs(self, name: str, side: Side) -> bool:
        """Whether a side was measured on other evaluation data than the challenger."""
        mine, theirs = self.sets[name]["challenger"], self.sets[name].get(side)
        if theirs is None or not mine.evaluated.data or not theirs.evaluated.data:
            return False
        return rescore.other_data(
            (self.projects[side].pipeline, theirs.evaluated.data), (self.project.pipeline, mine.evaluated.data)
        )

    def others(self) -> Iterator[Side]:
        """The sides that the challenger is held against; the anchor only where a rule speaks of it."""
        rules = [rule for config in self.versions for rule in config.compare.rules.values()]
        rules += [rule for config in self.versions for one in config.evaluate.values() for rule in one.rules.values()]
        for side in self.projects:
            if side == "champion" or (side == "anchor" and any(r.max_anchor_regression is not None for r in rules)):
                yield side

    @cached_property
    def to_rescore(self) -> list[tuple[str, Side]]:
        if self.binding.compare.policy.not_comparable != "rescore":
            return []
        rows = [name for name in self.sets if self.by_rows(name)]
        return [(name, side) for name in rows for side in self.others() if self.differs(name, side)]

    @cached_property
    def points(self) -> dict[tuple[str, str], str]:
        """Set and key of each entry point."""
        found: dict[tuple[str, str], str] = {}
        for config in self.versions:
            for name, key, point in entry.points(config):
                before = found.setdefault((name, key), point)
                if before != point:
                    self.not_run.append(
                        f"{key} by {point}, as this change has it: until it is merged, {before} is asked."
                    )
        return found

    @cached_property
    def costs(self) -> set[str]:
        """The names of the costs that rules are about."""
        return {key for config in self.versions for key in config.compare.costs}

    @cached_property
    def timed(self) -> str:
        """The evaluation set whose rows models are timed with: one that says how, else the first; empty without."""
        if not costs.timed(self.costs):
            return ""
        able = [name for name, sides in self.sets.items() if sides["challenger"].evaluated.data]
        told = [name for name in able if "latency" in self.sets[name]["challenger"].one.model_fields_set]
        return next(iter([*told, *able]), "")

    def by_rows(self, name: str) -> bool:
        """Whether any version has enough of an evaluation set to judge it by its rows."""
        return any(name in config.evaluate and wanted.by_rows(config, name) for config in self.versions)

    def apart(self, name: str) -> tuple[str, ...]:
        """The columns that tell the rows of an evaluation set apart in all data."""
        mine = self.sets[name]["challenger"]
        return overlap.told_apart(mine.config, mine.one)

    @property
    def runs_code(self) -> bool:
        """Whether anything is to be made by project code."""
        return bool(self.to_rescore or self.points or self.timed)

    def unchanged(self) -> bool:
        """Whether both commits say the same of the model and of all that was measured of it."""
        then = self.sides.get("champion")
        if then is None or then.config is None:
            return False
        own = self.project.own
        paths = {*integrity.sources(own), *(own.path(s.data) for s in own.evaluate.values() if s.data)}
        known = [integrity.named(self.project.pipeline, path, "").digest for path in sorted(paths)]
        before = [integrity.named(then.pipeline, path, "").digest for path in sorted(paths)]
        return all(known) and known == before and own.digest() == then.config.digest()

    # -- what is said of it ------------------------------------------------------------------------------------------

    def check(
        self,
        what: str,
        title: str,
        verdict: Verdict,
        reason: str = "",
        *,
        group: str = "proofs",
        file: str = "",
        rows: int | None = None,
        examples: tuple[Example, ...] = (),
    ) -> None:
        where = Location(file=file) if file else None
        self.checks.append(
            Check(
                id=f"{VERB}.{what}", group=group, title=title, verdict=verdict, reason=reason, location=where,
                rows=rows, examples=examples,
            )
        )  # fmt: skip

    def lacking(
        self, what: str, title: str, error: Exception, said: str, *, examples: tuple[Example, ...] = ()
    ) -> None:
        """Something could not be had. Missing credentials are the policy's; the rest is an error."""
        lacks = isinstance(error, NoCredentialsError)
        verdict = Verdict(self.binding.compare.policy.no_credentials) if lacks else Verdict.ERROR
        reason = f"{said}: {error.strerror or error}" if isinstance(error, OSError) else f"{said}: {error}"
        file = error.file if isinstance(error, MlgateError) else ""
        self.check(what, title, verdict, reason, group="integrity", file=file, examples=examples)
        self.not_run.append(reason.partition("\n")[0])

    def new(self, name: str) -> Path:
        """Where a made file goes. It lies there whole or not at all: see `keep`."""
        to = self.folder / name
        to.parent.mkdir(parents=True, exist_ok=True)
        return to.with_name(f".{to.name}.new")

    def keep(self, name: str, role: str) -> None:
        """What was written to `new` takes its place, and is listed with its digest."""
        to = self.folder / name
        self.new(name).replace(to)
        self.inputs.append(Named(name=name, digest=content.digest(to, {"sha256": ""}), role=role))

    def take(self, made_file: Path, name: str, role: str) -> None:
        """A file that project code left."""
        if made_file.is_symlink() or not made_file.is_file():
            raise MlgateError("is no file.", file=made_file.name)
        shutil.copyfile(made_file, self.new(name))
        self.keep(name, role)

    def evidence(self) -> Evidence:
        if not self.checks:
            self.check("inputs", "inputs", Verdict.PASS, "The judge needs nothing but the commits.", group="integrity")
        self.facts["seconds"] = round(time.monotonic() - self.start, 3)
        verdict = worst(check.verdict for check in self.checks)
        return Evidence(
            kind=VERB,
            model=self.model,
            title=self._title(verdict),
            verdict=verdict,
            mode=self.binding.mode,
            fail_on=self.binding.fail_on,
            subject=self._subject("challenger"),
            champion=self._champion(),
            inputs=self.inputs,
            checks=self.checks,
            not_run=list(dict.fromkeys(self.not_run)),
            stages=self.stages,
            facts=self.facts,
        )

    def _title(self, verdict: Verdict) -> str:
        if verdict is not Verdict.PASS:
            return next(c.reason for c in self.checks if c.verdict is verdict).partition("\n")[0]
        files = sum(not one.name.startswith(f"{made.FOLDER}/") for one in self.inputs)
        others = len(self.inputs) - files
        if not self.inputs:
            return self.checks[0].reason
        return f"{files} committed files are handed over" + (f", and {others} that were made." if others else ".")

    def _subject(self, side: Side) -> Named | None:
        project = self.projects[side]
        return integrity.named(project.pipeline, project.artifact, "model") if project.artifact else None

    def _champion(self) -> Champion | None:
        if "champion" not in self.sides:
            return None
        commit = self.chosen.commit
        subject = self._subject("champion") if "champion" in self.projects else None
        at = self.run.git.committed_at(commit)
        return Champion(commit=commit, ref=self.chosen.ref, how=self.chosen.how, committed_at=at, subject=subject)
