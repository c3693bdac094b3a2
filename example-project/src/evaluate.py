"""Score the held-out persons: one prediction per row for the judge, and the metrics that are committed."""

import json
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score


def measure(label: pd.Series, p_visit: pd.Series) -> dict[str, float]:
    metrics = {
        "auc": roc_auc_score(label, p_visit),
        "log_loss": log_loss(label, p_visit),
        "brier": brier_score_loss(label, p_visit),
        "accuracy": accuracy_score(label, p_visit >= 0.5),
    }
    return {name: round(float(value), 8) for name, value in metrics.items()}


def main() -> None:
    test = pd.read_parquet("data/test.parquet")
    model = mlflow.sklearn.load_model("models/visits")
    features = test[list(model.feature_names_in_)]
    p_visit = pd.Series(model.predict_proba(features)[:, 1], name="p_visit")

    pd.DataFrame({"person_year": test["person_year"], "p_visit": p_visit}).to_parquet(
        "eval/predictions.parquet", index=False
    )
    metrics = {**measure(test["visited"], p_visit), "rows": len(test)}
    Path("metrics/eval.json").write_text(json.dumps(metrics, indent=2) + "\n")


if __name__ == "__main__":
    main()
