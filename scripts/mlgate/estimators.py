"""The estimators mlgate knows by name: which way is better, and whether a relative margin makes sense.

Names are those of scikit-learn's scorers and metrics functions, which users already write.
"""

from __future__ import annotations

from typing import NamedTuple


class Estimator(NamedTuple):
    """`signed`: the value can be zero or negative, so "2 % worse" has no meaning and relative limits are refused."""

    greater_is_better: bool
    signed: bool = False


KNOWN: dict[str, Estimator] = {
    "accuracy": Estimator(True),
    "balanced_accuracy": Estimator(True),
    "precision": Estimator(True),
    "recall": Estimator(True),
    "specificity": Estimator(True),
    "f1": Estimator(True),
    "f_beta": Estimator(True),
    "jaccard": Estimator(True),
    "roc_auc": Estimator(True),
    "average_precision": Estimator(True),
    "top_k_accuracy": Estimator(True),
    "ndcg": Estimator(True),
    "matthews_corrcoef": Estimator(True, signed=True),
    "cohen_kappa": Estimator(True, signed=True),
    "r2": Estimator(True, signed=True),
    "explained_variance": Estimator(True, signed=True),
    "log_loss": Estimator(False),
    "brier_score": Estimator(False),
    "expected_calibration_error": Estimator(False),
    "zero_one_loss": Estimator(False),
    "hamming_loss": Estimator(False),
    "mean_squared_error": Estimator(False),
    "root_mean_squared_error": Estimator(False),
    "mean_absolute_error": Estimator(False),
    "median_absolute_error": Estimator(False),
    "mean_absolute_percentage_error": Estimator(False),
    "mean_pinball_loss": Estimator(False),
    "max_error": Estimator(False),
}

# What people call them in metrics files and in other tools.
ALIASES: dict[str, str] = {
    "auc": "roc_auc",
    "auroc": "roc_auc",
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
    lower = name.lower()
    return KNOWN.get(ALIASES.get(lower, lower))
