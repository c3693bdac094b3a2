"""An image with Python that other images are built on: the public one, or one made of apt's packages."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from engine.machine import missing, needs, once, run
from engine.registry import start, stop
from mlgate.image.engine import Engine
from tools import cache

REPOSITORY = "python"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
PUBLIC = f"python:{PYTHON}-slim"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
LEFT_OUT = ("doc", "man", "locale", "info")
_KEY = hashlib.sha256(repr((PUBLIC, PACKAGES, LEFT_OUT, platform.machine(), 1)).encode()).hexdigest()[:12]
KEPT = f"mlgate-tests/python:{_KEY}"


def stored(engine: Engine) -> tuple[Path, str]:
    """A registry's store that holds the base image as `python`, and its digest there; made once for all test runs."""
    home = cache() / f"base-{_KEY}"
    with once(home.name):
        if not (home / "digest").exists():
            _make(engine, home)
    return home / "store", (home / "digest").read_text("utf-8")


def copy(store: Path, to: Path) -> None:
    """A store of one's own, of the same files."""
    shutil.copytree(store, to, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _make(engine: Engine, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    registry, group = start(home, os.getpid(), engine.command)
    try:
        name = registry.name(REPOSITORY)
        _obtain(engine, f"{name}:{PYTHON}")
        said = engine.run("push", f"{name}:{PYTHON}", timeout=600)
        found = re.search(r"digest: (sha256:[0-9a-f]{64})", said)
        if found is None:
            raise RuntimeError(f"the registry told no digest: {said[-500:]}")
    finally:
        stop(group)
    (home / "digest").write_text(found[1], "utf-8")


def _obtain(engine: Engine, tag: str) -> None:
    tar = cache() / f"base-{_KEY}.tar"
    if not tar.exists() and engine.ask("pull", "--quiet", PUBLIC, timeout=300).code == 0:
        engine.run("tag", PUBLIC, tag)
        return
    if not tar.exists():
        _bootstrap(tar)
    engine.run(
        "import", "--change", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8",
        "--change", 'CMD ["python3"]', str(tar), tag, timeout=300,
    )  # fmt: skip


def _bootstrap(tar: Path) -> None:
    """A small system with Python out of the same archive as this machine's own."""
    has = run("/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    if has != PYTHON:
        missing(f"no image registry can be reached, and this system's own Python is {has}, not {PYTHON}")
    wanted = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)"
    targets = run("apt-get", "indextargets", "--format", wanted, "Created-By: Packages").splitlines()
    sources = [line.split() for line in targets if line.split()[-1] in ("Debian", "Ubuntu")]
    lines = [f"deb {site} {suite} {component}" for site, suite, component, _ in sources]
    suites = [suite for _, suite, _, _ in sources if "-" not in suite]
    part = tar.with_suffix(".part")
    run(
        needs("mmdebstrap"), "--quiet", "--format=tar", "--variant=minbase", f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
        suites[0], str(part), "-", given="\n".join([*dict.fromkeys(lines), ""]).encode(),
    )  # fmt: skip
    part.rename(tar)
