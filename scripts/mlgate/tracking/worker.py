"""The only module that touches MLflow: a process of its own, with orders in a file and what it did in another.

Credentials are in its environment. Steps go from what matters most to what is largest, and after each one the state is
written, so that a worker that is stopped leaves word of what is there. It imports no project code and loads no model.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

KEY, COMPLETE = "mlgate.key", "mlgate.complete"
_FIRST = 15  # seconds for the first answer; a server that is up has one by then
_LATER = 120  # for those that take an upload
_PAGES = 20  # of 1,000 runs, where a store cannot search by tag


class StopError(Exception):
    """Logging ends here, for a reason that needs no exception's text."""


class Worker:
    """One run being logged. Types of MLflow are `Any` here: its client is made by the installed version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.orders: dict[str, Any] = json.loads((folder / "orders.json").read_bytes())
        self.kind: str = self.orders["kind"]
        self.state: dict[str, Any] = {"left_out": []}
        self.status = 0  # of the last answer
        self.client: Any = None
        self.run: Any = None
        self.model_id = ""

    def save(self, **facts: Any) -> None:
        """Writes what is known so far, whole or not at all."""
        self.state.update(facts)
        with (self.folder / "state.tmp").open("w", encoding="utf-8") as file:
            json.dump(self.state, file)
        os.replace(self.folder / "state.tmp", self.folder / "state.json")

    def leave_out(self, note: str) -> None:
        self.save(left_out=[*self.state["left_out"], note])

    def work(self) -> None:
        """Everything, in order. Raises whatever MLflow raises."""
        patience = float(self.orders["patience"])
        if self.kind == "sqlite":
            folder = Path(self.orders["artifacts"]).parent
            folder.mkdir(parents=True, exist_ok=True)
            self._lock(folder)
        self._wait(min(_FIRST, patience / 4))
        self.client = self._connect()
        experiment = self._experiment()
        self._wait(min(_LATER, patience / 2))
        done = self._find_or_create(experiment)
        if not done:
            self._describe()
            self._upload()
            self._model()
            self._finish()
        read = self.client.get_run(self.run.info.run_id)
        self.save(metrics={key: float(value) for key, value in read.data.metrics.items()}, again=done)

    @staticmethod
    def _lock(folder: Path) -> None:
        """Two that make the same database would break each other. The lock ends with this process."""
        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)

    @staticmethod
    def _wait(seconds: float) -> None:
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, int(seconds)))

    def _connect(self) -> Any:
        import requests  # noqa: PLC0415
        from mlflow import MlflowClient  # noqa: PLC0415

        send = requests.Session.send

        def watched(session: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            # Exceptions of MLflow do not say what the HTTP status was.
            self.status = 0
            response = send(session, request, **kwargs)
            self.status = response.status_code
            return response

        requests.Session.send = watched  # type: ignore[method-assign, assignment]
        return MlflowClient(tracking_uri=self.orders["uri"])

    def _experiment(self) -> Any:
        name = self.orders["experiment"]
        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = self.orders.get("artifacts")
            if location:
                # The name may hold anything; the folder must not.
                location = Path(location, re.sub(r"[^\w-]+", "-", name)[:80]).as_uri()
            try:
                return self.client.get_experiment(self.client.create_experiment(name, artifact_location=location))
            except Exception as error:
                if "RESOURCE_ALREADY_EXISTS" not in str(error):
                    raise
                found = self.client.get_experiment_by_name(name)  # another job was faster
        if found is None or not found.experiment_id:
            raise StopError(f"{self.orders['at']} answers, but not as MLflow does: is a login page in front of it?")
        if found.lifecycle_stage != "active":
            raise StopError(
                f"The experiment `{name[:100]}` ({found.experiment_id}) of {self.orders['at']} was deleted: "
                "restore it, or name another one in train.experiment."
            )
        return found

    def _find_or_create(self, experiment: Any) -> bool:
        """Whether the run is there already, and whole."""
        self.run = self._find(experiment.experiment_id)
        if self.run is None:
            self.run = self.client.create_run(
                experiment.experiment_id,
                start_time=int(time.time() * 1000),
                tags={KEY: self.orders["key"], "mlflow.user": "mlgate"},
                run_name=self.orders["run_name"],
            )
        self.save(run_id=self.run.info.run_id, experiment_id=self.run.info.experiment_id)
        if self.kind == "gitlab":
            self.save(url=self._candidate())
        outputs = getattr(getattr(self.run, "outputs", None), "model_outputs", None) or []
        if outputs:
            self.model_id = outputs[0].model_id
            self.save(model_uri=f"models:/{self.model_id}")
        return bool(self.run.data.tags.get(COMPLETE) == "true")

    def _find(self, experiment: str) -> Any:
        """The run with this key; of several, one that is whole."""
        key = self.orders["key"]
        if self.kind != "gitlab":
            found = list(self.client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=20))
        else:
            # GitLab searches by no tag: its runs are looked through, newest first.
            found = [run for run in self._runs(experiment) if run.data.tags.get(KEY) == key][:20]
        return next((run for run in found if run.data.tags.get(COMPLETE) == "true"), found[0] if found else None)

    def _runs(self, experiment: str) -> Iterator[Any]:
        token = None
        for _ in range(_PAGES):
            page = self.client.search_runs([experiment], max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token or not len(page):
                return

    def _describe(self) -> None:
        """Numbers first: they are small, and they are what a run is for."""
        from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415

        run_id, orders = self.run.info.run_id, self.orders
        self._new_model()
        there = self.run.data
        params = [Param(k, v) for k, v in orders["params"].items() if k not in there.params]
        tags = [RunTag(k, v) for k, v in orders["tags"].items() if k not in there.tags]
        now = int(time.time() * 1000)
        model = {"model_id": self.model_id} if self.model_id else {}
        metrics = [Metric(k, v, now, 0, **model) for k, v in orders["metrics"].items() if there.metrics.get(k) != v]
        for some in _batches(metrics, 500):
            self.client.log_batch(run_id, metrics=some)
        for some in _batches(params, 100):
            self.client.log_batch(run_id, params=some)
        for some in _batches(tags, 100):
            self.client.log_batch(run_id, tags=some)
        self._datasets()

    def _datasets(self) -> None:
        if not self.orders["datasets"]:
            return
        if self.kind == "gitlab":
            self.leave_out("GitLab has no dataset inputs: the digests are in the run's metadata only.")
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415

        inputs = [
            DatasetInput(
                Dataset(d["name"], d["digest"], "local", d["source"], d["schema"], d["profile"]),
                [InputTag("mlflow.data.context", d["context"])],
            )
            for d in self.orders["datasets"]
        ]
        self._try("dataset inputs", lambda: self.client.log_inputs(self.run.info.run_id, inputs))

    def _try(self, what: str, step: Callable[[], Any]) -> bool:
        """A step that a store may not know. What it refuses is named; what it does not answer ends the logging."""
        try:
            step()
        except Exception as error:
            if (self.status in (0, 401, 429) or self.status >= 500) and not isinstance(error, ImportError):
                raise
            why = f" ({self.status})" if self.status in (404, 405, 501) else f": {_words(error, self.status)}"
            self.leave_out(f"{self.orders['at']} does not take {what}{why}.")
            return False
        return True

    def _new_model(self) -> None:
        """A logged model, where the store has such and the model is one of MLflow's."""
        model = self.orders["model"]
        if not model or not model["mlflow"] or self.model_id:
            return
        if self.kind == "gitlab":
            self.leave_out("GitLab has no logged models: the model's files are among the run's artifacts.")
            return

        def create() -> None:
            made = self.client.create_logged_model(
                self.run.info.experiment_id,
                name=self.orders["model_name"],
                source_run_id=self.run.info.run_id,
                tags={KEY: self.orders["key"]},
            )
            self.model_id = made.model_id
            from mlflow.entities import LoggedModelOutput  # noqa: PLC0415

            self.client.log_outputs(self.run.info.run_id, [LoggedModelOutput(made.model_id, 0)])
            self.save(model_uri=f"models:/{made.model_id}")

        self._try("logged models", create)

    def _upload(self) -> None:
        """Metrics files, plots and the like, each where it lies in the repository."""
        uploads = self.orders["uploads"]
        if not uploads or not self._takes_files(self.run.info.artifact_uri, "files"):
            return
        taken: set[str] = set()
        for upload in uploads:
            file, to = Path(upload["file"]), upload["to"]
            path = "/".join(part for part in (to, file.name) if part)
            if not self._put(file, to, path):
                break
            taken.add(path)
        if len(taken) < len(uploads):
            self.leave_out(f"{len(uploads) - len(taken)} of {len(uploads)} files were not logged.")

    def _put(self, file: Path, to: str, path: str) -> bool:
        return self._try(
            f"the file `{path}`", lambda: self.client.log_artifact(self.run.info.run_id, str(file), to or None)
        )

    def _model(self) -> None:
        model = self.orders["model"]
        if not model:
            return
        if self.model_id:
            made = self.client.get_logged_model(self.model_id)
            if self._takes_files(made.artifact_location, "the model"):
                self.client.log_model_artifacts(self.model_id, model["folder"])
                self.client.finalize_logged_model(self.model_id, "READY")
            return
        if not self._takes_files(self.run.info.artifact_uri, "the model"):
            return
        # GitLab loads a model from the top of a run's artifacts, and takes no folders in older versions.
        top = "" if self.kind == "gitlab" else "model"
        folder = Path(model["folder"])
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            below = file.relative_to(folder).parent.as_posix()
            to = "/".join(part for part in (top, "" if below == "." else below) if part)
            self._put(file, to, "/".join(part for part in (to, file.name) if part))

    def _takes_files(self, where: str, what: str) -> bool:
        """Whether files sent to this place go into the store, and nowhere else."""
        parts = urllib.parse.urlsplit(where)
        own = urllib.parse.urlsplit(self.orders["uri"])
        if self.kind == "sqlite":
            path = Path(urllib.parse.unquote(parts.path))
            if parts.scheme in ("", "file") and path.resolve().is_relative_to(self.orders["root"]):
                return True
            why = "outside the working folder"
        elif parts.scheme == "mlflow-artifacts" and not parts.netloc:
            return True
        elif parts.scheme in ("http", "https", "mlflow-artifacts"):
            if _origin(parts, own.scheme) == _origin(own):
                return True
            why = f"on another host, {parts.hostname}, which is not to see the token"
        elif parts.scheme in ("", "file"):
            # MLflow's client would write them to that path of this very machine, and call it done.
            why = "in a folder of its own and takes no uploads (`mlflow server --serve-artifacts` does)"
        else:
            why = f"in {parts.scheme}: storage and takes no uploads itself (`mlflow server --serve-artifacts` does)"
        self.leave_out(f"Of {what}, nothing was uploaded: {self.orders['at']} keeps them {why}.")
        return False

    def _finish(self) -> None:
        run_id = self.run.info.run_id
        if self.run.data.tags.get(COMPLETE) != "true":
            self.client.set_tag(run_id, COMPLETE, "true")
        self.client.set_terminated(run_id, "FINISHED")

    def _candidate(self) -> str:
        """The run's page in GitLab; failing that, the project's."""
        root, project = self.orders["gitlab"]
        home = f"{root}/{project}" if not project.isdigit() else ""
        if not home:
            home = f"{root}/projects/{project}"  # GitLab leads from there to the project
            with suppress(Exception):
                # With its own proxies and certificates; the functions have no types.
                credentials: Any = import_module("mlflow.utils.credentials")
                rest: Any = import_module("mlflow.utils.rest_utils")
                host = credentials.get_default_host_creds(root)
                answer = rest.http_request(host, f"/api/v4/projects/{project}", "GET", max_retries=0)
                address = answer.json()["web_url"] if answer.status_code == 200 else ""
                if urllib.parse.urlsplit(address).hostname == urllib.parse.urlsplit(root).hostname:
                    home = address
        if home.startswith(f"{root}/projects/"):
            return home
        place = urllib.parse.unquote(self.run.info.artifact_uri or "")
        number = re.search(r"candidate:(\d+)(?:/|$)|/ml_experiment_\d+/(\d+)(?:/|$)", place)
        if number:
            return f"{home}/-/ml/candidates/{number[1] or number[2]}"
        return f"{home}/-/ml/experiments/{self.run.info.experiment_id}"


def _origin(parts: urllib.parse.SplitResult, scheme: str = "") -> tuple[str, str | None, int | None]:
    scheme = scheme if parts.scheme == "mlflow-artifacts" else parts.scheme
    return scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(scheme)


def _batches(entries: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def _words(error: Exception, status: int) -> str:
    said = " ".join(str(error).split())[:200].rstrip(".")
    return f"{said} ({status})" if status >= 400 and str(status) not in said else said


def main(folder: str) -> None:
    """Does what `orders.json` says and leaves `state.json`."""
    finish(Worker(Path(folder)))


def finish(worker: Worker) -> NoReturn:
    """Lets a worker work. Ends at once, whatever threads MLflow has running."""
    try:
        worker.work()
    except StopError as stop:
        worker.save(failure={"sentence": str(stop)})
    except Exception as error:
        worker.save(failure={"said": f"{type(error).__name__}: {error}"[:4000], "status": worker.status})
    os._exit(0)
