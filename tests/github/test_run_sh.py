"""scripts/run.sh: the tool's private environment, set up once, beside the project's own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import tools

ROOT = Path(__file__).parents[2]
# What the tool would print if it were this: everything that tells whether its surroundings are as promised.
PROBE = """
import json, os, sys
def main():
    import click, jinja2, pydantic, requests, yaml
    names = ("PYTHONPATH", "VIRTUAL_ENV", "UV_DEFAULT_INDEX", "SSL_CERT_FILE", "KEY", "OTHER")
    names += ("MLGATE_ENV", "MLGATE_ENV_NAMES", "MLGATE_CACHE")
    env = {k: os.environ.get(k) for k in names}
    print(json.dumps({"argv": sys.argv, "click": click.__file__, "path": sys.path, "env": env}))
    return 7 if "seven" in sys.argv else 0
"""
SYSTEM = ("bash", "cat", "chmod", "dirname", "env", "grep", "mkdir", "mktemp", "rm", "sed", "tail", "tr", "uname")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of the repository, as far as run.sh looks at it, with a tool that tells what it sees."""
    root = tmp_path / "a 'checkout' $(id)"
    package = root / "scripts" / "mlgate"
    package.mkdir(parents=True)
    for name in ("run.sh", "setup.sh"):
        shutil.copy(ROOT / "scripts" / name, root / "scripts")
    shutil.copytree(ROOT / "requirements", root / "requirements")
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text(PROBE)
    return root


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with the commands of any system, and without Python or uv."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in SYSTEM:
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def call(
    checkout: Path, *args: str, cwd: Path | None = None, cold: bool = False, **env: str | Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts" / "run.sh", *args],
        cwd=cwd,
        env=environment(checkout, env, cold=cold),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def environment(checkout: Path, more: Mapping[str, str | Path], *, cold: bool = True) -> dict[str, str]:
    drop = ("PYTHONPATH", "VIRTUAL_ENV", "RUNNER_TOOL_CACHE", "GITHUB_ACTIONS")
    env = {k: v for k, v in os.environ.items() if k not in drop}
    env["MLGATE_CACHE"] = str(checkout.parent / "cache" if cold else tools.cache().parent)
    return env | {k: str(v) for k, v in more.items()}


def seen(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture
def with_uv(checkout: Path) -> str:
    """A PATH with the uv that an earlier start has fetched, if any, so that a cold start need not fetch it."""
    call(checkout)
    fetched = [str(p.parent) for p in tools.cache().parent.glob("uv-*/bin/uv")]
    return ":".join([*fetched, os.environ["PATH"]])


def leftovers(checkout: Path) -> list[str]:
    cache = checkout.parent / "cache"
    return sorted(p.name for p in cache.iterdir() if p.name.startswith(".")) if cache.exists() else []


def fake_python(path: Path) -> None:
    """The interpreter of this test, as `python3` on a PATH of its own."""
    (path / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (path / "python3").chmod(0o755)


def fake_uv(path: Path, says: Path, *, fails: str = "") -> None:
    """A uv that notes its surroundings, and makes an empty folder where it should install."""
    body = f"""#!/bin/sh
[ "$1" != --version ] || {{ echo "uv 0.13.8 (fake)"; exit 0; }}
env >"{says}"; echo "ARGS $*" >>"{says}"
{f'echo "{fails}" >&2; exit 1' if fails else ""}
while [ "$1" != --target ]; do shift; done
mkdir -p "$2"
"""
    (path / "uv").write_text(body)
    (path / "uv").chmod(0o755)


def test_sets_itself_up_once_and_then_needs_no_network(checkout: Path) -> None:
    began = time.monotonic()
    first = seen(call(checkout, "compare", cold=True))
    took = time.monotonic() - began
    size = sum(p.lstat().st_size for p in (checkout.parent / "cache").rglob("*")) / 1e6
    print(f"cold set-up: {took:.1f} s, {size:.0f} MB")
    assert size < 250
    assert str(first["click"]).startswith(str(checkout.parent / "cache"))
    assert list((checkout.parent / "cache").glob("py*/click/__pycache__/*.pyc")), "bytecode is compiled at set-up"

    no_network = {"UV_OFFLINE": "1", "PIP_INDEX_URL": "http://127.0.0.1:9", "UV_DEFAULT_INDEX": "http://127.0.0.1:9"}
    assert seen(call(checkout, "compare", cold=True, **no_network))["click"] == first["click"]
    assert leftovers(checkout) == []


def test_jobs_at_once_share_one_set_up(checkout: Path) -> None:
    jobs = [
        subprocess.Popen(
            [checkout / "scripts" / "run.sh"],
            env=environment(checkout, {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    said = [job.communicate(timeout=300) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    assert len(list((checkout.parent / "cache").glob("py*"))) == 1
    assert leftovers(checkout) == []


def test_arguments_and_exit_code_pass_unharmed(checkout: Path) -> None:
    hostile = ['"; touch pwned; "', "$(id)", "a\nb", "-", "--", "'", "*"]
    assert seen(call(checkout, *hostile))["argv"] == ["mlgate", *hostile]
    assert call(checkout, "seven").returncode == 7


def test_leaves_the_project_s_python_alone(checkout: Path, tmp_path: Path, with_uv: str) -> None:
    project = tmp_path / "project"
    (project / "click").mkdir(parents=True)
    (project / "click" / "__init__.py").write_text("raise SystemExit('the project was imported')")
    (project / "sitecustomize.py").write_text("raise SystemExit('the project was run')")
    # A configuration of the project's uv is not ours either.
    (project / "pyproject.toml").write_text('[[tool.uv.index]]\nurl = "http://127.0.0.1:9"\ndefault = true\n')
    found = seen(
        call(
            checkout,
            cwd=project,
            cold=True,
            PATH=with_uv,
            PYTHONPATH=project,
            VIRTUAL_ENV=project,
            UV_SYSTEM_PYTHON="1",
        )
    )
    env = found["env"]
    assert isinstance(env, dict)
    assert env["MLGATE_CACHE"] == str(checkout.parent / "cache"), "where packages that only some verbs need are kept"
    assert (env["PYTHONPATH"], env["VIRTUAL_ENV"]) == (str(project), str(project)), "what it starts sees what was set"
    assert str(project) not in str(found["path"])
    assert "site-packages" not in str(found["path"]), "packages of the interpreter are not seen"


def test_the_user_s_index_settings_reach_uv_and_nothing_else(checkout: Path, path: Path, tmp_path: Path) -> None:
    fake_python(path)
    fake_uv(path, tmp_path / "said")
    pip = {
        "PIP_INDEX_URL": "https://a.test/simple",
        "PIP_EXTRA_INDEX_URL": "https://b.test https://c.test",
        "PIP_CERT": "/ca",
    }
    keep = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "SSL_CERT_FILE")
    env = {k: v for k, v in environment(checkout, pip).items() if k not in keep}
    subprocess.run([checkout / "scripts" / "run.sh"], env=env | {"PATH": str(path)}, capture_output=True, check=False)
    said = (tmp_path / "said").read_text().splitlines()
    assert "UV_DEFAULT_INDEX=https://a.test/simple" in said
    assert "UV_INDEX=https://b.test https://c.test" in said
    assert "SSL_CERT_FILE=/ca" in said
    assert "--require-hashes" in said[-1]

    shutil.rmtree(checkout.parent / "cache")
    theirs = {"UV_DEFAULT_INDEX": "https://mine.test", "SSL_CERT_FILE": "/mine"}
    subprocess.run(
        [checkout / "scripts" / "run.sh"], env=env | theirs | {"PATH": str(path)}, capture_output=True, check=False
    )
    said = (tmp_path / "said").read_text().splitlines()
    assert "UV_DEFAULT_INDEX=https://mine.test" in said
    assert "SSL_CERT_FILE=/mine" in said


def test_an_index_that_cannot_be_reached_is_one_sentence(checkout: Path) -> None:
    said = one_sentence(
        call(
            checkout,
            cold=True,
            PIP_INDEX_URL="http://127.0.0.1:9/simple",
            PIP_RETRIES="0",
            UV_NO_CACHE="1",
            UV_HTTP_RETRIES="0",
        )
    )
    assert "could not be" in said
    assert "PIP_INDEX_URL" in said
    assert leftovers(checkout) == []


def test_a_failed_installation_is_one_sentence_and_leaves_nothing(checkout: Path, path: Path, tmp_path: Path) -> None:
    fake_python(path)
    fake_uv(path, tmp_path / "said", fails="error: No space left on device")
    said = one_sentence(call(checkout, cold=True, PATH=path))
    assert "No space left on device" in said
    assert list((checkout.parent / "cache").iterdir()) == []


def test_a_package_that_is_not_the_locked_one_is_refused(checkout: Path, with_uv: str) -> None:
    requirements = checkout / "requirements" / "base.txt"
    text = requirements.read_text()
    locked = re.search(r"^click==.*?(?=^[a-z])", text, re.DOTALL | re.MULTILINE)
    assert locked
    other = re.sub("sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, locked[0])
    requirements.write_text(text.replace(locked[0], other))
    assert "could not be installed" in one_sentence(call(checkout, cold=True, PATH=with_uv))


def test_a_python_that_is_too_old_is_one_sentence(checkout: Path, path: Path) -> None:
    (path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (path / "python3").chmod(0o755)
    assert "needs uv, or a python3 with pip" in one_sentence(call(checkout, cold=True, PATH=path))


def test_without_a_python_uv_is_asked_for_one(checkout: Path, path: Path, tmp_path: Path) -> None:
    (path / "uv").write_text(
        f"""#!/bin/sh
[ "$1" != --version ] || {{ echo "uv 0.13.8"; exit 0; }}
echo "$*" >>"{tmp_path}/said"
case "$*" in
  *"python find"*) [ ! -e "{tmp_path}/installed" ] || {{ echo "{sys.executable}"; exit 0; }}; exit 2 ;;
  *"python install"*) : >"{tmp_path}/installed" ;;
  *) while [ "$1" != --target ]; do shift; done; mkdir -p "$2" ;;
esac
"""
    )
    (path / "uv").chmod(0o755)
    done = call(checkout, cold=True, PATH=path)
    said = (tmp_path / "said").read_text()
    assert "python install 3.13" in said
    assert "pip install" in said
    assert "No module named" in done.stderr, "the empty set-up was used"

    (path / "uv").write_text(
        '#!/bin/sh\n[ "$1" != --version ] || { echo "uv 0.13.8"; exit 0; }\necho "error: no network" >&2\nexit 2\n'
    )
    shutil.rmtree(checkout.parent / "cache")
    said = one_sentence(call(checkout, cold=True, PATH=path))
    assert "Python 3.11 or later" in said
    assert "no network" in said


def test_a_cache_that_cannot_be_written_is_one_sentence(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "MLGATE_CACHE" in one_sentence(call(checkout, MLGATE_CACHE=tmp_path / "file" / "cache"))


def test_credentials_of_the_project_are_masked_and_exported(checkout: Path) -> None:
    done = call(checkout, MLGATE_ENV="# comment\nKEY=a=b%'\"$(id)\r\n\nOTHER=on\n", GITHUB_ACTIONS="true")
    env = seen(done)["env"]
    assert isinstance(env, dict)
    assert (env["KEY"], env["OTHER"], env["MLGATE_ENV"]) == ("a=b%'\"$(id)", "on", None)
    assert env["MLGATE_ENV_NAMES"] == "KEY OTHER", "what project code is not to see"
    assert "::add-mask::a=b%25'\"$(id)" in done.stdout.splitlines()
    assert "::add-mask::on" not in done.stdout, "a mask of two letters would black out the log"

    assert "::add-mask::" not in call(checkout, MLGATE_ENV="KEY=value").stdout, "no commands outside of the runner"


@pytest.mark.parametrize("line", ["no equals sign", "1A=b", "A-B=c", "=x", "export A=b"])
def test_a_line_that_is_no_variable_is_refused_without_being_shown(checkout: Path, line: str) -> None:
    done = call(checkout, MLGATE_ENV=f"KEY=value\n{line}")
    assert done.returncode == 2
    assert line not in done.stderr + done.stdout
    assert "KEY=value" in done.stderr


def test_setup_puts_the_command_on_path(checkout: Path, tmp_path: Path) -> None:
    package = checkout / "scripts" / "mlgate" / "cli.py"
    package.write_text("import sys\ndef main():\n    print('mlgate', '1.2.3', *sys.argv[2:])\n")
    files = {"GITHUB_PATH": tmp_path / "path", "GITHUB_OUTPUT": tmp_path / "output", "RUNNER_TEMP": tmp_path / "temp"}
    done = subprocess.run(
        [checkout / "scripts" / "setup.sh"],
        env=environment(checkout, files, cold=False),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output").read_text() == "version=1.2.3\n"
    [folder] = (tmp_path / "path").read_text().splitlines()
    assert [p.name for p in Path(folder).iterdir()] == ["mlgate"], "nothing else comes onto PATH with it"
    command = [Path(folder) / "mlgate", "compare", "a b", "$(id)"]
    said = subprocess.run(
        command, env=environment(checkout, {}, cold=False), capture_output=True, text=True, check=True
    )
    assert said.stdout == "mlgate 1.2.3 a b $(id)\n"
