"""What is inside an image, layer by layer, read as the engine gives it out: nothing is started for it.

Each layer is looked into, because what a later one deletes is still there for whoever pulls the image.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import posixpath
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Any

from mlgate.errors import MlgateError
from mlgate.image.engine import Engine

_BLOCK = 1 << 20
_KEEP = 8 << 20  # octets of a file whose content is kept
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_TIMEOUT = 600.0


@dataclass(frozen=True)
class Entry:
    """A file of a layer. Paths have no leading slash. Digests and content are of files that were `wanted`."""

    path: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    link: str = ""  # where a symbolic link leads
    sha256: str = ""
    md5: str = ""
    content: bytes = b""  # of small files that were wanted whole
    found: tuple[str, ...] = ()  # which of the needles it holds


@dataclass
class Layer:
    digest: str = ""  # of its unpacked bytes, as the image's configuration names it
    entries: list[Entry] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)  # paths of earlier layers that it takes away
    emptied: list[str] = field(default_factory=list)  # folders of which it takes away everything


@dataclass
class Contents:
    """An image: its configuration, and its layers from the first to the last."""

    config: Mapping[str, Any]
    layers: Sequence[Layer]

    def files(self) -> dict[str, Entry]:
        """What a container sees: path -> file."""
        seen: dict[str, Entry] = {}
        for layer in self.layers:
            lost = set(layer.gone)
            folders = tuple(f"{path}/" for path in [*layer.gone, *layer.emptied])
            if lost or folders:
                seen = {
                    path: entry for path, entry in seen.items() if path not in lost and not path.startswith(folders)
                }
            seen.update({entry.path: entry for entry in layer.entries})
        return seen

    def own(self, base: Sequence[str]) -> list[Layer]:
        """The layers that are not the base image's; `base` are the digests of its layers."""
        count = 0
        while count < min(len(base), len(self.layers)) and self.layers[count].digest == base[count]:
            count += 1
        # Of another base than was said nothing is taken for the base's.
        return list(self.layers[count:] if count == len(base) else self.layers)


@dataclass(frozen=True)
class Wanted:
    """Of which files the content is read. `whole`: kept where it is small. `digested`: its digests are made."""

    whole: Callable[[str], bool] = lambda path: False
    digested: Callable[[str], bool] = lambda path: False
    needles: Mapping[str, Sequence[bytes]] = field(default_factory=dict)  # name -> what is looked for in every file


def read(engine: Engine, image: str, wanted: Wanted) -> Contents:
    """Raises MlgateError when the engine does not give the image out, or gives out something else."""
    command = [engine.command, "image", "save", image]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(engine.environ) or None
    ) as process:
        assert process.stdout is not None  # noqa: S101 -- it was asked for
        assert process.stderr is not None  # noqa: S101
        try:
            found = parse(process.stdout, wanted)
        except (tarfile.TarError, OSError, ValueError, KeyError, IndexError, EOFError) as error:
            process.kill()
            said = process.stderr.read().decode(errors="replace").strip().splitlines()
            raise MlgateError(f"what is inside {image} could not be read: {said[-1] if said else error}.") from error
        except BaseException:
            process.kill()
            raise
        while process.stdout.read(_BLOCK):
            pass
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        try:
            code = process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            code = -1
        if code != 0:
            raise MlgateError(f"what is inside {image} could not be read: {said[-1] if said else f'exit code {code}'}.")
    return found


def parse(stream: IO[bytes], wanted: Wanted) -> Contents:
    """What `docker image save` writes: of old engines a folder for each layer, of new ones blobs by their digest.

    Raises tarfile.TarError, ValueError, KeyError, IndexError for anything else.
    """
    layers: dict[str, Layer] = {}
    texts: dict[str, bytes] = {}
    links: dict[str, str] = {}
    with tarfile.open(fileobj=stream, mode="r|") as outer:
        for member in outer:
            if member.issym() or member.islnk():
                target = member.linkname if member.islnk() else posixpath.join(
                    posixpath.dirname(member.name), member.linkname
                )  # fmt: skip
                links[member.name] = posixpath.normpath(target)
            if not member.isfile():
                continue
            file = outer.extractfile(member)
            if file is None:
                continue
            head = file.read(512)
            if _is_layer(head):
                layers[member.name] = _layer(_Joined(head, file), wanted)
            else:
                texts[member.name] = head + file.read()
    manifest = json.loads(texts["manifest.json"])[0]
    config = json.loads(texts[_resolved(manifest["Config"], links)])
    digests = list((config.get("rootfs") or {}).get("diff_ids") or [])
    names = [_resolved(name, links) for name in manifest["Layers"]]
    found = [layers[name] for name in names]
    if len(digests) != len(found):
        raise ValueError("the image's configuration speaks of other layers")
    return Contents(
        config, [Layer(digest, one.entries, one.gone, one.emptied) for digest, one in zip(digests, found, strict=True)]
    )


def _is_layer(head: bytes) -> bool:
    """Whether a member is an archive itself, by its first block: packed, or not, or without a single file."""
    packed = head[:2] == b"\x1f\x8b" or head[:4] == b"\x28\xb5\x2f\xfd"
    return packed or head[257:262] == b"ustar" or (len(head) == 512 and not head.strip(b"\0"))


def _resolved(name: str, links: Mapping[str, str]) -> str:
    seen = set()
    while name in links and name not in seen:
        seen.add(name)
        name = links[name]
    return name


class _Joined(io.RawIOBase):
    """The beginning of a file that was looked at, and the rest of it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        super().__init__()
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        data, self._head = self._head[:size], self._head[size:]
        if len(data) < size:
            data += self._rest.read(size - len(data))
        buffer[: len(data)] = data
        return len(data)


def _layer(raw: _Joined, wanted: Wanted) -> Layer:
    stream: IO[bytes] = io.BufferedReader(raw, _BLOCK)
    magic = stream.peek(4)[:4]  # type: ignore[attr-defined]
    if magic[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=stream)  # type: ignore[assignment]
    elif magic == b"\x28\xb5\x2f\xfd":
        raise ValueError("its layers are packed with zstd, which this Python cannot read")
    layer = Layer()
    with tarfile.open(fileobj=stream, mode="r|") as inner:
        for member in inner:
            path = posixpath.normpath(member.name.lstrip("/")).removeprefix("./")
            folder, name = posixpath.split(path)
            if name == _OPAQUE:
                layer.emptied.append(folder)
            elif name.startswith(_WHITEOUT):
                layer.gone.append(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
            elif member.isfile():
                layer.entries.append(_entry(inner, member, path, wanted))
            elif member.issym():
                layer.entries.append(Entry(path, member.mode, member.uid, member.gid, link=member.linkname))
            elif member.islnk():  # the same file under a second name
                target = posixpath.normpath(member.linkname.lstrip("/"))
                layer.entries += [replace(one, path=path) for one in layer.entries if one.path == target][-1:]
    while stream.read(_BLOCK):  # padding at the end of an archive
        pass
    return layer


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, wanted: Wanted) -> Entry:
    whole = wanted.whole(path) and member.size <= _KEEP
    digested = wanted.digested(path)
    sha, md5, kept, found = "", "", b"", ()
    if whole or digested or wanted.needles:
        file = archive.extractfile(member)
        hashes = (hashlib.sha256(), hashlib.md5(usedforsecurity=False)) if digested else ()
        seen: set[str] = set()
        tail, parts = b"", []
        overlap = max((len(one) for needles in wanted.needles.values() for one in needles), default=1) - 1
        for block in _blocks(file):
            for one in hashes:
                one.update(block)
            if whole:
                parts.append(block)
            joined = tail + block
            seen |= {
                name for name, needles in wanted.needles.items()
                if name not in seen and any(one in joined for one in needles)
            }  # fmt: skip
            tail = joined[-overlap:] if overlap else b""
        sha, md5 = [one.hexdigest() for one in hashes] or ("", "")
        kept, found = b"".join(parts), tuple(sorted(seen))  # type: ignore[assignment]
    return Entry(path, member.mode, member.uid, member.gid, member.size, "", sha, md5, kept, found)


def _blocks(file: IO[bytes] | None) -> Iterator[bytes]:
    while file is not None and (block := file.read(_BLOCK)):
        yield block


def under(files: Iterable[str], folder: str) -> list[str]:
    """The paths below a folder, as they are called in it."""
    prefix = f"{folder}/" if folder else ""
    return sorted(path.removeprefix(prefix) for path in files if path.startswith(prefix))
