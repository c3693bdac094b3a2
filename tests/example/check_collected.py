"""Run in the proposal of the story with the project's Python: what the successor was trained on is of production."""

import json
from pathlib import Path

import pandas as pd

train, test, later, collected = (
    pd.read_parquet(f"data/{name}.parquet") for name in ("train", "test", "later", "collected")
)
asked = {line["request_id"] for file in Path("production/logs").iterdir() for line in map(json.loads, file.open("rb"))}
known = {line["request_id"] for file in Path("production/truth").iterdir() for line in map(json.loads, file.open("rb"))}
assert known
assert known <= asked, "nothing is known of what was never asked"

people = set(test["person"]) | set(later["person"])
assert set(collected["person"]) <= people, "of people whom the first models have not seen"
assert collected["person_year"].is_unique
assert not set(train["person"]) & set(test["person"]), "who is in the test stays there"
new = train[train["person"].isin(later["person"])]
assert len(new) > 1000
assert set(new["person_year"]) <= set(collected["person_year"])
joined = new.merge(later, on="person_year", suffixes=("", "_then"), validate="one_to_one")
assert len(joined) == len(new)
assert joined["visited"].equals(joined["visited_then"]), "their real labels"
