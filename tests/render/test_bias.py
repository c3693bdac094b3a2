"""The bias report: canonical JSON, and tables that nothing can break."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from mlgate.config.limits import Fairness
from mlgate.data.rows import Groups, Predicted, Rows
from mlgate.judge import fairness, listing
from mlgate.judge.bias import Bias, Slice
from mlgate.judge.discovery import settle
from mlgate.judge.grouped import Setting
from mlgate.render.bias import markdown

HOSTILE = "sex = <!-- x --> | **b** ](http://a.example) @team"


def _bias(*, champion: bool = True, name: str = "sex = m") -> Bias:
    rng = np.random.default_rng(3)
    n = 4000
    codes = np.minimum(rng.integers(0, 41, n) // 20, 2).astype(np.int32)
    label = (rng.random(n) < 0.4).astype(float)
    decided = (rng.random(n) < np.where(codes == 1, 0.5, 0.25)).astype(np.int32)
    rows = Rows(
        "binary",
        label,
        Predicted(decided=decided),
        Predicted(decided=(rng.random(n) < 0.4).astype(np.int32)) if champion else None,
        classes=("no", "yes"),
        groups={"sex": Groups("sex", codes, ("sex = f", name, "sex = x"))},
    )
    asked = Fairness.model_validate(
        {"by": ["sex"], "min_rows": 300, "rules": {"disparate_impact_ratio": {"threshold": 0.8}}}
    )
    setting = Setting(confidence=0.95)
    claims, tables = fairness.check(rows, asked, setting)
    settled = settle(claims, setting.alpha)
    return Bias(
        model="visits",
        commit="d4e5f6a7" * 5,
        champion="a1b2c3d4" * 5 if champion else "",
        confidence=0.95,
        tables=tuple(tables),
        checks=listing.verdicts(settled),
        slices=listing.slices(claims, settled),
    )


def test_the_json_is_canonical_and_versioned() -> None:
    bias = _bias()
    text = bias.to_json()
    data = json.loads(text)
    assert (data["schema"], data["kind"], data["model"]) == (1, "bias-report", "visits")
    assert text == json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert text == _bias().to_json()
    assert "29 CFR 1607.4(D)" in data["four_fifths"]
    (table,) = data["tables"]
    groups = {group["name"]: group for group in table["groups"]}
    assert sum(group["rows"] for group in groups.values()) == table["rows"] == 4000
    assert set(groups["sex = f"]["challenger"]) == {
        "selection_rate", "true_positive_rate", "false_positive_rate", "precision",
    }  # fmt: skip
    assert groups["sex = x"]["not_judged"].endswith("rows, 300 needed")
    assert len(table["metrics"]) == 9
    ratio = next(metric for metric in table["metrics"] if metric["name"] == "disparate_impact_ratio")
    assert ratio["limits"] == {"threshold": "0.8"}
    assert ratio["challenger"]["lower"] < ratio["challenger"]["value"] < ratio["challenger"]["upper"]


def test_the_report_says_what_was_found() -> None:
    text = markdown(_bias())
    assert "# Bias report: visits" in text
    assert "`d4e5f6a`" in text and "`a1b2c3d`" in text  # noqa: PT018 -- one line holds both
    assert "❌ fail | disparate_impact_ratio by sex" in text
    assert "is proven to break the limit" in text
    assert "rows, 300 needed" in text
    assert "rule of thumb" in text
    assert "legal advice" in text
    assert "95" in text


def test_without_a_champion() -> None:
    text = markdown(_bias(champion=False))
    assert "no champion" in text
    assert "→" not in text


def test_hostile_names_stay_in_their_cells() -> None:
    plain, hostile = markdown(_bias()).splitlines(), markdown(_bias(name=HOSTILE)).splitlines()
    assert len(plain) == len(hostile)
    tables = [line for line in hostile if line.startswith("|")]
    assert all(line.count("|") == other.count("|") for line, other in zip(
        tables, [line for line in plain if line.startswith("|")], strict=True
    ))  # fmt: skip
    text = "\n".join(hostile)
    assert "<!--" not in text
    assert "](http" not in text
    assert "**b**" not in text


def test_slices_are_listed_worst_first_and_cut() -> None:
    one = Slice(
        set="", metric="auc", group="health = good", limit="absolute_regression", rows=500, challenger=0.7,
        champion=0.71, change=-0.01, relative=False, interval=(-0.02, 0.0), expected="down to −0.03", verdict="pass",
        reason="",
    )  # fmt: skip
    many = [replace(one, group=f"health = {k}") for k in range(400)]
    bad = replace(one, group="health = poor", verdict="fail", reason="worse")
    text = markdown(replace(_bias(), slices=(*many, bad)))
    table = text.partition("## Slices")[2].splitlines()
    first = next(line for line in table if "health" in line)
    assert "❌ fail" in first
    assert "health = poor" in first
    assert "101 more lines" in text
    assert "−0.0100 (−0.0200 to 0.0000)" in first


def test_what_was_not_measured_is_said() -> None:
    text = markdown(replace(_bias(), notes=("holdout: its predictions could not be read.",), checks=(), tables=()))
    assert "holdout: its predictions could not be read." in text
    assert "No rule was judged." in text
