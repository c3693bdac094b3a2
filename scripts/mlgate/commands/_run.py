"""What every verb does around its own work: find the repository and the forge, load configurations, leave evidence.

Every rendering is written before a verb returns its exit code, so a report never vanishes when a gate fails.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate import __version__, forges
from mlgate.errors import MlgateError
from mlgate.model import Check, Evidence, Location, Source, Tool, Verdict, worst
from mlgate.repo.git import Git, Snapshot, discover

if TYPE_CHECKING:
    from mlgate.config import Config
    from mlgate.forges import Forge
    from mlgate.render.layout import Links

STATE = ".mlgate"
_RAW_MODEL = re.compile(rb"^model:[ \t]*['\"]?([A-Za-z0-9][A-Za-z0-9._-]{0,99})['\"]?[ \t]*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Unloadable:
    """A configuration that cannot be read: the step still leaves evidence that says so."""

    file: str
    model: str
    error: MlgateError


@dataclass(eq=False)
class Run:
    """One call of a verb: where it works, for whom, and on which commit."""

    cwd: Path
    git: Git
    forge: Forge
    patterns: list[str]
    summary: bool = True

    @classmethod
    def start(cls, config: str, working_directory: str, *, summary: bool = True) -> Run:
        """Raises MlgateError outside of a repository, or where the working directory leaves it."""
        cwd = folder(working_directory)
        forge = forges.detect(os.environ)
        git = discover(cwd, forge.fetch_env())
        return cls(cwd, git, forge, [p.strip() for p in config.splitlines() if p.strip()], summary)

    @cached_property
    def head(self) -> str:
        return self.git.head()

    @cached_property
    def dirty(self) -> list[str]:
        """Tracked files that differ from the commit."""
        return self.git.dirty()

    @cached_property
    def in_ci(self) -> bool:
        return self.forge.event.kind != "terminal"

    @cached_property
    def prefix(self) -> str:
        """The working directory inside the repository, as git writes it."""
        relative = self.cwd.relative_to(self.git.root.resolve()).as_posix()
        return "" if relative == "." else relative

    def config_files(self) -> list[str]:
        """The configurations that the patterns name, relative to the repository. Raises MlgateError for none."""
        patterns = self.repo_patterns()
        found = self.git.listed(patterns, untracked=not self.in_ci)
        if not found:
            raise MlgateError(
                f"there is no {' or '.join(patterns)} in this repository.",
                fix="Write one with `mlgate init`, or name it with --config.",
            )
        return found

    def repo_patterns(self) -> list[str]:
        """The patterns relative to the repository."""
        return [self._inside(pattern) for pattern in self.patterns or ["mlgate.yaml"]]

    def _inside(self, pattern: str) -> str:
        path = posixpath.normpath(posixpath.join(self.prefix, pattern))
        if posixpath.isabs(pattern) or path.startswith("../"):
            raise MlgateError(f"--config {pattern!r} leaves the repository.", fix="Give a path below its root.")
        return path

    def read(self, path: str) -> bytes | None:
        """A file of the change: in CI of its commit, in a terminal of the working tree, where it is being edited."""
        if self.in_ci:
            return self.git.at(self.head).read(path)
        return self._on_disk(path)

    def _on_disk(self, path: str) -> bytes | None:
        file = self.git.root / path
        if file.is_symlink() or not file.resolve().is_relative_to(self.git.root.resolve()):
            raise MlgateError("is a symbolic link or leaves the repository; mlgate does not follow it.", file=path)
        return file.read_bytes() if file.is_file() else None

    def load(self, file: str) -> Config | Unloadable:
        """The change's own version of a configuration."""
        try:
            text = self.read(file)
        except MlgateError as error:
            return Unloadable(file, _name(None, file), error)
        return load(text, file, self.read)

    def load_at(self, snapshot: Snapshot, file: str) -> Config | Unloadable | None:
        """The version of a commit; None where it has none."""
        try:
            text = snapshot.read(file)
        except MlgateError as error:
            return Unloadable(file, _name(None, file), error)
        return None if text is None else load(text, file, snapshot.read)

    def source(self) -> Source:
        event = self.forge.event
        return Source(
            commit=self.head,
            dirty=bool(self.dirty),
            run_url=event.run_url,
            actor=event.actor,
            event=event.kind,
            trigger=event.name,
            forge=event.forge,
            pull_request=event.pull_request,
            at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def finish(self, verb: str, evidences: Sequence[Evidence], outputs: dict[str, str] | None = None) -> int:
        """Leave evidence, show it, and say the exit code."""
        source = self.source()
        stamped = [e.model_copy(update={"source": source, "tool": Tool(version=__version__)}) for e in evidences]
        return finish(self.cwd, self.forge, verb, stamped, outputs or {}, summary=self.summary)


def folder(path: str) -> Path:
    """Raises MlgateError when there is no such folder."""
    found = Path(path).resolve()
    if not found.is_dir():
        raise MlgateError(f"the working directory {path!r} does not exist.", fix="Check --working-directory.")
    return found


def load(text: bytes | None, file: str, base: Callable[[str], bytes | None]) -> Config | Unloadable:
    from mlgate import config  # noqa: PLC0415 -- typed settings are the slowest import of a verb

    try:
        if text is None:
            raise MlgateError("does not exist.", file=file, fix="Write one with `mlgate init`.")
        return config.load(text, file=file, base=base)
    except MlgateError as error:
        return Unloadable(file, _name(text, file), error)


def _name(text: bytes | None, file: str) -> str:
    """What to file the evidence of a broken configuration under: its model where that can be read, else its path."""
    named = _RAW_MODEL.search(text or b"")
    return named[1].decode() if named else re.sub(r"[^A-Za-z0-9._-]+", "-", file).strip("-.")[:100] or "mlgate.yaml"


def unloadable(verb: str, broken: Unloadable) -> Evidence:
    """The evidence of a configuration that cannot be read."""
    error = broken.error
    check = Check(
        id="judge.config",
        group="judge",
        title=broken.file,
        verdict=Verdict.ERROR,
        reason=str(error),
        location=Location(file=error.file or broken.file, line=error.line, key=error.key),
    )
    return Evidence(kind=verb, model=broken.model, title=str(error), verdict=Verdict.ERROR, checks=[check])


def failed(verb: str, model: str, error: MlgateError) -> Evidence:
    """The evidence of a step that could not measure."""
    where = Location(file=error.file, line=error.line, key=error.key) if error.file else None
    check = Check(id="judge.step", group="judge", title=verb, verdict=Verdict.ERROR, reason=str(error), location=where)
    return Evidence(kind=verb, model=model, title=str(error), verdict=Verdict.ERROR, checks=[check])


def finish(
    cwd: Path, forge: Forge, verb: str, evidences: Sequence[Evidence], outputs: dict[str, str], *, summary: bool
) -> int:
    """Write evidence and its renderings, tell the forge, print the table; return the exit code of the worst model."""
    from mlgate.render import annotations, html, junit, markdown, openmetrics, terminal  # noqa: PLC0415

    state = cwd / STATE
    save(state, evidences)
    report = state / "report.html"
    write_text(report, html.page(evidences, links=links(forge)))
    write_text(state / "junit.xml", junit.xml(evidences))
    write_text(state / "metrics.txt", openmetrics.text(evidences))
    code = exit_code(evidences)
    told = {
        "verdict": worst(e.verdict for e in evidences).value,
        "passed": str(code == 0).lower(),
        "exit-code": str(code),
        "evidence": relative(state / "evidence"),
        "report": relative(report),
        **outputs,
    }
    write_text(state / "mlgate.env", dotenv(told))
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size((120, 40)).columns if sys.stdout.isatty() else 160
    shown = terminal.show(evidences, color=color, width=width, report=told["report"])
    sys.stdout.write(forges.quiet_commands(shown) if forge.name != "none" else shown)
    sys.stdout.flush()
    if forge.name != "none":
        forge.annotate([forges.Annotation(*note) for note in annotations.of(evidences)])
        if summary:
            forge.add_summary(markdown.summary(evidences, links=links(forge)))
    forge.set_outputs(told)
    return code


def exit_code(evidences: Sequence[Evidence]) -> int:
    """The worst: 2 (could not measure) outranks 1 (a broken rule) outranks 3 (inconclusive). Of nothing it is 2."""
    return max((e.exit_code for e in evidences), key=[0, 3, 1, 2].index, default=2)


def links(forge: Forge) -> Links:
    """Where commits and this run can be looked at."""
    from mlgate.render.layout import Links  # noqa: PLC0415

    event = forge.event
    return Links(commit=event.commit_url, file=event.file_url, run=event.run_url)


def dotenv(outputs: dict[str, str]) -> str:
    """GitLab's dotenv report: short single-line values only, and no list that could grow past its 5 KB."""
    fine = {k: v for k, v in outputs.items() if v.isprintable() and len(v) <= 200 and not v.startswith("[")}
    return "".join(f"MLGATE_{k.upper().replace('-', '_')}={v}\n" for k, v in fine.items())


def relative(path: Path) -> str:
    with suppress(ValueError):
        return path.relative_to(Path.cwd()).as_posix()
    return path.as_posix()


# -- files -----------------------------------------------------------------------------------------------------------


def save(state: Path, evidences: Sequence[Evidence]) -> None:
    """One JSON file per model and verb, and a .gitignore so that none of it is ever committed."""
    write_text(state / ".gitignore", "*\n")
    for evidence in evidences:
        write_text(state / "evidence" / evidence.model / f"{evidence.kind}.json", evidence.to_json())


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing: a temporary file beside it, then a rename. Raises MlgateError when it cannot."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise MlgateError(
            f"cannot write {path} ({error.strerror or error}).", fix="Make room, or check the folder's permissions."
        ) from error
