"""What project code in the run job can do to the files and the evidence that it hands over, one test per trick.

The judge is the real one, on a fresh clone of a pull request whose model is worse; what it gets was prepared by the
real `compare --prepare` and then tampered with. Only the rules' own words may make such a model pass.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from builder import Repo
from jobs import pull_request
from measured import GROUPS, MLGATE, PREDICTIONS, TEST, Measured, Persons, repository
from mlgate.model import Check, Evidence, Source, Verdict

PERSONS = Persons(3000)
CHAMPION, WORSE = PERSONS.scores(1.0), PERSONS.scores(2.5)
BETTER = PERSONS.scores(0.5)
EXCLUDE = "made/visits/holdout.exclude.parquet"


class Handed:
    """What lies before the judge: a clone, the inputs folder and the evidence, as an honest run job leaves them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clone = Repo(home / "clone")
        self.inputs = home / "inputs"
        self.evidence = home / "evidence"

    @classmethod
    def of(cls, repo: Measured, home: Path) -> Handed:
        done = repo.mlgate("compare", "--prepare")
        assert done.returncode == 0, done.stdout + done.stderr
        Repo(home).git("clone", "--quiet", str(repo.path), str(home / "clone"))
        found = cls(home)
        found.clone.git("branch", "main", "origin/main")
        shutil.copytree(repo.path / ".mlgate" / "inputs", found.inputs)
        shutil.copytree(repo.path / ".mlgate" / "evidence", found.evidence)
        trained = Evidence(
            kind="train", model="visits", verdict=Verdict.PASS, source=Source(commit=repo.head),
            facts={"verify": "lock"}, checks=[Check(id="proofs.metrics", title="metrics", verdict=Verdict.PASS)],
        )  # fmt: skip
        (found.evidence / "visits" / "train.json").write_text(trained.to_json())
        return found

    def copy(self, home: Path) -> Handed:
        shutil.copytree(self.home, home, dirs_exist_ok=True)
        return Handed(home)

    @property
    def prepared(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.evidence / "visits/prepare.json").read_text())
        return loaded

    def prepare(self, **update: Any) -> None:
        (self.evidence / "visits/prepare.json").write_text(json.dumps(self.prepared | update))

    def file(self, role: str) -> Path:
        """A committed file in the inputs folder, by the start of its role."""
        [digest] = [one["digest"] for one in self.prepared["inputs"] if one["role"].startswith(role)]
        return self.inputs / "-".join(*digest.items())

    def make(self, name: str, role: str, write: Callable[[Path], object], digest: str = "") -> None:
        """A made file, listed with its digest as an honest job would."""
        file = self.inputs / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file)
        told = digest or hashlib.sha256(file.read_bytes()).hexdigest()
        self.prepare(inputs=[*self.prepared["inputs"], {"name": name, "digest": {"sha256": told}, "role": role}])

    def judge(self) -> int:
        handed, inputs = str(self.evidence), str(self.inputs)
        done = pull_request(self.clone, "--handed", handed, "--inputs", inputs)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode

    def checks(self, verdict: str) -> dict[str, str]:
        return {c["id"]: c["reason"] for c in self.clone.evidence()["checks"] if c["verdict"] == verdict}

    @property
    def said(self) -> str:
        return "\n".join(f"{c['verdict']} {c['id']}: {c['reason']}" for c in self.clone.evidence()["checks"])


def changed(path: Path, *, config: str = MLGATE, scores: np.ndarray = WORSE, **more: Any) -> Measured:
    """A repository with this change committed on a branch."""
    repo = repository(path, PERSONS, CHAMPION, config=config)
    repo.put(PERSONS, scores, **more)
    repo.commit("Another model")
    return repo


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    home = tmp_path_factory.mktemp("worse")
    return Handed.of(changed(home / "repo"), home / "handed")


@pytest.fixture(scope="module")
def north(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    """Better on the whole, so that its committed metrics pass; its rows say that one region pays for it."""
    home = tmp_path_factory.mktemp("north")
    scores = np.where(PERSONS.region == "north", PERSONS.scores(3.0, seed=4), PERSONS.scores(0.2))
    return Handed.of(changed(home / "repo", config=MLGATE + GROUPS, scores=scores), home / "handed")


@pytest.fixture
def worse(master: Handed, tmp_path: Path) -> Handed:
    return master.copy(tmp_path)


@pytest.fixture
def sliced(north: Handed, tmp_path: Path) -> Handed:
    return north.copy(tmp_path)


def test_the_judge_reads_what_was_handed_over(worse: Handed) -> None:
    assert worse.judge() == 1
    assert worse.clone.evidence()["statistics"] == "paired"
    assert "rules.auc.absolute_regression" in worse.checks("fail")


def test_better_on_the_whole_is_stopped_by_its_rows_alone(sliced: Handed) -> None:
    assert sliced.judge() == 1
    assert [name for name in sliced.checks("fail") if not name.startswith("slices.")] == []


# -- files of the commits --------------------------------------------------------------------------------------------

LABELS, MINE, THEIRS = "labels of", "predictions of holdout (challenger)", "predictions of holdout (champion)"


@pytest.mark.parametrize("role", [LABELS, MINE, THEIRS])
def test_a_file_is_removed_so_that_committed_metrics_decide(role: str, sliced: Handed) -> None:
    sliced.file(role).unlink()
    assert sliced.judge() == 2, sliced.said
    assert "neither handed" in "".join(sliced.checks("error").values())


def test_everything_is_removed(sliced: Handed) -> None:
    shutil.rmtree(sliced.inputs)
    assert sliced.judge() == 2, sliced.said


def test_what_a_job_says_it_could_not_have_is_the_policys(tmp_path: Path) -> None:
    """As forks do. It may be a lie, and `no_credentials` says what it is worth."""
    policy = "  policy: {no_credentials: inconclusive}\n"
    scores = np.where(PERSONS.region == "north", PERSONS.scores(3.0, seed=4), PERSONS.scores(0.2))
    handed = Handed.of(changed(tmp_path / "repo", config=MLGATE + GROUPS + policy, scores=scores), tmp_path / "handed")
    handed.file(MINE).unlink()
    for verdict, code in (("warn", 2), ("inconclusive", 3)):
        lacking = {
            "id": f"prepare.inputs.challenger.{PREDICTIONS}",
            "title": "x",
            "verdict": verdict,
            "group": "integrity",
        }
        kept = [check for check in handed.prepared["checks"] if not check["id"].startswith("prepare.inputs.")]
        handed.prepare(checks=[*kept, lacking], verdict=verdict)
        assert handed.judge() == code, handed.said
    assert "judge.groups.holdout" in handed.checks("inconclusive")


def test_a_file_is_swapped_for_another(worse: Handed) -> None:
    worse.file(MINE).chmod(0o644)
    shutil.copyfile(worse.file(THEIRS), worse.file(MINE))
    assert worse.judge() == 2
    assert "bytes do not have the digest" in "".join(worse.checks("error").values())


def test_a_better_file_comes_in_the_name_of_both(worse: Handed) -> None:
    """Listed under the digest of the committed one, as if that were it."""
    text = "person,p_visit\n" + "".join(f"{i},{0.9 if y else 0.1}\n" for i, y in enumerate(PERSONS.label))
    name, digest = worse.file(MINE).name, hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    (worse.inputs / f"dvc-md5-{digest}").write_text(text)
    inputs = [
        one | ({"digest": {"dvc-md5": digest}} if one["role"] == MINE else {}) for one in worse.prepared["inputs"]
    ]
    worse.prepare(inputs=inputs)
    assert worse.judge() == 1, worse.said
    (worse.inputs / name).unlink()
    assert worse.judge() == 2, worse.said


def _link(file: Path) -> None:
    file.rename(file.with_name("there"))
    file.symlink_to("there")


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _hole(file: Path) -> None:
    """40 GiB that take no room."""
    file.chmod(0o644)
    os.truncate(file, 40 * 2**30)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("trick", [_link, _folder, _pipe, _hole])
def test_something_else_lies_in_a_files_place(trick: Callable[[Path], None], worse: Handed) -> None:
    trick(worse.file(MINE))
    assert worse.judge() == 2, worse.said


def test_the_folder_is_a_link(worse: Handed) -> None:
    _link(worse.inputs)
    assert worse.judge() == 2
    assert "is a link" in "".join(worse.checks("error").values())


@pytest.mark.timeout(60)
def test_thousands_of_files(worse: Handed) -> None:
    for number in range(20_000):
        (worse.inputs / f"dvc-md5-{number:032x}").touch()
    started = time.monotonic()
    assert worse.judge() == 1
    assert time.monotonic() - started < 30
    for number in range(3_000):
        (worse.evidence / "visits" / f"a{'b' * (number % 30)}{number}.json").touch()
    assert worse.judge() in (1, 2)


# -- made files ------------------------------------------------------------------------------------------------------


def listing(ids: Any, side: str = "champion") -> Callable[[Path], None]:
    """Rows to leave out, written as `compare --prepare` writes them."""

    def write(file: Path) -> None:
        values = ", ".join(f"('{one}')" for one in ids)
        query = f"SELECT id, '{side}' AS side FROM (VALUES {values}) AS t(id)"  # noqa: S608
        duckdb.sql(query).write_parquet(str(file))

    return write


def wrong(scores: np.ndarray) -> np.ndarray:
    """The rows that speak most against these scores."""
    loss = -np.log(np.where(PERSONS.label == 1, scores, 1 - scores))
    found: np.ndarray = np.argsort(loss)[::-1]
    return found


@pytest.mark.parametrize("side", ["champion", "anchor", "challenger"])
def test_the_rows_that_speak_against_it_are_called_training_rows(side: str, worse: Handed) -> None:
    worse.make(EXCLUDE, "rows of holdout to leave out", listing(wrong(WORSE)[:1200], side))
    assert worse.judge() == 1, worse.said
    assert "rules.auc.absolute_regression" in worse.checks("fail")
    assert "They stay" in worse.checks("warn")["judge.rows.holdout.exclude"]


def test_groups_that_pay_are_called_training_rows(sliced: Handed) -> None:
    sliced.make(EXCLUDE, "rows of holdout to leave out", listing(np.flatnonzero(PERSONS.region == "north")))
    assert sliced.judge() == 1, sliced.said


def test_all_rows_are_called_training_rows(worse: Handed) -> None:
    worse.make(EXCLUDE, "rows of holdout to leave out", listing(range(3000)))
    assert worse.judge() != 0, worse.said


def test_a_champion_is_scored_again_although_nothing_asks_for_it(worse: Handed) -> None:
    """Badly, of course."""
    text = "person,p_visit\n" + "".join(f"{i},{0.1 if y else 0.9}\n" for i, y in enumerate(PERSONS.label))
    worse.make(
        "made/visits/holdout.champion.csv", "champion scored again on holdout", lambda file: file.write_text(text)
    )
    assert worse.judge() == 1, worse.said


# -- evidence --------------------------------------------------------------------------------------------------------


def test_there_is_no_evidence_of_it(sliced: Handed) -> None:
    (sliced.evidence / "visits/prepare.json").unlink()
    assert sliced.judge() == 2
    assert "there is none for this model" in sliced.checks("error")["integrity.handed.prepare"]


@pytest.mark.parametrize("word", ["unchanged", "held-back"])
def test_evidence_says_that_there_was_nothing_to_do(word: str, worse: Handed) -> None:
    check = {"id": f"prepare.{word}", "title": word, "verdict": "pass", "group": "integrity"}
    worse.prepare(checks=[check])
    assert worse.judge() == 2, worse.said
    assert "integrity.handed.prepare" in worse.checks("error")


def test_evidence_speaks_of_another_champion(worse: Handed) -> None:
    worse.prepare(champion=worse.prepared["champion"] | {"commit": worse.clone.head})
    assert worse.judge() == 2
    assert "as the champion" in worse.checks("error")["integrity.handed.prepare"]


# -- what project code measures --------------------------------------------------------------------------------------

COSTS = "  costs:\n    model_mb: {threshold: 50}\n"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"challenger": {"latency_ms": [], "model_bytes": NaN, "peak_memory_bytes": null}}',
        '{"challenger": {"latency_ms": [], "model_bytes": 1e999, "peak_memory_bytes": null}}',
        '{"challenger": {"latency_ms": [], "model_bytes": -5, "peak_memory_bytes": null}}',
        '{"challenger": {"latency_ms": [], "model_bytes": true, "peak_memory_bytes": null}}',
        '{"challenger": {"latency_ms": {}, "model_bytes": "1", "peak_memory_bytes": null}}',
        '{"champion": {"latency_ms": [], "model_bytes": 5, "peak_memory_bytes": null}}',
        "[]",
        "",
        '{"challenger": ' + "9" * 20_000_000 + "}",
    ],
    ids=["deep", "nan", "infinite", "negative", "true", "text", "no challenger", "a list", "nothing", "long"],
)
def test_costs_that_are_none(text: str, costed: Handed) -> None:
    costed.prepare(inputs=[one for one in costed.prepared["inputs"] if "costs.json" not in one["name"]])
    costed.make("made/visits/costs.json", "costs", lambda file: file.write_text(text))
    assert costed.judge() == 2, costed.said


@pytest.fixture(scope="module")
def _costed(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    home = tmp_path_factory.mktemp("costs")
    return Handed.of(changed(home / "repo", config=MLGATE + COSTS, scores=BETTER), home / "handed")


@pytest.fixture
def costed(_costed: Handed, tmp_path: Path) -> Handed:
    return _costed.copy(tmp_path)


# -- predictions that the change commits -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "twice", ["7.0", "7", "+7", " 7", "07", "7e0", "\ufeff7", "7\u200b"],
    ids=["a number", "again", "plus", "space", "zero", "exponent", "mark", "no width"],
)  # fmt: skip
def test_ids_that_collide(twice: str, tmp_path: Path) -> None:
    """One more row with another spelling of an id, and a better score."""
    rows: list[dict[str, Any]] = [{"person": i, "p_visit": float(p)} for i, p in enumerate(BETTER)]
    repo = changed(tmp_path / "repo", scores=BETTER, rows=[*rows, {"person": twice, "p_visit": 0.5}])
    assert pull_request(repo).returncode == 2, repo.checks()
    assert [name for name in repo.checks("error") if name.startswith("judge.rows.holdout.challenger")]


def _bomb(file: Path, query: str) -> None:
    duckdb.sql(query).write_parquet(str(file), compression="zstd")


@pytest.mark.timeout(120)
def test_a_small_file_that_holds_very_many_rows(tmp_path: Path) -> None:
    config = MLGATE.replace(PREDICTIONS, "eval/predictions.parquet")
    repo = changed(tmp_path / "repo", scores=BETTER, config=config)
    file = repo.path / "eval/predictions.parquet"
    _bomb(file, "SELECT 7 AS person, 0.5 AS p_visit FROM range(100_000_000)")
    assert file.stat().st_size < 5_000_000
    repo.commit("Many rows")
    started = time.monotonic()
    assert pull_request(repo).returncode == 2, repo.checks()
    assert time.monotonic() - started < 60


def test_predictions_and_labels_swap_their_names(tmp_path: Path) -> None:
    """The change calls its labels predictions: a column `p_visit` in the data would be a perfect score."""
    labels = [row | {"p_visit": row["visited"]} for row in PERSONS.labels()]
    repo = changed(tmp_path / "repo", labels=labels, rows=labels)
    assert pull_request(repo).returncode != 0
    assert TEST in "".join(repo.checks().values())
