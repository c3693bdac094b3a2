"""A worktree of a commit in a private folder: project code runs there, and nothing of the working tree is touched."""

from __future__ import annotations

import configparser
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.repo import project_dvc
from mlgate.repo.git import Git
from mlgate.repo.project_dvc import Dvc


@dataclass(frozen=True)
class Scratch:
    """`tree` is the worktree; `beside` is a folder for what must not lie in it."""

    tree: Path
    beside: Path
    homes: Mapping[str, Path]  # DVC's folders, relative to the repository -> where their cache is

    def forget_credentials(self) -> None:
        """After the pull: only the cache stays configured."""
        for home, cache in self.homes.items():
            _configure(self.tree / home, {"cache": {"dir": str(cache)}})


@contextmanager
def worktree(
    git: Git, commit: str, homes: Mapping[str, Dvc], environ: Mapping[str, str], prefix: str = "mlgate-"
) -> Iterator[Scratch]:
    """Check a commit out, sharing the DVC cache of the repository. Removed afterwards, whatever happens.

    `homes`: DVC's folders (relative to the repository) and the DVC that speaks for each. Raises MlgateError.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    tree = folder / "tree"
    try:
        done = git.try_run("worktree", "add", "--quiet", "--detach", "--force", str(tree), commit)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise MlgateError(f"a worktree of {commit[:7]} cannot be made ({said[-1] if said else 'no answer'}).")
        beside = folder / "beside"
        beside.mkdir()
        caches = {home: _share(git.root, tree, home, dvc, environ) for home, dvc in homes.items()}
        yield Scratch(tree, beside, caches)
    finally:
        git.try_run("worktree", "remove", "--force", "--force", str(tree))
        _remove(folder)
        git.try_run("worktree", "prune")


def _share(root: Path, tree: Path, home: str, dvc: Dvc, environ: Mapping[str, str]) -> Path:
    """Point the worktree's DVC at the repository's cache, and at its remotes where they are relative to it."""
    facts = project_dvc.config(dvc, root / home, environ)
    cache = Path(facts.get("cache.dir") or root / home / ".dvc" / "cache").absolute()
    local: dict[str, dict[str, str]] = _read(root / home / ".dvc" / "config.local")
    local.setdefault("cache", {})["dir"] = str(cache)
    for key, url in facts.items():
        if key.startswith("remote.") and key.endswith(".url") and url and "://" not in url:
            local.setdefault(f"'remote \"{key[len('remote.') : -len('.url')]}\"'", {})["url"] = url
    _configure(tree / home, local)
    return cache


def _read(file: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    with suppress(configparser.Error, OSError, UnicodeDecodeError):
        parser.read(file, "utf-8")
    return {name: dict(parser[name]) for name in parser.sections()}


def _configure(home: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    file = home / ".dvc" / "config.local"
    with suppress(OSError):
        file.unlink()  # a commit can have it as a link
    if not file.parent.is_dir() or file.parent.is_symlink():
        return
    lines = []
    for name, keys in sections.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in keys.items())]
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")


def _remove(folder: Path) -> None:
    """Also what project code made read-only, as DVC makes what it links."""

    def again(function: object, path: str, error: object) -> None:
        with suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
            os.unlink(path)

    shutil.rmtree(folder, onerror=again)
    shutil.rmtree(folder, ignore_errors=True)
