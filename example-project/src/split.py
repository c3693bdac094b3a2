"""Train, test and later rows by person: all years of a person are on one side, on every machine and in every version.

Later are the people who come when the model is already there. Nothing is made of their rows here: `make example` plays
a month in which production meets them. What that has brought, with its truth, is then added to the training data.
"""

import hashlib
from pathlib import Path

import pandas as pd
import yaml

COLLECTED = Path("data/collected.parquet")  # made by nobody in the beginning


def place(person: int, seed: int) -> float:
    """From 0 to 1, the same for ever."""
    digest = hashlib.sha256(f"{seed}:{person}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def main() -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())["split"]
    visits = pd.read_parquet("data/visits.parquet")
    where = visits["person"].map(lambda person: place(person, params["seed"]))
    test = where < params["test_share"]
    later = ~test & (where < params["test_share"] + params["later_share"])
    train = visits[~test & ~later]
    if COLLECTED.exists():
        collected = pd.read_parquet(COLLECTED)
        known = collected["person"].map(lambda person: place(person, params["seed"]) < params["test_share"])
        train = pd.concat([train, collected[~known.astype(bool)]], ignore_index=True)  # who is in the test stays there
    train.to_parquet("data/train.parquet", index=False)
    visits[test].to_parquet("data/test.parquet", index=False)
    visits[later].to_parquet("data/later.parquet", index=False)


if __name__ == "__main__":
    main()
