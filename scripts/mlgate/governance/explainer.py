"""Runs in the project's Python, with nothing of mlgate: asks a model which columns it goes by.

    python explainer.py REQUEST

REQUEST is a JSON file. The model is loaded as the project's own libraries load it, or by the project's own function
(`governance.explain.predict`). Everything random comes from seeds that are made of names, so the same model and
rows give the same numbers.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import math
import os
import sys
from typing import Any

_BACKGROUND = 100  # rows that stand for "any row" when one row is explained
_SHAP_ROWS, _SHAP_BACKGROUND = 200, 50  # of SHAP, which asks the model thousands of times for each row
_SHOWN = 80  # characters of a value


def _module(path: str) -> Any:
    """A file of mlgate's, under a name that is none of the project's."""
    name = f"mlgate_{os.path.basename(path)[:-3]}"
    spec: Any = importlib.util.spec_from_file_location(name, path)
    found: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


_model = _module(os.path.join(os.path.dirname(os.path.abspath(__file__)), "explained.py"))
Wrong: Any = _model.Wrong


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    sys.path[0] = request["folder"]  # this file's own folder is none of the project's
    try:
        answer = _explained(request)
    except Wrong as error:
        answer = {"wrong": str(error)}
    with open(request["answer"], "w", encoding="utf-8") as file:
        json.dump(answer, file, allow_nan=False)
    return 0


def _explained(request: dict[str, Any]) -> dict[str, Any]:
    numpy: Any = importlib.import_module("numpy")
    reading = _module(request["reader"])
    try:
        data, ids = reading.read(request["data"], request["id"])
    except reading.Wrong as error:
        raise Wrong(str(error)) from None
    if not len(data):
        raise Wrong("there are no rows to explain")
    of = len(data)
    places = _chosen(ids, of, request["rows"])
    data = data.iloc[places].reset_index(drop=True)
    names = [str(ids.iloc[place]) if ids is not None else f"row {place + 1}" for place in places]
    labels = data[request["label"]] if request["label"] in data.columns else None
    model = _model.Model(request, data, labels)
    explained = Explained(numpy, model, data, request)
    how = explained.shap if request["by"] == "shap" else explained.permuted
    features, metric, value = how(labels)
    rows = _spread(numpy, explained.scores, request["examples"])
    return {
        "rows": len(data),
        "of": of,
        "score": model.what,
        "metric": metric,
        "metric_value": value,
        "features": features,
        "examples": [explained.local(row, names[row]) for row in rows],
        "notes": explained.notes,
        "made_with": _versions(["python", "numpy", "pandas", *model.libraries, *explained.libraries]),
    }


def _chosen(ids: Any, count: int, most: int) -> list[int]:
    """The same rows every time, whatever their order: by the digest of the id, else of the place."""
    if count <= most:
        return list(range(count))
    named = [str(ids.iloc[place]) if ids is not None else str(place) for place in range(count)]
    ranked = sorted(range(count), key=lambda place: hashlib.md5(named[place].encode()).digest())  # noqa: S324
    return sorted(ranked[:most])


def _spread(numpy: Any, scores: Any, count: int) -> list[int]:
    """Rows from the lowest score to the highest."""
    order = numpy.argsort(scores, kind="stable")
    count = min(count, len(order))
    at = numpy.linspace(0, len(order) - 1, count).round().astype(int) if count > 1 else [len(order) // 2][:count]
    return [int(order[place]) for place in at]


def _versions(names: list[str]) -> dict[str, str]:
    metadata: Any = importlib.import_module("importlib.metadata")
    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for name in names:
        try:
            found[name] = str(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    found["python"] = ".".join(str(part) for part in sys.version_info[:3])
    return found


# -- what it goes by -------------------------------------------------------------------------------------------------


class Explained:
    def __init__(self, numpy: Any, model: Any, data: Any, request: dict[str, Any]) -> None:
        self.numpy, self.model, self.data, self.request = numpy, model, data, request
        self._explainer: Any = None
        self._codes: Any = None
        self.notes: list[str] = []
        self.libraries: list[str] = []
        self.scores = model.scores(data)
        self.background = data.iloc[_chosen(None, len(data), _BACKGROUND)].reset_index(drop=True)

    def _random(self, *names: Any) -> Any:
        seed = hashlib.sha256("\0".join(str(name) for name in names).encode()).digest()
        return self.numpy.random.default_rng(int.from_bytes(seed[:8], "big"))

    def permuted(self, labels: Any) -> tuple[list[dict[str, Any]], str, float | None]:
        """The loss in the metric when a column is shuffled; without labels, how far the score moves."""
        numpy, count, repeats = self.numpy, len(self.data), self.request["repeats"]
        metric, measure = self._metric(labels)
        base = measure(self.data, self.scores, 1)[0] if measure else None
        pandas: Any = importlib.import_module("pandas")
        stacked = pandas.concat([self.data] * repeats, ignore_index=True)
        found: list[dict[str, Any]] = []
        for name in self.model.features:
            orders = [self._random("shuffle", name, turn).permutation(count) for turn in range(repeats)]
            before = stacked[name]
            stacked[name] = self.data[name].iloc[numpy.concatenate(orders)].reset_index(drop=True)
            scores = self.model.scores(stacked, repeats)
            moved = numpy.abs(scores - numpy.tile(self.scores, repeats)).reshape(repeats, count).mean(axis=1)
            losses = moved
            if measure is not None:
                losses = numpy.asarray([base - value for value in measure(stacked, scores, repeats)])
                losses = -losses if metric == "rmse" else losses
            stacked[name] = before
            found.append(
                {
                    "name": name,
                    "importance": _rounded(losses.mean()),
                    "lowest": _rounded(losses.min()),
                    "highest": _rounded(losses.max()),
                    "moved": _rounded(moved.mean()),
                }
            )
        found.sort(key=lambda one: (-one["importance"], one["name"]))
        return found, metric or "mean change of the score", _rounded(base) if base is not None else None

    def _metric(self, labels: Any) -> tuple[str, Any]:
        """Its name, and a function of rows, scores and repeats that gives one value for each repeat."""
        numpy, model = self.numpy, self.model
        if labels is None:
            self.notes.append("There are no labels: importance is how far the score moves.")
            return "", None
        if labels.isna().any():
            raise Wrong(f"{int(labels.isna().sum()):,} rows have no label")
        if model.task == "regression":
            truth = numpy.asarray(labels, dtype=float)
            return "rmse", lambda rows, scores, turns: [
                float(numpy.sqrt(((part - truth) ** 2).mean())) for part in scores.reshape(turns, -1)
            ]
        if model.task == "binary" and len(numpy.unique(self.scores)) > 2:
            positive = self._is_positive(labels)
            if positive.all() or not positive.any():
                self.notes.append("All labels are of one class: importance is how far the score moves.")
                return "", None
            return "roc_auc", lambda rows, scores, turns: [
                self._auc(part, positive) for part in scores.reshape(turns, -1)
            ]
        said = numpy.asarray([str(one) for one in labels], dtype=object)
        return "accuracy", lambda rows, scores, turns: [
            float((part == said).mean()) for part in model.classes_of(rows).reshape(turns, -1)
        ]

    def _is_positive(self, labels: Any) -> Any:
        numpy, positive = self.numpy, self.request["positive"]
        if positive is None:
            values = sorted(set(labels.tolist()), key=str)
            positive = values[-1]
        found = numpy.asarray(labels == positive) | numpy.asarray(labels.astype(str) == str(positive))
        if not found.any() and isinstance(positive, (int, float)):
            found = numpy.asarray(labels.astype(str) == str(float(positive)))
        return found

    def _auc(self, scores: Any, positive: Any) -> float:
        _, where, counts = self.numpy.unique(scores, return_inverse=True, return_counts=True)
        ends = self.numpy.cumsum(counts)
        ranks = ((ends - counts + 1 + ends) / 2)[where.reshape(-1)]
        ones = int(positive.sum())
        total = ranks[positive].sum() - ones * (ones + 1) / 2
        return float(total / (ones * (len(scores) - ones)))

    def local(self, place: int, name: str) -> dict[str, Any]:
        """How far each value of one row moves the score away from what other rows' values would give."""
        row, size = self.data.iloc[[place]], len(self.background)
        pandas: Any = importlib.import_module("pandas")
        self._hold(place)
        if self.request["by"] == "shap":
            baseline, contributions = self._shap_of(place)
        else:
            alike = self.data.iloc[[place] * size].reset_index(drop=True)
            swapped_rows = [alike.assign(**{feature: self.background[feature]}) for feature in self.model.features]
            scores = self.model.scores(pandas.concat(swapped_rows, ignore_index=True), repeats=0)
            swapped = scores.reshape(len(swapped_rows), size).mean(axis=1)
            contributions = [float(self.scores[place] - value) for value in swapped]
            baseline = float(self.model.scores(self.background, repeats=0).mean())
        pairs: list[dict[str, Any]] = [
            {"feature": feature, "value": _text(row[feature].iloc[0]), "contribution": _rounded(value)}
            for feature, value in zip(self.model.features, contributions)  # noqa: B905 -- Python 3.9 has no `strict`
        ]
        pairs.sort(key=lambda one: (-abs(one["contribution"]), one["feature"]))
        return {
            "row": name,
            "score": _rounded(self.scores[place]),
            "baseline": _rounded(baseline),
            "contributions": pairs,
        }

    def _hold(self, place: int) -> None:
        model = self.model
        if model.decided is not None:
            model.row = model.decided[place]
        elif model._first is not None:
            model.row = model._first[place]

    # -- SHAP --------------------------------------------------------------------------------------------------------

    def shap(self, labels: Any) -> tuple[list[dict[str, Any]], str, float | None]:
        """Mean absolute SHAP value of each column, over rows from the lowest score to the highest."""
        rows = _spread(self.numpy, self.scores, min(len(self.data), _SHAP_ROWS))
        if len(rows) < len(self.data):
            self.notes.append(f"SHAP values of {len(rows):,} of these rows.")
        values = []
        for place in rows:
            self._hold(place)
            values.append(self._shap_of(place)[1])
        means = self.numpy.abs(self.numpy.asarray(values)).mean(axis=0)
        found: list[dict[str, Any]] = [
            {"name": name, "importance": _rounded(value), "lowest": None, "highest": None, "moved": None}
            for name, value in zip(self.model.features, means)  # noqa: B905
        ]
        found.sort(key=lambda one: (-one["importance"], one["name"]))
        return found, "mean absolute SHAP value", None

    def _shap_of(self, place: int) -> tuple[float, list[float]]:
        """Columns of words are codes to SHAP, and words again to the model."""
        if self._explainer is None:
            self._explainer, self._codes = self._made()
        width = len(self.model.features)
        found = self._explainer(self._codes[[place]], max_evals=2 * (2 * width + 1), silent=True)
        values = self.numpy.asarray(found.values)[0].reshape(width)
        return float(self.numpy.asarray(found.base_values).reshape(-1)[0]), [float(one) for one in values]

    def _made(self) -> tuple[Any, Any]:
        try:
            shap: Any = importlib.import_module("shap")
        except ImportError:
            raise Wrong(
                "shap is not installed in the project's Python: install it, or leave `governance.explain.by` out"
            ) from None
        self.libraries.append("shap")
        numpy, features = self.numpy, self.model.features
        pandas: Any = importlib.import_module("pandas")
        coded = [pandas.factorize(self.data[name], use_na_sentinel=False) for name in features]
        codes = numpy.column_stack([code for code, _ in coded]).astype(float)
        values = [self.data[name].iloc[numpy.unique(code, return_index=True)[1]] for name, (code, _) in
                  zip(features, coded)]  # fmt: skip  # noqa: B905

        def scores(given: Any) -> Any:
            rows = {
                name: values[at].iloc[given[:, at].astype(int)].reset_index(drop=True)
                for at, name in enumerate(features)
            }
            return self.model.scores(pandas.DataFrame(rows), repeats=0)

        background = codes[_chosen(None, len(codes), _SHAP_BACKGROUND)]
        masker = shap.maskers.Independent(background, max_samples=_SHAP_BACKGROUND)
        return shap.explainers.Permutation(scores, masker, seed=0), codes


def _rounded(value: Any) -> float:
    """Twelve digits: sums in another order differ in the last ones."""
    return float(f"{float(value):.12g}") + 0.0


def _text(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    shown = str(value)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "\u2026"


if __name__ == "__main__":
    sys.exit(main())
