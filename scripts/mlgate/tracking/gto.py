"""Versions as git tags in GTO's grammar: a registry that needs no server, and that `gto show` reads.

    visits@v1.2.0             a version, on the model's commit
    visits#production#3       the third assignment; the version on that commit is the one in production

Tags are annotated, and only ever added: nothing is moved or deleted. Two jobs that write the same tag at once write the
same object, or the second one sees that the first was quicker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mlgate.errors import MlgateError
from mlgate.repo import push
from mlgate.repo.git import Git
from mlgate.repo.push import Identity, PushError, Remote

_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9-/_]*[a-zA-Z0-9])?"
_SEMVER = r"v(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9a-zA-Z-.]+)?(?:\+[0-9a-zA-Z-.]+)?"
_TAG = re.compile(
    rf"(?P<name>(?:[a-zA-Z0-9-_./]+=)?{_NAME})(?:#(?P<stage>{_NAME})|@(?P<version>{_SEMVER}))(?P<cancel>!?)"
    r"(?:#(?P<counter>[0-9]+))?"
)
_TRIES = 20


@dataclass(frozen=True)
class Tag:
    """One tag of the grammar: a version, or an assignment to a stage; `cancel` takes it back."""

    name: str
    version: str = ""
    stage: str = ""
    cancel: bool = False
    counter: int = 0

    @classmethod
    def parse(cls, text: str) -> Tag | None:
        found = _TAG.fullmatch(text)
        if found is None:
            return None
        counter = int(found["counter"] or 0)
        return cls(found["name"], found["version"] or "", found["stage"] or "", bool(found["cancel"]), counter)


@dataclass(frozen=True)
class Seen:
    """The annotated tags of one name: tag -> the commit it is on. GTO does not count others."""

    name: str
    tags: Mapping[str, str]

    def _of(self) -> list[tuple[Tag, str]]:
        found = ((Tag.parse(text), commit) for text, commit in self.tags.items())
        return [(tag, commit) for tag, commit in found if tag is not None and tag.name == self.name]

    @property
    def versions(self) -> dict[str, str]:
        """Every version that a tag was ever made for, with its commit: those taken back, too."""
        return {tag.version: commit for tag, commit in self._of() if tag.version}

    def at(self, commit: str) -> str:
        """The version on a commit, empty where there is none."""
        back = {tag.version for tag, _ in self._of() if tag.version and tag.cancel}
        there = [tag.version for tag, at in self._of() if tag.version and at == commit and tag.version not in back]
        return there[-1] if there else ""

    def stage(self, stage: str) -> str:
        """The commit that is in a stage now, empty for none: what the highest number says."""
        mine = sorted((tag.counter, tag.cancel, at) for tag, at in self._of() if tag.stage == stage)
        return mine[-1][2] if mine and not mine[-1][1] else ""

    @property
    def counter(self) -> int:
        """The highest number: GTO counts per name, over all its stages."""
        return max((tag.counter for tag, _ in self._of()), default=0)


class Tags:
    """The tags of a remote, or those of this clone where there is no `remote`."""

    def __init__(self, git: Git, remote: Remote | None, by: Identity) -> None:
        self._git = git
        self._remote = remote
        self._by = by

    def seen(self, name: str) -> Seen:
        """What there is of a name. Raises MlgateError when it cannot be asked."""
        patterns = [f"refs/tags/{name}@*", f"refs/tags/{name}#*"]
        if self._remote is None:
            told = self._git.run("for-each-ref", "--format=%(*objectname) %(refname)^{}", *patterns).decode()
            lines = [line.partition(" ") for line in told.splitlines()]
        else:
            try:
                told = push.listed(self._git, self._remote, patterns)
            except PushError as error:
                raise MlgateError(
                    f"the tags of this repository cannot be read: {error.said}.",
                    fix="Check the network and the credentials of this job.",
                ) from None
            lines = [line.partition("\t") for line in told.splitlines()]
        # Only of an annotated tag is there a commit behind it.
        peeled = {ref: commit for commit, _, ref in lines if commit and ref.endswith("^{}")}
        return Seen(name, {ref.removeprefix("refs/tags/").removesuffix("^{}"): c for ref, c in peeled.items()})

    def register(self, name: str, version: str, commit: str, message: str, *, at: str) -> tuple[str, bool]:
        """The tag of a version, and whether this call made it. `at`: the moment it was registered (ISO 8601, UTC).

        Raises MlgateError where that version is another commit's, or the tag cannot be written.
        """
        tag = f"{name}@{version}"
        there = self.seen(name).tags.get(tag, "")
        if not there and self._put(tag, commit, message, int(datetime.fromisoformat(at).timestamp())):
            return tag, True
        there = there or self.seen(name).tags.get(tag, "")
        if there != commit:
            where = f"is on the commit {there[:7]}" if there else "is there, and is no annotated tag"
            raise MlgateError(
                f"the tag {tag} {where}, and this model is from {commit[:7]}: nothing was moved.",
                fix="Tags of versions are not moved: delete that one if it was made by mistake, then run this again.",
            )
        return tag, False

    def assign(self, name: str, stage: str, commit: str, message: str) -> tuple[str, bool]:
        """Lets the version on a commit be the one of a stage, by one more tag; nothing where it is that already.

        Returns the tag that says so (empty where it was one of before), and whether this call made it.
        """
        for _ in range(_TRIES):
            seen = self.seen(name)
            if seen.stage(stage) == commit:
                return "", False
            tag = f"{name}#{stage}#{seen.counter + 1}"
            if self._put(tag, commit, message, int(datetime.now(UTC).timestamp())):
                return tag, True
        raise MlgateError(f"the stage {stage} of {name} was not assigned: others were quicker each time.")

    def _put(self, tag: str, commit: str, message: str, when: int) -> bool:
        """Writes a tag that is not there. False where it is, meanwhile."""
        self._git.ensure(commit)
        who = f"{_plain(self._by.name)} <{_plain(self._by.email)}>"
        text = f"object {commit}\ntype commit\ntag {tag}\ntagger {who} {when} +0000\n\n{message}\n"
        made = self._git.try_run("mktag", given=text.encode())
        if made.returncode != 0:
            raise MlgateError(f"the tag {tag} could not be made: {made.stderr.decode(errors='replace').strip()[:200]}")
        sha, ref = made.stdout.decode().strip(), f"refs/tags/{tag}"
        if self._remote is None:
            none = "0" * len(sha)
            return self._git.try_run("update-ref", "--create-reflog", ref, sha, none).returncode == 0
        try:
            push.push_tag(self._git, self._remote, sha, tag)
        except PushError as error:
            if error.why == "moved":
                return False
            raise _refused(error, tag) from None
        return True


def _refused(error: PushError, tag: str) -> MlgateError:
    said = f"the tag {tag} was not pushed ({error.said})"
    if error.why in ("protected", "refused"):
        return MlgateError(
            f"{said}: a rule or a hook of the server protects tags of that name.",
            fix=f"Let this job's token create tags like {tag.partition('@')[0].partition('#')[0]}@* there.",
        )
    if error.why in ("forbidden", "unauthenticated"):
        return MlgateError(
            f"{said}: the token may not write.",
            fix="GitHub: `permissions: contents: write`. GitLab: GITLAB_TOKEN with the scope `write_repository`.",
        )
    return MlgateError(f"{said}.", fix="Run it again.")


def problem(name: str) -> str:
    """Why a name cannot be a tag's, empty where it can."""
    if re.fullmatch(_NAME, name):
        return ""
    return f"{name!r} cannot be the name of git tags: GTO takes letters, digits, `-`, `_` and `/` only"


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable() and c not in "<>").strip() or "mlgate-bot"
