"""`mlgate register` and a real MLflow server: one version, its tags, its alias, and the model behind it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from builder import ROOT, environment, md5
from mlgate.repo import content
from mlgate.tracking import Store, Training, log
from tracking.registered import Gated
from tracking.servers import Answer, in_front_of
from tracking.test_register_ledger import statement


class Served(Gated):
    """Its registered model is its own, so that tests share a server."""

    server: str
    name: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.server)

    def versions(self) -> list[ModelVersion]:
        return sorted(self.client.search_model_versions(f"name = '{self.name}'"), key=lambda v: int(v.version))

    def register(self, *args: str, cwd: Path | None = None, ok: int = 0, **env: str) -> str:
        return super().register(*args, cwd=cwd, ok=ok, **{"MLFLOW_TRACKING_URI": self.server} | env)

    def trained(self, *, artifact: Path | None = None, commit: str = "") -> str:
        """A training of this very model as `mlgate train` logs it; the id of its run."""
        store = Store.of({}, self.server)
        assert store is not None
        training = Training(
            model=self.name,
            folder=self.repo.path,
            commit=commit or self.repo.head,
            model_digest=md5(self.bytes),
            metrics={"auc": 0.74},
            artifact=artifact,
            run_url="https://ci.example.org/runs/1",
        )
        logged = log(training, store)
        assert logged.problem == ""
        return logged.run_id


@pytest.fixture
def gated(tmp_path: Path, mlflow_server: str) -> Served:
    name = f"visits-{tmp_path.parent.name}-{tmp_path.name}".replace("_", "-")[-90:].lstrip("-")
    gated = Served(tmp_path, "register: {to: [mlflow], tags: {team: growth}}\n", model=name)
    gated.server, gated.name = mlflow_server, name
    return gated


class TestAVersion:
    def test_with_tags_and_alias_from_the_training_that_made_it(self, gated: Served) -> None:
        gated.repo.model({"auc": 0.74, "log_loss": 0.56}, config=gated.config)
        model = gated.repo.write("models/visits.joblib", gated.bytes)
        gated.repo.write(".gitignore", "/models\n")
        commit = gated.challenger()
        run = gated.trained(artifact=model, commit="c0ffee" + "0" * 34)  # on the branch that was squashed
        model.unlink()
        gated.register()
        assert gated.reasons()["register.mlflow"] == (
            f"pass: version 1 of {gated.name} was made at MLflow at {gated.server}. It is challenger."
        )
        (version,) = gated.versions()
        (decision,) = gated.entries("decision")
        (first, done) = gated.entries("registration")
        assert version.run_id == run
        assert version.tags == {
            "git_commit": commit,
            "dvc_md5": md5(gated.bytes),
            "verdict_sha": decision.statement,
            "mlgate.commit": commit,
            "mlgate.dataset.holdout": decision.evaluation["holdout"],
            "mlgate.decision": decision.statement,
            "mlgate.model": gated.name,
            "mlgate.model_digest": md5(gated.bytes),
            "mlgate.model_sha256": decision.subject["sha256"],
            "mlgate.registration": first.id,
            "mlgate.verdict": "pass",
            "mlgate.version": "v1.0.0",
            "team": "growth",
        }
        assert done.registries == {"mlflow": "1"}
        assert str(gated.client.get_model_version_by_alias(gated.name, "challenger").version) == "1"
        assert gated.evidence()["links"]["mlflow"] == f"{gated.server}/#/models/{gated.name}/versions/1"
        mlflow.set_tracking_uri(gated.server)
        found = mlflow.artifacts.download_artifacts(
            f"models:/{gated.name}@challenger", dst_path=str(gated.folder / "got")
        )
        assert (Path(found) / "visits.joblib").read_bytes() == gated.bytes

    def test_the_same_again_asks_and_changes_nothing(self, gated: Served) -> None:
        gated.challenger()
        gated.register()
        before = [dict(v) for v in gated.versions()]
        seen: list[str] = []

        def watch(method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Answer | str:
            seen.append(f"{method} {path}")
            return "pass"

        with in_front_of(gated.server, watch) as door:
            gated.register(MLFLOW_TRACKING_URI=door.address)
        assert [dict(v) for v in gated.versions()] == before
        assert seen
        assert [s for s in seen if not s.startswith("GET") and "/search" not in s] == []

    def test_a_model_that_is_at_hand_is_uploaded_once(self, gated: Served) -> None:
        gated.challenger()
        gated.repo.write("elsewhere/m.joblib", gated.bytes)
        gated.register("--model-path", "elsewhere/m.joblib", "--run-name", "by hand")
        (version,) = gated.versions()
        run = gated.client.get_run(version.run_id)
        assert run.data.tags["mlgate.model_digest"] == md5(gated.bytes)
        assert run.info.run_name == "by hand"
        mlflow.set_tracking_uri(gated.server)
        found = mlflow.artifacts.download_artifacts(version.source, dst_path=str(gated.folder / "got"))
        assert (Path(found) / "visits.joblib").read_bytes() == gated.bytes

    def test_another_model_than_the_committed_one_is_not_uploaded(self, gated: Served) -> None:
        gated.challenger()
        gated.repo.write("elsewhere/m.joblib", b"another one")
        assert "--model-path elsewhere/m.joblib is not the model that" in gated.register(
            "--model-path", "elsewhere/m.joblib", ok=2
        )
        assert gated.versions() == []
        assert gated.entries("registration") == []

    def test_without_its_bytes_it_is_a_version_that_says_so(self, gated: Served) -> None:
        gated.challenger()
        said = gated.register()
        assert "It has no files of the model" in said
        (version,) = gated.versions()
        assert version.source == f"dvc://{gated.name}/{gated.repo.head}"
        assert gated.evidence()["verdict"] == "warn"

    @pytest.mark.filterwarnings("ignore")  # of MLflow, while it saves and loads
    def test_an_mlflow_folder_is_loaded_by_its_alias(self, gated: Served) -> None:
        """As a team has it: a folder that DVC tracks, uploaded by nobody yet."""
        import sklearn.linear_model as linear  # noqa: PLC0415

        folder = gated.repo.path / "models/visits.joblib"
        mlflow.sklearn.save_model(linear.LogisticRegression().fit([[0.0], [1.0]], [0, 1]), str(folder))
        listing = content.digest(folder, {"dvc-md5": ""})["dvc-md5"]
        gated.repo.write(".gitignore", "/models\n")
        gated.repo.model({"auc": 0.74, "log_loss": 0.56}, config=gated.config)
        lock = (gated.repo.path / "dvc.lock").read_text()
        gated.before = gated.repo.head
        gated.repo.write("dvc.lock", lock.replace(md5(gated.bytes), listing))
        gated.repo.commit("A folder")
        gated.judged()
        gated.register()
        (version,) = gated.versions()
        assert version.source.startswith("models:/m-")
        mlflow.set_tracking_uri(gated.server)
        model = mlflow.pyfunc.load_model(f"models:/{gated.name}@challenger")
        assert list(model.predict([[0.0], [1.0]])) == [0, 1]

    def test_an_image_that_comes_later_is_a_tag(self, gated: Served) -> None:
        gated.challenger()
        gated.register()
        made = statement(gated)
        gated.repo.write(f".mlgate/images/{gated.name}.json", made.to_bytes())
        gated.register()
        (version,) = gated.versions()
        assert version.tags["image_digest"] == "sha256:" + "a" * 64
        assert version.tags["image"] == made.reference


class TestAliases:
    def test_challenger_then_champion(self, gated: Served) -> None:
        def aliases() -> dict[str, str]:
            found = gated.client.get_registered_model(gated.name).aliases
            return {alias: str(version) for alias, version in found.items()}

        gated.challenger()
        gated.register()
        assert aliases() == {"challenger": "1"}
        gated.register("--alias", "champion")
        assert aliases() == {"champion": "1"}
        gated.register()  # a job that runs again does not make the champion a challenger
        assert aliases() == {"champion": "1"}
        old = gated.repo.head
        gated.challenger({"auc": 0.75, "log_loss": 0.55})
        gated.register()
        assert aliases() == {"champion": "1", "challenger": "2"}
        gated.repo.git("checkout", "--quiet", old)
        gated.register("--alias", "none")
        assert aliases() == {"champion": "1", "challenger": "2"}

    def test_a_slower_job_does_not_take_the_alias_back(self, gated: Served) -> None:
        old = gated.challenger()
        gated.register("--alias", "none")
        gated.challenger({"auc": 0.75, "log_loss": 0.55})
        gated.register()
        gated.repo.git("checkout", "--quiet", old)
        gated.register()
        assert "v1.1.0 was registered after v1.0.0, which was not made the challenger." in gated.evidence()["not_run"]
        assert str(gated.client.get_model_version_by_alias(gated.name, "challenger").version) == "2"

    def test_the_champion_of_the_registry_is_that_of_a_comparison(self, gated: Served) -> None:
        """Its run was at another commit: the branch, before it was squashed."""
        gated.repo.model({"auc": 0.74, "log_loss": 0.56}, config=gated.config)
        gated.repo.write(".gitignore", "/models\n")
        model = gated.repo.write("models/visits.joblib", gated.bytes)
        commit = gated.challenger()
        gated.trained(artifact=model, commit="c0ffee" + "0" * 34)
        gated.register("--alias", "champion")
        gated.repo.git("checkout", "--quiet", "-b", "change")
        gated.repo.model({"auc": 0.75, "log_loss": 0.55}, config=gated.config)
        gated.repo.commit("Better")
        done = gated.repo.mlgate(
            "compare", "--champion", f"models:/{gated.name}@champion", MLFLOW_TRACKING_URI=gated.server
        )
        assert done.returncode == 0, done.stdout
        champion = gated.repo.evidence(gated.name)["champion"]
        assert champion["commit"] == commit

    def test_a_server_without_aliases_has_stages(self, gated: Served) -> None:
        def old(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Answer | str:
            return (404, {"Content-Type": "text/html"}, b"<h1>Not Found</h1>") if "/alias" in path else "pass"

        gated.challenger()
        with in_front_of(gated.server, old) as door:
            said = gated.register(MLFLOW_TRACKING_URI=door.address)
            assert "knows no aliases, so the version is in the stage Staging instead" in said
            assert gated.versions()[0].current_stage == "Staging"
            gated.register("--alias", "champion", MLFLOW_TRACKING_URI=door.address)
            assert gated.versions()[0].current_stage == "Production"
            gated.challenger({"auc": 0.75, "log_loss": 0.55})
            gated.register("--alias", "champion", MLFLOW_TRACKING_URI=door.address)
        assert [version.current_stage for version in gated.versions()] == ["Archived", "Production"]


class TestTrouble:
    def test_a_server_that_is_down_after_the_ledger(self, gated: Served) -> None:
        gated.challenger()
        said = gated.register(ok=2, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
        assert (
            "MLflow at http://127.0.0.1:9 cannot be reached. v1.0.0 stands in the ledger, and running this again"
            in said
        )
        assert len(gated.entries("registration")) == 1
        gated.register()
        assert [entry.registries for entry in gated.entries("registration")] == [{}, {"mlflow": "1"}]

    def test_a_server_that_breaks_off_after_the_version_was_made(self, gated: Served) -> None:
        """The answer is lost, and the version is there: the next run finds it."""
        broken: list[str] = []

        def breaking(method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Answer | str:
            if "set-tag" in path or "/alias" in path:
                broken.append(path)
                return 500, {}, b"{}"
            return "pass"

        gated.challenger()
        with in_front_of(gated.server, breaking) as door:
            gated.register(ok=2, MLFLOW_TRACKING_URI=door.address)
        assert broken
        assert len(gated.versions()) == 1
        gated.register()
        assert len(gated.versions()) == 1
        assert str(gated.client.get_model_version_by_alias(gated.name, "challenger").version) == "1"

    @pytest.mark.parametrize(
        ("address", "said"),
        [
            ("", "names mlflow, and nothing says where that registry is"),
            ("databricks", "Databricks is not supported"),
            ("https://gitlab.example.com/api/v4/projects/42/ml/mlflow", "Write `to: [gitlab]`"),
        ],
    )
    def test_what_cannot_be_tried_is_told_before_anything_is_written(
        self, gated: Served, address: str, said: str
    ) -> None:
        gated.challenger()
        assert said in gated.register(ok=2, MLFLOW_TRACKING_URI=address)
        assert gated.entries("registration") == []

    def test_a_token_is_in_no_sentence(self, gated: Served) -> None:
        gated.challenger()
        secret = "Very-Secret-Token-1"
        said = gated.register(ok=2, MLFLOW_TRACKING_URI="http://127.0.0.1:9", MLFLOW_TRACKING_TOKEN=secret)
        assert secret not in said
        assert secret not in (gated.repo.path / f".mlgate/evidence/{gated.name}/register.json").read_text()


def test_jobs_at_once_make_one_version(gated: Served) -> None:
    gated.challenger()
    clones = [gated.clone(f"job{n}", "--depth=1") for n in range(3)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "mlgate", "register"],
            cwd=path, env=environment(PYTHONPATH=str(ROOT / "scripts"), MLFLOW_TRACKING_URI=gated.server),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for path in clones
    ]  # fmt: skip
    for process in started:
        out, _ = process.communicate(timeout=180)
        assert process.returncode == 0, out
    (version,) = gated.versions()
    first, *more = gated.entries("registration")
    assert version.tags["mlgate.registration"] == first.id
    assert [entry.registries for entry in more] == [{"mlflow": str(version.version)}]


def test_a_store_in_a_file(tmp_path: Path) -> None:
    gated = Gated(tmp_path, "register: {to: [mlflow]}\n")
    gated.challenger()
    gated.register(MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    gated.register("--alias", "champion", MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    with sqlite3.connect(gated.repo.path / "mlflow.db") as con:
        assert con.execute("SELECT name, version FROM model_versions").fetchall() == [("visits", 1)]
        assert con.execute("SELECT alias, version FROM registered_model_aliases").fetchall() == [("champion", 1)]
        told = dict(con.execute("SELECT key, value FROM model_version_tags").fetchall())
    con.close()
    assert told["mlgate.version"] == "v1.0.0"


@pytest.fixture(autouse=True)
def _nowhere() -> Iterator[None]:
    """MLflow keeps its address for the whole process."""
    yield
    mlflow.set_tracking_uri(None)
