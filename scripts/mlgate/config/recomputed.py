"""What metrics that are recomputed from predictions need, beside what each key may say: checks over typed settings."""

from __future__ import annotations

from collections.abc import Iterator

from mlgate import estimators
from mlgate.config.limits import PARAMETERS, Rule
from mlgate.config.messages import either
from mlgate.config.settings import Config, EvaluationSet
from mlgate.config.vocabulary import Finding, Path

Tasks = estimators.Tasks

_TASKS: Tasks = frozenset({"binary", "multiclass", "regression", "ranking"})
_PARTS = {
    "predictions": "`predictions: {path: <file>}`",
    "predictions.score": "`predictions.score` or `predictions.class`",
    "columns.id": "`columns.id`, the column that tells one row from another",
    "columns.label": "`columns.label`, the column with the truth",
}
ROWS = "rows: `predictions` with `score` or `class`, `columns.id` and `columns.label` of an evaluation set"
_NEW = ("expected_cost", "row_mean")  # no metrics file has them: nothing but their parameters says what they are


def findings(config: Config) -> Iterator[Finding]:
    """Everything about predictions, columns and estimators that could not be recomputed as it is written."""
    for name, evaluation in config.evaluate.items():
        at: Path = ("evaluate", name)
        if lacking := lacks(config, name):
            yield from _unused(at, evaluation, lacking)
        else:
            yield from _complete(at, evaluation)
        yield from _predictions(at, evaluation)
        yield from _columns(at, evaluation)
    for name, evaluation in config.evaluate.items():
        for key, rule in evaluation.rules.items():
            yield from rule_findings(config, ("evaluate", name, "rules", key), key, rule, {name: evaluation})
    for key, rule in config.compare.rules.items():
        sets = {name: one for name, one in config.evaluate.items() if key not in one.rules}
        yield from rule_findings(config, ("compare", "rules", key), key, rule, sets)
    yield from _one_task(config)


def lacks(config: Config, name: str) -> list[str]:
    """What is missing before anything of this set can be recomputed; nothing when it can."""
    evaluation = config.evaluate[name]
    given = evaluation.predictions
    rules = [*config.compare.rules.values(), *evaluation.rules.values()]
    says = given and (given.score or given.class_ or any(rule.column or rule.entry_point for rule in rules))
    parts = {
        "predictions": given,
        "predictions.score": says or given is None,
        "columns.id": evaluation.columns.id,
        "columns.label": evaluation.columns.label,
    }
    return [part for part, value in parts.items() if not value]


def tasks(evaluation: EvaluationSet) -> Tasks:
    """The tasks that this set can be of, as far as its keys say."""
    if evaluation.task:
        return frozenset({evaluation.task})
    if evaluation.columns.query:
        return frozenset({"ranking"})
    if evaluation.predictions and isinstance(evaluation.predictions.score, dict):
        return frozenset({"multiclass"})
    if evaluation.columns.positive is not None or _cut(evaluation):
        return frozenset({"binary"})
    return _TASKS - {"ranking"}


def narrowed(evaluation: EvaluationSet) -> Tasks:
    """The tasks that this set can be of, as far as its keys and the rules of its own say."""
    left = tasks(evaluation)
    for key, rule in evaluation.rules.items():
        known = rule.estimator(key)
        left = (known.tasks & left if known else left) or left
    return left


def decides(evaluation: EvaluationSet) -> bool:
    """Whether its predictions say which class each row is decided to be."""
    given = evaluation.predictions
    return given is not None and (
        given.class_ is not None or given.cut_off is not None or isinstance(given.score, dict)
    )


# --- one evaluation set


def _unused(at: Path, evaluation: EvaluationSet, lacking: list[str]) -> Iterator[Finding]:
    """Keys that only recomputation reads, where nothing can be recomputed: they would look like a check."""
    given = evaluation.predictions
    asked: list[tuple[Path, object]] = [(("columns", key), getattr(evaluation.columns, key)) for key in _MORE]
    asked += [(("predictions", word.rstrip("_")), getattr(given, word)) for word in _SAID] if given else []
    asked += [(("labels",), evaluation.labels), (("task",), evaluation.task)]
    for path, value in asked:
        if value is not None:
            parts = " and ".join(f"`{part}`" for part in lacking)
            fix = f"Add {' and '.join(_PARTS[part] for part in lacking)}, or remove it."
            yield (*at, *path), f"is read only when metrics are recomputed, which needs {parts}.", fix
            return


_MORE = ("positive", "weight", "cluster", "query")
_SAID = ("score", "class_")


def _complete(at: Path, evaluation: EvaluationSet) -> Iterator[Finding]:
    if evaluation.data is None and evaluation.labels is None:
        yield (
            (*at, "columns", "label"),
            "has no file to be read from: labels are never taken from the predictions.",
            "Add `data: <file>`, or `labels: <file>`, a small file beside it with the same rows.",
        )
    if evaluation.task == "ranking" and evaluation.columns.query is None:
        fix = "Add `columns.query`, the column whose rows are ranked against each other."
        yield (*at, "task"), "is `ranking`, but no column says which rows are ranked together.", fix
    if evaluation.columns.query and evaluation.task not in {None, "ranking"}:
        fix = "Remove it, or write `task: ranking`."
        yield (*at, "columns", "query"), f"is for rankings, but `task` is `{evaluation.task}`.", fix
    several = tasks(evaluation) - {"binary"} == tasks(evaluation)
    if evaluation.columns.positive is not None and several:
        fix = "Remove it, or look at `task` and `predictions.score`."
        yield (*at, "columns", "positive"), "is for two classes, and this set has another task.", fix


def _predictions(at: Path, evaluation: EvaluationSet) -> Iterator[Finding]:
    given = evaluation.predictions
    if given is None:
        return
    below = (*at, "predictions")
    if given.cut_off is not None:
        cut = (*below, "cut_off")
        if given.class_ is not None:
            yield cut, "is not used: `class` says what was decided.", "Remove one of the two."
        elif given.score is None:
            yield cut, "has no `score` to cut.", "Add `score: <column>`, or name the decided class by `class`."
        elif isinstance(given.score, dict):
            yield cut, "is for two classes, but `score` names several.", "Remove it: the most probable class counts."
        elif evaluation.task not in {None, "binary"}:
            yield cut, f"is for two classes, but `task` is `{evaluation.task}`.", "Remove it."
    if isinstance(given.score, dict) and evaluation.task not in {None, "multiclass"}:
        fix = "Name one column, or write `task: multiclass`."
        yield (*below, "score"), f"names the columns of several classes, but `task` is `{evaluation.task}`.", fix
    if evaluation.task == "multiclass" and isinstance(given.score, str):
        fix = "Name the column of each class: `{cat: p_cat, dog: p_dog}`."
        yield (*below, "score"), "names one column, but `task` is `multiclass`.", fix


def _columns(at: Path, evaluation: EvaluationSet) -> Iterator[Finding]:
    columns = evaluation.columns
    seen: dict[str, str] = {}
    for key in ("id", "label", "weight"):
        name = getattr(columns, key)
        if name is None:
            continue
        first = seen.setdefault(name, key)
        if first != key:
            yield (*at, "columns", key), f"is `{name}`, as is `{first}`.", "Name another column, or remove it."
    for key in ("cluster", "query"):
        if (name := getattr(columns, key)) and name == columns.id:
            fix = "Name the column whose rows belong together, or remove it."
            yield (*at, "columns", key), f"is `{name}`, as is `id`: no two rows would belong together.", fix


# --- one rule


def rule_findings(config: Config, at: Path, key: str, rule: Rule, sets: dict[str, EvaluationSet]) -> Iterator[Finding]:
    """`sets` are the evaluation sets that the rule is for."""
    name = estimators.canonical(rule.is_ or "") or named(key)
    if rule.is_ and estimators.find(rule.is_) is None:
        return  # said elsewhere
    used = {one: evaluation for one, evaluation in sets.items() if not lacks(config, one)}
    yield from _parameters(at, name, rule, used, unsure=len(used) < len(sets))
    yield from _only_recomputed(at, name, rule, used)
    if name and used and len(used) == len(sets):
        yield from _fits(at, key, name, rule, used)


def named(key: str) -> str | None:
    """The estimator that the last part of a metric's key names."""
    known = Rule().estimator(key)
    return next((name for name, one in estimators.KNOWN.items() if one is known), None)


def _parameters(
    at: Path, name: str | None, rule: Rule, used: dict[str, EvaluationSet], *, unsure: bool
) -> Iterator[Finding]:
    legal = estimators.KNOWN[name].parameters if name else {}
    given = [word for word in PARAMETERS if getattr(rule, word) is not None]
    for word in given:
        if word in legal:
            continue
        takers = [f"`{one}`" for one, known in estimators.KNOWN.items() if word in known.parameters]
        of = f"is no parameter of `{name}`." if name else "belongs to an estimator, and the rule names none."
        fix = f"Remove it; it is for {', '.join(takers)}." if name else f"Add `is:`; it is for {', '.join(takers)}."
        yield (*at, word), of, fix
    if name is None:
        return
    yield from _values(at, name, rule)
    one_of = [word for word, must in legal.items() if must == "one"]
    if one_of and len(set(one_of) & set(given)) != 1:
        said = "both are there" if set(one_of) <= set(given) else "neither is there"
        fix = "Add `column: <column of the predictions>`, or `entry_point: module:function`."
        yield at, f"is `{name}`, which needs one of {either(one_of)}; {said}.", fix if said[0] == "n" else "Remove one."
    for word, must in legal.items():
        if word in given or not (used or name in _NEW):
            continue
        homes = [left for evaluation in used.values() if (left := narrowed(evaluation) & estimators.KNOWN[name].tasks)]
        several = not unsure and bool(homes) and all(left == {"multiclass"} for left in homes)
        if must == "always" or (must == "several classes" and several):
            because = ", and there are several classes" if must == "several classes" else ""
            yield at, f"is `{name}`, which needs `{word}`{because}.", _ADD[word]


_ADD = {
    "average": "Add `average: macro`, `micro` or `weighted`.",
    "beta": "Add `beta: 2`, or how much recall counts beside precision.",
    "k": "Add `k: 5`, or how many places count.",
    "quantile": "Add `quantile: 0.9`, or which quantile is predicted.",
    "cost_matrix": "Add `cost_matrix: {yes: {no: 10}, no: {yes: 1}}`: true class, decided class, what it costs.",
}


def _values(at: Path, name: str, rule: Rule) -> Iterator[Finding]:
    known = estimators.KNOWN[name]
    if rule.average is not None and "average" in known.parameters and rule.average not in known.averages:
        fix = f"Write {either(known.averages)}."
        yield (*at, "average"), f"is `{rule.average}`, which `{name}` is not defined for.", fix
    if rule.beta is not None and not rule.beta:
        yield (*at, "beta"), "is 0, which leaves the precision alone.", "Use `is: precision`, or a number above 0."
    if rule.quantile is not None and not rule.quantile:
        yield (*at, "quantile"), "is 0, below which nothing lies.", "Write a number between 0 and 1."
    if rule.cost_matrix is not None:
        costs = [cost for decided in rule.cost_matrix.values() for cost in decided.values()]
        if not any(costs):
            fix = "Write what each mistake costs: `{yes: {no: 10}, no: {yes: 1}}`."
            yield (*at, "cost_matrix"), "holds no cost other than 0, so it would check nothing.", fix
        for word in rule.limits() if min(costs, default=0) < 0 else ():
            if "relative" in word:
                fix = f"Use `{word.replace('relative', 'absolute')}`, or write what is gained as a cost of 0."
                yield (*at, word), "makes no sense for a cost that can be zero or negative.", fix


def _only_recomputed(at: Path, name: str | None, rule: Rule, used: dict[str, EvaluationSet]) -> Iterator[Finding]:
    """What is said of a rule and needs rows."""
    if rule.threshold_by and rule.threshold is None and rule.warn_threshold is None:
        yield (*at, "threshold_by"), "has no `threshold` that it could be about.", "Add `threshold`, or remove it."
    if used and name:
        return
    needs = f"needs {ROWS}"
    if used:
        needs = "needs an estimator that mlgate knows: add `is:`, or `is: row_mean` for a metric of your own"
    if rule.threshold_by == "bound":
        yield (*at, "threshold_by"), f"asks for proof, which {needs}.", "Add them, or write `point`."
    if rule.tolerance is not None:
        yield (*at, "tolerance"), f"is of recomputed values; recomputing {needs}.", "Add them, or remove it."
    if name in _NEW and not used:
        where = (*at, "is") if rule.is_ else at
        yield where, f"is `{name}`, which {needs}.", "Add them to the evaluation set."


def _fits(at: Path, key: str, name: str, rule: Rule, used: dict[str, EvaluationSet]) -> Iterator[Finding]:
    """That at least one of these sets has the task of the estimator, and what it reads."""
    known = estimators.KNOWN[name]
    where = (*at, "is") if rule.is_ else at
    homes = {one: evaluation for one, evaluation in used.items() if known.tasks & tasks(evaluation)}
    if len(homes) > 1:
        homes = {one: evaluation for one, evaluation in homes.items() if known.tasks & narrowed(evaluation)} or homes
    if not homes:
        one, evaluation = next(iter(used.items()))
        said = f"is `{name}`, which is for {_listed(known.tasks)}, but {_why(one, evaluation)}."
        if known.tasks == {"ranking"} and evaluation.task is None and not isinstance(_score(evaluation), dict):
            fix = f"Add `evaluate.{one}.columns.query`, the column whose rows are ranked against each other."
        else:
            fix = "Remove the rule, or give it an evaluation set of its own: `evaluate.<set>.rules`."
        yield where, said, fix
        return
    if rule.average and all(tasks(evaluation) == {"binary"} for evaluation in homes.values()):
        yield (*at, "average"), "is for several classes, and there are two.", "Remove it."
    lacking = {one: what for one, evaluation in homes.items() if (what := _lacking(known, evaluation))}
    if len(lacking) == len(homes):
        one, (part, fix) = next(iter(lacking.items()))
        yield where, f"is `{name}`, recomputed from {part}, which `evaluate.{one}.predictions` does not name.", fix


def _lacking(known: estimators.Estimator, evaluation: EvaluationSet) -> tuple[str, str] | None:
    """What the predictions do not name of what an estimator reads: what, and how to name it."""
    if known.needs == "row":
        return None
    if known.needs == "class":
        if decides(evaluation):
            return None
        fix = "Add `class: <column>`, or `score: <column>` and `cut_off: 0.5`."
        if _score(evaluation) is not None:
            fix = "Add `cut_off: 0.5`, or `class: <column>`."
        return "the decided class", fix
    if _score(evaluation) is not None:
        return None
    if known.needs == "value":
        return "the predicted value", "Add `score: <column>`."
    fix = "Add `score: <column>`, the probability of the positive class."
    if tasks(evaluation) == {"multiclass"}:
        fix = "Add `score: {cat: p_cat, dog: p_dog}`, the column of each class."
    return "the score", fix


def _score(evaluation: EvaluationSet) -> object:
    return evaluation.predictions.score if evaluation.predictions else None


def _cut(evaluation: EvaluationSet) -> bool:
    return evaluation.predictions is not None and evaluation.predictions.cut_off is not None


def _why(name: str, evaluation: EvaluationSet) -> str:
    if evaluation.task:
        return f"`evaluate.{name}.task` is `{evaluation.task}`"
    if evaluation.columns.query:
        return f"`evaluate.{name}.columns.query` makes it a ranking"
    if isinstance(_score(evaluation), dict):
        return f"`evaluate.{name}.predictions.score` names several classes"
    if evaluation.columns.positive is not None:
        return f"`evaluate.{name}.columns.positive` makes two classes"
    if _cut(evaluation):
        return f"`evaluate.{name}.predictions.cut_off` makes two classes"
    return f"`evaluate.{name}` has no `columns.query`"


def _listed(several: Tasks) -> str:
    ordered = [task for task in ("binary", "multiclass", "regression", "ranking") if task in several]
    return " or ".join([", ".join(ordered[:-1]), ordered[-1]]) if len(ordered) > 1 else ordered[0]


def _one_task(config: Config) -> Iterator[Finding]:
    """All that is recomputed of one set has one task. Rules for every set are asked only where there is one set:
    of several, each has the metrics that are in its files."""
    for name, evaluation in config.evaluate.items():
        if lacks(config, name):
            continue
        rules: list[tuple[Path, str, Rule]] = []
        rules += [(("evaluate", name, "rules", key), key, rule) for key, rule in evaluation.rules.items()]
        if len(config.evaluate) == 1:
            shared = config.compare.rules.items()
            rules += [(("compare", "rules", key), key, rule) for key, rule in shared if key not in evaluation.rules]
        left, by = tasks(evaluation), ""
        for at, key, rule in rules:
            known = rule.estimator(key)
            if known is None or not known.tasks & tasks(evaluation):
                continue
            if not known.tasks & left:
                fix = "Give each evaluation set the rules of one task, below `evaluate.<set>.rules`."
                yield at, f"is for {_listed(known.tasks)}, but `{by}` is for {_listed(left)}.", fix
                break
            if known.tasks & left != left:
                left, by = known.tasks & left, key
