"""What the story says while it runs: headings, commands, and how long each took."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


class StoryError(Exception):
    """The story cannot go on. The message says what failed and where its output is."""


class Console:
    """Prints, and runs what takes long with a clock that ticks on a terminal and stays silent elsewhere."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.live = sys.stdout.isatty()
        self.began = time.monotonic()

    def say(self, text: str = "") -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def heading(self, text: str) -> None:
        self.say(f"\n\033[1m{text}\033[0m" if self.live else f"\n{text}")

    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        shown: str = "",
        quiet: bool = False,
        code: int = 0,
    ) -> None:
        """Runs to the end; what the command prints goes to the log.

        Raises StoryError with the last lines of it when the exit code is not `code`.
        """
        shown = shown or f"$ {shlex.join(str(word) for word in command if word != '--quiet')}"
        started = time.monotonic()
        with self.log.open("a+", encoding="utf-8", errors="replace") as log:
            log.write(f"{shown}\n")
            log.flush()
            before = log.tell()
            process = subprocess.Popen(
                command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            try:
                ended = self._wait(process, shown, started)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
            log.seek(before)
            printed = log.read()
        if not quiet:
            self._line(f"  {shown}", time.monotonic() - started)
        if ended != code:
            last = "\n".join(f"    {line}" for line in printed.splitlines()[-15:])
            raise StoryError(
                f"{shown.removeprefix('$ ')} ended with exit code {ended}:\n{last}\n  All output: {self.log}"
            )

    def show(self, command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], shown: str) -> int:
        """Runs with its output on the terminal; its exit code."""
        self.say(f"  {shown}\n")
        code = subprocess.run(command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, check=False).returncode
        self.say(f"  (exit code {code})")
        return code

    def _wait(self, process: subprocess.Popen[bytes], shown: str, started: float) -> int:
        while True:
            try:
                return process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                if self.live:
                    room = shutil.get_terminal_size().columns - 12  # a line that wraps could not be written over
                    sys.stdout.write(f"\r  {shown[:room]} ... {time.monotonic() - started:.0f} s")
                    sys.stdout.flush()

    def _line(self, text: str, seconds: float) -> None:
        took = f"  ({seconds:.0f} s)" if seconds >= 1 else ""
        self.say(f"{chr(13) if self.live else ''}{text}{took}{chr(27) + '[K' if self.live else ''}")
