"""What a comparison reads, gathered beforehand: two commits, and whose rules bind."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlgate.config import Config
from mlgate.model import Approval, Check, Verdict
from mlgate.repo.champion import Chosen
from mlgate.repo.dvc import Pipeline
from mlgate.repo.git import Snapshot

if TYPE_CHECKING:
    from mlgate.judge.costs import Sides
    from mlgate.judge.looks import Looks
    from mlgate.judge.statistics import Compared


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
class Measured:
    """What the rows of one evaluation set say. Without `compared` the committed metrics alone decide.

    `rescored`: the champion was scored on the challenger's rows, so that what it committed speaks of other ones.
    """

    compared: Compared | None = None
    checks: tuple[Check, ...] = ()
    not_run: tuple[str, ...] = ()
    rescored: bool = False
    anchored: bool = False  # the same of the anchor
    excluded: int = 0  # rows that left the comparison, because a champion was trained on them


def pinned(side: Side, binding: Config, folder: str) -> Side:
    """A champion whose metrics and predictions lie in a folder of the base, where the binding version puts it."""
    files = {*side.pipeline.snapshot.files, *side.pipeline.outs}
    return replace(side, config=in_folder(binding, folder, files))


def in_folder(config: Config, folder: str, files: Container[str]) -> Config:
    """A configuration whose metrics and predictions lie in a folder: under their own paths, else their own names."""
    sets = {}
    for name, one in config.evaluate.items():
        update: dict[str, Any] = {"metrics": [_moved(config, folder, path, files) for path in one.metrics]}
        if one.predictions is not None:
            path = _moved(config, folder, one.predictions.path, files)
            update["predictions"] = one.predictions.model_copy(update={"path": path})
        sets[name] = one.model_copy(update=update)
    artifact = _moved(config, folder, config.artifact, files) if config.artifact else None
    if artifact is not None and config.path(artifact) not in files:
        artifact = None  # what the base has elsewhere is another model
    return config.model_copy(update={"evaluate": sets, "artifact": artifact})


def _moved(config: Config, folder: str, path: str, files: Container[str]) -> str:
    places = [f"{folder}/{place}" for place in (path, posixpath.basename(path))]
    found = next((place for place in places if place in files), places[-1])
    return posixpath.relpath(found, config.folder or ".")


def _nothing(config: Config, name: str) -> Measured:
    del config, name
    return Measured()


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
    base: Snapshot | None = None  # the commit whose rules bind, where that is not the challenger's own
    anchor: Side | None = None
    behind: frozenset[str] = frozenset()
    dirty: tuple[str, ...] = ()
    strict_tree: bool = True
    private: frozenset[str] = frozenset()  # columns whose values are never shown, case-folded
    now: str = ""  # ISO 8601, UTC: how old a champion is depends on when that is asked
    measure: Callable[[Config, str], Measured] = _nothing  # a version's evaluation set, by rows; the same one each time
    costs: Sides | None = None  # what both models cost, as the run job measured it
    looks: Looks | None = None  # how many models each evaluation set has judged; None without a ledger
    approval: Callable[[str], Approval] | None = None  # asks the forge, by label; None where there is nobody to ask
    notes: tuple[Check, ...] = field(default=())  # findings of the caller: a base version that cannot be read, ...
    not_run: tuple[str, ...] = ()  # what the caller could not find out


def finding(check_id: str, title: str, verdict: Verdict, reason: str) -> Check:
    """What the judge says about the comparison itself."""
    return Check(id=check_id, group="judge", title=title, verdict=verdict, reason=reason)
