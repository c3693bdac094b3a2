"""Run with the project's Python: who comes in a month of production, and what the labels bring to the next training.

    python visitors.py draw FOLDER MONTH    who is asked about, day by day: visitors.json. MONTH is JSON
    python visitors.py keep FOLDER          visits whose truth has arrived, as training data: warehouse.parquet

FOLDER is the story's. Every row is a real one of the study; only who comes when is drawn.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 560  # a day, about
FEW, MANY = 3, 12  # rows of one request
OLDER, SICKER = 6.0, 5.0  # so many times as often, from the day on that the month names


def pool() -> pd.DataFrame:
    """People of whom the model has seen nothing: those of the test, and those who come later."""
    return pd.concat([pd.read_parquet(f"data/{half}.parquet") for half in ("test", "later")], ignore_index=True)


def weights(rows: pd.DataFrame, *, moved: bool) -> pd.Series:
    found = pd.Series(1.0, index=rows.index)
    if moved:
        found[rows["age"] > 40] *= OLDER
        found[rows["health"].isin(["fair", "poor"]) | (rows["chronic"] > 15)] *= SICKER
    return found / found.sum()


def draw(folder: Path, month: dict[str, int]) -> None:
    """visitors.json: of each day a list of requests, and of each request its rows."""
    rows = pool()
    columns = json.loads(Path("models/visits/serving_input_example.json").read_text(encoding="utf-8"))
    features = columns["dataframe_split"]["columns"]
    values = json.loads(rows[features].to_json(orient="split", double_precision=15))["data"]
    rng = np.random.default_rng(month["seed"])
    days: list[list[list[int]]] = []
    for day in range(1, month["days"] + 1):
        many = int(rng.poisson(ROWS))
        if day == month["outage"]:
            days.append([])
            continue
        chance = weights(rows, moved=day >= month["moves"])
        drawn = rng.choice(len(rows), size=many, p=chance.to_numpy())
        ends = np.cumsum(rng.integers(FEW, MANY + 1, size=many))
        asked = np.split(drawn, ends[ends < many])
        days.append([[int(at) for at in group] for group in asked])
    found = {
        "columns": features,
        "rows": values,
        "visited": [int(visited) for visited in rows["visited"]],
        "days": days,
    }
    (folder / "visitors.json").write_text(json.dumps(found), encoding="utf-8")


def keep(folder: Path) -> None:
    """Once each, in the form of the training data. Nobody yet: the same table, without a row."""
    visits = pd.read_parquet("data/visits.parquet") if Path("data/visits.parquet").exists() else None
    known = folder / "known.json"
    if visits is None or not known.exists():
        from ingest import SOURCE, tidy  # noqa: PLC0415 -- of the project in whose folder this runs

        kept = tidy(pd.read_csv(SOURCE)).head(0)
    else:
        kept = pool().iloc[sorted(set(json.loads(known.read_text(encoding="utf-8"))))]
    kept.to_parquet(folder / "warehouse.parquet", index=False)


if __name__ == "__main__":
    sys.path.insert(0, "src")
    what, story = sys.argv[1], Path(sys.argv[2])
    if what == "draw":
        draw(story, json.loads(sys.argv[3]))
    else:
        keep(story)
