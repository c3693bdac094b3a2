"""The state of a rollout, kept on the engine itself: a file in a volume, behind a lock that every writer takes there.

A container of its own holds the volume, does nothing, and outlives the router: `docker system prune` takes neither what
runs nor what that uses. Whoever writes names the mark that they have read; the comparison and the writing happen in
one step under the lock. What the router is told happens under the same lock, so that nobody who was overtaken can
tell it anything any more.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from mlgate.image.engine import Said
from mlgate.rollout.nouns import Kept
from mlgate.rollout.targets import FencedError, TargetError
from mlgate.rollout.targets.docker_parts.names import Names, options
from mlgate.rollout.targets.docker_parts.reached import Reached

HOME = "/mlgate"
CONFIG = "haproxy.cfg"
LOG = {"max-size": "1m", "max-file": "1"}
FENCED, _TORN, NOTHING = 75, 74, 66
_PAUSE = 'trap "exit 0" TERM INT; while :; do sleep 86400 & wait; done'
_MARK = 'now=""; if [ -f state ]; then IFS= read -r now < state; fi; '
_LOCKED = f"set -eu; cd {HOME}; exec 9>>lock; flock 9; {_MARK}"
# Each compares $1, the mark that has to be there; stdin is taken only when all of it ($2 octets) has come.
_TAKE = f'cat > "$3.new"; [ "$(wc -c < "$3.new")" -eq "$2" ] || exit {_TORN}; chmod 644 "$3.new"; mv -f "$3.new" "$3"; '
_PUT = f'{_LOCKED} [ "$now" = "$1" ] || {{ printf %s "$now"; exit {FENCED}; }}; {_TAKE}'
_READ = f"cd {HOME} && [ -f state ] || exit {NOTHING}; cat state"
_ASK = f'cd {HOME} || exit 1; {_MARK} printf %s "$now"'
_APPEND = (
    f"set -eu; cd {HOME}; exec 8>>seen.lock; flock 8; cat >> seen; "
    'if [ "$(wc -l < seen)" -gt 8000 ]; then tail -n 4000 seen > seen.new; mv -f seen.new seen; fi'
)
# For the router's container, which may only read: a lock that is shared is enough to keep writers out.
TOLD = f'cd {HOME}; exec 9<lock; flock -s 9; {_MARK} [ "$now" = "$1" ] || exit {FENCED}; '


@dataclass
class Keeper:
    """`mark`: the one that this process has read or written last; empty for none. `again` calls `make`."""

    engine: Reached
    names: Names
    image: str
    again: Callable[[], None]
    mark: str = ""

    def make(self, address: str) -> None:
        """The volume and the container that holds it, at this address, where they are not there yet."""
        names, engine = self.names, self.engine
        labels = options(names.labels("keeper"))
        engine.run("volume", "create", *labels, names.volume)
        said = engine.ask(
            "create", "--name", names.keeper, *labels, "--user", "0:0", "--read-only", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--memory", "256m", "--pids-limit", "1024", "--no-healthcheck",
            "--restart", "unless-stopped", "--network", names.network, "--ip", address,
            "--volume", f"{names.volume}:{HOME}", "--log-driver", "json-file",
            *(part for name, value in LOG.items() for part in ("--log-opt", f"{name}={value}")),
            "--entrypoint", "sh", self.image, "-c", _PAUSE,
        )  # fmt: skip
        if said.code != 0 and "is already in use" not in said.err:
            raise TargetError(f"the container that keeps the state of {names.environment} cannot be made: {said.last}.")
        self._start()

    def _start(self) -> None:
        said = self.engine.ask("start", self.names.keeper)
        if said.code != 0:
            raise TargetError(f"{self.names.keeper}, which keeps the state, cannot be started: {said.last}.")

    def _exec(self, script: str, *args: str, given: bytes = b"") -> Said:
        """Starts the keeper where somebody has stopped it, and makes it again where only the volume is left."""
        command = ("exec", "--interactive", self.names.keeper, "sh", "-c", script, "sh", *args)
        said = self.engine.ask(*command, given=given)
        if said.code != 0 and ("is not running" in said.err or "is restarting" in said.err or "is paused" in said.err):
            self._start()
            said = self.engine.ask(*command, given=given)
        elif said.code != 0 and "no such container" in said.err.lower():
            if not self._left():
                return Said(NOTHING, "", "")
            self.again()
            said = self.engine.ask(*command, given=given)
        return said

    def _left(self) -> bool:
        """Whether a state may still be there without the container."""
        return self.engine.ask("volume", "inspect", "--format", "x", self.names.volume).code == 0

    def read(self) -> Kept | None:
        said = self._exec(_READ)
        if said.code == NOTHING:
            self.mark = ""
            return None
        mark, newline, text = said.out.partition("\n")
        if said.code != 0 or not newline:
            raise TargetError(f"the state of {self.names.environment} cannot be read: {said.last}.")
        self.mark = mark
        return Kept(text, mark)

    def write(self, text: str, after: str) -> str:
        number = int(after.partition("-")[0]) + 1 if after.partition("-")[0].isdigit() else 1
        mark = f"{number}-{uuid.uuid4().hex[:12]}"
        given = f"{mark}\n{text}".encode()
        self._put("state", given, after)
        self.mark = mark
        return mark

    def put(self, name: str, text: str) -> None:
        """A file for the router. Raises FencedError where somebody else has written the state."""
        self._put(name, text.encode(), self.mark)

    def _put(self, name: str, given: bytes, after: str) -> None:
        said = self._exec(_PUT, after, str(len(given)), name, given=given)
        if said.code == FENCED:
            raise self.overtaken()
        if said.code != 0:
            raise TargetError(f"{name} of {self.names.environment} cannot be written: {said.last}.")

    def check(self) -> None:
        """Raises FencedError unless what is kept still has the mark of this process."""
        said = self._exec(_ASK)
        if said.code not in {0, NOTHING}:
            raise TargetError(f"the state of {self.names.environment} cannot be read: {said.last}.")
        if said.out != self.mark:
            raise self.overtaken()

    def overtaken(self) -> FencedError:
        return FencedError(f"somebody else is deploying to {self.names.environment}: its state has been written since.")

    def file(self, name: str) -> str:
        """What a file holds; empty where there is none."""
        said = self._exec(f'cd {HOME} && [ ! -f "$1" ] || cat "$1"', name)
        if said.code not in {0, NOTHING}:
            raise TargetError(f"{name} of {self.names.environment} cannot be read: {said.last}.")
        return said.out

    def append(self, line: str) -> None:
        """To what was seen, of which the latest thousands are kept."""
        if (said := self._exec(_APPEND, given=line.encode())).code != 0:
            raise TargetError(f"what the router counted cannot be kept: {said.last}.")
