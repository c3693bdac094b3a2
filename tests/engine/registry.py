"""A registry of images, as a process of this machine on a free port. It ends with the test run that started it.

`python registry.py <pid> <docker> <address> <command...>` leaves the command running until the process with that id is
gone; then the registry ends, and the engine forgets every image that has the registry's address in its name.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CONFIG = """
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
http: {{addr: "127.0.0.1:{port}", secret: of-the-tests}}
storage: {{filesystem: {{rootdirectory: "{store}"}}, delete: {{enabled: true}}}}
{more}
"""
USER, PASSWORD = "robot", "Correct-Horse-1"
HTPASSWD = "robot:$2b$05$abcdefghijklmnopqrstuup/ZY04k2B1Bm4VIaz/HAyydzYFroJPO\n"  # htpasswd -Bn


@dataclass(frozen=True)
class Registry:
    """`address` is what an image's name begins with: `localhost:41234`. The engine takes it without TLS."""

    address: str
    user: str = ""
    password: str = ""

    def name(self, repository: str) -> str:
        return f"{self.address}/{repository}"


def start(folder: Path, watched: int, docker: str, *, locked: bool = False) -> tuple[Registry, int]:
    """A registry with its images in `folder`/store, and its process group."""
    command = shutil.which("docker-registry") or shutil.which("registry")
    if command is None:
        raise FileNotFoundError("there is no `docker-registry`: `apt-get install docker-registry`")
    folder.mkdir(parents=True, exist_ok=True)
    more = ""
    if locked:
        (folder / "htpasswd").write_text(HTPASSWD, "utf-8")
        more = f'auth: {{htpasswd: {{realm: tests, path: "{folder / "htpasswd"}"}}}}'
    for _ in range(5):  # another process may take the free port first
        port = _free_port()
        config = folder / "config.yml"
        config.write_text(CONFIG.format(port=port, store=folder / "store", more=more), "utf-8")
        address = f"localhost:{port}"
        with (folder / "log").open("wb") as log:
            started = subprocess.run(
                [sys.executable, __file__, str(watched), docker, address, command, "serve", str(config)],
                stdout=subprocess.PIPE, stderr=log, check=True,
            )  # fmt: skip
        group = int(started.stdout)
        if _answers(port, group):
            return Registry(address, *((USER, PASSWORD) if locked else ())), group
    raise RuntimeError(f"no registry: {(folder / 'log').read_text('utf-8')[-2000:]}")


def stop(group: int) -> None:
    """Ends a registry that was started; its watcher tidies up."""
    with suppress(ProcessLookupError):
        os.kill(group, signal.SIGTERM)


def _answers(port: int, group: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _runs(group):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 401
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _leave(watched: int, docker: str, address: str, command: list[str]) -> None:
    if child := os.fork():
        print(child, flush=True)
        return
    os.setsid()
    os.dup2(2, 1)
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    server = subprocess.Popen(command)
    while server.poll() is None and not ended and _runs(watched):
        time.sleep(0.3)
    listed = subprocess.run(
        [docker, "image", "ls", "--digests", "--format", "{{.Repository}}:{{.Tag}}@{{.Digest}}"],
        capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    names = set()
    for line in listed:
        if line.startswith(f"{address}/"):
            name, _, digest = line.partition("@")
            names.add(f"{name.rsplit(':', 1)[0]}@{digest}" if name.endswith(":<none>") else name)
    if names:
        subprocess.run([docker, "image", "rm", *sorted(names)], capture_output=True, check=False)
    server.kill()
    server.wait()


if __name__ == "__main__":
    _leave(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
