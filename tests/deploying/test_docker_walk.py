"""From the gate to production on a real engine: an image that was built, signed and pushed, HAProxy, and callers."""

from __future__ import annotations

import csv
import itertools
import json
import socket
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import requests

from docker.rollout_bench import clean, free_port
from engine.building import COLUMNS
from engine.registry import Registry
from mlgate.image.engine import Engine
from mlgate.rollout.targets.docker_parts.names import DEPLOY, PART, Names
from shipping import Passed
from signing.parts import cosign, pem

pytestmark = pytest.mark.docker
Row = dict[str, float]


class Walk:
    """A model and its two environments, under a name that no other test has; staging, then production by a canary."""

    def __init__(self, folder: Path, engine: Engine, registry: Registry, base: str, proxy: str) -> None:
        self.engine = engine
        self.model = f"visits-{uuid.uuid4().hex[:8]}"
        self.private, self.public = pem()
        self.ports = {name: free_port() for name in ("staging", "production")}
        self.passed = Passed(
            folder,
            decide=False,
            config={
                "model": self.model,
                "image": {
                    "name": registry.name(self.model), "base": base, "requirements": ["requirements.txt"],
                    "scan": {"environment": False}, "sign": "cosign",
                },
                "serve": {"workers": 1, "timeout_seconds": 2, "replay": {"sample": "100%", "hours": 1}},
                "deploy": {
                    "trust": "signed", "verify": {"key": "keys/release.pem"}, "criticality": "low",
                    "environments": self._environments(proxy),
                },
            },
        )  # fmt: skip
        self.passed.repo.write("keys/release.pem", self.public)
        self.passed.repo.commit("Name the key")
        self.passed.decide()

    def _environments(self, proxy: str) -> dict[str, Any]:
        def target(name: str) -> dict[str, Any]:
            return {"kind": "docker", "port": self.ports[name], "proxy": proxy, "memory": "512Mi", "cpu": "2"}

        return {
            "staging": {
                "target": target("staging"), "strategy": "blue-green", "step": {"period": "1 s"},
                "checks": {"skew": True, "load": {"rate": 30, "duration": "3 s", "latency_p95": "2 s"}},
            },
            "production": {
                "target": target("production"), "strategy": "canary", "steps": [50], "keep": "10 minutes",
                "step": {"at_least": "1 s", "at_most": "5 minutes", "period": "1 s", "warm_up": "1 s"},
                "expected": {"error_rate": "0.1%"}, "rules": ["error_rate <= 10%", "prediction_shift <= 0.5"],
            },
        }  # fmt: skip

    def __call__(self, *args: str, code: int = 0, key: str = "") -> str:
        """What a job on main says; `key`: the private key that its environment holds."""
        held = {"COSIGN_PRIVATE_KEY": key} if key else {}
        done = self.passed.job(*args, MLGATE_DOCKER=self.engine.command, MLGATE_COSIGN=cosign(), **held)
        assert done.returncode == code, done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def deploy(self, environment: str, *args: str, code: int = 0) -> str:
        return self("deploy", "--environment", environment, *args, code=code)

    def ship(self) -> str:
        """Built, signed, registered: the image by digest."""
        self("build-image")
        image = self.passed.outputs()["image"]
        self("audit", "sign", key=self.private)
        self("register")
        return image

    def train(self, seed: int) -> None:
        self.passed.before = self.passed.repo.head
        self.passed.train(seed)

    def judged(self) -> None:
        """What is in the working tree comes to main, and passes the gate."""
        self.passed.repo.commit("Train again")
        self.passed.repo.git("push", "--quiet", "origin", "main")
        self.passed.decide()

    def rows(self) -> list[Row]:
        with (self.passed.repo.path / "data/test.csv").open(newline="") as file:
            return [{name: float(row[name]) for name in COLUMNS} for row in csv.DictReader(file)]

    def version(self, environment: str) -> str:
        """The digest of the model that answers."""
        answer = requests.get(f"http://127.0.0.1:{self.ports[environment]}/version", timeout=10)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return json.dumps(told, sort_keys=True)

    def kept(self, environment: str) -> str:
        """The log of requests that the server of an environment keeps for shadows."""
        key = Names(self.model, environment).key
        found = self.engine.run(
            "ps", "--quiet", "--filter", f"label={DEPLOY}={key}", "--filter", f"label={PART}=server"
        )
        return self.engine.run("exec", found, "cat", "/var/log/mlgate/requests.jsonl")

    def close(self) -> None:
        for name in ("staging", "production", "shadow"):
            clean(self.engine, Names(self.model, name))


class Traffic:
    """Callers of an environment, with rows of the evaluation."""

    def __init__(self, port: int, rows: list[Row], *, rate: float = 80.0, threads: int = 4) -> None:
        self.url, self.rate = f"http://127.0.0.1:{port}/predict", rate
        self.statuses: Counter[int] = Counter()
        self._rows, self._over = itertools.cycle(rows), threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(threads)]
        self._lock = threading.Lock()

    def __enter__(self) -> Traffic:
        for one in self._threads:
            one.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for one in self._threads:
            one.join(30)

    def _call(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            with self._lock:
                row = next(self._rows)
            status = ask(self.url, row)
            with self._lock:
                self.statuses[status] += 1
            due += len(self._threads) / self.rate
            self._over.wait(max(0.0, due - time.monotonic()))


def ask(url: str, row: Row) -> int:
    """The status of the answer; 0 for none."""
    try:
        return requests.post(url, json={"instances": [row]}, timeout=30).status_code
    except requests.RequestException:
        return 0


@pytest.fixture
def walk(tmp_path: Path, engine: Engine, registry: Registry, trusting_base: str, proxy_image: str) -> Iterator[Walk]:
    made = Walk(tmp_path / "project", engine, registry, trusting_base, proxy_image)
    yield made
    made.close()


def test_only_what_was_decided_and_signed_comes_in(walk: Walk) -> None:
    walk("build-image")
    image = walk.passed.outputs()["image"]
    walk("audit", "sign", "--registry", "false", key=pem()[0])
    walk("register")
    assert "keys/release.pem" in walk.deploy("staging", code=2), "signed by another key"
    for file in (walk.passed.repo.path / ".mlgate").rglob("*.dsse.json"):
        file.unlink()
    walk("audit", "sign", key=walk.private)
    unknown = f"{image.partition('@')[0]}@sha256:{'0' * 64}"
    assert "the ledger has no image" in walk.deploy("staging", "--image", unknown, code=2)
    assert "was never in staging" in walk.deploy("production", code=2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", walk.ports["staging"]))
        taken.listen()
        assert str(walk.ports["staging"]) in walk.deploy("staging", code=2)
    assert f"{walk.model} v1.0.0 is in staging." in walk.deploy("staging")
    found = walk.passed.repo.evidence(walk.model, "deploy")["checks"]
    verdicts = {one["id"]: one["verdict"] for one in found}
    assert verdicts["deploy.signed"] == "pass"
    assert {one["verdict"] for one in found} == {"pass"}
    assert [ask(f"http://127.0.0.1:{walk.ports['staging']}/predict", row) for row in walk.rows()[:5]] == [200] * 5
    assert len(walk.kept("staging").splitlines()) >= 5, "what a shadow would answer again"


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_to_production_and_back(walk: Walk) -> None:
    """One model is promoted by a canary, one that fails for some is turned back, and a person goes back further."""
    walk.ship()
    for environment in ("staging", "production"):
        walk.deploy(environment)
    first = walk.version("production")
    walk.train(1)
    walk.judged()
    walk.ship()
    assert "which keeps the model that it had" in walk.deploy("staging", "--drill")
    walk.deploy("staging")
    assert "requests of the new model" in walk.deploy("production", "--plan")
    with Traffic(walk.ports["production"], walk.rows()) as callers:
        walk.deploy("production", "--once")
        assert "now at 50 %" in walk.deploy("production", "--once")
        assert f"{walk.model} v1.1.0 is in production." in walk.deploy("production")
    assert set(callers.statuses) == {200}
    second = walk.version("production")
    assert second != first

    walk.train(2)
    knows_only_what_it_saw(walk.passed)
    walk.judged()
    walk.ship()
    walk.deploy("staging")
    odd = [{**row, "visits": -40.0} if at % 3 == 0 else row for at, row in enumerate(walk.rows())]
    with Traffic(walk.ports["production"], odd) as callers:
        assert "`error_rate <= 10%` is broken" in walk.deploy("production", code=1)
        bad = callers.statuses[500]
        time.sleep(1)
    assert 0 < bad == callers.statuses[500], "once it is turned back, nobody meets it"
    assert set(callers.statuses) == {200, 500}
    assert walk.version("production") == second
    assert "It is not tried again by itself" in walk.deploy("production", code=3)

    subprocess.run([walk.engine.command, "kill", Names(walk.model, "production").router], check=True)
    walk("rollback", "--environment", "production", "--reason", "the first one was better")
    assert walk.version("production") == first
    with Traffic(walk.ports["production"], walk.rows()):
        walk("rollback", "--environment", "production", "--to", "v1.1.0", "--reason", "it was not")
    assert walk.version("production") == second
    traced = walk("trace", f"{walk.model}@production")
    assert "because the first one was better" in traced
    assert "because it was not" in traced


def knows_only_what_it_saw(passed: Passed) -> None:
    """Another model in place of the one that was trained: as good, until a row has a value below all that it saw."""
    import joblib  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import MinMaxScaler, PowerTransformer  # noqa: PLC0415

    test = pd.read_csv(passed.repo.path / "data/test.csv")
    rows = test[list(COLUMNS)]
    steps = MinMaxScaler((1, 2)), PowerTransformer("box-cox"), LogisticRegression()  # the second takes nothing below 0
    fitted = make_pipeline(*steps).fit(rows, test["visited"])
    joblib.dump(fitted, passed.model)
    scores = pd.DataFrame({"person": test["person"], "p_visit": fitted.predict_proba(rows)[:, 1]})
    scores.to_csv(passed.repo.path / "eval/predictions.csv", index=False)
    auc = float(roc_auc_score(test["visited"], scores["p_visit"]))
    passed.repo.write("metrics/eval.json", {"auc": auc})
    passed.lock()
