"""What `monitor` and `notify` may not say: each would see nothing, tell nobody, or look like a check and be none."""

# ruff: noqa: E501 -- a message reads best on one line, as users see it

from __future__ import annotations

import pytest
from config_samples import read

from mlgate.config import Config
from mlgate.errors import MlgateError

BASE = """\
schema: 1
model: visits
data:
  - {path: data/train.parquet, contract: contracts/persons.yaml}
train: {data: data/train.parquet}
evaluate:
  holdout:
    data: data/test.parquet
    metrics: [metrics/eval.json]
    predictions: {path: eval/p.parquet, score: p, cut_off: 0.5}
    columns: {id: person, label: visited, positive: 1}
deploy:
  trust: branch
  environments:
    staging: {target: {kind: local, port: 8081}, strategy: blue-green}
    production: {target: {kind: local, port: 8082}, strategy: blue-green}
"""
LOGS = "logs: logs/*.jsonl"
TRUTH = "truth: {path: truth.parquet, label: visited}"
DRIFT = "drift: {psi: 0.2}"
AUC = "performance: {rules: {auc: {threshold: 0.7}}}"


def config(*monitor: str, base: str = BASE, notify: str = "") -> Config:
    lines = "".join(f"  {line}\n" for line in monitor)
    return read(base + (f"monitor:\n{lines}" if monitor else "") + notify)


def refusal(*monitor: str, base: str = BASE, notify: str = "") -> str:
    with pytest.raises(MlgateError) as caught:
        config(*monitor, base=base, notify=notify)
    return str(caught.value).split(": ", 1)[1]


def test_a_whole_watch_is_taken() -> None:
    found = config(
        "environment: production",
        'logs: {path: "s3://acme/{date}/*.jsonl.gz", fields: {status: code}}',
        "window: 1 hour",
        "drift: {psi: 0.2, share: 30%, alpha: 1%, prediction: {ks: 0.1}, columns: {age: {ks: 0.1}}, by: [sex], classifier: 0.6}",
        "data: {}",
        "truth: {path: truth.parquet, label: visited, within: 14 days}",
        "performance: {rules: {auc: {threshold: 0.7, max_absolute_regression: 0.02}, f_beta: {beta: 2, threshold: 0.1}}}",
        "fairness: {by: [sex, age], edges: {age: [40]}, min_rows: 300, rules: {dpd: {threshold: 0.1}, equal_opportunity_ratio: {threshold: 0.8}}}",
        'slo: ["latency_p95 <= 100 ms", "error_rate < 1%", "availability >= 99.9%", "auc >= 0.7", "conversion >= 2%", "requests >= 100"]',
        "metrics: {conversion: {query: 'sum(rate(x{job=\"a\"}[{seconds}s]))'}, revenue: {run: 'sh revenue.sh {since} {until}'}}",
        notify="notify:\n  channels: {alerts: SLACK_URL, tickets: {issue: true, labels: [model]}}\n  routes: {info: [], warn: alerts}\n"
        '  quiet: {since: "22:00", until: "07:00", zone: Europe/Berlin, above: warn}\n',
    )
    assert found.monitor.window == 3600
    assert config().monitor.logs is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((DRIFT,), "monitor.drift has no log to look at. Add `logs: <file or folder>` to `monitor`."),
        ((LOGS,), "monitor.logs are read, and nothing is measured in them. Add `drift`, `data`, `performance`, `fairness` or `slo`, or remove it."),
        ((LOGS, DRIFT, "environment: prod"), "monitor.environment is `prod`, which `deploy.environments` does not have. Use `staging` or `production`."),
        ((LOGS, DRIFT, "environment: productoin"), "monitor.environment is `productoin`, which `deploy.environments` does not have. Did you mean `production`?"),
        ((LOGS, DRIFT, "window: 30 seconds"), "monitor.window is 30 seconds. Write whole seconds, a minute or more: `1 hour`."),
        ((LOGS, DRIFT, "window: 30 days", "history: 7 days"), "monitor.history is shorter than one window. Write how far back charts go: `90 days`."),
        ((LOGS, DRIFT, "profile: ../profile.json"), "monitor.profile is `../profile.json`, outside the repository. Only files of this repository are read."),
        ((LOGS, "data: {contract: /etc/contract.yaml}"), "monitor.data.contract is `/etc/contract.yaml`"),
    ],
)  # fmt: skip
def test_the_section_as_a_whole(lines: tuple[str, ...], said: str) -> None:
    assert refusal(*lines).startswith(said)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{format: csv}", " does not say where the rows are. Add `path: <file or folder>`, or `query` and `database`."),
        ("{path: a.csv, query: select 1, database: DB}", " names files and a query. Keep one."),
        ("{query: select 1}", ".query is sent to no database. Add `database: <NAME>`: the variable that holds its address."),
        ("{path: a.csv, database: DB}", ".database is asked nothing. Add `query: SELECT ...`, or remove it."),
        ("{query: select 1, database: DB, format: csv}", ".format is for files. Remove it."),
        ('{path: "logs/{dat}.csv"}', ".path[0] holds `{dat}`, which stands for nothing. Did you mean `{date}`?"),
        ('{path: ["a.csv", "logs/{x}/"]}', ".path[1] holds `{x}`, which stands for nothing. It may hold `{date}`, `{year}`, `{month}`, `{day}` or `{hour}`."),
    ],
)  # fmt: skip
def test_where_rows_come_from(source: str, said: str) -> None:
    assert f"monitor.logs{said}" in refusal(f"logs: {source}", DRIFT)
    told = f"truth: {source.replace('{', '{label: y, ', 1)}"
    assert f"monitor.truth{said}" in refusal(LOGS, told, AUC)


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ("{}", " has no limit, so it would check nothing. Add `psi: 0.2`, or another limit; none has a default."),
        ("{share: 30%}", ".share counts features that drifted, and no feature has a limit. Add `psi: 0.2`."),
        ("{prediction: {psi: 0.1}, share: 30%}", ".share counts features that drifted, and no feature has a limit."),
        ("{psi: 0.2, share: 100%}", ".share is all of them, which nothing would exceed."),
        ("{psi: 0.2, alpha: 0}", ".alpha is 0, so that nothing would ever be drift."),
        ("{psi: 0.2, alpha: 90%}", ".alpha is more than every second run."),
        ("{ks: 1}", ".ks is 1, which nothing would exceed. Write a number below 1."),
        ("{nulls: 100%}", ".nulls is 1, which nothing would exceed."),
        ("{prediction: {js: 1.5}}", ".prediction.js is 1.5, which nothing would exceed."),
        ("{psi: 0.2, columns: {age: {}}}", ".columns.age has no limit, so it would not be looked at."),
        ("{psi: 0.2, ignore: [age], columns: {age: {psi: 0.1}}}", ".columns.age has limits, and `ignore` names it. Remove one of the two."),
        ("{psi: 0.2, classifier: 0.5}", ".classifier is 0.5. Write an AUC between 0.5 (nothing moved) and 1, such as 0.6."),
        ("{psi: 0.2, reference: data/train.parquet}", ".reference is read by `classifier` only."),
        ("{psi: 0.2, by: [agee]}", ".by[0] names `agee`, which `serve.log.features` does not. Did you mean `age`?"),
        ("{psi: 0.2, columns: {income: {psi: 0.3}}}", ".columns.income names `income`, which `serve.log.features` does not. Add it to `serve.log.features`."),
    ],
)  # fmt: skip
def test_drift(drift: str, said: str) -> None:
    base = BASE + "serve: {log: {features: [age, sex], hashed: [zip]}}\n"
    assert refusal(LOGS, f"drift: {drift}", base=base).startswith(f"monitor.drift{said}")


def test_a_classifier_needs_data_to_tell_production_from() -> None:
    base = BASE.replace("train: {data: data/train.parquet}\n", "")
    assert refusal(LOGS, "drift: {classifier: 0.6}", base=base).startswith(
        "monitor.drift.classifier has no reference data"
    )
    config(LOGS, "drift: {classifier: 0.6, reference: data/train.parquet}", base=base)


def test_features_are_only_known_of_our_own_log() -> None:
    config(LOGS, "drift: {psi: 0.2, by: [whatever]}")


def test_a_contract_has_to_be_somewhere() -> None:
    said = "monitor.data has no contract to hold production against. Add `contract: <file>`, or a `contract` to the data that `train.data` names."
    assert refusal(LOGS, "data: {}", base=BASE.replace(", contract: contracts/persons.yaml", "")) == said
    assert refusal(LOGS, "data: {}", base=BASE.replace("train: {data: data/train.parquet}\n", "")) == said


FAIR = "fairness: {by: [sex], min_rows: 300, rules: {%s: {threshold: 0.8}}}"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((LOGS, AUC), "monitor.performance has no truth to be measured by. Add `truth: {path: <file>, label: <column>}` to `monitor`."),
        ((LOGS, FAIR % "equal_opportunity_ratio"), "monitor.fairness.rules.equal_opportunity_ratio needs truth, which nothing names."),
        ((LOGS, FAIR % "disparate_impact_ratio", TRUTH), "monitor.truth is known, and nothing is measured by it."),
        ((LOGS, AUC, "truth: {path: t.csv, label: a, time: a}"), "monitor.truth.time is `a`, as is `label`. Name another column."),
        ((LOGS, AUC, "truth: {path: t.csv, label: a, within: 100 days}"), "monitor.truth.within is longer than `monitor.history`"),
    ],
)  # fmt: skip
def test_truth(lines: tuple[str, ...], said: str) -> None:
    assert refusal(*lines).startswith(said)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("auc: {}", ".rules.auc has no limit, so it would check nothing."),
        ("auc: {threshold: 0.7, max_anchor_regression: 0.1}", ".rules.auc.max_anchor_regression means nothing in production. Remove it; the limits are `threshold`,"),
        ("auc: {threshold: 0.7, threshold_by: bound}", ".rules.auc.threshold_by means nothing in production."),
        ("auc: {threshold: 0.7, tolerance: 0.1}", ".rules.auc.tolerance means nothing in production."),
        ("auc: {min_absolute_change: 0.1}", ".rules.auc.min_absolute_change means nothing in production."),
        ("auc: {min_relative_change: 0.1}", ".rules.auc.min_relative_change means nothing in production."),
        ("auc: {threshold: 0.7, warn_threshold: 0.6}", ".rules.auc.warn_threshold is not stricter than `threshold`"),
        ("gain: {threshold: 0.7, greater_is_better: true}", ".rules.gain names no estimator, and there is no metrics file of production."),
        ("auc: {is: rock_auc, threshold: 0.7}", ".rules.auc.is is `rock_auc`, which is not an estimator that mlgate knows."),
        ("own: {is: row_mean, column: gain, greater_is_better: true, threshold: 1}", ".rules.own is made of values per row, which production does not log."),
        ("f_beta: {threshold: 0.7}", ".rules.f_beta is `f_beta`, which needs `beta`."),
        ("mae: {threshold: 3}", ".rules.mae is `mean_absolute_error`, which `evaluate.holdout` is not for."),
        ("ndcg: {threshold: 0.3}", ".rules.ndcg is `ndcg`, and rankings are not measured in production."),
        ("estimated_auc: {is: roc_auc, threshold: 0.3}", ".rules.estimated_auc is shown, and decides nothing: it is not measured. Write `auc`."),
    ],
)  # fmt: skip
def test_rules_of_performance(rule: str, said: str) -> None:
    assert f"monitor.performance{said}" in refusal(LOGS, TRUTH, f"performance: {{rules: {{{rule}}}}}")


def test_performance_is_held_against_one_evaluation_set() -> None:
    two = BASE.replace("deploy:", "  other:\n    metrics: [metrics/other.json]\ndeploy:")
    said = "monitor.performance does not say which evaluation set it is held against. Add `evaluation:` `holdout` or `other`."
    assert refusal(LOGS, TRUTH, AUC, base=two) == said
    config(LOGS, TRUTH, "performance: {evaluation: other, rules: {auc: {threshold: 0.7}}}", base=two)
    wrong = refusal(LOGS, TRUTH, "performance: {evaluation: holduot, rules: {auc: {threshold: 0.7}}}")
    assert (
        wrong == "monitor.performance.evaluation is `holduot`, which `evaluate` does not have. Did you mean `holdout`?"
    )


def test_of_several_classes_the_log_has_the_decided_one() -> None:
    several = BASE.replace("score: p, cut_off: 0.5", "score: {cat: p_cat, dog: p_dog, owl: p_owl}").replace(
        ", positive: 1", ""
    )
    said = refusal(LOGS, TRUTH, "performance: {rules: {log_loss: {threshold: 1}}}", base=several)
    assert said.startswith(
        "monitor.performance.rules.log_loss is `log_loss`, made of a score for each class, and the log has one prediction."
    )
    assert "needs `average`" in refusal(LOGS, TRUTH, "performance: {rules: {f1: {threshold: 0.1}}}", base=several)
    config(LOGS, TRUTH, "performance: {rules: {accuracy: {threshold: 0.1}}}", base=several)
    unscored = "logs: {path: a.csv, fields: {score: ~}}"
    assert "and the log has no score" in refusal(unscored, TRUTH, AUC)


@pytest.mark.parametrize(
    ("fairness", "said"),
    [
        ("{by: [sex], min_rows: 9, rules: {dpd: {threshold: 0.1, max_absolute_regression: 0.1}}}", ".rules.dpd.max_absolute_regression means nothing for fairness in production."),
        ("{by: [sex], min_rows: 9, rules: {dpd: {}}}", ".rules.dpd has no limit, so it would check nothing."),
        ("{by: [sex], min_rows: 9, rules: {dpd: {threshold: 3}}}", ".rules.dpd.threshold is `3`, but a difference of rates lies between 0 and 1."),
        ("{by: [sex], min_rows: 9, rules: {dpd: {threshold: 0.1, warn_threshold: 0.2}}}", ".rules.dpd.warn_threshold is not stricter than `threshold`"),
        ("{by: [sex], min_rows: 9, rules: {parity: {threshold: 0.1}}}", ".rules.parity is no fairness metric that mlgate knows."),
        ("{by: [sex], edges: {age: [4]}, min_rows: 9, rules: {dpd: {threshold: 0.1}}}", ".edges.age is no column of `by`."),
        ("{by: [age], edges: {age: [4, 3]}, min_rows: 9, rules: {dpd: {threshold: 0.1}}}", ".edges.age is not in ascending order."),
        ("{by: [site], min_rows: 9, rules: {dpd: {threshold: 0.1}}}", ".by names `site`, which `serve.log.features` does not."),
        ("{by: [zip], edges: {zip: [4]}, min_rows: 9, rules: {dpd: {threshold: 0.1}}}", ".edges.zip is of a column that is logged as a hash."),
    ],
)  # fmt: skip
def test_fairness(fairness: str, said: str) -> None:
    base = BASE + "serve: {log: {features: [age, sex], hashed: [zip]}}\n"
    assert f"monitor.fairness{said}" in refusal(LOGS, f"fairness: {fairness}", base=base)


def test_fairness_is_about_two_classes() -> None:
    numbers = (
        BASE.replace("score: p, cut_off: 0.5", "score: p")
        .replace(", positive: 1", "")
        .replace("    columns", "    task: regression\n    columns")
    )
    said = refusal(LOGS, FAIR % "disparate_impact_ratio", base=numbers)
    assert (
        said
        == "monitor.fairness compares decisions between two classes, and `evaluate.holdout` has not two. Remove it."
    )


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("latency_p95", "is `latency_p95`, which names no limit. Write it like `latency_p95 <= 1%`."),
        ("latency_p95 ~ 3", "is `latency_p95 ~ 3`, which is no sentence."),
        ("latency_p9 <= 100 ms", "names `latency_p9`, which nobody measures. Did you mean `latency_p99`?"),
        ("revenue >= 3", "names `revenue`, which nobody measures. Name it in `monitor.metrics`, or in `monitor.performance.rules`."),
        ("estimated_auc >= 0.7", "names `estimated_auc`, which is shown and decides nothing. Write `auc`"),
        ("latency_p95 >= 100 ms", "says `latency_p95 >= 100 ms`, and more of that is never better. Write `latency_p95 <= 100 ms`."),
        ("latency_p95 <= 100", "says `latency_p95 <= 100`: a time is not given so. Write it like `latency_p95 <= 100 ms`."),
        ("error_rate <= 1 s", "says `error_rate <= 1 s`: a share is not given in `s`."),
        ("error_rate <= 100%", "says `error_rate <= 100%`, which nothing would break."),
        ("availability >= 0%", "says `availability >= 0%`, which nothing would break."),
        ("availability >= 99.9", "says `availability >= 99.9`, and a share lies between 0 and 100 %."),
        ("availability <= 99%", "says `availability <= 99%`, and less of that is never better."),
        ("auc <= 0.7", "says `auc <= 0.7`, and less of that is never better. Write `auc >= 0.7`."),
    ],
)  # fmt: skip
def test_objectives(sentence: str, said: str) -> None:
    logs = "logs: {path: a.csv, fields: {status: code}}"
    assert refusal(logs, TRUTH, AUC, f'slo: ["{sentence}"]').startswith(f"monitor.slo[0] {said}")


def test_objectives_are_read_from_what_the_log_has() -> None:
    assert "names `error_rate`, and the log has no status of answers." in refusal(LOGS, "slo: [error_rate <= 1%]")
    unmeasured = "logs: {path: a.csv, fields: {latency_ms: ~}}"
    assert "names `latency_p50`, and the log has no latency." in refusal(unmeasured, 'slo: ["latency_p50 <= 1 s"]')
    assert "names `requests`, which is read from a log." in refusal("slo: [requests >= 10]")
    config("slo: [error_rate <= 1%]", "metrics: {error_rate: {query: x}}")
    assert "stands there already" in refusal(LOGS, 'slo: ["latency_p50 <= 1 s", "latency_p50  <=  1 s"]')


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ("{revenue: {}}", ".revenue has neither `query` nor `run`. Say one of them."),
        ("{revenue: {query: x, run: y}}", ".revenue has `query` and `run`."),
        ("{revenue: {run: y, prometheus: 'http://p'}}", ".revenue.prometheus is used with `query` only."),
        ("{re-venue: {run: y}}", ".re-venue cannot be named by a rule."),
        ("{latency_p95: {run: y}}", ".latency_p95 is measured without it. Give it another name."),
        ("{auc: {run: y}}", ".auc is measured without it."),
        ("{drift: {run: y}}", ".drift is measured without it."),
        ("{revenue: {query: 'x{slot}'}}", ".revenue.query holds `{slot}`, which stands for nothing here. The words are since, until, seconds, model, environment."),
        ("{revenue: {run: 'a {sinse}'}}", ".revenue.run holds `{sinse}`, which stands for nothing here. Did you mean `{since}`?"),
    ],
)  # fmt: skip
def test_numbers_of_your_own(metrics: str, said: str) -> None:
    assert refusal(LOGS, DRIFT, TRUTH, AUC, f"metrics: {metrics}").startswith(f"monitor.metrics{said}")


def test_shell_and_prometheus_keep_their_own_braces() -> None:
    config(LOGS, DRIFT, "metrics: {a: {query: 'sum(x{job=\"b\"})'}, b: {run: 'echo ${home} {until}'}}")


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        ("{channels: {a b: URL}}", "channels.a b cannot name a channel."),
        ("{channels: {a: {}}}", "channels.a leads nowhere. Write `to: <NAME of the variable with the address>`, or `issue: true`."),
        ("{channels: {a: {to: URL, issue: true}}}", "channels.a is an address and an issue."),
        ("{channels: {a: {to: URL, labels: [x]}}}", "channels.a.labels are those of an issue. Add `issue: true`, or remove them."),
        ("{channels: {alerts: URL}, routes: {warn: alert}}", "routes.warn[0] names `alert`, which is no channel. Did you mean `alerts`?"),
        ("{routes: {warn: [alerts]}}", "routes.warn[0] names `alerts`, which is no channel. Add it to `notify.channels`."),
        ('{quiet: {since: "25:00", until: "07:00"}}', 'quiet.since is `25:00`, which is no time of day. Write it like "22:00", in quotes.'),
        ('{quiet: {since: "22:00", until: "22:00"}}', "quiet.until is `since`: it would always be quiet, or never."),
        ('{quiet: {since: "22:00", until: "07:00", zone: Mars/Base}}', "quiet.zone is `Mars/Base`, which is no time zone."),
        ('{quiet: {since: "22:00", until: "07:00", zone: ../etc/passwd}}', "quiet.zone is `../etc/passwd`, which is no time zone."),
        ('{quiet: {since: "22:00", until: "07:00", above: info}}', "quiet.above is `info`, so that nothing would be held."),
    ],
)  # fmt: skip
def test_who_is_told(notify: str, said: str) -> None:
    assert refusal(notify=f"notify: {notify}\n").startswith(f"notify.{said}")
