"""Committed files by their digest: where they are on this machine, and how they are handed to the judge.

A file is only ever given out after its bytes were hashed, wherever it lies. The judge on a fresh runner is `strict`:
it takes what is in git's own objects, and what the run job put into the inputs folder. That folder comes from a job
that ran the project's code, so that nothing in it is followed or believed: a link is refused, and so is a file whose
bytes are not what its name says.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlgate.errors import MlgateError
from mlgate.model import Named
from mlgate.repo import content
from mlgate.repo.git import Snapshot
from mlgate.repo.project_dvc import folder_of

FOLDER = ".mlgate/inputs"
MOST = 32 * 2**30  # octets of one file: more cannot be hashed and read in the time of a job
_HEX = {"dvc-md5": re.compile(r"[0-9a-f]{32}"), "sha256": re.compile(r"[0-9a-f]{64}")}
_LFS = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:[^\n]*\n)*?oid sha256:([0-9a-f]{64})\n")


def name(named: Named) -> str:
    """What a file is called in the inputs folder: `dvc-md5-<hex>` or `sha256-<hex>`.

    Raises MlgateError for a folder, and for a file whose digest is not known.
    """
    for kind, pattern in _HEX.items():
        found = named.digest.get(kind, "")
        if pattern.fullmatch(found):
            return f"{kind}-{found}"
    if "git-tree-sha256" in named.digest or any(value.endswith(".dir") for value in named.digest.values()):
        raise MlgateError(
            "is a folder, and rows are joined from files.", file=named.name,
            fix="Write one file; beside a folder of data, name a file with the labels: `evaluate.<name>.labels`.",
        )  # fmt: skip
    if named.digest:
        raise MlgateError(
            f"is known by {', '.join(sorted(named.digest))} only, not by the digest of its bytes.", file=named.name,
            fix="Import it into DVC's cache: `dvc import-url` without `--no-download`, or `dvc add`.",
        )  # fmt: skip
    raise MlgateError("is known to neither DVC nor git.", file=named.name, fix="Track it with DVC.")


def find(
    path: str,
    named: Named,
    *,
    root: Path,
    snapshot: Snapshot | None = None,
    caches: Sequence[Path] = (),
    folder: Path | None = None,
    strict: bool = False,
    legacy: bool = False,
) -> Path | None:
    """Where the bytes of this digest are: `path` in the repository `root`, in a cache of DVC's, in the inputs folder
    `folder`, or in the commit itself; None when they are nowhere.

    `strict`: in the commit or the inputs folder only. `legacy`: DVC 2 gave the digest, for which CRLF is LF. A file of
    the commit is written to a private folder, which is removed when the process ends. Raises MlgateError like `name`,
    and for something in the inputs folder that should not be there.
    """
    called = name(named)
    blob = _blob(snapshot, path)
    wanted = _wanted(named.digest, blob)
    if not strict:
        for place in (root / path, *_cached(wanted, caches), *_lfs(wanted, root)):
            if _is_file(place) and _holds(place, wanted, legacy=legacy):
                return place
    if folder is not None and (handed := _handed(folder, called)) is not None:
        if not _holds(handed, wanted, legacy=legacy):
            raise MlgateError(
                f"is not {path}: its bytes do not have the digest that its name says.", file=handed.name,
                fix="Run the job that made the inputs again.",
            )  # fmt: skip
        return handed
    if blob is not None and _LFS.match(blob) is None:
        made = _private() / called
        made.write_bytes(blob)
        return made if _holds(made, wanted, legacy=legacy) else None
    return None


def made(folder: Path, relative: str, sha256: str) -> Path | None:
    """A file that the run job made: `relative` in the inputs folder, with the digest that its evidence lists.

    None when it is not there. Raises MlgateError for a link on the way, and for other bytes.
    """
    found = _handed(folder, relative)
    if found is not None and not _holds(found, {"sha256": sha256}):
        raise MlgateError(
            "does not have the digest that the evidence of the run job lists.", file=relative,
            fix="Run the job that made the inputs again.",
        )  # fmt: skip
    return found


def give(folder: Path, path: Path, named: Named, *, snapshot: Snapshot | None = None, legacy: bool = False) -> Path:
    """Puts a file into the inputs folder under its digest: linked where nobody writes to it any more, else copied.

    It appears whole or not at all. `snapshot` is the commit that names it, for files in Git LFS. Raises MlgateError
    like `name`, and for a file with another digest.
    """
    target = folder / name(named)
    real = Path(os.path.realpath(path))
    if not _is_file(real):
        raise MlgateError("is no file that can be handed to the judge.", file=named.name)
    temporary = folder / f".{target.name}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _copied(real, temporary)
        if not _holds(temporary, _wanted(named.digest, _blob(snapshot, named.name)), legacy=legacy):
            raise MlgateError(
                "is not the committed file: it was changed.", file=named.name, fix="Run `dvc checkout`, or commit it."
            )
        os.replace(temporary, target)
    except OSError as error:
        raise MlgateError(
            f"cannot be put into {folder} ({error.strerror or error}).", file=named.name, fix="Make room."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return target


def _copied(path: Path, target: Path) -> None:
    """A link to a file that project code may still write to would change with it."""
    if not path.stat().st_mode & 0o222:
        try:
            os.link(path, target)
        except OSError:  # another disk, or another owner
            pass
        else:
            return
    shutil.copyfile(path, target)


def is_lfs(blob: bytes) -> bool:
    """Whether git has a pointer of Git LFS here, and not the file itself."""
    return _LFS.match(blob) is not None


def caches(root: Path, path: str) -> list[Path]:
    """The folders in which DVC may keep a file of the repository: `cache.dir` of its configuration, and its own."""
    nearest = folder_of(root, os.path.dirname(path))
    if nearest is None:
        return []
    own = root / nearest / ".dvc"
    found = [own / "cache"]
    for file in ("config", "config.local"):
        told = _cache_dir(own / file)
        if told:
            found.insert(0, Path(os.path.normpath(own / os.path.expanduser(told))))
    return list(dict.fromkeys(found))


def _cache_dir(file: Path) -> str:
    """`dir` of the section `cache`: relative to the file that says it."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    section = found = ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line.strip("[]").strip("'\" ").lower()
        elif section == "cache" and (pair := re.fullmatch(r"dir\s*=\s*(.*)", line)):
            found = pair[1].strip().strip("'\"")
    return found


def _cached(wanted: Mapping[str, str], folders: Sequence[Path]) -> list[Path]:
    """The places of a digest in caches: of DVC 3, and of DVC 2."""
    md5 = wanted.get("dvc-md5")
    return [folder / layout / md5[:2] / md5[2:] for folder in folders for layout in ("files/md5", "") if md5]


def _lfs(wanted: Mapping[str, str], root: Path) -> list[Path]:
    found = wanted.get("sha256", "")
    return [root / ".git" / "lfs" / "objects" / found[:2] / found[2:4] / found] if found else []


def _blob(snapshot: Snapshot | None, path: str) -> bytes | None:
    return snapshot.read(path) if snapshot is not None else None


def _wanted(digest: Mapping[str, str], blob: bytes | None) -> Mapping[str, str]:
    """What the bytes must have. Of a file in Git LFS, git has a pointer that says it."""
    pointer = _LFS.match(blob) if blob is not None and "dvc-md5" not in digest else None
    return {"sha256": pointer[1].decode()} if pointer else digest


def _handed(folder: Path, relative: str) -> Path | None:
    """A file of the inputs folder, to which no link leads."""
    place = folder
    parts = Path(relative).parts
    if not parts or ".." in parts or Path(relative).is_absolute():
        raise MlgateError(f"{relative!r} is no place in the inputs folder.", file=str(folder))
    for part in ("", *parts):
        place = place / part
        try:
            mode = place.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise MlgateError(f"cannot be read ({error.strerror or error}).", file=str(place)) from error
        if stat.S_ISLNK(mode):
            raise MlgateError("is a link, which no job puts into the inputs folder.", file=str(place), fix="Remove it.")
    if not stat.S_ISREG(mode):
        raise MlgateError("is no file, and no job puts such into the inputs folder.", file=str(place), fix="Remove it.")
    return place


def _is_file(path: Path) -> bool:
    """Whether it, or what it links to, is a plain file: nothing that waits or never ends."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _holds(path: Path, wanted: Mapping[str, str], *, legacy: bool = False) -> bool:
    """Whether the bytes of a file have this digest."""
    try:
        size = path.stat().st_size
        if size > MOST:
            raise MlgateError(
                f"has {size / 2**30:,.0f} GiB, more than the {MOST / 2**30:.0f} GiB that are read.", file=path.name,
                fix="Evaluate on fewer rows, or name a small file with the labels: `evaluate.<name>.labels`.",
            )  # fmt: skip
        kind = next(kind for kind in _HEX if kind in wanted)
        return content.digest(path, {kind: wanted[kind]}, legacy=legacy) == {kind: wanted[kind]}
    except OSError as error:
        raise MlgateError(
            f"cannot be read ({error.strerror or error}).", file=str(path), fix="Check its permissions."
        ) from error


@functools.cache
def _private() -> Path:
    folder = tempfile.mkdtemp(prefix="mlgate-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
