"""What docs/tracking.md shows and promises is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlgate.tracking import Store
from mlgate.tracking.flat import Limits
from mlgate.tracking.run import TIMEOUT
from mlgate.tracking.store import _NETWORK

PAGE = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text("utf-8")
ADDRESSES = [
    *re.findall(r"MLFLOW_TRACKING_URI=(\S+)", PAGE),
    *(
        address
        for row in re.findall(r"^\| (`\S+://.*?) \|", PAGE, re.MULTILINE)
        for address in re.findall(r"`(.*?)`", row)
    ),
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_address_shown_is_accepted(address: str, tmp_path: Path) -> None:
    store = Store.of({}, address.replace("<project id>", "42"))
    assert store is not None
    assert store.refused(tmp_path) == ""
    assert store.kind == ("gitlab" if "/ml/mlflow" in address else "sqlite" if "sqlite" in address else "server")


def test_there_are_addresses_of_every_kind() -> None:
    assert len(ADDRESSES) >= 6


@pytest.mark.parametrize("address", ["./mlruns", "file:///mlruns", "postgresql://db/mlflow", "databricks"])
def test_what_is_refused_there_is_refused(address: str, tmp_path: Path) -> None:
    store = Store.of({}, address)
    assert store is not None
    assert store.refused(tmp_path)


def test_the_limits_told_are_the_limits() -> None:
    limits = Limits()
    for number in (limits.param, limits.tag, limits.params, limits.tags, TIMEOUT):
        assert f"{number:,.0f}" in PAGE


def test_the_variables_told_are_passed_on() -> None:
    told = set(re.findall(r"`((?:MLFLOW_TRACKING_|REQUESTS_|HTTPS_|NO_)[A-Z_]+)`", PAGE))
    credentials = {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}
    assert told - credentials - {"MLFLOW_TRACKING_"} <= set(_NETWORK)
    assert credentials <= told


def test_links_lead_to_pages_that_are_there() -> None:
    docs = Path(__file__).parents[2] / "docs"
    assert all((docs / name).is_file() for name in re.findall(r"\]\(([a-z-]+\.md)\)", PAGE))
