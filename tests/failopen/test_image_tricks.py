"""Tricks by which an image or a version could come to be that nobody has let through. Each is stopped, and said.

Most need no engine: what stops them comes before a build, and `MLGATE_DOCKER=/bin/false` shows that nothing was built.
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from engine.registry import Registry
from jobs import environ
from mlgate.commands import _build_proof
from mlgate.errors import MlgateError
from mlgate.image import dockerfile, skew
from mlgate.image.engine import Engine
from mlgate.image.protocol import Answers
from mlgate.image.sampled import chosen
from mlgate.image.skew import Committed, Sample
from mlgate.judge import record
from mlgate.model import Evidence, Named, Verdict
from mlgate.signing import statement
from mlgate.supply import scanners
from shipping import Passed

BASE = "python@sha256:" + "ab" * 32
OTHER = "node@sha256:" + "cd" * 32
IMAGE = {
    "name": "localhost:9/visits", "base": BASE, "requirements": ["requirements.txt"], "scan": {"environment": False},
}  # fmt: skip
NO_DOCKER = {"MLGATE_DOCKER": "/bin/false"}


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Passed:
    """A project with a decision. No test changes it: each has a copy."""
    return Passed(tmp_path_factory.mktemp("decided") / "project", config={"image": IMAGE})


@pytest.fixture
def passed(decided: Passed, tmp_path: Path) -> Passed:
    """A copy with a ledger of its own."""
    mine = copy.copy(decided)
    mine.folder = tmp_path / "project"
    shutil.copytree(decided.folder, mine.folder)
    mine.origin = mine.folder / decided.origin.relative_to(decided.folder)
    mine.repo = copy.copy(decided.repo)
    mine.repo.path = mine.folder / decided.repo.path.relative_to(decided.folder)
    mine.settings = copy.deepcopy(decided.settings)
    mine.repo.git("remote", "set-url", "origin", str(mine.origin))
    mine.ledger_is_here()
    shutil.rmtree(mine.repo.path / ".mlgate")
    return mine


@pytest.fixture
def writing(tmp_path: Path) -> Passed:
    """A project of its own, whose ledger takes entries: a copy of a ledger takes none."""
    return Passed(tmp_path / "project", config={"image": IMAGE})


def checks(passed: Passed, verb: str = "build-image") -> dict[str, tuple[str, str]]:
    return {one["id"]: (one["verdict"], one["reason"]) for one in passed.evidence(verb)["checks"]}


def images(passed: Passed) -> list[Path]:
    return list((passed.repo.path / ".mlgate").glob("images/*"))


def in_pull_request(passed: Passed, *args: str) -> subprocess.CompletedProcess[str]:
    head = passed.repo.head
    side = {"sha": head, "repo": {"full_name": "acme/visits"}}
    payload = {
        "number": 7,
        "pull_request": {"number": 7, "head": {**side, "ref": "x"}, "base": {**side, "ref": "main"}},
    }
    env = environ(passed.folder / "pull", passed.repo, "pull_request", payload, GITHUB_REF="refs/pull/7/merge")
    return passed.repo.mlgate(*args, **{**env, **NO_DOCKER})


# -- whose decision ----------------------------------------------------------------------------------------------------


def test_a_pull_request_does_not_build_on_the_decision_of_main(passed: Passed) -> None:
    """Its Dockerfile, requirements and code are its own, and the image would carry the name of main's decision."""
    done = in_pull_request(passed, "build-image")
    assert done.returncode == 1, done.stdout + done.stderr
    verdict, reason = checks(passed)["image.decision"]
    assert (verdict, "a pull request" in reason) == ("fail", True)
    assert "supply.model" not in checks(passed)
    passed.job("build-image", **NO_DOCKER)
    assert checks(passed)["image.decision"][0] == "pass", "the same commit on main is let through"


def test_what_failed_after_its_decision_is_not_built(writing: Passed) -> None:
    passed = writing
    rules = {"auc": {"is": "roc_auc", "threshold": 0.999}}
    passed.write_config(compare={"champion": "main", "rules": rules})
    passed.repo.commit("Ask for more")
    passed.repo.git("push", "--quiet", "origin", "main")
    failed = passed.job("compare")
    assert failed.returncode == 1, failed.stdout
    for _ in range(2):
        done = passed.job("build-image", **NO_DOCKER)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "was judged again" in checks(passed)["image.decision"][1]
    assert images(passed) == []


@pytest.mark.parametrize("verb", ["build-image", "register"])
def test_a_ledger_that_was_written_into_lets_nothing_through(passed: Passed, verb: str) -> None:
    ledger = passed.folder / "ledger"
    passed.repo.git("clone", "--quiet", "--branch", "mlgate-ledger", str(passed.origin), str(ledger))
    segment = next(ledger.glob("20*/events-*.jsonl"))
    text = segment.read_text()
    assert "roc_auc" in text or "ada" in text
    segment.write_text(text.replace("ada", "eve"))
    for args in (["commit", "--quiet", "--all", "-m", "x"], ["push", "--quiet", "origin", "HEAD"]):
        passed.repo.git("-C", str(ledger), "-c", "user.name=eve", "-c", "user.email=eve@example.com", *args)
    done = passed.job(verb, **NO_DOCKER)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "hash" in done.stdout, done.stdout
    assert "supply.model" not in checks(passed, verb)
    assert not passed.outputs().get("version")


# -- statements that no job has made -----------------------------------------------------------------------------------


def forged(passed: Passed, decisions: Passed) -> bytes:
    """A statement that joins the decision, about an image of somebody else's."""
    told = json.loads((decisions.repo.path / ".mlgate/decisions/visits.json").read_bytes())
    decision = record.Statement.parse(told)
    sha256 = hashlib.sha256(passed.model.read_bytes()).hexdigest()
    subject = Named(name="models/visits.joblib", digest={**record.digests(decision), "sha256": sha256}, role="model")
    facts = statement.Facts(
        name="evil.example/visits", image="e" * 64, subject=subject, decision=decision.digest, inputs="1" * 64,
        commit=decision.predicate.decision.commit,
    )  # fmt: skip
    evidence = Evidence(kind="build-image", model="visits", title="", verdict=Verdict.PASS)
    return statement.state(evidence, facts).to_bytes()


def test_a_statement_that_a_commit_carries_is_not_believed(writing: Passed) -> None:
    passed = writing
    carried = forged(passed, passed)
    shutil.rmtree(passed.repo.path / ".mlgate")
    passed.repo.write(".mlgate/images/visits.json", carried)
    passed.repo.git("add", "--force", ".mlgate/images/visits.json")
    passed.repo.git("commit", "--quiet", "--message", "Carry a statement")
    for verb in ("register", "audit sign"):
        done = passed.job(*verb.split())
        assert done.returncode == 2, done.stdout + done.stderr
        assert "was not left by a job" in done.stdout + done.stderr
    assert not passed.outputs().get("version")
    passed.repo.git("rm", "--quiet", "--cached", ".mlgate/images/visits.json")
    passed.repo.git("commit", "--quiet", "--message", "Carry none")
    done = passed.job("register")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(passed.outputs()["registered"])[0]["image"].startswith("evil.example"), "it joins the decision"


def test_statements_behind_a_link_are_not_believed(passed: Passed, decided: Passed) -> None:
    kept = passed.repo.path / "papers"
    kept.mkdir()
    (kept / "visits.json").write_bytes(forged(passed, decided))
    (passed.repo.path / ".mlgate").mkdir()
    (passed.repo.path / ".mlgate/images").symlink_to(kept)
    done = passed.job("register")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "was not left by a job" in done.stdout


@pytest.mark.parametrize("args", [["build-image"], ["build-image", "--prepare"], ["register"]], ids=" ".join)
def test_a_linked_state_folder_is_refused(passed: Passed, args: list[str]) -> None:
    elsewhere = passed.folder / "elsewhere"
    elsewhere.mkdir()
    (passed.repo.path / ".mlgate").symlink_to(elsewhere)
    done = passed.job(*args, **NO_DOCKER)
    assert done.returncode == 2, done.stdout + done.stderr
    assert list(elsewhere.rglob("*")) == []


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"model": "visits"}, "call their model"),
        ({"model": "Visits"}, "call their model"),
        ({"model": "rides", "register": {"name": "visits"}}, "would both be registered as visits"),
        ({"model": "rides", "register": {"name": "VISITS"}}, "would both be registered as"),
    ],
)
def test_two_models_do_not_get_one_name(passed: Passed, other: dict[str, Any], words: str) -> None:
    text = yaml.safe_dump({**passed.settings, **other})
    passed.repo.write("second.yaml", text)
    passed.repo.commit("Add another")
    done = passed.job("register", "--config", "mlgate.yaml\nsecond.yaml")
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert not passed.outputs().get("version"), "not even the first"


@pytest.mark.docker
@pytest.mark.parametrize("label", ["io.mlgate.decision", "io.mlgate.preview", "org.opencontainers.image.revision"])
def test_a_label_that_says_what_was_decided_is_not_the_projects(passed: Passed, label: str, engine: Engine) -> None:
    passed.write_config(image={**IMAGE, "labels": {label: "f" * 64}})
    passed.repo.commit("Say more")
    done = passed.job("build-image", "--preview", MLGATE_DOCKER=engine.command)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "is mlgate's own to set" in checks(passed)["image.step"][1]


def test_labels_that_a_base_brings_are_seen() -> None:
    labels = {"io.mlgate.model": "visits", "io.mlgate.preview": "true"}
    fine = _build_proof.labelled({"Config": {"Labels": {**labels, "other": "x"}}}, labels)
    assert fine.verdict is Verdict.PASS
    for wrong in ({"io.mlgate.decision": "f" * 64}, {"io.mlgate.preview": "false"}, {"io.mlgate.model": "rides"}):
        assert _build_proof.labelled({"Config": {"Labels": labels | wrong}}, labels).verdict is Verdict.FAIL
    assert _build_proof.labelled({}, labels).verdict is Verdict.FAIL


@pytest.mark.docker
def test_a_dockerfile_that_says_it_was_decided_is_not_pushed(
    passed: Passed, base_image: str, registry: Registry, engine: Engine
) -> None:
    """A preview's own labels name no decision, so one that comes from elsewhere would stay."""
    name = registry.name(f"tricks-{uuid.uuid4().hex[:8]}")
    text = f'FROM {base_image}\nLABEL io.mlgate.decision={"f" * 64}\nCOPY model /model\nUSER 10001\nCMD ["false"]\n'
    passed.repo.write("Dockerfile", text)
    passed.write_config(image={**IMAGE, "name": name, "builder": "dockerfile", "dockerfile": "Dockerfile"})
    passed.repo.commit("Write a Dockerfile")
    done = passed.job("build-image", "--preview", MLGATE_DOCKER=engine.command)
    assert done.returncode != 0
    verdict, reason = checks(passed)["image.contents.labels"]
    assert (verdict, "io.mlgate.decision" in reason) == ("fail", True), reason
    assert "image.pushed" not in checks(passed)


# -- Dockerfiles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"FROM {BASE}\nFR\\\nOM evil\n",
        f"FROM {BASE}\nFR\\\n# a comment\n\nOM evil\n",
        f"# escape=`\nFROM {BASE}\nFR`\nOM evil\n",
        f"# \u2028FROM {BASE} AS evil\nFROM evil\n",
        f"FROM {BASE}\nRUN true \x0bx\x85FROM {BASE} AS evil\nFROM evil\n",
        f"FROM {BASE}\nRUN echo \\\nFROM {BASE} AS evil\nFROM evil\n",
        f"FROM {BASE}\nRUN <<END\nFROM {BASE} AS evil\nEND\nFROM evil\n",
        f'FROM {BASE}\nRUN echo "<<END"\nFROM evil\nRUN echo \\\nEND\n',
        f"FROM {BASE}\nRUN echo a\\\\\nFROM evil\n",
        f"FROM {BASE}\nCOPY --from=evil /bin /bin\n",
        f"FROM {BASE}\nCOPY --chown=1 --from=7 /bin /bin\n",
        f"FROM {BASE}\nCOPY --fr\\om=evil /bin /bin\n",
        f"FROM {BASE}\nRUN --mount=type=bind,from=evil,target=/x cp -r /x /y\n",
        f'FROM {BASE}\nRUN --mount="type=bind,from=evil,target=/x" cp -r /x /y\n',
        f"# syntax=evil/frontend\nFROM {BASE}\n",
        f'{{"syntax": "evil/frontend"}}\nFROM {BASE}\n',
        f"FROM {BASE} AS one\nFROM on\n",
    ],
)
def test_an_image_without_a_digest_does_not_hide(text: str) -> None:
    with pytest.raises(MlgateError):
        dockerfile.pinned_stages(text, file="Dockerfile")


def test_what_is_honest_is_taken() -> None:
    text = (
        f"# syntax=docker/dockerfile:1.7\n# escape=\\\nFROM --platform=linux/amd64 {OTHER} AS Made\n"
        "RUN <<END python3 -\nfrom os import path\nprint('a')\nEND\nRUN a \\\n  # said\n  b --from=x\n"
        f"FROM {BASE}\nCOPY --from=made --chown=1:1 /a /a\nCOPY --from=0 /b /b\nRUN --mount=type=cache,target=/c true\n"
    )
    dockerfile.pinned_stages(text, file="Dockerfile")
    assert dockerfile.base_of(text) == BASE


@pytest.mark.parametrize(
    ("text", "base"),
    [
        (f"FROM {BASE} AS one\nFROM {OTHER} AS two\nFROM one\n", BASE),
        (f"FROM {BASE} AS one\nFROM One AS two\nFROM {OTHER} AS three\nFROM TWO\n", BASE),
        (f"FROM {BASE} AS one\nFROM {OTHER} AS one\nFROM one\n", OTHER),
        (f"FROM {BASE} AS one\nFROM scratch\nCOPY --from=one / /\n", "scratch"),
    ],
)
def test_the_base_is_told_behind_its_aliases(text: str, base: str) -> None:
    """The statement names it, and what it brings is not looked at."""
    assert dockerfile.base_of(text) == base


# -- predictions -------------------------------------------------------------------------------------------------------


def _rows(count: int) -> Any:
    import numpy as np  # noqa: PLC0415

    return SimpleNamespace(
        count=count, challenger=SimpleNamespace(score=np.linspace(0, 1, count), decided=None), classes=("0", "1")
    )


def test_nobody_knows_before_which_rows_are_asked() -> None:
    """Honest predictions for rows that are known to be asked, and better ones for all others, would pass."""
    rows = _rows(10_000)
    known = set(chosen(rows, 500, "a commit that its author knows"))
    assert len(known) == 500
    assert {0, 9_999} <= known
    for number in range(20):
        asked = set(chosen(rows, 500, f"decision {number}"))
        assert len(asked) == 500
        assert len(asked & known) < 100, "the others would be found out"
        assert {place * 20 // 10_000 for place in asked} == set(range(20)), "spread over all scores"
    assert chosen(rows, 500, "decision 1") == chosen(rows, 500, "decision 1")
    assert chosen(_rows(30), 500, "x") == list(range(30))


def test_a_test_does_not_say_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that knows it is being tested could answer as judged, and otherwise later."""
    started: list[dict[str, str]] = []

    @contextmanager
    def start(*_: Any, environ: dict[str, str], **__: Any) -> Iterator[Any]:
        started.append(environ)
        yield SimpleNamespace()

    waited = SimpleNamespace(check=_build_proof._skew(Verdict.FAIL, "it is only a test"), ok=False)
    monkeypatch.setattr(_build_proof.hardened, "start", start)
    monkeypatch.setattr(_build_proof.ready, "wait", lambda _: waited)
    monkeypatch.setattr(_build_proof.contents, "checks", lambda *_: [])
    for name in ("_contents", "_samples"):
        monkeypatch.setattr(_build_proof, name, lambda *_: [])
    source = SimpleNamespace(config=SimpleNamespace(serve=SimpleNamespace(port=8080)))
    planned = SimpleNamespace(plan=SimpleNamespace(labels={}))
    engine = SimpleNamespace(inspect=lambda _: {})
    found = _build_proof.prove(engine, "image", source, planned)  # type: ignore[arg-type]
    assert started == [{"MLGATE_ENVIRONMENT": "production"}]
    assert [check.verdict for check in found.checks] == [Verdict.PASS, Verdict.FAIL], "not ready is not passed"


def test_the_request_of_a_test_has_no_name_of_its_own() -> None:
    program = "import sys; sys.path.insert(0, 'scripts'); from mlgate.image import smoke; print(smoke._ID)"
    told = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(told) == 2
    assert not any("mlgate" in one or "smoke" in one for one in told)


@pytest.mark.parametrize("answer", [None, float("nan"), float("inf"), "", [], {}])
def test_an_answer_that_says_nothing_is_no_prediction(answer: Any) -> None:
    ids = [str(number) for number in range(30)]
    committed = Committed("binary", ids, ("0", "1"), ["0"] * 30, [0.1] * 30)
    sample = Sample([{"a": 1.0}] * 30, committed, 30)
    seen = skew.compare(committed, Answers([answer] * 30, probability=[answer] * 30), 1e-6)
    verdicts = {check.verdict for check in skew.decide(sample, seen, seen, 1e-6)}
    assert Verdict.FAIL in verdicts
    right = skew.compare(committed, Answers([0] * 30, probability=[0.1] * 30), 1e-6)
    assert {check.verdict for check in skew.decide(sample, right, right, 1e-6)} == {Verdict.PASS}


def test_no_rows_are_no_proof() -> None:
    empty = Sample([], Committed("binary", [], ("0", "1"), [], []), 0)
    assert skew.too_few(empty, 500).verdict is Verdict.ERROR  # type: ignore[union-attr]
    few = Sample([{"a": 1.0}] * 3, Committed("binary", ["1", "2", "3"], ("0", "1"), ["0"] * 3, None), 3)
    assert skew.too_few(few, 500).verdict is Verdict.INCONCLUSIVE  # type: ignore[union-attr]


# -- scanners ----------------------------------------------------------------------------------------------------------

_NOTHING: dict[str, Any] = {
    "trivy": {"Metadata": {"OS": {"Family": "debian", "Name": "12"}}, "Results": [{"Class": "os-pkgs"}]},
    "grype": {"matches": [], "distro": {"name": "debian"}, "descriptor": {"db": {"built": "2026-02-28T00:00:00Z"}}},
}


def scanned(folder: Path, scanner: str, answer: Any, *, code: int = 0) -> Verdict:
    """What comes of a scanner that answers this."""
    told, program = folder / "answer.json", folder / scanner
    told.write_text(json.dumps(answer))
    program.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\ncat {told}\nexit {code}\n')
    program.chmod(0o755)
    found = scanners.run(
        scanner, "image", severity="high", today=dt.date(2026, 3, 1), environ={"PATH": f"{folder}:/usr/bin:/bin"}
    )
    return found[0].verdict


@pytest.mark.parametrize("scanner", ["trivy", "grype"])
def test_an_exit_code_does_not_make_a_scanner_right(tmp_path: Path, scanner: str) -> None:
    assert scanned(tmp_path, scanner, _NOTHING[scanner]) is Verdict.PASS
    assert scanned(tmp_path, scanner, _NOTHING[scanner], code=1) is Verdict.ERROR
    for nothing in ({}, [], None, {"Results": [], "matches": []}):
        assert scanned(tmp_path, scanner, nothing) is Verdict.ERROR
    assert scanned(tmp_path, "grype", {**_NOTHING["grype"], "descriptor": {"db": None}}) is Verdict.ERROR


def test_settings_in_the_runners_home_leave_nothing_out(tmp_path: Path) -> None:
    scanned(tmp_path, "grype", _NOTHING["grype"])
    assert re.search(r"--config \S*/mlgate-settings-\w+/settings.yaml", (tmp_path / "asked").read_text())
