"""What docs/gitlab.md shows works: each block of YAML is read, each input exists, the table says what the files say."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

import pytest
import yaml

from mlgate import __version__

from .templates import NAMES, ROOT, accepts, load

pytestmark = pytest.mark.gitlab
PAGE = (ROOT / "docs" / "gitlab.md").read_text("utf-8")
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"^ *```yaml\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)]
_FILE = re.compile(rf"({'|'.join(NAMES)})(?:\.gitlab-ci\.yml|@{re.escape(__version__)})$")


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_include_what_there_is(block: str) -> None:
    read: dict[str, Any] = yaml.safe_load(block)
    jobs: dict[str, Any] = {}
    for entry in read.get("include", []):
        address = next(entry[kind] for kind in ("file", "remote", "component") if kind in entry)
        named = _FILE.search(address)
        assert named, address
        assert entry.get("ref", f"v{__version__}") == f"v{__version__}"
        template = load(named[1])
        for rule in entry.get("rules", []):
            assert set(rule) == {"if"}, "an include knows `if`, `exists` and `changes`"
        for key, value in entry["inputs"].items():
            assert not isinstance(value, str) or accepts(template.inputs[key], value)
        new = template.in_nodes(**{key.replace("-", "_"): value for key, value in entry["inputs"].items()})
        assert not {k for k in new if not k.startswith(".")} & set(jobs), "the same job twice"
        jobs |= new
    for name, job in read.items():
        assert name == "include" or name in jobs or "script" in job or "trigger" in job


def test_there_are_blocks_to_test() -> None:
    assert len(BLOCKS) >= 7


def test_the_table_of_inputs_is_that_of_the_templates() -> None:
    rows = {}
    for line in PAGE.split("## Inputs", 1)[1].splitlines():
        if row := re.fullmatch(r"\| `([a-z-]+)` \| (?:`(.*?)`)? ?\| (.*?) \| .* \|", line):
            rows[row[1]] = (row[2] or "", row[3])
    expected = {}
    for key in {key for name in NAMES for key in load(name).inputs}:
        having = [name for name in NAMES if key in load(name).inputs]
        default = load(having[0]).inputs[key]["default"]
        said = json.dumps(default) if isinstance(default, bool) else default
        expected[key] = (said, "all" if len(having) == len(NAMES) else ", ".join(having))
    assert rows == expected


def test_links_to_places_on_the_page_lead_somewhere() -> None:
    headings = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", PAGE, re.M)}
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= headings
