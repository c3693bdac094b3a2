"""GitHub workflows read as files: which one calls the gate, when it runs, and whether its failure can go unseen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.model import Check, Verdict
from mlgate.setup.finding import finding, some
from mlgate.setup.reading import documents, listing, mapping

FOLDER = ".github/workflows/"
STARTER = ".github/workflows/model-gate.yml"
_CALLED = re.compile(r"(?:^|/)\.github/workflows/model-gate\.ya?ml(?:@|$)")
_ACTION = re.compile(r"(?:^|/)mlgate/actions/compare(?:@|$)")
_COMMAND = re.compile(r"(?:^|[\s;&|(])mlgate\s+(?:--\S+\s+)*compare\b")
_EVEN_THEN = re.compile(r"\balways\(\)|\bcancelled\(\)|\bfailure\(\)")
_RESULTS = re.compile(r"\bneeds\b")
_WANTED = {"contents": "read", "pull-requests": "write", "statuses": "write"}
_LEVEL = {"none": 0, "read": 1, "write": 2}


@dataclass(frozen=True)
class Job:
    """What matters of a job. `permissions` is None where neither the job nor the workflow says any."""

    id: str
    name: str
    gate: bool
    called: bool
    needs: tuple[str, ...]
    condition: str
    permissions: Mapping[str, str] | None
    swallowed: bool
    asks: bool  # it looks at the results of the jobs it needs


@dataclass(frozen=True)
class Workflow:
    """A workflow file: its triggers with their filters, and its jobs."""

    file: str
    triggers: Mapping[str, Mapping[str, Any]]
    jobs: Sequence[Job]
    lines: Mapping[str, int]

    @property
    def gates(self) -> list[Job]:
        return [job for job in self.jobs if job.gate]

    @property
    def after(self) -> list[Job]:
        """The jobs that come to wait for a gate, directly or through others."""
        reached = {job.id for job in self.gates}
        for _ in self.jobs:
            reached |= {job.id for job in self.jobs if reached & set(job.needs)}
        return [job for job in self.jobs if job.id in reached and not job.gate]


@dataclass(frozen=True)
class Branch:
    """What the forge says of the default branch; None is not known."""

    name: str = "main"
    required: list[str] | None = None
    merge_queue: bool | None = None
    code_owner_review: bool | None = None


def branch(name: str, rules: Any, protection: Any) -> Branch:
    """From the API's `rules/branches/{branch}` and `branches/{branch}` of a repository; None: not readable."""
    required: list[str] = []
    merge_queue = code_owners = False if isinstance(rules, list) else None
    for raw in rules if isinstance(rules, list) else []:
        rule = mapping(raw)
        parameters = mapping(rule.get("parameters"))
        if rule.get("type") == "required_status_checks":
            required += [str(mapping(c).get("context", "")) for c in listing(parameters.get("required_status_checks"))]
        elif rule.get("type") == "merge_queue":
            merge_queue = True
        elif rule.get("type") == "pull_request" and parameters.get("require_code_owner_review"):
            code_owners = True
    summary = mapping(mapping(protection).get("protection"))
    required += [str(c) for c in listing(mapping(summary.get("required_status_checks")).get("contexts"))]
    if summary.get("enabled"):
        code_owners = code_owners or None  # a classic protection may ask for it; only administrators can read that
        merge_queue = merge_queue or None
    known = isinstance(rules, list) or bool(summary)
    return Branch(name, sorted(set(required)) if known else None, merge_queue, code_owners)


# -- reading ---------------------------------------------------------------------------------------


def read(file: str, data: bytes) -> Workflow | None:
    """None for what is not a workflow."""
    found = documents(data)
    top = mapping(found[0]) if found else {}
    jobs = mapping(top.get("jobs"))
    if not jobs:
        return None
    text = data.decode(errors="replace")
    return Workflow(
        file=file,
        triggers=_triggers(top.get("on")),
        jobs=[_job(name, mapping(raw), top.get("permissions")) for name, raw in jobs.items()],
        lines={
            match[1]: text.count("\n", 0, match.start(1)) + 1
            for match in re.finditer(r"^ *[\"']?([\w-]+)[\"']?\s*:", text, re.MULTILINE)
        },
    )


def _triggers(on: Any) -> dict[str, Mapping[str, Any]]:
    if isinstance(on, dict):
        return {name: mapping(filters) for name, filters in mapping(on).items()}
    return {str(name): {} for name in listing(on)}


def _job(name: str, raw: dict[str, Any], default: Any) -> Job:
    steps = [mapping(step) for step in listing(raw.get("steps"))]
    gates = [s for s in steps if _ACTION.search(str(s.get("uses", ""))) or _COMMAND.search(str(s.get("run", "")))]
    called = bool(_CALLED.search(str(raw.get("uses", ""))))
    return Job(
        id=name,
        name=str(raw.get("name") or name),
        gate=called or bool(gates),
        called=called,
        needs=tuple(str(n) for n in listing(raw.get("needs"))),
        condition=str(raw.get("if", "")),
        permissions=_permissions(raw.get("permissions", default)),
        swallowed=raw.get("continue-on-error") is True or any(s.get("continue-on-error") is True for s in gates),
        asks=bool(_RESULTS.search(str({k: v for k, v in raw.items() if k != "needs"}))),
    )


def _permissions(raw: Any) -> Mapping[str, str] | None:
    if raw is None:
        return None
    if raw in ("read-all", "write-all"):
        return dict.fromkeys(_WANTED, str(raw).removesuffix("-all"))
    return {key: str(value) for key, value in mapping(raw).items()}


# -- finding ---------------------------------------------------------------------------------------


@dataclass
class _Case:
    workflow: Workflow
    branch: Branch
    found: list[Check] = field(default_factory=list)

    @property
    def required(self) -> list[str] | None:
        """The required checks that come from this workflow."""
        if self.branch.required is None:
            return None
        jobs = [*self.workflow.gates, *self.workflow.after]
        return [c for c in self.branch.required if any(_shown_as(job, c) for job in jobs)]

    def say(self, what: str, title: str, verdict: Verdict, reason: str, *, fix: str = "", at: str = "on") -> None:
        line = self.workflow.lines.get(at)
        self.found.append(
            finding(f"caller.{what}", title, verdict, reason, fix=fix, file=self.workflow.file, line=line)
        )


def findings(workflows: Iterable[Workflow], branch: Branch) -> list[Check]:
    """What the workflows that call the gate do on a pull request, in the merge queue and on the default branch."""
    callers = [w for w in workflows if w.gates and "workflow_run" not in w.triggers]
    if not callers:
        return [
            finding(
                "caller",
                "gate workflow",
                Verdict.WARN,
                f"No workflow under {FOLDER} calls mlgate, so nothing judges a pull request.",
                fix="mlgate init --forge github",
            )
        ]
    # Where several call it, the one that runs on pull requests is the gate.
    chosen = next((w for w in callers if "pull_request" in w.triggers), callers[0])
    case = _Case(chosen, branch)
    case.say(
        "file", "gate workflow", Verdict.PASS, f"{chosen.file} does.", at=chosen.gates[0].id
    )  # fmt: skip
    _pull_requests(case)
    _merge_queue(case)
    _default_branch(case)
    _rights(case)
    _swallowed(case)
    _required(case)
    return case.found


def _pull_requests(case: _Case) -> None:
    title = "pull requests"
    filters = case.workflow.triggers.get("pull_request")
    if filters is None:
        target = "pull_request_target" in case.workflow.triggers
        case.say(
            "pull_request",
            title,
            Verdict.FAIL if target else Verdict.WARN,
            f"{case.workflow.file} runs on `pull_request_target`: a fork's code would run with your secrets."
            if target
            else f"{case.workflow.file} does not run on `pull_request`, so a change is judged only after it is merged.",
            fix="on:\n  pull_request:",
        )
        return
    narrow = [name for name in ("paths", "paths-ignore") if filters.get(name)]
    types = [str(t) for t in listing(filters.get("types"))]
    if narrow:
        case.say(
            "pull_request",
            title,
            Verdict.FAIL if case.required else Verdict.WARN,
            f"`pull_request` has `{narrow[0]}:`. A pull request that touches none of them starts no run, and a "
            "required check that never starts stays pending for ever. mlgate sees in seconds when nothing changed.",
            fix="on:\n  pull_request:",
        )
    elif types and not {"opened", "synchronize"} <= set(types):
        case.say(
            "pull_request",
            title,
            Verdict.FAIL if case.required else Verdict.WARN,
            f"`pull_request` runs only on {some(types)}: later pushes to the pull request are not judged.",
            fix="on:\n  pull_request:",
        )
    else:
        case.say("pull_request", title, Verdict.PASS, "It runs on `pull_request`, without `paths:`.")


def _merge_queue(case: _Case) -> None:
    title = "merge queue"
    if "merge_group" in case.workflow.triggers:
        case.say("merge_group", title, Verdict.PASS, "It runs on `merge_group`.")
    elif case.branch.merge_queue is False:
        case.say("merge_group", title, Verdict.PASS, f"`{case.branch.name}` has no merge queue.")
    else:
        certain = bool(case.branch.merge_queue and case.required)
        case.say(
            "merge_group",
            title,
            Verdict.FAIL if certain else Verdict.WARN,
            f"{case.workflow.file} does not run on `merge_group`. "
            + (
                f"`{case.branch.name}` has a merge queue, which waits for the required check until it gives up."
                if certain
                else "Should the branch ever get a merge queue, a required check would never report there."
            ),
            fix="on:\n  merge_group:",
        )


def _default_branch(case: _Case) -> None:
    title = f"pushes to {case.branch.name}"
    filters = case.workflow.triggers.get("push")
    branches = [str(b) for b in listing((filters or {}).get("branches"))]
    if filters is not None and (not branches or case.branch.name in branches or any("*" in b for b in branches)):
        case.say("push", title, Verdict.PASS, f"It runs on pushes to `{case.branch.name}`.")
        return
    case.say(
        "push",
        title,
        Verdict.WARN,
        f"{case.workflow.file} does not run on pushes to `{case.branch.name}`: what was merged without credentials "
        "(forks) is never judged again with them.",
        fix=f"on:\n  push: {{branches: [{case.branch.name}]}}",
    )


def _rights(case: _Case) -> None:
    title = "permissions of the gate"
    for job in case.workflow.gates:
        if job.permissions is None:
            reason = (
                f"Job `{job.id}` says no `permissions:`, so it gets the repository's default, which may be too little "
                "(no comment) and is more than it needs."
            )
            case.say("permissions", title, Verdict.WARN, reason, fix=_grant(job), at=job.id)
            return
        lacking = [k for k, level in _WANTED.items() if _LEVEL.get(job.permissions.get(k, ""), 0) < _LEVEL[level]]
        if lacking:
            unreadable = "contents" in lacking
            case.say(
                "permissions",
                title,
                Verdict.FAIL if unreadable else Verdict.WARN,
                f"Job `{job.id}` does not grant {some([f'{k}: {_WANTED[k]}' for k in lacking])}: "
                + ("it cannot check out the code." if unreadable else "verdicts stay in the log and the job summary."),
                fix=_grant(job),
                at=job.id,
            )
            return
    case.say("permissions", title, Verdict.PASS, "Its job grants what it needs.", at=case.workflow.gates[0].id)


def _grant(job: Job) -> str:
    rights = "\n".join(f"      {key}: {level}" for key, level in _WANTED.items())
    return f"jobs:\n  {job.id}:\n    permissions:\n{rights}"


def _swallowed(case: _Case) -> None:
    for job in case.workflow.gates:
        if job.swallowed:
            case.say(
                "continue_on_error",
                "continue-on-error",
                Verdict.WARN,
                f"Job `{job.id}` has `continue-on-error: true`: the gate can fail and the check is green. "
                "To try the gate out, set `mode: report` in mlgate.yaml.",
                fix=f"# remove from job {job.id}:\ncontinue-on-error: true",
                at=job.id,
            )


def _required(case: _Case) -> None:
    title = f"required check of {case.branch.name}"
    wanted = case.workflow.after[-1] if case.workflow.after else case.workflow.gates[0]
    name = _check_name(wanted)
    if case.branch.required is None:
        return  # the caller lists it among what was not run
    mine = case.required or []
    if not mine:
        others = f" (required now: {some(case.branch.required)})" if case.branch.required else ""
        case.say(
            "required",
            title,
            Verdict.WARN,
            f"No check of {case.workflow.file} is required on `{case.branch.name}`{others}: a pull request can be "
            "merged while the gate fails.",
            fix=f"Settings > Rules > Rulesets > {case.branch.name} > Require status checks to pass > Add: {name}",
            at=wanted.id,
        )
        return
    for context in mine:
        for job in case.workflow.after:
            if _shown_as(job, context) and not job.asks and _EVEN_THEN.search(job.condition):
                case.say(
                    "required",
                    title,
                    Verdict.FAIL,
                    f"Required check `{context}` is job `{job.id}`, which is green whatever the gate says.",
                    fix=f'jobs:\n  {job.id}:\n    steps:\n      - run: test "${{RESULT}}" = success\n        env:\n'
                    f"          RESULT: ${{{{ needs.{case.workflow.gates[0].id}.result }}}}",
                    at=job.id,
                )
                return
            if _shown_as(job, context) and not _EVEN_THEN.search(job.condition):
                case.say(
                    "required",
                    title,
                    Verdict.FAIL,
                    f"Required check `{context}` is job `{job.id}`, which is skipped when the gate fails, and a "
                    "skipped check counts as passed.",
                    fix=f"jobs:\n  {job.id}:\n    if: always()\n    # and let it fail unless needs.*.result is success",
                    at=job.id,
                )
                return
        for job in case.workflow.gates:
            if _shown_as(job, context) and job.condition and not _EVEN_THEN.search(job.condition):
                case.say(
                    "required",
                    title,
                    Verdict.WARN,
                    f"Required check `{context}` is job `{job.id}`, which has `if: {job.condition}`. Where that is "
                    "false the job is skipped, and a skipped check counts as passed.",
                    fix=f"# remove from job {job.id}:\nif: {job.condition}",
                    at=job.id,
                )
                return
    case.say("required", title, Verdict.PASS, f"{some(mine)} is required.", at=wanted.id)


def _shown_as(job: Job, context: str) -> bool:
    """Whether a check of that name comes from the job: itself, one of its matrix, or a job of the workflow it calls."""
    name = job.name.split("${{", 1)[0].rstrip() if "${{" in job.name else job.name
    if "${{" in job.name:
        return bool(name) and context.startswith(name)
    return context == name or context.startswith((f"{name} / ", f"{name} ("))


def _check_name(job: Job) -> str:
    return f"{job.name} / {CALLED_JOB}" if job.called else job.name


CALLED_JOB = "Judge"  # the last job of the reusable workflow
