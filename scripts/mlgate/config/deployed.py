"""What the keys of `deploy` may not say together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from mlgate.config import ruled
from mlgate.config.deploying import FEWEST, Environment
from mlgate.config.vocabulary import Finding, Path

if TYPE_CHECKING:
    from mlgate.config.settings import Config

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_STEPS = "Add `steps: [5, 25, 50]`."
_SHORTEST_LEASE = 10  # seconds: several writes of a slow target


def findings(config: Config) -> Iterator[Finding]:
    deploy = config.deploy
    for name, environment in deploy.environments.items():
        at: Path = ("deploy", "environments", name)
        if not _NAME.fullmatch(name):
            fix = "Use letters, digits, `_` and `-`, starting with a letter or digit, at most 100 characters."
            yield at, "cannot name an environment.", fix
        yield from _target(at, environment)
        yield from _steps(at, environment)
        yield from _strategy(at, environment)
        yield from _pace(at, environment)
        yield from ruled.findings(config, at, environment)
        yield from _checks(config, at, environment)
        if environment.url and not re.match(r"https?://[^/\s]", environment.url):
            yield (*at, "url"), f"is `{environment.url}`, which is no address.", "Write it like `https://...`."
    yield from _places(config)
    yield from _trust(config)


def _target(at: Path, environment: Environment) -> Iterator[Finding]:
    target = environment.target
    here: Path = (*at, "target")
    if target.kind == "command" and target.commands is None:
        fix = "Add `commands: {start: ..., ready: ..., weigh: ..., stop: ..., status: ...}`."
        yield here, "is `command`, and there are no `commands`.", fix
    if target.kind != "command" and target.commands is not None:
        yield (*here, "commands"), "are run by `kind: command` only.", "Say that, or remove them."
    if target.kind == "docker" and target.proxy is None:
        fix = "Add `proxy: haproxy:3.2@sha256:...`; `docker pull` tells the digest."
        yield here, "is `docker`, and no image of its proxy is named.", fix
    if target.proxy is not None and target.kind != "docker":
        yield (*here, "proxy"), "is used by `kind: docker` only.", "Remove it."
    elif target.proxy is not None and not _PINNED.fullmatch(target.proxy):
        fix = "Add its digest: `haproxy:3.2@sha256:...`; `docker pull` tells it."
        yield (*here, "proxy"), f"is `{target.proxy}`, which can be another image tomorrow.", fix
    if target.port > 65_535:
        yield (*here, "port"), f"is {target.port}, and ports end at 65535.", ""
    if target.routing == "gateway" and target.gateway is None:
        yield (*here, "routing"), "is `gateway`, and none is named.", "Add `gateway: <name>`."
    if target.max_replicas is not None and target.max_replicas < environment.replicas:
        yield (*here, "max_replicas"), f"is less than the {environment.replicas} replicas.", "Write as many or more."
    for name in sorted(target.environment.keys() & target.secrets.keys()):
        yield (*here, "secrets", name), "is in `environment`, too.", "Name it in one of the two."


def _steps(at: Path, environment: Environment) -> Iterator[Finding]:
    strategy, steps = environment.strategy, environment.steps
    if strategy == "canary" and not steps:
        yield at, "is a canary without `steps`.", _STEPS
    elif strategy == "canary" and not any(step < 100 for step in steps):
        yield (*at, "steps"), "leave stable no requests to compare with.", _STEPS
    elif steps and strategy != "canary":
        yield (*at, "steps"), f"are not taken by `strategy: {strategy}`.", "Write `strategy: canary`, or remove them."
    for before, after in pairwise(steps):
        if after <= before:
            fix = "Steps ascend; a smaller share would be a way back. Write them like `[5, 25, 50]`."
            yield (*at, "steps"), f"do not ascend: {after:f} comes after {before:f}.", fix
            break


def _strategy(at: Path, environment: Environment) -> Iterator[Finding]:
    strategy = environment.strategy
    if strategy == "rolling" and environment.replicas < 2:
        fix = "Add `replicas: 2` or more, or write `strategy: blue-green`."
        yield at, "is rolling with one server, which is not replaced bit by bit.", fix
    if strategy == "batch" and environment.batch is None:
        yield at, "is a batch without `batch:`.", "Add `batch: {data: <file>, output: <file>}`."
    if environment.batch is not None:
        if strategy != "batch":
            yield (*at, "batch"), f"is not run by `strategy: {strategy}`.", "Write `strategy: batch`, or remove it."
        if environment.batch.data == environment.batch.output:
            yield (*at, "batch", "output"), "is the input itself.", "Name another file."
    if strategy == "shadow" and environment.checks.shadow is None:
        fix = "Add `checks: {shadow: {agreement: 98%}}`."
        yield at, "is a shadow, and nothing says how it is judged.", fix
    if environment.sticky is not None and not _HEADER.fullmatch(environment.sticky):
        yield (*at, "sticky"), f"is `{environment.sticky}`, which names no header.", "Write it like `X-Customer`."


def _pace(at: Path, environment: Environment) -> Iterator[Finding]:
    pace = environment.step
    if pace.at_least > pace.at_most:
        yield (*at, "step", "at_least"), "is longer than `at_most`.", "Make it the shorter one."
    if pace.period <= 0:
        yield (*at, "step", "period"), "is 0.", "Write how often a step is looked at: `10 seconds`."
    elif pace.period >= pace.at_most:
        yield (*at, "step", "period"), "is not shorter than `at_most`.", "A step has to be looked at while it lasts."
    if pace.warm_up >= pace.at_most:
        yield (*at, "step", "warm_up"), "is not shorter than `at_most`: nothing would count.", "Make it shorter."
    if environment.expected.error_rate == 0:
        fix = "Write a small share, such as `0.1%`, or remove it."
        yield (*at, "expected", "error_rate"), "is 0, from which no number of requests follows.", fix
    if environment.expected.requests_per_second == 0:
        yield (*at, "expected", "requests_per_second"), "is 0: no step would ever be decided.", "Write how many."


def _checks(config: Config, at: Path, environment: Environment) -> Iterator[Finding]:
    load, shadow = environment.checks.load, environment.checks.shadow
    if load is not None:
        here: Path = (*at, "checks", "load")
        if load.rate is None and load.connections is None:
            yield here, "does not say how much.", "Add `rate: 50` (requests per second) or `connections: 8`."
        if load.rate is not None and load.connections is not None:
            yield here, "names `rate` and `connections`.", "Keep one: a rate does not wait for slow answers."
        for key in ("rate", "duration"):
            if getattr(load, key) == 0:
                yield (*here, key), "is 0, so that nothing would be sent.", "Write more."
        for key, fewest in FEWEST.items():
            if load.rate and load.duration and getattr(load, key) is not None and load.rate * load.duration < fewest:
                sent = f"{load.rate:g} requests a second for {load.duration:g} s"
                fix = f"It takes {fewest} requests: write a longer `duration`, or a higher `rate`."
                yield (*here, key), f"cannot be told by {sent}.", fix
    if shadow is not None and config.serve.replay is None:
        fix = "Add `serve: {replay: {sample: 1%}}`: what stable answers is kept, and answered again."
        yield (*at, "checks", "shadow"), "has no requests to answer again.", fix


def _places(config: Config) -> Iterator[Finding]:
    """Two environments at one address would take each other's traffic."""
    seen: dict[tuple[str, str, int], str] = {}
    for name, environment in config.deploy.environments.items():
        target = environment.target
        if target.kind not in ("local", "docker"):
            continue
        # The same port of this machine, whether a process or a container listens there.
        place = ("" if target.kind == "local" else target.host or "", target.bind, target.port)
        first = seen.setdefault(place, name)
        if first != name:
            fix = "Give each environment its own `port`."
            yield (
                ("deploy", "environments", name, "target", "port"),
                f"is {target.port} at {target.bind}, as that of `{first}`.",
                fix,
            )


def _trust(config: Config) -> Iterator[Finding]:
    deploy = config.deploy
    if deploy.lease < _SHORTEST_LEASE:
        fix = "Write 10 seconds or more: it is written at the target again and again."
        yield ("deploy", "lease"), "is too short to be kept.", fix
    if deploy.criticality == "high":
        for name, environment in deploy.environments.items():
            if environment.approval == "none" and "production" in (environment.tier, name):
                fix = "Remove it, or lower `deploy.criticality`."
                yield ("deploy", "environments", name, "approval"), "is `none`, and criticality is `high`.", fix
    if not deploy.environments or deploy.trust == "branch":
        return
    if deploy.verify.key is None and deploy.verify.attested_by is None:
        fix = "Add `verify: {key: <file>}` or `verify: {attested_by: <owner/name>}`, or write `trust: branch`."
        yield ("deploy", "verify"), "does not say by whom a release has to be signed.", fix
