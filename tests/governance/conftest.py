from __future__ import annotations

from pathlib import Path

import pytest

from governance import regulated


@pytest.fixture(scope="session")
def regulated_master(tmp_path_factory: pytest.TempPathFactory) -> regulated.Main:
    """Only to be copied."""
    return regulated.make(tmp_path_factory.mktemp("regulated") / "home")


@pytest.fixture
def main(regulated_master: regulated.Main, tmp_path: Path) -> regulated.Main:
    return regulated.copy(regulated_master, tmp_path / "home")
