"""Data files that are named on the command line: where they are, how they are read, and a contract that one keeps."""

from __future__ import annotations

import posixpath

from mlgate import extras
from mlgate.commands._run import Run, Unloadable
from mlgate.config.settings import Read
from mlgate.errors import MlgateError


def inside(run: Run, path: str) -> str:
    """The path relative to the repository. Raises MlgateError for one outside of it."""
    there = posixpath.normpath(posixpath.join(run.prefix, path))
    if posixpath.isabs(path) or there.startswith("../"):
        raise MlgateError(f"{path} is outside the repository.", fix="Give a path below its root.")
    return there


def read_of(run: Run, path: str) -> Read:
    """How mlgate.yaml says that a file is read, where there is one that lists it."""
    for file in sorted(run.config_files()):
        own = run.load(file)
        if not isinstance(own, Unloadable):
            for entry in own.data:
                if own.path(entry.path) == path:
                    return entry.read
    return Read()


def propose(run: Run, path: str, memory_limit: str) -> str:
    """A contract that a file keeps. Raises MlgateError for a file that cannot be read."""
    extras.use("data")
    from mlgate.data import profile, reading  # noqa: PLC0415

    there = inside(run, path)
    con = reading.connect(memory_limit)
    try:
        table = reading.open_table(con, reading.resolve(run.git.root, there), there, read_of(run, there))
        return profile.propose(con, table, name=there)
    finally:
        con.close()
