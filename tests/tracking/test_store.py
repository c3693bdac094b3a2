"""Which stores there are, what opens them, and which are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlgate.tracking import Store, Training, log
from mlgate.tracking.store import Kind


def of(uri: str, **environ: str) -> Store:
    store = Store.of(environ, uri)
    assert store is not None
    return store


def test_nothing_is_logged_unless_an_address_is_given() -> None:
    assert Store.of({}) is None
    assert Store.of({"MLFLOW_TRACKING_URI": "  ", "MLFLOW_TRACKING_TOKEN": "t"}) is None


def test_the_option_comes_before_the_environment() -> None:
    environ = {"MLFLOW_TRACKING_URI": "https://one.example.org", "MLFLOW_TRACKING_TOKEN": "t0ken"}
    assert of("", **environ).uri == "https://one.example.org"
    assert of("https://two.example.org/", **environ).uri == "https://two.example.org"


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("https://mlflow.example.org", "server"),
        ("HTTP://127.0.0.1:5000/prefix/", "server"),
        ("https://gitlab.com/api/v4/projects/42/ml/mlflow", "gitlab"),
        ("https://git.example.org/root/api/v4/projects/team%2Fchurn/ml/mlflow/", "gitlab"),
        ("sqlite:///mlflow.db", "sqlite"),
        ("databricks", "none"),
        ("./mlruns", "none"),
    ],
)
def test_kinds(uri: str, kind: Kind) -> None:
    assert of(uri).kind == kind


def test_an_address_with_user_and_password_is_taken_apart() -> None:
    store = of(
        "https://me%40team:p%3Ass@mlflow.example.org:8443/base/?x=1#/experiments/1", HTTPS_PROXY="http://proxy:1"
    )
    assert (store.uri, store.user, store.password) == ("https://mlflow.example.org:8443/base", "me@team", "p:ss")
    assert store.environment() == {
        "HTTPS_PROXY": "http://proxy:1",
        "MLFLOW_TRACKING_USERNAME": "me@team",
        "MLFLOW_TRACKING_PASSWORD": "p:ss",
    }


def test_no_representation_shows_a_secret() -> None:
    store = of(
        "https://me:hunter2@mlflow.example.org",
        MLFLOW_TRACKING_TOKEN="glpat-0123",
        HTTPS_PROXY="http://proxyuser:proxypass@proxy:3128",
    )
    for text in (repr(store), str(store), store.shown, store.refused(Path()), store.page("1", "2")):
        assert not any(secret in text for secret in ("hunter2", "glpat-0123", "proxypass"))
    assert set(store.secrets) == {"glpat-0123", "hunter2", "me:hunter2", "proxypass"}


def test_the_worker_is_given_nothing_that_it_does_not_need() -> None:
    environ = {
        "MLFLOW_TRACKING_URI": "https://mlflow.example.org",
        "MLFLOW_TRACKING_TOKEN": "t0ken",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca.pem",
        "AWS_SECRET_ACCESS_KEY": "a",
        "GITHUB_TOKEN": "g",
        "no_proxy": "localhost",
        "PYTHONPATH": "/evil",
    }
    assert of("", **environ).environment() == {
        "MLFLOW_TRACKING_TOKEN": "t0ken",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca.pem",
        "no_proxy": "localhost",
    }
    assert of("sqlite:///mlflow.db", **environ).environment() == {}


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("databricks", "Databricks is not supported"),
        ("databricks://profile", "Databricks is not supported"),
        ("databricks-uc", "Databricks is not supported"),
        ("uc:https://x", "Databricks is not supported"),
        ("postgresql+psycopg2://me:hunter2@db/mlflow", "database is what an MLflow server keeps its runs in"),
        ("./mlruns", "plain folders no longer"),
        ("file:///tmp/mlruns", "plain folders no longer"),
        ("s3://bucket/mlruns", "is no kind of MLflow store"),
        ("https://", "is no address"),
        ("https://host:port/", "is no address"),
        ("https://host:99999999/", "is no address"),
        ("https://ho st/", "is no address"),
        ("sqlite://", "needs a file"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///.", "needs a file"),
        ("sqlite:///mlflow.db?mode=ro", "no options"),
        ("sqlite:////tmp/elsewhere.db", "lies outside"),
        ("sqlite:///../elsewhere.db", "lies outside"),
        ("sqlite:///.git/mlflow.db", "lies outside"),
        ("sqlite:///a%00b", "names no file"),
    ],
)
def test_refused(uri: str, why: str, training: Training) -> None:
    logged = log(training, of(uri))
    assert why in logged.problem
    assert "hunter2" not in logged.problem
    assert logged.problem.count(". ") <= 1
    assert logged.problem.endswith(".")
    assert not logged.run_id


def test_a_token_that_is_none_is_not_sent(training: Training) -> None:
    logged = log(training, of("https://mlflow.example.org", MLFLOW_TRACKING_TOKEN="glpat-1\nglpat-2"))
    assert logged.problem == "MLFLOW_TRACKING_TOKEN holds a space or a line break, so it is no token."


def test_a_link_out_of_the_repository_is_no_sqlite_store(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "runs").symlink_to(tmp_path)
    assert "lies outside" in of("sqlite:///runs/mlflow.db").refused(root)
    assert of("sqlite:///sub/mlflow.db").refused(root) == ""
    assert of(f"sqlite:///{root}/mlflow.db").refused(root) == ""


def test_only_the_workers_import_mlflow() -> None:
    import mlgate.tracking  # noqa: PLC0415

    folder = Path(os.fspath(mlgate.tracking.__file__)).parent
    users = {
        p.name for p in folder.glob("*.py") if "import mlflow" in (t := p.read_text("utf-8")) or "from mlflow" in t
    }
    assert users == {"worker.py", "registering_worker.py"}
