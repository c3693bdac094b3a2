# ruff: noqa: S608 -- expressions are those of the logs and of the reference
"""Whether a classifier can tell rows of now from those of the reference data, and by which features.

Columns may each look as they did and still go together in another way: a profile cannot see that, and a classifier can
(Lopez-Paz and Oquab 2017). Gradient-boosted trees are trained on four fifths of a sample of both and asked about the
last one, five times over, so that each row is answered for by trees that have not seen it. The AUC of the answers is
0.5 where there is nothing to tell; its standard error is DeLong's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlgate import extras
from mlgate.data.reading.table import kind

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST = 10_000  # rows of each side: a standard error of 0.004, in seconds
LEAST = 200
_FOLDS = 5
_LEVELS = 50  # categories of a column that are told apart, the most frequent ones of both sides
_CULPRITS = 3
_WORTH = 0.005  # of AUC that a feature has to be good for, to be named


@dataclass(frozen=True)
class Told:
    """`auc` is None where it could not be measured, and `trouble` says why. `error`: its standard error."""

    auc: float | None = None
    error: float = 0.0
    rows: int = 0  # of both sides, in the sample
    culprits: tuple[str, ...] = ()  # features by which they are told apart, the best one first
    trouble: str = ""

    @property
    def p(self) -> float:
        """How likely so great an AUC is where there is nothing to tell, one-sided."""
        if self.auc is None or self.error <= 0:
            return 1.0 if self.auc is None or self.auc <= 0.5 else 0.0
        return 0.5 * math.erfc((self.auc - 0.5) / self.error / math.sqrt(2))

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %."""
        middle = self.auc or 0.0
        return max(0.0, middle - 1.96 * self.error), min(1.0, middle + 1.96 * self.error)


def tell(
    con: DuckDBPyConnection,
    now: tuple[str, Mapping[str, str]],
    reference: tuple[str, Mapping[str, str]],
    *,
    features: Collection[str],
    private: Collection[str] = (),
    most: int = MOST,
) -> Told:
    """`now` and `reference`: what stands after FROM, and SQL for each feature there.

    The same rows give the same answer. Features that either side lacks, and private ones, are left out. Raises
    MlgateError without scikit-learn, and duckdb.Error when the rows cannot be read.
    """
    extras.use("data")
    extras.use("classifier")
    both = [one for one in features if one in now[1] and one in reference[1] and one not in private]
    sides = [_sample(con, *side, both, most) for side in (reference, now)]
    columns = [one for one in both if one in sides[0][0] and one in sides[1][0]]
    sizes = [side[1] for side in sides]
    if min(sizes) < LEAST:
        return Told(trouble=f"Too few rows: {sizes[1]:,} here and {sizes[0]:,} in the reference; {LEAST} are needed.")
    if not columns:
        return Told(trouble="No feature is in both the logs and the reference data.")
    table, categorical = _joined([side[0] for side in sides], columns)
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 -- of scikit-learn

    # One thread: on a busy machine several only wait for each other, and the sums would depend on how many there are.
    with threadpool_limits(1):
        auc, error, worth = _cross_validated(table, categorical, sizes)
    named = sorted(((-gain, name) for gain, name in zip(worth, columns, strict=True) if gain >= _WORTH))[:_CULPRITS]
    return Told(auc, error, sum(sizes), tuple(name for _, name in named))


def _sample(
    con: DuckDBPyConnection, relation: str, expressions: Mapping[str, str], names: list[str], most: int
) -> tuple[dict[str, Any], int]:
    """Each column of some rows, chosen by the hash of their place: the same ones each time."""
    if not names:
        return {}, 0
    listed = ", ".join(f"({expressions[name]}) AS c{i}" for i, name in enumerate(names))
    types = [str(row[1]) for row in con.execute(f"DESCRIBE SELECT {listed} FROM {relation}").fetchall()]
    kinds = ["text" if one == "JSON" else kind(one) for one in types]
    able = [i for i, one in enumerate(kinds) if one != "other"]
    if not able:
        return {}, 0
    columns = []
    for i in able:
        if kinds[i] in {"integer", "number"}:
            columns.append(f"CAST(c{i} AS DOUBLE)")
        elif kinds[i] in {"date", "timestamp"}:
            columns.append(f"CASE WHEN isfinite(c{i}) THEN epoch(c{i}) END")
        else:
            columns.append(f"CAST(c{i} AS VARCHAR)")
    rows = con.execute(
        f"SELECT {', '.join(f'{c} AS c{i}' for c, i in zip(columns, able, strict=True))} FROM "
        f"(SELECT {listed}, row_number() OVER () AS place FROM {relation}) "
        f"ORDER BY hash(place), place LIMIT {int(most)}"
    ).fetchnumpy()
    size = len(next(iter(rows.values())))
    return {names[i]: rows[f"c{i}"] for i in able}, size


def _joined(sides: list[dict[str, Any]], columns: list[str]) -> tuple[Floats, list[bool]]:
    """One matrix, the reference first; categories as their place among the most frequent ones, NaN for missing."""
    import numpy as np  # noqa: PLC0415

    found, categorical = [], []
    for name in columns:
        values = [np.ma.asarray(side[name]) for side in sides]
        text = any(one.dtype == object for one in values)
        categorical.append(text)
        if text:
            flat = [None if v is None else str(v) for one in values for v in one.tolist()]
            names, counts = np.unique(np.array([v for v in flat if v is not None], dtype=str), return_counts=True)
            order = {str(names[i]): float(at) for at, i in enumerate(np.argsort(-counts, kind="stable")[:_LEVELS])}
            found.append(np.array([math.nan if v is None else order.get(v, float(_LEVELS)) for v in flat]))
        else:
            found.append(np.concatenate([np.ma.filled(one.astype(np.float64), math.nan) for one in values]))
    table = np.column_stack(found)
    table[~np.isfinite(table)] = math.nan
    return table, categorical


def _cross_validated(table: Floats, categorical: list[bool], sizes: list[int]) -> tuple[float, float, list[float]]:
    """AUC, its standard error, and by how much it falls when one feature is shuffled."""
    import numpy as np  # noqa: PLC0415
    from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]  # noqa: PLC0415

    is_now = np.repeat([False, True], sizes)
    random = np.random.default_rng(0)
    fold = np.concatenate([random.permutation(np.arange(size) % _FOLDS) for size in sizes])
    answers = np.empty(len(is_now))
    shuffled = np.empty((table.shape[1], len(is_now)))
    for k in range(_FOLDS):
        test = fold == k
        model = HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=15, min_samples_leaf=40, early_stopping=False, random_state=0,
            categorical_features=categorical, class_weight="balanced",
        )  # fmt: skip
        model.fit(table[~test], is_now[~test])
        rows = table[test]
        answers[test] = model.decision_function(rows)
        for column in range(table.shape[1]):
            changed = rows.copy()
            changed[:, column] = random.permutation(changed[:, column])
            shuffled[column, test] = model.decision_function(changed)
    auc, error = delong(answers, is_now)
    return auc, error, [auc - delong(one, is_now)[0] for one in shuffled]


def delong(score: Floats, positive: Any) -> tuple[float, float]:
    """The area under the ROC curve, and its standard error (DeLong, DeLong and Clarke-Pearson 1988)."""
    import numpy as np  # noqa: PLC0415

    pos, neg = np.sort(score[positive]), np.sort(score[~positive])
    of_pos = (neg.searchsorted(pos, "left") + neg.searchsorted(pos, "right")) / 2 / len(neg)
    of_neg = 1 - (pos.searchsorted(neg, "left") + pos.searchsorted(neg, "right")) / 2 / len(pos)
    variance = float(of_pos.var(ddof=1)) / len(pos) + float(of_neg.var(ddof=1)) / len(neg)
    return float(of_pos.mean()), math.sqrt(variance)
