"""Which stages make what, and in which order. Read from the lock of a commit; nothing is run."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from mlgate.repo import fresh
from mlgate.repo.dvc import Out, Pipeline, Stage

SEEDS = ("seed", "random_state", "random_seed", "np_seed", "torch_seed")


def within(path: str, other: str) -> bool:
    """Whether two paths are the same, or one is a folder around the other."""
    return path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/")


def live(pipeline: Pipeline) -> list[Stage]:
    """The stages that dvc.yaml still has."""
    return [stage for stage in pipeline.stages if stage.defined is not None]


class Makers:
    """Who makes a path, or something in or around it."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._at: dict[str, list[Stage]] = {}
        self._below: dict[str, list[Stage]] = {}
        for stage in stages:
            for out in stage.outs:
                self._at.setdefault(out.path, []).append(stage)
                for folder in _around(out.path):
                    self._below.setdefault(folder, []).append(stage)

    def of(self, path: str) -> list[Stage]:
        around = [stage for folder in _around(path) for stage in self._at.get(folder, [])]
        return [*self._at.get(path, []), *self._below.get(path, []), *around]


def _around(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def chain(pipeline: Pipeline, paths: Iterable[str]) -> list[Stage]:
    """Every stage behind these paths, those that others depend on first."""
    makers = Makers(live(pipeline))
    found: list[Stage] = []
    opened: set[tuple[str, str]] = set()
    # Of each stage its name and lock, and what is still to be looked at: no recursion, pipelines can be long.
    for path in paths:
        trail = [(stage, iter(stage.deps)) for stage in makers.of(path)]
        trail = [pair for pair in trail if not _seen(opened, pair[0])]
        while trail:
            stage, deps = trail[-1]
            dep = next(deps, None)
            if dep is None:
                found.append(stage)
                trail.pop()
            else:
                trail += [(maker, iter(maker.deps)) for maker in makers.of(dep.path) if not _seen(opened, maker)]
    return found


def _seen(opened: set[tuple[str, str]], stage: Stage) -> bool:
    key = (stage.lock, stage.name)
    if key in opened:
        return True
    opened.add(key)
    return False


def after(stages: Sequence[Stage], paths: Iterable[str]) -> list[Stage]:
    """Those of these stages (in order) that depend on one of the paths, themselves or through others."""
    changed = list(paths)
    found = []
    for stage in stages:
        if any(within(dep.path, path) for dep in stage.deps for path in changed):
            found.append(stage)
            changed += [out.path for out in stage.outs]
    return found


def inputs(pipeline: Pipeline, stages: Sequence[Stage]) -> list[str]:
    """What these stages read that DVC tracks and none of them makes."""
    made = [out.path for stage in stages for out in stage.outs]
    wanted = dict.fromkeys(dep.path for stage in stages for dep in stage.deps)
    return [p for p in wanted if tracked(pipeline, p) and not any(p == m or p.startswith(f"{m}/") for m in made)]


def tracked(pipeline: Pipeline, path: str) -> Out | None:
    """What DVC keeps for a path: itself, or the folder around it. None for what git or nobody keeps."""
    while path:
        out = pipeline.outs.get(path)
        if out is not None:
            return out if out.md5 and cached(pipeline, out) else None
        path = posixpath.dirname(path)
    return None


def cached(pipeline: Pipeline, out: Out) -> bool:
    """Whether an output is in DVC's cache: `cache: false` leaves it to git."""
    return out.path not in pipeline.snapshot.files


def never_ran(pipeline: Pipeline, files: Iterable[str]) -> list[str]:
    """Stages of these dvc.yaml files that no lock knows, by name."""
    locked = {(stage.lock.removesuffix("lock") + "yaml", stage.name.split("@", 1)[0]) for stage in pipeline.stages}
    found = []
    for file in files:
        data = pipeline.snapshot.read(file)
        stages = (fresh.parameters(data, file) or {}).get("stages") if data is not None else None
        found += [name for name in stages or {} if (file, name) not in locked]
    return found


def address(stage: Stage, home: str) -> str:
    """What DVC, called in `home`, calls a stage."""
    folder = posixpath.dirname(stage.lock)
    below = folder[len(home) + 1 :] if home and folder != home else "" if folder == home else folder
    return f"{below}/dvc.yaml:{stage.name}" if below else stage.name


def seeds(stages: Sequence[Stage]) -> dict[str, str]:
    """Parameters that are seeds, as the lock has them."""
    found: dict[str, str] = {}
    for stage in stages:
        for file, values in stage.params.items():
            for key, value in _flat(values):
                if key.rpartition(".")[2].lower() in SEEDS:
                    found[key if file.endswith("params.yaml") else f"{file} {key}"] = str(value)
    return dict(sorted(found.items()))


def _flat(values: object, prefix: str = "") -> Iterable[tuple[str, object]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, values


def stale(pipeline: Pipeline, stages: Sequence[Stage], said: Iterable[str], home: str) -> list[Stage]:
    """The stages that the lock or DVC (`said`, their addresses) finds changed, and all that follow from them."""
    changed = set(said)
    first = [s for s in stages if address(s, home) in changed or any(x.known for x in fresh.check(pipeline, s))]
    later = after(stages, [out.path for stage in first for out in stage.outs])
    return [stage for stage in stages if stage in first or stage in later]
