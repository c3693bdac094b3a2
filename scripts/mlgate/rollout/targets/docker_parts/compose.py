"""What runs in an environment, written down for people as a compose file: mlgate itself never reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import yaml

from mlgate.config.deploying import Environment
from mlgate.image.hardened import SERVER
from mlgate.rollout.targets.docker_parts import haproxy
from mlgate.rollout.targets.docker_parts.keeper import CONFIG, HOME
from mlgate.rollout.targets.docker_parts.names import Names
from mlgate.rollout.targets.docker_parts.network import ROUTER
from mlgate.rollout.targets.docker_parts.servers import WRITABLE, Server

_HEAD = """\
# What runs in {environment}, as of the last change that mlgate made. For reading; to change it, deploy.
# `docker compose up` beside the containers of mlgate would need another port.
"""


def described(
    names: Names,
    settings: Environment,
    servers: Sequence[Server],
    weights: Mapping[str, float],
    inside: IPv4Network,
) -> dict[str, Any]:
    """The compose file as data. Secrets are named, and not in it."""
    target = settings.target
    found: dict[str, Any] = {
        "router": {
            "image": target.proxy, "command": ["haproxy", "-W", "-db", "-f", f"{HOME}/{CONFIG}"],
            "ports": [f"{target.bind}:{target.port}:{haproxy.PORT}"], "read_only": True, "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"], "restart": "unless-stopped",
            "volumes": [f"./{CONFIG}:{HOME}/{CONFIG}:ro"],
            "networks": {"default": {}, "models": {"ipv4_address": str(inside[ROUTER])}},
        }
    }  # fmt: skip
    for one in servers:
        environment: dict[str, str] = {"MLGATE_ENVIRONMENT": names.environment, **target.environment}
        environment |= {name: f"${{{variable}:?}}" for name, variable in target.secrets.items()}
        found[one.name] = {
            "image": one.image, "environment": environment, "read_only": True, "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"], "restart": "unless-stopped",
            "tmpfs": [f"{folder}:mode=1777,uid={SERVER},gid={SERVER}" for folder in WRITABLE],
            "mem_limit": _memory(target.memory),
            "cpus": float(target.cpu.removesuffix("m")) / (1000 if target.cpu.endswith("m") else 1),
            "networks": {"models": {"ipv4_address": one.address}},
            "labels": {"io.mlgate.deploy.weight": f"{weights.get(one.slot, 0.0):g}"},
        }  # fmt: skip
    return {
        "name": names.base,
        "services": found,
        "networks": {"models": {"internal": True, "ipam": {"config": [{"subnet": str(inside)}]}}},
    }


def _memory(text: str) -> str:
    return text.lower().replace("i", "").rstrip("b") + ("b" if text.strip().isdigit() else "")


def write(folder: Path, environment: str, told: Mapping[str, Any], config: str) -> Path:
    """`folder`/.mlgate/deploy/<environment>/compose.yaml and haproxy.cfg; each as a whole or not at all."""
    at = folder / ".mlgate" / "deploy" / environment
    at.mkdir(parents=True, exist_ok=True)
    text = _HEAD.format(environment=environment) + yaml.safe_dump(dict(told), sort_keys=False)
    for name, content in {"compose.yaml": text, CONFIG: config}.items():
        part = at / f".{name}.{os.getpid()}"
        part.write_text(content, "utf-8")
        part.replace(at / name)
    return at / "compose.yaml"
