"""`mlgate audit papers`: numbers only from evidence, words only from people, and nothing that must stay private."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from governance.regulated import CARD, MODEL, Main
from mlgate.errors import MlgateError
from mlgate.governance import explain
from mlgate.governance.explain import MASKED


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for each in value.values():
            yield from numbers(each)
    elif isinstance(value, list):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, float):
        yield value


def test_every_number_of_the_card_stands_in_the_evidence_that_it_names(main: Main) -> None:
    card = json.loads(main.paper("model_card.json").read_text())
    lines = [*card["performance"], *card["groups"], *card["fairness"], *card["costs"]]
    assert lines
    for line in lines:
        verb = line["source"]["evidence"].rpartition("/")[2].removesuffix(".json")
        text = main.evidence(verb).read_bytes()
        evidence = json.loads(text)
        if line["source"]["check"].startswith("facts."):
            assert evidence["facts"][line["name"]] == line["value"]
            continue
        (check,) = [c for c in evidence["checks"] if c["id"] == line["source"]["check"]]
        assert (check["title"], check["observed"], check["champion"]) == (line["name"], line["value"], line["champion"])
        assert line["interval"] in (None, check["interval"])
    assert card["performance_summary"] == {line["name"]: line["value"] for line in card["performance"]}
    known = {*numbers(json.loads(main.evidence("compare").read_text()))}
    assert {n for line in lines for n in numbers(line)} <= known
    for key in ("intended_use", "training_data_description", "known_limitations", "creation_date"):
        assert card[key]


def test_the_same_evidence_gives_the_same_papers(main: Main) -> None:
    main.evidence("build-image").unlink()  # the card takes its numbers, too, and was made before it
    before = {path.name: path.read_bytes() for path in main.paper("").iterdir()}
    assert main.papers("--explain", "always").returncode == 0
    assert {path.name: path.read_bytes() for path in main.paper("").iterdir()} == before


def test_a_later_measurement_joins_the_card(main: Main) -> None:
    assert "costs" in json.loads(main.paper("model_card.json").read_text())
    assert main.papers("--explain", "never").returncode == 0
    card = json.loads(main.paper("model_card.json").read_text())
    assert {line["name"]: line["value"] for line in card["costs"]} == {"latency_p95_ms": 12.5, "throughput_rps": 480.0}
    service = json.loads(main.paper("service.json").read_text())
    assert {one["name"]: one["kept"] for one in service["promises"]} == {"latency_p95_ms": True, "throughput_rps": True}
    assert main.checklist()["documentation"]["verdict"] == "pass"


def test_markup_in_words_and_values_stays_text(main: Main) -> None:
    text = CARD.replace("Planning how many", "<b>Planning</b> | <s\t>[x](javascript:alert(1)) @ada how many")
    main.repo.write("governance/card.yaml", text)
    main.repo.commit("Say it with markup")
    main.papers("--explain", "never")
    page = main.paper("model_card.md").read_text()
    assert "<s" not in page
    assert "[x](" not in page
    assert "<b>" not in page
    assert "@ada" not in page
    main.job("audit", "bundle")


def test_without_words_there_is_no_card_and_the_old_one_goes(main: Main) -> None:
    main.repo.write("governance/card.yaml", "schema: 1\n")
    main.repo.commit("Lose the words")
    done = main.papers("--explain", "never")
    assert done.returncode == 2
    assert "intended_use is missing" in done.stdout
    assert not main.paper("model_card.json").exists()
    assert main.paper("data_sheet.json").exists()


def test_private_columns_are_masked(main: Main) -> None:
    text = (main.repo.path / "mlgate.yaml").read_text()
    main.repo.write(
        "contracts/rows.yaml", "schema: 1\ncolumns:\n  id: {private: true, nulls: 0}\n  x: {private: true, nulls: 0}\n"
    )
    named = "{path: data/test.csv, id: [id], contract: contracts/rows.yaml}"
    main.repo.write("mlgate.yaml", text.replace("{path: data/test.csv, id: [id]}", named))
    main.repo.commit("Call it private")
    main.papers("--explain", "only")
    found = json.loads(main.paper("explainability.json").read_text())
    assert found["examples"]
    for one in found["examples"]:
        assert one["row"].startswith("row ")
        assert {each["value"] for each in one["contributions"]} == {MASKED}


def test_only_explaining_leaves_no_evidence_that_could_count(main: Main) -> None:
    main.evidence("papers").unlink()
    main.paper("explainability.json").unlink()
    done = main.papers("--explain", "only")
    assert (done.returncode, main.paper("explainability.json").exists()) == (0, True)
    assert not main.evidence("papers").exists()


def test_never_runs_no_code_of_the_project(main: Main) -> None:
    main.paper("explainability.json").unlink()
    done = main.papers("--explain", "never")
    assert done.returncode == 2
    assert "> what" not in done.stdout
    assert "--explain only" in main.repo.evidence(MODEL, verb="papers")["checks"][0]["fix"]


def test_an_explanation_of_other_settings_is_made_again(main: Main) -> None:
    text = (main.repo.path / "mlgate.yaml").read_text()
    assert "> what" not in main.papers().stdout
    main.repo.write("mlgate.yaml", text.replace("repeats: 3", "repeats: 4"))
    main.repo.commit("Ask more often")
    assert "> what" in main.papers().stdout


def test_what_the_project_answers_cannot_speak_of_another_model(main: Main) -> None:
    """The model's own code may write anything into the answer."""
    code = (main.repo.path / "src/latency.py").read_text()
    main.repo.write("src/latency.py", code.replace("def load(path):", "def load(path):\n    raise SystemExit(0)"))
    main.repo.commit("Leave without an answer")
    done = main.papers("--explain", "always")
    assert done.returncode == 2
    assert "without an answer" in done.stdout
    assert not main.paper("explainability.json").exists()


OWN = {"global": {"x": 0.4, "y": -0.1}, "local": [{"row": "7", "score": 0.9, "contributions": {"x": 0.3, "y": 0.1}}]}


def own(main: Main, report: dict[str, Any]) -> str:
    text = (main.repo.path / "mlgate.yaml").read_text()
    main.repo.write("mlgate.yaml", text.replace("explain: {", "explain: {report: eval/why.json, "))
    main.repo.write("eval/why.json", json.dumps(report))
    main.repo.git("add", "--force", "eval/why.json")
    main.repo.commit("Bring a report")
    main.papers()
    check = main.repo.evidence(MODEL, verb="papers")["checks"][0]
    return f"{check['verdict']}: {check['reason']}"


def test_a_report_of_ones_own_names_its_model(main: Main) -> None:
    digest = json.loads(main.evidence("compare").read_text())["subject"]["digest"]
    assert own(main, {**OWN, "model_digest": digest}) == "pass: The model goes by x, y first."
    assert main.checklist()["explainability"]["verdict"] == "pass"


def test_a_report_of_ones_own_that_names_no_model_is_refused(main: Main) -> None:
    assert own(main, OWN).startswith("error: eval/why.json is not shown to be about this model")


def test_a_report_of_ones_own_about_another_model_is_refused(main: Main) -> None:
    assert own(main, {**OWN, "model_digest": f"dvc-md5:{'6' * 32}"}).startswith("error: eval/why.json is not shown")


ABOUT: dict[str, Any] = {
    "model": "m", "commit": "", "subject": {"sha256": "a"}, "data": "", "data_digest": {}, "evaluation": "",
    "score": "", "metric": "", "metric_value": None, "rows": 0, "of": 0, "repeats": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    "report",
    [
        OWN,
        {
            "feature_importance": [{"feature": "x", "importance": 0.4}, {"name": "y", "value": -0.1}],
            "local": OWN["local"],
        },
        {"features": OWN["global"], "examples": OWN["local"]},
    ],
)
def test_forms_of_a_report(report: dict[str, Any]) -> None:
    found = explain.own(json.dumps(report).encode(), "why.json", ABOUT)
    assert [(one.name, one.importance) for one in found.features] == [("x", 0.4), ("y", -0.1)]
    assert found.examples[0].contributions[0].feature == "x"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"global": {}}', '{"global": {"x": NaN}}', '{"global": {"x": "much"}}',
        '{"global": {"x": true}}', '{"global": {"x": 1}, "local": [{"row": 1}]}', '{"global": [{"importance": 1}]}',
        '{"global": {"x": 1e999}}',
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(MlgateError):
        explain.own(text.encode(), "why.json", ABOUT)


def test_a_checklist_that_failed_is_no_reason_against_a_decision(main: Main) -> None:
    """It waits for the decision: what it said before may not keep that from being made."""
    left = json.loads(main.evidence("compare").read_text())
    left.update(kind="checklist", verdict="fail", title="provenance not.")
    main.evidence("checklist").write_text(json.dumps(left))
    assert "may be deployed" in main.job("compare").stdout


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("card", "Nobody is treated by it", "TODO", "`ethical_considerations` still holds the placeholder `TODO`"),
        ("data_sheet", "Made by a formula", "lorem ipsum", "`origin` still holds the placeholder `lorem ipsum`"),
    ],
)
def test_words_of_a_template_make_no_paper(main: Main, file: str, before: str, after: str, said: str) -> None:
    """The papers are of this commit, whose words are another's: nothing that was written before stays."""
    path = f"governance/{file}.yaml"
    text = (main.repo.path / path).read_text()
    assert before in text
    main.repo.write(path, text.replace(before, after))
    main.repo.commit("Leave it for later")
    done = main.papers("--explain", "never")
    assert done.returncode == 1, done.stdout
    assert f"{path}: {said}" in done.stdout.replace("\n        ", " ")
    name = {"card": "model_card"}.get(file, file)
    assert not list((main.state / "papers/visits").glob(f"{name}.*"))
