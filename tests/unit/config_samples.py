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
