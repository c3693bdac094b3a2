"""Run in a repository of the story with the project's Python: what the pipeline made keeps the promises of its page."""

import json
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

visits, train, test, later = (pd.read_parquet(f"data/{name}.parquet") for name in ("visits", "train", "test", "later"))
predictions = pd.read_parquet("eval/predictions.parquet")
metrics = json.loads(Path("metrics/eval.json").read_text(encoding="utf-8"))

assert (len(visits), visits["person"].nunique()) == (20190, 5912)
assert visits["person_year"].is_unique
assert len(train) + len(test) + len(later) == len(visits)
sides = [set(side["person"]) for side in (train, test, later)]
assert len(set.union(*sides)) == sum(len(side) for side in sides) == 5912, "nobody is on two sides"
assert round(visits["visited"].mean(), 3) == 0.688

joined = test.merge(predictions, on="person_year", validate="one_to_one")
assert len(joined) == len(test) == len(predictions) == metrics["rows"]
label, p_visit = joined["visited"], joined["p_visit"]
assert abs(roc_auc_score(label, p_visit) - metrics["auc"]) < 1e-6
assert abs(log_loss(label, p_visit) - metrics["log_loss"]) < 1e-6
assert abs(brier_score_loss(label, p_visit) - metrics["brier"]) < 1e-6
assert abs(accuracy_score(label, p_visit >= 0.5) - metrics["accuracy"]) < 1e-6

model = mlflow.pyfunc.load_model("models/visits")
assert not {"person", "person_year", "visited"} & set(model.metadata.signature.inputs.input_names())
assert model.predict(test.head(3))[:, 1].tolist() == predictions["p_visit"].head(3).tolist()
