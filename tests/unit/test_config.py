"""What a good mlgate.yaml means."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest
from config_samples import BASE, CHILD, FULL, ROWS, SMALL, WIDE, read
from pydantic import ValidationError

from mlgate.config import Config, Rule
from mlgate.config.settings import Read
from mlgate.errors import MlgateError
from mlgate.model import Location


def rules(text: str) -> Config:
    return read(f"{SMALL}compare: {{rules: {{{text}}}}}\n")


def test_every_key_is_read() -> None:
    config = read(FULL, "models/visits/mlgate.yaml")
    assert (config.model, config.mode, config.fail_on) == ("doctor-visits", "report", "fail")
    assert config.artifact == "models/visits"
    assert [file.path for file in config.data] == ["data/train.parquet", "data/test.parquet"]
    assert (config.train.data, config.train.python) == ("data/train.parquet", ".venv/bin/python")
    holdout = config.evaluate["holdout"]
    assert holdout.metrics == ["metrics/eval.json"]
    assert holdout.data == "data/test.parquet"
    assert holdout.predictions is not None
    assert holdout.predictions.path == "eval/predictions.parquet"
    assert (config.compare.champion, config.compare.anchor) == ("main", "visits@v1.0.0")
    assert list(config.compare.rules) == ["auc", "log_loss", "weighted avg.f1-score"]
    assert config.compare.policy.missing_metric == "fail"


def test_defaults_judge_strictly_and_limit_nothing() -> None:
    config = read(SMALL)
    assert (config.mode, config.fail_on, config.compare.champion) == ("enforce", "inconclusive", "auto")
    assert config.compare.rules == {}
    assert config.compare.policy.model_dump() == {
        "missing_metric": "error",
        "missing_champion": "warn",
        "not_comparable": "inconclusive",
        "unapproved": "inconclusive",
        "unattested": "undecided",
        "no_credentials": "warn",
    }
    assert (config.compare.confidence, config.compare.max_age) == (Decimal("0.95"), None)
    assert (config.compare.slices, config.compare.fairness, config.compare.costs) == (None, None, {})
    assert (config.ledger.remote, config.ledger.branch) == (None, "mlgate-ledger")
    assert Rule().limits() == {}


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        ("0.1", "0.1"),
        ("0.70", "0.70"),
        ("1e-3", "0.001"),
        ("1.5E+2", "150"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-0.25", "-0.25"),
        ("+3", "3"),
        ("0.1000000000000000055511151", "0.1000000000000000055511151"),
    ],
)
def test_a_number_has_exactly_the_digits_of_the_file(written: str, exact: str) -> None:
    threshold = rules(f"auc: {{threshold: {written}}}").compare.rules["auc"].threshold
    assert threshold == Decimal(exact)
    assert str(threshold) == str(Decimal(written))


@pytest.mark.parametrize(
    ("written", "exact"),
    [("2%", "0.02"), ('"2 %"', "0.02"), ("2 %", "0.02"), ("0.02", "0.02"), ("12.5%", "0.125"), ("200%", "2")],
)
def test_a_share_is_a_percentage_or_a_fraction(written: str, exact: str) -> None:
    rule = rules(f"log_loss: {{max_relative_regression: {written}}}").compare.rules["log_loss"]
    assert rule.max_relative_regression == Decimal(exact)


def test_zero_has_no_sign() -> None:
    rule = rules("auc: {max_absolute_regression: -0.0}").compare.rules["auc"]
    assert str(rule.max_absolute_regression) == "0.0"


@pytest.mark.parametrize(
    ("key", "rule", "greater"),
    [
        ("auc", "threshold: 1", True),
        ("test.rmse", "threshold: 1", False),
        ("weighted avg.f1-score", "threshold: 1", True),
        ("x", "is: log_loss, threshold: 1", False),
        ("x", "is: AUC, threshold: 1", True),
        ("value", "greater_is_better: true, threshold: 1", True),
        ("p95 ms", "greater_is_better: false, threshold: 1", False),
        ("auc", "greater_is_better: true, threshold: 1", True),
    ],
)
def test_the_direction_comes_from_the_estimator_or_the_rule(key: str, rule: str, greater: bool) -> None:
    assert rules(f'"{key}": {{{rule}}}').compare.rules[key].direction(key) is greater


@pytest.mark.parametrize("key", ["a | b", "naïve", "val/auc", "#1", "1", "true", "null ", "x" * 200, "a:b", "$(id)"])
def test_a_metric_may_be_called_anything_that_can_be_seen(key: str) -> None:
    assert list(rules(f'"{key}": {{greater_is_better: true, threshold: 1}}').compare.rules) == [key]


def test_off_needs_no_quotes() -> None:
    assert read("mode: off\n" + SMALL).mode == "off"


def test_words_that_look_like_other_types_are_text() -> None:
    config = read(SMALL + "compare: {champion: 2024-01-01, anchor: v1}\n")
    assert config.compare.champion == "2024-01-01"


@pytest.mark.parametrize(
    "empty", ["compare:", "compare:\n  rules:", "compare:\n  policy:", "train:", "data:", "compare: {anchor: null}"]
)
def test_a_section_with_everything_commented_out_is_empty(empty: str) -> None:
    assert read(f"{SMALL}{empty}\n").model_dump() == read(SMALL).model_dump()


@pytest.mark.parametrize("prefix", ["", "# comment\n", "---\n", "\ufeff", "%YAML 1.2\n---\n"])
def test_what_may_stand_before_the_first_key(prefix: str) -> None:
    assert read(prefix + SMALL).digest() == read((prefix + SMALL).encode()).digest() == read(SMALL).digest()


def test_windows_line_ends_change_nothing() -> None:
    assert read(FULL.replace("\n", "\r\n")).digest() == read(FULL).digest()


def test_lines_of_keys() -> None:
    config = read(FULL, "models/visits/mlgate.yaml")
    assert config.line("model") == 2
    assert config.line("data[1].path") == 8
    assert config.line("compare.rules") == 20
    assert config.line("compare.rules.weighted avg.f1-score.threshold") == 24
    assert config.line("compare.rules.auc.warn_threshold") is None
    assert config.location("compare.rules.auc.warn_threshold") == Location(
        file="models/visits/mlgate.yaml", line=21, key="compare.rules.auc.warn_threshold"
    )
    assert config.location("data[7].path").line == 6
    assert config.location("nothing") == Location(file="models/visits/mlgate.yaml", key="nothing")


def test_paths_are_relative_to_the_folder() -> None:
    config = read(FULL, "models/visits/mlgate.yaml")
    assert (config.file, config.folder) == ("models/visits/mlgate.yaml", "models/visits")
    assert config.path("../../data/./test.parquet") == "data/test.parquet"
    assert read(FULL).folder == ""
    assert read(FULL).path("metrics//eval.json") == "metrics/eval.json"


def test_data_training_and_scoring_are_read() -> None:
    config = read(WIDE)
    train, test = config.data
    assert (train.contract, train.reference, train.id) == (
        "contracts/persons.yaml",
        "data/last-year.csv",
        ["person_year"],
    )
    assert train.read == Read(
        format="csv", delimiter=";", quote="'", encoding="latin-1", header=True, nulls=["", "NA", "-999"]
    )
    assert (test.apart_from, test.apart_by) == (["data/train.csv", "data/old/*.csv"], ["person", "year"])
    assert test.read == Read()
    made = config.train
    assert (made.verify, made.stages, made.tolerance) == ("score", ["prepare", "train"], Decimal("1e-9"))
    assert (made.environment, made.experiment, made.cost_per_hour) == (["LICENSE_KEY"], "visits", Decimal("0.35"))
    holdout = config.evaluate["holdout"]
    assert holdout.columns.id == "person_year"
    assert holdout.score == "python src/score.py {model} {data} {predictions} --home ${HOME}"


def test_what_is_not_said_about_data_and_training() -> None:
    config = read(FULL)
    file = config.data[0]
    assert (file.contract, file.reference, file.id, file.apart_from, file.apart_by) == (None, None, None, [], None)
    assert file.read == Read(format=None, delimiter=None, quote=None, encoding="utf-8", header=True, nulls=[""])
    assert (config.train.verify, config.train.stages, config.train.tolerance) == ("lock", [], Decimal("0.000001"))
    assert (config.train.environment, config.train.experiment, config.train.cost_per_hour) == ([], None, None)
    assert (config.evaluate["holdout"].columns.id, config.evaluate["holdout"].score) == (None, None)


def test_a_tab_can_be_written_as_a_word() -> None:
    for written in ("tab", '"\\t"', "'\\t'"):
        assert read(WIDE.replace('";"', written)).data[0].read.delimiter == "\t"


def test_rows_are_told_apart_by_their_id_where_nothing_else_is_said() -> None:
    config = read(WIDE.replace("apart_by: [person, year]", "id: person_year"))
    assert (config.data[1].apart_by, config.data[1].id) == (None, ["person_year"])


def test_settings_cannot_be_changed() -> None:
    config = read(FULL)
    with pytest.raises(ValidationError, match="frozen"):
        config.mode = "off"  # type: ignore[misc]


def test_what_is_recomputed_is_read() -> None:
    config = read(ROWS)
    sets = config.evaluate
    given = sets["holdout"].predictions
    assert given is not None
    assert (given.score, given.class_, given.cut_off) == ("p_visit", None, Decimal("0.5"))
    columns = sets["holdout"].columns
    assert (columns.positive, columns.weight, columns.cluster, columns.query) == (1, "share", "person", None)
    assert (sets["holdout"].task, sets["holdout"].labels) == ("binary", "data/labels.csv")
    latency = sets["holdout"].latency
    assert (latency.rows, latency.calls, latency.predict) == (10, 500, "app.serve:load")
    f2 = sets["holdout"].rules["f2"]
    assert (f2.beta, f2.threshold_by, f2.tolerance) == (Decimal(2), "bound", Decimal("1e-4"))
    animals = sets["animals"].predictions
    assert animals is not None
    assert (animals.score, animals.class_) == ({"cat": "p_cat", "dog": "p_dog", "none": "p_none"}, "guess")
    rules = sets["animals"].rules
    assert (rules["f1"].average, rules["hits"].k) == ("macro", 2)
    assert rules["cost"].cost_matrix == {"cat": {"dog": 1, "none": 5}, "dog": {"cat": Decimal("2.5")}}
    prices = sets["prices"].rules
    assert (prices["p90"].quantile, prices["euros"].column) == (Decimal("0.9"), "loss")
    assert (prices["margin"].entry_point, prices["margin"].direction("margin")) == ("shop.metrics:margin", True)
    compare = config.compare
    assert (compare.champion, compare.max_age, compare.confidence) == (
        "ledger:production",
        Decimal(90 * 86400),
        Decimal("0.9"),
    )
    assert list(compare.costs) == ["latency_p95_ms", "model_mb"]
    assert compare.slices is not None
    assert compare.fairness is not None
    assert (compare.slices.by, compare.fairness.by) == (["health", ["sex", "age"]], ["sex"])
    assert (compare.slices.edges, compare.slices.min_rows) == ({"age": [Decimal(18), Decimal(40), Decimal(65)]}, 300)
    assert (compare.approval.label, compare.policy.unapproved) == ("approved", "fail")
    assert (config.ledger.remote, config.ledger.branch) == ("https://github.com/team/ledger.git", "decisions")
    assert config.train.requirements == ["requirements.txt"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1", 1), ("1.0", 1), ("0.5", 0.5), ("true", True), ('"yes"', "yes"), ("sick", "sick"), ('"1"', "1")],
)
def test_the_positive_label_has_the_type_it_is_written_in(written: str, meant: object) -> None:
    positive = read(ROWS.replace("positive: 1,", f"positive: {written},")).evaluate["holdout"].columns.positive
    assert (positive, type(positive)) == (meant, type(meant))


@pytest.mark.parametrize(
    "champion",
    ["ledger:production", "models:/visits@champion", "models:/visits/3", "path:../last/models", "v1.0.0", "auto"],
)
def test_where_a_champion_may_be(champion: str) -> None:
    config = read(SMALL + f"compare: {{champion: '{champion}'}}\n", "models/visits/mlgate.yaml")
    assert config.compare.champion == champion
    resolved = champion.replace("path:../last/models", "path:models/last/models")
    assert config.public()["compare.champion"] == resolved


@pytest.mark.parametrize(
    ("written", "age"), [("90 days", 7776000), ("1 week", 604800), ("12h", 43200), ("1.5 d", 129600)]
)
def test_an_age_is_a_length_of_time(written: str, age: int) -> None:
    assert read(SMALL + f"compare: {{max_age: {written}}}\n").compare.max_age == age


@pytest.mark.parametrize("columns", ["{}", "{id: k}", "{id: k, label: y}"])
def test_predictions_that_are_only_tracked_need_nothing_more(columns: str) -> None:
    given = f"metrics: [m.json], predictions: {{path: p.csv}}, columns: {columns}"
    text = SMALL.replace("metrics: [metrics.json]", given)
    holdout = read(text + "compare: {rules: {auc: {threshold: 0.7}, mae: {threshold: 1}}}\n").evaluate["holdout"]
    assert holdout.predictions is not None
    assert holdout.predictions.score is None


# --- what the judge uses


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (FULL, "c8095a8686bba4186fc94a2e3e8bff266a7498e68cac7b598210c5bc2f93fd04"),
        (SMALL, "2e4fbcfc84f05e390c0ae9d5b1db6a6b315787eaa5fbe864642cb9cd34d0faba"),
        (WIDE, "710a3e7e0599ff090a590740c9da4856d66049238683bc5fba07c601da3ad387"),
    ],
)
def test_a_file_keeps_the_digest_that_decisions_were_made_under(text: str, digest: str) -> None:
    assert read(text).digest() == digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("confidence: 0.9\n", "confidence: 0.90\n"),
        ("max_age: 90 days", "max_age: 2160 hours"),
        ("labels: data/labels.csv", "labels: ./data/labels.csv"),
        ("[requirements.txt]", "[./requirements.txt]"),
        ("    by: sex\n    edges: {}\n", "    by: [sex]\n"),
        ("cut_off: 0.5", "cut_off: 5e-1"),
        ("[18, 40, 65]", "[18.0, 40, 65]"),
        ("latency: {rows: 10,", "latency:\n      {rows: 10,"),
        ("quantile: 0.9", "quantile: 90%"),
    ],
)
def test_spelling_of_what_is_recomputed_decides_nothing(before: str, after: str) -> None:
    assert before in ROWS
    assert read(ROWS.replace(before, after, 1)).digest() == read(ROWS).digest()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("confidence: 0.9\n", "confidence: 0.8\n"),
        ("  max_age: 90 days\n", ""),
        ("    labels: data/labels.csv\n", ""),
        ("[requirements.txt]", "[]"),
        ("cut_off: 0.5", "cut_off: 0.6"),
        ("positive: 1", "positive: 0"),
        ("cluster: person", "cluster: home"),
        (", threshold_by: bound", ""),
        ("[18, 40, 65]", "[18, 65]"),
        ("calls: 500", "calls: 5"),
        ("min_rows: 500", "min_rows: 400"),
        ("threshold: 0.8}", "threshold: 0.7}"),
        ("dog: 1, none: 5", "dog: 2, none: 5"),
        ("label: approved", "label: other"),
        ("unapproved: fail", "unapproved: warn"),
        (", branch: decisions", ""),
        ("    model_mb: {max_relative_regression: 20%}\n", ""),
        ("      ece: {bins: 20, threshold: 0.05}\n", ""),
    ],
)
def test_every_change_of_what_is_recomputed_is_seen(before: str, after: str) -> None:
    assert before in ROWS
    assert read(ROWS.replace(before, after, 1)).digest() != read(ROWS).digest()


def test_public_lists_what_the_judge_uses() -> None:
    public = read(
        SMALL + "compare: {rules: {auc: {threshold: 0.70}, log_loss: {max_relative_regression: 2%}}}\n"
    ).public()
    assert public == {
        "compare.champion": "auto",
        "compare.policy.missing_champion": "warn",
        "compare.policy.missing_metric": "error",
        "compare.policy.no_credentials": "warn",
        "compare.policy.not_comparable": "inconclusive",
        "compare.rules.auc.threshold": "0.7",
        "compare.rules.log_loss.max_relative_regression": "0.02",
        "evaluate.holdout.metrics[0]": "metrics.json",
        "fail_on": "inconclusive",
        "mode": "enforce",
    }
    assert list(public) == sorted(public)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.70", "0.7"),
        ("2%", "0.02"),
        ("metrics/eval.json", "./metrics/eval.json"),
        ("eval/predictions.parquet", "eval//predictions.parquet"),
        ("    data: data/test.parquet", "    data: ./data/test.parquet"),
        ("  python: .venv/bin/python\n", ""),
        ("mode: report", "mode: 'report'  # for now"),
        ("model: doctor-visits", "model: other"),
        ("artifact: models/visits\n", ""),
        ("1e-3", "0.00100"),
    ],
)
def test_the_digest_ignores_what_is_not_judged(before: str, after: str) -> None:
    assert before in FULL
    assert read(FULL.replace(before, after, 1)).digest() == read(FULL).digest()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.70", "0.71"),
        ("2%", "2.1%"),
        ("metrics/eval.json", "metrics/other.json"),
        ("mode: report", "mode: off"),
        ("fail_on: fail", "fail_on: error"),
        ("missing_metric: fail", "missing_metric: warn"),
        ("is: roc_auc, ", ""),
        ("champion: main", "champion: v1"),
        ("    data: data/test.parquet\n", ""),
        ("    data: data/test.parquet", "    data: data/other.parquet"),
        ("    predictions: {path: eval/predictions.parquet}\n", ""),
        ("eval/predictions.parquet", "eval/other.parquet"),
    ],
)
def test_the_digest_and_the_public_keys_see_every_judged_change(before: str, after: str) -> None:
    assert before in FULL
    changed, original = read(FULL.replace(before, after, 1)), read(FULL)
    assert changed.digest() != original.digest()
    assert changed.public() != original.public()


# --- extends


def test_extends_merges_sections_and_the_child_wins() -> None:
    config = read(CHILD, "models/visits/mlgate.yaml", {"mlgate.base.yaml": BASE})
    assert (config.model, config.mode) == ("visits", "report")
    auc = config.compare.rules["auc"]
    assert (auc.threshold, auc.max_absolute_regression) == (Decimal("0.75"), Decimal("0.01"))
    assert list(config.compare.rules) == ["auc", "log_loss"]
    assert config.path(config.evaluate["holdout"].metrics[0]) == "models/visits/metrics/eval.json"


def test_extends_replaces_lists() -> None:
    child = CHILD + "evaluate: {holdout: {metrics: [a.json, b.json]}}\n"
    config = read(child, "models/visits/mlgate.yaml", {"mlgate.base.yaml": BASE})
    assert config.evaluate["holdout"].metrics == ["a.json", "b.json"]
    assert config.evaluate["holdout"].data == "data/test.csv"


def test_a_section_left_empty_does_not_remove_the_rules_of_the_base() -> None:
    child = "model: visits\nextends: mlgate.base.yaml\ncompare:\n  rules:\n"
    assert list(read(child, others={"mlgate.base.yaml": BASE}).compare.rules) == ["auc"]


@pytest.mark.parametrize("section", ["slices", "fairness", "costs", "approval"])
def test_a_section_left_empty_keeps_what_the_base_judges(section: str) -> None:
    base = ROWS.replace("model: visits\n", "")
    child = f"model: visits\nextends: mlgate.base.yaml\ncompare:\n  {section}:\n"
    assert read(child, others={"mlgate.base.yaml": base}).digest() == read(ROWS).digest()


@pytest.mark.parametrize("section", ["columns", "predictions", "latency", "rules"])
def test_an_evaluation_set_keeps_what_is_only_commented_out(section: str) -> None:
    base = ROWS.replace("model: visits\n", "")
    child = f"model: visits\nextends: mlgate.base.yaml\nevaluate: {{holdout: {{{section}: }}}}\n"
    assert read(child, others={"mlgate.base.yaml": base}).digest() == read(ROWS).digest()


def test_a_key_of_the_base_is_located_in_the_base() -> None:
    config = read(CHILD, "models/visits/mlgate.yaml", {"mlgate.base.yaml": BASE})
    key = "compare.rules.auc.max_absolute_regression"
    assert config.location(key) == Location(file="mlgate.base.yaml", line=7, key=key)
    assert config.line(key) is None
    assert config.line("compare.rules.auc.threshold") == 5


def test_the_digest_is_over_the_merged_rules() -> None:
    whole = """\
{schema: 1, mode: report, model: visits,
 evaluate: {holdout: {data: data/test.csv, metrics: [metrics/eval.json]}},
 compare: {rules: {log_loss: {threshold: 0.6},
                   auc: {is: roc_auc, threshold: 0.75, max_absolute_regression: 0.01}}}}
"""
    merged = read(CHILD, "models/visits/mlgate.yaml", {"mlgate.base.yaml": BASE})
    assert merged.digest() == read(whole, "models/visits/mlgate.yaml").digest()


@pytest.mark.parametrize(
    ("child", "base", "message"),
    [
        ("model: m\nextends: b.yaml\n", None, "mlgate.yaml:2: extends names `b.yaml`, which is not there."),
        ("model: m\nextends: ../b.yaml\n", None, "mlgate.yaml:2: extends is `../b.yaml`, outside the repository."),
        ("model: m\nextends: /etc/b.yaml\n", None, "mlgate.yaml:2: extends is `/etc/b.yaml`, outside the repository."),
        ("model: m\nextends: mlgate.yaml\n", "", "mlgate.yaml:2: extends names this file itself."),
        ("model: m\nextends: [b.yaml]\n", "", "mlgate.yaml:2: extends must be text, but is a list."),
        ("model: m\nextends:\n", "", "mlgate.yaml:2: extends must be text, but is nothing."),
        ("model: m\nextends: b.yaml\n", "", "b.yaml is empty."),
        ("model: m\nextends: b.yaml\n", "schema: 1\nextends: c.yaml\n", "b.yaml:2: extends is not allowed"),
        ("extends: b.yaml\n", BASE + "model: shared\n", "mlgate.yaml: model is missing."),
        ("model: m\nextends: b.yaml\n", BASE + "colour: red\n", "b.yaml:8: colour is not a key."),
        ("model: m\nextends: b.yaml\n", BASE + "mode: off\n", "b.yaml:8: mode is given twice"),
        (
            "model: m\nextends: b.yaml\ncompare: {rules: {auc: null}}\n",
            BASE,
            "mlgate.yaml:3: compare.rules.auc must be",
        ),
        ("model: m\nextends: b.yaml\nmode: [a]\n", BASE, "mlgate.yaml:3: mode must be"),
        ("model: m\nextends: b.yaml\n", BASE.replace("0.70", "high"), "b.yaml:7: compare.rules.auc.threshold must be"),
        ("model: m\nextends: b.yaml\n", BASE.replace("roc_auc", "roc_auk"), "b.yaml:7: compare.rules.auc.is is"),
    ],
)
def test_extends_errors_name_the_file_the_key_stands_in(child: str, base: str | None, message: str) -> None:
    with pytest.raises(MlgateError) as caught:
        read(child, others={} if base is None else {"b.yaml": base, "mlgate.yaml": base})
    assert str(caught.value).startswith(message)


def test_a_path_that_only_the_child_puts_outside_is_refused_where_it_is_written() -> None:
    base = BASE.replace("metrics/eval.json", "../../../metrics.json")
    with pytest.raises(MlgateError) as caught:
        read(CHILD, "models/visits/mlgate.yaml", {"mlgate.base.yaml": base})
    assert str(caught.value).startswith("mlgate.base.yaml:4: evaluate.holdout.metrics[0] is")


# --- cost


def test_reading_settings_imports_nothing_heavy() -> None:
    code = (
        "import sys, mlgate.config; "
        "print(*sorted({m.partition('.')[0] for m in sys.modules} & "
        "{'requests', 'jinja2', 'numpy', 'jsonschema', 'click', 'asyncio', 'difflib'}))"
    )
    env = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


# --- data and training as the judge sees them


def test_public_lists_data_contracts_and_what_training_must_prove() -> None:
    public = read(WIDE, "models/visits/mlgate.yaml").public()
    assert {key: value for key, value in public.items() if key.startswith(("data", "train"))} == {
        "data[0].contract": "models/visits/contracts/persons.yaml",
        "data[0].id[0]": "person_year",
        "data[0].path": "models/visits/data/train.csv",
        "data[0].read.delimiter": ";",
        "data[0].read.encoding": "latin-1",
        "data[0].read.format": "csv",
        "data[0].read.nulls[0]": "",
        "data[0].read.nulls[1]": "NA",
        "data[0].read.nulls[2]": "-999",
        "data[0].read.quote": "'",
        "data[0].reference": "models/visits/data/last-year.csv",
        "data[1].apart_by[0]": "person",
        "data[1].apart_by[1]": "year",
        "data[1].apart_from[0]": "models/visits/data/train.csv",
        "data[1].apart_from[1]": "models/visits/data/old/*.csv",
        "data[1].contract": "models/visits/contracts/persons.yaml",
        "data[1].path": "models/visits/data/test.parquet",
        "train.data": "models/visits/data/train.csv",
        "train.stages[0]": "prepare",
        "train.stages[1]": "train",
        "train.tolerance": "0.000000001",
        "train.verify": "score",
    }
    assert public["evaluate.holdout.columns.id"] == "person_year"
    assert str(public["evaluate.holdout.score"]).startswith("python src/score.py")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("contract: contracts/persons.yaml", "contract: contracts/others.yaml"),
        ("    contract: contracts/persons.yaml\n    apart", "    apart"),
        ("reference: data/last-year.csv", "reference: data/older.csv"),
        ("id: person_year\n", "id: [person, year]\n"),
        ('nulls: ["", NA, "-999"]', 'nulls: ["", NA]'),
        ("encoding: latin-1", "encoding: utf-8"),
        ('data/train.csv, "data/old/*.csv"', "data/train.csv"),
        ("apart_by: [person, year]", "apart_by: person"),
        ("path: data/test.parquet", "path: data/test2.parquet"),
        ("  data: data/train.csv\n", ""),
        ("verify: score", "verify: lock"),
        ("stages: [prepare, train]", "stages: [train]"),
        ("tolerance: 1e-9", "tolerance: 1e-3"),
        ("columns: {id: person_year}", "columns: {id: person}"),
        ("--home ${HOME}", "--away"),
    ],
)
def test_the_digest_sees_every_change_of_data_and_training(before: str, after: str) -> None:
    assert before in WIDE
    changed, original = read(WIDE.replace(before, after, 1)), read(WIDE)
    assert changed.digest() != original.digest()
    assert changed.public() != original.public()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("path: data/test.parquet", "path: ./data//test.parquet"),
        ("contract: contracts/persons.yaml", "contract: ./contracts/persons.yaml"),
        ("tolerance: 1e-9", "tolerance: 0.000000001"),
        ("header: true, ", ""),
        ("environment: [LICENSE_KEY]", "environment: []"),
        ("experiment: visits", "experiment: others"),
        ("cost_per_hour: 0.35", "cost_per_hour: 3"),
    ],
)
def test_the_digest_ignores_how_data_and_training_are_written(before: str, after: str) -> None:
    assert before in WIDE
    assert read(WIDE.replace(before, after, 1)).digest() == read(WIDE).digest()


def test_defaults_that_are_written_out_are_no_change() -> None:
    spelled = "train: {verify: lock, tolerance: 0.000001, stages: []}\n"
    assert read(SMALL + spelled).digest() == read(SMALL).digest()


def test_what_an_image_is_held_to_is_judged_like_the_rules() -> None:
    """A change that trusts more, or looks at fewer rows, is listed, and has to be approved."""
    plain = read(FULL)
    for section in (
        "image: {skew: {rows: 1}}",
        "image: {scan: {trusted: [features.Encoder]}}",
        "image: {scan: {environment: false}}",
        "image: {rules: {image_mb: {threshold: 9000}}}",
    ):
        assert read(f"{FULL}{section}\n").digest() != plain.digest(), section
    same = "image: {name: ghcr.io/acme/visits, skew: {rows: 500}}\nserve: {workers: 2}\nregister: {to: [git]}\n"
    assert read(FULL + same).digest() == plain.digest()
    assert read(f"{FULL}image: {{scan: {{ignore: a/../b.yaml}}}}\n").public()["image.scan.ignore"] == "b.yaml"
