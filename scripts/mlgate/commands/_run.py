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
from collections.abc import Callable, Iterator, Sequence
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
        """The configurations that the patterns name, relative to the repository."""
        globs, found = self._split_patterns(self.in_the_change)
        return sorted({*found, *(self.git.listed(globs, untracked=not self.in_ci) if globs else [])})

    def config_files_at(self, snapshot: Snapshot) -> list[str]:
        """Those that a commit has."""
        globs, found = self._split_patterns(lambda path: path in snapshot.files)
        more = self.git.listed_at(snapshot.commit, globs) if globs else []
        return sorted({*found, *(path for path in more if path in snapshot.files)})

    def _split_patterns(self, there: Callable[[str], bool]) -> tuple[list[str], list[str]]:
        """Globs, which git expands, and the plain paths that are there."""
        patterns = self.repo_patterns()
        globs = [p for p in patterns if any(c in p for c in "*?[\\")]
        return globs, [p for p in patterns if p not in globs and there(p)]

    def in_the_change(self, path: str) -> bool:
        """Whether the change has a file: in CI its commit, in a terminal the working tree."""
        if self.in_ci:
            return path in self.git.at(self.head).files
        return (self.git.root / path).is_file() or (self.git.root / path).is_symlink()

    def no_config(self) -> MlgateError:
        """What to say when the patterns name none."""
        return MlgateError(
            f"there is no {' or '.join(self.repo_patterns())} in this repository.",
            fix="Write one with `mlgate init`, or name it with --config.",
        )

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

    def forget(self, verb: str) -> None:
        """Remove what an earlier run of this verb found here, so that it cannot be taken for what this one finds."""
        for file in (self.cwd / STATE / "evidence").glob(f"*/{verb}.json"):
            _refuse_links(file)
            file.unlink(missing_ok=True)

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
    return named[1].decode() if named else file_name(file)


def file_name(path: str) -> str:
    """A path as the name of one folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path).strip("-.")[:100] or "mlgate.yaml"


def unloadable(verb: str, broken: Unloadable) -> Evidence:
    """The evidence of a configuration that cannot be read."""
    error = broken.error
    check = Check(
        id="judge.config",
        group="judge",
        title="mlgate.yaml",
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


def off(verb: str, config: Config) -> Evidence:
    """The evidence of a gate that is switched off: nothing was checked, and that is said."""
    reason = f"mode is off in {config.file}: nothing was checked."
    check = Check(
        id="judge.off", group="judge", title="mode", verdict=Verdict.WARN, reason=reason,
        location=Location(file=config.file, line=config.line("mode"), key="mode"),
    )  # fmt: skip
    return Evidence(
        kind=verb, model=config.model, title=reason, verdict=Verdict.WARN, mode=config.mode,
        fail_on=config.fail_on, checks=[check],
    )  # fmt: skip


def finish(
    cwd: Path, forge: Forge, verb: str, evidences: Sequence[Evidence], outputs: dict[str, str], *, summary: bool
) -> int:
    """Write evidence and its renderings, tell the forge, print the table; return the exit code of the worst model."""
    state = cwd / STATE
    save(state, evidences)
    code = exit_code(evidences)
    told = {**outcome(evidences, state), **outputs}
    to = links(forge, state)
    for name, text in files(evidences, to, told):
        write_text(state / name, text)
    show(evidences, forge, told["report"])
    if forge.name != "none" and summary:
        from mlgate.render import annotations, markdown  # noqa: PLC0415

        forge.annotate([forges.Annotation(*note) for note in annotations.of(evidences)])
        forge.add_summary(markdown.summary(evidences, links=to))
    forge.set_outputs(told)
    return code


def outcome(evidences: Sequence[Evidence], state: Path) -> dict[str, str]:
    """The outputs of every verb."""
    code = exit_code(evidences)
    return {
        "verdict": worst(e.verdict for e in evidences).value,
        "passed": str(code == 0).lower(),
        "exit-code": str(code),
        "evidence": relative(state / "evidence"),
        "report": relative(state / "report.html"),
    }


def files(evidences: Sequence[Evidence], to: Links, outputs: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The renderings that every verb leaves in .mlgate, by name."""
    from mlgate.render import annotations, html, junit, openmetrics  # noqa: PLC0415

    yield ".gitignore", "*\n"  # none of this is ever committed
    yield "report.html", html.page(evidences, links=to)
    yield "junit.xml", junit.xml(evidences)
    yield "metrics.txt", openmetrics.text(evidences)
    yield "annotations.json", annotations.gitlab(to)
    # Its variables reach every later job: nothing in it may be the variable of an option.
    yield "mlgate.env", dotenv({key: outputs[key] for key in ("verdict", "passed", "exit-code")})


def show(evidences: Sequence[Evidence], forge: Forge, report: str) -> None:
    """Print the table, in colour on a terminal that wants it."""
    from mlgate.render import terminal  # noqa: PLC0415

    tty = sys.stdout.isatty()
    width = shutil.get_terminal_size((120, 40)).columns if tty else 160
    say(forge, terminal.show(evidences, color=tty and "NO_COLOR" not in os.environ, width=width, report=report))


def say(forge: Forge, text: str) -> None:
    """Print, so that no line of it is a command to the runner."""
    sys.stdout.write(forges.quiet_commands(text) if forge.name != "none" else text)
    sys.stdout.flush()


def exit_code(evidences: Sequence[Evidence]) -> int:
    """The worst: 2 (could not measure) outranks 1 (a broken rule) outranks 3 (inconclusive). Of nothing it is 2."""
    return max((e.exit_code for e in evidences), key=[0, 3, 1, 2].index, default=2)


def links(forge: Forge, state: Path) -> Links:
    """Where commits, this run and what it leaves behind can be looked at."""
    from mlgate.render.layout import Links  # noqa: PLC0415

    event = forge.event
    return Links(
        commit=event.commit_url,
        file=event.file_url,
        run=event.run_url,
        report=forge.artifact_url(state / "report.html"),
        evidence=forge.artifact_url(state / "evidence"),
    )


def dotenv(outputs: dict[str, str]) -> str:
    """GitLab's dotenv report."""
    return "".join(f"MLGATE_{key.upper().replace('-', '_')}={value}\n" for key, value in outputs.items())


def relative(path: Path) -> str:
    with suppress(ValueError):
        return path.relative_to(Path.cwd()).as_posix()
    return path.as_posix()


# -- files -----------------------------------------------------------------------------------------------------------


def save(state: Path, evidences: Sequence[Evidence]) -> None:
    """One JSON file per model and verb."""
    for evidence in evidences:
        write_text(state / "evidence" / evidence.model / f"{evidence.kind}.json", evidence.to_json())


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing: a temporary file beside it, then a rename.

    Raises MlgateError when it cannot, or when what it leaves behind would land elsewhere by a link.
    """
    temporary = ""
    _refuse_links(path)
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


def _refuse_links(path: Path) -> None:
    """A change can commit .mlgate, or a folder in it, as a link: what a verb leaves behind stays where it works."""
    if STATE not in path.parts:
        return
    for folder in path.parents:
        if folder.is_symlink():
            raise MlgateError(
                "is a symbolic link; mlgate writes only where it works.", file=relative(folder), fix="Remove it."
            )
        if folder.name == STATE:
            return
