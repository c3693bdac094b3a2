"""One commit of what training made, built from objects alone: neither the working tree nor the index is touched.

The message carries trailers, by which later runs know the commit again: whose model it trained, on which commit, from
which inputs (a digest of all files that training does not make), and which tree it has. A commit that somebody amended,
rebased or put something on top of is no longer what its trailers say.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.repo.git import Git, Snapshot
from mlgate.repo.owned import Owned
from mlgate.repo.push import Identity

_TRAILER = re.compile(r"^Mlgate-(Train|Base|Inputs|Tree): ?(\S+)\s*$", re.MULTILINE)
_MADE = ("lock", "ignore", "metrics", "output")
_LOOK_BACK = 50  # commits of ours in a row: as many models may take turns


@dataclass(frozen=True)
class Built:
    """A commit that exists in this clone and nowhere else yet."""

    commit: str
    tree: str
    base: str


@dataclass(frozen=True)
class Mark:
    """What the trailers of a commit of ours say."""

    models: tuple[str, ...]
    base: str
    inputs: str
    tree: str


def build(
    git: Git,
    base: str,
    files: Mapping[str, bytes | None],
    *,
    title: str,
    models: Sequence[str],
    by: Identity,
    now: int,
    run_url: str = "",
    configs: Sequence[str] = (),
) -> Built | None:
    """A child of `base` with these files (None: deleted), or None when its tree would be the same.

    `now` is in seconds since 1970: the same arguments give the same commit.
    """
    tree = _tree(git, base, files)
    if tree == _tree_of(git, base):
        return None
    lines = [f"Mlgate-Train: {model}" for model in models]
    inputs = _inputs(Snapshot(git, tree), configs)
    lines += [f"Mlgate-Base: {base}", f"Mlgate-Inputs: {inputs}", f"Mlgate-Tree: {tree}"]
    if run_url.isprintable() and " " not in run_url and run_url:
        lines.append(f"Mlgate-Run: {run_url}")
    message = f"{title}\n\n" + "\n".join(lines) + "\n"
    who = {"NAME": by.name, "EMAIL": by.email, "DATE": f"@{now} +0000"}
    env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    commit = _run(git, "commit-tree", tree, "-p", base, env=env, given=message.encode())
    return Built(commit, tree, base)


def _tree(git: Git, base: str, files: Mapping[str, bytes | None]) -> str:
    """The tree of a commit with some files replaced. All of it happens in an index of its own."""
    with tempfile.TemporaryDirectory(prefix="mlgate-commit-") as name:
        folder = Path(name)
        env = {"GIT_INDEX_FILE": str(folder / "index")}
        kept = {path: data for path, data in files.items() if data is not None}
        for number, data in enumerate(kept.values()):
            (folder / str(number)).write_bytes(data)
        paths = "".join(f"{folder / str(number)}\n" for number in range(len(kept)))
        # Without filters: what a proposal holds is what git stores, whatever attributes and line ends are set here.
        hashed = _run(git, "hash-object", "-w", "--no-filters", "--stdin-paths", given=paths.encode()).split()
        blobs = dict(zip(kept, hashed, strict=True))
        gone = "0" * len(base)
        entries = [f"100644 {blobs[path]}\t{path}" if path in blobs else f"0 {gone}\t{path}" for path in sorted(files)]
        _run(git, "read-tree", base, env=env)
        listed = "".join(f"{entry}\0" for entry in entries)
        _run(git, "update-index", "-z", "--index-info", env=env, given=listed.encode())
        return _run(git, "write-tree", "--missing-ok", env=env)


def _run(git: Git, *args: str, env: Mapping[str, str] | None = None, given: bytes = b"") -> str:
    plain = {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "core.splitIndex", "GIT_CONFIG_VALUE_0": "false"}
    plain |= {"GIT_CONFIG_KEY_1": "i18n.commitEncoding", "GIT_CONFIG_VALUE_1": "utf-8"}
    done = git.try_run(*args, env={**plain, **(env or {})}, given=given)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise MlgateError(f"the commit could not be made: git {args[0]}: {said[-1] if said else done.returncode}")
    return done.stdout.decode().strip()


def _tree_of(git: Git, commit: str) -> str:
    return git.run("rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}").decode().strip()


def inputs(git: Git, commit: str, configs: Sequence[str] = ()) -> str:
    """A digest of all files of a commit that training does not make."""
    return _inputs(git.at(commit), configs)


def _inputs(snapshot: Snapshot, configs: Sequence[str]) -> str:
    owned = Owned(snapshot, tuple(configs))
    digest = hashlib.sha256()
    for path, entry in sorted(snapshot.files.items()):
        kind = ""
        with suppress(MlgateError):
            kind = owned.kind(path)
        if kind not in _MADE:
            digest.update(f"{entry.mode} {entry.blob} {path}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


# -- knowing them again ----------------------------------------------------------------------------------------------


def mark(git: Git, commit: str) -> Mark | None:
    """What the trailers of a commit say, None where it has none. They survive squashing, and prove nothing."""
    message = git.run("cat-file", "commit", commit).decode(errors="replace").partition("\n\n")[2]
    found: dict[str, list[str]] = {}
    for key, value in _TRAILER.findall(message.partition("\n")[2]):
        found.setdefault(key, []).append(value)
    if "Train" not in found or "Inputs" not in found:
        return None
    base, tree = found.get("Base", [""])[-1], found.get("Tree", [""])[-1]
    return Mark(tuple(found["Train"]), base, found["Inputs"][-1], tree)


def is_ours(git: Git, commit: str) -> bool:
    """Whether a commit is still what we made: amended, rebased or merged into, it is somebody else's."""
    said = mark(git, commit)
    return said is not None and git.parents(commit) == [said.base] and _tree_of(git, commit) == said.tree


def trained(git: Git, head: str, models: Sequence[str], configs: Sequence[str] = ()) -> str:
    """The commit of ours that trained one of these models from the inputs that `head` has; "" when there is none.

    It is `head`, what `head` merges, or below it with nothing but commits of ours between: then one more commit would
    be followed by yet another, for ever.
    """
    now = ""
    queue, seen = [head], 0
    while queue and seen < _LOOK_BACK:
        commit = queue.pop(0)
        seen += 1
        if not git.resolve(commit):
            with suppress(MlgateError):  # beyond a shallow clone
                git.ensure(commit)
        if not git.resolve(commit):
            continue
        said = mark(git, commit)
        parents = git.parents(commit)
        if said is None:
            queue += parents if commit == head and len(parents) > 1 else []
            continue
        now = now or inputs(git, head, configs)
        if said.inputs == now:
            if set(said.models) & set(models):
                return commit
            queue += parents
    return ""


def foreign(git: Git, tip: str, base: str) -> list[str]:
    """The commits of a branch that are not ours, in words, newest first and at most five; none: it may be replaced.

    It may when it holds one commit of ours, made on `base` or on a commit before it.
    """
    said = mark(git, tip)
    if said is not None and is_ours(git, tip):
        with suppress(MlgateError):  # a common ancestor beyond reach is one that cannot be checked
            if said.base == base or git.merge_base(said.base, base) == said.base:
                return []
    done = git.try_run("log", "--no-show-signature", "--format=%h %s (%an)", "-5", tip, "--not", base)
    lines = done.stdout.decode(errors="replace").splitlines() or [tip[:7]]
    return [" ".join("".join(c if c.isprintable() else " " for c in line).split())[:120] for line in lines]
