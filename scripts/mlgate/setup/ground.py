"""What a gate stands on: commits, mlgate.yaml, metrics in git, pointers in DVC's files. Findings from plain facts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.model import Check, Verdict
from mlgate.repo.dvc import MetricFile, Out
from mlgate.setup.finding import finding, some

GIT_NEEDED = (2, 30)
DVC_NEEDED = (3, 0)
FULL_HISTORY = {
    "github": "- uses: actions/checkout@v7\n  with:\n    fetch-depth: 0",
    "gitlab": "variables:\n  GIT_DEPTH: 0",
    "none": "git fetch --unshallow origin",
}


def version(text: str) -> tuple[int, ...]:
    """The first dotted number of a text: (2, 39, 5) of "git version 2.39.5 (Apple Git-154)"; empty without one."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def tool(name: str, said: str, needed: tuple[int, ...], *, fix: str) -> Check:
    """Whether a tool is new enough, by what it says of itself."""
    found = version(said)
    wanted = ".".join(map(str, needed))
    title = f"{name} {wanted} or later"
    shown = ".".join(map(str, found)) or said.strip() or "no version"
    if found >= needed:
        return finding(f"tools.{name.lower()}", title, Verdict.PASS, f"{name} {shown}.")
    return finding(f"tools.{name.lower()}", title, Verdict.FAIL, f"{name} here is {shown}.", fix=fix)


# -- commits ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Base:
    """The champion's commit as found, or `said`: why it could not be had."""

    commit: str = ""
    how: str = ""
    said: str = ""
    shallow: bool = False
    forge: str = "none"


def base(facts: Base) -> Check:
    """Whether there is a champion to compare with."""
    title = "champion's commit"
    if facts.said:
        return finding("base", title, Verdict.ERROR, facts.said, fix=FULL_HISTORY[facts.forge] if facts.shallow else "")
    if not facts.commit:
        reason = f"There is no champion yet: {facts.how}. The first verdict will be `warn`."
        return finding("base", title, Verdict.WARN, reason)
    shallow = " This clone is shallow; what is needed is fetched." if facts.shallow else ""
    return finding("base", title, Verdict.PASS, f"`{facts.commit[:7]}`: {facts.how}.{shallow}")


def anchor(ref: str, said: str, *, shallow: bool, forge: str) -> Check:
    """Whether `compare.anchor` names a commit; `said` is why not."""
    title = "anchor's commit"
    if not said:
        return finding("anchor", title, Verdict.PASS, f"`{ref}` is a commit of this repository.")
    return finding("anchor", title, Verdict.ERROR, said, fix=FULL_HISTORY[forge] if shallow else "")


# -- metrics ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metrics:
    """A metrics file as it lies in the working tree. `values` is None when it is not there or cannot be read."""

    path: str
    exists: bool
    tracked: bool
    ignored_by: str = ""
    values: Mapping[str, Any] | None = None
    said: str = ""
    committed: bool = True


def metrics(facts: Metrics) -> Check:
    """Whether one metrics file can be judged."""
    what, title = f"metrics.{facts.path}", f"metrics file {facts.path}"
    if not facts.exists:
        reason = f"{facts.path} is named in mlgate.yaml and is not there, so nothing is measured."
        return finding(what, title, Verdict.FAIL, reason, fix=f"dvc repro\n{_add(facts)}", file=facts.path)
    if not facts.tracked:
        hidden = f" ({facts.ignored_by} hides it)" if facts.ignored_by else ""
        reason = f"{facts.path} is not tracked by git{hidden}. The gate reads commits, so it would not see it."
        return finding(what, title, Verdict.FAIL, reason, fix=_add(facts), file=facts.path)
    if facts.values is None:
        reason = facts.said or f"{facts.path} cannot be read."
        return finding(what, title, Verdict.ERROR, reason, file=facts.path)
    numbers = numeric(facts.values)
    if not numbers:
        reason = f"{facts.path} holds no number, so no rule can be about it."
        return finding(what, title, Verdict.WARN, reason, file=facts.path)
    plural = "s" if len(numbers) > 1 else ""
    return finding(what, title, Verdict.PASS, f"{len(numbers)} number{plural}: {some(list(numbers))}.")


def _add(facts: Metrics) -> str:
    return f"git add {'--force ' if facts.ignored_by else ''}{facts.path}"


def numeric(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a metrics file. Truth values are not numbers."""
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    }


def rules(
    keys: Iterable[str], files: Sequence[Metrics], *, file: str, lines: Mapping[str, int | None]
) -> Iterator[Check]:
    """Each rule's key is in a metrics file. Silent when a file could not be read: that is said already."""
    if any(facts.values is None for facts in files):
        return
    present = {key for facts in files for key in facts.values or {}}
    for key in keys:
        if key not in present:
            yield finding(
                f"rules.{key}",
                f"rule {key}",
                Verdict.FAIL,
                f"Rule `{key}` has no value in {some([f.path for f in files])}, "
                f"which hold {some(sorted(present)) or 'nothing'}.",
                file=file,
                line=lines.get(key),
            )


def dvc_metrics(declared: Iterable[MetricFile], tracked: Collection[str], own: Collection[str]) -> Check | None:
    """Every `metrics:` path of the dvc.yaml files is tracked by git; None when there are none."""
    files = list(declared)
    if not files:
        return None
    title = "metrics files of dvc.yaml"
    lost = [m for m in files if m.path not in tracked]
    if not lost:
        return finding("dvc_metrics", title, Verdict.PASS, f"{len(files)} of {len(files)}.")
    cached = [m for m in lost if m.cached]
    fix = [f"# {m.file}: keep it out of DVC's cache\n- {m.path}:\n    cache: false" for m in cached]
    fix.append(f"git add --force {' '.join(m.path for m in lost)}")
    verdict = Verdict.FAIL if any(m.path in own for m in lost) else Verdict.WARN
    reason = f"{some([m.path for m in lost])}: written by a stage, and in no commit, so no history of it is kept."
    return finding("dvc_metrics", title, verdict, reason, fix="\n".join(fix), file=lost[0].file)


# -- pointers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pointed:
    """A path of mlgate.yaml and what knows it: a lock or .dvc file, or git itself."""

    path: str
    role: str  # "artifact", "evaluation data", "predictions", "data"
    out: Out | None = None
    in_folder: bool = False  # below a folder that DVC tracks
    in_git: bool = False
    exists: bool = False


def pointer(facts: Pointed) -> Check:
    """Whether a path that the gate attests has a digest in a commit."""
    what, title = f"pointers.{facts.path}", f"{facts.role} {facts.path}"
    if facts.out and facts.out.md5:
        return finding(what, title, Verdict.PASS, f"{facts.out.file} knows it.")
    if facts.in_folder or facts.in_git:
        said = "It is in a folder that DVC tracks." if facts.in_folder else "It is committed to git itself."
        return finding(what, title, Verdict.PASS, said)
    if facts.out:
        reason = f"{facts.out.file} names {facts.path} without a digest: the stage was not run yet."
        return finding(
            what, title, Verdict.FAIL, reason, fix=f"dvc repro {facts.out.stage}".strip(), file=facts.out.file
        )
    fix = (
        f"# make it an output of the stage that writes it (outs: in dvc.yaml) and run dvc repro, or:\n"
        f"dvc add {facts.path}\ngit add {facts.path}.dvc"
    )
    there = "It is only in this folder" if facts.exists else "It does not exist"
    reason = f"Neither dvc.lock, a .dvc file nor git knows {facts.path}. {there}: nothing says which one was judged."
    return finding(what, title, Verdict.FAIL, reason, fix=fix)


def raw_outputs(outs: Iterable[Out], uncached: Collection[str], tracked: Collection[str]) -> Check | None:
    """No output of DVC is committed to git itself; None when DVC has no output."""
    cached = [out for out in outs if out.path not in uncached and "://" not in out.path]
    if not cached:
        return None
    title = "DVC outputs in git"
    inside = folders(tracked)
    both = [out.path for out in cached if out.path in tracked or (out.path in inside and out.md5.endswith(".dir"))]
    if not both:
        return finding("raw_outputs", title, Verdict.PASS, f"{len(cached)} outputs, all by pointer.")
    reason = (
        f"{some(both)} are tracked by git and by DVC. The two drift apart, and the repository grows with each version."
    )
    return finding("raw_outputs", title, Verdict.WARN, reason, fix=f"git rm -r --cached {' '.join(both)}")


def folders(paths: Iterable[str]) -> set[str]:
    """Every folder that has one of these paths somewhere below it."""
    return {path.rsplit("/", i)[0] for path in paths for i in range(1, path.count("/") + 1)}


def uncached(definitions: Iterable[tuple[str, Mapping[str, Any]]]) -> set[str]:
    """Outputs with `cache: false`, from (working directory, stage of dvc.yaml) pairs: those belong to git."""
    found = set()
    for folder, stage in definitions:
        for kind in ("outs", "metrics", "plots"):
            for entry in stage.get(kind) or []:
                if isinstance(entry, dict):
                    found |= {
                        f"{folder}/{path}" if folder else str(path)
                        for path, options in entry.items()
                        if isinstance(options, dict) and options.get("cache") is False
                    }
    return found


# -- owners ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Owned:
    """Who must approve a change of the files that decide. `place` is the CODEOWNERS file, empty without one."""

    forge: str
    place: str
    owners: Mapping[str, Sequence[str]] = field(default_factory=dict)  # path -> owners
    enforced: bool | None = None  # the branch asks for the owners' review; None: not known


def owned(facts: Owned) -> Check:
    """CODEOWNERS names somebody for the workflow files and every mlgate.yaml: no tool can guard those."""
    title = "CODEOWNERS"
    new_place = ".github/CODEOWNERS" if facts.forge == "github" else "CODEOWNERS"
    bare = [path for path, owners in facts.owners.items() if not owners]
    lines = "\n".join(f"/{path} @your-team" for path in bare)
    if not facts.place:
        reason = f"There is no CODEOWNERS: a pull request may change {some(bare)} unseen, and with it what judges it."
        return finding("codeowners", title, Verdict.WARN, reason, fix=f"# {new_place}\n{lines}")
    if bare:
        reason = f"Nobody owns {some(bare)} by {facts.place} (the last matching line decides)."
        return finding(
            "codeowners", title, Verdict.WARN, reason, fix=f"# {facts.place}, at the end\n{lines}", file=facts.place
        )
    if facts.enforced is False:
        reason = f"{facts.place} names owners, and the branch does not ask for their review."
        fix = "Settings > Rules > Rulesets > Require a pull request before merging > Require review from Code Owners"
        return finding("codeowners", title, Verdict.WARN, reason, fix=fix, file=facts.place)
    return finding("codeowners", title, Verdict.PASS, f"{facts.place} covers {some(sorted(facts.owners))}.")
