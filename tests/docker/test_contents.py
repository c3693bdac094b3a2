"""What is inside real images: the template's is clean, and what is hidden in any layer is found."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest

import faulty
from engine.building import Image
from engine.registry import Registry
from mlgate.errors import MlgateError
from mlgate.image import contents
from mlgate.image.contents import Asked
from mlgate.image.engine import Engine
from mlgate.image.plan import Plan
from mlgate.model import Check, Verdict

pytestmark = pytest.mark.docker


@pytest.fixture
def asked(engine: Engine, sklearn_plan: Plan) -> Asked:
    digest = hashlib.sha256(sklearn_plan.model.read_bytes()).hexdigest()
    return Asked(
        digest=digest,
        files={"": digest},
        locks={one.name: one.read_text("utf-8") for one in sklearn_plan.requirements},
        base=contents.base_layers(engine, sklearn_plan.base),
    )


def bad(checks: list[Check]) -> dict[str, Verdict]:
    return {c.id.removeprefix("image.contents."): c.verdict for c in checks if c.verdict is not Verdict.PASS}


def look(engine: Engine, tag: str, asked: Asked) -> dict[str, Verdict]:
    return bad(contents.checks(engine, tag, asked))


def test_the_templates_image_is_clean(engine: Engine, sklearn_image: Image, asked: Asked) -> None:
    assert asked.base
    checks = contents.checks(engine, sklearn_image.tag, asked)
    assert {c.id: c.reason for c in checks if c.verdict is not Verdict.PASS} == {}
    versions = next(c for c in checks if c.id == "image.contents.versions")
    assert versions.rows is not None
    assert versions.rows >= 5


KEY = b"-----BEGIN RSA PRIVATE KEY-----\n" + b"A" * 64 + b"\n-----END RSA PRIVATE KEY-----\n"
WRONG = """
USER root
ENV FLASK_DEBUG=1 API_TOKEN=hunter2hunter2
ARG PIP_PASSWORD=hunter2hunter3
RUN true
COPY data /app/.env
RUN rm /app/.env
COPY key /app/notes.txt
COPY data /app/train.csv
COPY data /app/.git/HEAD
RUN rm -r /app/.git
COPY data /app/.dvc/config
COPY data /usr/bin/gcc
COPY data /opt/venv/bin/pip
COPY data /root/.cache/pip/x
HEALTHCHECK NONE
CMD ["uvicorn", "app:app", "--reload"]
"""


def test_all_that_may_not_be_inside_is_found_at_once(
    engine: Engine, registry: Registry, sklearn_image: Image, asked: Asked
) -> None:
    tag = faulty.build(engine, registry, sklearn_image.tag, WRONG, {"data": b"a,b\n1,2\n", "key": KEY})
    checks = contents.checks(engine, tag, asked)
    found = {c.id.removeprefix("image.contents."): c.reason for c in checks}
    words = {"user", "health", "debug", "secrets", "data", "history", "tracked", "tools"}
    assert bad(checks) == {**dict.fromkeys(words, Verdict.FAIL), "caches": Verdict.WARN}
    for word, *parts in (
        ("debug", "FLASK_DEBUG", "--reload"),
        ("secrets", "API_TOKEN", "PIP_PASSWORD", "/app/.env (in an earlier layer)", "/app/notes.txt"),
        ("data", "/app/train.csv"),
        ("history", "/app/.git (in an earlier layer)"),
        ("tracked", "/app/.dvc/config"),
        ("tools", "/usr/bin/gcc", "/opt/venv/bin/pip"),
        ("caches", "/root/.cache/pip"),
    ):
        for part in parts:
            assert part in found[word]
    assert "hunter2" not in str(checks)


def test_known_data_and_secrets_of_this_run_are_found_under_any_name(
    engine: Engine, registry: Registry, sklearn_image: Image, asked: Asked
) -> None:
    files = {"notes": b"id,age\n1,2\n", "library": b"\0" * 5000 + b"hunter2-of-this-run" + b"\0" * 5000}
    tag = faulty.build(
        engine, registry, sklearn_image.tag, "COPY notes /srv/notes.bin\nCOPY library /usr/lib/x.so", files
    )
    md5 = hashlib.md5(files["notes"], usedforsecurity=False).hexdigest()
    known = replace(asked, data={"data/test.csv": md5}, secrets={"netrc": b"hunter2-of-this-run"})
    assert look(engine, tag, known) == {"data": Verdict.FAIL, "secrets": Verdict.FAIL}


def test_another_model_or_one_that_the_server_may_change_is_found(
    engine: Engine, registry: Registry, sklearn_image: Image, sklearn_plan: Plan, asked: Asked
) -> None:
    place = f"/opt/model/{sklearn_plan.model.name}"
    lines = f"COPY --chown=10001 other {place}"
    tag = faulty.build(engine, registry, sklearn_image.tag, lines, {"other": b"another model"})
    assert look(engine, tag, asked) == {"model": Verdict.FAIL}
    tag = faulty.build(engine, registry, sklearn_image.tag, lines, {"other": sklearn_plan.model.read_bytes()})
    assert look(engine, tag, asked) == {"writable": Verdict.WARN}


def test_other_versions_than_the_model_was_trained_with_are_found(
    engine: Engine, sklearn_image: Image, asked: Asked
) -> None:
    (name, text), *_ = asked.locks.items()
    other = re.sub(r"^scikit-learn==\S+", "scikit-learn==1.0.1", text, flags=re.MULTILINE)
    assert other != text
    assert look(engine, sklearn_image.tag, replace(asked, locks={name: other})) == {"versions": Verdict.FAIL}


def test_an_image_that_cannot_be_read_is_an_error(engine: Engine, asked: Asked) -> None:
    with pytest.raises(MlgateError, match="could not be read"):
        contents.checks(engine, "localhost:1/none:none", asked)
