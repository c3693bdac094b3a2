"""Every mistake in mlgate.yaml: one sentence with file, line, key, and how to mend it."""

# ruff: noqa: E501 -- a message reads best on one line, as users see it

from __future__ import annotations

import pytest
from config_samples import FULL, ROWS, SMALL, WIDE, read

from mlgate import __version__
from mlgate.config import load
from mlgate.errors import MlgateError


def refusal(text: str | bytes) -> MlgateError:
    with pytest.raises(MlgateError) as caught:
        read(text)
    return caught.value


def edited(before: str, after: str) -> str:
    assert FULL.count(before) >= 1
    return FULL.replace(before, after, 1)


AUC = "mlgate.yaml:21: compare.rules.auc"
LOSS = "mlgate.yaml:22: compare.rules.log_loss"

KEYS = [
    ("threshold: 0.70", "treshold: 0.70", f"{AUC}.treshold is not a key. Did you mean `threshold`?"),
    ("threshold: 0.70", "min: 0.70", f"{AUC}.min is not a key. Did you mean `threshold`?"),
    ("is: roc_auc", "is_: roc_auc", f"{AUC}.is_ is not a key. Did you mean `is`?"),
    (
        "is: roc_auc",
        "higher-is-better: true",
        f"{AUC}.higher-is-better is not a key. Did you mean `greater_is_better`?",
    ),
    ("max_absolute_regression", "max-absolute-regression", f"{AUC}.max-absolute-regression is not a key. Did you mean"),
    ("threshold: 0.70", "threshold: 0,70", f"{AUC}.70 is not a key. If `,` is meant as the decimal point, write `.`"),
    ("threshold: 0.70", "0.70", f"{AUC}.0.70 is not a key. Say what it limits: `threshold: 0.70`."),
    ("evaluate:", "evaluation:", "mlgate.yaml:12: evaluation is not a key. Did you mean `evaluate`?"),
    ("schema: 1", "schema_version: 1", "mlgate.yaml:1: schema_version is not a key. Did you mean `schema`?"),
    ("mode: report", "rules: {}", "mlgate.yaml:3: rules is not a key. `rules` belongs in `compare`."),
    (
        "  champion: main",
        "  fail_on: warn",
        "mlgate.yaml:18: compare.fail_on is not a key. `fail_on` belongs at the top level",
    ),
    ("mode: report", "colour: red", "mlgate.yaml:3: colour is not a key. The keys here are `schema`, `extends`,"),
    ("mode: report", "mode: report\nmode: enforce", "mlgate.yaml:4: mode is given twice; the first is on line 3."),
    ("is: roc_auc", "is: roc_auc, is: log_loss", f"{AUC}.is is given twice; the first is on line 21."),
    ("    log_loss:", "    auc: {threshold: 0}\n    log_loss:", "mlgate.yaml:22: compare.rules.auc is given twice;"),
    ("model: doctor-visits\n", "", "mlgate.yaml: model is missing. Add `model: <name>`"),
    ("schema: 1\n", "", "mlgate.yaml: schema is missing. Add `schema: 1` as the first line."),
    (
        "    metrics: [metrics/eval.json]\n",
        "",
        "mlgate.yaml:13: evaluate.holdout.metrics is missing. Add `metrics: [<file>]`",
    ),
    ("{path: data/train.parquet}", "{}", "mlgate.yaml:7: data[0].path is missing. Add `path:`."),
    ("{path: eval/predictions.parquet}", "{}", "mlgate.yaml:16: evaluate.holdout.predictions.path is missing."),
    ("holdout:", '"hold/out":', "mlgate.yaml:13: evaluate.hold/out cannot name an evaluation set."),
    ("is: roc_auc", "<<: {}", "mlgate.yaml:21: `<<` is not read. Write the keys out"),
    ("auc: {", f"{'x' * 201}: {{", "mlgate.yaml:21: the key `xxx"),
    ("auc: {", '"a\\u202eb": {', "mlgate.yaml:21: the key `a\\x202eb` holds the unseen character U+202E."),
    ("auc: {", '"a\\nb": {', "mlgate.yaml:21: the key `a\\x0ab` holds the unseen character U+000A."),
]

TYPES = [
    (
        "threshold: 0.70",
        'threshold: "0.70"',
        f'{AUC}.threshold must be a number, but is the text `"0.70"`. Remove the quotes: `0.70`.',
    ),
    ("threshold: 0.70", "threshold: [0.7]", f"{AUC}.threshold must be a number, but is a list. Write a single number."),
    ("threshold: 0.70", "threshold: true", f"{AUC}.threshold must be a number, but is `true`."),
    ("threshold: 0.70", "threshold: yes", f"{AUC}.threshold must be a number, but is `yes`."),
    (
        "threshold: 0.70",
        "threshold: 1_000",
        f"{AUC}.threshold must be a number, but is `1_000`. Write it without `_`: `1000`.",
    ),
    (
        "threshold: 0.70",
        "threshold: 010",
        f"{AUC}.threshold must be a number, but is `010`. Write it without the leading zero",
    ),
    (
        "threshold: 0.70",
        'threshold: "0,7"',
        f'{AUC}.threshold must be a number, but is the text `"0,7"`. Write the decimals after a point',
    ),
    ("threshold: 0.70", "threshold: 70%", f"{AUC}.threshold is `70%`, but it is in the metric's own units."),
    ("threshold: 0.70", "threshold: .nan", f"{AUC}.threshold must be a finite number, but is NaN."),
    ("threshold: 0.70", "threshold: -.inf", f"{AUC}.threshold must be a finite number, but is infinite."),
    ("threshold: 0.70", "threshold: nan", f"{AUC}.threshold must be a number, but is `nan`."),
    ("threshold: 0.70", "threshold: 1e9999999999", f"{AUC}.threshold must be a number, but is `1e9999999999`."),
    (
        "threshold: 0.70",
        "threshold: 1e999999999",
        f"{AUC}.threshold is `1e999999999`, which has more digits than mlgate",
    ),
    ("threshold: 0.70", f"threshold: 0.{'1' * 26}", f"{AUC}.threshold is `0.{'1' * 26}`, which has more digits than"),
    (
        "max_absolute_regression: 0.01",
        "max_absolute_regression: -0.01",
        f"{AUC}.max_absolute_regression is `-0.01`, but must not be negative.",
    ),
    (
        "max_absolute_regression: 0.01",
        "max_absolute_regression: 1%",
        f"{AUC}.max_absolute_regression is `1%`, but an absolute change",
    ),
    (
        "max_anchor_regression: 0.02",
        "max_anchor_regression: .inf",
        f"{AUC}.max_anchor_regression must be a finite number",
    ),
    ("regression: 2%", "regression: 1", f"{LOSS}.max_relative_regression is `1`, which is 100 %."),
    (
        "regression: 2%",
        "regression: 2",
        f"{LOSS}.max_relative_regression is `2`, which is 200 %. Write the percentage, `2%`",
    ),
    ("regression: 2%", "regression: -2%", f"{LOSS}.max_relative_regression must be a percentage, but is `-2%`."),
    ("regression: 2%", "regression: two", f"{LOSS}.max_relative_regression must be a number, but is `two`."),
    ("regression: 2%", "regression: .nan", f"{LOSS}.max_relative_regression must be a finite number, but is NaN."),
    (
        "is: roc_auc",
        "greater_is_better: yes",
        f"{AUC}.greater_is_better must be `true` or `false`, but is `yes`. Write `true`",
    ),
    (
        "is: roc_auc",
        "greater_is_better: 1",
        f"{AUC}.greater_is_better must be `true` or `false`, but is the number `1`.",
    ),
    (
        "model: doctor-visits",
        "model: 2024",
        'mlgate.yaml:2: model must be text, but is the number `2024`. Put it in quotes: `"2024"`.',
    ),
    ("model: doctor-visits", "model: my model", "mlgate.yaml:2: model is `my model`, which cannot name a model."),
    ("model: doctor-visits", "model: ../x", "mlgate.yaml:2: model is `../x`, which cannot name a model."),
    ("model: doctor-visits", "model:", "mlgate.yaml:2: model must be text, but is nothing."),
    (
        "python: .venv/bin/python",
        "python: yes",
        'mlgate.yaml:11: train.python is `yes`, which some readers of YAML take for a boolean. Put it in quotes: `"yes"`.',
    ),
    ("is: roc_auc", "is: no", f"{AUC}.is is `no`, which some readers"),
    ("python: .venv/bin/python", "python: [1]", "mlgate.yaml:11: train.python must be text, but is a list."),
    (
        "python: .venv/bin/python",
        'python: "\\e[31m"',
        "mlgate.yaml:11: train.python holds the unseen character U+001B.",
    ),
    ("python: .venv/bin/python", 'python: " "', "mlgate.yaml:11: train.python must not be empty."),
    (
        "python: .venv/bin/python",
        f"python: {'x' * 1001}",
        "mlgate.yaml:11: train.python is longer than 1000 characters.",
    ),
    (
        "metrics: [metrics/eval.json]",
        "metrics: metrics/eval.json",
        "mlgate.yaml:15: evaluate.holdout.metrics must be a list, but is `metrics/eval.json`. Write it as a list: `[metrics/eval.json]`.",
    ),
    (
        "metrics: [metrics/eval.json]",
        "metrics: []",
        "mlgate.yaml:15: evaluate.holdout.metrics is empty; at least one is needed.",
    ),
    (
        "{path: data/train.parquet}",
        "data/train.parquet",
        "mlgate.yaml:7: data[0] must be a mapping of keys, but is `data/train.parquet`. Write `- {path: <file>}`.",
    ),
    (
        "auc: {is: roc_auc, ",
        "auc: 0.7\n    x: {",
        "mlgate.yaml:21: compare.rules.auc must be a mapping of keys, but is the number `0.7`. A rule names its limit",
    ),
    (
        "auc: {is: roc_auc, ",
        "auc:\n    x: {",
        "mlgate.yaml:21: compare.rules.auc must be a mapping of keys, but is nothing. A rule names its limit",
    ),
    (
        "mode: report",
        "mode: dry_run",
        "mlgate.yaml:3: mode must be `enforce`, `report` or `off`, but is `dry_run`. Did you mean `report`?",
    ),
    (
        "mode: report",
        "mode: enabled",
        "mlgate.yaml:3: mode must be `enforce`, `report` or `off`, but is `enabled`. Did you mean `enforce`?",
    ),
    (
        "mode: report",
        "mode: disabled",
        "mlgate.yaml:3: mode must be `enforce`, `report` or `off`, but is `disabled`. Did you mean `off`?",
    ),
    (
        "mode: report",
        "mode: false",
        "mlgate.yaml:3: mode must be `enforce`, `report` or `off`, but is `false`. Did you mean `off`?",
    ),
    (
        "mode: report",
        "mode: Enforce",
        "mlgate.yaml:3: mode must be `enforce`, `report` or `off`, but is `Enforce`. Did you mean `enforce`?",
    ),
    ("mode: report", "mode: [report]", "mlgate.yaml:3: mode must be `enforce`, `report` or `off`, but is a list."),
    (
        "fail_on: fail",
        "fail_on: failure",
        "mlgate.yaml:4: fail_on must be `warn`, `inconclusive`, `fail`, `error` or `never`, but is `failure`. Did you mean `fail`?",
    ),
    (
        "schema: 1",
        "schema: 2",
        f"mlgate.yaml:1: schema is 2, which mlgate {__version__} does not know. Use a newer mlgate.",
    ),
    ("schema: 1", "schema: true", "mlgate.yaml:1: schema must be the number 1, but is `true`."),
    ("schema: 1", "schema: 1.0", "mlgate.yaml:1: schema must be the number 1, but is the number `1.0`."),
    ("schema: 1", 'schema: "1"', 'mlgate.yaml:1: schema must be the number 1, but is the text `"1"`.'),
    (
        "champion: main",
        "champion: 12e45",
        'mlgate.yaml:18: compare.champion must be text, but is the number `12e45`. Put it in quotes: `"12e45"`.',
    ),
    (
        "champion: main",
        'champion: "--upload-pack=x"',
        "mlgate.yaml:18: compare.champion is `--upload-pack=x`, which cannot be a git branch",
    ),
    (
        "champion: main",
        "champion: ./models/old",
        "mlgate.yaml:18: compare.champion is `./models/old`, which cannot be a git branch",
    ),
    ("champion: main", "champion: main:metrics", "mlgate.yaml:18: compare.champion is `main:metrics`, which cannot be"),
    ("anchor: visits@v1.0.0", "anchor: a..b", "mlgate.yaml:19: compare.anchor is `a..b`, which cannot be"),
]

PATHS = [
    ("../../x.json", "outside the repository."),
    ("a/../../x.json", "outside the repository."),
    ("/etc/passwd", "outside the repository."),
    ("~/x.json", "outside the repository."),
    ("C:/x.json", "outside the repository."),
    ("C:\\\\x.json", "outside the repository."),
    ("a\\\\b.json", "Separate folders with `/`: `a/b.json`."),
    ("s3://bucket/x.json", "only files of this repository are read."),
    (".git/config", "inside git's own folder."),
    ("sub/.GIT/config", "inside git's own folder."),
    (".", "the repository itself."),
]

TOGETHER = [
    (
        "is: roc_auc",
        "is: roc_auk",
        f"{AUC}.is is `roc_auk`, which is not an estimator that mlgate knows. Did you mean `roc_auc`?",
    ),
    (
        "is: roc_auc",
        "is: roc_auc, greater_is_better: false",
        f"{AUC}.greater_is_better contradicts `roc_auc`, of which greater is better.",
    ),
    (
        "2%",
        "2%, greater_is_better: true",
        f"{LOSS}.greater_is_better contradicts `log_loss`, of which lower is better.",
    ),
    (
        "is: roc_auc",
        "is: r2, max_relative_regression: 1%",
        f"{AUC}.max_relative_regression makes no sense for `r2`, which can be zero or negative. Use `max_absolute_regression`.",
    ),
    (
        "is: roc_auc",
        "is: mcc, min_relative_change: 1%",
        f"{AUC}.min_relative_change makes no sense for `mcc`, which can be zero or negative. Use `min_absolute_change`.",
    ),
    (
        "is: roc_auc",
        "max_relative_regression: 100%",
        f"{AUC}.max_relative_regression is 100 % or more, so it could never fail.",
    ),
    (
        "is: roc_auc",
        "warn_threshold: 0.7",
        f"{AUC}.warn_threshold is not stricter than `threshold`, so it would never warn. Set it above",
    ),
    (
        "is: roc_auc",
        "is: log_loss, warn_threshold: 0.8",
        f"{AUC}.warn_threshold is not stricter than `threshold`, so it would never warn. Set it below",
    ),
    (
        "is: roc_auc",
        "warn_absolute_regression: 0.01",
        f"{AUC}.warn_absolute_regression is not below `max_absolute_regression`",
    ),
    (
        "warn_relative_regression: 0.01",
        "warn_relative_regression: 2%",
        f"{LOSS}.warn_relative_regression is not below `max_relative_regression`",
    ),
    (
        "    auc: {",
        "    latency: {threshold: 1}\n    auc: {",
        "mlgate.yaml:21: compare.rules.latency does not say which way is better. Add `greater_is_better: true` or `false`",
    ),
    (
        "    auc: {",
        "    mae: {is: mae}\n    auc: {",
        "mlgate.yaml:21: compare.rules.mae has no limit, so it would check nothing.",
    ),
    (
        "    auc: {",
        "    mae: {}\n    auc: {",
        "mlgate.yaml:21: compare.rules.mae has no limit, so it would check nothing.",
    ),
    (
        "  anchor: visits@v1.0.0\n",
        "",
        "mlgate.yaml:20: compare.rules.auc.max_anchor_regression has no anchor to be measured from.",
    ),
    (", max_anchor_regression: 0.02", "", "mlgate.yaml:19: compare.anchor is named, but no rule is measured from it."),
]

# Edits of FULL: what happens to a model that has passed.
SHIPPED = [
    (
        "mode: report",
        "image: {builder: dockerfile}",
        "mlgate.yaml:3: image.builder is `dockerfile`, and none is named. Add `dockerfile: <path>`.",
    ),
    (
        "mode: report",
        "image: {dockerfile: Dockerfile}",
        "mlgate.yaml:3: image.dockerfile is used by `builder: dockerfile` only. Add that, or remove it.",
    ),
    (
        "mode: report",
        "image: {builder: kaniko}",
        "mlgate.yaml:3: image.builder must be `template`, `dockerfile` or `mlflow`, but is `kaniko`.",
    ),
    ("mode: report", "image: {base_image: x}", "mlgate.yaml:3: image.base_image is not a key. Did you mean `base`?"),
    (
        "mode: report",
        "image: {name: 'ghcr.io/acme/visits:v1'}",
        "mlgate.yaml:3: image.name is `ghcr.io/acme/visits:v1`, which names no repository of images. Write it like `ghcr.io/acme/visits`: no tag, no digest; the verb adds them.",
    ),
    (
        "mode: report",
        "image: {platform: arm}",
        "mlgate.yaml:3: image.platform is `arm`, which is no platform. Write it like `linux/arm64`.",
    ),
    (
        "mode: report",
        "image: {packages: ['libgomp1; rm -rf /']}",
        "mlgate.yaml:3: image.packages[0] is `libgomp1; rm -rf /`, which cannot name a package. Write it like `libgomp1`.",
    ),
    (
        "mode: report",
        "image: {include: [../code]}",
        "mlgate.yaml:3: image.include[0] is `../code`, outside the repository. Only files of this repository are read.",
    ),
    (
        "mode: report",
        "image: {skew: {tolerance: 1}}",
        "mlgate.yaml:3: image.skew.tolerance is 1 or more: any score would do. Write a small number.",
    ),
    (
        "mode: report",
        "image: {rules: {image_mb: {}}}",
        "mlgate.yaml:3: image.rules.image_mb has no limit, so it would check nothing. Add `threshold: <number>`, or remove it.",
    ),
    (
        "mode: report",
        "image: {rules: {image_mb: {threshold: 0}}}",
        "mlgate.yaml:3: image.rules.image_mb.threshold is not above 0, and nothing costs less. Write what is allowed.",
    ),
    (
        "mode: report",
        "image: {rules: {throughput_rps: {threshold: 100, warn_threshold: 90}}}",
        "mlgate.yaml:3: image.rules.throughput_rps.warn_threshold would never warn: `threshold` comes first. Make it the stricter one.",
    ),
    (
        "mode: report",
        "image: {rules: {image_mb: {threshold: 100, warn_threshold: 190}}}",
        "mlgate.yaml:3: image.rules.image_mb.warn_threshold would never warn: `threshold` comes first. Make it the stricter one.",
    ),
    (
        "mode: report",
        "serve: {port: 80}",
        "mlgate.yaml:3: serve.port is 80, which a user that is not root cannot open. Use 8080.",
    ),
    ("mode: report", "serve: {port: 70000}", "mlgate.yaml:3: serve.port is 70000, and ports end at 65535."),
    (
        "mode: report",
        "serve: {workers: 65}",
        "mlgate.yaml:3: serve.workers is 65; more than 64 in one container are not started.",
    ),
    (
        "mode: report",
        "serve: {timeout_seconds: 0}",
        "mlgate.yaml:3: serve.timeout_seconds is 0, so that nothing would be answered. Write how much is allowed.",
    ),
    ("mode: report", "serve: {max_body_mb: 2000}", "mlgate.yaml:3: serve.max_body_mb is 2000; at most 1024 are read."),
    (
        "mode: report",
        "serve: {log: {features: [age], hashed: [age]}}",
        "mlgate.yaml:3: serve.log.hashed names `age`, whose values `features` logs as they are. Name it in one of the two.",
    ),
    (
        "mode: report",
        "serve: {log: {to: none, features: [age]}}",
        "mlgate.yaml:3: serve.log.to is `none`, and columns to log are named. Write `stdout` or `file`.",
    ),
    (
        "mode: report",
        "serve: {replay: {sample: 0}}",
        "mlgate.yaml:3: serve.replay.sample must be above 0 and at most 1. Write a share like `1%`, or remove the section.",
    ),
    ("mode: report", "serve: {max_batch: 5}", "mlgate.yaml:3: serve.max_batch is not a key. Did you mean `max_rows`?"),
    (
        "mode: report",
        "register: {to: [mlflow, mlflow]}",
        "mlgate.yaml:3: register.to names the same thing twice. Name each once.",
    ),
    (
        "mode: report",
        "governance: {sla: {availability: 100%}}",
        "mlgate.yaml:3: governance.sla.availability must be above 0 and below 1. Write a share like `99.9%`: nothing is always there.",
    ),
    (
        "mode: report",
        "governance: {model_card: card.yaml}",
        "mlgate.yaml:3: governance.model_card is not a key. Did you mean `card`?",
    ),
    (
        "mode: report",
        "governance: {require: [bias, bias]}",
        "mlgate.yaml:3: governance.require names the same thing twice. Name each once.",
    ),
]

# Edits of WIDE: data, how it is read, training and scoring.
DATA = [
    ("path: data/train.csv", "path: ./data/test.parquet", "mlgate.yaml:12: data[1].path is `data/test.parquet`, as in data[0]. Write one entry for each data file."),
    ("contract: contracts/persons.yaml", "contract: data/../data/train.csv", "mlgate.yaml:8: data[0].contract is the data file itself. Name another file, or remove it."),
    ("contract: contracts/persons.yaml", "contract: ../persons.yaml", "mlgate.yaml:8: data[0].contract is `../persons.yaml`, outside the repository. Only files of this repository are read."),
    ("contract: contracts/persons.yaml", "contract: [a.yaml]", "mlgate.yaml:8: data[0].contract must be text, but is a list."),
    ("contract: contracts/persons.yaml", "contract: s3://b/c.yaml", "mlgate.yaml:8: data[0].contract is the address `s3://b/c.yaml`; only files of this repository are read. Give the path of the file, or of what its DVC pointer tracks."),
    ("contract: contracts/persons.yaml", "suite: a.yaml", "mlgate.yaml:8: data[0].suite is not a key. Did you mean `contract`?"),
    ("reference: data/last-year.csv", "reference: data/train.csv", "mlgate.yaml:9: data[0].reference is the data file itself. Name another file, or remove it."),
    ("    contract: contracts/persons.yaml\n    reference", "    reference", "mlgate.yaml:8: data[0].reference has no `contract` that measures from it. Add a `contract` with `drift` limits, or remove it."),
    ("id: person_year", "id: []", "mlgate.yaml:10: data[0].id must not be empty. Remove the key, or name a column."),
    ("id: person_year", "id: [a, a]", "mlgate.yaml:10: data[0].id names a column twice. Name each once."),
    ("id: person_year", "id: 5", 'mlgate.yaml:10: data[0].id must be text, but is the number `5`. Put it in quotes: `"5"`.'),
    ("format: csv", "format: tsv", "mlgate.yaml:11: data[0].read.format must be `csv`, `parquet` or `jsonl`, but is `tsv`. Did you mean `csv`?"),
    ("format: csv", "format: json", "mlgate.yaml:11: data[0].read.format must be `csv`, `parquet` or `jsonl`, but is `json`. Did you mean `jsonl`?"),
    ("format: csv", "format: parquet", "mlgate.yaml:11: data[0].read.delimiter is for CSV files, but the format is `parquet`. Remove it."),
    ('delimiter: ";"', 'delimiter: ";;"', 'mlgate.yaml:11: data[0].read.delimiter must be one character, but is the text `";;"`. Write it in quotes: `";"`, or `"\\t"` for a tab.'),
    ('delimiter: ";"', "sep: ';'", "mlgate.yaml:11: data[0].read.sep is not a key. Did you mean `delimiter`?"),
    ("encoding: latin-1", "encoding: utf8", "mlgate.yaml:11: data[0].read.encoding must be `utf-8`, `utf-16` or `latin-1`, but is `utf8`. Did you mean `utf-8`?"),
    ("header: true", "header: 1", "mlgate.yaml:11: data[0].read.header must be `true` or `false`, but is the number `1`."),
    ("NA, ", "-999, ", 'mlgate.yaml:11: data[0].read.nulls[1] must be text, but is the number `-999`. Put it in quotes: `"-999"`.'),
    ("NA, ", "~, ", 'mlgate.yaml:11: data[0].read.nulls[1] must be text, but is nothing. Put it in quotes: `""`.'),
    ("NA, ", "no, ", 'mlgate.yaml:11: data[0].read.nulls[1] must be text, but is `no`. Put it in quotes: `"no"`.'),
    ("[data/train.csv, ", "[data//test.parquet, ", "mlgate.yaml:14: data[1].apart_from[0] is the data file itself. Name another file, or remove it."),
    ("[data/train.csv, ", "[/data/train.csv, ", "mlgate.yaml:14: data[1].apart_from[0] is `/data/train.csv`, outside the repository. Give a path relative to this file's folder."),
    ("    apart_by: [person, year]\n", "", "mlgate.yaml:14: data[1].apart_from does not say by what rows are told apart. Add `apart_by: <column>`, such as the person, or `id`."),
    ('    apart_from: [data/train.csv, "data/old/*.csv"]\n', "", "mlgate.yaml:14: data[1].apart_by has no `apart_from`, so it would check nothing. Name the other data, or remove it."),
    ("verify: score", "verify: locked", "mlgate.yaml:19: train.verify must be `lock`, `score` or `reproduce`, but is `locked`. Did you mean `lock`?"),
    ("verify: score", "verify: true", "mlgate.yaml:19: train.verify must be `lock`, `score` or `reproduce`, but is `true`."),
    ("stages: [prepare, train]", "stages: train", "mlgate.yaml:20: train.stages must be a list, but is `train`. Write it as a list: `[train]`."),
    ("tolerance: 1e-9", "tolerance: -1", "mlgate.yaml:21: train.tolerance is `-1`, but must not be negative. Write the size of the change; the word says its direction."),
    ("tolerance: 1e-9", "tolerance: .nan", "mlgate.yaml:21: train.tolerance must be a finite number, but is NaN. A gate needs a limit."),
    ("environment: [LICENSE_KEY]", "environment: [LICENSE-KEY]", "mlgate.yaml:22: train.environment[0] is `LICENSE-KEY`, which cannot name an environment variable."),
    ("experiment: visits", "experiment: 7", 'mlgate.yaml:23: train.experiment must be text, but is the number `7`. Put it in quotes: `"7"`.'),
    ("cost_per_hour: 0.35", "cost_per_hour: 0.35 EUR", "mlgate.yaml:24: train.cost_per_hour must be a number, but is `0.35 EUR`."),
    ("columns: {id: person_year}", "columns: [person_year]", "mlgate.yaml:30: evaluate.holdout.columns must be a mapping of keys, but is a list."),
    ("columns: {id: person_year}", "columns: {key: person_year}", "mlgate.yaml:30: evaluate.holdout.columns.key is not a key. Did you mean `id`?"),
    ("{model} {data}", "{modell} {data}", "mlgate.yaml:31: evaluate.holdout.score holds `{modell}`, which stands for nothing. Did you mean `{model}`?"),
    ("{model} {data}", "{run_id} {data}", "mlgate.yaml:31: evaluate.holdout.score holds `{run_id}`, which stands for nothing. It may hold `{model}`, `{data}` and `{predictions}`."),
    ("    predictions: {path: eval/predictions.parquet}\n", "", "mlgate.yaml:30: evaluate.holdout.score has no `predictions` to be compared with. Add `predictions: {path: <file>}`: what the command writes."),
    ("    data: data/test.parquet\n    metrics", "    metrics", "mlgate.yaml:30: evaluate.holdout.score holds `{data}`, but the evaluation set has no `data`. Add `data: <file>` beside it."),
    ("artifact: models/visits\n", "", "mlgate.yaml:30: evaluate.holdout.score has no model to score with. Add `artifact: <file or folder>` at the top level."),
]  # fmt: skip

# Edits of ROWS: predictions, columns, estimators, groups, costs, the ledger. Messages without the file's name.
RECOMPUTED = [
    ("score: p_visit", "proba: p_visit", "12: evaluate.holdout.predictions.proba is not a key. Did you mean `score`?"),
    ("score: p_visit", "threshold: 0.5", "12: evaluate.holdout.predictions.threshold is not a key. Did you mean `cut_off`?"),
    ("label: visited", "target: visited", "13: evaluate.holdout.columns.target is not a key. Did you mean `label`?"),
    ("    by: sex", "    sensitive_features: sex", "60: compare.fairness.sensitive_features is not a key. Did you mean `by`?"),
    ("    by: sex", "    protected: sex", "60: compare.fairness.protected is not a key. Did you mean `by`?"),
    ("  slices:", "  segments:", "53: compare.segments is not a key. Did you mean `slices`?"),
    ("    by: sex\n", "", "59: compare.fairness.by is missing. Add `by: [<column>]`: the columns with the groups of people."),
    ("    min_rows: 300\n", "", "53: compare.slices.min_rows is missing. Add `min_rows: 300`, or how many rows a group needs to be judged."),
    ("{max_absolute_regression: 0.03}", "0.03", "58: compare.slices.rules.auc must be a mapping of keys, but is the number `0.03`. A rule names its limit: `{threshold: 0.7}`."),
    ("score: p_visit", "score: {yes: p_visit}", "12: evaluate.holdout.predictions.score names 1 class, where two or more are needed. Write `score: <column>` for the probability of the positive class, or `{cat: p_cat, dog: p_dog}`."),
    ("dog: p_dog", "dog: 5", "22: evaluate.animals.predictions.score must name the column of each class, but for `dog` it is the number `5`. Write it like `{cat: p_cat, dog: p_dog}`."),
    ("dog: p_dog", "dog: p_cat", "22: evaluate.animals.predictions.score names a column twice. Name the column of each class."),
    ("positive: 1", "positive: yes", '13: evaluate.holdout.columns.positive is `yes`, which some readers of YAML take for a boolean. Put it in quotes: `"yes"`.'),
    ("app.serve:load", "app/serve.py", "15: evaluate.holdout.latency.predict is `app/serve.py`, which names no Python function. Write it like `package.module:function`."),
    ("shop.metrics:margin", "margin", "36: evaluate.prices.rules.margin.entry_point is `margin`, which names no Python function. Write it like `package.module:function`."),
    ("calls: 500", "calls: 0", "15: evaluate.holdout.latency.calls must be a whole number of 1 or more, but is the number `0`."),
    ("k: 2", "k: 2.5", "26: evaluate.animals.rules.hits.k must be a whole number of 1 or more, but is the number `2.5`."),
    ("confidence: 0.9\n", "confidence: 95%\n", "47: compare.confidence must be a number, but is `95%`."),
    ("confidence: 0.9\n", "confidence: 0.05\n", "47: compare.confidence must be above 0.5 and below 1, but is the number `0.05`. 0.95 means: wrong at most 5 times in 100."),
    ("max_age: 90 days", "max_age: 90", "46: compare.max_age must be a length of time, but is the number `90`. Write it like `2 days` or `12 hours`."),
    ("max_age: 90 days", "max_age: 3 months", "46: compare.max_age must be a length of time, but is `3 months`. Write it like `2 days` or `12 hours`."),
    ("task: binary", "task: classification", "11: evaluate.holdout.task must be `binary`, `multiclass`, `regression` or `ranking`, but is `classification`."),
    ("average: macro", "average: samples", "25: evaluate.animals.rules.f1.average must be `macro`, `micro` or `weighted`, but is `samples`."),
    ("threshold_by: bound", "threshold_by: interval", "17: evaluate.holdout.rules.f2.threshold_by must be `point` or `bound`, but is `interval`."),
    ("unapproved: fail", "unapproved: pass", "67: compare.policy.unapproved must be `inconclusive`, `fail`, `error` or `warn`, but is `pass`."),
    # what belongs together
    ("id: offer, ", "", "35: evaluate.prices.rules.euros.is is `row_mean`, which needs rows: `predictions` with `score` or `class`, `columns.id` and `columns.label` of an evaluation set. Add them to the evaluation set."),
    ("columns: {id: person_year, label: visited, ", "columns: {id: person_year, ", "13: evaluate.holdout.columns.positive is read only when metrics are recomputed, which needs `columns.label`. Add `columns.label`, the column with the truth, or remove it."),
    ("columns: {id: hit, label: relevance, query: search}", "columns: {query: search}", "41: evaluate.search.columns.query is read only when metrics are recomputed, which needs `columns.id` and `columns.label`. Add `columns.id`, the column that tells one row from another and `columns.label`, the column with the truth, or remove it."),
    ("predictions: {path: eval/prices.parquet, score: price}", "task: regression", "31: evaluate.prices.task is read only when metrics are recomputed, which needs `predictions`. Add `predictions: {path: <file>}`, or remove it."),
    ("    data: data/animals.csv\n", "", "22: evaluate.animals.columns.label has no file to be read from: labels are never taken from the predictions. Add `data: <file>`, or `labels: <file>`, a small file beside it with the same rows."),
    (", cut_off: 0.5}", "}", "17: evaluate.holdout.rules.f2.is is `f_beta`, recomputed from the decided class, which `evaluate.holdout.predictions` does not name. Add `cut_off: 0.5`, or `class: <column>`."),
    ("score: p_visit, cut_off: 0.5", "class: visit", "18: evaluate.holdout.rules.ece is `expected_calibration_error`, recomputed from the score, which `evaluate.holdout.predictions` does not name. Add `score: <column>`, the probability of the positive class."),
    ("score: p_visit, cut_off", "cut_off", "12: evaluate.holdout.predictions.cut_off has no `score` to cut. Add `score: <column>`, or name the decided class by `class`."),
    ("cut_off: 0.5", "cut_off: 0.5, class: visit", "12: evaluate.holdout.predictions.cut_off is not used: `class` says what was decided. Remove one of the two."),
    ("class: guess", "cut_off: 0.5", "22: evaluate.animals.predictions.cut_off is for two classes, but `score` names several. Remove it: the most probable class counts."),
    ("task: binary", "task: regression", "12: evaluate.holdout.predictions.cut_off is for two classes, but `task` is `regression`. Remove it."),
    ("score: price", "score: {low: a, high: b}", "34: evaluate.prices.rules.p90.is is `mean_pinball_loss`, which is for regression, but `evaluate.prices.predictions.score` names several classes. Remove the rule, or give it an evaluation set of its own: `evaluate.<set>.rules`."),
    ("{id: hit, label: relevance, query: search}", "{id: hit, label: relevance}", "43: evaluate.search.rules.ndcg is `ndcg`, which is for ranking, but `evaluate.search` has no `columns.query`. Add `evaluate.search.columns.query`, the column whose rows are ranked against each other."),
    ("weight: share", "weight: visited", "13: evaluate.holdout.columns.weight is `visited`, as is `label`. Name another column, or remove it."),
    ("cluster: person", "cluster: person_year", "13: evaluate.holdout.columns.cluster is `person_year`, as is `id`: no two rows would belong together. Name the column whose rows belong together, or remove it."),
    ("quantile: 0.9, ", "", "34: evaluate.prices.rules.p90 is `mean_pinball_loss`, which needs `quantile`. Add `quantile: 0.9`, or which quantile is predicted."),
    ("quantile: 0.9, ", "quantile: 0, ", "34: evaluate.prices.rules.p90.quantile is 0, below which nothing lies. Write a number between 0 and 1."),
    ("beta: 2, ", "", "17: evaluate.holdout.rules.f2 is `f_beta`, which needs `beta`. Add `beta: 2`, or how much recall counts beside precision."),
    ("beta: 2, ", "beta: 0, ", "17: evaluate.holdout.rules.f2.beta is 0, which leaves the precision alone. Use `is: precision`, or a number above 0."),
    ("k: 2, ", "", "26: evaluate.animals.rules.hits is `top_k_accuracy`, which needs `k`. Add `k: 5`, or how many places count."),
    ("average: macro, ", "", "25: evaluate.animals.rules.f1 is `f1`, which needs `average`, and there are several classes. Add `average: macro`, `micro` or `weighted`."),
    ("cost_matrix: {cat: {dog: 1, none: 5}, dog: {cat: 2.5}}, ", "", "27: evaluate.animals.rules.cost is `expected_cost`, which needs `cost_matrix`. Add `cost_matrix: {yes: {no: 10}, no: {yes: 1}}`: true class, decided class, what it costs."),
    ("{cat: {dog: 1, none: 5}, dog: {cat: 2.5}}", "{cat: {cat: 0}}", "27: evaluate.animals.rules.cost.cost_matrix holds no cost other than 0, so it would check nothing. Write what each mistake costs: `{yes: {no: 10}, no: {yes: 1}}`."),
    ("{cat: 2.5}}, ", "{cat: -2.5}}, ", "27: evaluate.animals.rules.cost.max_relative_regression makes no sense for a cost that can be zero or negative. Use `max_absolute_regression`, or write what is gained as a cost of 0."),
    ("column: loss, ", "", "35: evaluate.prices.rules.euros is `row_mean`, which needs one of `column` or `entry_point`; neither is there. Add `column: <column of the predictions>`, or `entry_point: module:function`."),
    ("column: loss, ", 'column: loss, entry_point: "a:b", ', "35: evaluate.prices.rules.euros is `row_mean`, which needs one of `column` or `entry_point`; both are there. Remove one."),
    ("column: loss, greater_is_better: false", "column: loss", "35: evaluate.prices.rules.euros is `row_mean`, of which only you know which way is better. Add `greater_is_better: true` or `false`."),
    ("is: roc_auc, ", "is: roc_auc, k: 5, ", "49: compare.rules.auc.k is no parameter of `roc_auc`. Remove it; it is for `top_k_accuracy`, `ndcg`."),
    ("    auc: {is: roc_auc, ", "    euros: {beta: 2, greater_is_better: true, ", "49: compare.rules.euros.beta belongs to an estimator, and the rule names none. Add `is:`; it is for `f_beta`."),
    ("threshold: 0.5, threshold_by", "max_absolute_regression: 0.5, threshold_by", "17: evaluate.holdout.rules.f2.threshold_by has no `threshold` that it could be about. Add `threshold`, or remove it."),
    ("    auc: {is: roc_auc, ", "    euros: {tolerance: 0.1, greater_is_better: true, ", "49: compare.rules.euros.tolerance is of recomputed values; recomputing needs an estimator that mlgate knows: add `is:`, or `is: row_mean` for a metric of your own. Add them, or remove it."),
    ("      ece: {bins: 20, threshold: 0.05}", "      mae: {threshold: 2}", "18: evaluate.holdout.rules.mae is `mean_absolute_error`, which is for regression, but `evaluate.holdout.task` is `binary`. Remove the rule, or give it an evaluation set of its own: `evaluate.<set>.rules`."),
    ("      p90: {is: mean_pinball_loss, quantile: 0.9, ", "      auc: {threshold: 0.5}\n      p90: {is: mean_pinball_loss, quantile: 0.9, ", "35: evaluate.prices.rules.p90 is for regression, but `auc` is for binary or multiclass. Give each evaluation set the rules of one task, below `evaluate.<set>.rules`."),
    # groups
    ("[18, 40, 65]", "[40, 18, 40]", "55: compare.slices.edges.age is not in ascending order. Write `[18, 40]`."),
    ("[18, 40, 65]", "[]", "55: compare.slices.edges.age is empty. Write where one group ends and the next begins: `[18, 40, 65]`."),
    ("edges: {age:", "edges: {agee:", "55: compare.slices.edges.agee is no column of `by`. Did you mean `age`?"),
    ("by: sex", "by: []", "60: compare.fairness.by is empty; at least one is needed. Name a column, or remove the section."),
    ("[health, [sex, age]]", "[health, [sex, sex]]", "54: compare.slices.by combines `sex` with itself. Name each column of a combination once."),
    ("[health, [sex, age]]", "[age, [sex, age], [age, sex]]", "54: compare.slices.by names the same groups twice. Name each once."),
    ("[health, [sex, age]]", "{health: 1}", "54: compare.slices.by must be a list of columns, but is a mapping. Write it like `[sex, age]`."),
    ("by: sex", "by: person_year", "60: compare.fairness.by names `person_year`, of which every row has its own. Name a column whose values many rows share."),
    ("auc: {max_absolute_regression: 0.03}", "auc: {max_anchor_regression: 0.03, threshold: 0.5}", "58: compare.slices.rules.auc.max_anchor_regression means nothing for a slice. Remove it; the limits are `threshold`, `warn_threshold`, `max_absolute_regression`, `warn_absolute_regression`, `max_relative_regression` or `warn_relative_regression`."),
    ("auc: {max_absolute_regression: 0.03}", "visits: {max_absolute_regression: 0.03}", "58: compare.slices.rules.visits names no estimator, and a metric of a group has to be recomputed. Add `is:` with the estimator's name; `is: row_mean` for a metric of your own."),
    ("auc: {max_absolute_regression: 0.03}", "visits: {is: auk, max_absolute_regression: 0.03}", "58: compare.slices.rules.visits.is is `auk`, which is not an estimator that mlgate knows. Did you mean `auc`? For a metric of your own leave `is` out and say `greater_is_better`."),
    ("disparate_impact_ratio: {", "disparate_impct: {", "64: compare.fairness.rules.disparate_impct is no fairness metric that mlgate knows. Did you mean `disparate_impact`?"),
    ("is: equalized_odds_difference", "is: roc_auc", "65: compare.fairness.rules.odds.is is `roc_auc`, which is no fairness metric that mlgate knows. Use `demographic_parity_difference`, `equal_opportunity_difference`, `equalized_odds_difference`, `predictive_parity_difference`, `demographic_parity_ratio`, `equal_opportunity_ratio`, `equalized_odds_ratio`, `predictive_parity_ratio` or `disparate_impact_ratio`."),
    ("{threshold: 0.8}", "{threshold: 80}", "64: compare.fairness.rules.disparate_impact_ratio.threshold is `80`, but a ratio of rates lies between 0 and 1. Write it as a share."),
    ("{threshold: 0.8}", "{threshold: 0}", "64: compare.fairness.rules.disparate_impact_ratio.threshold is `0`, which every ratio keeps to. Write what is the worst allowed."),
    ("threshold: 0.1, ", "threshold: 1, ", "65: compare.fairness.rules.odds.threshold is `1`, which every difference keeps to. Write what is the worst allowed."),
    ("{threshold: 0.8}", "{greater_is_better: true}", "64: compare.fairness.rules.disparate_impact_ratio has no limit, so it would check nothing. Add `threshold`, `warn_threshold`, `max_absolute_regression` or `warn_absolute_regression`."),
    ("{threshold: 0.8}", "{threshold: 0.8, max_relative_regression: 2%}", "64: compare.fairness.rules.disparate_impact_ratio.max_relative_regression means nothing for fairness. Remove it; the limits are `threshold`, `warn_threshold`, `max_absolute_regression` or `warn_absolute_regression`."),
    ("{threshold: 0.8}", "{threshold: 0.8, greater_is_better: false}", "64: compare.fairness.rules.disparate_impact_ratio.greater_is_better contradicts `disparate_impact_ratio`, of which greater is better. Remove the key."),
    ("{threshold: 0.8}", "{threshold: 0.8, warn_threshold: 0.7}", "64: compare.fairness.rules.disparate_impact_ratio.warn_threshold is not stricter than `threshold`, so it would never warn. Set it above `threshold`, or remove it."),
    # costs and other places
    ("latency_p95_ms: {", "latency_p90_ms: {", "51: compare.costs.latency_p90_ms is no cost that mlgate measures. Did you mean `latency_p99_ms`?"),
    ("latency_p95_ms: {", "euros: {", "51: compare.costs.euros is no cost that mlgate measures. Use `model_mb`, `latency_p50_ms`, `latency_p95_ms`, `latency_p99_ms` or `peak_memory_mb`, or a rule on your own metric."),
    ("{threshold: 50}", "{threshold: 50, greater_is_better: true}", "51: compare.costs.latency_p95_ms.greater_is_better contradicts `latency_p95_ms`, of which lower is better. Remove the key."),
    ("{threshold: 50}", "{threshold: 50, tolerance: 1}", "51: compare.costs.latency_p95_ms.tolerance means nothing for a cost. Remove it; the limits are `threshold`, `warn_threshold`, `max_absolute_regression`, `warn_absolute_regression`, `max_relative_regression` or `warn_relative_regression`."),
    ("{threshold: 50}", "{threshold: 50, warn_threshold: 60}", "51: compare.costs.latency_p95_ms.warn_threshold is not stricter than `threshold`, so it would never warn. Set it below `threshold`, or remove it."),
    ("    latency_p95_ms: {threshold: 50}\n", "", "15: evaluate.holdout.latency has no rule in `compare.costs` that it is measured for. Add a rule such as `latency_p95_ms`, or remove it."),
    ('    score: python src/score.py {model} {data} {predictions}\n    latency: {rows: 10, calls: 500, predict: "app.serve:load"}\n', "", "49: compare.costs.latency_p95_ms is measured while the model scores, and nothing says how. Add `score: <command>` or `latency: {predict: module:function}` to an evaluation set."),
    ("https://github.com", "https://me:secret@github.com", "68: ledger.remote holds a user or password, which everybody who can read this file would know. Leave the user out: git asks the job's own credentials."),
    ("branch: decisions", 'branch: "-x"', "68: ledger.branch is `-x`, which cannot be a git branch, tag or commit. Write it as `git log` would take it."),
    ("[requirements.txt]", "[../requirements.txt]", "5: train.requirements[0] is `../requirements.txt`, outside the repository. Only files of this repository are read."),
    ("labels: data/labels.csv", "labels: ../labels.csv", "9: evaluate.holdout.labels is `../labels.csv`, outside the repository. Only files of this repository are read."),
]  # fmt: skip

NOT_YAML = [
    ("", "mlgate.yaml is empty. `mlgate init` writes one"),
    ("# nothing\n", "mlgate.yaml is empty."),
    ("~", "mlgate.yaml is empty."),
    (b"\x89PNG\r\n\x1a\n", "mlgate.yaml is not text: byte 0x89 at offset 0 is not UTF-8."),
    (SMALL.encode("utf-16"), "mlgate.yaml is not text: byte 0xff at offset 0 is not UTF-8."),
    (b"schema: 1\nmodel: a\x00b\n", "mlgate.yaml:2 is not text: the character U+0000 does not belong in YAML."),
    ("schema: 1\nmodel: \ud800\n", "mlgate.yaml:2 is not text: the character U+D800"),
    ("- a\n- b\n", "mlgate.yaml:1 holds a list, where keys and values are expected."),
    ("hello", "mlgate.yaml:1 holds the text `hello`, where keys and values are expected."),
    (
        "schema: 1\n\tmodel: x\n",
        "mlgate.yaml:2 is not YAML: a tab stands where YAML wants spaces. Indent with spaces.",
    ),
    ("schema: 1\nmodel: @x\n", "mlgate.yaml:2 is not YAML: the character `@` cannot start a value. Put quotes around"),
    ("schema: 1\nmodel: a: b\n", "mlgate.yaml:2 is not YAML: a second `:` on one line."),
    ("schema: 1\nmodel: [a\n", "mlgate.yaml:3 is not YAML: did not find expected ',' or ']'."),
    ('schema: 1\nmodel: "a\n', "mlgate.yaml:3 is not YAML: found unexpected end of stream."),
    ("schema: 1\n---\nmodel: x\n", "mlgate.yaml:2: a second document starts here."),
    ("schema: 1\nmodel: *x\n", "mlgate.yaml:2: `*x` refers to no `&x` above it."),
    ("model: &x [*x]\n", "mlgate.yaml:1: `*x` stands inside what it refers to."),
    (
        "model: !!python/object:os.system x\n",
        "mlgate.yaml:1: the tag `!!python/object:os.system` before x is not read.",
    ),
    ("data: !include x.yaml\n", "mlgate.yaml:1: the tag `!include` before x.yaml is not read."),
    ("? [a]\n: b\n", "mlgate.yaml:1: a list stands where a key is expected."),
    ("{a: 1}: 2\n", "mlgate.yaml:1: a mapping stands where a key is expected."),
    ("~: x\n", "mlgate.yaml:1: a key is missing before the colon."),
    ("a: " + "[" * 900_000, "mlgate.yaml:1 is nested more than 24 levels deep."),
    ("#" * 1_000_001, "mlgate.yaml is 1,000,001 bytes; at most 1,000,000 are read."),
]


@pytest.mark.parametrize(("before", "after", "message"), [*KEYS, *TYPES, *TOGETHER])
def test_a_mistake_is_one_sentence_that_says_where_and_how_to_mend_it(before: str, after: str, message: str) -> None:
    error = refusal(edited(before, after))
    assert str(error).startswith(message)
    assert "\n" not in str(error)
    assert error.file == "mlgate.yaml"
    assert error.key.replace("`", "'") in error.message


@pytest.mark.parametrize(("path", "message"), PATHS)
@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("artifact: models/visits", "artifact"),
        ("  data: data/train.parquet", "train.data"),
        ("    predictions: {path: eval/predictions.parquet}", "evaluate.holdout.predictions.path"),
        ("    metrics: [metrics/eval.json]", "evaluate.holdout.metrics[0]"),
        ("  - path: data/test.parquet", "data[1].path"),
        ("    data: data/test.parquet", "evaluate.holdout.data"),
    ],
)
def test_only_files_of_the_repository_are_named(path: str, message: str, line: str, key: str) -> None:
    old = line.rsplit(": ", maxsplit=1)[-1].strip("[]{}")
    error = refusal(edited(line, line.replace(old, f'"{path}"')))
    assert error.key == key
    assert error.line == FULL.splitlines().index(line) + 1
    assert message in str(error)


@pytest.mark.parametrize(("before", "after", "message"), DATA)
def test_data_training_and_scoring(before: str, after: str, message: str) -> None:
    assert WIDE.count(before) >= 1
    assert str(refusal(WIDE.replace(before, after, 1))) == message


@pytest.mark.parametrize(("before", "after", "message"), RECOMPUTED)
def test_what_is_recomputed(before: str, after: str, message: str) -> None:
    assert ROWS.count(before) >= 1
    said = str(refusal(ROWS.replace(before, after, 1))).splitlines()
    assert f"mlgate.yaml:{message}" in said
    assert len(said) <= 7  # one mistake is not reported over and over


def test_groups_and_rescoring_need_rows() -> None:
    text = SMALL + (
        "compare:\n"
        "  policy: {not_comparable: rescore}\n"
        "  rules: {auc: {threshold: 0.7, threshold_by: bound}, cost: {is: expected_cost, threshold: 1}}\n"
        "  slices: {by: sex, min_rows: 30, rules: {auc: {threshold: 0.6}}}\n"
    )
    rows = "`predictions` with `score` or `class`, `columns.id` and `columns.label` of an evaluation set"
    assert str(refusal(text)).splitlines() == [
        "mlgate.yaml:5: compare.policy.not_comparable is `rescore`, but no evaluation set has rows to score. "
        f"It needs rows: {rows}; or write `inconclusive`.",
        f"mlgate.yaml:6: compare.rules.auc.threshold_by asks for proof, which needs rows: {rows}. "
        "Add them, or write `point`.",
        "mlgate.yaml:6: compare.rules.cost is `expected_cost`, which needs `cost_matrix`. Add `cost_matrix: "
        "{yes: {no: 10}, no: {yes: 1}}`: true class, decided class, what it costs.",
        f"mlgate.yaml:6: compare.rules.cost.is is `expected_cost`, which needs rows: {rows}. "
        "Add them to the evaluation set.",
        f"mlgate.yaml:7: compare.slices needs rows: {rows}. Add them, or remove the section.",
    ]


@pytest.mark.parametrize(("before", "after", "message"), SHIPPED)
def test_what_happens_to_a_model_that_has_passed_is_refused_where_it_makes_no_sense(
    before: str, after: str, message: str
) -> None:
    assert str(refusal(edited(before, after))) == message


@pytest.mark.parametrize(
    ("champion", "example"),
    [
        ("ledger:", "ledger:production"),
        ("ledger:a b", "ledger:production"),
        ("models:visits", "models:/visits@champion"),
        ("models:/visits", "models:/visits@champion"),
        ("models:/visits/0", "models:/visits@champion"),
        ("models:/visits/latest", "models:/visits@champion"),
    ],
)
def test_a_champion_of_another_place_is_written_as_an_example_shows(champion: str, example: str) -> None:
    error = str(refusal(edited("champion: main", f'champion: "{champion}"')))
    expected = f"mlgate.yaml:18: compare.champion is `{champion}`, which names no champion. Write it like `{example}`."
    assert error == expected


@pytest.mark.parametrize(("path", "message"), [("../../x", "outside the repository"), ("/x", "outside the repository")])
def test_the_folder_of_a_champion_is_in_the_repository(path: str, message: str) -> None:
    error = refusal(edited("champion: main", f"champion: path:{path}"))
    assert (error.key, error.line) == ("compare.champion", 18)
    assert message in str(error)


@pytest.mark.parametrize(("text", "message"), NOT_YAML, ids=lambda value: repr(value)[:30])
def test_what_is_not_a_yaml_mapping_is_refused(text: str | bytes, message: str) -> None:
    assert str(refusal(text)).startswith(message)


def test_aliases_that_multiply_are_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20))
    assert str(refusal(bomb)).startswith("mlgate.yaml:5 holds more than 50,000 values, counting aliases each time.")


def test_aliases_that_do_not_are_read() -> None:
    text = SMALL + "compare:\n  rules:\n    auc: &r {threshold: 0.7}\n    f1: *r\n"
    config = read(text)
    assert config.compare.rules["auc"] == config.compare.rules["f1"]
    assert config.line("compare.rules.f1") == 7


def test_a_set_without_a_name_is_told_to_have_one() -> None:
    error = refusal("schema: 1\nmodel: m\nevaluate: {metrics: [metrics.json]}\n")
    assert str(error).endswith("Name the evaluation set first: `evaluate: {holdout: {metrics: ...}}`.")


def test_rules_as_a_list_are_told_to_be_keys() -> None:
    error = refusal(SMALL + "compare:\n  rules:\n    - {metric: auc, min: 0.7}\n")
    expected = "mlgate.yaml:5: compare.rules must be a mapping of keys, but is a list. Write one key per metric: `auc: {threshold: 0.7}`."
    assert str(error) == expected


def test_all_mistakes_are_listed_in_the_order_of_the_file() -> None:
    text = edited("mode: report", "mode: loud").replace("0.70", '"0.70"').replace("champion: main", "champ: main")
    error = refusal(text)
    assert str(error).splitlines() == [
        "mlgate.yaml:3: mode must be `enforce`, `report` or `off`, but is `loud`.",
        "mlgate.yaml:18: compare.champ is not a key. Did you mean `champion`?",
        'mlgate.yaml:21: compare.rules.auc.threshold must be a number, but is the text `"0.70"`. Remove the quotes: `0.70`.',
    ]
    assert (error.line, error.key) == (3, "mode")


def test_no_more_than_ten_mistakes_are_listed() -> None:
    lines = str(refusal(SMALL + "".join(f"zz{number}: 1\n" for number in range(14)))).splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("mlgate.yaml:4: zz0 is not a key.")
    assert lines[-1] == "... and 4 more."


def test_a_file_full_of_mistakes_lists_only_some() -> None:
    message = str(refusal(SMALL + "".join(f"zz{number}: 1\n" for number in range(40_000))))
    assert message.endswith("... and at least 90 more.")


def test_messages_hold_no_control_characters_and_are_short() -> None:
    hostile = '"' + "\\e]0;x\\a\\r\\n::error::" + "y" * 5000 + '"'
    for place in (
        "mode: report",
        "fail_on: fail",
        "model: doctor-visits",
        "    data: data/test.parquet",
        "  champion: main",
    ):
        key = place.split(":")[0]
        message = str(refusal(edited(place, f"{key}: {hostile}")))
        assert message.isprintable()
        assert len(message) < 500


@pytest.mark.parametrize("file", ["mlgate.yaml", "models/visits/mlgate.yaml"])
def test_the_file_in_the_message_is_the_one_that_was_read(file: str) -> None:
    with pytest.raises(MlgateError) as caught:
        load("schema: 3\n", file=file, base=lambda _: None)
    assert str(caught.value).startswith(f"{file}: ")
    assert f"{file}:1: schema is 3" in str(caught.value)
