"""Digests of files on disk, computed as the commit's pointers write them, without reading a file into memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mlgate.model import Digests

_BLOCK = 1 << 20


def digest(path: Path, like: Mapping[str, str], *, legacy: bool = False) -> Digests:
    """The digest of a file or folder in the kind that `like` has: DVC's md5 or sha256. Raises OSError.

    `legacy` is DVC 2's way with text files: CRLF counts as LF where the plain digest does not agree.
    """
    if "dvc-md5" not in like:
        return {"sha256": _file(path, "sha256")} if path.is_file() else {}
    if path.is_dir():
        return {"dvc-md5": _folder(path)}
    found = _file(path, "md5")
    if legacy and found != like["dvc-md5"]:
        found = _unix(path)
    return {"dvc-md5": found}


def is_named(path: Path, md5: str, *, legacy: bool = False) -> bool:
    """Whether a file or folder is the one of this digest of DVC's. Raises OSError."""
    if not path.is_dir():
        return digest(path, {"dvc-md5": md5}, legacy=legacy) == {"dvc-md5": md5}
    return _folder(path) == md5 or (legacy and _folder(path, legacy=True) == md5)


def _file(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _unix(path: Path) -> str:
    found = hashlib.md5(usedforsecurity=False)
    held = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            block, held = held + block, b""
            if block.endswith(b"\r"):
                block, held = block[:-1], b"\r"
            found.update(block.replace(b"\r\n", b"\n"))
    found.update(held)
    return found.hexdigest()


def _folder(path: Path, *, legacy: bool = False) -> str:
    """As `repo.dvc.folder_md5`, from disk. A link to a folder, which DVC leaves out, makes it another folder."""
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    listing = [
        {"md5": _unix(file) if legacy and _is_text(file) else _file(file, "md5"), "relpath": relpath}
        for relpath, file in files
    ]
    listing += [{"md5": "", "relpath": link.name} for link in path.rglob("*") if link.is_symlink() and link.is_dir()]
    found = hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False)
    return f"{found.hexdigest()}.dir"


def _is_text(path: Path) -> bool:
    """What DVC 2 takes for text, by the first 512 octets: no NUL, and few that are not printable."""
    with path.open("rb") as file:
        block = file.read(512)
    strange = block.translate(None, bytes(range(32, 127)) + b"\n\r\t\f\b")
    return b"\0" not in block and len(strange) <= 0.3 * len(block)
