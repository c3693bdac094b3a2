"""HAProxy as words: its configuration, what it is told while it runs, and what it answers. Nothing here is I/O.

The configuration says all that the running process was told, so that one that starts again goes on as it was.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlgate.errors import MlgateError

PORT = 8080  # inside the container
ADMIN = 9999  # at 127.0.0.1 inside the container: nobody else's network leads there
BACKEND = "slots"
HEAVIEST = 256  # HAProxy's largest weight
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
# A server that is gone is known within a second and a half, and meanwhile requests go on to another one.
_SERVER = "check inter 500ms fall 3 rise 1 observe layer4 error-limit 5 on-error mark-down"


@dataclass(frozen=True)
class Line:
    """One server as the router knows it. `weight`: 0 to 256."""

    name: str
    address: str
    port: int
    weight: int
    out: bool = False  # in maintenance, or draining


@dataclass(frozen=True)
class Plan:
    """What the router is to do: percent by slot, and the servers of each."""

    weights: Mapping[str, float] = field(default_factory=dict)
    servers: Sequence[Line] = ()

    def to_json(self) -> str:
        told = [[one.name, one.address, one.port, one.weight] for one in self.servers]
        return json.dumps({"weights": dict(self.weights), "servers": told}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def of(cls, config: str) -> Plan:
        """As the first line of a configuration tells it; empty for none."""
        first = config.partition("\n")[0].removeprefix("# ")
        if not first:
            return cls()
        told = json.loads(first)
        return cls(told["weights"], tuple(Line(*one) for one in told["servers"]))


@dataclass(frozen=True)
class Fixed:
    """What only a new process learns."""

    timeout: float  # seconds that one answer may take
    drain: float
    sticky: str = ""  # a header by which callers stay with one slot


def config(fixed: Fixed, plan: Plan) -> str:
    """The whole file. Raises MlgateError for a header that is none."""
    text = _fixed(fixed)
    lines = [f"  server {one.name} {one.address}:{one.port} {_options(one)}" for one in plan.servers]
    return "\n".join([f"# {plan.to_json()}", text.replace("@described@", described(fixed)), *lines, ""])


def described(fixed: Fixed) -> str:
    """What a process that was started with this calls itself."""
    return hashlib.sha256(_fixed(fixed).encode()).hexdigest()[:16]


def _options(one: Line) -> str:
    # An identity of its own, the same in every process: callers that stay with a slot find it again.
    return f"{_SERVER} weight {one.weight} id {(1 << 16) + zlib.crc32(one.name.encode()) % ((1 << 31) - (1 << 17))}"


def _fixed(fixed: Fixed) -> str:
    sticky = fixed.sticky
    if sticky and not _HEADER.fullmatch(sticky):
        raise MlgateError(f"is {sticky!r}, which is no name of a header.", key="sticky", fix="Such as `X-User-Id`.")
    unit = f"  http-request set-var(txn.unit) req.hdr({sticky}),xxh64\n" if sticky else ""
    # Equal shares per request; or a ring of hashes, of which a change of weights moves as few callers as it can.
    balance = f"balance hdr({sticky})\n  hash-type consistent sdbm avalanche" if sticky else "balance roundrobin"
    log = ",".join(
        f'"{name}":"{value}"'
        for name, value in {
            "b": "%[var(txn.begin)]", "a": "%[var(txn.answered)]", "e": "%[date(0,us)]", "s": "%s", "c": "%ST",
            "t": "%ts", "r": "%rc", "u": "%[var(txn.unit)]" if sticky else "",
            "w": "%[var(txn.looks)]",
        }.items()
    )  # fmt: skip
    return f"""\
# Written by mlgate before the running process is told. Changes by hand are lost.
global
  description @described@
  log stdout format raw local0
  stats socket ipv4@127.0.0.1:{ADMIN} level admin
  tune.bufsize 65536
  hard-stop-after {max(1, round(fixed.drain))}s
defaults
  mode http
  log global
  maxconn 4000
  # A prediction may be asked for again: it changes nothing. What was sent on counts as an error of who had it first.
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
  # A connection that a server has just closed would look like an error of its model.
  option http-server-close
  option forwardfor
  option idle-close-on-response
  timeout connect 1s
  timeout check 1s
  timeout queue 5s
  timeout client 60s
  timeout http-request 30s
  timeout http-keep-alive 60s
  timeout server {max(1, round(fixed.timeout * 1000))}ms
frontend router
  bind :{PORT}
  http-request set-var(txn.begin) date(0,us)
  # Whoever only looks whether it is well says nothing of its predictions.
  acl looks path /health /ping /metrics /version /openapi.json /docs
  acl looks path_beg /health/ /docs/
  http-request set-var(txn.looks) str(1) if looks METH_GET
{unit}  http-response set-var(txn.answered) date(0,us)
  log-format '{{{log}}}'
  default_backend {BACKEND}
backend {BACKEND}
  {balance}"""


# -- weights -----------------------------------------------------------------------------------------------------------


def integers(shares: Mapping[str, float]) -> dict[str, int]:
    """Weights of 0 to 256 that are as near to these shares as such numbers can be. Who has a share has at least 1."""
    whole, most = sum(shares.values()), max(shares.values(), default=0.0)
    if most <= 0:
        return dict.fromkeys(shares, 0)
    best, found = 2.0, dict.fromkeys(shares, 0)
    for top in range(1, HEAVIEST + 1):
        tried = {name: max(1, round(share * top / most)) if share > 0 else 0 for name, share in shares.items()}
        total = sum(tried.values())
        off = max(abs(tried[name] / total - share / whole) for name, share in shares.items())
        if off < best - 1e-12:
            best, found = off, tried
    return found


def shared(weights: Mapping[str, float], servers: Sequence[tuple[str, str, str, int]]) -> Plan:
    """Percent by slot, spread over its servers (slot, name, address, port)."""
    numbers: dict[str, int] = {}
    for slot, *_ in servers:
        numbers[slot] = numbers.get(slot, 0) + 1
    whole = integers({name: weights.get(slot, 0.0) / numbers[slot] for slot, name, _, _ in servers})
    kept = {slot: weight for slot, weight in weights.items() if weight > 0}
    return Plan(kept, tuple(Line(name, address, port, whole[name]) for _, name, address, port in servers))


# -- while it runs -----------------------------------------------------------------------------------------------------


def commands(now: Mapping[str, Line], wanted: Sequence[Line]) -> list[str]:
    """What turns a running process into what its configuration says. First who gets more, then who gets less."""
    found: list[tuple[int, str]] = []
    for one in wanted:
        at, known = f"{BACKEND}/{one.name}", now.get(one.name)
        if known is None:
            found.append((0, f"add server {at} {one.address}:{one.port} {_options(one)}"))
            found += [(0, f"enable health {at}"), (0, f"enable server {at}")]
            continue
        if (known.address, known.port) != (one.address, one.port):
            found.append((0, f"set server {at} addr {one.address} port {one.port}"))
        if known.weight != one.weight:
            found.append((0 if known.weight < one.weight else 1, f"set weight {at} {one.weight}"))
        if known.out:
            found.append((0, f"set server {at} state ready"))
    for name in now.keys() - {one.name for one in wanted}:
        found += [(2, f"set server {BACKEND}/{name} state maint"), (2, f"del server {BACKEND}/{name}")]
    return [command for _, command in sorted(found, key=lambda one: one[0])]


def differs(now: Mapping[str, Line], wanted: Sequence[Line]) -> bool:
    """Whether any request could still go elsewhere than it should. Servers in maintenance get none."""
    ours = {one.name: one for one in wanted}
    return any(now.get(name) != one for name, one in ours.items()) or any(
        name not in ours and not one.out for name, one in now.items()
    )


@dataclass(frozen=True)
class Counted:
    """What a running process has counted since it began. `before` and `after`: between these it was asked."""

    before: float
    after: float
    began: int  # seconds since 1970
    process: int
    described: str
    answers: int  # that it has logged, one line each
    dropped: int  # lines of the log that nobody took
    servers: Mapping[str, Line] = field(default_factory=dict)
    up: frozenset[str] = frozenset()
    sent_on: Mapping[str, int] = field(default_factory=dict)  # by server: requests that it had first, and another then
    sessions: Mapping[str, int] = field(default_factory=dict)  # by server: under way


ASK = f"show info;show stat;show servers state {BACKEND}"


def counted(text: str) -> Counted:
    """The answer to ASK, between two times. Raises ValueError where it is cut off."""
    first, _, rest = text.partition("\n")
    rest, _, last = rest.rstrip("\n").rpartition("\n")
    info, _, rest = rest.partition("# pxname")
    table, _, states = rest.partition("\n# be_id")
    told = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    rows = [one for one in csv.DictReader(("pxname" + table).splitlines()) if one.get("svname")]
    front = next((one for one in rows if one["svname"] == "FRONTEND"), None)
    if front is None or "Pid" not in told:
        raise ValueError("no answer of HAProxy 2.6 or later")
    servers = {one["svname"]: one for one in rows if one["svname"] not in {"FRONTEND", "BACKEND"}}
    lines = {}
    for line in states.splitlines()[1:]:
        parts = line.split()
        if len(parts) > 18:
            name, address, admin, weight, port = parts[3], parts[4], int(parts[6]), int(parts[7]), int(parts[18])
            lines[name] = Line(name, address, port, weight, out=admin != 0)
    hits = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
    return Counted(
        float(first), float(last) + (0.0 if "." in last else 1.0), int(told.get("Start_time_sec") or 0),
        int(told["Pid"]), told.get("description", ""), sum(int(front[hit] or 0) for hit in hits),
        int(told.get("DroppedLogs") or 0), lines,
        frozenset(name for name, one in servers.items() if one["status"].startswith("UP")),
        {name: int(one["wredis"] or 0) for name, one in servers.items()},
        {name: int(one["scur"] or 0) for name, one in servers.items()},
    )  # fmt: skip
