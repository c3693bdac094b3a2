"""Models as containers of a Docker engine, with HAProxy in front: on this machine, or by TCP or SSH elsewhere.

Everything of an environment is on the engine: servers, router, and the state of the rollout. Nothing needs a file
system that the engine and this machine share. docs/targets.md says what is made there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from urllib.parse import urlsplit

from mlgate.errors import MlgateError
from mlgate.image import ready as readiness
from mlgate.image.reference import Reference
from mlgate.image.service import Service, UnreachableError
from mlgate.rollout.nouns import Histogram, Kept, Observed, Readiness, Release, Slot
from mlgate.rollout.targets import Place, Target, TargetError
from mlgate.rollout.targets.docker_parts import compose, haproxy, network, proxy, seen, servers, tunnel
from mlgate.rollout.targets.docker_parts.clock import Clock
from mlgate.rollout.targets.docker_parts.haproxy import Counted, Fixed, Plan
from mlgate.rollout.targets.docker_parts.keeper import CONFIG, Keeper
from mlgate.rollout.targets.docker_parts.names import Names
from mlgate.rollout.targets.docker_parts.proxy import Router
from mlgate.rollout.targets.docker_parts.reached import Reached, reach
from mlgate.rollout.targets.docker_parts.servers import Server
from mlgate.rollout.targets.docker_parts.tape import Tape

_KNOCK = 3.0  # seconds for one answer of a server about itself
_COUNTED = "seen"


def make(place: Place) -> DockerTarget:
    """Nothing is asked of the engine yet. Raises TargetError where the router's image is not pinned by digest."""
    return DockerTarget(place)


class DockerTarget(Target):
    """`target.kind: docker`."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.names = Names(place.model, place.environment)
        self._entries: Tape[seen.Entry] | None = None
        self._scored: dict[str, Tape[seen.Scored]] = {}
        self._clock: Clock | None = None
        self._snapshots: list[seen.Snapshot] | None = None
        self._near: bool | None = None
        self._made = False
        self._images: dict[str, str] = {}  # what the engine has under each digest

    # -- parts --------------------------------------------------------------------------------------------------------

    @cached_property
    def engine(self) -> Reached:
        return reach(self.place)

    @cached_property
    def _proxy_image(self) -> str:
        told = self.place.settings.target.proxy
        key = f"deploy.environments.{self.place.environment}.target.proxy"
        fix = "Pin the image of HAProxy by digest: `haproxy:3.2@sha256:...`."
        if not told:
            raise MlgateError("is not there, and the docker target needs it.", key=key, fix=fix)
        reference = Reference.parse(told)
        if not reference.digest:
            raise MlgateError(f"is {told!r}, which may be another image tomorrow.", key=key, fix=fix)
        return reference.pinned

    @cached_property
    def keeper(self) -> Keeper:
        return Keeper(self.engine, self.names, self._proxy_image, self._keeping)

    @cached_property
    def router(self) -> Router:
        settings, place = self.place.settings, self.place
        fixed = Fixed(place.timeout, place.drain, settings.sticky or "")
        haproxy.config(fixed, Plan())  # refuses what is no header before anything is made
        target = settings.target
        return Router(
            self.engine, self.names, self.keeper, self._proxy_image, fixed, target.bind, target.port,
            target.network or "",
        )  # fmt: skip

    def _keeping(self) -> None:
        """What keeps the state is there and runs. A rollout asks once."""
        servers.pull(self.engine, self.place, self._proxy_image)
        network.make(self.engine, self.names)
        inside = network.subnet(self.engine, self.names)
        self.keeper.make(str(inside[network.KEEPER]))
        self._made = True

    def _listed(self) -> list[Server]:
        return servers.listed(self.engine, self.names, self._images)

    # -- the state of the rollout, kept where the model runs ----------------------------------------------------------

    def read(self) -> Kept | None:
        return self.keeper.read()

    def write(self, text: str, *, after: str) -> str:
        if not after and self.keeper.read() is None:
            self._keeping()
        return self.keeper.write(text, after)

    # -- what runs ----------------------------------------------------------------------------------------------------

    def slots(self) -> Sequence[Slot]:
        found = self._listed()
        weights: dict[str, float] = {}
        if found and (counted := self.router.counted()) is not None:
            lines = counted.servers.values()
            whole = sum(one.weight for one in lines if not one.out) or 1
            for one in lines:
                slot = one.name.rpartition("-")[0]
                weights[slot] = weights.get(slot, 0.0) + (0 if one.out else 100 * one.weight / whole)
        return [self._slot(name, members, weights.get(name, 0.0)) for name, members in _by_slot(found).items()]

    def _slot(self, name: str, members: Sequence[Server], weight: float) -> Slot:
        images = {one.image for one in members}
        running = [one for one in members if one.state.running]
        answering = sum(1 for one in running if self._knock(one) == "")
        return Slot(name, images.pop() if len(images) == 1 else "", len(running), answering, weight)

    def start(self, release: Release, *, replicas: int) -> None:
        self.keeper.check()
        asked = servers.asked(self.place, release)
        if self._stands(asked, replicas):
            return
        servers.pull(self.engine, self.place, release.image)
        if not self._made:
            self._keeping()
        self.router.make(proxy.address(self.engine, self.names))
        found = self._listed()
        mine = [one for one in found if one.slot == release.slot]
        plan = self._plan()
        if not plan.weights.get(release.slot):  # nobody is answered by it: it can be made as it is wanted now
            for one in mine:
                if one.asked != asked.digest or not one.state.running:
                    self._leave_out([one])
                    servers.remove(self.engine, one, 1.0)
                    found.remove(one)
            mine = [one for one in mine if one in found]
        inside = network.subnet(self.engine, self.names)
        taken = [one.address for one in found]
        there = {one.replica for one in mine}
        for replica in range(1, replicas + 1):
            if replica not in there:
                taken.append(network.free(inside, taken))
                servers.create(self.engine, self.names, asked, replica, taken[-1])
            servers.launch(self.engine, self.names.server(release.slot, replica))
        if more := [one for one in mine if one.replica > replicas]:
            self._leave_out(more)
            self._end(more)
        self._describe(self._listed())

    def _stands(self, asked: servers.Asked, replicas: int) -> bool:
        """Whether all of it runs already, so that going back to it takes no longer than it has to."""
        mine = [one for one in self._listed() if one.slot == asked.release.slot]
        as_asked = all(one.state.running and one.asked == asked.digest and one.image for one in mine)
        return len(mine) == replicas and as_asked and self.router.runs()

    def ready(self, slot: str) -> Readiness:
        members = [one for one in self._listed() if one.slot == slot]
        if not members:
            return Readiness(False, ended=True, said=f"There is no server of {slot}.")
        for one in members:
            if one.state.running:
                if said := self._knock(one):
                    return Readiness(False, said=f"{one.container} is not ready: {said}.")
                continue
            words = servers.words(self.engine, one.container) or "none"
            why = "ran out of memory" if one.state.killed else f"ended with exit code {one.state.code}"
            again = one.restarts > 0 and one.state.code != 137
            return Readiness(False, ended=not again, said=f"{one.container} {why}. Its last words: {words}")
        return Readiness(True, said=f"{len(members)} of {len(members)} answer.")

    def _knock(self, one: Server) -> str:
        """Why a server is not ready; empty when it is."""
        said = f"it knows none of {', '.join(readiness.PATHS)}"
        with self._way_to(one) as url:
            for path in readiness.PATHS:
                try:
                    answer = Service(url).get(path, timeout=_KNOCK)
                except UnreachableError as error:
                    return str(error)
                if answer.status == 200:
                    return ""
                if answer.status not in {404, 405}:
                    return f"{path} answered {answer.status}"
        return said

    def weigh(self, weights: Mapping[str, float]) -> None:
        # As little as can be before the router is told: somebody may be waiting for the bad answers to end.
        all_ = self._listed()
        running = {one.slot for one in all_ if one.state.running}
        wanted = {slot: weight for slot, weight in weights.items() if weight > 0}
        before = self._plan()
        if not before.servers:
            self.keeper.check()
            if not all_ and not self.router.there():
                return
            self.router.make(proxy.address(self.engine, self.names))
        if missing := sorted(wanted.keys() - running):
            self.keeper.check()
            raise TargetError(f"{missing[0]} cannot be given traffic: no server of it runs.")
        # One that does not run now keeps its place: the engine may be about to start it again.
        known = {one.name for one in before.servers}
        lines = [(one.slot, one.name, one.address, one.port) for one in all_ if one.state.running or one.name in known]
        servers.keep_up(self.engine, [one.container for one in all_ if one.slot in wanted and not one.kept])
        for seen_ in self.router.apply(haproxy.shared(wanted, lines)):
            self._count(seen_)
        self._describe(all_)

    def stop(self, slot: str) -> None:
        self.keeper.check()
        all_ = self._listed()
        members = [one for one in all_ if one.slot == slot]
        if self._plan().weights.get(slot, 0.0) > 0:
            raise TargetError(f"{slot} still has traffic.", fix="Give its share to another one before it is stopped.")
        self._leave_out(members)
        self._end(members)
        self._describe([one for one in all_ if one.slot != slot])

    def _plan(self) -> Plan:
        """What the router's configuration says."""
        return Plan.of(self.keeper.file(CONFIG))

    def _leave_out(self, members: Sequence[Server]) -> None:
        """No new requests for these, and an end of those that are under way."""
        plan = self._plan()
        gone = {one.name for one in members}
        if not gone & {one.name for one in plan.servers} or not self.router.there():
            return
        drained = [f"set server {haproxy.BACKEND}/{name} state drain" for name in sorted(gone)]
        now = self.router.count()
        if todo := [one for one in drained if one.split("/")[1].split()[0] in now.servers]:
            self.router.tell(*todo)
        end = time.monotonic() + self.place.drain
        while any(now.sessions.get(name, 0) for name in gone) and time.monotonic() < end:
            time.sleep(0.1)
            now = self.router.count()
        self._count(now)
        rest = [(one.name.rpartition("-")[0], one.name, one.address, one.port)
                for one in plan.servers if one.name not in gone]  # fmt: skip
        for seen_ in self.router.apply(haproxy.shared(plan.weights, rest)):
            self._count(seen_)

    def _end(self, members: Sequence[Server]) -> None:
        for one in members:
            servers.remove(self.engine, one, self.place.drain)

    def _describe(self, found: Sequence[Server]) -> None:
        """For people, in the repository. A folder that cannot be written stops nothing."""
        config = self.keeper.file(CONFIG)
        if not config:
            return
        weights = Plan.of(config).weights
        inside = network.subnet(self.engine, self.names)
        told = compose.described(self.names, self.place.settings, found, weights, inside)
        with suppress(OSError):
            compose.write(self.place.folder, self.place.environment, told, config)

    def _is_near(self) -> bool:
        if self._near is None and self.engine.ask("network", "inspect", "--format", "x", self.names.network).code == 0:
            self._near = network.near(self.engine, self.names)
        return bool(self._near)

    # -- ways to it ---------------------------------------------------------------------------------------------------

    def _way_to(self, one: Server) -> AbstractContextManager[str]:
        if self._is_near():
            return nullcontext(one.url)
        return tunnel.through(self.engine, self.names.keeper, one.address, one.port)

    def open(self, slot: str) -> AbstractContextManager[str]:
        members = [one for one in self._listed() if one.slot == slot and one.state.running]
        if not members:
            raise TargetError(f"no server of {slot} runs.")
        return self._way_to(members[0])

    @property
    def url(self) -> str:
        target = self.place.settings.target
        host = urlsplit(self.engine.environ.get("DOCKER_HOST") or "").hostname or "127.0.0.1"
        at = host if target.bind in {"0.0.0.0", "::", "127.0.0.1"} else target.bind  # noqa: S104 -- read, not bound
        return f"http://{f'[{at}]' if ':' in at else at}:{target.port}"

    # -- what it does -------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """By the engine's clock, which stamps requests."""
        if self._clock is None:
            clock = Clock(self.engine, self.names.keeper, near=self._is_near())
            if self._near is None:
                return clock.now()  # there is nothing there yet that would say more of the way to it
            self._clock = clock
        return self._clock.now()

    def _count(self, told: Counted | None = None) -> list[seen.Whole]:
        """Asks the router what it has counted, unless it was told, and keeps it with what it said before."""
        snapshot = seen.Snapshot.of(told or self.router.count())
        if self._snapshots is None:
            self._snapshots = list(seen.Snapshot.read(self.keeper.file(_COUNTED)))
        self._snapshots.append(snapshot)
        self.keeper.append(snapshot.to_json() + "\n")
        return seen.summed(self._snapshots)

    def observe(self, slots: Sequence[str], since: float, until: float) -> Observed:
        if not self.router.there():
            return Observed(since, until, {}, complete=False, why="There is no router.")
        wholes = self._count()
        if self._entries is None:
            self._entries = Tape(self.engine, self.names.router, seen.entry, lambda one: one.end)
        entries = self._entries.since(seen.reach(wholes, since) - 1.0)
        checked = seen.checked(wholes, entries, since, until)
        inside = [one for one in entries if since <= one.begin < until]
        found = seen.tallies(
            inside, slots, timeout=self.place.timeout, sent_on=checked.sent_on,
            scores={slot: self._scores(slot, inside, since, until) for slot in slots},
            sticky=bool(self.place.settings.sticky),
        )  # fmt: skip
        return Observed(since, until, found, complete=not checked.why, why=checked.why)

    def _scores(self, slot: str, inside: Sequence[seen.Entry], since: float, until: float) -> Histogram | None:
        found: list[seen.Scored] = []
        for one in self._listed():
            if one.slot == slot:
                if one.container not in self._scored:
                    self._scored[one.container] = Tape(self.engine, one.container, seen.scored, lambda one: one.at)
                found += self._scored[one.container].since(since)
        if not found and not any(one.slot == slot and one.status == 200 for one in inside):
            return Histogram()
        return seen.scores(found, since, until)

    def requests(self, slot: str, most: int) -> Iterator[bytes]:
        members = [one for one in self._listed() if one.slot == slot and one.state.running]
        lines: list[bytes] = []
        for one in members:
            said = self.engine.ask(
                "exec", one.container, "sh", "-c", 'cat "${MLGATE_SETTINGS:-/opt/mlgate/serving.json}"'
            )
            try:
                path = str((json.loads(said.out).get("replay") or {}).get("path") or "")
            except ValueError:
                path = ""
            if not path:
                continue
            script = 'for n in 9 8 7 6 5 4 3 2 1; do [ ! -f "$1.$n" ] || cat "$1.$n"; done; [ ! -f "$1" ] || cat "$1"'
            said = self.engine.ask("exec", one.container, "sh", "-c", f"({script}) | tail -n {int(most)}", "sh", path)
            lines += [line.encode() for line in said.out.splitlines() if line.startswith("{")]
        if not lines:
            raise TargetError(
                f"{slot} keeps no requests, or has none yet.", fix="Set `serve.replay` for the model that is stable."
            )
        yield from sorted(lines, key=_when)[-most:]


def _when(line: bytes) -> str:
    try:
        return str(json.loads(line).get("time", ""))
    except ValueError:
        return ""


def _by_slot(found: Sequence[Server]) -> dict[str, list[Server]]:
    grouped: dict[str, list[Server]] = {}
    for one in found:
        grouped.setdefault(one.slot, []).append(one)
    return grouped
