"""The container of the router: made, started again, asked and told. It is told nothing that is not written already."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlgate.image.service import last_lines
from mlgate.rollout.targets import TargetError
from mlgate.rollout.targets.docker_parts import haproxy, network
from mlgate.rollout.targets.docker_parts import names as named
from mlgate.rollout.targets.docker_parts.haproxy import Counted, Fixed, Plan
from mlgate.rollout.targets.docker_parts.keeper import CONFIG, FENCED, HOME, TOLD, Keeper
from mlgate.rollout.targets.docker_parts.names import Names
from mlgate.rollout.targets.docker_parts.reached import Reached

LOG = {"max-size": "64m", "max-file": "5"}  # a line for every request: what the judge counts
_AT = f"127.0.0.1 {haproxy.ADMIN}"
# bash speaks TCP by itself; images without it have BusyBox's nc.
_TALK = (
    f"if command -v bash >/dev/null; then exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/{haproxy.ADMIN} || exit 69; "
    f"cat >&3; cat <&3'; else exec nc {_AT}; fi"
)
_COUNT = (
    "if command -v bash >/dev/null; then exec bash -c 'echo $EPOCHREALTIME; "
    f'exec 3<>/dev/tcp/127.0.0.1/{haproxy.ADMIN} || exit 69; echo "{haproxy.ASK}" >&3; cat <&3; echo $EPOCHREALTIME\'; '
    f'else date +%s; echo "{haproxy.ASK}" | nc {_AT} && date +%s; fi'
)
_SECONDS = 10.0  # that it may take until it answers


@dataclass(frozen=True)
class Router:
    """`bind` and `port`: where callers connect. `outside`: one more network, whose members may call it by its name."""

    engine: Reached
    names: Names
    keeper: Keeper
    image: str
    fixed: Fixed
    bind: str
    port: int
    outside: str = ""

    @property
    def _asked(self) -> str:
        return json.dumps([self.image, self.bind, self.port, self.outside])

    def _inspect(self) -> Mapping[str, Any] | None:
        said = self.engine.ask("container", "inspect", self.names.router)
        found: dict[str, Any] | None = json.loads(said.out)[0] if said.code == 0 else None
        return found

    def there(self) -> bool:
        return self._inspect() is not None

    def runs(self) -> bool:
        """Whether it is as mlgate.yaml says, and runs."""
        known = self._inspect()
        return (
            known is not None
            and known["State"]["Running"]
            and known["Config"]["Labels"].get(named.ASKED) == self._asked
        )

    def make(self, address: str) -> None:
        """The container, running, as mlgate.yaml says now. Raises TargetError: its port is taken, it does not run."""
        known = self._inspect()
        if known is not None and known["Config"]["Labels"].get(named.ASKED) != self._asked:
            self.engine.run("stop", "--time", "10", self.names.router)
            self.engine.run("rm", "--force", self.names.router)
            known = None
        if not self.keeper.file(CONFIG):
            self.keeper.put(CONFIG, haproxy.config(self.fixed, Plan()))
        if known is None:
            self._create(address)
        self.up()

    def _create(self, address: str) -> None:
        names = self.names
        labels = {**names.labels("router", address=address), named.ASKED: self._asked}
        said = self.engine.ask(
            "create", "--name", names.router, *named.options(labels), "--read-only", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--pids-limit", "512", "--no-healthcheck", "--restart",
            "unless-stopped", "--network", "bridge", "--publish", f"{_host(self.bind)}:{self.port}:{haproxy.PORT}",
            "--volume", f"{names.volume}:{HOME}:ro", "--log-driver", "json-file",
            *(part for name, value in LOG.items() for part in ("--log-opt", f"{name}={value}")),
            "--entrypoint", "haproxy", self.image, "-W", "-db", "-f", f"{HOME}/{CONFIG}",
        )  # fmt: skip
        if said.code != 0:
            if "is already in use by container" in said.err:
                return
            raise TargetError(f"the router of {names.environment} cannot be made of {self.image}: {said.last}.")
        joined = self.engine.ask("network", "connect", "--ip", address, names.network, names.router)
        if joined.code == 0 and self.outside:
            joined = self.engine.ask("network", "connect", "--alias", names.router, self.outside, names.router)
        if joined.code != 0:
            self.engine.ask("rm", "--force", names.router)
            raise TargetError(f"the router of {names.environment} cannot join its network: {joined.last}.")

    def up(self) -> None:
        """Starts it where it does not run. Raises TargetError that says why it does not."""
        known = self._inspect()
        if known is None:
            raise TargetError(
                f"the router of {self.names.environment} ({self.names.router}) is gone.",
                fix="Deploy again: it is made anew.",
            )
        if known["State"]["Running"] and not known["State"].get("Restarting"):
            return
        said = self.engine.ask("start", self.names.router)
        if said.code != 0:
            taken = "already allocated" in said.err or "already in use" in said.err
            if known["State"]["Status"] == "created":
                self.engine.ask("rm", "--force", self.names.router)  # so that another port can be tried
            if taken:
                raise TargetError(
                    f"port {self.port} of {self.bind} is taken by something else at {self.engine.address}.",
                    fix=f"Free it, or set `target.port` of {self.names.environment} to another one.",
                )
            raise TargetError(f"the router of {self.names.environment} cannot be started: {said.last}.")
        end = time.monotonic() + _SECONDS
        while self._count() is None:
            known = self._inspect() or known
            if time.monotonic() > end or known["State"]["Status"] in {"exited", "dead"} or known["RestartCount"] > 2:
                said = self.engine.ask("logs", "--tail", "20", self.names.router)
                raise TargetError(
                    f"the router of {self.names.environment} does not run. Its last words: "
                    f"{last_lines(said.out + said.err) or 'none'}",
                    fix="Its image has to be HAProxy 2.6 or later, with a shell.",
                )
            time.sleep(0.1)

    def counted(self) -> Counted | None:
        """What it has counted; None where there is no router. Raises TargetError where there is one that is mute."""
        found = self._count()
        return self.count() if found is None and self.there() else found

    def count(self) -> Counted:
        """What it has counted; one that does not run is started. Raises TargetError."""
        found = self._count()
        if found is None:
            self.up()
            found = self._count()
        if found is None:
            said = self.engine.ask("exec", self.names.router, "sh", "-c", "command -v bash || command -v nc")
            raise TargetError(
                f"HAProxy of {self.names.environment} does not answer."
                if said.code == 0
                else f"the image {self.image} has neither bash nor nc, by which HAProxy is told of weights.",
                fix="Use the official image of HAProxy, 2.6 or later.",
            )
        return found

    def _count(self) -> Counted | None:
        said = self.engine.ask("exec", self.names.router, "sh", "-c", _COUNT)
        if said.code != 0:
            return None
        try:
            return haproxy.counted(said.out)
        except (ValueError, KeyError, IndexError):
            return None

    def tell(self, *commands: str) -> None:
        """Under the lock of the state. Raises FencedError where it was written since, TargetError without an answer."""
        given = (";".join(commands) + "\n").encode()
        said = self.engine.ask(
            "exec", "--interactive", "--user", "0:0", self.names.router, "sh", "-c", TOLD + _TALK, "sh",
            self.keeper.mark, given=given,
        )  # fmt: skip
        if said.code == FENCED:
            raise self.keeper.overtaken()
        if said.code != 0:
            raise TargetError(f"HAProxy of {self.names.environment} could not be told: {said.last}.")

    def apply(self, plan: Plan) -> tuple[Counted, Counted]:
        """Writes the configuration, tells the process, and asks whether it does as it was told.

        What it had counted before and after. Raises FencedError where somebody else has written the state, TargetError
        where it does not do it.
        """
        self.keeper.put(CONFIG, haproxy.config(self.fixed, plan))
        first = seen = self.count()
        if seen.described != haproxy.described(self.fixed):
            seen = self.reload(seen)
        for _ in range(3):
            if todo := haproxy.commands(seen.servers, plan.servers):
                self.tell(*todo)
                seen = self.count()
            if not haproxy.differs(seen.servers, plan.servers):
                return first, seen
        # What it cannot be told while it runs, a new process reads from its file.
        seen = self.reload(seen)
        if haproxy.differs(seen.servers, plan.servers):
            raise TargetError(f"HAProxy of {self.names.environment} does not do as it was told.")
        return first, seen

    def reload(self, before: Counted) -> Counted:
        """A new process takes over the port; the one before answers what it has begun."""
        self.keeper.check()
        self.engine.run("kill", "--signal", "USR2", self.names.router)
        end = time.monotonic() + _SECONDS
        while True:
            time.sleep(0.1)
            seen = self.count()
            if (seen.process, seen.began) != (before.process, before.began):
                return seen
            if time.monotonic() > end:
                said = self.engine.ask("logs", "--tail", "5", self.names.router)
                raise TargetError(
                    f"HAProxy of {self.names.environment} did not take its configuration: "
                    f"{last_lines(said.out + said.err)}"
                )


def _host(bind: str) -> str:
    return f"[{bind}]" if ":" in bind else bind


def address(engine: Reached, names: Names) -> str:
    """Of the router, in the environment's network."""
    return str(network.subnet(engine, names)[network.ROUTER])
