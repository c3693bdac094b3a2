"""Failing rows, proofs, stages and links, on every surface that people see."""

from __future__ import annotations

import pytest

from mlgate.model import Check, Evidence, Example, Proof, Source, StageRun, Verdict
from mlgate.render import details, html, junit, markdown, terminal
from render.samples import HOSTILE

ROWS = tuple(Example(row=n, values={"age": str(-n), "person": f"p{n}"}) for n in (17, 42, 99))
BROKEN = Check(
    id="data.train.age.min", title="age: at least 0", group="data", verdict=Verdict.FAIL, observed="12 rows",
    expected="at least 0", rows=6097, unexpected=12, examples=ROWS, engine="duckdb 2.0.0",
    reason="12 of 6,097 rows (0.2 %) break it, the first in row 17 (age = -17, person = p17).",
)  # fmt: skip
KEPT = Check(
    id="data.train.age.mean", title="age: mean", group="data", verdict=Verdict.PASS, observed=34.2, expected="30 to 40",
)  # fmt: skip
DATA = Evidence(kind="validate-data", model="visits", title=BROKEN.reason, verdict=Verdict.FAIL, checks=[BROKEN, KEPT])
TRAIN = Evidence(
    kind="train", model="visits", title="The lock describes this commit.", verdict=Verdict.PASS,
    checks=[Check(id="proofs.lock", group="proofs", title="dvc.lock", verdict=Verdict.PASS)],
    proofs=[
        Proof(claim="the metrics are those of dvc.lock", state="proven", by="their digest"),
        Proof(claim="the model follows from data and code", state="not run", by="train.verify is lock"),
    ],
    stages=[StageRun(name="ingest", state="cached"), StageRun(name="train", state="ran", seconds=12.3)],
    facts={"python": "3.12.1", "verify": "lock", "minutes": 3.5},
    links={"MLflow run": "https://mlflow.example/#/experiments/1/runs/2"},
)  # fmt: skip
COMPARE = Evidence(kind="compare", model="visits", title="Nothing to compare.", verdict=Verdict.PASS, checks=[KEPT])


def test_the_terminal_shows_every_failing_row_it_was_given() -> None:
    shown = terminal.show([DATA], color=False, width=120)
    assert "row 17 (age = -17, person = p17)" in shown
    assert "row 42 (age = -42, person = p42), row 99 (age = -99, person = p99), and 9 more" in " ".join(shown.split())


def test_the_terminal_says_which_file_a_row_is_in_before_its_number() -> None:
    rows = (Example(file="d/2.csv", row=2, values={"a": "q"}), Example(values={"a": "r"}))
    found = BROKEN.model_copy(update={"examples": rows, "unexpected": 2})
    assert details.rows(found) == "d/2.csv row 2 (a = q), a row (a = r)"


def test_no_rows_are_counted_where_nothing_could_be_measured() -> None:
    lost = BROKEN.model_copy(
        update={"id": "lost", "verdict": Verdict.ERROR, "rows": 0, "observed": None, "examples": (), "reason": "No."}
    )
    shown = terminal.show([DATA.model_copy(update={"checks": [BROKEN, lost]})], color=False, width=120)
    assert "6,097 rows" in shown.splitlines()[0]
    assert " 0 rows" not in shown
    assert "| ⛔ | age: at least 0 |  | at least 0 |  |" in markdown.comment(
        [DATA.model_copy(update={"checks": [lost, BROKEN]})]
    )


def test_what_several_checks_say_in_the_same_words_is_said_once_in_a_terminal() -> None:
    same = [
        BROKEN.model_copy(
            update={"id": f"{n}", "verdict": Verdict.ERROR, "observed": None, "examples": (), "reason": "No."}
        )
        for n in range(3)
    ]
    shown = terminal.show([DATA.model_copy(update={"checks": same})], color=False, width=120)
    assert shown.count("No.") == 1


def test_text_that_was_found_may_take_several_lines_on_the_page() -> None:
    assert '<td class="n strong words">12 rows</td>' in html.page([DATA])


def test_the_terminal_says_what_was_written_and_how_to_find_a_run_without_an_address() -> None:
    facts = {"MLflow run": "ab12", "MLflow opens with": "mlflow ui", "python": "3.12.1"}
    run = TRAIN.model_copy(update={"links": {}, "facts": facts, "artifacts": ["q/a.bad.csv", "q/a.good.csv"]})
    lines = terminal.show([run], color=False, width=120).splitlines()
    assert "MLflow run: ab12" in lines
    assert "MLflow opens with: mlflow ui" in lines
    assert "written: q/a.bad.csv, q/a.good.csv" in lines
    assert "ab12" not in terminal.show([TRAIN.model_copy(update={"facts": facts})], color=False, width=120)


def test_a_check_of_a_contract_that_holds_is_folded_and_one_that_does_not_is_in_the_table() -> None:
    comment = markdown.comment([DATA])
    assert "| ❌ | age: at least 0 | 12 rows | at least 0 | 6,097 |" in comment
    assert "|  | Check | Found | Allowed | Rows |" in comment
    assert "1 other check of validate-data passed" in comment


def test_the_comment_has_the_rows_in_a_table_of_their_own() -> None:
    comment = markdown.comment([DATA])
    assert "| 17 | age = -17, person = p17 | age: at least 0 |" in comment
    assert "Rows that break the contract" in html.page([DATA])
    assert "age = -42, person = p42" in html.page([DATA])
    assert "row 42 (age = -42, person = p42)" in junit.xml([DATA])


def test_what_was_proven_and_what_was_not_run_is_a_table_everywhere() -> None:
    comment = markdown.comment([COMPARE, TRAIN])
    assert "How it was made: 1 proven, 1 not run" in comment
    assert comment.index("the model follows from data and code") < comment.index("the metrics are those of dvc.lock")
    assert "`train` ran (12 s)" in comment
    page = html.page([COMPARE, TRAIN])
    assert "What was proven" in page
    assert "the model follows from data and code" in page
    shown = terminal.show([TRAIN], color=False, width=120)
    assert "  not run  the model follows from data and code: train.verify is lock" in shown
    assert "stages: ingest cached, train ran (12 s)" in shown


def test_a_refuted_claim_stands_in_the_open() -> None:
    refuted = TRAIN.model_copy(
        update={
            "verdict": Verdict.FAIL,
            "proofs": [Proof(claim="the metrics follow", state="refuted", by="auc differs")],
        }
    )
    comment = markdown.comment([COMPARE, refuted])
    assert comment.index("| ❌ | the metrics follow | refuted | auc differs |") < comment.index("<details>")


def test_the_run_of_the_tracking_server_is_linked_and_only_by_https() -> None:
    assert "[MLflow run](https://mlflow.example/#/experiments/1/runs/2)" in markdown.comment([COMPARE, TRAIN])
    assert 'href="https://mlflow.example/#/experiments/1/runs/2"' in html.page([TRAIN])
    evil = TRAIN.model_copy(update={"links": {"MLflow run": "javascript:alert(1)"}})
    assert "javascript" not in markdown.comment([evil])
    assert 'href="javascript' not in html.page([evil])


def test_a_model_to_throw_away_says_so_on_every_surface() -> None:
    smoke = TRAIN.model_copy(update={"promotable": False})
    for shown in (markdown.comment([smoke]), html.page([smoke]), terminal.show([smoke], color=False, width=120)):
        assert "it can never be promoted" in shown


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_of_the_data_are_shown_and_do_nothing(text: str) -> None:
    rows = (Example(row=1, values={text[:40]: text}),)
    broken = BROKEN.model_copy(update={"examples": rows, "reason": "1 of 2 rows break it."})
    bad = DATA.model_copy(update={"checks": [broken], "source": Source(commit="d" * 40)})
    proven = TRAIN.model_copy(
        update={
            "proofs": [Proof(claim=text, state="proven", by=text)],
            "stages": [StageRun(name=text, state="ran", seconds=1.0, reason=text)],
            "facts": {text: text},
        }
    )
    comment = markdown.comment([bad, proven])
    assert "<script>" not in comment
    assert "<!-- mlgate: -->" not in comment
    assert not [line for line in comment.splitlines() if line.startswith(("::", "/merge", "# heading"))]
    rows_of_table = [line for line in comment.splitlines() if line.startswith("| 1 |")]
    assert len(rows_of_table) == 1
    page = html.page([bad, proven])
    assert "<script>alert" not in page
    shown = terminal.show([bad, proven], color=False, width=120)
    assert "\x1b" not in shown
    junit.xml([bad, proven])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.04, "0.0 s"), (0.44, "0.4 s"), (12.3, "12 s"), (59.6, "60 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_read_like_durations(value: float, shown: str) -> None:
    assert details.seconds(value) == shown
