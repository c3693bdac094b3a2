"""Logs in object storage, through fsspec: fetched once, into a private folder, before they are read.

Credentials are those that the provider's own library finds in the environment; an address holds none.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlgate import extras
from mlgate.errors import MlgateError
from mlgate.watch.logs import files
from mlgate.watch.logs.nouns import File
from mlgate.watch.nouns import Window

# scheme -> what fsspec calls it, and what of its settings keeps a run from waiting for ever
_SCHEMES: dict[str, tuple[str, dict[str, Any]]] = {
    **dict.fromkeys(
        ("s3", "s3a"),
        ("s3", {"config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 3}}}),
    ),
    **dict.fromkeys(("gs", "gcs"), ("gs", {})),
    **dict.fromkeys(("az", "abfs", "abfss"), ("az", {})),
}
_MAGIC = re.compile(r"[*?\[]")
_MARGIN = timedelta(hours=1)  # clocks of storages differ less


def remote(path: str) -> bool:
    return "://" in path


def fetched(paths: list[str], window: Window, *, key: str, say: Callable[[str], object]) -> tuple[list[File], int]:
    """The files of all paths, now local, and how many of the paths have none.

    An object that was last written before the window began holds nothing of it, and is not fetched. Raises MlgateError
    for storages that cannot be reached or do not let us in, and for too little room on the disk.
    """
    scheme = paths[0].split("://", 1)[0].lower()
    if scheme not in _SCHEMES:
        raise MlgateError(
            f"the address {_bare(paths[0])!r} is of a storage that is not read.",
            key=key,
            fix="Use s3://, gs:// or az://, or a path of this machine.",
        )
    if any("@" in one.split("://", 1)[1].split("/", 1)[0] and scheme not in {"abfs", "abfss"} for one in paths):
        raise MlgateError(
            f"the address {_bare(paths[0])!r} holds credentials.", key=key, fix="Give them by the environment."
        )
    extras.use("storage")
    import fsspec  # type: ignore[import-untyped] # noqa: PLC0415

    kind, settings = _SCHEMES[scheme]
    objects: dict[str, Mapping[str, Any]] = {}
    missing = 0
    try:
        fs = fsspec.filesystem(kind, use_listings_cache=False, skip_instance_cache=True, **settings)
        for path in paths:
            found = _listed(fs, path)
            missing += not found
            objects |= found
        objects = {name: info for name, info in sorted(objects.items()) if not _too_old(info, window)}
        return _download(fs, scheme, objects, key, say), missing
    except MlgateError:
        raise
    except Exception as error:  # each library has its own: no credentials, no such bucket, no route
        raise MlgateError(
            f"cannot be read ({_said(error)}).",
            file=_bare(paths[0]),
            key=key,
            fix="Check the address, the network, and that the job has credentials that may list and read it.",
        ) from error


def _listed(fs: Any, path: str) -> dict[str, Mapping[str, Any]]:
    if _MAGIC.search(path):
        found = dict(fs.glob(path, detail=True))
    else:
        try:
            found = dict(fs.find(path, detail=True))
        except FileNotFoundError:
            found = {}
        if not found:
            fs.ls(path.split("://", 1)[1].split("/", 1)[0])  # an empty folder is none; a missing bucket is a mistake
    inside = path.split("://", 1)[1]
    return {
        name: info
        for name, info in found.items()
        if info.get("type") == "file" and not any(part[:1] in {".", "_"} for part in _below(name, inside))
    }


def _below(name: str, path: str) -> list[str]:
    """The part of an object's name that the path does not spell out."""
    start = path.rpartition("/")[0] if _MAGIC.search(path) else path
    start = start[: found.start()].rpartition("/")[0] if (found := _MAGIC.search(start)) else start
    return name.removeprefix(start).strip("/").split("/")


def _too_old(info: Mapping[str, Any], window: Window) -> bool:
    written = next((info[one] for one in ("LastModified", "last_modified", "mtime", "updated") if info.get(one)), None)
    if isinstance(written, str):
        try:
            written = datetime.fromisoformat(written)
        except ValueError:
            return False
    if not isinstance(written, datetime):
        return False
    return (written if written.tzinfo else written.replace(tzinfo=UTC)) < window.since - _MARGIN


def _download(
    fs: Any, scheme: str, objects: Mapping[str, Mapping[str, Any]], key: str, say: Callable[[str], object]
) -> list[File]:
    if not objects:
        return []
    folder = Path(tempfile.mkdtemp(prefix="mlgate-logs-"))  # only its owner may look into it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    octets = sum(int(info.get("size") or 0) for info in objects.values())
    free = shutil.disk_usage(folder).free
    if octets > free * 0.9:
        raise MlgateError(
            f"the logs of the window have {octets / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free.",
            key=key,
            fix="Use `{date}` in the path, a shorter window, or a runner with a larger disk (TMPDIR says where).",
        )
    say(f"fetching {len(objects)} files, {octets / 1e6:.1f} MB, from {scheme}://{next(iter(objects)).split('/')[0]}")
    got = []
    for number, name in enumerate(objects):
        local = folder / f"{number:06d}-{name.rsplit('/', 1)[-1]}"
        fs.get_file(name, str(local))
        got.append(replace(files.file(local, f"{scheme}://{name}")))
    return got


def _bare(address: str) -> str:
    return re.sub(r"://[^/@]*@", "://", address)


def _said(error: Exception) -> str:
    """The library's first line, without what could be a key."""
    text = " ".join(str(error).split("\n", 1)[0].split()) or type(error).__name__
    return re.sub(r"://[^/@\s]+@", "://***@", text)[:200].rstrip(".")
