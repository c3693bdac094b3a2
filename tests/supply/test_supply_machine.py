"""The machine sees every name that Python's unpicklers would import, whatever the program; and bombs end early."""

from __future__ import annotations

import io
import lzma
import pickle
import resource
import struct
import time
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.model import Check, Verdict
from mlgate.supply import model, streams
from mlgate.supply.limits import Budget, LimitError, MalformedError, metered
from mlgate.supply.machine import FrameError
from mlgate.supply.pickles import Program
from mlgate.supply.report import Scan
from supply import malice


class Inert:
    """Stands in for whatever a program imports."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    extend = add = append

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


def seen_by(unpickler: Any, data: bytes) -> list[tuple[str, str]]:
    """The names that a real unpickler asks for, until it ends or fails."""
    seen = []

    class Watching(unpickler):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            seen.append((module, name))
            return type("Some", (Inert,), {})

    for stream in (io.BytesIO(data), io.BufferedReader(io.BytesIO(data))):  # type: ignore[type-var]
        with suppress(Exception):  # what was asked for before it failed would have run
            Watching(stream).load()
    return seen


def seen_here(data: bytes) -> tuple[set[tuple[str, str]], bool] | None:
    """The names that the machine writes down, and whether the program is broken; None where it is refused at once."""
    program = Program(Scan(), lambda _: None, arrays=False)
    try:
        program.run(io.BufferedReader(io.BytesIO(data)))  # type: ignore[type-var]
    except FrameError:
        return None
    except MalformedError:
        return set(program.named), True
    return set(program.named), False


TEXTS = ["posix", "os", "mkdir", "builtins", "eval", "__builtin__", "collections", "OrderedDict", "copy_reg", "a.b", ""]


def _framed(body: bytes) -> bytes:
    return b"\x95" + struct.pack("<Q", len(body)) + body


PIECES = st.one_of(
    st.sampled_from(TEXTS).map(malice.short),
    st.sampled_from(TEXTS).map(malice.text),
    st.sampled_from(TEXTS).map(lambda t: b"V" + t.encode() + b"\n"),
    st.sampled_from(TEXTS).map(lambda t: b"S'" + t.encode() + b"'\n"),
    st.sampled_from(TEXTS).map(lambda t: b"U" + bytes((len(t),)) + t.encode()),
    st.tuples(st.sampled_from(TEXTS), st.sampled_from(TEXTS)).map(lambda p: f"c{p[0]}\n{p[1]}\n".encode()),
    st.tuples(st.sampled_from(TEXTS), st.sampled_from(TEXTS)).map(lambda p: f"i{p[0]}\n{p[1]}\n".encode()),
    st.integers(0, 6).map(lambda n: b"q" + bytes((n,))),
    st.integers(0, 6).map(lambda n: b"h" + bytes((n,))),
    st.integers(0, 6).map(lambda n: f"p{n}\n".encode()),
    st.integers(0, 6).map(lambda n: f"g{n}\n".encode()),
    st.integers(0, 6).map(lambda n: b"r" + struct.pack("<I", n)),
    st.integers(0, 6).map(lambda n: b"j" + struct.pack("<I", n)),
    st.integers(0, 5).map(lambda n: b"\x80" + bytes((n,))),
    st.integers(0, 12).map(lambda n: b"\x95" + struct.pack("<Q", n)),
    st.sampled_from(
        [b"(", b"0", b"1", b"2", b"N", b"\x88", b"K\x01", b"I01\n", b"F1.5\n", b")", b"]", b"}", b"\x8f", b"t", b"l",
         b"d",
         b"\x85", b"\x86", b"\x87", b"\x93", b"R", b"o", b"\x81", b"\x92", b"b", b"s", b"u", b"a", b"e", b"\x90",
         b"\x91", b"\x94", b".", b"C\x03abc", b"\x8a\x01\x05", b"G\x3f\xf0\0\0\0\0\0\0"]
    ),
)  # fmt: skip
PROGRAMS = st.lists(PIECES, max_size=24).map(b"".join).map(lambda body: body + b".")


@given(PROGRAMS)
def test_no_program_asks_for_a_name_that_is_not_seen(data: bytes) -> None:
    import _compat_pickle  # noqa: PLC0415

    found = seen_here(data)
    for unpickler in (pickle.Unpickler, pickle._Unpickler) if found else ():
        here = found[0] if found else set()
        for name in seen_by(unpickler, data):
            module = _compat_pickle.IMPORT_MAPPING.get(name[0], name[0])
            translated = _compat_pickle.NAME_MAPPING.get(name, (module, name[1]))
            assert {name, translated} & here, (unpickler, name, here)


@given(st.binary(max_size=60))
def test_no_bytes_ask_for_a_name_that_is_not_seen(data: bytes) -> None:
    found = seen_here(data)
    for unpickler in (pickle.Unpickler, pickle._Unpickler):
        assert found is None or found[1] or set(seen_by(unpickler, data)) <= found[0]


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner) | st.sets(st.integers())
    ),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 5))
def test_plain_values_are_read_to_their_end(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    found = seen_here(data)
    assert found is not None
    assert not found[1]
    assert found[0] <= {("builtins", "set"), ("_codecs", "encode"), ("builtins", "bytes")}
    for cut in range(len(data) - 1):
        short = seen_here(data[:cut])
        assert short is None or short[1], "what is cut short is said to be broken"


# Limits


def scan(path: Path, **limits: Any) -> list[Check]:
    return model.scan(path, budget=Budget(**limits))


def test_a_zip_bomb_ends(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("model.bin", "w") as member:
        for _ in range(60):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    before = time.monotonic()
    checks = scan(path, octets=20 << 20)
    assert time.monotonic() - before < 10
    assert checks[0].verdict is Verdict.ERROR


@pytest.mark.parametrize("wrap", [zlib.compress, lzma.compress])
def test_a_stream_that_unpacks_to_much_ends(wrap: Any, tmp_path: Path) -> None:
    path = tmp_path / "bomb.joblib"
    path.write_bytes(wrap(b"\x80\x04B" + struct.pack("<I", 30 << 20) + bytes(30 << 20) + b"."))
    assert model.scan(path)[0].verdict is Verdict.PASS, "it is only large"
    assert scan(path, octets=10 << 20)[0].verdict is Verdict.ERROR


def test_many_bytes_are_passed_over_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "large.pkl"
    with path.open("wb") as file:
        file.write(b"\x80\x04\x8e" + struct.pack("<Q", 400 << 20))
        file.seek(400 << 20, 1)
        file.write(b".")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert model.scan(path)[0].verdict is Verdict.PASS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB


@pytest.mark.parametrize(
    "body",
    [b"N" * 400_000, b"(" * 400_000, b"2" * 400_000, b"\x94" * 400_000, b"]\x94" * 200_000, b"\x85" * 400_000],
    ids=["values", "marks", "duplicates", "memo", "lists", "tuples"],
)
def test_a_long_program_ends(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "long.pkl"
    path.write_bytes(b"\x80\x04N" + body + b".")
    assert scan(path, steps=100_000)[0].verdict is Verdict.ERROR
    assert any("million steps" in check.reason for check in scan(path, steps=100_000))


def test_a_deep_value_is_looked_through_without_recursion(tmp_path: Path) -> None:
    path = tmp_path / "deep.pkl"
    path.write_bytes(b"\x80\x04)" + b"\x85" * 200_000 + b"\x94}h\x00Ns.")
    assert model.scan(path)[0].verdict is Verdict.PASS


def test_a_number_that_would_take_the_memory_of_a_loader(tmp_path: Path) -> None:
    path = tmp_path / "memo.pkl"
    path.write_bytes(b"\x80\x04Nr\xff\xff\xff\x7f.")
    assert model.scan(path)[0].verdict is Verdict.ERROR


def test_time_and_memory_are_bounded() -> None:
    now = iter(range(0, 10_000, 400))
    budget = Budget(clock=lambda: float(next(now)))
    budget.step(1)
    budget.step(1)
    with pytest.raises(LimitError, match="15 minutes"):
        budget.step(1)
    tight = Budget(memory=-1)
    with pytest.raises(LimitError, match="memory"):
        tight.step(1)


def test_what_comes_after_a_limit_is_not_clean(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04N" + b"N" * 300_000 + b".")
    (tmp_path / "b.pkl").write_bytes(pickle.dumps([1.0]))
    checks = scan(tmp_path, steps=100_000)
    assert {check.title for check in checks if check.verdict is Verdict.ERROR} >= {"a.pkl", "b.pkl"}


# lz4, which Python's library does not have


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"abc" * 50, bytes(5000), b"0123456789" * 300]), max_size=40))
def test_lz4_gives_what_was_packed(parts: list[bytes]) -> None:
    data = b"".join(parts)
    packed = io.BufferedReader(io.BytesIO(malice.lz4_frame(data)))  # type: ignore[type-var]
    assert streams.opened(packed, "lz4", Budget()).read() == data


def test_lz4_of_several_blocks_that_lean_on_one_another() -> None:
    data = bytes(range(256)) * 40_000
    packed = io.BufferedReader(io.BytesIO(malice.lz4_frame(data) + malice.lz4_frame(b"more")))  # type: ignore[type-var]
    assert streams.opened(packed, "lz4", Budget()).read() == data + b"more"


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_broken_lz4_is_said(data: bytes, at: int, octet: int) -> None:
    packed = bytearray(malice.lz4_frame(data * 3))
    packed[at % len(packed)] = octet
    stream = streams.opened(metered(io.BytesIO(bytes(packed)), Budget()), "lz4", Budget())
    with suppress(MalformedError):  # the only way in which it may fail
        stream.read()


def test_zlib_streams_one_after_the_other(tmp_path: Path) -> None:
    first, second = zlib.compress(pickle.dumps([1])), zlib.compress(malice.plain(tmp_path / "canary"))
    path = tmp_path / "model.joblib"
    path.write_bytes(first + second)
    assert model.scan(path)[0].verdict in (Verdict.FAIL, Verdict.ERROR)
