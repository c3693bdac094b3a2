"""The network of one environment. It leads nowhere, and whoever is in it keeps one address for life.

An engine gives a container that starts again whatever address is free: a router would then send the stable model's
requests to whoever has its old one. So addresses are ours to give, out of a range that the engine has picked itself.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable

from mlgate.image.hardened import endpoint, gateways_of, is_ours
from mlgate.rollout.targets import TargetError
from mlgate.rollout.targets.docker_parts.names import Names, options
from mlgate.rollout.targets.docker_parts.reached import Reached

ROUTER, KEEPER, _FIRST, _LAST = 2, 3, 10, 127  # numbers within the network; the engine itself is 1
_DYNAMIC = 25  # bits of the range, above ours, for whoever else joins
_TRIES = 5


def make(engine: Reached, names: Names) -> None:
    """Where it is not there yet. Raises TargetError."""
    labels = options(names.labels("network"))
    for _ in range(_TRIES):
        if engine.ask("network", "inspect", "--format", "x", names.network).code == 0:
            return
        # The engine knows which ranges are free; only one that is named allows for addresses of our own.
        probe = f"{names.network}-range"
        said = engine.ask("network", "create", "--internal", *labels, probe)
        if said.code != 0 and "already exists" not in said.err:
            raise TargetError(f"the network {names.network} cannot be made: {said.last}.")
        found = _subnet(engine, probe)
        engine.ask("network", "rm", probe)
        if found is None:
            continue
        dynamic = list(found.subnets(new_prefix=max(_DYNAMIC, found.prefixlen + 1)))[1]
        said = engine.ask(
            "network", "create", "--internal", *labels, "--subnet", str(found), "--gateway", str(found[1]),
            "--ip-range", str(dynamic), names.network,
        )  # fmt: skip
        if said.code == 0:
            return
    raise TargetError(f"the network {names.network} cannot be made: {said.last}.")


def _subnet(engine: Reached, name: str) -> ipaddress.IPv4Network | None:
    said = engine.ask("network", "inspect", name)
    if said.code != 0:
        return None
    for one in (json.loads(said.out)[0].get("IPAM") or {}).get("Config") or []:
        found = ipaddress.ip_network(one.get("Subnet") or "", strict=False) if one.get("Subnet") else None
        if isinstance(found, ipaddress.IPv4Network) and found.prefixlen < _DYNAMIC:
            return found
    return None


def subnet(engine: Reached, names: Names) -> ipaddress.IPv4Network:
    """Raises TargetError where there is none."""
    found = _subnet(engine, names.network)
    if found is None:
        raise TargetError(f"the network {names.network} has no range of addresses.", fix="Remove it and deploy again.")
    return found


def free(inside: ipaddress.IPv4Network, taken: Iterable[str]) -> str:
    """The lowest address that no container of the environment has, running or not. Raises TargetError."""
    known = set(taken)
    for number in range(_FIRST, _LAST + 1):
        if (address := str(inside[number])) not in known:
            return address
    raise TargetError(f"more than {_LAST - _FIRST} servers in one environment are more than its network has room for.")


def near(engine: Reached, names: Names) -> bool:
    """Whether this machine is the other end of the network: containers are reached at their own addresses, and the
    engine's clock is this machine's.
    """
    address = engine.environ.get("DOCKER_HOST") or endpoint(engine)
    if not address.startswith("unix:"):
        return False
    said = engine.ask("network", "inspect", names.network)
    return said.code == 0 and any(is_ours(one) for one in gateways_of(json.loads(said.out)[0]))
