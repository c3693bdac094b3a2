"""Images that are wrong in one way each, made in a second by a tiny Dockerfile on a base that is there."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from engine.building import COLUMNS, SKLEARN, Builder, locked
from engine.registry import Registry
from mlgate.image.engine import Engine
from mlgate.image.plan import Plan

STUB = Path(__file__).with_name("answering.py")
HEALTH = (
    'HEALTHCHECK --interval=30s CMD ["python3", "-c", "import urllib.request as u; '
    "u.urlopen('http://127.0.0.1:8080/health', timeout=2)\"]"
)


def build(
    engine: Engine, registry: Registry, base: str, lines: str = "", files: Mapping[str, bytes] | None = None
) -> str:
    """The tag of an image: `lines` of a Dockerfile after FROM, with `files` in their context."""
    tag = registry.name(f"faulty-{uuid.uuid4().hex[:12]}")
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (files or {}).items():
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        Path(folder, "Dockerfile").write_text(f"FROM {base}\n{lines}\n", "utf-8")
        engine.run("build", "--quiet", "--tag", tag, folder, timeout=300)
    return tag


def stub(engine: Engine, registry: Registry, base: str, *faults: str, lines: str = HEALTH) -> str:
    """An image whose server is the small one of `answering`, with these faults."""
    words = "".join(f', "{fault}"' for fault in faults)
    return build(
        engine, registry, base,
        f'COPY answering.py /srv/\nUSER 10001:10001\n{lines}\nCMD ["python3", "/srv/answering.py"{words}]',
        {"answering.py": STUB.read_bytes()},
    )  # fmt: skip


def named_plan(builder: Builder, folder: Path, *, seed: int = 0) -> Plan:
    """The template's plan for a model that was fitted to named columns (`COLUMNS`), as a joblib file."""
    import joblib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    draw = np.random.default_rng(seed)
    rows = pd.DataFrame(draw.normal(size=(400, len(COLUMNS))), columns=list(COLUMNS))
    labels = (rows["age"] + 0.5 * rows["income"] + draw.normal(scale=0.5, size=400) > 0).astype(int).to_numpy()
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels), folder / "model.joblib")
    (folder / "requirements.txt").write_text(locked(*SKLEARN), "utf-8")
    return builder.plan(folder / "model.joblib", [folder / "requirements.txt"])


def gone(engine: Engine, name: str) -> bool:
    """Whether neither a container nor a network of this name is left."""
    return all(engine.ask(kind, "inspect", name).code != 0 for kind in ("container", "network"))
