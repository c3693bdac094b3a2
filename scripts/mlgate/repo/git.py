"""Git, read-only: commits as snapshots of files, and fetching what a shallow clone lacks.

Nothing here writes to the user's refs, index or working tree. Repository configuration that could run programs
(hooks, fsmonitor) is switched off, because the repository may come from a fork.
"""

from __future__ import annotations

import os
import re
import subprocess
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from mlgate.errors import MlgateError

FETCH_TIMEOUT = 600  # seconds
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_DEEPEN = ("50", "500", "5000")
LINK, SUBMODULE, FOLDER = "120000", "160000", "40000"


@dataclass(frozen=True)
class Entry:
    """One path of a commit: git's file mode and the blob id."""

    mode: str
    blob: str


@dataclass(eq=False)
class Snapshot:
    """The files of one commit. Blobs are read on demand, each once."""

    git: Git
    commit: str
    _texts: dict[str, bytes] = field(default_factory=dict, repr=False)

    @cached_property
    def files(self) -> dict[str, Entry]:
        return dict(self._walk(f"{self.commit}^{{tree}}", ""))

    def _walk(self, tree: str, prefix: str) -> Iterator[tuple[str, Entry]]:
        """A tree object is a row of "<mode> <name>\\0<raw id>"; read here, it costs no process."""
        data, at = self.git.blob(tree), 0
        size = len(self.commit) // 2
        while at < len(data):
            end = data.index(b"\0", at)
            mode, _, name = data[at:end].partition(b" ")
            at = end + 1 + size
            entry = Entry(mode.decode(), data[end + 1 : at].hex())
            path = f"{prefix}{_name(name)}"
            if entry.mode == FOLDER:
                yield from self._walk(entry.blob, f"{path}/")
            else:
                yield path, entry

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, None when the commit has none. A symbolic link is refused: it could point anywhere."""
        entry = self.files.get(path)
        if entry is None:
            return None
        if entry.mode == LINK:
            raise MlgateError(
                "is a symbolic link. mlgate reads only files that are in the commit itself.",
                file=path,
                fix="Commit the file in its place.",
            )
        if entry.mode == SUBMODULE:
            return None
        if entry.blob not in self._texts:
            self._texts[entry.blob] = self.git.blob(entry.blob)
        return self._texts[entry.blob]

    def below(self, folder: str) -> dict[str, Entry]:
        """The files under a folder, keyed by path relative to it."""
        prefix = f"{folder.rstrip('/')}/"
        return {p[len(prefix) :]: e for p, e in self.files.items() if p.startswith(prefix)}


class Git:
    """A repository. `fetch_env` holds credentials for `git fetch`; they stay in the environment."""

    def __init__(self, root: Path, fetch_env: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.fetch_env = dict(fetch_env or {})
        self._snapshots: dict[str, Snapshot] = {}
        self._counts: dict[tuple[str, str], int | None] = {}
        self._cat: subprocess.Popen[bytes] | None = None

    # -- running git -------------------------------------------------------------------------------------------------

    def _command(self, args: Iterable[str]) -> list[str]:
        return [
            "git",
            "-c",
            f"safe.directory={self.root}",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.quotePath=false",
            *args,
        ]

    @staticmethod
    def _environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", **(more or {})}

    def try_run(
        self, *args: str, env: Mapping[str, str] | None = None, timeout: float | None = None, given: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                self._command(args),
                cwd=self.root,
                env=self._environment(env),
                capture_output=True,
                input=given,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as error:
            raise MlgateError("git is not installed, or not on PATH.") from error
        except subprocess.TimeoutExpired as error:
            raise MlgateError(f"git {args[0]} did not finish within {timeout:.0f} s.") from error

    def run(self, *args: str) -> bytes:
        done = self.try_run(*args)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise MlgateError(f"git {args[0]} failed: {said[-1] if said else done.returncode}")
        return done.stdout

    def blob(self, sha: str) -> bytes:
        """The bytes of a blob. Raises MlgateError for one that is missing or damaged."""
        found = self._object(sha)
        if found is None:
            raise MlgateError(f"git object {sha[:12]} is missing or damaged.", fix="Run `git fsck`.")
        return found[1]

    def _object(self, name: str) -> tuple[str, bytes] | None:
        """Id and bytes of what a name stands for, all through one long-lived `git cat-file --batch`."""
        if "\n" in name:
            return None
        if self._cat is None:
            self._cat = subprocess.Popen(
                self._command(["cat-file", "--batch"]),
                cwd=self.root,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            weakref.finalize(self, _finish, self._cat)
        assert self._cat.stdin is not None  # noqa: S101 -- PIPE was asked for above
        assert self._cat.stdout is not None  # noqa: S101
        self._cat.stdin.write(f"{name}\n".encode())
        self._cat.stdin.flush()
        header = self._cat.stdout.readline().split()
        if len(header) != 3 or not header[2].isdigit():
            return None  # "<name> missing", "<name> ambiguous"
        data = self._cat.stdout.read(int(header[2]))
        self._cat.stdout.read(1)
        return header[0].decode(), data

    # -- commits -----------------------------------------------------------------------------------------------------

    def at(self, commit: str) -> Snapshot:
        return self._snapshots.setdefault(commit, Snapshot(self, commit))

    def head(self) -> str:
        sha = self.resolve("HEAD")
        if sha is None:
            raise MlgateError("this repository has no commit yet. A gate reads commits.", fix="Commit first.")
        return sha

    def resolve(self, ref: str) -> str | None:
        """The commit a ref names here, None when it names none."""
        found = self._object(f"{ref}^{{commit}}") if ref else None
        return found[0] if found else None

    def _header(self, commit: str) -> list[str]:
        found = self._object(commit)
        if found is None:
            raise MlgateError(f"commit {commit[:12]} is missing or damaged.", fix="Run `git fsck`.")
        return found[1].split(b"\n\n", 1)[0].decode(errors="replace").splitlines()

    def parents(self, commit: str) -> list[str]:
        """As written in the commit object, so they are known at the edge of a shallow clone too."""
        return [line.split()[1] for line in self._header(commit) if line.startswith("parent ")]

    def committed_at(self, commit: str) -> str:
        """ISO 8601 in UTC."""
        line = next((line for line in self._header(commit) if line.startswith("committer ")), "")
        seconds = line.rsplit(" ", 2)[-2:-1]
        return datetime.fromtimestamp(int(seconds[0]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""

    def is_ancestor(self, old: str, new: str) -> bool:
        return self.try_run("merge-base", "--is-ancestor", old, new).returncode == 0

    @cached_property
    def shallow(self) -> bool:
        return self.run("rev-parse", "--is-shallow-repository").strip() == b"true"

    def branch(self) -> str:
        """The branch that is checked out, empty when HEAD is detached."""
        done = self.try_run("symbolic-ref", "--quiet", "--short", "HEAD")
        return done.stdout.decode().strip()

    def default_branch(self) -> str:
        """What origin calls its default branch, else main or master if there is one, else empty."""
        done = self.try_run("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
        if done.returncode == 0:
            return done.stdout.decode().strip().removeprefix("origin/")
        for name in ("main", "master"):
            if self.resolve(f"refs/heads/{name}") or self.resolve(f"refs/remotes/origin/{name}"):
                return name
        return ""

    def remote_url(self, name: str = "origin") -> str:
        return self.try_run("config", "--get", f"remote.{name}.url").stdout.decode().strip()

    def is_branch(self, ref: str) -> bool:
        return bool(self.resolve(f"refs/heads/{ref}") or self.resolve(f"refs/remotes/origin/{ref}"))

    # -- fetching ----------------------------------------------------------------------------------------------------

    def _fetch(self, *args: str) -> subprocess.CompletedProcess[bytes]:
        done = self.try_run(
            "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", *args,
            env=self.fetch_env, timeout=FETCH_TIMEOUT,
        )  # fmt: skip
        self.__dict__.pop("shallow", None)
        self._cat = None  # the next one sees what was fetched
        return done

    def ensure(self, ref: str, *, fresh: bool = False) -> str:
        """The commit of a ref or id, fetched when this clone lacks it; `fresh` asks the remote for a branch first.

        Raises MlgateError when it can be had neither here nor from the remote.
        """
        if _SHA.fullmatch(ref):
            if self.resolve(ref):
                return ref
            wanted = [ref]
        else:
            found = None if fresh else (self.resolve(ref) or self.resolve(f"refs/remotes/origin/{ref}"))
            if found:
                return found
            wanted = [f"refs/heads/{ref}", f"refs/tags/{ref}", ref]
        said = b"there is no remote named origin"
        for name in wanted if self.remote_url() else []:
            # Depth only where the clone is shallow already: it would make a whole clone shallow.
            done = self._fetch(*(["--depth=1"] if self.shallow else []), "origin", name)
            if done.returncode == 0:
                sha = ref if _SHA.fullmatch(ref) else self.resolve("FETCH_HEAD")
                if sha and self.resolve(sha):
                    return sha
            said = done.stderr or said
        local = self.resolve(ref) or self.resolve(f"refs/remotes/origin/{ref}")
        if fresh and local:
            return local
        raise MlgateError(
            f"{ref!r} is not a commit of this clone and could not be fetched ({_why(said)}).",
            fix="Check the name, or check out with full history (GitHub: `fetch-depth: 0`; GitLab: `GIT_DEPTH: 0`).",
        )

    def merge_base(self, a: str, b: str) -> str | None:
        """Their merge base; a shallow clone is deepened until there is one. None for unrelated histories."""
        found = self._merge_base(a, b)
        for depth in _DEEPEN if self.shallow else ():
            if found:
                return found
            if self._fetch(f"--deepen={depth}", "origin", a, b).returncode != 0:
                break
            found = self._merge_base(a, b)
        if not found and self.shallow and self._fetch("--unshallow", "origin").returncode == 0:
            found = self._merge_base(a, b)
        if not found and self.shallow:
            raise MlgateError(
                f"the common ancestor of {a[:7]} and {b[:7]} lies beyond this shallow clone.",
                fix="Check out with full history (GitHub: `fetch-depth: 0`; GitLab: `GIT_DEPTH: 0`).",
            )
        return found

    def _merge_base(self, a: str, b: str) -> str | None:
        done = self.try_run("merge-base", a, b)
        return done.stdout.decode().split("\n")[0].strip() if done.returncode == 0 else None

    # -- the working tree --------------------------------------------------------------------------------------------

    def dirty(self) -> list[str]:
        """Tracked files that differ from HEAD."""
        out = self.run("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no")
        return sorted(_name(line[3:]) for line in out.split(b"\0") if line)

    def listed(self, patterns: Iterable[str], *, untracked: bool) -> list[str]:
        """Files of the index that match git globs (`models/*/mlgate.yaml`), and untracked ones when asked for."""
        return self._listed(patterns, *(["--others", "--exclude-standard"] if untracked else []))

    def listed_at(self, commit: str, patterns: Iterable[str]) -> list[str]:
        """Files of the index or of a commit that match git globs."""
        return self._listed(patterns, f"--with-tree={commit}")

    def _listed(self, patterns: Iterable[str], *options: str) -> list[str]:
        specs = [f":(top,glob){p}" for p in patterns]
        out = self.run("ls-files", "--full-name", "--cached", *options, "-z", "--", *specs)
        return sorted({_name(p) for p in out.split(b"\0") if p})

    def touched(self, commit: str, path: str, most: int) -> list[str]:
        """The last commits of a branch that changed a file or folder, newest first, merges as one change."""
        done = self.try_run("rev-list", "--first-parent", f"--max-count={most}", commit, "--", f":(top,literal){path}")
        return done.stdout.decode().split() if done.returncode == 0 else []

    def count_between(self, old: str, new: str) -> int | None:
        """Commits reachable from `new` and not from `old`; None where a shallow clone hides some."""
        if self.shallow:
            return None
        if (old, new) not in self._counts:
            done = self.try_run("rev-list", "--count", f"{old}..{new}")
            self._counts[old, new] = int(done.stdout) if done.returncode == 0 else None
        return self._counts[old, new]


def _name(raw: bytes) -> str:
    """A path as text that can be printed and filed, whatever its bytes are."""
    return raw.decode("utf-8", "backslashreplace")


def _why(stderr: bytes) -> str:
    """The line of git's complaint that says most: the first `fatal:`, else the last."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    return next((line for line in lines if line.startswith("fatal:")), lines[-1] if lines else "no answer")


def _finish(process: subprocess.Popen[bytes]) -> None:
    with process:
        process.terminate()


def discover(cwd: Path, fetch_env: Mapping[str, str] | None = None) -> Git:
    """The repository around `cwd`. Raises MlgateError outside of one."""
    done = Git(cwd).try_run("-c", "safe.directory=*", "rev-parse", "--show-toplevel", "--is-shallow-repository")
    top, _, shallow = os.fsdecode(done.stdout).rstrip("\n").rpartition("\n")
    if done.returncode != 0 or not top:
        raise MlgateError(
            f"{cwd} is not inside a git repository; mlgate judges commits.",
            fix="Run it in a clone (in a container job, check out first).",
        )
    git = Git(Path(top), fetch_env)
    git.__dict__["shallow"] = shallow == "true"  # asked for already; a fetch makes it ask again
    return git
