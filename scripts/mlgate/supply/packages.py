"""The packages of an environment or image: what was installed, in which version, under which licence. Plain data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path

from mlgate.errors import MlgateError


@dataclass(frozen=True)
class Package:
    """One installed package. `kind`: `pypi`, `deb` or `apk`."""

    name: str
    version: str
    kind: str = "pypi"
    licence: str = ""  # an SPDX expression, as the package itself writes it
    licence_text: str = ""  # what it says in words
    classifiers: tuple[str, ...] = ()  # its trove classifiers about licences
    record: str = ""  # sha256 of RECORD, which lists the digest of each of its files
    hashes: tuple[str, ...] = ()  # sha256 of the files that its lock allows
    arch: str = ""
    source: str = ""  # deb: the source package

    @property
    def key(self) -> str:
        return canonical(self.name) if self.kind == "pypi" else self.name


@dataclass(frozen=True)
class System:
    """What the image is built on, by its own /etc/os-release."""

    id: str = ""  # debian, alpine
    version: str = ""  # 12
    name: str = ""


@dataclass(frozen=True)
class Installed:
    """Everything that was found in one file system. `unread`: package lists that are there and were not understood."""

    packages: tuple[Package, ...] = ()
    system: System = field(default_factory=System)
    unread: tuple[str, ...] = ()

    @property
    def python(self) -> tuple[Package, ...]:
        return tuple(one for one in self.packages if one.kind == "pypi")


def canonical(name: str) -> str:
    """The name under which an index knows a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def from_metadata(text: str, *, record: bytes = b"") -> Package | None:
    """A package by its METADATA; None where that has no name or version."""
    message = HeaderParser().parsestr(text)
    name, version = (message.get("Name") or "").strip(), (message.get("Version") or "").strip()
    if not name or not version:
        return None
    return Package(
        name=name,
        version=version,
        licence=_known(message.get("License-Expression")),
        licence_text=_known(message.get("License")),
        classifiers=tuple(
            one.strip() for one in message.get_all("Classifier") or [] if one.strip().startswith("License ::")
        ),
        record=hashlib.sha256(record).hexdigest() if record else "",
    )


def _known(value: str | None) -> str:
    text = (value or "").strip()
    return "" if text.upper() in ("UNKNOWN", "NONE", "N/A") else text


def of_folder(site: Path) -> list[Package]:
    """The packages of a folder of installed packages (`site-packages`). Raises MlgateError when it cannot be read."""
    try:
        infos = sorted([*site.glob("*.dist-info"), *site.glob("*.egg-info")])
        found = []
        for info in infos:
            metadata = info / ("METADATA" if info.suffix == ".dist-info" else "PKG-INFO") if info.is_dir() else info
            if metadata.is_file():
                record = info / "RECORD"
                data = record.read_bytes() if record.is_file() else b""
                package = from_metadata(metadata.read_text(encoding="utf-8", errors="replace"), record=data)
                found += [package] if package else []
    except OSError as error:
        raise MlgateError(f"cannot be read: {error.strerror}.", file=str(site)) from error
    return ordered(found)


def ordered(found: Iterable[Package]) -> list[Package]:
    """Without doubles, by name."""
    return sorted(
        {(p.kind, p.key, p.version, p.arch): p for p in found}.values(), key=lambda p: (p.kind, p.key, p.version)
    )


_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([A-Za-z0-9.!+_-]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def of_lock(text: str, *, file: str) -> list[Package]:
    """The packages of a requirements file in which each is pinned. Raises MlgateError at a line that pins nothing."""
    found, number = [], 0
    lines = text.splitlines()
    while number < len(lines):
        first, line = number + 1, lines[number]
        while line.rstrip().endswith("\\") and number + 1 < len(lines):
            number += 1
            line = line.rstrip()[:-1] + " " + lines[number]
        number += 1
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line or line.startswith(("--hash", "-i ", "--")):
            continue
        pinned = _PINNED.match(line)
        if pinned is None or re.match(r"\s*[,<>=!~*]", line[pinned.end() :].split(";")[0]):
            raise MlgateError(
                f"`{line[:80]}` is not pinned to one version, so what is installed cannot be looked up.",
                file=file,
                line=first,
                fix="Lock it: `uv pip compile --generate-hashes`, or `pip freeze` in the environment of the model.",
            )
        found.append(Package(pinned[1], pinned[2], hashes=tuple(sorted(_HASH.findall(line)))))
    return ordered(found)


def with_hashes(installed: Sequence[Package], locked: Sequence[Package]) -> list[Package]:
    """Installed packages with the digests that their lock allows."""
    from dataclasses import replace  # noqa: PLC0415 -- used here only

    known = {(one.key, one.version): one.hashes for one in locked}
    return [replace(one, hashes=known.get((one.key, one.version), one.hashes)) for one in installed]


def of_dpkg(text: str) -> list[Package]:
    """Debian's /var/lib/dpkg/status, and the files of status.d in images without dpkg."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        entry = _fields(block)
        state = entry.get("Status", "install ok installed")
        if entry.get("Package") and entry.get("Version") and state.endswith(" installed"):
            source = entry.get("Source", "").split(" ")[0]
            found.append(
                Package(entry["Package"], entry["Version"], "deb", arch=entry.get("Architecture", ""), source=source)
            )
    return found


def of_apk(text: str) -> list[Package]:
    """Alpine's /lib/apk/db/installed."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        entry = dict(line.split(":", 1) for line in block.splitlines() if line[1:2] == ":")
        if entry.get("P") and entry.get("V"):
            found.append(Package(entry["P"], entry["V"], "apk", arch=entry.get("A", ""), licence=entry.get("L", "")))
    return found


def of_os_release(text: str) -> System:
    entry: dict[str, str] = {}
    for line in text.splitlines():
        key, joint, value = line.partition("=")
        if joint:
            entry[key.strip()] = value.strip().strip("\"'")
    return System(entry.get("ID", ""), entry.get("VERSION_ID", ""), entry.get("PRETTY_NAME", ""))


def _fields(block: str) -> Mapping[str, str]:
    found = {}
    for line in block.splitlines():
        key, joint, value = line.partition(":")
        if joint and not line.startswith((" ", "\t")):
            found[key.strip()] = value.strip()
    return found
