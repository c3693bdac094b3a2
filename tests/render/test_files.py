"""JUnit, OpenMetrics and annotations: what other programs read."""

from __future__ import annotations

import json
import re
import unicodedata
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mlgate.model import Check, Evidence, Verdict
from mlgate.render import annotations, junit, openmetrics
from mlgate.render.layout import NOWHERE
from render import samples
from render.shapes import texts

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "system-out": set(),
}


def suites(*evidences: Evidence) -> ET.Element:
    """Parsed, and checked against what the schemas of JUnit's XML have in common."""
    text = junit.xml(evidences)
    root = ET.fromstring(text)  # noqa: S314 -- made here
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.keys()) <= ATTRIBUTES[element.tag]
    for suite in root:
        assert suite.tag == "testsuite"
        assert [e.tag for e in suite] == ["properties"] + ["testcase"] * (len(suite) - 1)
        cases = suite.findall("testcase")
        assert int(suite.get("tests", "")) == len(cases) > 0
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("errors", "")) == len(suite.findall("testcase/error"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", "2026-01-01T00:00:00"))
    names = [(c.get("classname"), c.get("name")) for c in root.iter("testcase")]
    assert len(names) == len(set(names))
    assert all(name for pair in names for name in pair)
    for key in ("tests", "failures", "errors"):
        assert int(root.get(key, "")) == sum(int(s.get(key, "")) for s in root)
    return root


def test_junit_of_a_failed_model() -> None:
    root = suites(samples.failed())
    case = root.find("testsuite/testcase")
    assert case is not None
    assert case.get("classname") == "doctor-visits compare"
    assert case.get("name") == "log_loss (rules.log_loss.max_relative_regression)"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "`log_loss` is 3.1 % worse than the champion; at most 2 % is allowed."
    assert "champion: 0.5812" in (failure.text or "")
    assert "at mlgate.yaml:21" in (failure.text or "")


@pytest.mark.parametrize(
    ("make", "failures", "errors"),
    [
        (samples.passed, 0, 0),
        (samples.first_champion, 0, 0),
        (samples.inconclusive, 1, 0),
        (samples.failed, 1, 0),
        (samples.broken, 0, 2),
        (samples.unchanged, 0, 0),
    ],
)
def test_junit_counts(make: object, failures: int, errors: int) -> None:
    root = suites(make())  # type: ignore[operator]
    assert (int(root.get("failures", "")), int(root.get("errors", ""))) == (failures, errors)


def test_junit_of_a_warning_passes_and_says_so() -> None:
    out = suites(samples.first_champion()).find("testsuite/testcase/system-out")
    assert out is not None
    assert (out.text or "").startswith("warn: There is no champion yet")


def test_junit_says_a_verdict_that_no_check_explains() -> None:
    broken = Evidence(kind="compare", model="m", verdict=Verdict.ERROR, title="mlgate.yaml does not parse.")
    case = suites(broken).find("testsuite/testcase")
    assert case is not None
    assert case.get("name") == "verdict (verdict)"
    error = case.find("error")
    assert error is not None
    assert error.get("message") == "mlgate.yaml does not parse."


def test_junit_names_are_unique_even_when_checks_are_not() -> None:
    suites(samples.evidence(checks=[samples.AUC, samples.AUC, samples.AUC]))
    long = "x" * 900
    suites(samples.evidence(checks=[samples.AUC.model_copy(update={"title": long, "id": f"{long}{i}"}) for i in "ab"]))


@settings(max_examples=60, deadline=None)
@given(texts)
def test_junit_of_any_text_parses(text: str) -> None:
    root = suites(samples.hostile(text), samples.failed())
    assert len(list(root.iter("testcase"))) == 5 + 6


def families(*evidences: Evidence) -> dict[str, list[tuple[dict[str, str], float]]]:
    text = openmetrics.text(evidences)
    assert text.endswith("# EOF\n")
    parsed = text_string_to_metric_families(text)
    return {f.name: [(s.labels, s.value) for s in f.samples] for f in parsed}


def test_openmetrics_of_a_failed_model() -> None:
    found = families(samples.failed())
    metric = {(labels["metric"], labels["role"]): value for labels, value in found["mlgate_metric"]}
    assert metric == {
        ("log_loss", "challenger"): 0.5992,
        ("log_loss", "champion"): 0.5812,
        ("auc", "challenger"): 0.7222,
        ("auc", "champion"): 0.7204,
    }
    assert ({"model": "doctor-visits", "verb": "compare", "mlgate_verdict": "fail"}, 1.0) in found["mlgate_verdict"]
    assert sum(value for _, value in found["mlgate_verdict"]) == 1
    assert ({"model": "doctor-visits", "verb": "compare"}, 14.0) in found["mlgate_controls_passed"]
    assert len(found["mlgate_metric_limit"]) == 3


def test_openmetrics_tells_the_anchor_from_the_champion() -> None:
    anchor = samples.AUC.model_copy(update={"id": "rules.auc.anchor", "champion": 0.73})
    found = families(samples.evidence(checks=[samples.AUC, anchor]))
    roles = {labels["role"]: value for labels, value in found["mlgate_metric"]}
    assert roles == {"challenger": 0.7222, "champion": 0.7204, "anchor": 0.73}


def test_openmetrics_of_nothing() -> None:
    assert openmetrics.text([]) == "# EOF\n"


def test_openmetrics_never_says_a_label_set_twice() -> None:
    found = families(*[samples.failed()] * 2, samples.doctor())
    for name, samples_ in found.items():
        keys = [tuple(sorted(labels.items())) for labels, _ in samples_]
        assert len(keys) == len(set(keys)), name


@settings(max_examples=60, deadline=None)
@given(texts)
def test_openmetrics_of_any_text_parses(text: str) -> None:
    found = families(samples.hostile(text))
    assert len(found["mlgate_metric"]) in (2, 4)  # two metrics, unless the text is the name of the other one
    assert len(found["mlgate_checks"]) == 5


def test_annotations_stand_where_it_can_be_mended() -> None:
    notes = annotations.of([samples.failed(), samples.inconclusive().model_copy(update={"model": "b"})])
    assert [(n.level, n.file, n.line) for n in notes] == [
        ("error", "mlgate.yaml", 21),
        ("error", "data/test.parquet.dvc", None),
    ]
    assert notes[0].title == "doctor-visits: log_loss"
    assert notes[0].message.endswith("`log_loss` needs to come back to 0.5928 or less.")


def test_annotations_of_what_does_not_block_are_warnings() -> None:
    assert {n.level for n in annotations.of([samples.first_champion()])} == {"warning"}
    assert {n.level for n in annotations.of([samples.failed().model_copy(update={"mode": "report"})])} == {"warning"}
    late = samples.inconclusive().model_copy(update={"fail_on": "fail"})
    assert {n.level for n in annotations.of([late])} == {"warning"}


def test_annotations_without_a_place_stand_at_the_configuration() -> None:
    check = Check(id="judge.x", title="x", group="judge", verdict=Verdict.ERROR, reason="It broke.")
    note = annotations.of([samples.evidence(verdict="error", checks=[check])])[0]
    assert (note.file, note.line, note.message) == ("mlgate.yaml", None, "It broke.")


def test_annotations_say_a_verdict_that_no_check_explains() -> None:
    broken = Evidence(kind="compare", model="m", verdict=Verdict.ERROR, title="It broke.")
    assert [(n.level, n.message) for n in annotations.of([broken])] == [("error", "It broke.")]
    assert annotations.of([samples.passed()]) == []


@settings(max_examples=60, deadline=None)
@given(texts)
def test_annotations_are_one_line_each(text: str) -> None:
    for note in annotations.of([samples.hostile(text)]):
        for part in (note.message, note.title, note.file):
            assert len(part.splitlines()) <= 1
            assert not [c for c in part if unicodedata.category(c) == "Cc"]


def test_the_links_of_gitlab() -> None:
    made = json.loads(annotations.gitlab(samples.LINKS))
    assert [entry["external_link"]["label"] for entry in made["mlgate"]] == ["Model report", "Evidence"]
    assert json.loads(annotations.gitlab(NOWHERE)) == {}
