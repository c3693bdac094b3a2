"""Pages about the image, its server and what is looked for in it: their YAML is read, their options are there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml

from builder import MLGATE, ROOT
from mlgate import config
from mlgate.commands import build_image, serve
from mlgate.supply import ignore

PAGES = ["README.md", "docs/build-image.md", "docs/serve.md", "docs/supply-chain.md"]
_SECTIONS = ("image:", "serve:")


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def blocks(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_yaml_about_image_and_server_is_a_configuration(page: str) -> None:
    seen = 0
    for block in blocks(page):
        plain = re.sub(r"^#.*\n", "", block, flags=re.MULTILINE)
        if not plain.startswith(_SECTIONS) and "\nserve:" not in plain:
            continue
        whole = plain if plain.startswith("schema:") else MLGATE + plain
        if "\nevaluate:" not in whole:
            whole += "evaluate: {holdout: {metrics: [metrics/eval.json]}}\n"
        config.load(whole.encode(), file="mlgate.yaml", base=lambda _: None)
        seen += 1
    assert seen


def test_the_dockerfile_spelled_in_a_sentence_is_read() -> None:
    (spelled,) = re.findall(r"`(image: \{[^`]*\})`", text("docs/build-image.md"))
    assert config.load(f"{MLGATE}{spelled}\n".encode(), file="mlgate.yaml", base=lambda _: None).image.dockerfile


def test_the_accepted_vulnerabilities_are_read(tmp_path: Path) -> None:
    (block,) = [one for one in blocks("docs/supply-chain.md") if "PYSEC" in one]
    (tmp_path / "accepted.yaml").write_text(block, "utf-8")
    found = ignore.load(tmp_path / "accepted.yaml")
    assert [one.id for one in found] == [one["id"] for one in yaml.safe_load(block)]


@pytest.mark.parametrize(
    ("page", "command"),
    [("docs/build-image.md", build_image.command), ("docs/serve.md", serve.command)],
)
def test_options_that_are_named_are_there(page: str, command: click.Command) -> None:
    verb = command.name or ""
    own = {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
    lines = [line for line in text(page).splitlines() if "docker inspect" not in line and "uv pip" not in line]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join(lines)))
    assert named
    assert named - own <= ({"--check"} if verb == "serve" else set())
