""".gitlab-ci.yml read as a file, and the project's settings: does every merge request get judged, and must it pass?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlgate.model import Check, Verdict
from mlgate.setup.finding import finding
from mlgate.setup.reading import documents, listing, mapping

FILE = ".gitlab-ci.yml"
_TEMPLATE = re.compile(r"(?:^|/)(?:ml-pipeline|compare)(?:\.gitlab-ci\.yml)?(?:@|$)")
_COMMAND = re.compile(r"(?:^|[\s;&|(])mlgate\s+(?:--\S+\s+)*compare\b")
_MERGE_REQUEST = re.compile(r"merge_request_event|\$\{?CI_MERGE_REQUEST_I?ID\b")
DEVELOPER = 30


@dataclass(frozen=True)
class Pipeline:
    """What .gitlab-ci.yml says. `merge_requests` is None where it leaves that to the jobs."""

    file: str
    gate: bool
    merge_requests: bool | None
    tolerated: tuple[str, ...] = ()  # jobs with allow_failure that the gate runs in


@dataclass(frozen=True)
class Project:
    """`GET /projects/:id` and `GET /personal_access_tokens/self`; None is not known."""

    must_succeed: bool | None = None
    skipped_passes: bool | None = None
    ci_file: str = ""
    access: int | None = None
    scopes: tuple[str, ...] | None = None
    expires: str = ""
    default_branch: str = ""


def project(raw: Any, token: Any) -> Project:
    """None for either where it could not be read."""
    data, mine = mapping(raw), mapping(token)
    rights = mapping(data.get("permissions"))
    levels = [mapping(rights.get(k)).get("access_level") for k in ("project_access", "group_access")]
    known = [level for level in levels if isinstance(level, int)]
    return Project(
        must_succeed=_known(data, "only_allow_merge_if_pipeline_succeeds"),
        skipped_passes=_known(data, "allow_merge_on_skipped_pipeline"),
        ci_file=str(data.get("ci_config_path") or ""),
        access=max(known) if known else None,
        scopes=tuple(str(s) for s in listing(mine.get("scopes"))) if mine else None,
        expires=str(mine.get("expires_at") or ""),
        default_branch=str(data.get("default_branch") or ""),
    )


def _known(data: dict[str, Any], key: str) -> bool | None:
    value = data.get(key)
    return value if isinstance(value, bool) else None


def read(file: str, data: bytes) -> Pipeline:
    """A file that is not YAML has no gate in it."""
    tops = [mapping(d) for d in documents(data)]
    top = tops[-1] if tops else {}
    jobs = {name: mapping(body) for name, body in top.items() if isinstance(body, dict)}
    own = {name for name, body in jobs.items() if _runs_gate(body)}
    included = any(_TEMPLATE.search(address) for address in _includes(top))
    tolerated = sorted(
        name
        for name, body in jobs.items()
        if body.get("allow_failure") is True
        and (name in own or (included and name.endswith(("compare", "report", "judge"))))
    )
    return Pipeline(
        file=file, gate=included or bool(own), merge_requests=_merge_requests(top), tolerated=tuple(tolerated)
    )


def _includes(top: dict[str, Any]) -> Iterator[str]:
    for entry in listing(top.get("include")):
        if isinstance(entry, str):
            yield entry
        for key in ("file", "remote", "local", "component", "template"):
            yield from (str(value) for value in listing(mapping(entry).get(key)))


def _runs_gate(job: dict[str, Any]) -> bool:
    lines = [*listing(job.get("script")), *listing(job.get("before_script"))]
    return any(isinstance(line, str) and _COMMAND.search(line) for line in lines)


def _merge_requests(top: dict[str, Any]) -> bool | None:
    for address in _includes(top):
        if address.startswith("Workflows/"):
            return "MergeRequest" in address
    workflow = mapping(top.get("workflow"))
    if "rules" not in workflow:
        return None
    for raw in listing(workflow["rules"]):
        rule = mapping(raw)
        condition = str(rule.get("if", ""))
        always = not condition and "changes" not in rule and "exists" not in rule
        if always or _MERGE_REQUEST.search(condition):
            return bool(rule.get("when") != "never")
    return False


def findings(pipeline: Pipeline | None, settings: Project) -> list[Check]:
    """What would happen on a merge request."""
    file = pipeline.file if pipeline else FILE
    if pipeline is None or not pipeline.gate:
        return [
            finding(
                "caller",
                "gate in the pipeline",
                Verdict.WARN,
                f"{file} does not include mlgate, so nothing judges a merge request.",
                fix="mlgate init --forge gitlab",
            )
        ]
    found = [finding("caller", "gate in the pipeline", Verdict.PASS, f"{file} includes it.", file=file)]
    found.append(_runs_on_merge_requests(pipeline))
    found += [
        finding(
            f"caller.allow_failure.{name}",
            "allow_failure",
            Verdict.WARN,
            f"Job `{name}` has `allow_failure: true`: the gate can fail and the pipeline is green. "
            "To try the gate out, set `mode: report` in mlgate.yaml.",
            fix=f"{name}:\n  allow_failure: false",
            file=file,
        )
        for name in pipeline.tolerated
    ]
    if settings.must_succeed is not None:
        found.append(_must_succeed(settings))
    return found


def _runs_on_merge_requests(pipeline: Pipeline) -> Check:
    title = "merge requests"
    if pipeline.merge_requests is False:
        return finding(
            "caller.merge_requests",
            title,
            Verdict.FAIL,
            f"`workflow: rules:` of {pipeline.file} starts no pipeline for merge requests, so the gate never sees one.",
            fix="workflow:\n  rules:\n    - if: $CI_PIPELINE_SOURCE == 'merge_request_event'\n"
            "    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
            file=pipeline.file,
        )
    said = "`workflow: rules:` allows it." if pipeline.merge_requests else "The template's own rules start it."
    return finding("caller.merge_requests", title, Verdict.PASS, said, file=pipeline.file)


def _must_succeed(settings: Project) -> Check:
    title = "merge checks"
    where = "Settings > Merge requests > Merge checks > "
    if not settings.must_succeed:
        return finding(
            "required",
            title,
            Verdict.WARN,
            "The project lets a merge request be merged while its pipeline fails.",
            fix=f"{where}Pipelines must succeed",
        )
    if settings.skipped_passes:
        return finding(
            "required",
            title,
            Verdict.WARN,
            "A skipped pipeline counts as passed in this project: `[skip ci]` in a commit message skips the gate.",
            fix=f"{where}switch off: Skipped pipelines are considered successful",
        )
    return finding("required", title, Verdict.PASS, "Pipelines must succeed.")


def token(settings: Project) -> Check | None:
    """Whether GITLAB_TOKEN can write the note and the statuses; None when that could not be asked."""
    if settings.scopes is None:
        return None
    title = "GITLAB_TOKEN"
    fix = (
        "Settings > Access tokens > Add new token: role Developer, scope api\n"
        "Settings > CI/CD > Variables: GITLAB_TOKEN, masked, not protected, environment scope mlgate"
    )
    if "api" not in settings.scopes:
        reason = f"GITLAB_TOKEN has the scopes {', '.join(settings.scopes) or '(none)'}; a note needs `api`."
        return finding("rights.token", title, Verdict.WARN, reason, fix=fix)
    if settings.access is not None and settings.access < DEVELOPER:
        reason = "GITLAB_TOKEN's role is below Developer, which a note needs."
        return finding("rights.token", title, Verdict.WARN, reason, fix=fix)
    until = f" It expires on {settings.expires}." if settings.expires else ""
    return finding("rights.token", title, Verdict.PASS, f"It has the scope `api`.{until}")
