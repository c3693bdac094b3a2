"""Files of several commits, had before the credentials leave: from here, from DVC's cache, or from its remote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlgate.commands._preparing import Work
from mlgate.errors import MlgateError
from mlgate.judge import case, wanted
from mlgate.judge.made import Side
from mlgate.judge.wanted import Wanted
from mlgate.model import Verdict
from mlgate.repo import inputs
from mlgate.train.project import Project
from mlgate.train.scratch import Scratch, worktree


@dataclass(eq=False)
class Gathered:
    """One worktree per side, made when it is first asked for. Used inside of `with`, at whose end they are removed."""

    projects: Mapping[Side, Project]
    stack: ExitStack = field(default_factory=ExitStack)
    _trees: dict[Side, Scratch] = field(default_factory=dict)
    _lost: dict[tuple[Side, str], MlgateError] = field(default_factory=dict)
    _asked: set[tuple[Side, str]] = field(default_factory=set)
    _closed: bool = False

    def __enter__(self) -> Gathered:
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def scratch(self, side: Side) -> Scratch:
        """The worktree of a side. Raises MlgateError."""
        if side not in self._trees:
            project = self.projects[side]
            tree = worktree(project.git, project.commit, project.homes, project.environ, prefix=f"mlgate-{side}-")
            self._trees[side] = self.stack.enter_context(tree)
            if self._closed:
                self._trees[side].forget_credentials()
        return self._trees[side]

    def ask(self, side: Side, paths: Iterable[str]) -> None:
        """Fetch what is wanted of a side, together; what cannot be had is told when it is needed."""
        wanted = [path for path in dict.fromkeys(paths) if path and (side, path) not in self._asked]
        self._asked |= {(side, path) for path in wanted}
        if not wanted:
            return
        try:
            self._fetch(side, wanted)
        except MlgateError:
            for path in wanted:  # which of them
                try:
                    self._fetch(side, [path])
                except MlgateError as error:
                    self._lost[side, path] = error

    def _fetch(self, side: Side, paths: Sequence[str]) -> None:
        project = self.projects[side]
        project.pull(self.scratch(side).tree, project.commit, paths)

    def close(self) -> None:
        """The credentials leave: project code comes next."""
        self._closed = True
        for scratch in self._trees.values():
            scratch.forget_credentials()

    def have(self, side: Side, path: str) -> Path:
        """Where a file or folder of a side is. Raises MlgateError, NoCredentialsError."""
        assert (side, path) in self._asked, f"{path} was not asked for"  # noqa: S101 -- an error of this program
        if (side, path) in self._lost:
            raise self._lost[side, path]
        there = self.scratch(side).tree / path
        if not there.exists():
            commit = self.projects[side].commit[:7]
            raise MlgateError(f"is in {commit} neither a file nor tracked by DVC.", file=path)
        return there


def gather(work: Work, files: Gathered) -> None:
    """Everything that a later step needs, because after this nobody can fetch; and the committed files handed over."""
    later: dict[Side, list[str]] = {side: [] for side in work.projects}
    for name, sides in work.sets.items():
        mine = sides["challenger"]
        if work.apart(name) and mine.evaluated.data:
            later["challenger"].append(mine.evaluated.data)
            asked: list[Side] = ["challenger", *work.others()]
            for side in (side for side in asked if side in sides):
                own = work.projects[side].own
                later[side] += [own.path(own.train.data)] if own.train.data else []
    for name, side in work.to_rescore:
        theirs = work.sets[name][side].evaluated
        later[side] += [work.projects[side].artifact, theirs.data, theirs.predictions]
        later["challenger"].append(work.sets[name]["challenger"].evaluated.data)
    for name in {name for name, _ in work.points if name in work.sets}:
        later["challenger"].append(work.sets[name]["challenger"].rows)
        for side, one in work.sets[name].items():
            later[side].append(one.evaluated.predictions)
    if work.timed:
        later["challenger"].append(work.sets[work.timed]["challenger"].evaluated.data)
        for side, project in work.projects.items():
            later[side] += [project.artifact] if side != "anchor" else []
    hand = list(_wanted(work))
    for file in hand:
        with suppress(MlgateError):  # what can be handed over by no means is told below
            if _here(work, file) is None:
                later[_side(file)].append(file.named.name)
    for side, paths in later.items():
        files.ask(side, paths)
    _hand_over(work, hand, files)


def _wanted(work: Work) -> Iterator[Wanted]:
    """Every committed file that either version of the rules is judged by; each digest once."""
    seen: set[tuple[tuple[str, str], ...]] = set()
    sides: dict[wanted.Role, case.Side | None] = {"challenger": work.sides["challenger"]}
    for side in work.others():
        sides[side] = work.sides[side]
    for config in work.versions:
        for name in config.evaluate:
            for one in wanted.files(config, name, sides) if wanted.by_rows(config, name) else ():
                role = f"labels of {name}" if one.role == "labels" else f"predictions of {name} ({one.role})"
                key = tuple(sorted(one.named.digest.items())) or (("", f"{one.role} {one.named.name}"),)
                if key not in seen and _side(one) in work.projects:
                    seen.add(key)
                    yield replace(one, named=one.named.model_copy(update={"role": role}))


def _side(one: Wanted) -> Side:
    return "challenger" if one.role == "labels" else one.role


def _here(work: Work, one: Wanted) -> Path | None:
    """In the working tree, in git or in DVC's cache; None where it has to be fetched. Raises MlgateError."""
    path, root = one.named.name, work.run.git.root
    snapshot = work.sides[_side(one)].pipeline.snapshot
    caches, legacy = inputs.caches(root, path), _legacy(work, one)
    return inputs.find(path, one.named, root=root, snapshot=snapshot, caches=caches, legacy=legacy)


def _legacy(work: Work, one: Wanted) -> bool:
    out = work.sides[_side(one)].pipeline.outs.get(one.named.name)
    return out is not None and out.legacy


def _hand_over(work: Work, wanted_files: Sequence[Wanted], files: Gathered) -> None:
    given = 0
    for one in wanted_files:
        path, role = one.named.name, one.named.role
        what = f"inputs.{one.role}.{path}"
        if not one.named.digest:
            reason = f"{path} ({role}) is in neither dvc.lock, a .dvc file nor git at {one.commit[:7]}."
            work.check(what, role, Verdict.ERROR, reason, group="integrity", file=path)
            continue
        try:
            snapshot = work.sides[_side(one)].pipeline.snapshot
            there = _here(work, one) or files.have(_side(one), path)
            inputs.give(work.folder, there, one.named, snapshot=snapshot, legacy=_legacy(work, one))
        except (MlgateError, OSError) as error:
            work.lacking(what, role, error, f"{path} ({role}) cannot be handed over")
            continue
        given += 1
        work.inputs.append(one.named)
    if given:
        reason = f"{given} committed {'file is' if given == 1 else 'files are'} handed over by digest."
        work.check("inputs", "inputs", Verdict.PASS, reason, group="integrity")
