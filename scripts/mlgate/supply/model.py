"""The scan of a model's files before anything loads them. Nothing of them is imported, called or unpickled."""

from __future__ import annotations

import io
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from mlgate.model import Check, Location, Verdict, worst
from mlgate.supply import files
from mlgate.supply.limits import Budget, Metered
from mlgate.supply.report import Finding, Scan, listed, plain

GROUP = "supply"


def scan(path: Path, *, trusted: Sequence[str] = (), budget: Budget | None = None) -> list[Check]:
    """What is in a model's file or folder: one check for the whole, and one for each file that does not pass.

    `fail`: it runs code when it is loaded. `error`: nobody knows what it does, or it cannot be read. Only `pass` may
    be loaded.
    """
    work = Scan(tuple(trusted), budget or Budget())
    try:
        found = sorted(_walk(path, work), key=lambda one: (not one[0].endswith(".onnx"), one[0]))
    except OSError as error:
        return [_check(Finding(str(path), Verdict.ERROR, f"it cannot be read: {error.strerror}."), path)]
    for name, file in found:
        if name in work.beside:
            work.kind("numbers of ONNX")
            continue
        try:
            files.look(work, name, partial(_opened, file, work.budget), path=name)
        except OSError as error:
            work.doubt(name, f"it cannot be read: {error.strerror}.")
    missing = sorted(work.beside - {name for name, _ in found})
    for name in missing:
        work.doubt(name, "it is named by the ONNX model, and is not there.")
    if not found and not work.findings:
        work.doubt(path.name, "it holds no files.")
    return _checks(work, path, len(found))


class _File(io.BufferedReader):
    """A file that an archive's reader may also read from its end."""

    def __init__(self, path: Path, budget: Budget) -> None:
        self._path = path
        super().__init__(Metered(path.open("rb", buffering=0), budget, what="file"), 1 << 20)

    def plain_file(self) -> io.BufferedReader:
        return self._path.open("rb")


def _opened(path: Path, budget: Budget) -> io.BufferedReader:
    return _File(path, budget)


def _walk(path: Path, work: Scan) -> Iterator[tuple[str, Path]]:
    """Each regular file below, by its path in the model. Links and devices are not followed, and said."""
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        mode = os.stat(path).st_mode  # the model itself may be a link into a cache
    if stat.S_ISREG(mode):
        yield path.name, path
        return
    if not stat.S_ISDIR(mode):
        work.doubt(path.name, "it is neither a file nor a folder.")
        return
    root = path.resolve()
    for folder, folders, names in os.walk(path, followlinks=False):
        folders.sort()
        for name in sorted((*names, *folders)):
            full = Path(folder, name)
            label = posixpath.normpath(full.relative_to(path).as_posix())
            kind = os.lstat(full).st_mode
            if stat.S_ISDIR(kind):
                continue
            work.budget.file()
            if stat.S_ISLNK(kind):
                target = full.resolve()
                if not target.is_file() or not target.is_relative_to(root):
                    work.harm(label, "it is a link that leads out of the model.")
                    continue
            elif not stat.S_ISREG(kind):
                work.doubt(label, "it is neither a file nor a folder.")
                continue
            yield label, full


def _checks(work: Scan, path: Path, count: int) -> list[Check]:
    by_file: dict[str, list[Finding]] = {}
    for finding in work.findings:
        by_file.setdefault(finding.file, []).append(finding)
    checks = [_merged(found, path) for _, found in sorted(by_file.items())]
    kinds = ", ".join(f"{number} {name}" for name, number in sorted(work.kinds.items()))
    looked = f"{count} file{'s' if count != 1 else ''} looked into ({kinds})" if kinds else f"{count} files"
    if checks:
        verdict = worst(check.verdict for check in checks)
        reason = f"{looked}; {len(checks)} must not be loaded."
    else:
        verdict = Verdict.PASS
        reason = f"{looked}; every name that loading would use is known to hold data only."
        if work.used:
            reason = f"{looked}; loading uses {listed(sorted(work.used))}, trusted by name; the rest is known."
    whole = Check(
        id="supply.model", title="model files", group=GROUP, verdict=verdict, reason=reason, location=_at(path)
    )
    return [whole, *checks]


def _merged(found: list[Finding], path: Path) -> Check:
    """All that was found in one file."""
    reasons = " ".join(_sentence(one.reason) for one in found)
    trust = tuple(dict.fromkeys(name for one in found for name in one.trust))
    verdict = worst(one.verdict for one in found)
    harmful = any(one.verdict is Verdict.FAIL for one in found)
    return _check(Finding(found[0].file, Verdict.FAIL if harmful else verdict, reasons, () if harmful else trust), path)


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:]


def _check(finding: Finding, path: Path) -> Check:
    fix = ""
    if finding.trust:
        lines = "".join(f"\n      - {plain(name, 200)}" for name in finding.trust[:20])
        fix = f"# in mlgate.yaml, once you have read what it does\nimage:\n  scan:\n    trusted:{lines}"
    return Check(
        id=f"supply.model.{plain(finding.file, 200)}",
        title=plain(finding.file, 200),
        group=GROUP,
        verdict=finding.verdict,
        reason=_sentence(finding.reason),
        fix=fix,
        location=_at(path),
    )


def _at(path: Path) -> Location:
    return Location(file=path.as_posix())
