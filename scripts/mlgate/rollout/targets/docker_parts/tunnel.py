"""A way to a server that this machine has no way to: through a container beside it, by the engine's own connection."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import IO, cast

from mlgate.rollout.targets.docker_parts.reached import Reached

# Ends with the server, and two seconds after the caller: what the caller has still to read comes before that.
_SCRIPT = (
    "if command -v bash >/dev/null; then exec bash -c '"
    "exec 3<>/dev/tcp/$0/$1 4<&0 || exit 69; {{ cat <&4 >&3; sleep 2; kill $$; }} 2>/dev/null & exec cat <&3"
    "' \"$1\" \"$2\"; else exec nc \"$1\" \"$2\"; fi"
).replace("{{", "{").replace("}}", "}")  # fmt: skip


@contextlib.contextmanager
def through(engine: Reached, container: str, address: str, port: int) -> Iterator[str]:
    """http://127.0.0.1:... as long as the context lasts. Each connection is a process of the engine's client."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server, contextlib.ExitStack() as stack:
        over = threading.Event()
        alive: set[subprocess.Popen[bytes]] = set()

        def end() -> None:
            over.set()
            for process in list(alive):
                process.kill()

        stack.callback(end)

        def serve() -> None:
            server.settimeout(0.2)
            while not over.is_set():
                try:
                    link, _ = server.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                threading.Thread(target=join, args=(link,), daemon=True).start()

        def join(link: socket.socket) -> None:
            command = [
                engine.command,
                "exec",
                "--interactive",
                container,
                "sh",
                "-c",
                _SCRIPT,
                "sh",
                address,
                str(port),
            ]
            with link, subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
                env=dict(engine.environ),
            ) as process:  # fmt: skip
                alive.add(process)
                sent = cast("IO[bytes]", process.stdin)
                back = threading.Thread(target=_copy_back, args=(process, link), daemon=True)
                back.start()
                with contextlib.suppress(OSError):
                    while block := link.recv(1 << 16):
                        sent.write(block)
                with contextlib.suppress(OSError):
                    sent.close()
                back.join(timeout=5)
                process.kill()
                alive.discard(process)

        accepting = threading.Thread(target=serve, daemon=True)
        accepting.start()
        stack.callback(accepting.join, 2)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _copy_back(process: subprocess.Popen[bytes], link: socket.socket) -> None:
    came = cast("IO[bytes]", process.stdout)
    with contextlib.suppress(OSError, ValueError):
        while block := came.read(1 << 16):
            link.sendall(block)
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)  # the server has closed: so has the way to it
