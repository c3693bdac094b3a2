"""Fixtures: `proxy_image` (HAProxy, as the public image is: with bash, and nothing more to talk to it) and `standins`.

`standins("good-1", errors=0.1)` is the image of a small model server, by digest; rollout/standin.py says what it takes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.machine import once
from engine.registry import Registry
from mlgate.image import registry as registries
from mlgate.image.engine import Engine
from mlgate.image.reference import Reference

STANDIN = Path(__file__).parents[1] / "rollout" / "standin.py"
_APT = "RUN apt-get update && apt-get install -y --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/*"
KEPT = "mlgate-tests/rollout"
Standins = Callable[..., str]


def _pushed(engine: Engine, reference: Reference, text: str, files: dict[str, bytes], shared: Path) -> str:
    """Built and pushed once in a test run, by digest."""
    told = shared / f"{reference.repository}-{reference.tag}"
    with once(told.name, shared):
        if not told.exists():
            with tempfile.TemporaryDirectory() as folder:
                for file, content in {**files, "Dockerfile": text.encode()}.items():
                    Path(folder, file).write_bytes(content)
                engine.run("build", "--quiet", "--tag", str(reference), folder, timeout=300)
            engine.run(
                "tag", str(reference), f"{KEPT}-{reference.repository}:{reference.tag}"
            )  # layers of the next run
            told.write_text(reference.at(registries.push(engine, str(reference), reference, [])).pinned, "utf-8")
    return told.read_text("utf-8")


def proxy(engine: Engine, registry: Registry, base: str, shared: Path) -> str:
    """An image of HAProxy 2.6 or later, pinned by digest, that the registry has."""
    text = f"FROM {base}\n{_APT}\nUSER 65534\n"
    return _pushed(engine, Reference.parse(registry.name("haproxy:tests")), text, {}, shared)


def standing_in(engine: Engine, registry: Registry, base: str, shared: Path) -> Standins:
    """Makes images of stand-ins, each pushed once, by digest."""
    parent = Reference.parse(registry.name("standin:parent"))
    text = (
        f"FROM {base}\nCOPY standin.py /standin.py\nUSER 10001:10001\nEXPOSE 8080\n"
        'ENV MLGATE_HOST=0.0.0.0 MLGATE_PORT=8080\nCMD ["python3", "/standin.py"]\n'
    )

    def make(name: str, **told: Any) -> str:
        _pushed(engine, parent, text, {"standin.py": STANDIN.read_bytes()}, shared)
        said = json.dumps({"name": name, **told}).replace('"', '\\"')
        reference = Reference.parse(registry.name(f"standin:{name}"))
        return _pushed(engine, reference, f'FROM {parent}\nENV MLGATE_STANDIN="{said}"\n', {}, shared)

    return make


@pytest.fixture(scope="session")
def proxy_image(engine: Engine, registry: Registry, base_image: str, shared: Path) -> str:
    """An image of HAProxy, by digest."""
    return proxy(engine, registry, base_image, shared)


@pytest.fixture(scope="session")
def standins(engine: Engine, registry: Registry, base_image: str, shared: Path) -> Standins:
    """`standins(name, errors=..., ...)` is an image by digest."""
    return standing_in(engine, registry, base_image, shared)
