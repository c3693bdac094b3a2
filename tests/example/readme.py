"""Does what example-project/README.md tells a reader to do, in order, and shows what came of it.

`python -m example.readme` (with `tests` on the path) writes what the commands print now into the page.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from example.consumer import PROJECT

ROOT = PROJECT.parent
PAGE = PROJECT / "README.md"
STORY = ROOT / "scripts" / "example"
PREPARED = ("python3 -m venv ", ". .venv/bin/activate", "pip install ")  # the test brings an environment that is ready
CODES = {"pass": 0, "warn": 0, "fail": 1, "error": 2, "inconclusive": 3}


@dataclass(frozen=True)
class Block:
    """A fenced block: commands to type (console), an edit (diff), or what the last command printed (text)."""

    kind: str
    text: str


@dataclass(frozen=True)
class Output:
    """What the page says a command prints, and what it did print."""

    command: str
    said: str
    printed: str
    code: int

    @property
    def told_code(self) -> int:
        (verdict,) = re.findall(r"^verdict: (\w+)", self.said, flags=re.MULTILINE)
        return CODES[verdict]


def blocks(page: str) -> list[Block]:
    return [
        Block(kind, text) for kind, text in re.findall(r"^```(console|diff|text)\n(.*?)^```$", page, re.DOTALL | re.M)
    ]


def commands(page: str) -> list[str]:
    lines = [line for block in blocks(page) if block.kind == "console" for line in block.text.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [line[2:] for line in lines]


def neutral(output: str) -> str:
    """Without what differs from run to run: commit ids, digests, ages."""
    output = re.sub(r"\b[0-9a-f]{7,40}\b", "COMMIT", output)
    output = re.sub(r"\(main, (just now|\d+ minutes?)", "(main, AGE", output)
    return re.sub(r"\b[0-9a-f]{4}…", "DIGEST…", output).strip()


def play(folder: Path) -> list[Output]:
    """Follows the page in `folder`. Raises CalledProcessError when a command fails whose output is not shown there."""
    shutil.copytree(
        PROJECT, folder / PROJECT.name, ignore=shutil.ignore_patterns("__pycache__", ".venv", ".mlgate", "*.parquet")
    )
    reader = _Reader(folder, project_environment(folder))
    page = blocks(PAGE.read_text(encoding="utf-8"))
    for block, following in zip(page, [*page[1:], None], strict=True):
        if block.kind == "diff":
            reader.edit(block.text)
        elif block.kind == "console":
            reader.type(block.text, shown=following.text if following and following.kind == "text" else None)
    return reader.outputs


class _Reader:
    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.cwd, self.env = folder, env
        self.outputs: list[Output] = []

    def type(self, text: str, *, shown: str | None) -> None:
        lines = [line[2:] for line in text.splitlines() if not line[2:].startswith(PREPARED)]
        for line in lines:
            words = shlex.split(line)
            if words[0] == "cd":
                self.cwd = self.cwd / words[1]
                continue
            is_shown = shown is not None and line == lines[-1]
            done = subprocess.run(
                words, cwd=self.cwd, env=self.env, check=not is_shown, stdout=subprocess.PIPE, text=True
            )
            if is_shown:
                self.outputs.append(Output(line, shown or "", done.stdout, done.returncode))

    def edit(self, diff: str) -> None:
        name, old, new = (re.findall(rf"^{sign}(.*)\n", diff, re.MULTILINE) for sign in ("--- ", r"-(?!--)", r"\+"))
        file = self.cwd / name[0]
        text = file.read_text(encoding="utf-8")
        assert text.count(f"{old[0]}\n") == 1, f"{name[0]} does not say {old[0]!r} once"
        file.write_text(text.replace(old[0], new[0]), encoding="utf-8")


def project_environment(folder: Path) -> dict[str, str]:
    """The project's environment as `make example` makes it, and `mlgate` on PATH."""
    if str(STORY) not in sys.path:
        sys.path.append(str(STORY))
    import story  # type: ignore[import-not-found]  # noqa: PLC0415
    from console import Console  # type: ignore[import-not-found]  # noqa: PLC0415

    (folder / "bin").mkdir()
    mlgate = folder / "bin" / "mlgate"
    mlgate.write_text(f'#!/bin/sh\nexec {shlex.quote(str(ROOT / "scripts" / "run.sh"))} "$@"\n', encoding="utf-8")
    mlgate.chmod(0o755)
    env: dict[str, str] = story.prepare(Console(folder / "setup.log"), folder)
    return {**env, "PATH": f"{folder / 'bin'}{os.pathsep}{env['PATH']}", "COLUMNS": "110"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        outputs = play(Path(folder))
    page = PAGE.read_text(encoding="utf-8")
    for output in outputs:
        page = page.replace(f"```text\n{output.said}```", f"```text\n{output.printed.strip()}\n```")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
