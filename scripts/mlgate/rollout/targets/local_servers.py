"""The servers of one slot: a folder with a folder for each, and what is known of them, by the target and the router."""

from __future__ import annotations

import http.client
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mlgate.rollout.targets import local_process as process
from mlgate.rollout.targets.local_kept import read_json, write_json

_ADDRESS = re.compile(rb" at (http://\S+)\r?\n")
_PATIENCE = 2.0  # seconds for an answer about readiness
READY = "/health/ready"


@dataclass(frozen=True)
class Server:
    """One process of the model server."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def address(self) -> str:
        """Where it listens, as it says itself; empty until it does."""
        try:
            with (self.folder / "log").open("rb") as log:
                found = _ADDRESS.search(log.read(65536))
        except OSError:
            return ""
        return found[1].decode() if found else ""

    @property
    def leaving(self) -> bool:
        """Whether it gets no more requests and is about to be stopped."""
        return (self.folder / "leaving").exists()

    def leave(self) -> None:
        with suppress(FileNotFoundError):
            (self.folder / "leaving").touch()

    def alive(self) -> bool:
        return process.alive(self.folder)

    def unready(self) -> str:
        """Empty when it is ready, else what it says or does instead."""
        parts = urlsplit(self.address)
        if not parts.hostname:
            return "it does not listen yet"
        link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_PATIENCE)
        try:
            link.request("GET", READY)
            status = link.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"it gives no answer to {READY} ({getattr(error, 'strerror', None) or type(error).__name__})"
        finally:
            link.close()
        return "" if status == 200 else f"{READY} answers {status}"

    def ended(self) -> str:
        """How, and with which last words."""
        code, words = process.exit_code(self.folder), process.said(self.folder)
        how = "" if code is None else f" with exit code {code}" if code >= 0 else f" by signal {-code}"
        return f"it ended{how}. " + (f"Its last words: {words}" if words else "It said nothing.")


@dataclass(frozen=True)
class Servers:
    """All of one slot. The folder is there from `start` to `stop`."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def there(self) -> bool:
        return (self.folder / "slot.json").exists()

    @property
    def image(self) -> str:
        return str(read_json(self.folder / "slot.json").get("image") or "")

    @property
    def wanted(self) -> int:
        return int(read_json(self.folder / "slot.json").get("replicas") or 0)

    def want(self, image: str, replicas: int) -> None:
        write_json(self.folder / "slot.json", {"image": image, "replicas": replicas})

    def all(self) -> list[Server]:
        """Those that leave among them, oldest first."""
        return [Server(one) for one in sorted(self.folder.glob("server-*"), key=process.began)]

    def staying(self) -> list[Server]:
        return [one for one in self.all() if not one.leaving]

    def add(self, argv: list[str], *, environ: Mapping[str, str], cwd: Path) -> None:
        """Raises TargetError when it cannot be started."""
        process.spawn(self.folder / f"server-{secrets.token_hex(4)}", argv, environ=environ, cwd=cwd)

    def bury(self) -> None:
        """Takes away what is left of servers that have ended."""
        for one in self.all():
            if not one.alive():
                shutil.rmtree(one.folder, ignore_errors=True)


def every(folder: Path) -> Iterator[Servers]:
    """The slots of an environment."""
    for one in sorted((folder / "slots").glob("*/slot.json")):
        yield Servers(one.parent)
