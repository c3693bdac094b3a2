"""The engine's clock, which stamps requests, as this machine can know it."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import datetime

from mlgate.rollout.targets.docker_parts.reached import Reached

_EVERY = 30.0  # seconds until it is asked again
_ROUNDS = 5
# Starting a process there takes as long as it takes; once it runs, an answer takes no longer than the way.
_ECHO = "command -v bash >/dev/null || exit 1; exec bash -c 'while read -r _; do echo $EPOCHREALTIME; done'"


class Clock:
    """`near`: it is this machine's own."""

    def __init__(self, engine: Reached, container: str, *, near: bool) -> None:
        self._engine, self._container, self._near = engine, container, near
        self._told = self._at = 0.0

    def now(self) -> float:
        """Seconds since 1970. Raises TargetError when the engine does not answer."""
        if self._near:
            return time.time()
        if not self._told or time.monotonic() - self._at > _EVERY:
            self._told, self._at = self._echoed() or self._informed()
        return self._told + time.monotonic() - self._at

    def _echoed(self) -> tuple[float, float] | None:
        """Of several answers the one that came soonest: what it said, and when by our clock."""
        command = [self._engine.command, "exec", "--interactive", self._container, "sh", "-c", _ECHO]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
            env=dict(self._engine.environ),
        ) as process:  # fmt: skip
            try:
                found = []
                for _ in range(_ROUNDS):
                    before = time.monotonic()
                    if process.stdin is None or process.stdout is None:
                        return None
                    process.stdin.write(b"\n")
                    said = float(process.stdout.readline())
                    after = time.monotonic()
                    found.append((after - before, said, (before + after) / 2))
                _, told, at = min(found)
            except (OSError, ValueError):
                return None
            else:
                return told, at
            finally:
                process.kill()

    def _informed(self) -> tuple[float, float]:
        found = []
        for _ in range(3):
            before = time.monotonic()
            said = self._engine.run("info", "--format", "{{json .SystemTime}}")
            after = time.monotonic()
            told = datetime.fromisoformat(str(json.loads(said))).timestamp()
            found.append((after - before, told, (before + after) / 2))
        _, told, at = min(found)
        return told, at
