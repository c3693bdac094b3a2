"""Every mistake in mlgate.yaml: one sentence with file, line, key, and how to mend it."""

# ruff: noqa: E501 -- a message reads best on one line, as users see it

from __future__ import annotations

import pytest
from config_samples import FULL, SMALL, WIDE, read

from mlgate import __version__
from mlgate.config import known, load
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

NOT_YET = [
    ("mode: report", "image: {base: x}", "mlgate.yaml:3: image"),
    ("mode: report", "deploy: {}", "mlgate.yaml:3: deploy"),
    ("mode: report", "monitor: {}", "mlgate.yaml:3: monitor"),
    ("mode: report", "notify: {}", "mlgate.yaml:3: notify"),
    ("mode: report", "governance: {}", "mlgate.yaml:3: governance"),
    ("    metrics:", "    columns: {positive: 1}\n    metrics:", "mlgate.yaml:15: evaluate.holdout.columns.positive"),
    (
        "    metrics:",
        "    columns: {cluster: person}\n    metrics:",
        "mlgate.yaml:15: evaluate.holdout.columns.cluster",
    ),
    ("    metrics:", "    labels: data/labels.csv\n    metrics:", "mlgate.yaml:15: evaluate.holdout.labels"),
    ("predictions.parquet}", "predictions.parquet, score: p}", "mlgate.yaml:16: evaluate.holdout.predictions.score"),
    (
        "predictions.parquet}",
        "predictions.parquet, cut_off: 0.5}",
        "mlgate.yaml:16: evaluate.holdout.predictions.cut_off",
    ),
    ("  champion:", "  slices: {by: [x]}\n  champion:", "mlgate.yaml:18: compare.slices"),
    ("  champion:", "  fairness: {by: [x]}\n  champion:", "mlgate.yaml:18: compare.fairness"),
    ("  champion:", "  costs: {x: {threshold: 1}}\n  champion:", "mlgate.yaml:18: compare.costs"),
    ("  champion:", "  confidence: 0.95\n  champion:", "mlgate.yaml:18: compare.confidence"),
    ("is: roc_auc", "threshold_by: bound", f"{AUC}.threshold_by"),
    ("is: roc_auc", "tolerance: 1e-6", f"{AUC}.tolerance"),
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
    ("columns: {id: person_year}", "columns: {key: person_year}", "mlgate.yaml:30: evaluate.holdout.columns.key is not a key. The keys here are `id`, `label`."),
    ("{model} {data}", "{modell} {data}", "mlgate.yaml:31: evaluate.holdout.score holds `{modell}`, which stands for nothing. Did you mean `{model}`?"),
    ("{model} {data}", "{run_id} {data}", "mlgate.yaml:31: evaluate.holdout.score holds `{run_id}`, which stands for nothing. It may hold `{model}`, `{data}` and `{predictions}`."),
    ("    predictions: {path: eval/predictions.parquet}\n", "", "mlgate.yaml:30: evaluate.holdout.score has no `predictions` to be compared with. Add `predictions: {path: <file>}`: what the command writes."),
    ("    data: data/test.parquet\n    metrics", "    metrics", "mlgate.yaml:30: evaluate.holdout.score holds `{data}`, but the evaluation set has no `data`. Add `data: <file>` beside it."),
    ("artifact: models/visits\n", "", "mlgate.yaml:30: evaluate.holdout.score has no model to score with. Add `artifact: <file or folder>` at the top level."),
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


@pytest.mark.parametrize(("before", "after", "message"), NOT_YET)
def test_a_key_that_does_nothing_yet_is_refused(before: str, after: str, message: str) -> None:
    expected = f"{message} is not available in mlgate {__version__}. "
    assert (
        str(refusal(edited(before, after))) == expected + "Remove it: a key that does nothing would look like a check."
    )


def test_every_key_that_is_not_available_yet_is_tried() -> None:
    tried = {message.partition(": ")[2] for _, _, message in NOT_YET}
    names = {
        ("data", "*"): "data[0]",
        ("evaluate", "*"): "evaluate.holdout",
        ("compare", "rules", "*"): "compare.rules.auc",
    }
    for path in known.NOT_YET:
        length = next((len(above) for above in names if path[: len(above)] == above), 0)
        assert ".".join([*filter(None, [names.get(path[:length], "")]), *path[length:]]) in tried


@pytest.mark.parametrize("champion", ["ledger:production", "models:/visits@champion"])
def test_a_champion_that_cannot_be_taken_yet_is_refused(champion: str) -> None:
    error = str(refusal(edited("champion: main", f"champion: {champion}")))
    assert error.startswith(f"mlgate.yaml:18: compare.champion is `{champion}`, but taking a champion from ")
    assert f"is not available in mlgate {__version__}." in error


def test_a_policy_that_does_nothing_yet_is_refused() -> None:
    error = str(refusal(edited("not_comparable: warn", "not_comparable: rescore")))
    expected = (
        f"mlgate.yaml:25: compare.policy.not_comparable is `rescore`, which is not available in mlgate {__version__}."
    )
    assert error == expected + " Use `inconclusive`, `fail`, `error` or `warn`."


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
