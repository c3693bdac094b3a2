"""`mlgate audit checklist`: six checks, each with its evidence; none passes on what is not about this very model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from governance.regulated import CARD, MODEL, SHEET, SIX, Main
from mlgate.commands._held import Gatherer
from mlgate.commands._ledger import open_ledger, who
from mlgate.commands._run import Run
from mlgate.commands._standing import standing
from mlgate.config import Config
from mlgate.governance import checklist
from mlgate.governance.nouns import Held
from mlgate.model import Check, Verdict
from mlgate.signing import statement


def edit(main: Main, verb: str, change: Callable[[dict[str, Any]], None]) -> None:
    path = main.evidence(verb)
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found, sort_keys=True, indent=2, ensure_ascii=False) + "\n")


def verdicts(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: check["verdict"] for name, check in checks.items()}


def test_all_six_hold_and_name_their_evidence(main: Main) -> None:
    checks = main.checklist()
    assert tuple(checks) == SIX
    assert set(verdicts(checks).values()) == {"pass"}, [c["reason"] for c in checks.values()]
    named = {one["name"]: one["digest"] for one in main.repo.evidence(MODEL, verb="checklist")["inputs"]}
    for file in ("decisions/visits.json", "evidence/visits/compare.json", "evidence/visits/build-image.json"):
        assert named[file]["sha256"]
    assert named["data/train.csv"]["dvc-md5"]
    assert named["papers/visits/explainability.json"]["sha256"]


def remove(*names: str) -> Callable[[Main], None]:
    def run(main: Main) -> None:
        for name in names:
            (main.state / name).unlink()

    return run


def foreign_commit(verb: str) -> Callable[[Main], None]:
    return lambda main: edit(main, verb, lambda e: e["source"].update(commit="1" * 40))


def foreign_model(verb: str) -> Callable[[Main], None]:
    return lambda main: edit(main, verb, lambda e: e["subject"].update(digest={"dvc-md5": "2" * 32}))


def nameless(verb: str) -> Callable[[Main], None]:
    return lambda main: edit(main, verb, lambda e: e.update(subject=None))


def dirty(verb: str) -> Callable[[Main], None]:
    return lambda main: edit(main, verb, lambda e: e["source"].update(dirty=True))


def paper(name: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Main], None]:
    def run(main: Main) -> None:
        found = json.loads(main.paper(name).read_text())
        change(found)
        main.paper(name).write_text(json.dumps(found, sort_keys=True, indent=2, ensure_ascii=False) + "\n")

    return run


def text(name: str, change: Callable[[str], str]) -> Callable[[Main], None]:
    def run(main: Main) -> None:
        main.paper(name).write_text(change(main.paper(name).read_text()))

    return run


def other_bias(main: Main) -> None:
    for path in (main.paper("bias_report.json"), main.state / f"bias/{MODEL}/bias_report.json"):
        path.write_text(path.read_text().replace(main.repo.head, "1" * 40))


def supply(verdict: str, prefix: str) -> Callable[[Main], None]:
    def change(found: dict[str, Any]) -> None:
        for check in found["checks"]:
            if check["id"].startswith(prefix):
                check.update(verdict=verdict, reason="Something was found")

    return lambda main: edit(main, "build-image", change)


def without(prefix: str) -> Callable[[Main], None]:
    def change(found: dict[str, Any]) -> None:
        found["checks"] = [check for check in found["checks"] if not check["id"].startswith(prefix)]

    return lambda main: edit(main, "build-image", change)


P, E = f"papers/{MODEL}", f"evidence/{MODEL}"
BROKEN: dict[str, tuple[Callable[[Main], None], str, set[str]]] = {
    "no evidence at all": (remove(f"{E}/compare.json"), "fail", {"provenance", "bias", "documentation"}),
    "evidence of another commit": (foreign_commit("compare"), "fail", {"provenance", "bias", "documentation"}),
    "evidence of another model": (foreign_model("compare"), "fail", {"provenance", "bias", "documentation"}),
    "evidence about no model": (nameless("compare"), "fail", {"provenance", "bias", "documentation"}),
    "evidence of a dirty tree": (dirty("compare"), "fail", {"provenance", "bias", "documentation"}),
    "other numbers in the evidence": (
        lambda main: edit(main, "compare", lambda e: e["checks"][-1].update(observed=0.99)),
        "fail",
        {"provenance", "documentation"},
    ),
    "no explanation": (remove(f"{P}/explainability.json"), "fail", {"explainability"}),
    "an explanation of another model": (
        paper("explainability.json", lambda e: e.update(subject={"dvc-md5": "3" * 32})),
        "fail",
        {"explainability"},
    ),
    "an explanation of another commit": (
        paper("explainability.json", lambda e: e.update(commit="1" * 40)),
        "fail",
        {"explainability"},
    ),
    "an explanation on other rows": (
        paper("explainability.json", lambda e: e.update(data_digest={"dvc-md5": "3" * 32})),
        "fail",
        {"explainability"},
    ),
    "an explanation without columns": (
        paper("explainability.json", lambda e: e.update(features=[])),
        "fail",
        {"explainability"},
    ),
    "an explanation without rows": (
        paper("explainability.json", lambda e: e.update(examples=[])),
        "fail",
        {"explainability"},
    ),
    "an explanation of nothing": (
        paper(
            "explainability.json",
            lambda e: e.update(
                features=[{"name": "x", "importance": 0.0}],
                examples=[{**e["examples"][0], "score": 0.0, "contributions": []}],
            ),
        ),
        "fail",
        {"explainability"},
    ),
    "an explanation that is none": (
        text("explainability.json", lambda _: "NaN"),
        "error",
        {"explainability"},
    ),
    "an explanation with a number that is none": (
        text("explainability.json", lambda found: found.replace('"importance": ', '"importance": NaN, "x": ', 1)),
        "error",
        {"explainability"},
    ),
    "no bias report": (remove(f"{P}/bias_report.json", f"bias/{MODEL}/bias_report.json"), "fail", {"bias"}),
    "a bias report of another commit": (other_bias, "fail", {"bias"}),
    "nothing looked through": (remove(f"{E}/build-image.json"), "fail", {"security", "licences"}),
    "another image": (foreign_model("build-image"), "fail", {"security", "licences"}),
    "an image of another commit": (foreign_commit("build-image"), "fail", {"security", "licences"}),
    "files not looked through": (without("supply.model"), "fail", {"security"}),
    "packages not looked up": (without("supply.environment"), "fail", {"security"}),
    "licences not looked at": (without("supply.licence"), "fail", {"licences"}),
    "a vulnerability": (supply("fail", "supply.environment"), "fail", {"security"}),
    "packages that could not be audited": (supply("error", "supply.environment"), "error", {"security"}),
    "a denied licence": (supply("fail", "supply.licence"), "fail", {"licences"}),
    "no card": (remove(f"{P}/model_card.json"), "fail", {"documentation"}),
    "no page of the card": (remove(f"{P}/model_card.md"), "fail", {"documentation"}),
    "an edited number": (
        paper("model_card.json", lambda c: c["performance_summary"].update(accuracy=0.999)),
        "fail",
        {"documentation"},
    ),
    "an edited detail": (
        paper("model_card.json", lambda c: c["performance"][0].update(value=0.999)),
        "fail",
        {"documentation"},
    ),
    "a card of other evidence": (
        paper("model_card.json", lambda c: c["evidence"].update(compare="4" * 64)),
        "fail",
        {"documentation"},
    ),
    "a card that leans on nothing": (
        paper("model_card.json", lambda c: c.update(evidence={})),
        "fail",
        {"documentation"},
    ),
    "an edited data sheet": (
        paper("data_sheet.json", lambda c: c.update(personal_data=True)),
        "fail",
        {"documentation"},
    ),
    "no service page": (remove(f"{P}/service.json"), "fail", {"documentation"}),
    "a promise that is broken": (
        lambda main: edit(main, "build-image", lambda e: e["facts"].update(latency_p95_ms=100.5)),
        "fail",
        {"documentation"},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_whatever_is_missing_or_foreign_never_passes(main: Main, name: str) -> None:
    broke, verdict, where = BROKEN[name]
    broke(main)
    checks = main.checklist()
    found = {key for key, check in checks.items() if check["verdict"] not in ("pass", "warn")}
    assert found == where, {key: check["reason"] for key, check in checks.items()}
    for key in where:
        assert checks[key]["verdict"] == verdict
        assert checks[key]["reason"]
        assert checks[key]["fix"] or verdict == "error" or key in ("security", "licences")


def test_a_promise_at_its_boundary_is_kept(main: Main) -> None:
    edit(main, "build-image", lambda e: e["facts"].update(latency_p95_ms=100.0, throughput_rps=50.0))
    assert main.checklist()["documentation"]["verdict"] == "pass"


def test_a_promise_that_nobody_measured_is_a_warning(main: Main) -> None:
    edit(main, "build-image", lambda e: e.update(facts={}))
    found = main.checklist()["documentation"]
    assert found["verdict"] == "warn"
    assert "latency_p95_ms 100 ms is promised, and was not measured" in found["reason"]


WORDS: dict[str, tuple[str, str, str, str]] = {
    "placeholder": ("governance/card.yaml", "Planning how many people come on a day", "TODO, say what for", "TODO"),
    "template": ("governance/card.yaml", CARD, CARD.replace("Nobody is treated by it", "<who may be harmed>"), "<who"),
    "missing": ("governance/card.yaml", CARD, CARD.replace("intended_use", "use"), "intended_use"),
    "number": (
        "governance/card.yaml",
        "told apart badly.",
        "told apart badly. The accuracy of 0.31 shows it.",
        "accuracy 0.31",
    ),
    "rights": ("governance/data_sheet.yaml", SHEET, SHEET.replace("The team has made them itself, and", "TBD"), "TBD"),
    "retirement": ("docs/retirement.md", "when the clinic", "lorem ipsum when the clinic", "lorem ipsum"),
    "owner": ("mlgate.yaml", "[planning-team]", "[TBD]", "TBD"),
    "tag": ("mlgate.yaml", '"2.1"', '"<version>"', "<version>"),
}


@pytest.mark.parametrize("name", WORDS)
def test_words_that_say_nothing_or_something_else_are_found(main: Main, name: str) -> None:
    file, before, after, said = WORDS[name]
    text = (main.repo.path / file).read_text()
    assert before in text
    main.repo.write(file, text.replace(before, after))
    found = {check.id: check for check in checklist.every(held(main))}
    wrong = [check for check in found.values() if check.verdict not in (Verdict.PASS, Verdict.WARN)]
    assert "checklist.documentation" in {check.id for check in wrong}
    assert said in found["checklist.documentation"].reason


def held(main: Main) -> Held:
    """As a terminal sees it, with what is being edited."""
    run = Run.start("mlgate.yaml", str(main.repo.path))
    config = run.load("mlgate.yaml")
    assert isinstance(config, Config), config
    found = Gatherer(run).held(config)
    for evidence in found.evidence.values():
        assert evidence.source.commit in ("", found.commit)
    return found


def test_only_what_is_required_stands_in_the_way(main: Main) -> None:
    text = (main.repo.path / "mlgate.yaml").read_text()
    main.repo.write("mlgate.yaml", f"{text}  require: [bias, provenance]\n")
    main.evidence("build-image").unlink()
    run = Run.start("mlgate.yaml", str(main.repo.path))
    config = run.load("mlgate.yaml")
    assert isinstance(config, Config)
    checks: list[Check] = standing(run, config)
    assert [(check.id, check.verdict) for check in checks] == [
        ("checklist.provenance", Verdict.PASS),
        ("checklist.bias", Verdict.PASS),
    ]
    security = next(check for check in checklist.every(held(main)) if check.id == "checklist.security")
    assert security.verdict is Verdict.WARN
    assert "does not ask for it" in security.reason


def test_without_governance_nothing_is_required(main: Main) -> None:
    text = (main.repo.path / "mlgate.yaml").read_text()
    main.repo.write("mlgate.yaml", text[: text.index("governance:")])
    run = Run.start("mlgate.yaml", str(main.repo.path))
    config = run.load("mlgate.yaml")
    assert isinstance(config, Config)
    assert standing(run, config) == []


def test_groups_of_people_have_to_be_named(main: Main) -> None:
    """Slices alone do for data that are about nobody."""
    text = (main.repo.path / "mlgate.yaml").read_text()
    start, end = text.index("  fairness:"), text.index("ledger:")
    main.repo.write("mlgate.yaml", text[:start] + text[end:])
    assert "no `compare.fairness` or" in _reason(main, "bias")
    main.repo.write("governance/data_sheet.yaml", SHEET.replace("personal_data: false", "personal_data: true"))
    assert "no `compare.fairness`." in _reason(main, "bias")


def test_the_sheet_may_not_contradict_contract_and_tags(main: Main) -> None:
    main.repo.write("contracts/rows.yaml", "schema: 1\ncolumns:\n  id: {nulls: 0, private: true}\n")
    text = (main.repo.path / "mlgate.yaml").read_text()
    main.repo.write(
        "mlgate.yaml",
        text.replace(
            "{path: data/test.csv, id: [id]}", "{path: data/test.csv, id: [id], contract: contracts/rows.yaml}"
        ),
    )
    assert "the contracts call id private" in _reason(main, "provenance")
    sheet = SHEET.replace("personal_data: false", "personal_data: true")
    main.repo.write("governance/data_sheet.yaml", sheet)
    assert "`deidentified.state` is `not needed`, and `personal_data` is true" in _reason(main, "provenance")
    main.repo.write("governance/data_sheet.yaml", sheet.replace("not needed, how", '"no", how'))
    assert "the tag `pii_processed` says" in _reason(main, "provenance")


def _reason(main: Main, name: str) -> str:
    found = next(check for check in checklist.every(held(main)) if check.id == f"checklist.{name}")
    assert found.verdict not in (Verdict.PASS, Verdict.WARN)
    return found.reason


def test_the_decision_of_another_model_is_none(main: Main) -> None:
    """The same papers, and a model that nobody has judged."""
    main.repo.write("dvc.lock", (main.repo.path / "dvc.lock").read_text().replace(_md5(main), "5" * 32))
    main.repo.commit("Another model")
    checks = main.checklist()
    assert {name for name, check in checks.items() if check["verdict"] == "fail"} == set(SIX)
    assert "It was not decided that this model may be used" in checks["provenance"]["reason"]


def _md5(main: Main) -> str:
    digest: str = json.loads(main.evidence("compare").read_text())["subject"]["digest"]["dvc-md5"]
    return digest


def test_a_later_commit_with_the_same_model_keeps_its_papers(main: Main) -> None:
    main.repo.write("README.md", "More words\n")
    main.repo.commit("Say more")
    assert set(verdicts(main.checklist()).values()) == {"pass"}


def _image(main: Main, *, write: bool, **predicate: Any) -> None:
    """The statement of an image that was built earlier, and, with `write`, the ledger's entry about it."""
    model = json.loads(main.evidence("compare").read_text())["subject"]["digest"]
    predicate = {
        "model": MODEL,
        "artifact": {"name": "models/model.json", "digest": model},
        "commit": main.repo.head,
        "decision": "8" * 64,
        "inputs": "9" * 64,
        "verdict": "pass",
        "evidence": [{"name": "build-image", "digest": {"sha256": "a" * 64}}],
        **predicate,
    }
    subject = [{"name": "localhost/visits", "digest": {"sha256": "b" * 64}}]
    made = statement.Statement.parse({"subject": subject, "predicate": predicate})
    (main.state / "images").mkdir()
    (main.state / f"images/{MODEL}.json").write_bytes(made.to_bytes())
    if write:
        assert main.repo.mlgate("audit", "adopt").returncode == 0  # the repository is a copy, elsewhere
        run = Run.start("mlgate.yaml", str(main.repo.path))
        config = run.load("mlgate.yaml")
        assert isinstance(config, Config)
        entry = statement.entry(made, {**who(run), "commit": main.repo.head})
        assert open_ledger(run, config.ledger, write=True).append(entry).pushed


def test_an_image_that_was_proven_before_stands_in_for_checks_that_are_not_made_again(main: Main) -> None:
    for prefix in ("supply.environment", "supply.licence"):
        without(prefix)(main)
    _image(main, write=True)
    found = main.checklist()
    assert (found["security"]["verdict"], found["licences"]["verdict"]) == ("pass", "pass")
    assert "Looked through when image sha256:bbbbbbbbbbbb was built" in found["security"]["reason"]


@pytest.mark.parametrize(
    ("write", "predicate"),
    [
        (False, {}),
        (True, {"commit": "1" * 40}),
        (True, {"artifact": {"name": "models/model.json", "digest": {"dvc-md5": "c" * 32}}}),
    ],
    ids=["not in the ledger", "of another commit", "of another model"],
)
def test_an_image_of_something_else_stands_in_for_nothing(main: Main, write: bool, predicate: dict[str, Any]) -> None:
    for prefix in ("supply.environment", "supply.licence"):
        without(prefix)(main)
    _image(main, write=write, **predicate)
    found = main.checklist()
    assert (found["security"]["verdict"], found["licences"]["verdict"]) == ("fail", "fail")
