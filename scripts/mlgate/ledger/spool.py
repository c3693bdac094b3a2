"""Entries on their way: written to disk before anything is tried, and taken away when the branch has them.

So none is lost when the remote cannot be reached or the process dies, and its id keeps it from being doubled. A spool
folder lies in the working tree, where a change could commit files into it and an artifact could be unpacked; so each
file carries a code made with a key that never leaves this clone's .git folder, and others are not taken for ours.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlgate.errors import MlgateError
from mlgate.ledger import kinds
from mlgate.ledger.chain import LINE_BYTES, canonical
from mlgate.ledger.kinds import Entry

_FILE = re.compile(r"[0-9]{20}-[0-9a-f]{32}\.json")

_AROUND = 1_000  # bytes of a line that are not its entry


@dataclass(frozen=True)
class Waiting:
    """One entry that is not in the branch yet."""

    path: Path
    entry: Entry
    ours: bool  # written by this clone


class Spool:
    """A folder of waiting entries. `key` is this clone's secret."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder = folder
        self._key = key
        self._last = 0

    def put(self, entry: Entry) -> Waiting:
        """On disk before this returns. Raises MlgateError when it cannot be written, or is too long."""
        value = entry.to_dict()
        if (size := len(canonical(value))) > LINE_BYTES - _AROUND:
            raise MlgateError(f"a {entry.kind} of {size:,} bytes is too long for the ledger ({LINE_BYTES:,} at most).")
        text = canonical({"entry": value, "code": self._code(value)}) + b"\n"
        self._last = max(time.time_ns(), self._last + 1)  # entries of one append keep their order
        path = self.folder / f"{self._last:020d}-{entry.id}.json"
        _refuse_links(self.folder)
        try:
            write(path, text)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                write(ignore, b"*\n")
        except OSError as error:
            raise MlgateError(
                f"cannot keep an entry of the ledger in {self.folder} ({error.strerror or error}).",
                fix="Make room, or check the folder's permissions.",
            ) from error
        return Waiting(path, entry, ours=True)

    def waiting(self) -> tuple[list[Waiting], list[str]]:
        """What waits, oldest first, and a sentence for each file that is no entry."""
        found, bad = [], []
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []:
            try:
                if path.is_symlink() or not _FILE.fullmatch(path.name) or path.stat().st_size > 2 * LINE_BYTES:
                    raise ValueError("it is not a file that mlgate writes")
                value = json.loads(path.read_bytes().decode())
                entry = kinds.parse(value["entry"])
                if f"-{entry.id}.json" != path.name[-38:]:
                    raise ValueError("it holds another entry than its name says")
            except FileNotFoundError:
                continue  # another process was quicker
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                why = "it does not follow the schema" if isinstance(error, ValidationError) else "it cannot be read"
                bad.append(f"{path.name} is no entry that could wait here: {why}.")
                continue
            found.append(Waiting(path, entry, hmac.compare_digest(self._code(value["entry"]), str(value.get("code")))))
        return found, bad

    def _code(self, value: Mapping[str, Any]) -> str:
        return hmac.new(self._key, canonical(value), hashlib.sha256).hexdigest()


def key(folder: Path) -> bytes:
    """This clone's secret, made at first use."""
    path = folder / "spool.key"
    with suppress(OSError):
        if len(there := path.read_bytes()) == 32:
            return there
    made = os.urandom(32)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".spool.key.")  # readable by its owner only
        with os.fdopen(handle, "wb") as file:
            file.write(made)
        with suppress(FileExistsError):
            os.link(temporary, path)  # of two processes at once, the first one's key counts
        os.unlink(temporary)
        return path.read_bytes()
    return made


def write(path: Path, data: bytes, *, durable: bool = True) -> None:
    """A whole file or nothing; `durable`: on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _refuse_links(folder: Path) -> None:
    """A change can commit .mlgate, or a folder in it, as a link."""
    for each in (folder, folder.parent):
        if each.is_symlink():
            raise MlgateError(
                "is a symbolic link; mlgate writes only where it works.", file=str(each), fix="Remove it."
            )
