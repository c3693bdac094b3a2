"""Rules of `monitor` that nothing could raise, that never rest, or that ask for what nobody measures; and `retrain`."""

from __future__ import annotations

import pytest

from mlgate.config import Config
from mlgate.config import load as read
from mlgate.errors import MlgateError

HEAD = """\
schema: 1
model: visits
data: [{path: data/train.parquet, contract: contracts/persons.yaml}]
train: {data: data/train.parquet}
evaluate:
  holdout: {data: data/test.parquet, metrics: [metrics/eval.json], predictions: {path: eval/predictions.parquet},
            columns: {id: person_year, label: visited}}
serve: {log: {features: [age, income]}}
"""
MONITOR = """\
monitor:
  logs: logs
  drift: {psi: 0.2, columns: {income: {ks: 0.1}}, ignore: [income_band]}
  data: {}
  truth: {path: truth.csv, label: visited}
  performance: {rules: {auc: {is: roc_auc, threshold: 0.7}}}
  slo: [latency_p95 <= 100 ms, conversion >= 2%]
  metrics: {conversion: {run: ./conversion}, revenue: {run: ./revenue}}
  rules:
"""


def load(text: str) -> Config:
    return read(text, file="mlgate.yaml", base=lambda _: None)


def refused(text: str) -> str:
    with pytest.raises(MlgateError) as caught:
        load(text)
    return str(caught.value)


def with_rules(*rules: str) -> str:
    return HEAD + MONITOR + "".join(f"    {rule}\n" for rule in rules)


GOOD = (
    "drift: {for: 3 of 5, severity: warn}",
    "slo: {}",
    "a1: {when: psi.age > 0.2, retrain: true}",
    "a2: {when: psi.age}",
    "a3: {when: ks.income}",
    "a4: {when: ks.age > 0.1}",
    "a5: {when: psi.score > 0.1}",
    "a6: {when: drift_share > 30%}",
    "a7: {when: auc < 0.7}",
    "a8: {when: auc}",
    "a9: {when: {all: [drift, {any: [auc < 0.72, conversion < 1.5%]}]}, for: 2}",
    "b1: {when: latency_p95 > 300 ms}",
    "b2: {when: revenue < 1000}",
    "b3: {when: contract_failures > 2}",
    "b4: {when: conversion}",
    "b5: {when: truth_share < 20%}",
    "b6: {when: drifted_columns >= 3}",
)


def test_rules_that_make_sense() -> None:
    assert len(load(with_rules(*GOOD)).monitor.rules) == len(GOOD)


@pytest.mark.parametrize(
    ("rule", "key", "said", "fix"),
    [
        ("fairness: {}", "monitor.rules.fairness", "named after a section that is not there", "Add `fairness:`"),
        ("drfit: {}", "monitor.rules.drfit", "does not say when", "Did you mean `drift`?"),
        ("mine: {severity: warn}", "monitor.rules.mine", "does not say when", "Add `when:"),
        ("my rule: {when: drift}", "monitor.rules.my rule", "cannot name a rule", "Use letters"),
        (
            "prediction_drift: {}",
            "monitor.rules.prediction_drift",
            "asks for limits of the prediction",
            "prediction: {psi",
        ),
        ("a: {when: estimated_auc < 0.7}", "monitor.rules.a.when", "is shown and decides nothing", "Write `auc`"),
        ("a: {when: fairness}", "monitor.rules.a.when", "names `fairness`, which is not there", "Add `fairness:`"),
        ("a: {when: drift > 0.2}", "monitor.rules.a.when", "`drift` is no number", "Write `drift` alone"),
        ("a: {when: ks.age}", "monitor.rules.a.when", "and it has none", "`ks.age > 0.2`"),
        ("a: {when: psi.income}", "monitor.rules.a.when", "and it has none", "`psi.income > 0.2`"),
        ("a: {when: drift_share}", "monitor.rules.a.when", "and it has none", "`drift_share > 0.2`"),
        ("a: {when: revenue}", "monitor.rules.a.when", "and it has none", "`revenue > 0.2`"),
        ("a: {when: psi.agee > 0.2}", "monitor.rules.a.when", "names `agee`", "Did you mean `age`?"),
        ("a: {when: psi.income_band > 0.2}", "monitor.rules.a.when", "`drift.ignore` leaves", "Remove one"),
        ("a: {when: classifier_auc > 0.6}", "monitor.rules.a.when", "which nobody measures", "`drift.classifier`"),
        ("a: {when: latency_p99 > 300 ms}", "monitor.rules.a.when", "no objective of `slo`", "Add what has to hold"),
        ("a: {when: latency_p95 > 300}", "monitor.rules.a.when", "a time is not given so", "> 100 ms"),
        ("a: {when: psi.age > 20 ms}", "monitor.rules.a.when", "it is no time", "> 0.2"),
        ("a: {when: drift_share > 100%}", "monitor.rules.a.when", "can never be so", "limits"),
        ("a: {when: psi.age >= 0}", "monitor.rules.a.when", "is always so", "limits"),
        ("a: {when: {all: [auc < 0.6, auc > 0.7]}}", "monitor.rules.a.when", "can never be so", "`any` and `all`"),
        ("a: {when: {any: [auc < 0.8, auc > 0.7]}}", "monitor.rules.a.when", "is always so", "`any` and `all`"),
    ],
)
def test_a_rule_that_does_not(rule: str, key: str, said: str, fix: str) -> None:
    message = refused(with_rules(rule))
    assert key in message
    assert said in message
    assert fix in message


def test_what_nobody_measures_is_named_with_what_was_meant() -> None:
    bare = HEAD + "monitor:\n  logs: logs\n  drift: {psi: 0.2}\n  rules:\n"
    for when, fix in (("drift_shar > 30%", "`drift_share`"), ("pis.age > 1", "`psi.age`"), ("quux", "Readings are")):
        message = refused(f"{bare}    a: {{when: {when}}}\n")
        assert "which nobody measures" in message
        assert fix in message
    assert "nothing looks for drift" in refused(
        HEAD + "monitor: {logs: logs, slo: [latency_p95 <= 1 s], rules: {a: {when: psi.age > 0.2}}}\n"
    )


@pytest.mark.parametrize(
    ("retrain", "key", "said"),
    [
        ("{dispatch: {by: command}}", "retrain.dispatch", "there is none"),
        ("{dispatch: {run: ./train}}", "retrain.dispatch.run", "used by `by: command` only"),
        ("{dispatch: {by: pipeline, workflow: a.yml}}", "retrain.dispatch.workflow", "used by `by: workflow` only"),
        ("{dispatch: {event: x}}", "retrain.dispatch.event", "used by `by: repository` only"),
        ("{dispatch: {by: none, ref: main}}", "retrain.dispatch.ref", "is not used"),
        ("{dispatch: {workflow: ../a.yml}}", "retrain.dispatch.workflow", "no file of a workflow"),
        ("{launcher: ssh gpu1}", "retrain.launcher", "does not run the training"),
        ("{group: my models}", "retrain.group", "cannot name a group"),
        ("{every: 12 hours}", "retrain.every", "shorter than `cooldown`"),
        ("{at_once: 5}", "retrain.at_once", "`per_day` only 4"),
    ],
)
def test_retraining_that_makes_no_sense(retrain: str, key: str, said: str) -> None:
    message = refused(f"{HEAD}retrain: {retrain}\n")
    assert key in message
    assert said in message


def test_retraining_that_does() -> None:
    for retrain in (
        "{}",
        "{dispatch: {by: command, run: ./train}, every: 7 days, group: all, launcher: 'ssh gpu1 {command}'}",
        "{dispatch: {by: repository, event: retrain}}",
        "{dispatch: {by: pipeline, ref: main}, at_once: 4}",
    ):
        load(f"{HEAD}retrain: {retrain}\n")
