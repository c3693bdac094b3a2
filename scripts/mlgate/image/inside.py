"""The model inside an image: whether it is the one that was judged, byte by byte, and nobody can change it. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from mlgate.image import layers
from mlgate.image.layers import Entry
from mlgate.judge.record import model_digest
from mlgate.model import Check, Verdict

_SHOWN = 5


def uid_of(name: str, passwd: Entry | None) -> int | None:
    """The number of a user that /etc/passwd has; None where it has none."""
    for line in (passwd.content.decode(errors="replace") if passwd else "").splitlines():
        fields = line.split(":")
        if len(fields) > 3 and fields[0] == name and fields[2].isdigit():
            return int(fields[2])
    return None


def judged(files: Mapping[str, Entry], model: Mapping[str, str], digest: str) -> tuple[str | None, Check]:
    """Where the model is, and whether it is this one, byte by byte: no more and no fewer files."""
    title = "holds the model that was judged"
    digest = digest.removeprefix("sha256:")
    if not digest or not model:
        reason = "Which model it should hold was not said, so nothing was looked for."
        return None, _check("model", title, Verdict.ERROR, reason)
    if "" in model:
        at = sorted(path for path, entry in files.items() if entry.sha256 == model[""] == digest)
        if at:
            return at[0], _check("model", title, Verdict.PASS, observed=f"/{at[0]}", expected=digest)
        return None, _check(
            "model", title, Verdict.FAIL, "No file in it is the model that was judged.", expected=digest
        )
    roots = sorted(_roots(files, model), key=lambda root: (len(_unlike(files, model, root)), root))
    if not roots:
        return None, _check("model", title, Verdict.FAIL, "The model that was judged is not in it.", expected=digest)
    root = roots[0]
    wrong = _unlike(files, model, root)
    added = [path for path in layers.under(files, root) if path not in model]
    inside = {
        path: files[f"{root}/{path}".lstrip("/")].sha256 for path in model if f"{root}/{path}".lstrip("/") in files
    }
    if not wrong and not added and model_digest(inside) == digest:
        return root, _check("model", title, Verdict.PASS, observed=f"/{root}", expected=digest)
    said = [f"{_listed(wrong)} {'is' if len(wrong) == 1 else 'are'} missing or of another content"] if wrong else []
    said += [f"{_listed(added)} {'was' if len(added) == 1 else 'were'} added"] if added else []
    reason = f"In /{root} {' and '.join(said) or 'the files make another digest'}: it is not the model that was judged."
    return root, _check("model", title, Verdict.FAIL, reason, expected=digest)


def _roots(files: Mapping[str, Entry], model: Mapping[str, str]) -> set[str]:
    """Folders in which at least one of the model's files lies as it lies in the model."""
    by_name: dict[str, list[str]] = {}
    for path in model:
        by_name.setdefault(posixpath.basename(path), []).append(path)
    found = set()
    for path, entry in files.items():
        for relative in by_name.get(posixpath.basename(path), ()):
            if path.endswith(f"/{relative}") and entry.sha256 == model[relative]:
                found.add(path.removesuffix(f"/{relative}"))
    return found


def _unlike(files: Mapping[str, Entry], model: Mapping[str, str], root: str) -> list[str]:
    there = {path: files.get(f"{root}/{path}") for path in model}
    return sorted(path for path, entry in there.items() if entry is None or entry.sha256 != model[path])


def writable(config: Mapping[str, Any], files: Mapping[str, Entry], root: str) -> Check:
    """That the server cannot change the model it answers with."""
    title = "cannot write to its model"
    parts = str(config.get("User") or "").split(":")
    number = int(parts[0]) if parts[0].isdigit() else uid_of(parts[0], files.get("etc/passwd"))
    gid = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None
    inside = [
        entry for path, entry in files.items() if (path == root or path.startswith(f"{root}/")) and not entry.link
    ]
    open_ = [
        f"/{one.path}" for one in inside
        if one.mode & 0o002 or (number is not None and one.uid == number and one.mode & 0o200)
        or (gid is not None and one.gid == gid and one.mode & 0o020)
    ]  # fmt: skip
    if number in {0, None} and parts[0] in {"", "0", "root"}:
        open_ = []  # that it is root is told already
    reason = (
        f"The server's user may write to {_listed(open_)}. Let root own the model, readable by all." if open_ else ""
    )
    return _check("writable", title, Verdict.WARN if open_ else Verdict.PASS, reason)


def _listed(found: Sequence[str]) -> str:
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return f"{', '.join(found[:_SHOWN])}{more}"


def _check(word: str, title: str, verdict: Verdict, reason: str = "", **more: Any) -> Check:
    return Check(id=f"image.contents.{word}", title=title, group="image", verdict=verdict, reason=reason, **more)
