"""Models as processes of this machine, behind a small preview router: for laptops, examples and dry runs.

What runs outlives the job, and is found again by its folder: `place.state/<model>/<environment>`.

    state.json  lock          the state of the rollout, and who may act
    releases/<slot>/          the model's files, as `prepare` has copied and checked them
    slots/<slot>/server-*/    one process each, with the slot's logs beside them
    router/                   weights, log of requests
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from mlgate.rollout.nouns import Kept, Observed, Readiness, Release, Slot
from mlgate.rollout.targets import Place, Target, TargetError, local_access
from mlgate.rollout.targets import local_process as process
from mlgate.rollout.targets.local_front import Front
from mlgate.rollout.targets.local_kept import Keeper
from mlgate.rollout.targets.local_release import PREDICTIONS, REQUESTS, command, environ, find, home, prepare
from mlgate.rollout.targets.local_servers import Server, Servers, every

__all__ = ["Local", "command", "make", "prepare", "take_down"]

_GRACE = 5.0  # seconds beyond `drain` before a server is killed


def make(place: Place) -> Target:
    return Local(place)


def take_down(place: Place) -> None:
    """Ends everything of an environment and deletes its folder, whatever is under way. For examples and tests."""
    folder = home(place)
    if not folder.exists():
        return
    with Keeper(folder).locked():
        for servers in every(folder):
            for server in servers.all():
                process.end(server.folder, patience=0.0)
        process.end(folder / "router", patience=0.0)
    shutil.rmtree(folder, ignore_errors=True)


class Local(Target):
    """One environment on this machine."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._home = home(place)
        self._keeper = Keeper(self._home)
        self._front = Front(place, self._home)
        self._mark = ""

    # -- the state of the rollout -------------------------------------------------------------------------------------

    def read(self) -> Kept | None:
        kept = self._keeper.read()
        self._mark = kept.mark if kept else ""
        return kept

    def write(self, text: str, *, after: str) -> str:
        self._mark = self._keeper.write(text, after)
        return self._mark

    @contextmanager
    def _fenced(self) -> Iterator[None]:
        """Nobody writes while this job acts, and it acts only if nobody has."""
        with self._keeper.locked():
            self._keeper.check(self._mark)
            yield

    # -- what runs ----------------------------------------------------------------------------------------------------

    def slots(self) -> Sequence[Slot]:
        weights = self._real_weights()
        return [
            Slot(
                name=servers.name,
                image=servers.image,
                replicas=len(alive := [one for one in servers.all() if one.alive()]),
                ready=sum(not one.leaving and not one.unready() for one in alive),
                weight=weights.get(servers.name, 0.0),
            )
            for servers in every(self._home)
        ]

    def _real_weights(self) -> Mapping[str, float]:
        """Those that the router has. One that has died is started again with the weights that it had."""
        if not self._front.weights:
            return {}
        if not self._front.alive():
            with self._keeper.locked():
                self._front.up()
        return {str(slot): float(weight) for slot, weight in self._front.ask()["weights"].items()}

    def start(self, release: Release, *, replicas: int) -> None:
        found = find(self.place, release.slot)
        if found.image != release.image or not found.whole():
            raise TargetError(
                f"the copy of {release.slot} on this machine is not the model that was decided about.",
                file=str(found.folder), fix="Delete it, and deploy again.",
            )  # fmt: skip
        variables = environ(self.place)
        servers = self._servers(release.slot)
        argv = [
            *found.command, "--host", "127.0.0.1", "--port", "0", "--settings", str(found.settings),
            "--model", str(found.model), "--environment", self.place.environment,
        ]  # fmt: skip
        with self._fenced():
            self._front.up()
            servers.want(release.image, replicas)
            servers.bury()
            running = servers.staying()
            for _ in range(replicas - len(running)):
                servers.add(argv, environ=variables, cwd=found.cwd)
            for one in running[replicas:]:
                one.leave()
            if running[replicas:] and self._front.weights.get(release.slot):
                self._front.weigh(self._front.weights)  # so that they get no request any more
        self._see_off(servers)

    def ready(self, slot: str) -> Readiness:
        servers = self._servers(slot)
        if not servers.there:
            return Readiness(False, ended=True, said=f"{slot} is not here.")
        running = servers.staying()
        for one in running:
            if not one.alive():
                return Readiness(False, ended=True, said=f"A server of {slot} is gone: {one.ended()}")
        if len(running) < servers.wanted:
            return Readiness(False, ended=True, said=f"{slot} has {len(running)} of {servers.wanted} servers.")
        unready = [said for one in running if (said := one.unready())]
        if unready:
            return Readiness(False, said=f"{len(unready)} of {len(running)} servers of {slot} not ready: {unready[0]}.")
        return Readiness(True)

    def weigh(self, weights: Mapping[str, float]) -> None:
        if not all(math.isfinite(one) and one >= 0 for one in weights.values()):
            raise TargetError("weights have to be percentages from 0 on.")
        given = {slot: float(weight) for slot, weight in weights.items() if weight}
        total = sum(given.values())
        with self._fenced():
            for slot in given:
                if not self._servers(slot).there:
                    raise TargetError(f"{slot} is not here, so it can have no traffic.")
            self._front.weigh({slot: 100.0 * weight / total for slot, weight in given.items()})

    def stop(self, slot: str) -> None:
        servers = self._servers(slot)
        with self._fenced():
            if self._front.weights.get(slot):
                raise TargetError(f"{slot} has {self._front.weights[slot]:g} % of the traffic, so it is not stopped.")
            for one in servers.all():
                one.leave()
        self._see_off(servers)
        with self._keeper.locked():
            if servers.there and not servers.staying():
                shutil.rmtree(servers.folder, ignore_errors=True)
            if not any(every(self._home)):
                self._front.down()

    def _see_off(self, servers: Servers) -> None:
        """Those that leave: after their last answer, they are told to stop, and taken away."""
        end = time.monotonic() + self.place.drain
        leaving = [one for one in servers.all() if one.leaving]
        while leaving and time.monotonic() < end and self._busy(servers.name, leaving):
            time.sleep(0.05)
        for one in leaving:
            process.end(one.folder, patience=max(end - time.monotonic(), 0.0) + _GRACE)
            shutil.rmtree(one.folder, ignore_errors=True)

    def _busy(self, slot: str, servers: Sequence[Server]) -> bool:
        under_way = self._front.under_way(slot)
        return any(one.name in under_way and one.alive() for one in servers)

    @contextmanager
    def open(self, slot: str) -> Iterator[str]:
        for one in self._servers(slot).staying():
            if one.alive() and one.address:
                yield one.address
                return
        raise TargetError(f"no server of {slot} listens.")

    @property
    def url(self) -> str:
        bind, port = self._front.address
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bind, f"[{bind}]" if ":" in bind else bind)  # noqa: S104
        return f"http://{host}:{port}"

    # -- what it does -------------------------------------------------------------------------------------------------

    def now(self) -> float:
        return time.time()

    def observe(self, slots: Sequence[str], since: float, until: float) -> Observed:
        why = self._front.doubts(since, until)  # first: what is under way now is not in the log that is read next
        try:
            seen = local_access.read(
                self._front.access, slots, since, until, sticky=self.place.settings.sticky is not None
            )
            tallies = {
                slot: replace(tally, scores=local_access.scores(self._servers(slot).folder / PREDICTIONS, since, until))
                for slot, tally in seen.tallies.items()
            }
        except OSError as error:
            raise TargetError(f"cannot be read: {error.strerror}.", file=str(self._front.access)) from error
        if not why and seen.back_to > since:
            why = "so many requests came that the router's log no longer reaches back to the beginning of this time"
        return Observed(since, until, tallies, complete=not why, why=why)

    def requests(self, slot: str, most: int) -> Iterator[bytes]:
        path = self._servers(slot).folder / REQUESTS
        try:
            found = local_access.last(path, most)
        except OSError as error:
            raise TargetError(f"cannot be read: {error.strerror}.", file=str(path)) from error
        if not found:
            raise TargetError(
                f"{slot} has kept no requests.", file=str(path), key="serve.replay",
                fix="Keep a share of them: `serve: {replay: {sample: 10%}}`.",
            )  # fmt: skip
        return iter(found)

    def _servers(self, slot: str) -> Servers:
        return Servers(self._home / "slots" / slot)
