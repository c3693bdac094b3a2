"""Model files that run code when they are loaded. All that the code does is to make a folder: the proof that it ran."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np


class Runs:
    """Pickled, it makes a folder when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.canary,)


def text(value: str) -> bytes:
    """One piece of text as an instruction of protocol 1 and later."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def short(value: str) -> bytes:
    data = value.encode()
    return b"\x8c" + bytes((len(data),)) + data


def plain(canary: Path, protocol: int = 4) -> bytes:
    return pickle.dumps(Runs(canary), protocol)


def by_global(canary: Path) -> bytes:
    return b"cposix\nmkdir\n(" + text(str(canary)) + b"tR."


def by_inst(canary: Path) -> bytes:
    return b"(" + text(str(canary)) + b"iposix\nmkdir\n."


def by_obj(canary: Path) -> bytes:
    return b"(cposix\nmkdir\n" + text(str(canary)) + b"o."


def by_old_name(canary: Path) -> bytes:
    """`__builtin__` is what Python 2 called `builtins`: the unpickler translates it."""
    return b"c__builtin__\neval\n(" + text(f"__import__('os').mkdir({str(canary)!r})") + b"tR."


def by_memo_confusion(canary: Path) -> bytes:
    """Names that look safe where they were written last, and harmful ones where the memo points (picklescan #14)."""
    return (
        b"\x80\x04" + short("posix") + b"q\x00" + short("mkdir") + b"q\x01" + short("sklearn.svm") + b"\x94"
        + short("SVC") + b"\x94" + b"0000" + b"h\x00h\x01\x93" + text(str(canary)) + b"\x85R."
    )  # fmt: skip


def by_duplicates(canary: Path) -> bytes:
    """Marks and duplicates between the parts of a name."""
    return b"\x80\x04" + short("posix") + b"2" + b"0" + b"(1" + short("mkdir") + b"\x93" + text(str(canary)) + b"\x85R."


def by_dotted_name(canary: Path) -> bytes:
    """A name that reaches through an allowed module's own imports."""
    import sklearn.utils.fixes  # noqa: PLC0415 -- what it imports is the point

    assert sklearn.utils.fixes.platform.os is os
    return (
        b"\x80\x04"
        + short("sklearn.utils.fixes")
        + short("platform.os.mkdir")
        + b"\x93"
        + text(str(canary))
        + b"\x85R."
    )


def by_changed_library(canary: Path) -> bytes:
    """Sets a text on a known function, and uses it as a name (modelscan #85)."""
    state = b"N}" + text("a") + text("posix") + b"s\x86b0"
    return (
        b"\x80\x04" + b"cnumpy\nmean\n" + state + short("numpy") + short("mean.a") + b"\x93" + short("mkdir") + b"\x93"
        + text(str(canary)) + b"\x85R."
    )  # fmt: skip


def by_state_of_scipy(canary: Path) -> bytes:
    """SciPy's distributions execute a text that is part of their state."""
    template = f"import os\nos.mkdir({str(canary)!r})"
    state = b"}" + text("_parse_arg_template") + text(template) + b"s"
    return b"\x80\x04cscipy.stats._continuous_distns\nnorm_gen\n)\x81" + state + b"b."


def by_lost_octets(canary: Path) -> bytes:
    """A line across the end of a frame: the unpickler in C loses what of it is in the frame, here `sklearn.x`."""
    head = b"\x80\x04\x95" + struct.pack("<Q", 1 + len("sklearn.x")) + b"csklearn.x"
    return head + b"subprocess\nPopen\n(]" + text("mkdir") + b"a" + text(str(canary)) + b"atR."


def by_nested_bytes(canary: Path) -> bytes:
    return pickle.dumps(_Nested(plain(canary)))


class _Nested:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self.data,)


def in_object_array(canary: Path) -> bytes:
    array = np.empty(1, dtype=object)
    array[0] = Runs(canary)
    return pickle.dumps(array)


def behind_harmless(canary: Path) -> bytes:
    return pickle.dumps({"weights": [1.0]}) + plain(canary)


def truncated(canary: Path) -> bytes:
    """Broken behind the harm: a loader fails, too late."""
    return plain(canary, 2)[:-1]


def broken_behind(canary: Path) -> bytes:
    return plain(canary)[:-1] + b"\xff\xff"


def deep(canary: Path) -> bytes:
    """Harm at the end of thousands of instructions that do nothing."""
    return b"\x80\x04" + b"]0" * 20_000 + plain(canary)[2:]


def hidden_in_numbers(canary: Path, folder: Path) -> bytes:
    """For joblib, the numbers of an array; for pickle, instructions that go on from where the array is."""
    path = folder / "array.joblib"
    program = by_global(canary)
    joblib.dump(np.full(1000, 7, dtype=np.uint8), path)
    data = path.read_bytes()
    start = data.index(bytes((7,)) * 900)  # the numbers; before them, one octet that says how many to pass over
    while data[start - 1] == 0xFF:
        start -= 1
    # As a count of octets to pass over 40; as an instruction `(`, a mark.
    return data[: start - 1] + b"(" + program.ljust(40 + 1000, b"0") + data[-1:]


def joblib_file(canary: Path, folder: Path, compress: Any = 0, before: int = 100) -> bytes:
    path = folder / "made.joblib"
    joblib.dump({"a": np.arange(before, dtype=float), "b": Runs(canary), "c": np.arange(3)}, path, compress=compress)
    return path.read_bytes()


def joblib_objects(canary: Path, folder: Path) -> bytes:
    """In the pickle that joblib writes between, for an array of objects."""
    path = folder / "objects.joblib"
    array = np.empty(2, dtype=object)
    array[:] = [1, Runs(canary)]
    joblib.dump({"numbers": np.arange(5.0), "objects": array}, path)
    return path.read_bytes()


def npy(canary: Path) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([Runs(canary), 1], dtype=object), allow_pickle=True)
    return out.getvalue()


def npz(canary: Path) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, a=np.arange(3), b=np.array([Runs(canary)], dtype=object))
    return out.getvalue()


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def torch_archive(canary: Path) -> bytes:
    return zipped(
        {"model/data.pkl": plain(canary, 2), "model/version": b"3\n", "model/data/0": b"\0" * 64}, zipfile.ZIP_STORED
    )


def tarball(canary: Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        data = plain(canary)
        info = tarfile.TarInfo("inside/model.pkl")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def lz4_frame(data: bytes) -> bytes:
    import pyarrow  # noqa: PLC0415

    return bytes(pyarrow.compress(data, codec="lz4", asbytes=True))


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "lz4": lz4_frame,
}

# How each is made, and the call that loads it as its user would: the proof that the disguise works.
PICKLES: dict[str, Callable[[Path], bytes]] = {
    **{f"protocol {n}": (lambda canary, n=n: plain(canary, n)) for n in range(6)},  # type: ignore[misc]
    "GLOBAL": by_global,
    "INST": by_inst,
    "OBJ": by_obj,
    "a name of Python 2": by_old_name,
    "confused memo": by_memo_confusion,
    "marks and duplicates": by_duplicates,
    "dotted name": by_dotted_name,
    "changed library": by_changed_library,
    "state that SciPy executes": by_state_of_scipy,
    "pickle in bytes": by_nested_bytes,
    "array of objects": in_object_array,
    "many instructions before": deep,
    "octets lost at the end of a frame": by_lost_octets,
}
