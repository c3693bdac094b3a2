"""Versions of registered models: the commit that they were trained from, or one clear sentence. A real MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlgate.errors import MlgateError
from mlgate.tracking import Store, Training, log
from mlgate.tracking.registry import Named, Registered, registered
from tracking.servers import Answer, Door, always, in_front_of

COMMIT = "c0ffee" + "0" * 34


def at(address: str, **environ: str) -> Store:
    store = Store.of({**environ, "MLFLOW_TRACKING_URI": address})
    assert store is not None
    return store


@pytest.fixture
def model(mlflow_server: str, training: Training, request: pytest.FixtureRequest) -> str:
    """A registered model of its own, whose version 1 is from a training that mlgate logged, with the alias champion."""
    name = f"{request.node.name[:60]}-{training.folder.parent.name}".replace("/", "-").replace(":", "-")
    run = log(training, at(mlflow_server)).run_id
    client = MlflowClient(mlflow_server)
    client.create_registered_model(name)
    client.create_model_version(name, source=f"runs:/{run}/model", run_id=run)
    client.set_registered_model_alias(name, "champion", "1")
    return name


def asked(spec: str, store: Store, folder: Path = Path()) -> Registered | None:
    return registered(Named.parse(f"models:/{spec}"), store, folder, timeout=60)


def refused(spec: str, store: Store, folder: Path = Path()) -> str:
    with pytest.raises(MlgateError) as error:
        asked(spec, store, folder)
    return str(error.value)


def test_a_spec() -> None:
    assert Named.parse("models:/visits@champion") == Named("visits", alias="champion")
    assert Named.parse("models:/visits/3") == Named("visits", version="3")
    with pytest.raises(MlgateError, match="names no registered model"):
        Named.parse("models:/visits/latest")


class TestAServer:
    def test_an_alias_and_a_number_lead_to_the_commit_and_the_digest(self, mlflow_server: str, model: str) -> None:
        found = Registered("1", COMMIT, "sha256:" + "ab" * 32)
        assert asked(f"{model}@champion", at(mlflow_server)) == found
        assert asked(f"{model}/1", at(mlflow_server)) == found

    def test_an_alias_that_is_not_set_is_none_yet(self, mlflow_server: str, model: str) -> None:
        assert asked(f"{model}@production", at(mlflow_server)) is None

    def test_a_model_that_is_not_registered_is_an_error(self, mlflow_server: str) -> None:
        said = refused("nobody@champion", at(mlflow_server))
        assert said.startswith(f"MLflow at {mlflow_server} has no registered model `nobody`. Check the name.")

    def test_a_version_that_was_deleted(self, mlflow_server: str, model: str) -> None:
        MlflowClient(mlflow_server).delete_model_version(model, "1")
        said = refused(f"{model}/1", at(mlflow_server))
        assert f"has no version 1 of {model}: it was deleted, or never was there." in said
        assert asked(f"{model}@champion", at(mlflow_server)) is None  # the alias went with it

    def test_a_version_of_no_run(self, mlflow_server: str, model: str) -> None:
        MlflowClient(mlflow_server).create_model_version(model, source="s3://bucket/model")
        said = refused(f"{model}/2", at(mlflow_server))
        assert f"does not say from which commit version 2 of {model} was trained" in said
        assert "neither it nor its run has the tag mlgate.commit" in said

    def test_a_tag_of_the_version_itself(self, mlflow_server: str, model: str) -> None:
        client = MlflowClient(mlflow_server)
        client.create_model_version(model, source="s3://bucket/model", tags={"mlgate.commit": "a" * 40})
        assert asked(f"{model}/2", at(mlflow_server)) == Registered("2", "a" * 40)

    def test_mlflows_own_commit_tag(self, mlflow_server: str, model: str) -> None:
        client = MlflowClient(mlflow_server)
        run = client.create_run("0", tags={"mlflow.source.git.commit": "b" * 40}).info.run_id
        client.create_model_version(model, source=f"runs:/{run}/model", run_id=run)
        assert asked(f"{model}/2", at(mlflow_server)) == Registered("2", "b" * 40)

    def test_a_version_that_names_another_commit_than_its_run(self, mlflow_server: str, model: str) -> None:
        MlflowClient(mlflow_server).set_model_version_tag(model, "1", "mlgate.commit", "a" * 40)
        assert f"has two commits of version 1 of {model}: aaaaaaaaaaaa" in refused(f"{model}/1", at(mlflow_server))

    def test_two_digests(self, mlflow_server: str, model: str) -> None:
        MlflowClient(mlflow_server).set_model_version_tag(model, "1", "mlgate.model_digest", "d" * 32)
        assert f"has two digests of version 1 of {model}" in refused(f"{model}/1", at(mlflow_server))

    @pytest.mark.parametrize("commit", ["c0ffee", "main", "$(reboot)", "C0FFEE" + "0" * 34, "--upload-pack=x"])
    def test_what_is_no_whole_commit_id(self, mlflow_server: str, model: str, commit: str) -> None:
        client = MlflowClient(mlflow_server)
        client.create_model_version(model, source="s3://b/m", tags={"mlgate.commit": commit})
        assert "which is no whole commit id" in refused(f"{model}/2", at(mlflow_server))

    def test_a_run_that_was_removed_for_good(self, mlflow_server: str, model: str) -> None:
        def gone(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Answer | str:
            body = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no run"}).encode()
            return (404, {}, body) if "/runs/get?" in path else "pass"

        with in_front_of(mlflow_server, gone) as door:
            assert "its run was removed" in refused(f"{model}/1", at(door.address))


class TestUnreachable:
    """None of this is "no champion yet"."""

    def test_a_server_that_is_down(self) -> None:
        said = refused("visits@champion", at("http://127.0.0.1:9"))
        assert said == "the champion is unreachable: MLflow at http://127.0.0.1:9 cannot be reached."

    @pytest.mark.parametrize("status", [404, 403, 500, 502, 302])
    def test_a_proxy_that_answers_instead(self, mlflow_server: str, model: str, status: int) -> None:
        """Its 404 is not MLflow's word that there is no such alias."""

        def between(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Answer | str:
            return (status, {"Content-Type": "text/html"}, b"<h1>Not Found</h1>") if "/alias" in path else "pass"

        with in_front_of(mlflow_server, between) as door:
            assert "the champion is unreachable: MLflow at" in refused(f"{model}@production", at(door.address))

    @pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"{}", b'{"registered_model": {}}', b"[]"])
    def test_a_login_page(self, body: bytes) -> None:
        with Door(always(200, body)) as door:
            assert "the champion is unreachable" in refused("visits@champion", at(door.address))

    def test_json_without_mlflows_word_for_it(self) -> None:
        """GitLab, for a token that may not see the project."""
        with Door(always(404, b'{"message": "404 Project Not Found"}')) as door:
            said = refused("visits@champion", at(f"{door.address}/api/v4/projects/42/ml/mlflow"))
        assert said.startswith("the champion is unreachable: GitLab's MLflow endpoint at")
        assert "(404)" in said

    def test_an_address_that_is_refused(self) -> None:
        assert "Databricks is not supported" in refused("visits@champion", at("databricks"))


class TestSignIn:
    def test_with_the_password(self, locked_server: str) -> None:
        store = at(locked_server, MLFLOW_TRACKING_USERNAME="admin", MLFLOW_TRACKING_PASSWORD="Correct-Horse-1")
        assert "has no registered model `nobody`" in refused("nobody@champion", store)

    def test_a_wrong_one_is_told_and_not_shown(self, locked_server: str) -> None:
        store = at(locked_server, MLFLOW_TRACKING_USERNAME="admin", MLFLOW_TRACKING_PASSWORD="Wrong-Horse-1")
        said = refused("visits@champion", store)
        assert "refused the credentials (401)" in said
        assert "Wrong-Horse" not in said

    def test_a_token_is_sent_and_not_shown(self) -> None:
        body = b'{"error_code": "PERMISSION_DENIED", "message": "no: s3cret-Token"}'
        with Door(always(403, body)) as door:
            said = refused("visits@champion", at(door.address, MLFLOW_TRACKING_TOKEN="s3cret-Token"))
            assert {headers.get("Authorization") for _, _, headers, _ in door.seen} == {"Bearer s3cret-Token"}
        assert "s3cret-Token" not in said
        assert "the champion is unreachable" in said


class TestGitLab:
    """Its endpoint answers as MLflow does, with versions that come from candidates."""

    def answer(self, _method: str, path: str, headers: Mapping[str, str], _body: bytes) -> Answer:
        if headers.get("Authorization") != "Bearer glpat-x":
            return 401, {}, b'{"message": "401 Unauthorized"}'
        absent = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST"}).encode()
        version = {"name": "visits", "version": "3", "run_id": "r1", "status": "READY", "tags": []}
        run = {"info": {"run_id": "r1"}, "data": {"tags": [{"key": "mlgate.commit", "value": COMMIT}]}}
        answers = {
            "registered-models/get": {"registered_model": {"name": "visits"}},
            "model-versions/get": {"model_version": version},
            "registered-models/alias": {"model_version": version} if "alias=champion" in path else None,
            "runs/get": {"run": run},
        }
        found = answers.get(path.partition("/api/2.0/mlflow/")[2].partition("?")[0])
        return (200, {}, json.dumps(found).encode()) if found else (404, {}, absent)

    def test_a_version_leads_to_its_candidate(self) -> None:
        with Door(self.answer) as door:
            store = at(f"{door.address}/api/v4/projects/42/ml/mlflow", MLFLOW_TRACKING_TOKEN="glpat-x")
            assert asked("visits/3", store) == Registered("3", COMMIT)
            assert asked("visits@champion", store) == Registered("3", COMMIT)
            assert asked("visits@production", store) is None
            bad = at(f"{door.address}/api/v4/projects/42/ml/mlflow", MLFLOW_TRACKING_TOKEN="glpat-wrong")
            assert "refused the credentials (401)" in refused("visits/3", bad)


class TestSqlite:
    @pytest.mark.filterwarnings("ignore:The ``noload``")  # MLflow's own, where this test makes the registry
    def test_a_file_in_the_working_folder(self, training: Training) -> None:
        store = at("sqlite:///mlflow.db")
        run = log(training, store).run_id
        client = MlflowClient(f"sqlite:///{training.folder}/mlflow.db")
        client.create_registered_model("visits")
        client.create_model_version("visits", source=f"runs:/{run}/model", run_id=run)
        client.set_registered_model_alias("visits", "champion", "1")
        assert asked("visits@champion", store, training.folder) == Registered("1", COMMIT, "sha256:" + "ab" * 32)
        assert asked("visits@production", store, training.folder) is None
        assert "has no registered model" in refused("other@champion", store, training.folder)

    def test_one_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        assert "There is no file mlflow.db" in refused("visits@champion", at("sqlite:///mlflow.db"), tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_one_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / "mlflow.db").write_text("hello " * 1000)
        said = refused("visits@champion", at("sqlite:///mlflow.db"), tmp_path)
        assert said.startswith("the champion is unreachable: MLflow at sqlite:///mlflow.db is no sqlite database")
