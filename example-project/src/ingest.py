"""The RAND Health Insurance Experiment, from the copy that statsmodels ships, as one tidy row per person and year."""

import hashlib
from importlib import resources
from io import BytesIO
from pathlib import Path

import pandas as pd
import yaml

SOURCE = resources.files("statsmodels.datasets.randhie") / "src" / "randhie.csv"


def tidy(raw: pd.DataFrame) -> pd.DataFrame:
    """Only what is known before the year begins, and whether the person then saw a doctor.

    What the year itself brought (spending, drugs, admissions, days enrolled) stays out: a model that reads it would
    look better here than it can ever be in use.
    """
    health = raw[["hlthg", "hlthf", "hlthp"]].set_axis(["good", "fair", "poor"], axis=1)
    return pd.DataFrame(
        {
            "person_year": (raw["zper"] * 10 + raw["year"]).astype("int64"),
            "person": raw["zper"].astype("int64"),
            "year": raw["year"].astype("float64"),  # of the study, 1 to 5
            "site": raw["site"].astype("int64").astype("string"),
            "coinsurance": raw["coins"].astype("float64"),  # percent that the person pays
            "deductible_plan": raw["idp"].eq(1),
            "max_expense": raw["mdeoff"],  # dollars a year that the family pays at most
            "incentive": raw["lpi"],  # log of the payment for taking part
            "age": raw["xage"],
            "female": raw["female"].eq(1),
            "education": raw["educdec"],  # years, of the person who decides
            "income": raw["income"],
            "family_size": raw["num"].astype("float64"),
            "chronic": raw["disea"],  # index of chronic diseases at the start
            "limited": raw["physlm"].ge(0.5),  # physical limitation at the start
            "mental_health": raw["mhi"],
            "general_health": raw["xghindx"],
            "health": health.idxmax(axis=1).where(health.any(axis=1), "excellent").astype("string"),
            "visited": raw["mdvis"].gt(0).astype("int64"),
        }
    )


def main() -> None:
    expected = yaml.safe_load(Path("params.yaml").read_text())["ingest"]["sha256"]
    data = SOURCE.read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != expected:
        raise SystemExit(f"statsmodels ships another file than params.yaml expects: sha256 {found}")
    tidy(pd.read_csv(BytesIO(data))).to_parquet("data/visits.parquet", index=False)


if __name__ == "__main__":
    main()
