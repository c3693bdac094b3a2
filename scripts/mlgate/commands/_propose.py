"""Commit back: a checked proposal becomes one commit, on a branch or as a pull or merge request. No project code runs.

    done = commit_back(run, Path("proposal"), how="pull-request")

Nothing goes round in circles: what did not change is not committed, and what was trained from the inputs of a commit of
ours is not trained into another one. No commit says `[skip ci]`: required checks would wait for it for ever.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlgate.errors import MlgateError
from mlgate.forges import VOLATILE
from mlgate.forges.nouns import Request
from mlgate.render import escape, numbers
from mlgate.repo import commit, plain, proposal, push
from mlgate.repo.git import Git
from mlgate.repo.push import PushError, Remote

if TYPE_CHECKING:
    from mlgate.commands._run import Run
    from mlgate.forges import Forge
    from mlgate.model import Event
    from mlgate.repo.commit import Built
    from mlgate.repo.proposal import Proposal

How = Literal["branch", "pull-request"]

TRIES = 4  # each one after somebody else moved the branch
ROWS = 60  # metrics shown in a request


@dataclass(frozen=True)
class Done:
    """What became of a proposal. `commit` is "" when nothing had changed; `said` are sentences for people."""

    commit: str = ""
    branch: str = ""
    url: str = ""  # of the request
    said: tuple[str, ...] = ()


def commit_back(
    run: Run,
    folder: Path,
    *,
    how: How,
    branch: str = "",
    title: str = "",
    body: str = "",
    labels: Sequence[str] = (),
    allow: Iterable[str] = (),
    only: Iterable[str] = (),
    gate: str = "",
    auto_merge: bool = False,
    force: bool = False,
    clock: Callable[[], float] = time.time,
) -> Done:
    """Commit the proposal in `folder`, push it, and open or update its one request if `how` says so.

    `branch`: where to; "" is the branch that was trained (`how="branch"`), or one of its own. `allow`: paths beside
    those that DVC and mlgate.yaml own. `only`: the models that it may be of; none: any. `gate`: the workflow that is
    started on the branch where the forge starts none by itself. `auto_merge`: let the forge merge the request once all
    that is required has passed. `force`: commit although the same inputs were trained into the last commit already.
    Raises MlgateError for everything that leaves the proposal uncommitted or its request unopened.
    """
    forge, git, head = run.forge, run.git, run.head
    onto = target(forge.event, git, head, word=forge.request_word)
    configs = run.config_files_at(git.at(head))
    found = proposal.read(folder, git, configs=configs, allow=allow)
    if (wanted := set(only)) and (others := sorted(set(found.models) - wanted)):
        raise plain.refused(f"is of {', '.join(others)[:200]}, which was not to be trained")
    if not found.files:
        return Done(said=(f"Nothing to commit: training made just what {head[:7]} has.",))
    new_data = any(path.endswith(".dvc") for path in found.files)  # brought by the run itself: other inputs than before
    if not force and not new_data and (before := commit.trained(git, head, found.models, configs)):
        raise _again(before, found)
    to = _branch(git, branch, how, onto, found)
    if to != onto and to == forge.event.default_branch:
        raise MlgateError(f"{to} is the default branch, and {onto} was trained, so nothing was committed.")
    subject = _line(title) or found.message
    if plain.skips(subject):
        raise MlgateError(f"the title {subject!r} tells CI to skip the commit: required checks would wait for ever.")
    built = commit.build(
        git,
        head,
        found.files,
        title=subject,
        models=found.models,
        by=forge.identity(),
        now=int(clock()),
        run_url=forge.event.run_url,
        configs=configs,
    )
    if built is None:
        return Done(said=(f"Nothing to commit: training made just what {head[:7]} has.",))
    remote = forge.push_to()
    try:
        sha, pushed = (_forward if to == onto else _beside)(git, remote, built, to)
    except PushError as error:
        raise forge.push_refused(error, to) from None
    if how == "branch":
        held = forge.held_back(request=forge.event.kind == "pull_request") if pushed else ""
        return Done(sha, to, said=_said(_pushed(sha, to, forge.event, pushed=pushed), held))
    request = Request(
        head=to,
        base=onto,
        title=subject,
        body="\n\n".join(part for part in (body.strip(), describe(found, run, onto)) if part),
        header=" ".join(found.models),
        labels=tuple(labels),
    )
    opened = forge.propose(request)
    word = f"{forge.request_word} {opened.url}".strip()
    did = {"created": f"Opened {word}.", "updated": f"Updated {word}.", "unchanged": f"{word} is as it was."}
    held = _judged(forge, gate, to) if pushed or opened.did == "created" else ""
    merged = forge.auto_merge(opened, request, sha) if auto_merge else ""
    said = _said(_pushed(sha, to, forge.event, pushed=pushed), did[opened.did], *opened.said, held, merged)
    return Done(sha, to, opened.url, said)


def _judged(forge: Forge, gate: str, branch: str) -> str:
    """How a gate comes to judge what was pushed, where it does not by itself. Never raises."""
    held = forge.held_back(request=True)
    if not held or not gate:
        return held
    try:
        started = forge.start_gate(gate, branch)
    except MlgateError as error:
        return f"{held} The gate was not started either: {error}"
    if started is None:
        return held
    at = f": {started.url}" if started.url else "."
    return f"The job's own token pushed it, for which no workflow starts, so {gate} was started on {branch}{at}"


def target(event: Event, git: Git, head: str, *, word: str) -> str:
    """The branch that was trained, onto which the commit goes. Raises MlgateError where there is none to write to."""
    if event.from_fork:
        raise MlgateError(
            f"this is a {word} from a fork: its jobs may not write here, so nothing was committed.",
            fix="Take the proposal from the artifacts of this run, or train on a branch of this repository.",
        )
    if event.kind == "merge_group":
        raise MlgateError("a merge queue takes no further commits, so nothing was committed.", fix="Train before it.")
    if event.kind == "tag":
        raise MlgateError("a tag is no branch to commit to, so nothing was committed.", fix="Run on a branch.")
    if event.kind == "pull_request" and event.head_sha and head != event.head_sha:
        raise MlgateError(
            f"{head[:7]} is not the head of the {word} but its merge with the target, so nothing was committed.",
            fix="Check out the head in both jobs (GitHub: `ref: ${{ github.event.pull_request.head.sha }}`; GitLab: "
            "turn merged results off for this job).",
        )
    # What is checked out by name was chosen to be trained; the event names the branch of a clone that has none.
    name = git.branch() or event.ref
    if not git.branch() and event.name == "workflow_run" and head != event.head_sha:
        name = event.default_branch  # the event speaks of the run that was followed; this one has the default branch
    if not name:
        raise MlgateError("no branch is checked out, so there is none to commit to.", fix="Check out a branch.")
    return name


def _branch(git: Git, branch: str, how: How, onto: str, found: Proposal) -> str:
    """Where to push. Raises MlgateError for a name that is none."""
    to = branch.strip()
    if not to and how == "branch":
        return onto
    if not to:
        of = re.sub(r"\.\.+|\.lock$|\.$", "-", found.models[0]) + "/" if len(found.models) == 1 else ""
        return f"mlgate/{of}train-{found.base[:7]}"
    if to.startswith(("-", "refs/")) or git.try_run("check-ref-format", f"refs/heads/{to}").returncode != 0:
        raise MlgateError(f"{to[:100]!r} is no name for a branch, so nothing was committed.", fix="Name another one.")
    if how == "pull-request" and to == onto:
        raise MlgateError(
            f"a request cannot lead from {onto} into itself, so nothing was committed.",
            fix="Leave the branch out, name another one, or use `commit: branch`.",
        )
    return to


def _forward(git: Git, remote: Remote, built: Built, branch: str) -> tuple[str, bool]:
    """Straight onto the branch that was trained, while it is where it was: one commit forward, and no other commits."""
    try:
        push.push(git, remote, built.commit, branch, instead_of=built.base)
    except PushError as error:
        if error.why != "moved":
            raise
        there = push.tip(git, remote, branch)
        if there:
            push.bring(git, remote, branch)
        fresh = Git(git.root, git.fetch_env)
        if fresh.resolve(there) and _same(fresh, there, built):
            return there, False  # a run beside this one committed the same
        raise MlgateError(
            f"{branch} is not at {built.base[:7]}, which was trained, but at {there[:7] or 'nothing'}, so nothing was "
            "pushed.",
            fix=f"Rebase: run again on {branch} as it is now, because what was trained belongs to {built.base[:7]}. "
            "Or use `commit: pull-request`.",
        ) from None
    return built.commit, True


def _beside(git: Git, remote: Remote, built: Built, branch: str) -> tuple[str, bool]:
    """Onto a branch of its own: what an earlier run left there is replaced, what people did there never is."""
    for attempt in range(1, TRIES + 1):
        there = push.tip(git, remote, branch)
        if there:
            push.bring(git, remote, branch)
            fresh = Git(git.root, git.fetch_env)
            if commits := commit.foreign(fresh, there, built.base):
                raise MlgateError(
                    f"the branch {branch} has commits that mlgate did not make ({'; '.join(commits)}), so nothing was "
                    "pushed.",
                    fix="Merge or delete that branch, or name another one.",
                )
            if _same(fresh, there, built):
                return there, False
        try:
            push.push(git, remote, built.commit, branch, instead_of=there)
        except PushError as error:
            if error.why != "moved" or attempt == TRIES:
                raise
            continue  # somebody was quicker: look again at what is there now
        return built.commit, True
    raise AssertionError("unreachable")  # pragma: no cover


def _same(git: Git, there: str, built: Built) -> bool:
    """Whether a commit of ours is this one but for its time."""
    said = commit.mark(git, there)
    return commit.is_ours(git, there) and said is not None and (said.base, said.tree) == (built.base, built.tree)


def _again(before: str, found: Proposal) -> MlgateError:
    return MlgateError(
        f"commit {before[:7]} was trained from these very inputs, and training again gave other files "
        f"({', '.join(list(found.files)[:3])}), so nothing was committed: the next run would do it again.",
        fix="Make training repeatable (fix its seeds), or do not run it on commits that it made.",
    )


def _pushed(sha: str, branch: str, event: Event, *, pushed: bool) -> str:
    shown = f"{event.commit_url}{sha}" if event.commit_url else sha
    return f"Committed to {branch}: {shown}" if pushed else f"{branch} has this commit already: {shown}"


def _said(*sentences: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentence for sentence in sentences if sentence))


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


# -- what the request says -------------------------------------------------------------------------------------------


def describe(found: Proposal, run: Run, onto: str) -> str:
    """Markdown: what was trained from where, its metrics before and after, and the files. Names are escaped."""
    models = ", ".join(escape.code(model) for model in found.models)
    url = run.forge.event.run_url
    lines = [f"Trained {models} from {escape.code(found.base[:7])} of {escape.code(onto)}.", ""]
    lines += _metrics(found, onto)
    lines += ["**Files**", ""]
    lines += [f"- {escape.code(path)}{' (deleted)' if data is None else ''}" for path, data in found.files.items()]
    lines.append("")
    if url:
        lines.append(f"{escape.link('The run that made it', url)}. {VOLATILE}")
    lines.append("Commits by people on this branch are kept: then mlgate pushes nothing more to it.")
    return "\n".join(lines)


def _metrics(found: Proposal, onto: str) -> list[str]:
    changed = [one for one in found.moved if one.before != one.after]
    if not changed:
        return ["No committed metric changed." if found.moved else "No metrics file is among the files.", ""]
    lines = [f"| Path | Metric | {escape.text(onto)} | Trained | Change |", "|---|---|---:|---:|---:|"]
    for one in changed[:ROWS]:
        shown = numbers.together(*(value for value in (one.before, one.after) if value is not None))
        before = shown.pop(0) if one.before is not None else "-"
        after = shown.pop(0) if one.after is not None else "-"
        change = "-"
        if one.before is not None and one.after is not None:
            change = numbers.difference(one.after - one.before)
        lines.append(f"| {escape.code(one.file)} | {escape.code(one.key)} | {before} | {after} | {change} |")
    if more := len(changed) - ROWS:
        lines += [f"| | {numbers.count(more, 'more metric', 'more metrics')} | | | |"] if more > 0 else []
    return [*lines, ""]
