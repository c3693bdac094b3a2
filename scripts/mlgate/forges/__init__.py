"""The only room that knows `GITHUB_*`, `CI_*` and `GITLAB_*`: events, outputs, summaries, comments, statuses.

    forge = detect(os.environ)
    forge.event                                     # what started this run, in words both forges share
    forge.comment(markdown, verdict=Verdict.FAIL)   # Posted(url=..., said=...): never an exception

Base URLs come from `GITHUB_API_URL` and `CI_API_V4_URL`, so that GitHub Enterprise, Gitea, Forgejo and self-managed
GitLab work.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlgate.forges.base import Forge
from mlgate.forges.commands import quiet_commands
from mlgate.forges.cutting import cut
from mlgate.forges.http import Client, ForgeError
from mlgate.forges.nouns import Annotation, Posted, State, When
from mlgate.forges.sticky import VOLATILE

__all__ = [
    "VOLATILE",
    "Annotation",
    "Client",
    "Forge",
    "ForgeError",
    "Posted",
    "State",
    "When",
    "cut",
    "detect",
    "quiet_commands",
]


def detect(environ: Mapping[str, str]) -> Forge:
    """The forge this process runs on; never raises. Reading `.event` may.

    A runner can run inside another one (gitlab-ci-local in a GitHub job, act in a GitLab job), and then both sets of
    variables are there. act says so with ACT; without it, a complete GitLab job is the inner one. gitlab-ci-local sets
    GITLAB_CI to "false", so that variable alone decides nothing.
    """
    gitlab = environ.get("GITLAB_CI") == "true" or all(
        environ.get(name) for name in ("CI_API_V4_URL", "CI_PIPELINE_SOURCE", "CI_JOB_ID")
    )
    github = any(environ.get(name) == "true" for name in ("GITHUB_ACTIONS", "GITEA_ACTIONS", "FORGEJO_ACTIONS"))
    if github and (not gitlab or environ.get("ACT") == "true"):
        from mlgate.forges.github import GitHub  # noqa: PLC0415 - one forge is loaded, not three

        return GitHub(environ)
    if gitlab:
        from mlgate.forges.gitlab import GitLab  # noqa: PLC0415

        return GitLab(environ)
    from mlgate.forges.none import NoForge  # noqa: PLC0415

    return NoForge()
