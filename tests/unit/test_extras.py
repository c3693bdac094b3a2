"""Packages that only some verbs need: installed once, into a folder of the tool's own, from what was locked."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import tools
from mlgate import extras

ROOT = Path(__file__).parents[2]
# What a command would do: ask twice, look at what it got, and start a worker that has it too.
PROBE = """
import json, subprocess, sys
sys.path[:0] = json.loads(sys.argv[1])
from mlgate import extras
from mlgate.errors import MlgateError
try:
    extras.use("data"); extras.use("data")
    import duckdb, numpy
    paths = extras.site("data")
    code = f"import sys; sys.path[:0] = {paths!r}; import duckdb, click, mlgate.errors; print(duckdb.__file__)"
    worker = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert worker.returncode == 0, worker.stderr
except MlgateError as error:
    sys.exit(f"error: {error}")
print(json.dumps({"duckdb": duckdb.__file__, "numpy": numpy.__file__, "worker": worker.stdout.strip()}))
"""


def wheel(folder: Path, name: str, version: str = "99.0") -> str:
    """A package of one module, as an index would have it; its line of a requirements file."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {k: base64.urlsafe_b64encode(hashlib.sha256(v.encode()).digest()) for k, v in files.items()}
    record = "".join(f"{k},sha256={d.decode().rstrip('=')},{len(files[k])}\n" for k, d in digests.items())
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for key, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(key, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Checkout:
    """The tool in a checkout, with an index that is a folder, a cache, and the folder of a project to run in."""

    def __init__(self, home: Path) -> None:
        self.home, self.cache, self.project = home, home / "cache", home / "project"
        package = home / "checkout" / "scripts" / "mlgate"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        for name in ("errors.py", "extras.py"):
            shutil.copy(ROOT / "scripts" / "mlgate" / name, package)
        base = home / "base" / "click"
        base.mkdir(parents=True)
        (base / "__init__.py").write_text("")
        self.paths = [str(base.parent), str(package.parent)]
        self.wheels = home.parent / "wheels"  # pip would split a path with spaces
        self.wheels.mkdir()
        self.requirements = home / "checkout" / "requirements" / "data.txt"
        self.requirements.parent.mkdir()
        self.requirements.write_text("".join(wheel(self.wheels, name) for name in ("duckdb", "numpy")))
        # What a project could have that would speak to an installer, or be imported instead.
        for name in ("duckdb", "pip", "venv"):
            (self.project / name).mkdir(parents=True)
            (self.project / name / "__init__.py").write_text("raise SystemExit('the project was imported')")
        (self.project / "uv.toml").write_text('index-url = "http://127.0.0.1:9/simple"\n')

    def environment(self, **more: str) -> dict[str, str]:
        drop = re.compile(r"MLGATE_.*|PIP_.*|UV_.*|PYTHON.*|VIRTUAL_ENV|RUNNER_TOOL_CACHE|GITHUB_.*|XDG_CACHE_HOME")
        env = {key: value for key, value in os.environ.items() if not drop.fullmatch(key)}
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        # What would turn another installation to another place.
        theirs = {"PIP_TARGET": "/nowhere", "UV_TARGET": "/nowhere", "PIP_CONSTRAINT": "/nowhere", "PYTHONPATH": "."}
        return env | offline | theirs | {"MLGATE_CACHE": str(self.cache)} | more

    def start(self, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", PROBE, json.dumps(self.paths)],
            cwd=self.project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **more: str) -> tuple[int, str, str]:
        process = self.start(self.environment(**more))
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def refused(self, **more: str) -> str:
        """The one sentence, after which nothing is left."""
        code, out, err = self.run(**more)
        assert (code, out) == (1, ""), err
        assert [p.name for p in self.cache.glob("*")] == [] if self.cache.is_dir() else True
        lines = [line for line in err.splitlines() if not line.startswith("mlgate: installing ")]
        assert len(lines) == 1, err
        assert lines[0].startswith("error: ")
        return lines[0]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a 'folder' $(id)")


def path_with(folder: Path, *, uv: bool) -> str:
    """A PATH with the locked uv, as run.sh or the image leave it; or with none at all."""
    rest = [p for p in os.environ["PATH"].split(":") if not (Path(p) / "uv").exists()]
    if not uv:
        return ":".join(rest)
    folder.mkdir(parents=True, exist_ok=True)
    found = shutil.which("uv") or next((str(p) for p in tools.cache().parent.glob("*/uv/bin/uv")), None)
    assert found, "the development environment has one"
    (folder / "uv").symlink_to(found)
    return ":".join([str(folder), *rest])


@pytest.mark.parametrize("with_uv", [True, False], ids=["uv", "pip"])
def test_installed_once_into_a_folder_of_the_tool_s_own(checkout: Checkout, with_uv: bool) -> None:
    path = path_with(checkout.home / "bin", uv=with_uv)
    code, out, err = checkout.run(PATH=path)
    assert code == 0, err
    [folder] = checkout.cache.iterdir()
    assert re.fullmatch(r"py3\d+-[0-9a-f]{20}", folder.name)
    assert set(json.loads(out).values()) == {
        str(folder / "duckdb" / "__init__.py"),
        str(folder / "numpy" / "__init__.py"),
    }
    assert err == f"mlgate: installing duckdb, numpy into {folder}, once, to read data files.\n"
    assert list(folder.glob("duckdb/__pycache__/*.pyc")), "bytecode is compiled at set-up"

    shutil.rmtree(checkout.wheels)
    again = checkout.run(PATH=path)
    assert again == (0, out, "")


def test_the_uv_that_run_sh_has_fetched_is_used(checkout: Checkout) -> None:
    place = checkout.cache / "uv-0.13.8-Linux-x86_64" / "bin"
    path_with(place, uv=True)
    # A Python whose pip would fail: what succeeds is uv.
    code, _, err = checkout.run(
        PATH=path_with(place, uv=False), PIP_FIND_LINKS="/nowhere", UV_FIND_LINKS=str(checkout.wheels)
    )
    assert code == 0, err


def test_the_name_is_the_one_that_run_sh_would_give() -> None:
    text = (ROOT / "scripts" / "run.sh").read_text("utf-8")
    [code] = re.findall(r"\"\$1\" -I -S -c '\n(.*?)' \"\$\{requirements\}\"", text, re.DOTALL)
    file = ROOT / "requirements" / "data.txt"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(file)], capture_output=True, text=True, check=True
    )
    assert extras._key(file) == done.stdout.strip()


def test_jobs_at_once_share_one_folder(checkout: Checkout) -> None:
    environment = checkout.environment()
    jobs = [checkout.start(environment) for _ in range(3)]
    said = [job.communicate(timeout=120) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0], said
    assert len({out for out, _ in said}) == 1
    assert len(list(checkout.cache.iterdir())) == 1


def test_another_file_than_the_locked_one_is_refused(checkout: Checkout) -> None:
    text = checkout.requirements.read_text()
    wheel(checkout.wheels, "numpy", "98.0")
    checkout.requirements.write_text(re.sub("numpy==99.0 --hash=sha256:....", "numpy==99.0 --hash=sha256:0000", text))
    assert "could not be installed" in checkout.refused()


@pytest.mark.parametrize("with_uv", [True, False], ids=["uv", "pip"])
def test_no_index_is_one_sentence_that_says_what_to_do(checkout: Checkout, with_uv: bool) -> None:
    """And the password of the index is not in it."""
    said = checkout.refused(
        PATH=path_with(checkout.home / "bin", uv=with_uv),
        PIP_NO_INDEX="",
        PIP_FIND_LINKS="",
        PIP_INDEX_URL="http://ada:hushhush@127.0.0.1:9/simple",
        PIP_RETRIES="0",
        UV_HTTP_RETRIES="0",
        UV_NO_CACHE="1",
    )
    assert "pip install 'mlgate[data]'" in said
    assert "PIP_INDEX_URL" in said
    assert "hushhush" not in said


def test_a_cache_that_cannot_be_written_is_one_sentence(checkout: Checkout) -> None:
    (checkout.home / "file").write_text("")
    assert "MLGATE_CACHE" in checkout.refused(MLGATE_CACHE=str(checkout.home / "file" / "cache"))


def test_without_locked_requirements_nothing_is_installed(checkout: Checkout) -> None:
    checkout.requirements.unlink()
    assert "pip install 'mlgate[data]'" in checkout.refused()


def test_what_is_installed_beside_the_tool_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after `pip install "mlgate[data]"`."""
    monkeypatch.setenv("MLGATE_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = list(sys.path)
    extras.use("data")
    paths = extras.site("data")
    assert sys.path == before
    assert str(ROOT / "scripts") in paths
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_a_version_that_is_too_old_is_not_used(checkout: Checkout) -> None:
    old = checkout.home / "old"
    old.mkdir()
    for name in ("duckdb", "numpy"):
        wheel(old, name, "1.3.9")
        zipfile.ZipFile(old / f"{name}-1.3.9-py3-none-any.whl").extractall(old)
    checkout.paths.append(str(old))
    code, out, err = checkout.run()
    assert code == 0, err
    assert str(checkout.cache) in json.loads(out)["duckdb"]


def test_versions_are_those_of_the_package() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for extra, entries in wanted.items():
        known = dict(extras._EXTRAS[extra].needs.values())
        for name, version in (entry.split(">=") for entry in entries if ">=" in entry):
            assert extras._numbers(version + ".0") == known[name], (extra, name)
    assert set(wanted) == set(extras._EXTRAS)


def test_every_extra_has_a_locked_file_that_agrees_with_the_base() -> None:
    """The folder of an extra goes in front of the tool's own packages: both must have the same versions."""

    def pins(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
        return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))

    base = pins("base")
    for extra in extras._EXTRAS:
        locked = pins(extra)
        assert {name: locked.get(name) for name in base} == base, extra
        for name in dict(extras._EXTRAS[extra].needs.values()):
            assert name in locked


@pytest.mark.long
@pytest.mark.parametrize(
    ("extra", "module"), [("data", "duckdb"), ("gx", "great_expectations"), ("track", "mlflow"), ("notify", "apprise")]
)
def test_the_locked_files_can_be_had_and_used(extra: str, module: str, tmp_path: Path) -> None:
    """From the real index, in an interpreter that has nothing else, as in a job of GitHub's."""
    env = {"MLGATE_CACHE": str(tmp_path)}
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'scripts')!r}]; from mlgate import extras; extras.use({extra!r}); "
        f"import click, requests, yaml, {module}; print({module}.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
