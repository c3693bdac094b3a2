"""`mlgate report`: everything on disk is taken as it comes, and nothing that is wrong with it passes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlgate.commands import _collect, report
from mlgate.commands._collect import collect
from mlgate.commands._run import save
from mlgate.errors import MlgateError
from mlgate.forges import Annotation, Posted, received
from mlgate.forges.none import NoForge
from mlgate.model import Event, Evidence, Verdict
from render import samples


class Forge(NoForge):
    """Remembers what it was told, in order."""

    name = "github"

    def __init__(self, event: Event | None = None) -> None:
        super().__init__()
        self.happened = event or Event(forge="github", kind="pull_request", pull_request=12, head_sha="a" * 40)
        self.told: list[tuple[str, Any]] = []
        self.outputs: dict[str, str] = {}
        self.posted = Posted(url="https://forge.example/c/1", did="created")

    def _read_event(self) -> Event:
        return self.happened

    def set_outputs(self, outputs: Mapping[str, str]) -> None:
        self.outputs.update(outputs)
        self.told.append(("outputs", dict(outputs)))

    def add_summary(self, markdown: str) -> None:
        self.told.append(("summary", markdown))

    def annotate(self, notes: Sequence[Annotation]) -> None:
        self.told.append(("annotations", list(notes)))

    def status(self, context: str, state: Any, description: str, url: str = "") -> Posted:
        self.told.append(("status", (context, state, description)))
        return Posted(said="No token.") if self.posted.said else Posted()

    def comment(self, body: str, **how: Any) -> Posted:
        self.told.append(("comment", (body, how)))
        return self.posted

    def of(self, kind: str) -> list[Any]:
        return [what for key, what in self.told if key == kind]

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith(("GITHUB_", "CI_", "GITLAB_", "MLGATE_"))]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def forge(monkeypatch: pytest.MonkeyPatch) -> Forge:
    made = Forge()
    monkeypatch.setattr(report.forges, "detect", lambda _: made)
    return made


def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(report.command, arguments, env=env, standalone_mode=False)
    if result.exception:
        raise result.exception
    assert isinstance(result.return_value, int)
    return result.return_value, result.output


def test_everything_is_written_told_and_posted(here: Path, forge: Forge) -> None:
    save(here / ".mlgate", [samples.failed(), samples.doctor()])
    code, shown = run()
    assert code == 1
    assert "verdict: fail (2 of 2)   report: .mlgate/report.html" in shown
    written = {p.name for p in (here / ".mlgate").iterdir()}
    assert written == {
        ".gitignore",
        "annotations.json",
        "evidence",
        "junit.xml",
        "metrics.txt",
        "mlgate.env",
        "report.html",
        "report.md",
        "summary.md",
    }
    assert (here / ".mlgate/mlgate.env").read_text() == (
        "MLGATE_VERDICT=fail\nMLGATE_PASSED=false\nMLGATE_EXIT_CODE=1\n"
    )
    assert forge.outputs["comment-url"] == "https://forge.example/c/1"
    assert forge.outputs["passed"] == "false"
    body, how = forge.of("comment")[0]
    assert body == (here / ".mlgate/report.md").read_text()
    assert (how["when"], how["header"], how["verdict"]) == ("always", "", Verdict.FAIL)
    assert [kind for kind, _ in forge.told][-3:] == ["status", "comment", "outputs"]
    assert [s[:2] for s in forge.of("status")] == [("mlgate/compare", "failure"), ("mlgate/doctor", "failure")]
    assert forge.of("status")[0][2].startswith("fail: `log_loss` is 3.1 % worse")


def test_options_come_from_the_environment(here: Path, forge: Forge) -> None:
    save(here / ".mlgate", [samples.passed()])
    env = {
        "MLGATE_COMMENT": "on-failure",
        "MLGATE_COMMENT_HEADER": "nightly",
        "MLGATE_STATUSES": "true",
        "MLGATE_SUMMARY": "false",
        "MLGATE_CONFIG": "models/*/mlgate.yaml",
    }
    assert run(env=env)[0] == 0
    assert forge.of("comment")[0][1]["when"] == "on-failure"
    assert forge.of("comment")[0][1]["header"] == "nightly"
    assert forge.of("status")[0][0] == "mlgate/compare (nightly)"
    assert not forge.of("summary")
    assert not forge.of("annotations")
    assert not [1 for kind, _ in run_without_statuses(here, forge) if kind == "status"]


def run_without_statuses(here: Path, forge: Forge) -> list[tuple[str, Any]]:
    forge.told.clear()
    run("--statuses", "false")
    return forge.told


def test_empty_variables_are_not_given(here: Path, forge: Forge) -> None:
    save(here / ".mlgate", [samples.passed()])
    names = ("COMMENT", "COMMENT_HEADER", "STATUSES", "SUMMARY", "CONFIG", "RUN_RESULT", "FROM_FORK")
    assert run(env={f"MLGATE_{name}": "" for name in names})[0] == 0
    assert forge.of("comment")[0][1]["when"] == "always"
    assert forge.of("status")


def test_nothing_at_all_is_an_error(here: Path, forge: Forge) -> None:
    code, shown = run()
    assert code == 2
    assert "There is no evidence in .mlgate/evidence" in shown
    assert forge.outputs["verdict"] == "error"
    assert forge.of("comment")
    assert (here / ".mlgate/report.html").exists()


def test_the_exit_code_is_that_of_the_worst(here: Path, forge: Forge) -> None:
    save(here / ".mlgate", [samples.passed(), samples.inconclusive().model_copy(update={"model": "b"})])
    assert run()[0] == 3
    save(here / ".mlgate", [samples.broken().model_copy(update={"model": "c"})])
    assert run()[0] == 2


def test_report_mode_ends_well_and_its_status_says_so(here: Path, forge: Forge) -> None:
    save(here / ".mlgate", [samples.failed().model_copy(update={"mode": "report"})])
    assert run()[0] == 0
    assert forge.outputs["passed"] == "true"
    assert forge.outputs["verdict"] == "fail"
    context, state, said = forge.of("status")[0]
    assert (context, state) == ("mlgate/compare", "success")
    assert said.startswith("fail (blocks nothing): ")


def test_an_error_has_a_status_of_its_own_kind(here: Path, forge: Forge) -> None:
    save(here / ".mlgate", [samples.broken()])
    run()
    assert forge.of("status")[0][1] == "error"


def test_what_cannot_be_posted_is_said_once_and_changes_nothing(here: Path, forge: Forge) -> None:
    forge.posted = Posted(said="No token.")
    save(here / ".mlgate", [samples.passed(), samples.doctor()])
    code, shown = run()
    assert code == 1
    assert shown.count("note: No token.") == 1
    assert forge.of("summary")[-1] == "- No token.\n"
    assert forge.outputs["comment-url"] == ""


@pytest.mark.parametrize("result", ["failure", "cancelled", "skipped"])
def test_a_run_job_that_ended_badly_is_an_error_of_its_own(here: Path, forge: Forge, result: str) -> None:
    save(here / ".mlgate", [samples.passed()])
    code, _ = run(env={"MLGATE_RUN_RESULT": result})
    assert code == 2
    body = forge.of("comment")[0][0]
    assert f"> **doctor-visits: error.** run: The run job ended as `{result}`: its evidence may be missing" in body
    assert run(env={"MLGATE_RUN_RESULT": "success"})[0] == 0


def test_a_run_job_that_ended_badly_blocks_nothing_in_report_mode(here: Path, forge: Forge) -> None:
    save(here / ".mlgate", [samples.passed().model_copy(update={"mode": "report"})])
    assert run(env={"MLGATE_RUN_RESULT": "failure"})[0] == 0
    assert forge.outputs["verdict"] == "error"


def test_from_a_fork_only_summary_and_comment(here: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    marked = samples.failed().model_copy(update={"source": samples.source(reported_by_fork=True)})
    monkeypatch.setattr(received, "fetch", lambda *_: [marked])
    assert run(env={"MLGATE_FROM_FORK": "true"})[0] == 0
    assert {kind for kind, _ in forge.told} == {"outputs", "summary", "comment"}
    assert "fail, as reported by the fork’s own run" in forge.of("comment")[0][0].split("\n")[1]
    assert forge.outputs["verdict"] == "fail"


def test_what_a_fork_handed_over_and_is_refused_posts_nothing(
    here: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[Evidence]:
        raise MlgateError("The artifact is too large.")

    monkeypatch.setattr(received, "fetch", refuse)
    with pytest.raises(MlgateError, match="too large"):
        run("--from-fork", "true")
    assert forge.told == []


def test_a_full_disk_is_one_sentence(here: Path, forge: Forge) -> None:
    save(here / ".mlgate", [samples.passed()])
    (here / ".mlgate/report.html").mkdir()
    with pytest.raises(MlgateError, match=r"cannot write .*report\.html"):
        run()


def test_a_working_directory_that_is_not_there(here: Path, forge: Forge) -> None:
    with pytest.raises(MlgateError, match="does not exist"):
        run("--working-directory", "nowhere")


# -- evidence on disk


def put(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_evidence_is_read_in_order(tmp_path: Path) -> None:
    put(tmp_path, "b/compare.json", samples.failed().model_copy(update={"model": "b"}).to_json())
    put(tmp_path, "a/doctor.json", samples.doctor().model_copy(update={"model": "a"}).to_json())
    put(tmp_path, "a/notes.txt", "not evidence")
    assert [(e.model, e.kind, e.verdict) for e in collect(tmp_path)] == [
        ("a", "doctor", Verdict.FAIL),
        ("b", "compare", Verdict.FAIL),
    ]
    assert collect(tmp_path / "nowhere") == []


PASSED = samples.passed()
FUTURE = PASSED.to_json().replace('"schema": 1', '"schema": 2')


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("doctor-visits/compare.json", "{", "is not evidence of schema 1"),
        ("doctor-visits/compare.json", "", "is not evidence of schema 1"),
        ("doctor-visits/compare.json", b"\x80\xff\x00", "is not evidence of schema 1"),
        ("doctor-visits/compare.json", "[" * 100_000, "is not evidence of schema 1"),
        ("doctor-visits/compare.json", '{"verdict": "pass"}', "is not evidence of schema 1"),
        ("doctor-visits/compare.json", FUTURE, "is not evidence of schema 1 (schema"),
        ("doctor-visits/compare.json", PASSED.to_json().replace("0.7222", "NaN"), "is not evidence of schema 1"),
        ("doctor-visits/doctor.json", PASSED.to_json(), "speaks of another model or verb than its path does"),
        ("other/compare.json", PASSED.to_json(), "speaks of another model or verb than its path does"),
        ("deep/doctor-visits/compare.json", PASSED.to_json(), "speaks of another model or verb than its path does"),
        ("compare.json", PASSED.to_json(), "speaks of another model or verb than its path does"),
        ("a b/c d.json", PASSED.model_copy(update={"model": "a b", "kind": "c d"}).to_json(), "is named like no model"),
    ],
)
def test_what_is_no_evidence_is_an_error_that_names_the_file(
    tmp_path: Path, name: str, text: str | bytes, said: str
) -> None:
    folder = tmp_path / ".mlgate" / "evidence"
    put(folder, name, text)
    (found,) = collect(folder)
    assert found.verdict is Verdict.ERROR
    assert f"`.mlgate/evidence/{name}` {said}" in found.title
    assert found.exit_code == 2


def test_links_are_named_and_not_followed(tmp_path: Path) -> None:
    real = put(tmp_path, "elsewhere/compare.json", PASSED.to_json())
    folder = tmp_path / "evidence"
    (folder / "doctor-visits").mkdir(parents=True)
    (folder / "doctor-visits/compare.json").symlink_to(real)
    (folder / "linked").symlink_to(real.parent)
    found = collect(folder)
    assert [e.verdict for e in found] == [Verdict.ERROR] * 2
    assert all("is a symbolic link" in e.title for e in found)
    whole = tmp_path / "whole"
    whole.symlink_to(folder)
    assert [e.verdict for e in collect(whole)] == [Verdict.ERROR]


def test_a_pipe_or_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    os.mkfifo(tmp_path / "m/compare.json")
    (tmp_path / "m/doctor.json").mkdir()
    found = collect(tmp_path)
    assert [e.verdict for e in found] == [Verdict.ERROR] * 2


def test_sizes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_collect, "FILE_LIMIT", 5_000_000)
    big = json.loads(PASSED.to_json()) | {"not_run": ["x" * 5_000_000]}
    put(tmp_path, "doctor-visits/compare.json", json.dumps(big))
    (found,) = collect(tmp_path)
    assert found.verdict is Verdict.ERROR
    assert "is larger than 5 MB" in found.title


def test_the_number_of_files_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_collect, "FILES_LIMIT", 3)
    for i in range(5):
        put(tmp_path, f"m{i}/compare.json", PASSED.model_copy(update={"model": f"m{i}"}).to_json())
    found = collect(tmp_path)
    assert [e.verdict for e in found] == [Verdict.PASS] * 3 + [Verdict.ERROR]
    assert "is one more than the 3 evidence files that are read" in found[-1].title


def test_all_files_together_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(PASSED.to_json())
    monkeypatch.setattr(_collect, "TOTAL_LIMIT", size + size // 2)
    for i in "ab":
        put(
            tmp_path, f"doctor-visit{i}/compare.json", PASSED.model_copy(update={"model": f"doctor-visit{i}"}).to_json()
        )
    assert [e.verdict for e in collect(tmp_path)] == [Verdict.PASS, Verdict.ERROR]
