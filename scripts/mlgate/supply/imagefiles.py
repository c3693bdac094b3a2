"""The packages of an image, read from its files as they are exported: nothing in the image is run, or asked."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import tarfile
import uuid
from collections.abc import Mapping
from typing import IO, Protocol

from mlgate.errors import MlgateError
from mlgate.supply import packages
from mlgate.supply.packages import Installed, Package, System

_METADATA = re.compile(
    r"((?:.*/)?[^/]+\.(?:dist-info|egg-info))/(METADATA|PKG-INFO|RECORD)$|((?:.*/)?[^/]+\.egg-info)$"
)
_DPKG = re.compile(r"(?:usr/)?var/lib/dpkg/(?:status|status\.d/[^/]+)$")
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_RELEASE = ("etc/os-release", "usr/lib/os-release")
_OTHER = re.compile(r"(?:usr/)?(?:var/)?lib/(?:sysimage/)?rpm/(?:rpmdb\.sqlite|Packages(?:\.db)?)$")
_LARGEST = 64 << 20  # octets of one list
_TIMEOUT = 900.0


class Engine(Protocol):
    """What is needed of a Docker engine: `image.engine.Engine` has it."""

    @property
    def command(self) -> str: ...
    @property
    def environ(self) -> Mapping[str, str]: ...
    def run(self, *args: str) -> str: ...
    def ask(self, *args: str) -> object: ...


def installed(engine: Engine, image: str) -> Installed:
    """What is installed in an image that the engine has. Raises MlgateError when it cannot be read."""
    name = f"mlgate-list-{uuid.uuid4().hex[:12]}"
    engine.run("create", "--network", "none", "--name", name, "--entrypoint", "/none", image, "none")
    try:
        with subprocess.Popen(
            [engine.command, "export", name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(engine.environ or os.environ),
        ) as export:
            assert export.stdout is not None  # noqa: S101 -- it was asked for
            try:
                found = of_export(export.stdout)
                while export.stdout.read(1 << 20):
                    pass
            except (tarfile.TarError, OSError, EOFError) as error:
                export.kill()
                raise MlgateError(f"the files of image {image} cannot be read: {error}.") from error
            if export.wait(_TIMEOUT) != 0:
                raise MlgateError(f"the files of image {image} cannot be exported.")
    finally:
        engine.ask("rm", "--force", name)
    return found


def of_export(stream: IO[bytes]) -> Installed:
    """What is installed in an exported file system (a tar stream)."""
    metadata: dict[str, str] = {}
    records: dict[str, bytes] = {}
    found: list[Package] = []
    unread: list[str] = []
    system = System()
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for info in archive:
            path = posixpath.normpath(info.name).lstrip("/")
            about = _METADATA.match(path)
            if _OTHER.match(path):
                unread.append(f"/{path}")
            if not info.isreg() or not (about or _DPKG.match(path) or path in (*_APK, *_RELEASE)):
                continue
            if info.size > _LARGEST:
                unread.append(f"/{path}")
                continue
            stream_of = archive.extractfile(info)
            data = stream_of.read() if stream_of else b""
            text = data.decode("utf-8", "replace")
            if about and about[2] == "RECORD":
                records[about[1]] = data
            elif about:
                metadata[about[1] or about[3]] = text
            elif path in _RELEASE:
                system = packages.of_os_release(text)
            elif path in _APK:
                found += packages.of_apk(text)
            elif not path.endswith(".md5sums"):
                found += packages.of_dpkg(text)
    for folder, text in metadata.items():
        package = packages.from_metadata(text, record=records.get(folder, b""))
        if package is None:
            unread.append(f"/{folder}")
        else:
            found.append(package)
    return Installed(tuple(packages.ordered(found)), system, tuple(sorted(unread)))
