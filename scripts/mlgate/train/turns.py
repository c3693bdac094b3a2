"""Measures models that take turns: champion, challenger, challenger, champion, ... so that a noisy machine is fair.

    python turns.py REQUEST

A program of its own, with nothing but the standard library: all that it starts ends with it. REQUEST is a JSON file:
`sides` (name -> command, cwd, environ, and `clear`: a file to remove before each call), `calls`, `warmup`, `how`
(`function`: the command answers each call, `process`: the command is the call) and `answer`, the file to write:
per side `ms`, a time for each call in its order, `peak` in bytes, or `error`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from typing import Any

Side = dict[str, Any]


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    sides = request["sides"]
    found: dict[str, Side] = {name: {"ms": [], "peak": None} for name in sides}
    runner = _Functions(sides, found) if request["how"] == "function" else _Processes(sides, found)
    runner.start()
    for number in range(request["warmup"]):
        for name in runner.order(number):
            runner.call(name, number)
    for one in found.values():
        one["ms"] = []
    for number in range(request["calls"]):
        for name in runner.order(number):
            runner.call(name, number)
    runner.end()
    for one in found.values():
        if "error" in one:
            one["ms"] = []
    with open(request["answer"], "w", encoding="utf-8") as file:
        json.dump(found, file)
    return 0


class _Processes:
    """Each call is a process of its own, from its start to its end."""

    def __init__(self, sides: dict[str, Side], found: dict[str, Side]) -> None:
        self.sides = sides
        self.found = found

    def order(self, number: int) -> list[str]:
        """There and back again, without those that failed."""
        names = [name for name in self.sides if "error" not in self.found[name]]
        return names if number % 2 == 0 else names[::-1]

    def start(self) -> None:
        """Nothing is kept running."""

    def call(self, name: str, number: int) -> None:
        side = self.sides[name]
        if clear := side.get("clear"):
            with contextlib.suppress(OSError):
                (shutil.rmtree if os.path.isdir(clear) and not os.path.islink(clear) else os.unlink)(clear)
        start = time.perf_counter_ns()
        child = subprocess.Popen(
            side["command"], cwd=side["cwd"], env=side["environ"], stdin=subprocess.DEVNULL, stdout=sys.stderr
        )
        _, status, used = os.wait4(child.pid, 0)
        took = time.perf_counter_ns() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            self.found[name]["error"] = f"it ended with {_how(child.returncode)}"
            return
        most = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024
        self.found[name]["ms"].append(took / 1e6)
        self.found[name]["peak"] = max(self.found[name]["peak"] or 0, most)

    def end(self) -> None:
        """Nothing is left."""


class _Functions(_Processes):
    """One process per side loads its model once, and answers call by call."""

    def start(self) -> None:
        self.running = {
            name: subprocess.Popen(
                side["command"], cwd=side["cwd"], env=side["environ"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=sys.stderr, encoding="utf-8",
            )
            for name, side in self.sides.items()
        }  # fmt: skip
        for name in self.sides:
            self._answer(name)

    def call(self, name: str, number: int) -> None:
        if self._ask(name, str(number)) and (said := self._answer(name)):
            self.found[name]["ms"].append(said["ms"])

    def end(self) -> None:
        for name, child in self.running.items():
            if "error" not in self.found[name] and self._ask(name, "end") and (said := self._answer(name)):
                self.found[name]["peak"] = said["peak"]
            if child.stdin is not None:
                with contextlib.suppress(OSError):
                    child.stdin.close()
            child.wait()

    def _ask(self, name: str, what: str) -> bool:
        pipe = self.running[name].stdin
        assert pipe is not None  # noqa: S101 -- a pipe was asked for
        try:
            pipe.write(f"{what}\n")
            pipe.flush()
        except OSError:
            self._gone(name)
            return False
        return True

    def _answer(self, name: str) -> dict[str, Any] | None:
        pipe = self.running[name].stdout
        assert pipe is not None  # noqa: S101 -- a pipe was asked for
        line = pipe.readline()
        if not line:
            self._gone(name)
            return None
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            self.found[name]["error"] = said["error"]
            return None
        return said

    def _gone(self, name: str) -> None:
        self.found[name].setdefault("error", f"it ended with {_how(self.running[name].wait())}")


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


if __name__ == "__main__":
    sys.exit(main())
