"""docs/kubernetes.md: its YAML is what it says, its links lead somewhere, and the tests run with its Role."""

from __future__ import annotations

import re

import kubernetes_validate
import pytest
import yaml

from builder import MLGATE, ROOT
from kubernetes.space import place, release
from mlgate import config
from mlgate.rollout.targets.kubernetes import manifests

TEXT = (ROOT / "docs/kubernetes.md").read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
SETTINGS = [block for block in BLOCKS if block.startswith("# mlgate.yaml")]
OTHERS = [block for block in BLOCKS if block not in SETTINGS]


@pytest.mark.parametrize("block", SETTINGS)
def test_settings_are_a_configuration(block: str) -> None:
    loaded = config.load((MLGATE + block).encode(), file="mlgate.yaml", base=lambda _: None)
    assert loaded.deploy.environments["production"].target.kind == "kubernetes"


@pytest.mark.parametrize("block", OTHERS)
def test_objects_are_valid(block: str) -> None:
    kubernetes_validate.validate(yaml.safe_load(block), "1.33", strict=True)


def test_every_object_is_described() -> None:
    table = TEXT[TEXT.index("| object |") :].split("\n\n")[0]
    for keys in ({"max_replicas": 3}, {"routing": "gateway", "gateway": "front"}):
        for one in manifests(place(ROOT, target=keys), release()):
            assert one["kind"] in table


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
