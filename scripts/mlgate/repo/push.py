"""`git push` to one branch, with the credentials in the environment and refusals told apart."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlgate.errors import MlgateError
from mlgate.repo.git import FETCH_TIMEOUT, Git

Why = Literal["moved", "protected", "forbidden", "unauthenticated", "unreachable", "refused"]

TRIES = 3
# The first that fits decides. Servers answer in English: LC_ALL is C, and forges do not translate.
_WORDS: tuple[tuple[Why, str], ...] = (
    ("moved", r"stale info|fetch first|non-fast-forward|cannot lock ref|reference already exists|needs force"),
    ("protected", r"GH006|GH013|rule violations|protected branch|branch is protected|not allowed to force push"),
    ("unauthenticated", r"Authentication failed|could not read (Username|Password)|error: 401|Access denied"),
    (
        "forbidden",
        r"error: 40[34]|Write access to repository not granted|[Pp]ermission to .* denied|not allowed to (push|upload)"
        r"|Repository not found|without `workflows?` permission|does not have permission",
    ),
    (
        "unreachable",
        r"Could not resolve|Failed to connect|Couldn't connect|timed out|Connection (refused|reset)|error: 5\d\d"
        r"|SSL|certificate|unexpected disconnect|hung up|early EOF|No route to host|Could not read from remote",
    ),
)


@dataclass(frozen=True)
class Identity:
    """Who a commit is by."""

    name: str
    email: str


@dataclass(frozen=True)
class Remote:
    """Where to push, and the environment that lets git in. The address holds no secret."""

    url: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


class PushError(MlgateError):
    """The push did not happen. `said` is what the server said about it, on one line."""

    def __init__(self, why: Why, said: str) -> None:
        super().__init__(f"the push did not succeed ({said}).")
        self.why = why
        self.said = said


def tip(git: Git, remote: Remote, branch: str) -> str:
    """The commit that a branch of the remote is at, "" when there is no such branch. Raises PushError."""
    ref = f"refs/heads/{branch}"
    out = _try(git, remote, "ls-remote", "--quiet", remote.url, ref)
    return next((line.split("\t")[0] for line in out.splitlines() if line.endswith(f"\t{ref}")), "")


def listed(git: Git, remote: Remote, patterns: Sequence[str]) -> str:
    """What `git ls-remote` says: a line for each ref, and one for what an annotated tag is on. Raises PushError."""
    return _try(git, remote, "ls-remote", "--quiet", remote.url, *patterns)


def push_tag(git: Git, remote: Remote, tag_object: str, name: str) -> None:
    """Add a tag. Raises PushError; `moved` when there is one of that name already."""
    ref = f"refs/tags/{name}"
    _try(
        git, remote, "push", "--porcelain", "--no-verify", "--no-follow-tags", "--no-signed",
        "--recurse-submodules=no", f"--force-with-lease={ref}:", remote.url, f"{tag_object}:{ref}",
    )  # fmt: skip


def bring(git: Git, remote: Remote, branch: str) -> None:
    """Fetch the commits of a branch, and note them nowhere. Raises PushError."""
    depth = ["--depth=10"] if git.shallow else []
    _try(
        git, remote, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", *depth,
        remote.url, f"refs/heads/{branch}",
    )  # fmt: skip


def push(
    git: Git,
    remote: Remote,
    commit: str,
    branch: str,
    *,
    instead_of: str,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Let a branch be at a commit. Raises PushError; `moved` when the branch is not where it was thought to be.

    It is replaced if it is at `instead_of` ("": if there is none), and only then.
    """
    ref = f"refs/heads/{branch}"
    _try(
        git, remote, "push", "--porcelain", "--no-verify", "--no-follow-tags", "--no-signed",
        "--recurse-submodules=no", f"--force-with-lease={ref}:{instead_of}", remote.url, f"{commit}:{ref}", sleep=sleep,
    )  # fmt: skip


def _try(git: Git, remote: Remote, *args: str, sleep: Callable[[float], None] = time.sleep) -> str:
    for attempt in range(1, TRIES + 1):
        # No helper and no question: the credentials are those given, and they are stored nowhere.
        quiet = {"GIT_ASKPASS": "", "SSH_ASKPASS": "", "GIT_TRACE_REDACT": "1"} if remote.env else {}
        done = git.try_run(*args, env={**quiet, **remote.env}, timeout=FETCH_TIMEOUT)
        if done.returncode == 0:
            return done.stdout.decode(errors="replace")
        error = classify(done.stdout.decode(errors="replace") + "\n" + done.stderr.decode(errors="replace"))
        if error.why != "unreachable" or attempt == TRIES:
            raise error
        sleep(float(attempt))
    raise AssertionError("unreachable")  # pragma: no cover


def classify(said: str) -> PushError:
    """Why a push was refused, from all that git printed."""
    why: Why = next((why for why, words in _WORDS if re.search(words, said)), "refused")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    remote = [re.sub(r"^remote: ?(error: |GitLab: )?", "", line) for line in lines if line.startswith("remote:")]
    rejected = [line.split("\t")[-1] for line in lines if line.startswith("!\t")]
    fatal = [line for line in lines if line.startswith("fatal:")]
    words = [line for line in remote if line.strip(" =*-")] or rejected or fatal or lines[-1:] or ["no answer"]
    text = " ".join("".join(c if c.isprintable() else " " for c in " ".join(words)).split())
    return PushError(why, (text[:299] + "…" if len(text) > 300 else text).rstrip("."))
