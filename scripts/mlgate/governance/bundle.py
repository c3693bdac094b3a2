"""One file with everything that an auditor asks for: always the same bytes for the same contents.

    parts = [Part("evidence/visits/compare.json", data, "evidence of compare"), ...]
    pack(parts, file)                                # index.html first, then by path; manifest.json and SHA256SUMS last

Nothing is put in that was not named: no folder is swept up. What looks like a credential stops it.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlgate.errors import MlgateError
from mlgate.ledger import chain
from mlgate.ledger.chain import Record

BUNDLE_SCHEMA = 1
FIRST, SUMS, MANIFEST, VERIFY = "index.html", "SHA256SUMS", "manifest.json", "verify.py"
_WHEN = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file knows
_VERIFIER = Path(__file__).with_name("verify_bundle.py")


@dataclass(frozen=True)
class Part:
    """One file of the bundle. `role` says to people what it is."""

    path: str
    data: bytes
    role: str
    model: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def pack(parts: Sequence[Part], to: IO[bytes]) -> None:
    """Raises MlgateError for two files of one name, for a name that leaves the folder, and for credentials."""
    names = [part.path for part in parts]
    for name in names:
        if names.count(name) > 1 or name.startswith("/") or ".." in name.split("/") or "\\" in name:
            raise MlgateError(f"{name!r} cannot be put into the bundle.")
    every = sorted([*parts, verifier()], key=lambda part: part.path)
    every.append(Part(MANIFEST, _manifest(every), "what is in the bundle"))
    sums = "".join(f"{part.sha256}  {part.path}\n" for part in every)
    every.append(Part(SUMS, sums.encode(), "for sha256sum --check"))
    every.sort(key=lambda part: (part.path != FIRST, part.path))
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for part in every:
            info = zipfile.ZipInfo(part.path, _WHEN)
            info.external_attr = 0o100644 << 16
            info.create_system = 3  # else it depends on where it is made
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, part.data, compresslevel=9)


def verifier() -> Part:
    """A program that needs nothing but Python to check sums and chain."""
    return Part(VERIFY, _VERIFIER.read_bytes(), "checks digests, ledger and decision: python3 verify.py")


def _manifest(parts: Sequence[Part]) -> bytes:
    listed = [
        {"path": p.path, "sha256": p.sha256, "bytes": len(p.data), "role": p.role, "model": p.model} for p in parts
    ]
    said = {"schema": BUNDLE_SCHEMA, "kind": "audit-bundle", "files": listed}
    return (json.dumps(said, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


# -- the ledger ------------------------------------------------------------------------------------------------------


def events(records: Sequence[Record]) -> bytes:
    """The whole chain of events as it stands on its branch, so that its hashes can be computed again.

    All of it: an entry is proven by everything that came before and after it. Raises MlgateError where a line cannot be
    written as it was.
    """
    lines: list[bytes] = []
    for record in sorted((one for one in records if one.chain == chain.EVENTS), key=lambda one: one.seq):
        line, head = chain.seal(
            record.entry, ledger=record.ledger, chain=record.chain, seq=record.seq, previous=record.previous,
            beside=record.beside, waited=record.waited,
        )  # fmt: skip
        if head.hash != record.hash:
            raise MlgateError(
                f"entry {record.seq} of the ledger was written by another version of mlgate, and cannot be copied.",
                fix="Use the version that wrote it, or a newer one.",
            )
        lines.append(line)
    return b"".join(lines)


# -- what must not be in it ------------------------------------------------------------------------------------------

_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|(^|_)(API_?)?KEY($|_)|COSIGN|NETRC", re.IGNORECASE)
_NO_SECRET = re.compile(r"true|false|[0-9]+|/[\w./-]*|https?://[^@]*|[\w.-]{1,11}", re.IGNORECASE)
_LOOKS = {
    "a token of GitHub": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})",
    "a token of GitLab": rb"\bgl(?:pat|rt|dt|cbt|ptt|ft|soat)-[A-Za-z0-9_-]{20,}",
    "an access key of AWS": rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a password in an address": rb"://[^/\s:@\"'<>]+:(?!\*{3})[^/\s:@\"'<>]{4,}@",
    "a token of Slack": rb"\bxox[abprs]-[A-Za-z0-9-]{10,}",
}


def credentials(parts: Sequence[Part], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Path, and what stands in it: a value of this job's own secrets, or what looks like a credential of somebody."""
    own = {
        name: value.encode()
        for name, value in environ.items()
        if _SECRET_NAME.search(name) and len(value) >= 8 and _NO_SECRET.fullmatch(value) is None
    }
    for part in parts:
        for name, value in own.items():
            if value in part.data:
                yield part.path, f"the value of {name}"
        for what, pattern in _LOOKS.items():
            if re.search(pattern, part.data):
                yield part.path, what
