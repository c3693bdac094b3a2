"""docs/logs.md: what it shows can be loaded, and what it quotes is what is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from mlgate.config.watching import Monitor
from mlgate.errors import MlgateError
from mlgate.watch.logs import files, places
from mlgate.watch.logs.nouns import REASONS
from watch.logs.made import DAY, line, opened

PAGE = (Path(__file__).parents[3] / "docs" / "logs.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_block_loads(text: str) -> None:
    assert Monitor.model_validate(yaml.safe_load(text)["monitor"]).logs is not None


def test_the_line_is_one_that_is_read(tmp_path: Path) -> None:
    (text,) = blocks("json")
    (tmp_path / "p.jsonl").write_text(" ".join(text.split("\n")) + "\n")
    _, logged = opened(tmp_path, "p.jsonl")
    assert logged.counts["rows"] == 1
    assert not any(logged.facts[name] for name in ("no_request_id", "no_row", "no_score", "no_version"))
    assert set(json.loads(text)) == set(line(0)) - {"commit", "hashed"}


def test_every_path_of_the_table_is_one() -> None:
    table = PAGE.split("| `path` |", 1)[1].split("\n\n", 1)[0]
    named = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(named) == 7
    for path in named:
        assert places.expanded(path, DAY, "monitor.logs")
    endings = re.search(r"their names \(([^)]*)\)", PAGE)
    assert endings is not None
    assert all(files.format_of(f"p{one}") for one in re.findall(r"`(\.[a-z]+)`", endings[1]))


def test_every_reason_is_explained() -> None:
    table = PAGE.split("| reason |", 1)[1].split("\n\n", 1)[0]
    cells = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", table, re.MULTILINE)
    assert [name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)] == list(REASONS)


def test_errors_are_quoted_as_they_are(tmp_path: Path) -> None:
    schema, corrupt = (" ".join(block.split()) for block in blocks("text"))
    path = tmp_path / "logs" / "p.jsonl"
    path.parent.mkdir()
    path.write_text('{"ts": 1, "inputs": {}, "output": 1}\n')
    with pytest.raises(MlgateError) as error:
        opened(tmp_path)
    assert str(error.value) == schema
    path.write_text("".join(json.dumps(line(n)) + "\n" for n in range(97)) + "x\ny\nz\n")
    with pytest.raises(MlgateError) as error:
        opened(tmp_path)
    assert str(error.value) == corrupt
