"""Images to test with: a model of scikit-learn, its locked environment, and one build for all tests that ask for it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import machine
from engine.machine import once
from engine.registry import Registry
from mlgate.image import build, context
from mlgate.image import registry as registries
from mlgate.image.engine import Engine
from mlgate.image.plan import DIGEST_LABEL, INPUTS_LABEL, MODEL_LABEL, Plan
from mlgate.image.reference import Reference
from mlgate.serving.settings import Identity, Input, Settings

ROOT = Path(__file__).parents[2]
SERVE = ROOT / "requirements" / "serve.txt"
SKLEARN = ("cloudpickle", "joblib", "narwhals", "numpy", "scikit-learn", "scipy", "threadpoolctl")
COLUMNS = ("age", "income", "visits")


def locked(*names: str) -> str:
    """These packages, with hashes, in the versions that the tests themselves run with."""
    text = (ROOT / "requirements" / "dev.txt").read_text("utf-8")
    entries = re.findall(r"^[A-Za-z0-9](?:[^\n]*\\\n)*[^\n]*\n", text, re.MULTILINE)
    found = [entry for entry in entries if re.split(r"[=\s\[;]", entry, maxsplit=1)[0] in names]
    return "".join(found)


def settings(**changed: Any) -> Settings:
    """Of a server that answers for `COLUMNS`."""
    identity = Identity("visits", version="v1.0.0", digest="sha256:" + "ab" * 32, commit="c0ffee" + "0" * 34)
    made = Settings(identity, inputs=tuple(Input(name, "number", nullable=False) for name in COLUMNS))
    return replace(made, **changed)


def sklearn_model(folder: Path, *, seed: int = 0) -> Path:
    """A logistic regression over `COLUMNS`, as a joblib file that is the same each time."""
    import joblib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(400, len(COLUMNS)))
    labels = (rows[:, 0] + 0.5 * rows[:, 1] + draw.normal(scale=0.5, size=400) > 0).astype(int)
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels), folder / "model.joblib")
    return folder / "model.joblib"


@dataclass(frozen=True)
class Image:
    """An image that the engine has under `tag`."""

    tag: str
    inputs: str
    built: build.Built | None  # None where another test has built it


@dataclass(frozen=True)
class Builder:
    """Makes plans for this machine, and builds each only once in a test run."""

    engine: Engine
    registry: Registry
    base: str
    secrets: Mapping[str, bytes]
    shared: Path

    def plan(self, model: Path, requirements: Sequence[Path], **changed: Any) -> Plan:
        """For the template; `**changed` are other fields of Plan."""
        made = Plan(
            model=model, name="visits", base=self.base, settings=settings().to_json(), requirements=tuple(requirements),
            serve=SERVE, secrets=self.secrets, created=1_700_000_000,
            labels={MODEL_LABEL: "visits", DIGEST_LABEL: "sha256:" + "ab" * 32},
        )  # fmt: skip
        return replace(made, **changed)

    def image(self, plan: Plan, engine: Engine | None = None, log: Callable[[str], None] = lambda _: None) -> Image:
        """Built, or found where a test of this run has built the same inputs."""
        with tempfile.TemporaryDirectory() as folder:
            inputs = context.write(plan, Path(folder))
            tag = f"{self.registry.name('built')}:{inputs[7:47]}"
            with once(inputs[7:47], self.shared):
                if (engine or self.engine).inspect(tag) is not None:
                    return Image(tag, inputs, None)
                labelled = replace(plan, labels={**plan.labels, INPUTS_LABEL: inputs})
                return Image(
                    tag, inputs, build.build(engine or self.engine, labelled, Path(folder), tag=tag, log=log)
                )  # fmt: skip


def trusting(engine: Engine, registry: Registry, base: str, shared: Path) -> str:
    """The base, which also trusts what this machine trusts and knows its index; where that is nothing, itself."""
    authorities, settings = machine.authorities(), machine.pip_settings()
    if not authorities and not settings:
        return base
    trust = "ENV PIP_CERT=/etc/ca.crt SSL_CERT_FILE=/etc/ca.crt\n" if authorities else ""
    files = {"ca.crt": authorities, "pip.conf": settings}
    text = f"FROM {base}\nCOPY ca.crt pip.conf /etc/\n{trust}"
    return _derived(engine, Reference.parse(registry.name("trusting-python:1")), text, files, shared)


def with_python(engine: Engine, registry: Registry, base: str, shared: Path) -> str:
    """A base like the public ones: `python` and `pip` are commands of it, as MLflow's Dockerfile expects."""
    text = (
        f"FROM {base}\nRUN command -v pip || python3 -m venv /usr/local/python\nENV PATH=/usr/local/python/bin:$PATH\n"
    )
    return _derived(engine, Reference.parse(registry.name("python-with-pip:1")), text, {}, shared)


def _derived(engine: Engine, reference: Reference, text: str, files: Mapping[str, bytes], shared: Path) -> str:
    """An image that is built and pushed once in a test run, by digest."""
    name = reference.repository
    told = shared / name
    with once(name, shared):
        if not told.exists():
            with tempfile.TemporaryDirectory() as folder:
                for file, content in {**files, "Dockerfile": text.encode()}.items():
                    Path(folder, file).write_bytes(content)
                engine.run("build", "--quiet", "--tag", str(reference), folder, timeout=120)
            told.write_text(reference.at(registries.push(engine, str(reference), reference, [])).pinned, "utf-8")
    return told.read_text("utf-8")
