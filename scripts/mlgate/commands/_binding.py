"""Whose settings bind: the base's, so that a change cannot bend what it is judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mlgate.commands._remembered import Remembered
from mlgate.commands._run import Run, Unloadable
from mlgate.config import Config
from mlgate.errors import MlgateError
from mlgate.model import Check, Location, Verdict
from mlgate.repo.champion import AUTO, ELSEWHERE, Lookup, Sides, find, remembers
from mlgate.repo.git import Snapshot


@dataclass(frozen=True)
class Bound:
    """The version of a configuration that binds, and the change's own where the two differ.

    `base` is the commit it was read from, None where the change's own version is the only one there is.
    """

    binding: Config
    proposed: Config | None = None
    base: Snapshot | None = None
    notes: tuple[Check, ...] = ()


class Binding:
    """The configurations of a run, as the change has them and as its base has them; each is read once."""

    def __init__(self, run: Run, named: str = "") -> None:
        self.run = run
        self.named = named
        self.files = frozenset(run.config_files())
        self.remembered = Remembered(run)
        self._sides: dict[tuple[str, str], Sides] = {}
        self._configs: dict[tuple[str, str], Config | Unloadable | None] = {}

    def own(self) -> Iterator[tuple[str, Config | Unloadable]]:
        """The change's versions, by file. Raises MlgateError where two models share a name."""
        loaded = {file: self.run.load(file) for file in sorted(self.files)}
        unique([own.model for own in loaded.values()])
        yield from loaded.items()

    def sides(self, spec: str, binding: Config | None = None) -> Sides:
        """The champion by this spec, and whose rules bind. Raises MlgateError when it cannot be reached.

        `binding` is needed for a champion that is named in a ledger or a registry: it says which one, and which model.
        """
        elsewhere = spec.startswith(ELSEWHERE) or remembers(self.run.forge.event, spec)
        key = (spec, binding.model if binding is not None and elsewhere else "")
        if key not in self._sides:
            lookup = _lookup(self, binding) if binding is not None and elsewhere else None
            self._sides[key] = find(self.run.git, self.run.forge.event, spec, lookup)
        return self._sides[key]

    def commit(self, spec: str = AUTO) -> str:
        """Whose rules bind. In CI the event says so alone: a change may not choose whom it is compared with."""
        named = self.named or (AUTO if self.run.in_ci else spec)
        return self.sides(AUTO if named.startswith(ELSEWHERE) else named).rules

    def rules(self, file: str, own: Config) -> Bound:
        """What binds for one model, and what to say about it. Raises MlgateError when the base cannot be reached."""
        commit = self.commit(own.compare.champion)
        if not commit:
            return Bound(own)
        snapshot = self.run.git.at(commit)
        base = self.config(snapshot, self.earlier(snapshot, file, own))
        if base is None:
            return Bound(
                own, notes=(_note("judge.new", file, f"{file} is new: its rules bind from when it is merged."),)
            )
        if isinstance(base, Unloadable):
            said = f"The base's {base.error} Until it is mended there, this change is judged by its own rules."
            return Bound(own, notes=(_note("judge.base-config", file, said),))
        return Bound(base, own if own.digest() != base.digest() else None, snapshot)

    def earlier(self, snapshot: Snapshot, file: str, own: Config) -> str:
        """Where a commit has this model's file: in its place, or where the file of that model name was moved from."""
        if file in snapshot.files:
            return file
        gone = self.gone(snapshot)
        return next((there for there, config in gone.items() if config and config.model == own.model), file)

    def gone(self, snapshot: Snapshot) -> dict[str, Config | Unloadable | None]:
        """Configurations of a commit that are not in their place any more."""
        there = [file for file in self.run.config_files_at(snapshot) if file not in self.files]
        return {file: self.config(snapshot, file) for file in there}

    def removed(self) -> list[Bound]:
        """What the base has and the change took away or renamed; nothing where no base can be had."""
        try:
            commit = self.commit(next(iter(self._sides), (AUTO, ""))[0])
        except MlgateError:
            return []  # each model that is left says why; with none left, that there is none is an error itself
        if not commit:
            return []
        base = self.run.git.at(commit)
        return [Bound(config, base=base) for config in self.gone(base).values() if isinstance(config, Config)]

    def config(self, snapshot: Snapshot, file: str) -> Config | Unloadable | None:
        key = (snapshot.commit, file)
        if key not in self._configs:
            self._configs[key] = self.run.load_at(snapshot, file)
        return self._configs[key]


def _lookup(bound: Binding, binding: Config) -> Lookup:
    from mlgate.commands import _elsewhere  # noqa: PLC0415 -- a ledger or a registry is rarely asked

    return _elsewhere.lookup(bound, binding)


def unique(names: list[str]) -> None:
    """Evidence is filed by model: two of one name would overwrite each other, in any case where disks ignore it."""
    for folded, count in Counter(map(str.casefold, names)).items():
        if count > 1:
            name = next(name for name in names if name.casefold() == folded)
            raise MlgateError(f"{count} configurations call their model {name!r}.", fix="Give each its own `model:`.")


def _note(check_id: str, file: str, reason: str) -> Check:
    return Check(
        id=check_id, group="judge", title=file, verdict=Verdict.WARN, reason=reason, location=Location(file=file)
    )
