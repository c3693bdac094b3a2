"""Settings that the tests of mlgate.config share."""

from __future__ import annotations

from collections.abc import Mapping

from mlgate.config import Config, load

FULL = """\
schema: 1
model: doctor-visits
mode: report
fail_on: fail
artifact: models/visits
data:
  - {path: data/train.parquet}
  - path: data/test.parquet
train:
  data: data/train.parquet
  python: .venv/bin/python
evaluate:
  holdout:
    data: data/test.parquet
    metrics: [metrics/eval.json]
    predictions: {path: eval/predictions.parquet}
compare:
  champion: main
  anchor: visits@v1.0.0
  rules:
    auc: {is: roc_auc, threshold: 0.70, max_absolute_regression: 0.01, max_anchor_regression: 0.02}
    log_loss: {max_relative_regression: 2%, warn_relative_regression: 0.01}
    weighted avg.f1-score:
      threshold: 1e-3
  policy: {missing_metric: fail, missing_champion: error, not_comparable: warn, no_credentials: error}
"""
# Every key there is.
WIDE = """\
schema: 1
model: doctor-visits
mode: report
fail_on: fail
artifact: models/visits
data:
  - path: data/train.csv
    contract: contracts/persons.yaml
    reference: data/last-year.csv
    id: person_year
    read: {format: csv, delimiter: ";", quote: "'", encoding: latin-1, header: true, nulls: ["", NA, "-999"]}
  - path: data/test.parquet
    contract: contracts/persons.yaml
    apart_from: [data/train.csv, "data/old/*.csv"]
    apart_by: [person, year]
train:
  data: data/train.csv
  python: .venv/bin/python
  verify: score
  stages: [prepare, train]
  tolerance: 1e-9
  environment: [LICENSE_KEY]
  experiment: visits
  cost_per_hour: 0.35
evaluate:
  holdout:
    data: data/test.parquet
    metrics: [metrics/eval.json]
    predictions: {path: eval/predictions.parquet}
    columns: {id: person_year}
    score: python src/score.py {model} {data} {predictions} --home ${HOME}
compare:
  champion: main
  anchor: visits@v1.0.0
  rules:
    auc: {is: roc_auc, threshold: 0.70, max_absolute_regression: 0.01, max_anchor_regression: 0.02}
    log_loss: {max_relative_regression: 2%, warn_relative_regression: 0.01}
  policy: {missing_metric: fail, missing_champion: error, not_comparable: warn, no_credentials: error}
"""
# What is recomputed from rows: tasks, parameters of estimators, groups, costs, the ledger.
ROWS = """\
schema: 1
model: visits
artifact: models/visits
train:
  requirements: [requirements.txt]
evaluate:
  holdout:
    data: data/test.parquet
    labels: data/labels.csv
    metrics: [metrics/eval.json]
    task: binary
    predictions: {path: eval/predictions.parquet, score: p_visit, cut_off: 0.5}
    columns: {id: person_year, label: visited, positive: 1, weight: share, cluster: person}
    score: python src/score.py {model} {data} {predictions}
    latency: {rows: 10, calls: 500, predict: "app.serve:load"}
    rules:
      f2: {is: f_beta, beta: 2, threshold: 0.5, threshold_by: bound, tolerance: 1e-4}
      ece: {bins: 20, threshold: 0.05}
  animals:
    data: data/animals.csv
    metrics: [metrics/animals.json]
    predictions: {path: eval/animals.csv, score: {cat: p_cat, dog: p_dog, none: p_none}, class: guess}
    columns: {id: image, label: animal}
    rules:
      f1: {average: macro, max_absolute_regression: 0.01}
      hits: {is: top_k_accuracy, k: 2, threshold: 0.9}
      cost: {is: expected_cost, cost_matrix: {cat: {dog: 1, none: 5}, dog: {cat: 2.5}}, max_relative_regression: 5%}
  prices:
    data: data/prices.parquet
    metrics: [metrics/prices.json]
    predictions: {path: eval/prices.parquet, score: price}
    columns: {id: offer, label: paid}
    rules:
      p90: {is: mean_pinball_loss, quantile: 0.9, max_relative_regression: 2%}
      euros: {is: row_mean, column: loss, greater_is_better: false, max_absolute_regression: 0.5}
      margin: {is: row_mean, entry_point: "shop.metrics:margin", greater_is_better: true, threshold: 0}
  search:
    data: data/search.parquet
    metrics: [metrics/search.json]
    predictions: {path: eval/search.parquet, score: rank}
    columns: {id: hit, label: relevance, query: search}
    rules:
      ndcg: {k: 10, max_absolute_regression: 0.01}
compare:
  champion: ledger:production
  max_age: 90 days
  confidence: 0.9
  rules:
    auc: {is: roc_auc, threshold: 0.70, max_absolute_regression: 0.01}
  costs:
    latency_p95_ms: {threshold: 50}
    model_mb: {max_relative_regression: 20%}
  slices:
    by: [health, [sex, age]]
    edges: {age: [18, 40, 65]}
    min_rows: 300
    rules:
      auc: {max_absolute_regression: 0.03}
  fairness:
    by: sex
    edges: {}
    min_rows: 500
    rules:
      disparate_impact_ratio: {threshold: 0.8}
      odds: {is: equalized_odds_difference, threshold: 0.1, max_absolute_regression: 0.02}
  approval: {label: approved}
  policy: {not_comparable: rescore, unapproved: fail}
ledger: {remote: "https://github.com/team/ledger.git", branch: decisions}
"""
SMALL = "schema: 1\nmodel: m\nevaluate: {holdout: {metrics: [metrics.json]}}\n"

BASE = """\
schema: 1
mode: report
evaluate:
  holdout: {metrics: [metrics/eval.json], data: data/test.csv}
compare:
  rules:
    auc: {is: roc_auc, threshold: 0.70, max_absolute_regression: 0.01}
"""
CHILD = """\
model: visits
extends: ../../mlgate.base.yaml
compare:
  rules:
    auc: {threshold: 0.75}
    log_loss: {threshold: 0.6}
"""


def read(text: str | bytes, file: str = "mlgate.yaml", others: Mapping[str, str] | None = None) -> Config:
    files = {path: content.encode() for path, content in (others or {}).items()}
    return load(text, file=file, base=files.get)
