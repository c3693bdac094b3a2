"""The files as they lie on the disk: what a terminal is asked about, before it is committed."""

from __future__ import annotations

from functools import cached_property

from mlgate.repo.git import LINK, Entry, Git, Snapshot


class WorkTree(Snapshot):
    """Reads like a commit: tracked files, and those that `git add` would take."""

    def __init__(self, git: Git) -> None:
        super().__init__(git, "")

    @cached_property
    def files(self) -> dict[str, Entry]:
        found = {}
        for path in self.git.listed(["**"], untracked=True):
            file = self.git.root / path
            if file.is_symlink():
                found[path] = Entry(LINK, "")
            elif file.is_file():
                state = file.stat()
                # Stands for the content, as a blob id would.
                found[path] = Entry("100644", f"{file}:{state.st_mtime_ns}:{state.st_size}")
        return found

    def read(self, path: str) -> bytes | None:
        entry = self.files.get(path)
        if entry is None or entry.mode == LINK:
            return super().read(path)
        return (self.git.root / path).read_bytes()
