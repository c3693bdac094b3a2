"""Which commit is the champion, and whose rules bind, by what started the run.

| event | champion |
|---|---|
| pull request, merge commit checked out | its first parent: the target as the forge merged it |
| pull request, head checked out; merge request | the fetched tip of the target branch, if the source has its changes |
| merge queue | the commit the entry was built on |
| push to the default branch | the commit before the push, else the first parent |
| push, schedule or manual run elsewhere, tag on what is not merged | the merge base with the default branch |
| schedule on the default branch | the last promoted model of the ledger, else the first parent |
| tag on the default branch, manual run there | the first parent |
| terminal | the merge base with the ref; on that branch itself, the commit before |

A champion can also be named where no git ref is: in the ledger, in a model registry, or in a folder of the base. Whose
rules bind is a matter of the event all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mlgate.errors import MlgateError
from mlgate.model import Event
from mlgate.repo.git import Git

AUTO = "auto"
ELSEWHERE = ("ledger:", "models:", "path:")


@dataclass(frozen=True)
class Chosen:
    """A commit and why it. `commit` is empty when the history holds nothing to compare with.

    `fork_point` is set where the source may lack changes of the target: a model whose files the target changed since
    then is not judged, because the difference would not be this change's.
    """

    commit: str
    how: str
    ref: str = ""
    fork_point: str = ""
    folder: str = ""  # of that commit, where metrics and predictions of the champion lie; empty: in their own places


# What is named elsewhere (AUTO: what was promoted last), and the champion by the event -> the champion, fetched.
Lookup = Callable[[str, Chosen], Chosen]


@dataclass(frozen=True)
class Sides:
    """The champion, and the commit whose mlgate.yaml binds (empty: the challenger's own)."""

    champion: Chosen
    rules: str


def find(git: Git, event: Event, spec: str = AUTO, lookup: Lookup | None = None) -> Sides:
    """`lookup` finds what ELSEWHERE names. Raises MlgateError when a commit can be had neither here nor elsewhere."""
    if event.name == "workflow_run" and git.head() != event.head_sha:
        raise _elsewhere(git.head(), event)
    named = spec.startswith(ELSEWHERE)
    by_event = _by_event(git, event, AUTO if named else spec)
    default = _on_default(git, event)
    # On the default branch the rules are merged already; elsewhere a change cannot bend the rules it is judged by.
    rules = "" if default else by_event.commit
    if named:
        if lookup is None:
            raise MlgateError(f"the champion {spec} cannot be looked up here.")
        return Sides(replace(lookup(spec, by_event), ref=spec), rules)
    if lookup is not None and default and remembers(event, spec):
        return Sides(lookup(AUTO, by_event), rules)
    if spec in (AUTO, "") or event.kind == "terminal" or spec in (event.base_ref, event.default_branch):
        return Sides(by_event, rules)
    return Sides(Chosen(git.ensure(spec, fresh=git.is_branch(spec)), f"compare.champion is {spec}", ref=spec), rules)


def remembers(event: Event, spec: str) -> bool:
    """Whether the ledger is asked who the champion is, although nobody named it."""
    return event.kind == "schedule" and spec in (AUTO, "")


def _by_event(git: Git, event: Event, spec: str) -> Chosen:
    head = git.head()
    if event.kind == "pull_request":
        return _pull_request(git, event, head)
    if event.kind == "merge_group":
        return Chosen(git.ensure(event.base_sha), "the merge queue's base", ref=event.base_ref)
    if event.kind == "push" and _on_default(git, event):
        if event.before:
            return Chosen(_before(git, event), "the commit before the push", ref=event.ref)
        return _first_parent(git, head)
    if event.kind == "terminal":
        return _terminal(git, head, spec)
    if not _on_default(git, event):
        return _fork_point(git, head, event.default_branch)
    return _first_parent(git, head)


def _on_default(git: Git, event: Event) -> bool:
    if event.kind in ("pull_request", "merge_group", "terminal"):
        return False
    branch = event.default_branch or git.default_branch()
    if event.kind == "tag":  # anyone who may push a tag can put it on a commit that nobody reviewed
        return not branch or git.merge_base(git.head(), git.ensure(branch, fresh=True)) == git.head()
    return not event.ref or event.ref == branch


def _pull_request(git: Git, event: Event, head: str) -> Chosen:
    parents = git.parents(head)
    if len(parents) == 2 and head != event.head_sha and event.head_sha in ("", parents[1]):
        return Chosen(git.ensure(parents[0]), "first parent of the merge commit", ref=event.base_ref)
    tip = git.ensure(event.base_ref, fresh=True) if event.base_ref else git.ensure(event.base_sha)
    base = git.merge_base(head, tip)
    if base is None:
        raise MlgateError(
            f"this branch and {event.base_ref!r} share no history, so there is no champion to compare with.",
            fix="Rebase it onto the target branch.",
        )
    if base == head and event.head_sha not in ("", head):
        raise _elsewhere(head, event)
    return Chosen(tip, "tip of the target branch", ref=event.base_ref, fork_point="" if base == tip else base)


def _elsewhere(head: str, event: Event) -> MlgateError:
    return MlgateError(
        f"the commit that is checked out ({head[:9]}) does not hold the change ({event.head_sha[:9]}): "
        "its verdict would be another commit's.",
        fix="Run the gate on `pull_request`, whose checkout is the change merged into its target; "
        f"`{event.name}` checks out the target.",
    )


def _before(git: Git, event: Event) -> str:
    try:
        return git.ensure(event.before)
    except MlgateError as error:
        if not event.forced:
            raise
        raise MlgateError(
            f"the push was forced, and the commit before it ({event.before[:7]}) is gone: the champion is unreachable.",
            fix="Name the champion once: run the gate by hand with `champion` set to its commit or tag.",
        ) from error


def _first_parent(git: Git, head: str) -> Chosen:
    parents = git.parents(head)
    if not parents:
        return Chosen("", "the first commit has nothing before it")
    return Chosen(git.ensure(parents[0]), "the commit before")


def _fork_point(git: Git, head: str, branch: str) -> Chosen:
    tip = git.ensure(branch or git.default_branch(), fresh=True)
    base = git.merge_base(head, tip)
    if base is None or base == head:
        return _first_parent(git, head)
    return Chosen(base, f"merge base with {branch}", ref=branch)


def _terminal(git: Git, head: str, spec: str) -> Chosen:
    ref = git.default_branch() if spec in (AUTO, "") else spec
    if not ref:
        raise MlgateError(
            "there is no default branch to compare with (neither origin/HEAD, main nor master).",
            fix="Name the champion: `mlgate compare --champion <branch, tag or commit>`.",
        )
    tip = git.ensure(ref)
    if tip != head and not git.is_branch(ref):
        return Chosen(tip, f"{ref} was named", ref=ref)
    base = git.merge_base(head, tip)
    if base is None or base == head:
        return _first_parent(git, head)
    return Chosen(base, f"merge base with {ref}", ref=ref)
