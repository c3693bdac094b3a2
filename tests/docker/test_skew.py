"""The skew test through real images: the model that was judged, another one, and one whose packages differ."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import faulty
from engine.building import COLUMNS, Builder, settings
from engine.registry import Registry
from mlgate.data import reading
from mlgate.data.aligned import Asked, File
from mlgate.image import hardened, ready, sampled, skew
from mlgate.image.engine import Engine
from mlgate.image.plan import Plan
from mlgate.image.protocol import PREDICT
from mlgate.image.skew import Sample
from mlgate.model import Check, Verdict

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def plan(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return faulty.named_plan(builder, tmp_path_factory.mktemp("named"))


@pytest.fixture(scope="module")
def image(builder: Builder, plan: Plan) -> str:
    """The template's image of a model with named columns; its server is mlgate's."""
    return builder.image(plan).tag


@pytest.fixture
def rows(tmp_path: Path, plan: Plan) -> Sample:
    """400 rows of evaluation data, and what the model that was judged says of them."""
    import joblib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    model = joblib.load(plan.model)
    values = pd.DataFrame(np.random.default_rng(7).normal(size=(400, len(COLUMNS))), columns=list(COLUMNS))
    score = model.predict_proba(values)[:, 1]
    with (tmp_path / "test.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person", *COLUMNS, "visited"])
        writer.writerows([f"p{n}", *map(repr, row), n % 2] for n, row in enumerate(values.to_numpy().tolist()))
    with (tmp_path / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "p"])
        writer.writerows([f"p{n}", repr(float(score[n]))] for n in reversed(range(400)))
    data = File(tmp_path / "test.csv", "data/test.csv")
    asked = Asked(
        data, {"challenger": File(tmp_path / "predictions.csv", "eval/predictions.csv")}, id="person", label="visited",
        positive=1, score="p", cut_off=0.5,
    )  # fmt: skip
    with reading.connect() as con:
        return sampled.read(con, asked, data, count=250, inputs=settings().inputs)


def run(engine: Engine, tag: str, sample: Sample, *, tolerance: float = 1e-6) -> list[Check]:
    with hardened.start(engine, tag) as service:
        found = ready.wait(service)
        assert found.ok, found.check.reason
        return skew.checks(service, PREDICT, sample, tolerance=tolerance, wanted=250)


def bad(checks: list[Check]) -> dict[str, Verdict]:
    return {c.id.removeprefix("image.skew."): c.verdict for c in checks if c.verdict is not Verdict.PASS}


def test_the_image_of_the_judged_model_predicts_what_was_judged(engine: Engine, image: str, rows: Sample) -> None:
    checks = run(engine, image, rows, tolerance=1e-12)
    assert bad(checks) == {}
    assert {c.id for c in checks} == {"image.skew.class", "image.skew.score", "image.skew.single"}
    assert {c.rows for c in checks} == {250, 25}


def test_an_image_with_another_model_inside_is_found(
    engine: Engine, builder: Builder, rows: Sample, tmp_path: Path
) -> None:
    other = faulty.named_plan(builder, tmp_path / "other", seed=99)
    tag = builder.image(other).tag
    checks = run(engine, tag, rows)
    assert bad(checks)["score"] is Verdict.FAIL
    first = next(c for c in checks if c.id == "image.skew.score")
    assert first.examples[0].values["person"].startswith("p")
    assert first.unexpected is not None
    assert first.unexpected > 200


def test_an_image_that_scales_its_rows_otherwise_is_found(
    engine: Engine, registry: Registry, image: str, rows: Sample
) -> None:
    """The same model bytes, and code before it that is not what trained it: what digests cannot find."""
    shift = (
        "import numpy, sklearn.preprocessing as p\n"
        "own = p.StandardScaler.transform\n"
        "p.StandardScaler.transform = lambda self, x, copy=None: own(self, numpy.asarray(x) + 0.001, copy)\n"
    )
    venv = engine.run(
        "run", "--rm", "--entrypoint", "python3", image, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
    )
    tag = faulty.build(
        engine, registry, image, f"COPY shift.py shift.pth {venv}/",
        {"shift.py": shift.encode(), "shift.pth": b"import shift\n"},
    )  # fmt: skip
    checks = run(engine, tag, rows)
    assert bad(checks)["score"] is Verdict.FAIL


def test_a_server_that_cannot_take_the_rows_fails(
    engine: Engine, registry: Registry, base_image: str, rows: Sample
) -> None:
    tag = faulty.stub(engine, registry, base_image, "nameless-columns")
    assert bad(run(engine, tag, rows)) == {"rows": Verdict.FAIL}
