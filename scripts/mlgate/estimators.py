"""The estimators mlgate knows by name: which way is better, what they are measured on, and which parameters they take.

Names are those of scikit-learn's scorers and metrics functions, which users already write, and so are the definitions:
the arithmetic is in judge/estimate. No numpy here: mlgate.yaml is read with this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Task = Literal["binary", "multiclass", "regression", "ranking"]
# What of the predictions is read: a score that orders rows, a probability (0 to 1; of several classes they sum to one),
# the decided class, the predicted value, or a value per row that somebody else measured.
Need = Literal["score", "probability", "class", "value", "row"]
# When a parameter must be given. "one": this or the other one that is marked so.
Must = Literal["always", "several classes", "never", "one"]

Tasks = frozenset[Task]

_CLASSES: Tasks = frozenset({"binary", "multiclass"})
_REGRESSION: Tasks = frozenset({"regression"})
_ALL: Tasks = _CLASSES | _REGRESSION | {"ranking"}
_AVERAGE: Mapping[str, Must] = {"average": "several classes"}
AVERAGES = ("macro", "micro", "weighted")


class Estimator(NamedTuple):
    """`signed`: the value can be zero or negative, so "2 % worse" has no meaning and relative limits are refused.

    `lowest` and `highest` are the ends of the range; None where there is none.
    """

    greater_is_better: bool | None  # None: only its user knows
    needs: Need
    tasks: Tasks
    signed: bool = False
    parameters: Mapping[str, Must] = {}  # those of config.limits.PARAMETERS
    averages: tuple[str, ...] = ()  # what `average` may be
    lowest: float | None = 0.0
    highest: float | None = 1.0


def _averaged(need: Need, also: Mapping[str, Must] | None = None, averages: tuple[str, ...] = AVERAGES) -> Estimator:
    """A share of a class, or of a positive one; of several classes it says how they become one number."""
    return Estimator(True, need, _CLASSES, parameters={**_AVERAGE, **(also or {})}, averages=averages)


def _error(parameters: Mapping[str, Must] | None = None) -> Estimator:
    return Estimator(False, "value", _REGRESSION, parameters=parameters or {}, highest=None)


KNOWN: dict[str, Estimator] = {
    "accuracy": Estimator(True, "class", _CLASSES),
    "balanced_accuracy": Estimator(True, "class", _CLASSES),
    "precision": _averaged("class"),
    "recall": _averaged("class"),
    "specificity": _averaged("class"),
    "f1": _averaged("class"),
    "f_beta": _averaged("class", {"beta": "always"}),
    "jaccard": _averaged("class"),
    "roc_auc": _averaged("score"),  # of several classes: each against the rest
    "roc_auc_ovo": Estimator(  # each class against each other one (Hand and Till 2001)
        True, "score", frozenset({"multiclass"}), parameters=_AVERAGE, averages=("macro", "weighted")
    ),
    "average_precision": _averaged("score"),
    "top_k_accuracy": Estimator(True, "score", frozenset({"multiclass"}), parameters={"k": "always"}),
    "ndcg": Estimator(True, "score", frozenset({"ranking"}), parameters={"k": "never"}),
    "matthews_corrcoef": Estimator(True, "class", _CLASSES, signed=True, lowest=-1.0),
    "cohen_kappa": Estimator(True, "class", _CLASSES, signed=True, lowest=-1.0),
    "r2": Estimator(True, "value", _REGRESSION, signed=True, lowest=None),
    "explained_variance": Estimator(True, "value", _REGRESSION, signed=True, lowest=None),
    "log_loss": Estimator(False, "probability", _CLASSES, highest=None),
    "brier_score": Estimator(False, "probability", _CLASSES, highest=2.0),  # 1 of two classes
    "expected_calibration_error": Estimator(False, "probability", _CLASSES, parameters={"bins": "never"}),
    "zero_one_loss": Estimator(False, "class", _CLASSES),
    "hamming_loss": Estimator(False, "class", _CLASSES),
    "expected_cost": Estimator(
        False, "class", _CLASSES, parameters={"cost_matrix": "always"}, lowest=None, highest=None
    ),
    "mean_squared_error": _error(),
    "root_mean_squared_error": _error(),
    "mean_absolute_error": _error(),
    "median_absolute_error": _error(),
    "mean_absolute_percentage_error": _error(),
    "mean_pinball_loss": _error({"quantile": "always"}),
    "max_error": _error(),
    "row_mean": Estimator(
        None,
        "row",
        _ALL,
        signed=True,
        parameters={"column": "one", "entry_point": "one"},
        lowest=None,
        highest=None,
    ),
}

# What people call them in metrics files and in other tools.
ALIASES: dict[str, str] = {
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "roc_auc_ovr": "roc_auc",
    "ap": "average_precision",
    "pr_auc": "average_precision",
    "mcc": "matthews_corrcoef",
    "kappa": "cohen_kappa",
    "r2_score": "r2",
    "brier": "brier_score",
    "brier_score_loss": "brier_score",
    "ece": "expected_calibration_error",
    "logloss": "log_loss",
    "mse": "mean_squared_error",
    "rmse": "root_mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "f1_score": "f1",
    "acc": "accuracy",
    "accuracy_score": "accuracy",
    "precision_score": "precision",
    "recall_score": "recall",
    "roc_auc_score": "roc_auc",
    "quantile_loss": "mean_pinball_loss",
}


def find(name: str) -> Estimator | None:
    """The estimator of that name or alias, any case; None when it is not known."""
    meant = canonical(name)
    return None if meant is None else KNOWN[meant]


def canonical(name: str) -> str | None:
    """The key of KNOWN that a name or alias, in any case, stands for."""
    lower = name.lower()
    meant = ALIASES.get(lower, lower)
    return meant if meant in KNOWN else None


def tasks(name: str) -> Tasks:
    """The tasks for which an estimator is defined. KeyError where the name is not known."""
    return _known(name).tasks


def needs(name: str) -> Need:
    """What of the predictions it reads. KeyError where the name is not known."""
    return _known(name).needs


def parameters(name: str) -> Mapping[str, Must]:
    """Its parameters, and when each must be given. KeyError where the name is not known."""
    return _known(name).parameters


def _known(name: str) -> Estimator:
    known = find(name)
    if known is None:
        raise KeyError(name)
    return known
