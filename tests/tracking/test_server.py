"""A whole training in a real MLflow server, read back with MLflow's own client."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.models import Model

from mlgate.tracking import Store, Training, log
from tracking.servers import Answer, in_front_of


def at(uri: str, **environ: str) -> Store:
    store = Store.of(environ, uri)
    assert store is not None
    return store


def files_of(client: MlflowClient, run: str, path: str = "") -> list[str]:
    found = client.list_artifacts(run, path or None)
    return [f for i in found for f in (files_of(client, run, i.path) if i.is_dir else [i.path])]


def text_of(client: MlflowClient, run: str, path: str, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    return Path(client.download_artifacts(run, path, str(folder))).read_text("utf-8")


def test_a_whole_training_as_one_run(mlflow_server: str, training: Training, tmp_path: Path) -> None:
    logged = log(training, at(mlflow_server))

    assert logged.problem == ""
    assert logged.left_out == ("The input example is without the private column `ssn`.",)
    assert not logged.again
    # The very numbers, to the last bit.
    assert logged.metrics == {"auc": 0.1 + 0.2, "slices.eu.f1": 1 / 3, "tiny": 5e-324, "huge": 1.7e308, "n": 6097.0}

    client = MlflowClient(mlflow_server)
    run = client.get_run(logged.run_id)
    assert logged.url == f"{mlflow_server}/#/experiments/{run.info.experiment_id}/runs/{logged.run_id}"
    assert run.data.metrics == logged.metrics
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "churn-c0ffee0"
    assert client.get_experiment(run.info.experiment_id).name == training.experiment
    assert run.data.params == {
        "train.depth": "7",
        "train.rate": "0.1",
        "train.features": '["age", "plan"]',
        "seed": "null",
    }
    assert {
        "mlgate.commit": training.commit,
        "mlflow.source.git.commit": training.commit,
        "mlgate.branch": "better-features",
        "mlgate.run_url": "https://ci.example.org/runs/1",
        "mlgate.model_digest": training.model_digest,
        "mlgate.dvc.data/train.csv": "d41d8cd98f00b204e9800998ecf8427e",
        "mlgate.dataset.train": "sha256:" + "cd" * 32,
        "mlgate.environment.python": "3.12.1",
        "mlgate.environment.seconds": "12.5",
        "team": "growth",
    }.items() <= run.data.tags.items()
    datasets = {entry.dataset.name: entry for entry in run.inputs.dataset_inputs}
    assert datasets["train"].dataset.digest == "cd" * 18
    assert json.loads(datasets["train"].dataset.source) == {"uri": "data/train.csv", "digest": "sha256:" + "cd" * 32}
    assert json.loads(datasets["train"].dataset.profile or "") == {"num_rows": 10_000}
    assert "age" in (datasets["train"].dataset.schema or "")
    assert datasets["test"].dataset.digest == "ef" * 16
    assert [tag.value for tag in datasets["test"].tags] == ["evaluation"]
    assert sorted(files_of(client, logged.run_id)) == [
        "metrics.json",
        "model/input_example.json",
        "model/model.joblib",
        "model/signature.json",
        "plots/roc.csv",
    ]
    example = json.loads(text_of(client, logged.run_id, "model/input_example.json", tmp_path / "down"))
    assert example == {"columns": ["age", "plan"], "data": [[31, "gold"], [54, None]]}


def test_logging_again_gives_the_same_run(mlflow_server: str, training: Training) -> None:
    first = log(training, at(mlflow_server))
    second = log(training, at(mlflow_server))
    other = log(replace(training, commit="d" * 40), at(mlflow_server))
    assert (first.again, second.again, other.again) == (False, True, False)
    assert second.run_id == first.run_id
    assert second.metrics == first.metrics
    assert other.run_id != first.run_id
    client = MlflowClient(mlflow_server)
    experiment = client.get_experiment_by_name(training.experiment)
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_a_run_that_holds_other_numbers_is_a_problem(mlflow_server: str, training: Training) -> None:
    log(training, at(mlflow_server))
    logged = log(replace(training, metrics={**training.metrics, "auc": 0.3}), at(mlflow_server))
    assert logged.problem == f"MLflow at {mlflow_server} has 0.30000000000000004 for `auc`, where 0.3 was sent."
    missing = log(replace(training, metrics={**training.metrics, "extra": 1.0}), at(mlflow_server))
    assert missing.problem == f"MLflow at {mlflow_server} did not keep the metric `extra`, which is 1.0."


def test_an_mlflow_model_without_a_signature_gets_one_and_is_never_loaded(
    mlflow_server: str, training: Training, tmp_path: Path
) -> None:
    folder = training.folder / "model"
    (folder / "data").mkdir(parents=True)
    proof = tmp_path / "loaded"
    # A pickle that tells when it is loaded.
    (folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch " + os.fsencode(proof) + b"'\ntR.")
    (folder / "data" / "weights.bin").write_bytes(b"\0" * 1000)
    flavor = {"loader_module": "mlflow.sklearn", "model_path": "model.pkl"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": flavor}}), "utf-8")

    logged = log(replace(training, artifact=Path("model"), artifacts=()), at(mlflow_server))

    assert logged.problem == ""
    client = MlflowClient(mlflow_server)
    model = client.get_logged_model(logged.model_uri.removeprefix("models:/"))
    assert (model.name, str(model.status), model.source_run_id) == ("churn", "READY", logged.run_id)
    assert {m.key: m.value for m in model.metrics or []} == logged.metrics
    outputs = client.get_run(logged.run_id).outputs
    assert outputs is not None
    assert [output.model_id for output in outputs.model_outputs] == [model.model_id]
    read = Model.load(_downloaded(client, model))
    assert read.signature is not None
    assert read.signature.inputs.input_names() == ["age", "plan", "ssn"]
    assert read.flavors == {"python_function": flavor}
    assert (folder / "MLmodel").read_text("utf-8").count("signature") == 0
    assert not proof.exists()


def _downloaded(client: MlflowClient, model: Any) -> str:
    import mlflow  # noqa: PLC0415

    folder = mlflow.artifacts.download_artifacts(model.artifact_location, tracking_uri=client.tracking_uri)
    assert Path(folder, "data", "weights.bin").stat().st_size == 1000
    assert Path(folder, "input_example.json").exists()
    return str(folder)


def test_huge_parameters_are_cut_by_name_and_kept_in_a_file(
    mlflow_server: str, training: Training, tmp_path: Path
) -> None:
    params = {"prompt": "x" * 20_000, "many": {str(i): i for i in range(1_200)}}
    logged = log(replace(training, params=params, artifact=None, artifacts=()), at(mlflow_server))
    assert logged.problem == ""
    assert logged.left_out[0] == "parameter `prompt` was cut to 6,000 characters; parameters.json has all of it."
    assert "201 parameters beyond the first 1,000 were left out" in logged.left_out[1]
    client = MlflowClient(mlflow_server)
    assert len(client.get_run(logged.run_id).data.params) == 1_000
    assert json.loads(text_of(client, logged.run_id, "parameters.json", tmp_path / "down")) == params


def test_a_deleted_experiment_is_named(mlflow_server: str, training: Training) -> None:
    client = MlflowClient(mlflow_server)
    number = client.create_experiment(training.experiment)
    client.delete_experiment(number)
    logged = log(training, at(mlflow_server))
    assert logged.problem == (
        f"The experiment `{training.experiment}` ({number}) of MLflow at {mlflow_server} was deleted: "
        "restore it, or name another one in train.experiment."
    )


def test_what_is_not_there_is_named(mlflow_server: str, training: Training) -> None:
    logged = log(replace(training, artifact=Path("gone.pkl"), artifacts=(Path("gone.png"),)), at(mlflow_server))
    assert logged.problem == ""
    assert logged.left_out == (
        "`gone.png` is not there, or empty, so it was not logged.",
        "`gone.pkl` is not there, so no model was logged.",
    )


def test_a_server_that_goes_away_halfway_is_finished_by_the_next_call(mlflow_server: str, training: Training) -> None:
    def until_files(method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Answer | str:
        return None if method == "PUT" else "pass"

    with in_front_of(mlflow_server, until_files) as door:
        broken = log(training, at(door.address))
    assert broken.problem == f"MLflow at {door.address} broke off the connection."
    assert broken.run_id
    assert broken.url.endswith(broken.run_id)
    whole = log(training, at(mlflow_server))
    assert whole.problem == ""
    assert whole.run_id == broken.run_id
    assert not whole.again
    client = MlflowClient(mlflow_server)
    assert client.get_run(whole.run_id).data.metrics == whole.metrics
    assert "model/model.joblib" in files_of(client, whole.run_id)


def test_an_older_server_without_logged_models_takes_the_rest(mlflow_server: str, training: Training) -> None:
    folder = training.folder / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {}, "signature": {"inputs": "[]"}}), "utf-8")

    def older(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Answer | str:
        missing = "logged-models" in path or path.endswith(("log-inputs", "outputs"))
        return (404, {"Content-Type": "text/html"}, b"<h1>Not Found</h1>") if missing else "pass"

    with in_front_of(mlflow_server, older) as door:
        logged = log(replace(training, artifact=Path("model")), at(door.address))
    assert logged.problem == ""
    assert logged.metrics["auc"] == 0.1 + 0.2
    assert logged.left_out[1:] == (
        f"MLflow at {door.address} does not take logged models (404).",
        f"MLflow at {door.address} does not take dataset inputs (404).",
    )
    assert "model/MLmodel" in files_of(MlflowClient(mlflow_server), logged.run_id)


@pytest.mark.parametrize("place", ["file:///srv/mlruns/1", "/srv/mlruns/1", "s3://bucket/1", "https://evil.example/1"])
def test_files_go_into_the_store_or_nowhere(mlflow_server: str, training: Training, place: str) -> None:
    """A server that keeps its artifacts in a folder of its own makes MLflow's client write to that path over here."""

    def elsewhere(method: str, path: str, _headers: Mapping[str, str], body: bytes) -> Answer | str:
        if method == "GET" and "/runs/get?" in path:
            run = client.get_run(path.rsplit("run_id=", 1)[-1].split("&", maxsplit=1)[0]).to_dictionary()
            return _as_sent({**run, "info": {**run["info"], "artifact_uri": place}})
        if path.endswith("/runs/create"):
            given = json.loads(body)
            tags = {tag["key"]: tag["value"] for tag in given["tags"]}
            made = client.create_run(given["experiment_id"], tags=tags, run_name=given["run_name"]).to_dictionary()
            return _as_sent({**made, "info": {**made["info"], "artifact_uri": place}})
        return "pass"

    client = MlflowClient(mlflow_server)
    with in_front_of(mlflow_server, elsewhere) as door:
        logged = log(training, at(door.address, MLFLOW_TRACKING_TOKEN="t0ken"))
    assert logged.problem == ""
    assert len([note for note in logged.left_out if note.startswith("Of ")]) == 2
    assert not Path("/srv/mlruns/1").exists()
    assert logged.metrics["auc"] == 0.1 + 0.2


def _as_sent(run: dict[str, Any]) -> Answer:
    data = run["data"]
    body = {
        "info": run["info"],
        "data": {
            "metrics": [{"key": k, "value": v, "timestamp": 1, "step": 0} for k, v in data["metrics"].items()],
            "params": [{"key": k, "value": v} for k, v in data["params"].items()],
            "tags": [{"key": k, "value": v} for k, v in data["tags"].items()],
        },
    }
    return 200, {}, json.dumps({"run": body}).encode()


class TestSecrets:
    def test_nothing_shows_the_credentials(self, mlflow_server: str, training: Training) -> None:
        seen: set[bytes] = set()
        stop = threading.Event()

        def watch() -> None:
            while not stop.is_set():
                for entry in Path("/proc").iterdir():
                    if entry.name.isdigit():
                        try:
                            seen.add((entry / "cmdline").read_bytes())
                        except OSError:
                            continue
                time.sleep(0.02)

        watcher = threading.Thread(target=watch)
        watcher.start()
        with in_front_of(mlflow_server, lambda *_: "pass") as door:
            host = door.address.removeprefix("http://")
            logged = log(training, at(f"http://me:Hunter2-of-mine@{host}"))
        stop.set()
        watcher.join()
        assert logged.problem == ""
        assert any(b"told['folder']" in line for line in seen), "the worker was seen"
        assert not any(b"Hunter2" in line for line in seen)
        assert "Hunter2" not in repr(logged)
        assert {headers.get("Authorization", "")[:6] for _, _, headers, _ in door.seen} == {"Basic "}
        run = MlflowClient(mlflow_server).get_run(logged.run_id)
        assert "Hunter2" not in repr(run.data)

    def test_the_worker_reads_no_home_of_ours(
        self, mlflow_server: str, training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = tmp_path / "home"
        (home / ".mlflow").mkdir(parents=True)
        (home / ".mlflow" / "credentials").write_text("[mlflow]\nmlflow_tracking_username = a\n", "utf-8")
        (home / ".netrc").write_text("machine 127.0.0.1 login a password b\n", "utf-8")
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "of-the-environment")
        with in_front_of(mlflow_server, lambda *_: "pass") as door:
            logged = log(replace(training, artifact=None), at(door.address))
        assert logged.problem == ""
        assert not any("Authorization" in headers for _, _, headers, _ in door.seen)

    def test_code_in_the_working_folder_is_not_imported(
        self, mlflow_server: str, training: Training, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("mlflow", "json", "sitecustomize"):
            (training.folder / f"{name}.py").write_text("raise SystemExit('imported')\n", "utf-8")
        monkeypatch.chdir(training.folder)
        monkeypatch.setenv("PYTHONPATH", str(training.folder))
        assert log(replace(training, artifact=None), at(mlflow_server)).problem == ""


class TestBasicAuth:
    """MLflow's own sign-in."""

    def test_with_the_password(self, locked_server: str, training: Training) -> None:
        store = at(locked_server, MLFLOW_TRACKING_USERNAME="admin", MLFLOW_TRACKING_PASSWORD="Correct-Horse-1")
        assert log(training, store).problem == ""
        assert log(training, store).again

    def test_with_a_wrong_one(self, locked_server: str, training: Training) -> None:
        store = at(locked_server, MLFLOW_TRACKING_USERNAME="admin", MLFLOW_TRACKING_PASSWORD="Wrong-Horse-1")
        logged = log(training, store)
        assert logged.problem == (
            f"MLflow at {locked_server} refused the credentials (401): look at MLFLOW_TRACKING_TOKEN, "
            "or MLFLOW_TRACKING_USERNAME and _PASSWORD."
        )

    def test_without(self, locked_server: str, training: Training) -> None:
        assert "refused the credentials (401)" in log(training, at(locked_server)).problem


def test_a_private_column_leaves_no_trace_in_an_mlflow_model(
    mlflow_server: str, training: Training, tmp_path: Path
) -> None:
    folder = training.folder / "model"
    folder.mkdir()
    own = {"artifact_path": "input_example.json", "type": "dataframe", "pandas_orient": "split"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {}, "saved_input_example_info": own}), "utf-8")
    (folder / "input_example.json").write_text('{"columns": ["ssn"], "data": [["078-05-1120"]]}', "utf-8")
    logged = log(replace(training, artifact=Path("model"), artifacts=()), at(mlflow_server))
    assert logged.problem == ""
    import mlflow  # noqa: PLC0415

    model = MlflowClient(mlflow_server).get_logged_model(logged.model_uri.removeprefix("models:/"))
    down = mlflow.artifacts.download_artifacts(model.artifact_location, tracking_uri=mlflow_server)
    texts = {path.name: path.read_text("utf-8") for path in Path(down).rglob("*") if path.is_file()}
    assert set(texts) == {"MLmodel", "input_example.json", "serving_input_example.json"}
    assert not any("078-05-1120" in text for text in texts.values())
