"""Train and test rows by person: all years of a person are on the same side, on every machine and in every version."""

import hashlib
from pathlib import Path

import pandas as pd
import yaml


def in_test(person: int, seed: int, share: float) -> bool:
    digest = hashlib.sha256(f"{seed}:{person}".encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64


def main() -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())["split"]
    visits = pd.read_parquet("data/visits.parquet")
    test = visits["person"].map(lambda person: in_test(person, params["seed"], params["test_share"]))
    visits[~test].to_parquet("data/train.parquet", index=False)
    visits[test].to_parquet("data/test.parquet", index=False)


if __name__ == "__main__":
    main()
