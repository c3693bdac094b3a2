"""A pickle that runs code is refused before it runs, however it is disguised; and each disguise does run code."""

from __future__ import annotations

import io
import pickle
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import joblib
import numpy as np
import pytest

from mlgate.model import Check, Verdict
from mlgate.supply import model
from supply import malice


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "it ran"


def scan(tmp_path: Path, name: str, data: bytes, canary: Path) -> list[Check]:
    folder = tmp_path / "ein Modell"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    checks = model.scan(folder / name)
    assert not canary.exists(), "the scan itself ran the code"
    return checks


def refused(checks: list[Check]) -> bool:
    return checks[0].verdict in (Verdict.FAIL, Verdict.ERROR) and len(checks) > 1


@pytest.mark.parametrize("disguise", malice.PICKLES)
@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "weights.dat", "README.md"])
def test_each_disguise_runs_when_loaded_and_is_refused_under_any_name(
    disguise: str, name: str, tmp_path: Path, canary: Path
) -> None:
    data = malice.PICKLES[disguise](canary)
    checks = scan(tmp_path, name, data, canary)
    assert refused(checks), checks
    if disguise != "octets lost at the end of a frame":  # refused without saying what it would be
        assert Verdict.FAIL in {check.verdict for check in checks}, checks
    with suppress(Exception):  # some fail afterwards
        loaded = pickle.load(io.BytesIO(data))  # noqa: S301 -- the proof
        if isinstance(loaded, subprocess.Popen):
            loaded.wait()
    assert canary.is_dir(), "this disguise is none"


@pytest.mark.parametrize("codec", malice.COMPRESSED)
@pytest.mark.parametrize("disguise", ["protocol 4", "INST", "array of objects"])
def test_it_is_found_in_every_compression_that_joblib_knows(
    codec: str, disguise: str, tmp_path: Path, canary: Path
) -> None:
    data = malice.COMPRESSED[codec](malice.PICKLES[disguise](canary))
    assert refused(scan(tmp_path, "model.joblib", data, canary))
    if codec != "lz4":  # which joblib reads only with a further package
        joblib.load(io.BytesIO(data))
        assert canary.is_dir()


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_it_is_found_between_the_arrays_of_a_joblib_file(compress: object, tmp_path: Path, canary: Path) -> None:
    data = malice.joblib_file(canary, tmp_path, compress, before=100_000)
    assert refused(scan(tmp_path, "model.joblib", data, canary))
    joblib.load(io.BytesIO(data))
    assert canary.is_dir()


def test_it_is_found_in_the_pickle_that_joblib_writes_for_an_array_of_objects(tmp_path: Path, canary: Path) -> None:
    data = malice.joblib_objects(canary, tmp_path)
    assert refused(scan(tmp_path, "model.joblib", data, canary))
    joblib.load(io.BytesIO(data))
    assert canary.is_dir()


def test_numbers_for_joblib_that_are_instructions_for_pickle_are_refused(tmp_path: Path, canary: Path) -> None:
    data = malice.hidden_in_numbers(canary, tmp_path)
    joblib.load(io.BytesIO(data))
    assert not canary.exists(), "harmless when joblib loads it"
    assert refused(scan(tmp_path, "model.pkl", data, canary))
    with suppress(Exception):
        pickle.loads(data)  # noqa: S301
    assert canary.is_dir()


def twice(data: bytes) -> None:
    stream = io.BytesIO(data)
    pickle.load(stream)  # noqa: S301
    pickle.load(stream)  # noqa: S301


@pytest.mark.parametrize(
    ("make", "load"),
    [
        (malice.npy, lambda data: np.load(io.BytesIO(data), allow_pickle=True)),
        (malice.npz, lambda data: np.load(io.BytesIO(data), allow_pickle=True)["b"]),
        (malice.truncated, pickle.loads),
        (malice.broken_behind, pickle.loads),
        (malice.behind_harmless, twice),
    ],
    ids=["npy", "npz", "truncated", "broken behind", "second pickle"],
)
@pytest.mark.parametrize("name", ["model.bin", "model.npy", "notes.txt"])
def test_other_containers(
    make: Callable[[Path], bytes], load: Callable[[bytes], object], name: str, tmp_path: Path, canary: Path
) -> None:
    data = make(canary)
    assert refused(scan(tmp_path, name, data, canary))
    with suppress(Exception):  # a broken file runs first and fails then
        load(data)
    assert canary.is_dir()


def test_archives_in_archives(tmp_path: Path, canary: Path) -> None:
    data = malice.plain(canary)
    for _ in range(3):
        data = malice.zipped({"harmless.txt": b"hello", "a/b.zip": data})
    assert refused(scan(tmp_path, "model.zip", data, canary))
    assert refused(scan(tmp_path, "model.tgz", malice.tarball(canary), canary))
    assert refused(scan(tmp_path, "model.pt", malice.torch_archive(canary), canary))


def test_an_archive_in_the_bytes_of_a_pickle(tmp_path: Path, canary: Path) -> None:
    data = pickle.dumps({"blob": malice.torch_archive(canary), "text": "x" * 10_000})
    assert refused(scan(tmp_path, "model.pkl", data, canary))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_in_bytes_that_nobody_loads_yet(protocol: int, tmp_path: Path, canary: Path) -> None:
    data = pickle.dumps({"model": malice.plain(canary, protocol)}, protocol)
    checks = scan(tmp_path, "model.pkl", data, canary)
    assert refused(checks)
    assert "mkdir" in " ".join(check.reason for check in checks)


def test_the_registry_of_extensions_is_refused(tmp_path: Path, canary: Path) -> None:
    import copyreg  # noqa: PLC0415

    copyreg.add_extension("posix", "mkdir", 0x7ABC)
    try:
        data = b"\x80\x04\x83\xbc\x7a" + malice.text(str(canary)) + b"\x85R."
        assert refused(scan(tmp_path, "model.pkl", data, canary))
        pickle.loads(data)  # noqa: S301
        assert canary.is_dir()
    finally:
        copyreg.remove_extension("posix", "mkdir", 0x7ABC)


def test_too_deep_is_not_clean(tmp_path: Path, canary: Path) -> None:
    data = malice.plain(canary)
    for _ in range(12):
        data = malice.zipped({"a.zip": data})
    assert refused(scan(tmp_path, "model.zip", data, canary))
    for _ in range(12):
        data = pickle.dumps(data)
    assert refused(scan(tmp_path, "model.pkl", data, canary))
