"""Archives: every member is looked into, by what it is and not by what it is called."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial

from mlgate.supply.limits import LimitError, MalformedError, metered
from mlgate.supply.pickles import Opener
from mlgate.supply.report import Scan, plain

# Looks into one member: its label, how it is opened, its name in the archive.
Member = Callable[[str, Opener, str], None]


def zipped(
    scan: Scan, file: str, opener: Opener, member: Member, *, special: Callable[[str, zipfile.ZipFile], None]
) -> None:
    """Looks into a zip. `special` looks at the archive as a whole first."""
    try:
        with _whole(opener, scan) as source, zipfile.ZipFile(source) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if len(set(names)) != len(names):
                raise MalformedError("holds two members of the same name, of which readers take different ones")
            special(file, archive)
            torch = next((name.removesuffix("data.pkl") for name in names if name.endswith("data.pkl")), None)
            for info in sorted(infos, key=lambda info: info.filename):
                scan.budget.file()
                name = info.filename
                if info.is_dir():
                    continue
                if info.flag_bits & 1:
                    scan.doubt(f"{file} > {plain(name)}", "it is encrypted, so it was not looked at.")
                    continue
                if stat.S_ISLNK(info.external_attr >> 16):
                    scan.doubt(f"{file} > {plain(name)}", "it is a link, which may lead anywhere.")
                    continue
                if torch is not None and _is_tensor(name, torch):
                    scan.kind("tensor")
                    continue
                member(f"{file} > {plain(name)}", partial(_member, archive, info, scan), name)
    except LimitError as error:
        scan.limit(file, error)
    except (MalformedError, zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        said = str(error) if isinstance(error, MalformedError) else f"is a broken zip archive ({plain(str(error))})"
        scan.doubt(file, f"it {said}, so it cannot be vouched for.")


def _is_tensor(name: str, torch: str) -> bool:
    """Numbers beside torch's data.pkl, which nothing reads as anything else."""
    rest = name.removeprefix(torch) if name.startswith(torch) else ""
    return rest.startswith("data/") and rest.count("/") == 1 and rest.removeprefix("data/").isdigit()


def _whole(opener: Opener, scan: Scan) -> io.BufferedIOBase:
    """A zip is read from its end: one that is inside of something is held in memory."""
    source = opener()
    raw = getattr(source, "plain_file", None)
    if raw is not None:
        return raw()  # type: ignore[no-any-return]
    parts = io.BytesIO()
    while piece := source.read(1 << 20):
        scan.budget.keep(len(piece))
        parts.write(piece)
    scan.budget.keep(-parts.tell())
    parts.seek(0)
    return parts


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, scan: Scan) -> io.BufferedReader:
    try:
        return metered(archive.open(info), scan.budget, "zip data")  # type: ignore[arg-type]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise MalformedError(f"is a broken zip archive ({plain(str(error))})") from error


def tarred(scan: Scan, file: str, opener: Opener, member: Member) -> None:
    """Looks into a tar archive."""
    try:
        with tarfile.open(fileobj=opener(), mode="r|") as archive:
            for info in archive:
                scan.budget.file()
                label = f"{file} > {plain(info.name)}"
                if info.isdir():
                    continue
                stream = archive.extractfile(info) if info.isreg() else None
                if stream is None:
                    scan.doubt(label, "it is a link or a device, which may lead anywhere.")
                    continue
                scan.budget.keep(info.size)
                data = stream.read()
                member(label, partial(_bytes, data, scan), info.name)
                scan.budget.keep(-info.size)
    except LimitError as error:
        scan.limit(file, error)
    except (MalformedError, tarfile.TarError, OSError, ValueError, EOFError) as error:
        scan.doubt(file, f"it is a broken tar archive ({plain(str(error))}), so it cannot be vouched for.")


def _bytes(data: bytes, scan: Scan) -> io.BufferedReader:
    return metered(io.BytesIO(data), scan.budget)
