"""What one metric must keep to: on an evaluation set, in groups of its rows, and of what production logged."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

from pydantic import Field

from mlgate import estimators
from mlgate.config.base import Closed
from mlgate.config.values import Amount, Boolean, Count, EntryPoint, Groupings, Number, Share, Text


class Rule(Closed):
    """What one metric must keep to. A boundary value passes. No limit has a default."""

    is_: Text | None = Field(
        default=None, alias="is", description="The estimator behind the metric, for example `roc_auc` or `log_loss`."
    )
    greater_is_better: Boolean | None = Field(
        default=None, description="Which way is better. Only for a metric that mlgate does not know."
    )
    threshold: Number | None = Field(
        default=None, description="The worst value allowed: a floor if greater is better, else a ceiling."
    )
    warn_threshold: Number | None = Field(
        default=None, description="Beyond this value the verdict is `warn`. Stricter than `threshold`."
    )
    max_absolute_regression: Amount | None = Field(
        default=None, description="How much worse than the champion it may be, in the metric's own units."
    )
    warn_absolute_regression: Amount | None = Field(
        default=None, description="Worse than the champion by more than this, in the metric's own units, is `warn`."
    )
    max_relative_regression: Share | None = Field(
        default=None,
        description="How much worse than the champion it may be, as a share of the champion's value: `2%` or 0.02.",
    )
    warn_relative_regression: Share | None = Field(
        default=None, description="Worse than the champion by more than this share of the champion's value is `warn`."
    )
    max_anchor_regression: Amount | None = Field(
        default=None,
        description="How much worse than `compare.anchor` it may be, in the metric's units: many small losses add up.",
    )
    min_absolute_change: Amount | None = Field(
        default=None, description="How much better than the champion it must be, in the metric's own units."
    )
    min_relative_change: Share | None = Field(
        default=None, description="How much better than the champion it must be, as a share of the champion's value."
    )
    threshold_by: Literal["point", "bound"] | None = Field(
        default=None,
        description="`point` (default): the measured value decides on `threshold`. `bound`: it has to be proven.",
    )
    tolerance: Amount | None = Field(
        default=None,
        description="How far the recomputed value may be from the committed one. Without it: 0.000001.",
    )
    average: Literal["macro", "micro", "weighted"] | None = Field(
        default=None, description="How the values of several classes become one."
    )
    beta: Amount | None = Field(default=None, description="`f_beta`: how much recall counts beside precision.")
    k: Count | None = Field(default=None, description="`top_k_accuracy` and `ndcg`: how many places count.")
    quantile: Share | None = Field(default=None, description="`mean_pinball_loss`: which quantile is predicted.")
    bins: Count | None = Field(
        default=None, description="`expected_calibration_error`: into how many bins of one width."
    )
    cost_matrix: dict[str, dict[str, Number]] | None = Field(
        default=None,
        description="`expected_cost`: true class -> decided class -> what it costs; 0 where it is not set.",
    )
    column: Text | None = Field(
        default=None, description="`row_mean`: the column of the predictions file with one value per row."
    )
    entry_point: EntryPoint | None = Field(
        default=None,
        description="`row_mean`: Python function `module:name` that gives one value per row; it runs in the `run` job.",
    )

    def estimator(self, key: str) -> estimators.Estimator | None:
        """What is known of the metric that the rule with this key is about."""
        return estimators.find(self.is_ or re.sub(r"[ -]+", "_", key.rpartition(".")[2]))

    def direction(self, key: str) -> bool | None:
        """Whether greater is better: from `is:`, else the known name in the key, else `greater_is_better`.

        Never None in a loaded file: `load` asks for `greater_is_better` where nothing else says it.
        """
        known = self.estimator(key)
        found = known.greater_is_better if known else None
        return self.greater_is_better if found is None else found

    def limits(self) -> dict[str, Decimal]:
        """The limits that are set, by their word."""
        return {word: value for word in LIMITS if (value := getattr(self, word)) is not None}


_HOW = {"is_", "greater_is_better", "threshold_by", "tolerance"}
PARAMETERS = ("average", "beta", "k", "quantile", "bins", "cost_matrix", "column", "entry_point")  # of estimators
LIMITS = tuple(name for name in Rule.model_fields if name not in {*_HOW, *PARAMETERS})


class Slices(Closed):
    """Groups of rows in which the challenger may not be proven to be worse."""

    by: Groupings = Field(
        description="Columns, or lists of columns for their combinations, whose values make the groups."
    )
    edges: dict[str, list[Number]] = Field(
        default_factory=dict, description="For a column of numbers: where one group ends and the next begins."
    )
    min_rows: Count = Field(description="Groups with fewer rows are listed as `not judged`.")
    rules: dict[str, Rule] = Field(min_length=1, description="Rules for each group, by the metric's key.")


class Fairness(Closed):
    """How differently groups of people may be treated. Nothing here is legal advice."""

    by: Groupings = Field(
        description="The columns with the groups, such as sex; lists of columns for their combinations."
    )
    edges: dict[str, list[Number]] = Field(
        default_factory=dict, description="For a column of numbers: where one group ends and the next begins."
    )
    min_rows: Count = Field(description="Groups with fewer rows are listed as `not judged`.")
    rules: dict[str, Rule] = Field(
        min_length=1, description="Rules by fairness metric, such as `disparate_impact_ratio`."
    )
