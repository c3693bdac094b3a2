"""What a file is, by its bytes and not by its name, and who looks into it. What nobody knows is never clean."""

from __future__ import annotations

import codecs
import io
import json
import posixpath
import re
import struct
import zipfile
from dataclasses import dataclass
from functools import partial

from mlgate.supply import archives, arrays, kerasfile, mlflowfolder, onnxfile, pickles, skopsfile, streams
from mlgate.supply.limits import MIB, LimitError, MalformedError, metered, skip
from mlgate.supply.names import words
from mlgate.supply.pickles import Opener
from mlgate.supply.report import Scan, plain

_SURELY = words(".pkl .pickle .joblib .jbl .dill .cloudpickle .pckl .p .sav .pt .pth .ckpt")
_PICKLED = _SURELY | words(".model .bin .z .gz .bz2 .xz .lzma .lz4")
_MODELS = words(".onnx .skops .npy .npz .h5 .hdf5 .keras .safetensors .json .ubj")
_OPENINGS = b"(c]}Ni\x8c\x8d\x93\x95IJKLMSTUVXGF)d\x88\x89P"  # opcodes that a pickle may begin with
_CODE = words(".py .pyw .pyx .ipynb .pth .sh .bash .bat .cmd .ps1 .js .r .lua")
_COMPILED = words(".pyc .pyo .so .pyd .dll .dylib .jar .class .whl .egg")
_NATIVE = (b"\x7fELF", b"MZ", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
           b"\xca\xfe\xba\xbe", b"!<arch>")  # fmt: skip
_HDF5 = b"\x89HDF\r\n\x1a\n"
# Bare data: nothing in these is loaded as code by the libraries that read them.
_DATA = {
    b"PAR1": "Parquet",
    b"ARROW1\0\0": "Arrow",
    b"CBM1": "CatBoost",
    b"binf": "XGBoost",
    b"{L\0\0\0\0\0\0\0": "XGBoost",
    b"\x89PNG\r\n\x1a\n": "image",
    b"\xff\xd8\xff": "image",
    b"GIF8": "image",
}
_TEXT = 64 * MIB  # of text that is kept to be parsed
_TAGS = re.compile(r"!!?python/|!<tag:yaml\.org,2002:python/")


@dataclass(frozen=True)
class _File:
    """One file, or one member of an archive."""

    scan: Scan
    label: str  # as it is shown: `model.zip > data.pkl`
    opener: Opener
    path: str  # where it is in the model, or in its archive
    depth: int  # archives around it
    packed: bool  # inside of something else
    head: bytes

    @property
    def suffix(self) -> str:
        return posixpath.splitext(self.path)[1].lower()

    @property
    def inner(self) -> pickles.Inner:
        return _inner(self.scan, self.label, self.depth)

    def pickled(self) -> None:
        pickles.strict(self.scan, self.label, self.opener, self.inner, storages=self.packed)

    def suspect(self) -> None:
        pickles.suspect(self.scan, self.label, self.opener, self.inner)


def look(scan: Scan, label: str, opener: Opener, *, path: str, depth: int = 0, packed: bool = False) -> None:
    """Looks into one file, and says in the scan what it finds."""
    if scan.spent:
        scan.doubt(label, "it was not looked at: the files before it took all that a scan may take.")
        return
    if depth > scan.budget.depth:
        scan.doubt(label, "it lies in too many archives, one in the other, to be looked at.")
        return
    try:
        file = _File(scan, label, opener, path, depth, packed, opener().read(1024))
        if not file.head:
            if file.suffix in _PICKLED | _MODELS:
                scan.doubt(label, "it is empty.")
        elif _is_pickle(file):
            scan.kind("pickle")
            file.pickled()
        else:
            if not any(known(file) for known in (_compiled, _packed, _structured)):
                if file.suffix in _SURELY:
                    scan.doubt(label, "it is called a pickle and is none, so it cannot be vouched for.")
                elif not _data(file) and not _text(file):
                    scan.doubt(label, "it is of a format that mlgate does not know, so it cannot be vouched for.")
            # Whatever it is, somebody may load it as a pickle.
            file.suspect()
    except MalformedError as error:
        scan.doubt(label, f"it {error}, so it cannot be vouched for.")
    except LimitError as error:
        scan.limit(label, error)


def _inner(scan: Scan, file: str, depth: int) -> pickles.Inner:
    """Looks into bytes found in a pickle: most are numbers, some are pickles or archives."""

    def into(data: bytes) -> None:
        if depth >= scan.budget.depth:
            scan.doubt(file, "it has pickles in pickles, too many to be looked at.")
            return
        label = file if file.endswith(" > bytes") else f"{file} > bytes"
        opener = partial(_of_bytes, data, scan)
        if data.startswith((b"PK\x03\x04", arrays.MAGIC)) or (data[:1] == b"\x1f" and streams.codec(data)):
            look(scan, label, opener, path="bytes", depth=depth + 1, packed=True)
        else:
            pickles.suspect(scan, label, opener, _inner(scan, label, depth + 1))

    return into


def _of_bytes(data: bytes, scan: Scan) -> io.BufferedReader:
    return metered(io.BytesIO(data), scan.budget)


def _is_pickle(file: _File) -> bool:
    """By its first mark; an older one without a mark by what it is called, unless it is clearly something else."""
    head = file.head
    if head[:1] == b"\x80":
        return head[1:2] <= b"\x05"
    if file.suffix not in _PICKLED or file.suffix in _COMPILED or streams.codec(head) or head[:4] == b"tree":
        return False
    return head[:1] in _OPENINGS and not any(head.startswith(magic) for magic in (*_NATIVE, *_DATA, b"PK\x03\x04"))


def _compiled(file: _File) -> bool:
    if file.suffix not in _COMPILED and not file.head.startswith(_NATIVE):
        return False
    if not file.scan.trusts(file.path):
        file.scan.harm(file.label, "it is compiled code, which no saved model needs.", [file.path])
    return True


def _packed(file: _File) -> bool:
    """Archives and compressed streams."""
    scan, head = file.scan, file.head
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        archives.zipped(scan, file.label, file.opener, partial(_member, file), special=partial(_special, scan))
    elif name := streams.codec(head):
        scan.kind(f"{name} stream")
        unpacked = partial(_unpacked, scan, file.opener, name)
        look(scan, file.label, unpacked, path=_stem(file.path), depth=file.depth + 1, packed=file.packed)
    elif head[257:262] == b"ustar":
        archives.tarred(scan, file.label, file.opener, partial(_member, file))
    else:
        return False
    return True


def _structured(file: _File) -> bool:
    """Models that say how they are to be computed."""
    scan, label, opener, head = file.scan, file.label, file.opener, file.head
    if head.startswith(arrays.MAGIC):
        arrays.look(scan, label, opener, file.inner)
    elif _HDF5 in (head[:8], head[512:520]):
        kerasfile.hdf5(scan, label, opener)
    elif posixpath.basename(file.path) in ("saved_model.pb", "keras_metadata.pb", "fingerprint.pb"):
        kerasfile.saved_model(scan, label, opener)
    elif file.suffix == ".onnx" or onnxfile.probable(head):
        onnxfile.look(scan, label, opener, None if file.packed else posixpath.dirname(file.path))
    else:
        return False
    return True


def _stem(path: str) -> str:
    """`model.pkl.gz` is a model.pkl; a compressed stream without a further name is taken for a pickle by its bytes."""
    stem, suffix = posixpath.splitext(path)
    return stem if suffix.lower() in (".gz", ".bz2", ".xz", ".lzma", ".z", ".lz4") and "." in stem else path


def _unpacked(scan: Scan, opener: Opener, name: str) -> io.BufferedReader:
    return streams.opened(opener(), name, scan.budget)


def _member(archive: _File, label: str, opener: Opener, name: str) -> None:
    look(archive.scan, label, opener, path=name, depth=archive.depth + 1, packed=True)


def _special(scan: Scan, file: str, archive: zipfile.ZipFile) -> None:
    if not skopsfile.look(scan, file, archive):
        kerasfile.look(scan, file, archive)


def _data(file: _File) -> bool:
    """Formats of bare data."""
    scan, opener, head = file.scan, file.opener, file.head
    for magic, name in _DATA.items():
        if head.startswith(magic):
            scan.kind(name)
            if name in ("Parquet", "Arrow") and _holds(opener(), b"arrow.py_extension_type"):
                scan.harm(file.label, "it has a type that pyarrow unpickles.")
            return True
    if len(head) > 10 and head[8:9] == b"{":
        (length,) = struct.unpack("<Q", head[:8])
        if length < 100 * MIB:
            return _safetensors(scan, opener, length)
    return False


def _safetensors(scan: Scan, opener: Opener, length: int) -> bool:
    source = opener()
    skip(source, 8)
    try:
        header = json.loads(source.read(length))
    except (ValueError, RecursionError):
        return False
    if not isinstance(header, dict):
        return False
    scan.kind("safetensors")
    return True


def _holds(source: io.BufferedReader, what: bytes) -> bool:
    before = b""
    while piece := source.read(MIB):
        if what in before + piece:
            return True
        before = piece[-len(what) :]
    return False


def _text(file: _File) -> bool:
    """Text (UTF-8): passed, unless it is code, or asks a reader to run some."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    kept, size = [], 0
    source = file.opener()
    try:
        while piece := source.read(MIB):
            text = decoder.decode(piece)
            if "\0" in text:
                return False
            if size < _TEXT:
                kept.append(text)
            size += len(piece)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    file.scan.kind("text")
    _read_text(file, "".join(kept), whole=size < _TEXT)
    return True


def _read_text(file: _File, text: str, *, whole: bool) -> None:
    scan, label, path, name = file.scan, file.label, file.path, posixpath.basename(file.path)
    if file.suffix in _CODE or text.startswith("#!"):
        module = re.sub(r"(/__init__)?\.py$", "", path.removeprefix("code/")).replace("/", ".")
        if not any(scan.trusts(one) for one in (path, module, module.split(".", 1)[0])):
            scan.doubt(label, "it is code that travels with the model.", [module if file.suffix == ".py" else path])
    elif name == "MLmodel":
        mlflowfolder.look(scan, label, text)
    elif name in ("pickle_module_info.txt", "keras_module.txt"):
        mlflowfolder.module_file(scan, label, text)
    elif _TAGS.search(text):
        scan.harm(label, "it has tags that make a YAML reader run Python.")
    elif text.lstrip()[:1] == "{" and whole and '"class_name"' in text:
        try:
            kerasfile.configuration(scan, label, json.loads(text))
        except (ValueError, RecursionError):
            scan.doubt(label, f"it is broken JSON ({plain(name)}), so it cannot be vouched for.")
