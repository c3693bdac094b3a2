"""Whether a retraining could be started, proposed and judged here: workflows, tokens and checks that it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.config import Config
from mlgate.model import Check, Verdict
from mlgate.setup import github_workflows
from mlgate.setup.finding import finding
from mlgate.setup.gitlab_pipeline import DEVELOPER, Project
from mlgate.setup.reading import documents, mapping

INPUTS = ("trigger", "config")
_CALLED = re.compile(r"(?:^|/)\.github/workflows/model-retrain\.ya?ml(?:@|$)")
_STARTER = (
    "on:\n  workflow_dispatch:\n    inputs:\n"
    '      trigger: {type: string, default: ""}\n      config: {type: string, default: mlgate.yaml}'
)


@dataclass(frozen=True)
class Caller:
    """A workflow that retrains. `inputs`: those of its `workflow_dispatch`, None without that trigger; `events`: the
    types of its `repository_dispatch`; `token`: whether it hands over a token beside the job's own."""

    file: str
    inputs: frozenset[str] | None
    events: frozenset[str] = field(default_factory=frozenset)
    token: bool = False


def wanted(configs: Iterable[Config]) -> list[Config]:
    """The models of which anything asks for a successor."""
    return [config for config in configs if asks(config)]


def asks(config: Config) -> bool:
    rules = any(rule.retrain for rule in config.monitor.rules.values())
    return rules or config.retrain.new_data or config.retrain.every is not None


def callers(texts: Mapping[str, bytes]) -> list[Caller]:
    """The workflows among these files that call model-retrain.yml."""
    found = []
    for file, data in sorted(texts.items()):
        tops = documents(data)
        top = mapping(tops[0]) if tops else {}
        jobs = [mapping(job) for job in mapping(top.get("jobs")).values()]
        mine = [job for job in jobs if _CALLED.search(str(job.get("uses", "")))]
        if mine:
            found.append(_caller(file, top.get("on"), mine))
    return found


def _caller(file: str, on: Any, jobs: Sequence[Mapping[str, Any]]) -> Caller:
    triggers = mapping(on) if isinstance(on, dict) else {str(name): {} for name in on if isinstance(on, list)}
    triggers = {on: {}} if isinstance(on, str) else triggers
    inputs = None
    if "workflow_dispatch" in triggers:
        inputs = frozenset(mapping(mapping(triggers["workflow_dispatch"]).get("inputs")))
    types = mapping(triggers.get("repository_dispatch")).get("types") or []
    events = frozenset(str(one) for one in (types if isinstance(types, list) else [types]))
    given = [job.get("secrets") for job in jobs]
    token = any(secrets == "inherit" or "token" in mapping(secrets) for secrets in given)
    return Caller(file, inputs, events, token)


# -- GitHub ----------------------------------------------------------------------------------------------------------


def github(
    configs: Sequence[Config],
    texts: Mapping[str, bytes],
    gates: Sequence[github_workflows.Workflow],
    branch: github_workflows.Branch,
) -> list[Check]:
    """What is missing on GitHub; nothing where no model asks for a successor."""
    models = wanted(configs)
    if not models:
        return []
    found = callers(texts)
    checks = [check for config in models for check in _started(config, found)]
    checks.append(_judged(found, gates))
    if any(config.retrain.auto_merge for config in models):
        checks.append(_merged(found, branch))
    return checks


def _started(config: Config, found: Sequence[Caller]) -> list[Check]:
    dispatch = config.retrain.dispatch
    what, title = f"retrain.workflow.{config.model}", f"what retrains {config.model}"
    if dispatch.by == "workflow":
        path = f"{github_workflows.FOLDER}{dispatch.workflow}"
        there = next((one for one in found if one.file == path), None)
        if there is None:
            reason = f"There is no {path} that calls model-retrain.yml, so what asks for a successor starts nothing."
            fix = "Copy workflows/model-retrain.yml there."
            return [finding(what, title, Verdict.WARN, reason, fix=fix, file=config.file)]
        lacking = [name for name in INPUTS if there.inputs is None or name not in there.inputs]
        if lacking:
            reason = f"{path} cannot be started with {' and '.join(f'`{name}`' for name in lacking)}."
            return [finding(what, title, Verdict.WARN, reason, fix=_STARTER, file=path)]
        return [finding(what, title, Verdict.PASS, f"{path} is started with a trigger of the ledger.", file=path)]
    if dispatch.by == "repository" and not any(dispatch.event in one.events for one in found):
        reason = f"No workflow that calls model-retrain.yml listens to the event `{dispatch.event}`."
        fix = f"on:\n  repository_dispatch:\n    types: [{dispatch.event}]"
        return [finding(what, title, Verdict.WARN, reason, fix=fix, file=config.file)]
    if dispatch.by == "pipeline":
        reason = "`retrain.dispatch` starts a pipeline, which GitHub does not have."
        return [finding(what, title, Verdict.FAIL, reason, fix="retrain: {dispatch: workflow}", file=config.file)]
    return []


def _judged(found: Sequence[Caller], gates: Sequence[github_workflows.Workflow]) -> Check:
    what, title = "retrain.judged", "the gate of a retraining"
    if any(one.token for one in found):
        reason = "A token beside the job's own opens the pull request, so its gate starts by itself."
        return finding(what, title, Verdict.PASS, reason)
    gated = [workflow for workflow in gates if workflow.gates]
    if any("workflow_dispatch" in workflow.triggers for workflow in gated):
        reason = "The job's own token opens the pull request, so the gate is started on its branch."
        return finding(what, title, Verdict.PASS, reason)
    file = gated[0].file if gated else ""
    reason = (
        "The job's own token opens the pull request, for which GitHub starts no workflow, and the gate cannot be "
        "started on its branch either: nothing would judge it."
    )
    fix = "on:\n  workflow_dispatch:\n# or give model-retrain.yml the token of a GitHub App:\n#   secrets: {token: ...}"
    return finding(what, title, Verdict.WARN, reason, fix=fix, file=file)


def _merged(found: Sequence[Caller], branch: github_workflows.Branch) -> Check:
    what, title = "retrain.auto_merge", "auto_merge"
    if not any(one.token for one in found):
        reason = (
            "`auto_merge` needs a token beside the job's own: GitHub starts no workflow for what that one merges, so "
            f"{branch.name} would be neither judged nor deployed."
        )
        return finding(what, title, Verdict.WARN, reason, fix="secrets:\n  token: ${{ secrets.MLGATE_TOKEN }}")
    if branch.required is not None and not branch.required:
        reason = (
            f"`auto_merge` waits for required checks, and {branch.name} requires none: nothing is merged by itself."
        )
        return finding(what, title, Verdict.WARN, reason, fix=f"Require the check `Model gate` on {branch.name}.")
    return finding(what, title, Verdict.PASS, "What passes the required checks is merged by itself.")


# -- GitLab ----------------------------------------------------------------------------------------------------------


def gitlab(configs: Sequence[Config], settings: Project, *, asked: bool) -> list[Check]:
    """What is missing on GitLab. `asked`: whether the token could be asked, which only a job of the project can."""
    models = wanted(configs)
    if not models or not asked:
        return []
    what, title = "retrain.token", "GITLAB_TOKEN for retraining"
    fix = (
        "Settings > Access tokens > Add new token: role Developer, scopes api and write_repository\n"
        "Settings > CI/CD > Variables: GITLAB_TOKEN, masked, not protected, environment scope mlgate"
    )
    checks = []
    if settings.scopes is None:
        reason = (
            "There is no GITLAB_TOKEN here, and CI_JOB_TOKEN cannot open a merge request: no successor is proposed."
        )
        checks.append(finding(what, title, Verdict.WARN, reason, fix=fix))
    elif lacking := [scope for scope in ("api", "write_repository") if scope not in settings.scopes]:
        reason = f"GITLAB_TOKEN lacks the scope {' and '.join(f'`{scope}`' for scope in lacking)}."
        checks.append(finding(what, title, Verdict.WARN, reason, fix=fix))
    elif settings.access is not None and settings.access < DEVELOPER:
        reason = "GITLAB_TOKEN's role is below Developer, which a merge request needs."
        checks.append(finding(what, title, Verdict.WARN, reason, fix=fix))
    else:
        reason = "It can push a branch and open its merge request, whose pipeline starts by itself."
        checks.append(finding(what, title, Verdict.PASS, reason))
    if any(config.retrain.auto_merge for config in models) and settings.must_succeed is False:
        reason = "`auto_merge` waits for the pipeline, and this project lets a merge request be merged while it fails."
        fix = "Settings > Merge requests > Merge checks > Pipelines must succeed"
        checks.append(finding("retrain.auto_merge", "auto_merge", Verdict.WARN, reason, fix=fix))
    return checks
